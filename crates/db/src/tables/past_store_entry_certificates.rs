//! The table `past_store_entry_certificates`: certificates that were in stores.

use sea_orm::entity::prelude::*;

/// A row of `past_store_entry_certificates`.
#[derive(Clone, Debug, PartialEq, Eq, DeriveEntityModel)]
#[sea_orm(table_name = "past_store_entry_certificates")]
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
    /// Since when it was so, epoch milliseconds; null from the beginning of what it belongs to.
    pub since: Option<i64>,
    /// Until when, epoch milliseconds: then it changed or went.
    #[sea_orm(primary_key, auto_increment = false)]
    pub until: i64,
}

/// None: rows are joined by name, where they are needed.
#[derive(Copy, Clone, Debug, EnumIter, DeriveRelation)]
pub enum Relation {}

impl ActiveModelBehavior for ActiveModel {}
