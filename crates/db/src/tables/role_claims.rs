//! Which claims hold a role.

use sea_orm::entity::prelude::*;

/// A row of `role_claims`.
#[derive(Clone, Debug, PartialEq, Eq, DeriveEntityModel)]
#[sea_orm(table_name = "role_claims")]
pub struct Model {
    /// Role id.
    #[sea_orm(primary_key, auto_increment = false)]
    pub role_id: i64,
    /// Claim id.
    #[sea_orm(primary_key, auto_increment = false)]
    pub claim_id: i64,
}

/// No relations are declared: slices join where they need to.
#[derive(Copy, Clone, Debug, EnumIter, DeriveRelation)]
pub enum Relation {}

impl ActiveModelBehavior for ActiveModel {}
