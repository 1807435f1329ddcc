//! What identities are known by: local accounts, and the claims of tokens. Roles are held by claims.

use sea_orm::entity::prelude::*;

/// A row of `claims`.
#[derive(Clone, Debug, PartialEq, Eq, DeriveEntityModel)]
#[sea_orm(table_name = "claims")]
pub struct Model {
    /// Id.
    #[sea_orm(primary_key)]
    pub id: i64,
    /// The contract's number of the type.
    pub claim_type: i32,
    /// As it was given.
    pub value: String,
    /// Folded, for finding it.
    pub value_fold: String,
    /// The provider's authentication scheme.
    pub provider: String,
    /// Folded, for finding it.
    pub provider_fold: String,
    /// For people.
    pub description: String,
    /// Epoch milliseconds.
    pub created_at: i64,
}

/// No relations are declared: slices join where they need to.
#[derive(Copy, Clone, Debug, EnumIter, DeriveRelation)]
pub enum Relation {}

impl ActiveModelBehavior for ActiveModel {}
