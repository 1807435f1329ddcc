//! What an agent is asked to do; the queue holds when.

use sea_orm::entity::prelude::*;

/// A row of `orchestrator_jobs`.
#[derive(Clone, Debug, PartialEq, Eq, DeriveEntityModel)]
#[sea_orm(table_name = "orchestrator_jobs")]
pub struct Model {
    /// The queue job's id.
    #[sea_orm(primary_key, auto_increment = false)]
    pub id: Uuid,
    /// Agent id.
    pub agent_id: Uuid,
    /// Store id.
    pub store_id: Option<Uuid>,
    /// 1 inventory, 2 management.
    pub kind: i32,
    /// 1 inventory, 2 add, 3 remove, 4 create.
    pub operation: i32,
    /// Job type id.
    pub job_type_id: Uuid,
    /// For example `PEMManagement`.
    pub job_type: String,
    /// As it was asked for.
    pub schedule: Option<String>,
    /// Epoch milliseconds.
    pub requested_at: i64,
    /// Account name.
    pub requester: String,
    /// Alias.
    pub alias: Option<String>,
    /// Certificate id.
    pub certificate_id: Option<i64>,
    /// Overwrite.
    pub overwrite: bool,
    /// Include private key.
    pub include_private_key: bool,
    /// JSON object: entry parameters.
    pub fields: String,
    /// JSON object: pfx password, entry password.
    pub sealed_secrets: Option<Vec<u8>>,
    /// Cancelled.
    pub cancelled: bool,
}

/// No relations are declared: slices join where they need to.
#[derive(Copy, Clone, Debug, EnumIter, DeriveRelation)]
pub enum Relation {}

impl ActiveModelBehavior for ActiveModel {}
