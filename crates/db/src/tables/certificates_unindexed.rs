//! Certificates that are in no lot of the index of names yet. A trigger writes them.

use sea_orm::entity::prelude::*;

/// A row of `certificates_unindexed`.
#[derive(Clone, Debug, PartialEq, Eq, DeriveEntityModel)]
#[sea_orm(table_name = "certificates_unindexed")]
pub struct Model {
    /// Certificate id; it may have been deleted.
    #[sea_orm(primary_key, auto_increment = false)]
    pub certificate_id: i64,
}

/// No relations are declared: slices join where they need to.
#[derive(Copy, Clone, Debug, EnumIter, DeriveRelation)]
pub enum Relation {}

impl ActiveModelBehavior for ActiveModel {}
