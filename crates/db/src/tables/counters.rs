//! Kept counts, in shards so that no row is hot.

use sea_orm::entity::prelude::*;

/// A row of `counters`.
#[derive(Clone, Debug, PartialEq, Eq, DeriveEntityModel)]
#[sea_orm(table_name = "counters")]
pub struct Model {
    /// Name.
    #[sea_orm(primary_key, auto_increment = false)]
    pub name: String,
    /// Shard.
    #[sea_orm(primary_key, auto_increment = false)]
    pub shard: i32,
    /// Value.
    pub value: i64,
}

/// No relations are declared: slices join where they need to.
#[derive(Copy, Clone, Debug, EnumIter, DeriveRelation)]
pub enum Relation {}

impl ActiveModelBehavior for ActiveModel {}
