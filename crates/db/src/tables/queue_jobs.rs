//! The durable queue of the jobs crate.

use sea_orm::entity::prelude::*;

/// A row of `queue_jobs`.
#[derive(Clone, Debug, PartialEq, Eq, DeriveEntityModel)]
#[sea_orm(table_name = "queue_jobs")]
pub struct Model {
    /// Id.
    #[sea_orm(primary_key, auto_increment = false)]
    pub id: Uuid,
    /// Who may claim it.
    pub queue: String,
    /// At most one job of a lane is claimed at a time.
    pub lane: Option<String>,
    /// Kind.
    pub kind: String,
    /// Smaller goes first.
    pub priority: i32,
    /// Epoch milliseconds.
    pub due_at: i64,
    /// Compact form; repeats when it says so.
    pub schedule: Option<String>,
    /// 0 waiting, 1 claimed.
    pub state: i32,
    /// Attempts.
    pub attempts: i32,
    /// Epoch milliseconds.
    pub lease_until: Option<i64>,
    /// JSON; the queue does not read it.
    pub payload: String,
    /// Epoch milliseconds.
    pub created_at: i64,
    /// Order of arrival within a millisecond.
    pub sequence: i64,
}

/// No relations are declared: slices join where they need to.
#[derive(Copy, Clone, Debug, EnumIter, DeriveRelation)]
pub enum Relation {}

impl ActiveModelBehavior for ActiveModel {}
