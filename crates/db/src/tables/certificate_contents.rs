//! The certificates themselves, apart so that lists stay narrow.

use sea_orm::entity::prelude::*;

/// A row of `certificate_contents`.
#[derive(Clone, Debug, PartialEq, Eq, DeriveEntityModel)]
#[sea_orm(table_name = "certificate_contents")]
pub struct Model {
    /// Certificate id.
    #[sea_orm(primary_key, auto_increment = false)]
    pub certificate_id: i64,
    /// Der.
    pub der: Vec<u8>,
}

/// No relations are declared: slices join where they need to.
#[derive(Copy, Clone, Debug, EnumIter, DeriveRelation)]
pub enum Relation {}

impl ActiveModelBehavior for ActiveModel {}
