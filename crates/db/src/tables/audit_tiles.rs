//! The hashes of the audit log's tree, in tiles (C2SP tlog-tiles).

use sea_orm::entity::prelude::*;

/// A row of `audit_tiles`.
#[derive(Clone, Debug, PartialEq, Eq, DeriveEntityModel)]
#[sea_orm(table_name = "audit_tiles")]
pub struct Model {
    /// From 0, the records.
    #[sea_orm(primary_key, auto_increment = false)]
    pub level: i32,
    /// Which tile of the level, from 0.
    #[sea_orm(primary_key, auto_increment = false)]
    pub number: i64,
    /// Up to 256 hashes of 32 octets.
    pub hashes: Vec<u8>,
}

/// No relations are declared: slices join where they need to.
#[derive(Copy, Clone, Debug, EnumIter, DeriveRelation)]
pub enum Relation {}

impl ActiveModelBehavior for ActiveModel {}
