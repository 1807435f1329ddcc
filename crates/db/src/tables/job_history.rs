//! Jobs from the moment they were handed to an agent.

use sea_orm::entity::prelude::*;

/// A row of `job_history`.
#[derive(Clone, Debug, PartialEq, Eq, DeriveEntityModel)]
#[sea_orm(table_name = "job_history")]
pub struct Model {
    /// Id.
    #[sea_orm(primary_key)]
    pub id: i64,
    /// Job id.
    pub job_id: Uuid,
    /// Agent id.
    pub agent_id: Uuid,
    /// Agent machine.
    pub agent_machine: String,
    /// Store id.
    pub store_id: Option<Uuid>,
    /// Store path.
    pub store_path: String,
    /// Client machine.
    pub client_machine: String,
    /// Job type.
    pub job_type: String,
    /// Kind.
    pub kind: i32,
    /// Operation.
    pub operation: i32,
    /// Alias.
    pub alias: Option<String>,
    /// Certificate id.
    pub certificate_id: Option<i64>,
    /// Schedule.
    pub schedule: Option<String>,
    /// Epoch milliseconds.
    pub started_at: i64,
    /// Epoch milliseconds.
    pub ended_at: Option<i64>,
    /// Message.
    pub message: String,
    /// 0 unknown, 2 success, 3 warning, 4 failure.
    pub result: i32,
    /// 2 in process, 3 completed, 4 acknowledged, 5 completed, will retry.
    pub status: i32,
    /// Attempt.
    pub attempt: i32,
}

/// No relations are declared: slices join where they need to.
#[derive(Copy, Clone, Debug, EnumIter, DeriveRelation)]
pub enum Relation {}

impl ActiveModelBehavior for ActiveModel {}
