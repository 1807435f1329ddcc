//! The connections that answer reads.
//!
//! The pool asks a connection whether it is alive each time it is given back: a hop to SQLite's thread and back, or a round trip
//! to PostgreSQL, for every query. Connections for reads are therefore kept here between queries and not given back. One whose
//! query was cut off or failed in any other way than by the database's own word goes back to the pool, which examines it.

use std::sync::{Arc, Mutex, PoisonError};

use sea_orm::prelude::async_trait::async_trait;
use sea_orm::{
    ConnectionTrait, DatabaseConnection, DbBackend, DbErr, ExecResult, QueryResult, RuntimeErr,
    Statement,
};
use sea_query_sqlx::SqlxValues;
use sqlx::pool::PoolConnection;
use sqlx::{AssertSqlSafe, Postgres, Sqlite};
use tokio::sync::{Semaphore, SemaphorePermit};

/// Reads the committed state. Cheap to clone.
#[derive(Clone, Debug)]
pub struct Reader {
    pool: DatabaseConnection,
    kept: Arc<Kept>,
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
    idle: Mutex<Option<Vec<PoolConnection<D>>>>,
}

/// A connection that answers a query.
struct Held<'s, D: sqlx::Database> {
    shelf: &'s Shelf<D>,
    connection: PoolConnection<D>,
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
        }
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
        let idle = {
            let mut idle = self.idle.lock().unwrap_or_else(PoisonError::into_inner);
            idle.as_mut().and_then(Vec::pop)
        };
        Ok(Held {
            shelf: self,
            connection: match idle {
                Some(connection) => connection,
                None => self.pool.acquire().await?,
            },
            _permit: permit,
        })
    }

    fn clear(&self) {
        let idle = self
            .idle
            .lock()
            .unwrap_or_else(PoisonError::into_inner)
            .take();
        drop(idle);
    }
}

impl<D: sqlx::Database> Held<'_, D> {
    /// Keeps the connection for the next query when this one came to its end.
    fn keep_after<T>(self, result: Result<T, sqlx::Error>) -> Result<T, DbErr> {
        let ended = matches!(&result, Ok(_) | Err(sqlx::Error::Database(_)));
        if ended {
            let mut idle = self
                .shelf
                .idle
                .lock()
                .unwrap_or_else(PoisonError::into_inner);
            if let Some(idle) = idle.as_mut() {
                idle.push(self.connection);
            }
        }
        result.map_err(failed)
    }
}

fn failed(error: sqlx::Error) -> DbErr {
    DbErr::Query(RuntimeErr::SqlxError(error.into()))
}

fn values(statement: &mut Statement) -> SqlxValues {
    SqlxValues(
        statement
            .values
            .take()
            .unwrap_or(sea_orm::Values(Vec::new())),
    )
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

    async fn query_one_raw(&self, mut statement: Statement) -> Result<Option<QueryResult>, DbErr> {
        let values = values(&mut statement);
        let sql = AssertSqlSafe(statement.sql);
        match &*self.kept {
            Kept::Sqlite(shelf) => {
                let mut held = shelf.hold().await.map_err(failed)?;
                let query = sqlx::query_with(sql, values);
                let result = query.fetch_optional(&mut *held.connection).await;
                Ok(held.keep_after(result)?.map(QueryResult::from))
            }
            Kept::Postgres(shelf) => {
                let mut held = shelf.hold().await.map_err(failed)?;
                let query = sqlx::query_with(sql, values);
                let result = query.fetch_optional(&mut *held.connection).await;
                Ok(held.keep_after(result)?.map(QueryResult::from))
            }
        }
    }

    async fn query_all_raw(&self, mut statement: Statement) -> Result<Vec<QueryResult>, DbErr> {
        let values = values(&mut statement);
        let sql = AssertSqlSafe(statement.sql);
        match &*self.kept {
            Kept::Sqlite(shelf) => {
                let mut held = shelf.hold().await.map_err(failed)?;
                let query = sqlx::query_with(sql, values);
                let result = query.fetch_all(&mut *held.connection).await;
                let rows = held.keep_after(result)?;
                Ok(rows.into_iter().map(QueryResult::from).collect())
            }
            Kept::Postgres(shelf) => {
                let mut held = shelf.hold().await.map_err(failed)?;
                let query = sqlx::query_with(sql, values);
                let result = query.fetch_all(&mut *held.connection).await;
                let rows = held.keep_after(result)?;
                Ok(rows.into_iter().map(QueryResult::from).collect())
            }
        }
    }
}
