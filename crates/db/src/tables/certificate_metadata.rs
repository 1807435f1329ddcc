//! Metadata values by field name.

use sea_orm::entity::prelude::*;

/// A row of `certificate_metadata`.
#[derive(Clone, Debug, PartialEq, Eq, DeriveEntityModel)]
#[sea_orm(table_name = "certificate_metadata")]
pub struct Model {
    /// Certificate id.
    #[sea_orm(primary_key, auto_increment = false)]
    pub certificate_id: i64,
    /// Name fold.
    #[sea_orm(primary_key, auto_increment = false)]
    pub name_fold: String,
    /// Name.
    pub name: String,
    /// Value.
    pub value: String,
}

/// No relations are declared: slices join where they need to.
#[derive(Copy, Clone, Debug, EnumIter, DeriveRelation)]
pub enum Relation {}

impl ActiveModelBehavior for ActiveModel {}
