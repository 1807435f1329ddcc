//! The keys that sign the access tokens of this installation.

use sea_orm::entity::prelude::*;

/// A row of `token_keys`.
#[derive(Clone, Debug, PartialEq, Eq, DeriveEntityModel)]
#[sea_orm(table_name = "token_keys")]
pub struct Model {
    /// Id; also the `kid` of tokens.
    #[sea_orm(primary_key, auto_increment = false)]
    pub id: Uuid,
    /// The private key, PKCS#8, P-256, sealed.
    pub sealed_key: Vec<u8>,
    /// The point, uncompressed: 65 octets.
    pub public_key: Vec<u8>,
    /// Epoch milliseconds. The newest signs.
    pub created_at: i64,
}

/// No relations are declared: slices join where they need to.
#[derive(Copy, Clone, Debug, EnumIter, DeriveRelation)]
pub enum Relation {}

impl ActiveModelBehavior for ActiveModel {}
