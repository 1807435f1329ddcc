//! How far the audit log was forwarded, and which server does it.

use sea_orm::entity::prelude::*;

/// A row of `audit_cursors`.
#[derive(Clone, Debug, PartialEq, Eq, DeriveEntityModel)]
#[sea_orm(table_name = "audit_cursors")]
pub struct Model {
    /// Of the receiver.
    #[sea_orm(primary_key, auto_increment = false)]
    pub name: String,
    /// Place in the tree of the next record to send.
    pub next_leaf: i64,
    /// The server that sends.
    pub holder: Uuid,
    /// Until when others leave it alone, epoch milliseconds.
    pub held_until: i64,
}

/// No relations are declared: slices join where they need to.
#[derive(Copy, Clone, Debug, EnumIter, DeriveRelation)]
pub enum Relation {}

impl ActiveModelBehavior for ActiveModel {}
