//! Whose favorites collections are.

use sea_orm::entity::prelude::*;

/// A row of `collection_favorites`.
#[derive(Clone, Debug, PartialEq, Eq, DeriveEntityModel)]
#[sea_orm(table_name = "collection_favorites")]
pub struct Model {
    /// Collection id.
    #[sea_orm(primary_key, auto_increment = false)]
    pub collection_id: i64,
    /// The identity, folded.
    #[sea_orm(primary_key, auto_increment = false)]
    pub holder: String,
}

/// No relations are declared: slices join where they need to.
#[derive(Copy, Clone, Debug, EnumIter, DeriveRelation)]
pub enum Relation {}

impl ActiveModelBehavior for ActiveModel {}
