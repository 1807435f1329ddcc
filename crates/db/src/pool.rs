//! Opening a database: pools, pragmas, migrations.

use std::cell::Cell;
use std::panic::AssertUnwindSafe;
use std::path::{Path, PathBuf};
use std::sync::Arc;
use std::time::Duration;

use futures::FutureExt;
use sea_orm::{
    ConnAcquireErr, ConnectOptions, ConnectionTrait, Database, DbErr, Statement, TransactionTrait,
};
use sqlx::Executor;
use tokio::sync::Semaphore;

use crate::checkpoints;
use crate::reader::Reader;
use crate::writer::Writer;
use crate::{Dialect, Error, Snapshot, Tx, WriteFuture, migrations};

/// How long a connection of another process may hold the SQLite file before a statement gives up, in milliseconds.
const SQLITE_BUSY_TIMEOUT_MS: u64 = 10_000;
/// Connections besides those of single reads, for snapshots.
const SQLITE_SNAPSHOTS: u32 = 2;
/// How long a connection, or the turn of a snapshot, is waited for.
const WAIT_MAX: Duration = Duration::from_secs(30);

/// Statements that a connection keeps prepared.
const STATEMENTS: usize = 256;

/// How many connections to hold.
#[derive(Clone, Debug)]
pub struct Options {
    /// Connections that read, on SQLite.
    pub readers: u32,
    /// Connections of all kinds, on PostgreSQL.
    pub postgres_connections: u32,
}

impl Default for Options {
    fn default() -> Self {
        Self {
            readers: 4,
            postgres_connections: 16,
        }
    }
}

/// What the database itself says about when a commit is on disk.
#[derive(Clone, Debug, serde::Serialize)]
pub struct Durability {
    /// `sqlite` or `postgres`.
    pub database: &'static str,
    /// Setting and value, as the database prints them.
    pub settings: Vec<(String, String)>,
    /// Whether an acknowledged commit survives a power cut.
    pub full: bool,
}

/// A database, open and migrated. Cheap to clone.
#[derive(Clone, Debug)]
pub struct Db {
    dialect: Dialect,
    reader: Reader,
    writer: Option<Writer>,
    /// Snapshots at a time.
    snapshots: Arc<Semaphore>,
}

tokio::task_local! {
    static INSIDE_WRITE: &'static str;
    /// Set when a statement of this write failed, on PostgreSQL.
    static STATEMENT_FAILED: Cell<bool>;
}

/// Whether PostgreSQL still takes statements in this transaction. After one has failed it does not, unless a savepoint was
/// rolled back to, and answers `COMMIT` by rolling back without saying so.
async fn usable(tx: &Tx) -> bool {
    tx.execute_unprepared("SELECT 1").await.is_ok()
}

fn turns(count: u32) -> Arc<Semaphore> {
    Arc::new(Semaphore::new(count.max(1) as usize))
}

impl Db {
    /// Opens the database at `address` and brings its schema up to date. `sqlite:PATH` (or a bare path) is a file, made
    /// when missing; `postgres://…` a server. Safe when two servers start at once.
    ///
    /// # Errors
    /// [`Error::Address`] for an address of no known form, otherwise what the database said.
    pub async fn open(address: &str, options: &Options) -> Result<Self, Error> {
        if address.starts_with("postgres://") || address.starts_with("postgresql://") {
            Self::open_postgres(address, options).await
        } else if let Some((scheme, _)) = address.split_once("://") {
            Err(Error::Address(format!(
                "{scheme:?} is neither sqlite nor postgres"
            )))
        } else {
            Self::open_sqlite(
                Path::new(address.strip_prefix("sqlite:").unwrap_or(address)),
                options,
            )
            .await
        }
    }

    async fn open_sqlite(path: &Path, options: &Options) -> Result<Self, Error> {
        let path: PathBuf = path.to_owned();
        let writer = Writer::start(path.clone()).await?;
        let connections = options.readers.saturating_add(SQLITE_SNAPSHOTS);
        let pool = Database::connect(sqlite_options(&path, connections, true)).await?;
        Ok(Self {
            dialect: Dialect::Sqlite,
            reader: Reader::new(pool, options.readers),
            writer: Some(writer),
            snapshots: turns(SQLITE_SNAPSHOTS),
        })
    }

    async fn open_postgres(address: &str, options: &Options) -> Result<Self, Error> {
        let mut connect = ConnectOptions::new(address);
        connect
            .max_connections(options.postgres_connections)
            .min_connections(1)
            .sqlx_logging(false)
            .test_before_acquire(false)
            .acquire_timeout(WAIT_MAX)
            .map_sqlx_postgres_opts(|options| options.statement_cache_capacity(STATEMENTS))
            .map_sqlx_postgres_pool_opts(|options| {
                options.after_connect(|connection, _| {
                    // Compiling a plan takes 50 ms and more, which a list may wait for and no statement here gains.
                    let set = connection.execute("SET jit = off");
                    Box::pin(async move { set.await.map(drop) })
                })
            });
        let mut pool = Database::connect(connect).await?;
        pool.set_metric_callback(|statement| {
            if statement.failed {
                // Outside of a write there is nothing to mark.
                STATEMENT_FAILED
                    .try_with(|failed| failed.set(true))
                    .unwrap_or(());
            }
        });
        migrations::migrate_postgres(&pool).await?;
        Ok(Self {
            dialect: Dialect::Postgres,
            // Snapshots have half of the other half, and writes at least the rest.
            reader: Reader::new(pool, options.postgres_connections / 2),
            writer: None,
            snapshots: turns(options.postgres_connections / 4),
        })
    }

