//! The keys of the audit log, sealed, and its name.

use sea_orm::entity::prelude::*;

/// A row of `audit_keys`.
#[derive(Clone, Debug, PartialEq, Eq, DeriveEntityModel)]
#[sea_orm(table_name = "audit_keys")]
pub struct Model {
    /// Always 1.
    #[sea_orm(primary_key, auto_increment = false)]
    pub id: i64,
    /// The name of the log and of its key.
    pub origin: String,
    /// The seed of the Ed25519 key that signs checkpoints.
    pub sealed_signing_key: Vec<u8>,
    /// The HMAC-SHA256 key over records, heads and the state of the tree.
    pub sealed_record_key: Vec<u8>,
}

/// No relations are declared: slices join where they need to.
#[derive(Copy, Clone, Debug, EnumIter, DeriveRelation)]
pub enum Relation {}

impl ActiveModelBehavior for ActiveModel {}
