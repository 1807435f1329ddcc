//! What a role may do, system-wide: version 2 permission paths.

use sea_orm::entity::prelude::*;

/// A row of `role_permissions`.
#[derive(Clone, Debug, PartialEq, Eq, DeriveEntityModel)]
#[sea_orm(table_name = "role_permissions")]
pub struct Model {
    /// Role id.
    #[sea_orm(primary_key, auto_increment = false)]
    pub role_id: i64,
    /// For example `/certificate_stores/schedule/`.
    #[sea_orm(primary_key, auto_increment = false)]
    pub permission: String,
}

/// No relations are declared: slices join where they need to.
#[derive(Copy, Clone, Debug, EnumIter, DeriveRelation)]
pub enum Relation {}

impl ActiveModelBehavior for ActiveModel {}
