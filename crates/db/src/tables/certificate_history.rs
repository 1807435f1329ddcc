//! What happened to a certificate, as its history shows it.

use sea_orm::entity::prelude::*;

/// A row of `certificate_history`.
#[derive(Clone, Debug, PartialEq, Eq, DeriveEntityModel)]
#[sea_orm(table_name = "certificate_history")]
pub struct Model {
    /// Id.
    #[sea_orm(primary_key)]
    pub id: i64,
    /// Certificate id.
    pub certificate_id: i64,
    /// Epoch milliseconds.
    pub started_at: i64,
    /// Epoch milliseconds.
    pub ended_at: i64,
    /// Username.
    pub username: String,
    /// Comment.
    pub comment: String,
    /// Action.
    pub action: String,
}

/// No relations are declared: slices join where they need to.
#[derive(Copy, Clone, Debug, EnumIter, DeriveRelation)]
pub enum Relation {}

impl ActiveModelBehavior for ActiveModel {}
