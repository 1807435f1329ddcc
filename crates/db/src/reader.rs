//! The connections that answer reads.
//!
//! The pool asks a connection whether it is alive each time it is given back: a hop to SQLite's thread and back, or a round trip
//! to PostgreSQL, for every query. Connections for reads are therefore kept here between queries and not given back. One whose
//! query was cut off or failed in any other way than by the database's own word goes back to the pool, which examines it; so does
//! one that rested or was kept for long. A read whose connection turns out to have been ended meanwhile is asked once more.

use std::sync::{Arc, Mutex, PoisonError};
use std::time::{Duration, Instant};

use sea_orm::prelude::async_trait::async_trait;
use sea_orm::{
    ConnectionTrait, DatabaseConnection, DbBackend, DbErr, ExecResult, QueryResult, RuntimeErr,
    Statement,
};
use sea_query_sqlx::SqlxValues;
use sqlx::pool::PoolConnection;
use sqlx::{AssertSqlSafe, Connection, Postgres, Sqlite};
use tokio::sync::{Semaphore, SemaphorePermit};

use crate::error::is_lost;
use crate::past;

/// How long a connection may rest before it is examined.
const REST_MAX: Duration = Duration::from_secs(5 * 60);
/// How long a connection is kept: then the pool has its say about its age.
const KEPT_MAX: Duration = Duration::from_secs(30 * 60);

/// Reads the committed state. Cheap to clone.
#[derive(Clone, Debug)]
pub struct Reader {
    pool: DatabaseConnection,
    kept: Arc<Kept>,
    /// The moment whose state is read, where it is not now.
    moment: Option<i64>,
}

#[derive(Debug)]
enum Kept {
    Sqlite(Shelf<Sqlite>),
    Postgres(Shelf<Postgres>),
}

/// Connections between two queries.
#[derive(Debug)]
struct Shelf<D: sqlx::Database> {
    pool: sqlx::Pool<D>,
    /// As many queries at a time.
    permits: Semaphore,
    /// None once the database is being closed.
    idle: Mutex<Option<Vec<Resting<D>>>>,
}

#[derive(Debug)]
struct Resting<D: sqlx::Database> {
    connection: PoolConnection<D>,
    taken: Instant,
    used: Instant,
}

/// A connection that answers a query.
struct Held<'s, D: sqlx::Database> {
    shelf: &'s Shelf<D>,
    connection: PoolConnection<D>,
    taken: Instant,
    _permit: SemaphorePermit<'s>,
}

impl Reader {
    /// Up to `connections` of the pool's are kept.
    pub(crate) fn new(pool: DatabaseConnection, connections: u32) -> Self {
        let kept = match pool.get_database_backend() {
            DbBackend::Sqlite => {
                Kept::Sqlite(Shelf::new(pool.get_sqlite_connection_pool(), connections))
            }
            _ => Kept::Postgres(Shelf::new(pool.get_postgres_connection_pool(), connections)),
        };
        Self {
            pool,
            kept: Arc::new(kept),
            moment: None,
        }
    }

    /// The same connections, reading the state of a moment.
    pub(crate) fn at(&self, moment: i64) -> Self {
        Self {
            moment: Some(moment),
            ..self.clone()
        }
    }

    /// The moment whose state is read, where it is not now.
    pub(crate) fn moment(&self) -> Option<i64> {
        self.moment
    }

    /// The whole pool, for transactions.
    pub(crate) fn pool(&self) -> &DatabaseConnection {
        &self.pool
    }

    /// Whether the database answers.
    ///
    /// # Errors
    /// What was wrong.
    pub async fn ping(&self) -> Result<(), DbErr> {
        self.pool.ping().await
    }

    /// Gives everything back and closes the pool.
    pub(crate) async fn close(self) -> Result<(), DbErr> {
        match &*self.kept {
            Kept::Sqlite(shelf) => shelf.clear(),
            Kept::Postgres(shelf) => shelf.clear(),
        }
        self.pool.close().await
    }
}

impl<D: sqlx::Database> Shelf<D> {
    fn new(pool: &sqlx::Pool<D>, connections: u32) -> Self {
        Self {
            pool: pool.clone(),
            permits: Semaphore::new(usize::try_from(connections.max(1)).unwrap_or(1)),
            idle: Mutex::new(Some(Vec::new())),
        }
    }

