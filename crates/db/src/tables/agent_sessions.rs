//! Open agent sessions.

use sea_orm::entity::prelude::*;

/// A row of `agent_sessions`.
#[derive(Clone, Debug, PartialEq, Eq, DeriveEntityModel)]
#[sea_orm(table_name = "agent_sessions")]
pub struct Model {
    /// Token.
    #[sea_orm(primary_key, auto_increment = false)]
    pub token: Uuid,
    /// Agent id.
    pub agent_id: Uuid,
    /// Epoch milliseconds.
    pub created_at: i64,
    /// Epoch milliseconds.
    pub expires_at: i64,
}

/// No relations are declared: slices join where they need to.
#[derive(Copy, Clone, Debug, EnumIter, DeriveRelation)]
pub enum Relation {}

impl ActiveModelBehavior for ActiveModel {}
