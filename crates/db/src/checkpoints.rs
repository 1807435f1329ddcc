//! Folds the write-ahead log of SQLite back into the file beside the writer, after writes so large that it would stand still for it.
//! What is written meanwhile stays in the log: when that is long the writer does the rest, after which the log begins anew.
//! <https://www.sqlite.org/wal.html>

use std::path::{Path, PathBuf};
use std::time::{Duration, Instant};

use sea_orm::{ConnectionTrait, Database, DatabaseConnection, DbErr};
use tokio::sync::mpsc;
use tokio::task::JoinHandle;

use crate::pool::sqlite_options;

/// Pages in the log after which the writer folds it back itself: 16 MB, so that nobody waits long for it.
pub(crate) const PAGES_OF_LOG: u32 = 4_000;
/// Memory for pages of the writer.
pub(crate) const CACHE_KIB: u32 = 128 * 1024;
/// The same among large writes, each of which leaves up to 140 MB in the log: then it is 512 MB long, and what such a write touches in the
/// indexes stays in memory until the commit, where it is written once.
const PAGES_OF_LARGE_LOG: u32 = 128_000;
const CACHE_OF_LARGE_KIB: u32 = 256 * 1024;
/// What is left of the file of the log when it begins anew after large writes.
const LOG_OCTETS: i64 = 64 * 1024 * 1024;
/// How long after a large write another one is waited for.
const AFTER_LARGE: Duration = Duration::from_secs(2);

/// Folds the log back when it is told to, and knows by which of both the writer goes.
pub(crate) struct Checkpoints {
    wanted: mpsc::Sender<()>,
    work: JoinHandle<()>,
    last_large: Option<Instant>,
    are_large: bool,
}

impl Checkpoints {
    /// On the runtime that it is called on, not on the writer's. Opens no connection before it is told to fold back.
    pub(crate) fn start(path: PathBuf) -> Self {
        let (wanted, told) = mpsc::channel(1);
        let work = tokio::spawn(fold_back(path, told));
        Self {
            wanted,
            work,
            last_large: None,
            are_large: false,
        }
    }

    /// Before a transaction of the writer.
    ///
    /// # Errors
    /// Those of the database.
    pub(crate) async fn before(
        &mut self,
        writer: &DatabaseConnection,
        is_large: bool,
    ) -> Result<(), DbErr> {
        if is_large {
            self.last_large = Some(Instant::now());
        }
        // Small ones come in between.
        let are_large = self
            .last_large
            .is_some_and(|last| last.elapsed() < AFTER_LARGE);
        if self.are_large != are_large {
            let (pages, cache, size) = match are_large {
                true => (PAGES_OF_LARGE_LOG, CACHE_OF_LARGE_KIB, -1),
                false => (PAGES_OF_LOG, CACHE_KIB, LOG_OCTETS),
            };
            let pragmas = format!(
                "PRAGMA wal_autocheckpoint = {pages}; PRAGMA cache_size = -{cache}; PRAGMA journal_size_limit = {size}"
            );
            writer.execute_unprepared(&pragmas).await?;
            self.are_large = are_large;
        }
        Ok(())
    }

    /// After it.
    pub(crate) fn after(&mut self, is_large: bool) {
        if is_large {
            self.last_large = Some(Instant::now());
        }
        if self.are_large {
            // Who is told already sees this one too.
            self.wanted.try_send(()).unwrap_or(());
        }
    }

    /// For a connection that knows nothing of it.
    pub(crate) fn reset(&mut self) {
        self.last_large = None;
        self.are_large = false;
    }

    /// Ends it, what is under way first.
    pub(crate) async fn stop(self) {
        drop(self.wanted);
        if let Err(error) = self.work.await {
            tracing::warn!(%error, "folding back the log of the database");
        }
    }
}

async fn fold_back(path: PathBuf, mut told: mpsc::Receiver<()>) {
    let mut connection = None;
    while told.recv().await.is_some() {
        // What is not folded back stays in the log, and the writer does it.
        if let Err(error) = fold_back_once(&path, &mut connection).await {
            tracing::warn!(%error, "folding back the log of the database");
        }
    }
    if let Some(connection) = connection
        && let Err(error) = connection.close().await
    {
        tracing::warn!(%error, "closing the database");
    }
}

async fn fold_back_once(
    path: &Path,
    connection: &mut Option<DatabaseConnection>,
) -> Result<(), DbErr> {
    let connection = match connection {
        Some(connection) => connection,
        None => connection.insert(Database::connect(sqlite_options(path, 1, false)).await?),
    };
    // As far as no reader is in the way; nobody waits for it.
    connection
        .execute_unprepared("PRAGMA wal_checkpoint(PASSIVE)")
        .await?;
    Ok(())
}
