//! Which certificates changed, for what is kept in memory of them.

use sea_orm::entity::prelude::*;

/// A row of `certificate_changes`.
#[derive(Clone, Debug, PartialEq, Eq, DeriveEntityModel)]
#[sea_orm(table_name = "certificate_changes")]
pub struct Model {
    /// The transaction, given by the database: on SQLite a number that grows with each row, on PostgreSQL the transaction's own,
    /// which several rows may have.
    #[sea_orm(primary_key)]
    pub version: i64,
    /// The first of several certificates whose ids follow each other.
    pub first_id: i64,
    /// The last of them.
    pub last_id: i64,
}

/// No relations are declared: slices join where they need to.
#[derive(Copy, Clone, Debug, EnumIter, DeriveRelation)]
pub enum Relation {}

impl ActiveModelBehavior for ActiveModel {}
