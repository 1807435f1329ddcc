//! What can go wrong between the product and its database.

use sea_orm::{DbErr, RuntimeErr, SqlErr};

/// A database failure. Callers outside see none of its text; it is for the log.
#[derive(Debug, thiserror::Error)]
pub enum Error {
    /// The statement or connection failed.
    #[error("database: {0}")]
    Database(#[from] DbErr),
    /// The address names no database that Chancery can use.
    #[error("database address: {0}")]
    Address(String),
    /// The writer stopped before it answered; whether the change was kept is unknown to the caller.
    #[error("the database writer stopped: {0}")]
    WriterStopped(String),
    /// A closure of `write` called `write` again, which would wait for itself.
    #[error("a write was started inside the write {0:?}")]
    NestedWrite(&'static str),
    /// A closure of `write` panicked; its changes were rolled back.
    #[error("the write {0:?} panicked")]
    Panicked(&'static str),
    /// A closure of `write` answered `Ok` although one of its statements had failed. PostgreSQL keeps nothing of such a
    /// transaction; a statement that may fail belongs in a savepoint, or says `ON CONFLICT`.
    #[error("the write {0:?} went on after a statement had failed")]
    StatementFailed(&'static str),
    /// A file or folder could not be used.
    #[error("{path}: {source}")]
    File {
        /// Which.
        path: std::path::PathBuf,
        /// Why.
        source: std::io::Error,
    },
}

impl Error {
    /// Whether a unique or foreign key constraint refused the statement, as it does when two callers race.
    pub fn is_constraint(&self) -> bool {
        matches!(
            self,
            Self::Database(error) if matches!(
                error.sql_err(),
                Some(SqlErr::UniqueConstraintViolation(_) | SqlErr::ForeignKeyConstraintViolation(_))
            )
        )
    }

    /// Whether the database could not be reached or ended the connection, so that the same may do later.
    pub fn is_away(&self) -> bool {
        match self {
            Self::Database(DbErr::ConnectionAcquire(_) | DbErr::Conn(_)) => true,
            Self::Database(DbErr::Exec(RuntimeErr::SqlxError(error)))
            | Self::Database(DbErr::Query(RuntimeErr::SqlxError(error))) => is_lost(error),
            _ => false,
        }
    }
}

/// Whether the connection that said so is of no use any more, or there was none: classes 08 (connection exception), 57P (the
/// server ends) and XX (internal error) of PostgreSQL's appendix A, and everything that no database said.
pub(crate) fn is_lost(error: &sqlx::Error) -> bool {
    match error {
        sqlx::Error::Database(error) => error.code().is_some_and(|code| {
            ["08", "57P", "XX"]
                .iter()
                .any(|class| code.starts_with(class))
        }),
        sqlx::Error::Io(_)
        | sqlx::Error::Tls(_)
        | sqlx::Error::Protocol(_)
        | sqlx::Error::PoolTimedOut
        | sqlx::Error::PoolClosed
        | sqlx::Error::WorkerCrashed => true,
        _ => false,
    }
}
