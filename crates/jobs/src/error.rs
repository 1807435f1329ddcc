//! What can go wrong with the queue.

use sea_orm::DbErr;

use crate::ScheduleError;

/// A failure of the queue.
#[derive(Debug, thiserror::Error)]
pub enum Error {
    /// The database failed.
    #[error(transparent)]
    Database(#[from] db::Error),
    /// A row holds a schedule that cannot be read.
    #[error("job {id}: {source}")]
    Schedule {
        /// Whose.
        id: uuid::Uuid,
        /// What is wrong with it.
        source: ScheduleError,
    },
}

impl From<DbErr> for Error {
    fn from(error: DbErr) -> Self {
        Self::Database(error.into())
    }
}
