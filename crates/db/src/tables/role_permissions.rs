//! What a role grants: version 2 permission paths, for the whole system or for one object.

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
    /// The collection, container or PAM provider, by the kind of the path; 0 for the whole system.
    #[sea_orm(primary_key, auto_increment = false)]
    pub object_id: i64,
}

/// No relations are declared: slices join where they need to.
#[derive(Copy, Clone, Debug, EnumIter, DeriveRelation)]
pub enum Relation {}

impl ActiveModelBehavior for ActiveModel {}