    async fn hold(&self) -> Result<Held<'_, D>, sqlx::Error> {
        let permit = self.permits.acquire().await;
        let permit = permit.map_err(|_| sqlx::Error::PoolClosed)?;
        let now = Instant::now();
        let resting = {
            let mut idle = self.lock();
            idle.as_mut().and_then(|idle| {
                idle.retain(|resting| {
                    now.duration_since(resting.used) < REST_MAX
                        && now.duration_since(resting.taken) < KEPT_MAX
                });
                idle.pop()
            })
        };
        let (connection, taken) = match resting {
            Some(resting) => (resting.connection, resting.taken),
            None => (self.pool.acquire().await?, now),
        };
        Ok(Held {
            shelf: self,
            connection,
            taken,
            _permit: permit,
        })
    }

    fn clear(&self) {
        drop(self.lock().take());
    }

    fn lock(&self) -> std::sync::MutexGuard<'_, Option<Vec<Resting<D>>>> {
        self.idle.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

impl<'s, D: sqlx::Database> Held<'s, D> {
    /// Keeps the connection for the next query when this one came to its end.
    fn keep_after<T>(self, result: Result<T, sqlx::Error>) -> Result<T, DbErr> {
        let ended = match &result {
            Ok(_) => true,
            Err(error) => matches!(error, sqlx::Error::Database(_)) && !is_lost(error),
        };
        if ended && let Some(idle) = self.shelf.lock().as_mut() {
            idle.push(Resting {
                connection: self.connection,
                taken: self.taken,
                used: Instant::now(),
            });
        }
        result.map_err(failed)
    }

    /// A connection that answers, instead of one that does not. What else rests goes back to the pool, which examines it.
    async fn another(self) -> Result<Held<'s, D>, sqlx::Error> {
        if let Some(idle) = self.shelf.lock().as_mut() {
            idle.clear();
        }
        drop(self.connection.close().await);
        loop {
            let mut connection = self.shelf.pool.acquire().await?;
            match connection.ping().await {
                Ok(()) => {
                    return Ok(Held {
                        shelf: self.shelf,
                        connection,
                        taken: Instant::now(),
                        _permit: self._permit,
                    });
                }
                Err(error) if is_lost(&error) => drop(connection.close().await),
                Err(error) => return Err(error),
            }
        }
    }
}

/// Asks through a kept connection, and once more through another one when that was lost: a read can be repeated.
macro_rules! ask {
    ($shelf:expr, $statement:expr, $fetch:ident) => {{
        let mut held = $shelf.hold().await.map_err(failed)?;
        let values = self::values(&$statement);
        let query = sqlx::query_with(AssertSqlSafe($statement.sql.clone()), values);
        let mut result = query.$fetch(&mut *held.connection).await;
        if result.as_ref().is_err_and(is_lost) {
            held = held.another().await.map_err(failed)?;
            let again = self::values(&$statement);
            let query = sqlx::query_with(AssertSqlSafe($statement.sql), again);
            result = query.$fetch(&mut *held.connection).await;
        }
        held.keep_after(result)?
    }};
}

fn failed(error: sqlx::Error) -> DbErr {
    DbErr::Query(RuntimeErr::SqlxError(error.into()))
}

fn values(statement: &Statement) -> SqlxValues {
    let values = statement.values.clone();
    SqlxValues(values.unwrap_or(sea_orm::Values(Vec::new())))
}

#[async_trait]
impl ConnectionTrait for Reader {
    fn get_database_backend(&self) -> DbBackend {
        self.pool.get_database_backend()
    }

    async fn execute_raw(&self, statement: Statement) -> Result<ExecResult, DbErr> {
        self.pool.execute_raw(statement).await
    }

    async fn execute_unprepared(&self, sql: &str) -> Result<ExecResult, DbErr> {
        self.pool.execute_unprepared(sql).await
    }

    async fn query_one_raw(&self, statement: Statement) -> Result<Option<QueryResult>, DbErr> {
        let statement = past::at(self.moment, statement)?;
        Ok(match &*self.kept {
            Kept::Sqlite(shelf) => ask!(shelf, statement, fetch_optional).map(QueryResult::from),
            Kept::Postgres(shelf) => ask!(shelf, statement, fetch_optional).map(QueryResult::from),
        })
    }

    async fn query_all_raw(&self, statement: Statement) -> Result<Vec<QueryResult>, DbErr> {
        let statement = past::at(self.moment, statement)?;
        Ok(match &*self.kept {
            Kept::Sqlite(shelf) => {
                let rows = ask!(shelf, statement, fetch_all);
                rows.into_iter().map(QueryResult::from).collect()
            }
            Kept::Postgres(shelf) => {
                let rows = ask!(shelf, statement, fetch_all);
                rows.into_iter().map(QueryResult::from).collect()
            }
        })
    }
}