    /// Which database this is.
    pub fn dialect(&self) -> Dialect {
        self.dialect
    }

    /// The connections to read the committed state with.
    pub fn read(&self) -> &Reader {
        &self.reader
    }

    /// The same database, read as it was at a moment in epoch milliseconds: queries that name tables whose past is kept find in them
    /// what was in them then ([`crate::past`]). Everything else is as it is now. What is written is written now.
    #[must_use]
    pub fn at(&self, moment: i64) -> Self {
        Self {
            reader: self.reader.at(moment),
            ..self.clone()
        }
    }

    /// The committed state of one moment, for answers put together from several reads. Who has one does not ask for another.
    ///
    /// # Errors
    /// What the database said; that it is away, when no turn came.
    pub async fn snapshot(&self) -> Result<Snapshot, Error> {
        let turn = tokio::time::timeout(WAIT_MAX, Arc::clone(&self.snapshots).acquire_owned());
        let turn = turn.await.ok().and_then(Result::ok);
        let turn = turn.ok_or(DbErr::ConnectionAcquire(ConnAcquireErr::Timeout))?;
        // SQLite's deferred transaction is a snapshot from its first read on.
        let isolation = match self.dialect {
            Dialect::Sqlite => None,
            Dialect::Postgres => Some(sea_orm::IsolationLevel::RepeatableRead),
        };
        let options = sea_orm::TransactionOptions {
            isolation_level: isolation,
            ..Default::default()
        };
        let tx = self.reader.pool().begin_with_options(options).await?;
        Ok(Snapshot::new(tx, self.reader.moment(), turn))
    }

    /// Runs `work` in one transaction that is kept when it answers `Ok` and rolled back when it answers `Err` or panics.
    /// `Ok` is answered only once the change is on disk. `name` says in logs and kill points which write this is
    /// (`slice.verb`).
    ///
    /// Closures of other callers may share the commit, so `work` must wait for nothing but the database, and must not call
    /// [`Db::write`] itself.
    ///
    /// # Errors
    /// Those of `work`, and [`Error`] when the database failed.
    pub async fn write<T, E, F>(&self, name: &'static str, work: F) -> Result<T, E>
    where
        T: Send + 'static,
        E: From<Error> + Send + 'static,
        F: for<'t> FnOnce(&'t Tx) -> WriteFuture<'t, T, E> + Send + 'static,
    {
        self.write_any(name, false, work).await
    }

    /// [`Db::write`] of thousands of rows. On SQLite it begins a transaction: inside of one, it would take several times as long.
    ///
    /// # Errors
    /// As there.
    pub async fn write_much<T, E, F>(&self, name: &'static str, work: F) -> Result<T, E>
    where
        T: Send + 'static,
        E: From<Error> + Send + 'static,
        F: for<'t> FnOnce(&'t Tx) -> WriteFuture<'t, T, E> + Send + 'static,
    {
        self.write_any(name, true, work).await
    }

    async fn write_any<T, E, F>(&self, name: &'static str, is_large: bool, work: F) -> Result<T, E>
    where
        T: Send + 'static,
        E: From<Error> + Send + 'static,
        F: for<'t> FnOnce(&'t Tx) -> WriteFuture<'t, T, E> + Send + 'static,
    {
        if let Ok(outer) = INSIDE_WRITE.try_with(|outer| *outer) {
            return Err(Error::NestedWrite(outer).into());
        }
        match &self.writer {
            Some(writer) => {
                writer
                    .write(name, is_large, move |tx| {
                        Box::pin(INSIDE_WRITE.scope(name, work(tx)))
                    })
                    .await
            }
            None => self.write_postgres(name, work).await,
        }
    }

