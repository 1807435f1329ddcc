//! Containers: groups of stores with a schedule and rights of their own.

use sea_orm::entity::prelude::*;

/// A row of `store_containers`.
#[derive(Clone, Debug, PartialEq, Eq, DeriveEntityModel)]
#[sea_orm(table_name = "store_containers")]
pub struct Model {
    /// Id.
    #[sea_orm(primary_key)]
    pub id: i64,
    /// Name.
    pub name: String,
    /// Name fold.
    pub name_fold: String,
    /// Overwrite schedules.
    pub overwrite_schedules: bool,
    /// Compact form.
    pub schedule: Option<String>,
    /// Store type id.
    pub store_type_id: Option<i64>,
    /// Epoch milliseconds.
    pub created_at: i64,
}

/// No relations are declared: slices join where they need to.
#[derive(Copy, Clone, Debug, EnumIter, DeriveRelation)]
pub enum Relation {}

impl ActiveModelBehavior for ActiveModel {}
