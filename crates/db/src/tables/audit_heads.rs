//! How far each chain of audit records has got. Updated in the transaction of the record.

use sea_orm::entity::prelude::*;

/// A row of `audit_heads`.
#[derive(Clone, Debug, PartialEq, Eq, DeriveEntityModel)]
#[sea_orm(table_name = "audit_heads")]
pub struct Model {
    /// Which chain.
    #[sea_orm(primary_key, auto_increment = false)]
    pub chain: i32,
    /// Of its newest record, from 1; 0 for none.
    pub position: i64,
    /// Over chain and position, with a key that is not in the database.
    pub mac: Vec<u8>,
}

/// No relations are declared: slices join where they need to.
#[derive(Copy, Clone, Debug, EnumIter, DeriveRelation)]
pub enum Relation {}

impl ActiveModelBehavior for ActiveModel {}
