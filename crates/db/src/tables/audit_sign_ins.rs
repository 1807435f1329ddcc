//! Sign-ins that have their record: one for each credential, address and hour.

use sea_orm::entity::prelude::*;

/// A row of `audit_sign_ins`.
#[derive(Clone, Debug, PartialEq, Eq, DeriveEntityModel)]
#[sea_orm(table_name = "audit_sign_ins")]
pub struct Model {
    /// Of what kind and whose.
    #[sea_orm(primary_key, auto_increment = false)]
    pub credential: String,
    /// From where; empty when unknown.
    #[sea_orm(primary_key, auto_increment = false)]
    pub address: String,
    /// Hours since the epoch.
    #[sea_orm(primary_key, auto_increment = false)]
    pub hour: i64,
}

/// No relations are declared: slices join where they need to.
#[derive(Copy, Clone, Debug, EnumIter, DeriveRelation)]
pub enum Relation {}

impl ActiveModelBehavior for ActiveModel {}
