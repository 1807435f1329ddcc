//! Stored private keys, sealed.

use sea_orm::entity::prelude::*;

/// A row of `certificate_keys`.
#[derive(Clone, Debug, PartialEq, Eq, DeriveEntityModel)]
#[sea_orm(table_name = "certificate_keys")]
pub struct Model {
    /// Certificate id.
    #[sea_orm(primary_key, auto_increment = false)]
    pub certificate_id: i64,
    /// PKCS#8, sealed.
    pub sealed_key: Vec<u8>,
}

/// No relations are declared: slices join where they need to.
#[derive(Copy, Clone, Debug, EnumIter, DeriveRelation)]
pub enum Relation {}

impl ActiveModelBehavior for ActiveModel {}