    async fn write_postgres<T, E, F>(&self, name: &'static str, work: F) -> Result<T, E>
    where
        E: From<Error>,
        F: for<'t> FnOnce(&'t Tx) -> WriteFuture<'t, T, E>,
    {
        let tx = self.reader.pool().begin().await.map_err(Error::from)?;
        let ran = INSIDE_WRITE.scope(name, async { work(&tx).await });
        let watched = STATEMENT_FAILED.scope(Cell::new(false), async {
            let result = ran.await;
            (result, STATEMENT_FAILED.with(Cell::get))
        });
        let error = match AssertUnwindSafe(watched).catch_unwind().await {
            Ok((Ok(value), statement_failed)) => {
                if !statement_failed || usable(&tx).await {
                    #[cfg(feature = "killpoints")]
                    crate::killpoints::reached(name, crate::killpoints::Moment::BeforeCommit);
                    // Not as a database that is away: then the same could be asked again.
                    tx.commit()
                        .await
                        .map_err(|error| Error::WriterStopped(error.to_string()))?;
                    #[cfg(feature = "killpoints")]
                    crate::killpoints::reached(name, crate::killpoints::Moment::AfterCommit);
                    return Ok(value);
                }
                Error::StatementFailed(name).into()
            }
            Ok((Err(error), _)) => error,
            Err(_) => {
                tracing::error!(name, "a write panicked and was rolled back");
                Error::Panicked(name).into()
            }
        };
        if let Err(rollback) = tx.rollback().await {
            tracing::warn!(name, error = %rollback, "rollback failed; the server ends the transaction");
        }
        Err(error)
    }

    /// Asks the database how durable its commits are.
    ///
    /// # Errors
    /// What the database said.
    pub async fn durability(&self) -> Result<Durability, Error> {
        match &self.writer {
            Some(writer) => writer.durability().await,
            None => {
                let mut settings = Vec::new();
                for name in ["fsync", "synchronous_commit", "full_page_writes"] {
                    let statement = Statement::from_string(
                        self.dialect.backend(),
                        format!("SELECT current_setting('{name}') AS value"),
                    );
                    let row = self.reader.query_one_raw(statement).await?;
                    let value = row
                        .map(|row| row.try_get::<String>("", "value"))
                        .transpose()?
                        .unwrap_or_default();
                    settings.push((name.to_owned(), value));
                }
                let full = settings.iter().all(|(_, value)| value != "off");
                Ok(Durability {
                    database: "postgres",
                    settings,
                    full,
                })
            }
        }
    }

    /// The id of the process that serves a connection to PostgreSQL, on its machine. For measurements.
    ///
    /// # Errors
    /// What the database said.
    pub async fn server_process(&self) -> Result<Option<i32>, Error> {
        if self.dialect == Dialect::Sqlite {
            return Ok(None);
        }
        let statement =
            Statement::from_string(self.dialect.backend(), "SELECT pg_backend_pid() AS id");
        let row = self.reader.query_one_raw(statement).await?;
        Ok(row.map(|row| row.try_get("", "id")).transpose()?)
    }

    /// Copies a SQLite database to `target` while it is in use, as of one moment.
    ///
    /// # Errors
    /// [`Error::Address`] on PostgreSQL, whose own tools do this.
    pub async fn backup_to(&self, target: &Path) -> Result<(), Error> {
        let Some(writer) = &self.writer else {
            return Err(Error::Address(
                "PostgreSQL is backed up with pg_dump".into(),
            ));
        };
        // A connection of its own: readers may not write, not even another file, and the writer must not be kept waiting.
        let connection = Database::connect(sqlite_options(writer.path(), 1, false)).await?;
        let text = target.display().to_string().replace('\'', "''");
        let statement =
            Statement::from_string(self.dialect.backend(), format!("VACUUM INTO '{text}'"));
        let copied = connection.execute_raw(statement).await;
        connection.close().await?;
        copied?;
        Ok(())
    }

    /// Closes the pools. Writes that were accepted are finished first.
    pub async fn close(self) {
        if let Some(writer) = self.writer {
            writer.stop().await;
        }
        if let Err(error) = self.reader.close().await {
            tracing::warn!(%error, "closing the database");
        }
    }
}

/// Connection options of one SQLite pool. `synchronous=FULL`: an acknowledged write survives a power cut.
pub(crate) fn sqlite_options(path: &Path, connections: u32, read_only: bool) -> ConnectOptions {
    let mut options = ConnectOptions::new("sqlite:");
    // Not in the address, where some characters of a path mean something else.
    let path = path.to_owned();
    options
        .max_connections(connections)
        .min_connections(1)
        .sqlx_logging(false)
        .test_before_acquire(false)
        .map_sqlx_sqlite_opts(move |options| {
            let options = options
                .filename(&path)
                .create_if_missing(!read_only)
                .foreign_keys(true)
                .journal_mode(sqlx::sqlite::SqliteJournalMode::Wal)
                .synchronous(sqlx::sqlite::SqliteSynchronous::Full)
                .busy_timeout(Duration::from_millis(SQLITE_BUSY_TIMEOUT_MS))
                .pragma("wal_autocheckpoint", checkpoints::PAGES_OF_LOG.to_string())
                .pragma(
                    "cache_size",
                    match read_only {
                        true => "-8000".to_owned(),
                        false => format!("-{}", checkpoints::CACHE_KIB),
                    },
                )
                // What a savepoint has to remember stays in memory too: its file is made anew for each.
                .pragma("temp_store", "MEMORY")
                // A page of rows fits, so that the thread that reads them does not stop in between.
                .row_buffer_size(512)
                .statement_cache_capacity(STATEMENTS);
            if read_only {
                options.pragma("query_only", "ON")
            } else {
                options
            }
        });
    options
}
