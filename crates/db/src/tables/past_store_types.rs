//! The table `past_store_types`: types of certificate stores that were deleted.

use sea_orm::entity::prelude::*;

/// A row of `past_store_types`.
#[derive(Clone, Debug, PartialEq, Eq, DeriveEntityModel)]
#[sea_orm(table_name = "past_store_types")]
pub struct Model {
    /// The contract's StoreType; custom types from 102.
    #[sea_orm(primary_key, auto_increment = false)]
    pub id: i64,
    /// Name.
    pub name: String,
}

/// None: rows are joined by name, where they are needed.
#[derive(Copy, Clone, Debug, EnumIter, DeriveRelation)]
pub enum Relation {}

impl ActiveModelBehavior for ActiveModel {}
