//! The certificates of an entry, leaf first.

use sea_orm::entity::prelude::*;

/// A row of `store_entry_certificates`.
#[derive(Clone, Debug, PartialEq, Eq, DeriveEntityModel)]
#[sea_orm(table_name = "store_entry_certificates")]
pub struct Model {
    /// Entry id.
    #[sea_orm(primary_key, auto_increment = false)]
    pub entry_id: i64,
    /// 0 is the leaf.
    #[sea_orm(primary_key, auto_increment = false)]
    pub chain_level: i32,
    /// Certificate id.
    pub certificate_id: i64,
    /// Of the entry.
    pub store_id: Uuid,
    /// Since when it is so, epoch milliseconds; null from the beginning of what it belongs to.
    pub since: Option<i64>,
}

/// No relations are declared: slices join where they need to.
#[derive(Copy, Clone, Debug, EnumIter, DeriveRelation)]
pub enum Relation {}

impl ActiveModelBehavior for ActiveModel {}
