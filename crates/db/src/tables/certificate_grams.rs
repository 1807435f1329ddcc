//! Pieces of the lots of the index of names.

use sea_orm::entity::prelude::*;

/// A row of `certificate_grams`.
#[derive(Clone, Debug, PartialEq, Eq, DeriveEntityModel)]
#[sea_orm(table_name = "certificate_grams")]
pub struct Model {
    /// Which grams it has: `search::grams::bucket`.
    #[sea_orm(primary_key, auto_increment = false)]
    pub bucket: i32,
    /// Lot id.
    #[sea_orm(primary_key, auto_increment = false)]
    pub lot_id: i64,
    /// The certificates that have them, as `search::grams` writes them.
    pub postings: Vec<u8>,
}

/// No relations are declared: slices join where they need to.
#[derive(Copy, Clone, Debug, EnumIter, DeriveRelation)]
pub enum Relation {}

impl ActiveModelBehavior for ActiveModel {}
