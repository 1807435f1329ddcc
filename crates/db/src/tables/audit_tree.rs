//! The state of the audit log's tree. One row; whoever locks it may extend the tree.

use sea_orm::entity::prelude::*;

/// A row of `audit_tree`.
#[derive(Clone, Debug, PartialEq, Eq, DeriveEntityModel)]
#[sea_orm(table_name = "audit_tree")]
pub struct Model {
    /// Always 1.
    #[sea_orm(primary_key, auto_increment = false)]
    pub id: i64,
    /// Records in the tree.
    pub size: i64,
    /// `chain:position` of the newest record in the tree, for each chain, with commas between.
    pub positions: String,
    /// Bodies of records before this place in the tree may be gone.
    pub pruned_before: i64,
    /// The signed checkpoint of this size.
    pub checkpoint: String,
    /// Over the other columns, with a key that is not in the database.
    pub mac: Vec<u8>,
}

/// No relations are declared: slices join where they need to.
#[derive(Copy, Clone, Debug, EnumIter, DeriveRelation)]
pub enum Relation {}

impl ActiveModelBehavior for ActiveModel {}
