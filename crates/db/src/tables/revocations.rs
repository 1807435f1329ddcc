//! What the authorities here have revoked and their revocation lists say.

use sea_orm::entity::prelude::*;

/// A row of `revocations`.
#[derive(Clone, Debug, PartialEq, Eq, DeriveEntityModel)]
#[sea_orm(table_name = "revocations")]
pub struct Model {
    /// The authority that issued the certificate.
    #[sea_orm(primary_key, auto_increment = false)]
    pub authority_id: i64,
    /// Upper-case hex.
    #[sea_orm(primary_key, auto_increment = false)]
    pub serial_number: String,
    /// Epoch milliseconds.
    pub revoked_at: i64,
    /// The contract's revocation reason.
    pub reason: i32,
    /// When the certificate ends, epoch milliseconds.
    pub not_after: i64,
}

/// No relations are declared: slices join where they need to.
#[derive(Copy, Clone, Debug, EnumIter, DeriveRelation)]
pub enum Relation {}

impl ActiveModelBehavior for ActiveModel {}
