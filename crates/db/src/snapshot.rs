//! Reads of one moment.

use sea_orm::prelude::async_trait::async_trait;
use sea_orm::{ConnectionTrait, DbBackend, DbErr, ExecResult, QueryResult, Statement};
use tokio::sync::OwnedSemaphorePermit;

use crate::{Tx, past};

/// A transaction that sees the committed state of one moment. It is to be read from and dropped; as long as it is there it has one
/// of a few turns, so that those who write find connections.
#[derive(Debug)]
pub struct Snapshot {
    tx: Tx,
    /// The moment whose state is read, where it is not now.
    moment: Option<i64>,
    _turn: OwnedSemaphorePermit,
}

impl Snapshot {
    pub(crate) fn new(tx: Tx, moment: Option<i64>, turn: OwnedSemaphorePermit) -> Self {
        Self {
            tx,
            moment,
            _turn: turn,
        }
    }
}

#[async_trait]
impl ConnectionTrait for Snapshot {
    fn get_database_backend(&self) -> DbBackend {
        self.tx.get_database_backend()
    }

    async fn execute_raw(&self, statement: Statement) -> Result<ExecResult, DbErr> {
        self.tx.execute_raw(statement).await
    }

    async fn execute_unprepared(&self, sql: &str) -> Result<ExecResult, DbErr> {
        self.tx.execute_unprepared(sql).await
    }

    async fn query_one_raw(&self, statement: Statement) -> Result<Option<QueryResult>, DbErr> {
        self.tx
            .query_one_raw(past::at(self.moment, statement)?)
            .await
    }

    async fn query_all_raw(&self, statement: Statement) -> Result<Vec<QueryResult>, DbErr> {
        self.tx
            .query_all_raw(past::at(self.moment, statement)?)
            .await
    }
}
