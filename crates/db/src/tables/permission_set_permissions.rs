//! What the roles of a permission set may hold at most.

use sea_orm::entity::prelude::*;

/// A row of `permission_set_permissions`.
#[derive(Clone, Debug, PartialEq, Eq, DeriveEntityModel)]
#[sea_orm(table_name = "permission_set_permissions")]
pub struct Model {
    /// The set.
    #[sea_orm(primary_key, auto_increment = false)]
    pub permission_set_id: Uuid,
    /// A version 2 path without an object.
    #[sea_orm(primary_key, auto_increment = false)]
    pub permission: String,
    /// The object the permission is limited to, or 0.
    #[sea_orm(primary_key, auto_increment = false)]
    pub object_id: i64,
}

/// No relations are declared: slices join where they need to.
#[derive(Copy, Clone, Debug, EnumIter, DeriveRelation)]
pub enum Relation {}

impl ActiveModelBehavior for ActiveModel {}
