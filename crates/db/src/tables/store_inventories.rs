//! What was reported last of each store, so that the same again is told at once.

use sea_orm::entity::prelude::*;

/// A row of `store_inventories`.
#[derive(Clone, Debug, PartialEq, Eq, DeriveEntityModel)]
#[sea_orm(table_name = "store_inventories")]
pub struct Model {
    /// Store id.
    #[sea_orm(primary_key, auto_increment = false)]
    pub store_id: Uuid,
    /// SHA-256 of the report.
    pub digest: Vec<u8>,
    /// Rows of `store_entry_certificates` that the store had after it.
    pub places: i64,
}

/// No relations are declared: slices join where they need to.
#[derive(Copy, Clone, Debug, EnumIter, DeriveRelation)]
pub enum Relation {}

impl ActiveModelBehavior for ActiveModel {}
