//! The current revocation list of each authority here.

use sea_orm::entity::prelude::*;

/// A row of `revocation_lists`.
#[derive(Clone, Debug, PartialEq, Eq, DeriveEntityModel)]
#[sea_orm(table_name = "revocation_lists")]
pub struct Model {
    /// The authority that signed it.
    #[sea_orm(primary_key, auto_increment = false)]
    pub authority_id: i64,
    /// The CRL number.
    pub number: i64,
    /// Epoch milliseconds.
    pub this_update: i64,
    /// Epoch milliseconds.
    pub next_update: i64,
    /// DER.
    pub der: Vec<u8>,
}

/// No relations are declared: slices join where they need to.
#[derive(Copy, Clone, Debug, EnumIter, DeriveRelation)]
pub enum Relation {}

impl ActiveModelBehavior for ActiveModel {}
