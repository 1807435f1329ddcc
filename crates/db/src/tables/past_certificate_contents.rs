//! The table `past_certificate_contents`: certificates that were deleted.

use sea_orm::entity::prelude::*;

/// A row of `past_certificate_contents`.
#[derive(Clone, Debug, PartialEq, Eq, DeriveEntityModel)]
#[sea_orm(table_name = "past_certificate_contents")]
pub struct Model {
    /// Certificate id.
    #[sea_orm(primary_key, auto_increment = false)]
    pub certificate_id: i64,
    /// Der.
    pub der: Vec<u8>,
}

/// None: rows are joined by name, where they are needed.
#[derive(Copy, Clone, Debug, EnumIter, DeriveRelation)]
pub enum Relation {}

impl ActiveModelBehavior for ActiveModel {}
