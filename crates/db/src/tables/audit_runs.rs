//! Which records stand where in the audit log's tree: runs of a chain that follow each other there.

use sea_orm::entity::prelude::*;

/// A row of `audit_runs`.
#[derive(Clone, Debug, PartialEq, Eq, DeriveEntityModel)]
#[sea_orm(table_name = "audit_runs")]
pub struct Model {
    /// Place of the first in the tree, from 0.
    #[sea_orm(primary_key, auto_increment = false)]
    pub first_leaf: i64,
    /// Their chain.
    pub chain: i32,
    /// Position of the first in the chain.
    pub first_position: i64,
    /// How many.
    pub length: i64,
}

/// No relations are declared: slices join where they need to.
#[derive(Copy, Clone, Debug, EnumIter, DeriveRelation)]
pub enum Relation {}

impl ActiveModelBehavior for ActiveModel {}
