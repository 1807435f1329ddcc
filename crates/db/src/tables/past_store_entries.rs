//! The table `past_store_entries`: what entries of certificate stores were called.

use sea_orm::entity::prelude::*;

/// A row of `past_store_entries`.
#[derive(Clone, Debug, PartialEq, Eq, DeriveEntityModel)]
#[sea_orm(table_name = "past_store_entries")]
pub struct Model {
    /// Id.
    #[sea_orm(primary_key, auto_increment = false)]
    pub id: i64,
    /// Store id.
    pub store_id: Uuid,
    /// Alias.
    pub alias: String,
    /// Alias fold.
    pub alias_fold: String,
    /// Since when it was so, epoch milliseconds.
    pub since: i64,
    /// Until when, epoch milliseconds: then it changed or went.
    #[sea_orm(primary_key, auto_increment = false)]
    pub until: i64,
}

/// None: rows are joined by name, where they are needed.
#[derive(Copy, Clone, Debug, EnumIter, DeriveRelation)]
pub enum Relation {}

impl ActiveModelBehavior for ActiveModel {}
