//! The table `past_certificate_names`: names of certificates that were deleted.

use sea_orm::entity::prelude::*;

/// A row of `past_certificate_names`.
#[derive(Clone, Debug, PartialEq, Eq, DeriveEntityModel)]
#[sea_orm(table_name = "past_certificate_names")]
pub struct Model {
    /// Certificate id.
    #[sea_orm(primary_key, auto_increment = false)]
    pub certificate_id: i64,
    /// Position.
    #[sea_orm(primary_key, auto_increment = false)]
    pub position: i32,
    /// The contract's SAN type.
    pub kind: i32,
    /// Value.
    pub value: String,
    /// Value fold.
    pub value_fold: String,
}

/// None: rows are joined by name, where they are needed.
#[derive(Copy, Clone, Debug, EnumIter, DeriveRelation)]
pub enum Relation {}

impl ActiveModelBehavior for ActiveModel {}
