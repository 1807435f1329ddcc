//! What the last inventory found in a store: one row an alias.

use sea_orm::entity::prelude::*;

/// A row of `store_entries`.
#[derive(Clone, Debug, PartialEq, Eq, DeriveEntityModel)]
#[sea_orm(table_name = "store_entries")]
pub struct Model {
    /// Id.
    #[sea_orm(primary_key)]
    pub id: i64,
    /// Store id.
    pub store_id: Uuid,
    /// Alias.
    pub alias: String,
    /// Alias fold.
    pub alias_fold: String,
    /// Private key.
    pub private_key: bool,
    /// JSON object.
    pub parameters: String,
}

/// No relations are declared: slices join where they need to.
#[derive(Copy, Clone, Debug, EnumIter, DeriveRelation)]
pub enum Relation {}

impl ActiveModelBehavior for ActiveModel {}
