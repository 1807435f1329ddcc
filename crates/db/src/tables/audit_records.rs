//! What was done, by whom, from where. Written in the transaction of the change.

use sea_orm::entity::prelude::*;

/// A row of `audit_records`.
#[derive(Clone, Debug, PartialEq, Eq, DeriveEntityModel)]
#[sea_orm(table_name = "audit_records")]
pub struct Model {
    /// Id.
    #[sea_orm(primary_key)]
    pub id: i64,
    /// Chain in which it was written.
    pub chain: i32,
    /// Its place in the chain, from 1.
    pub position: i64,
    /// Epoch milliseconds.
    pub at: i64,
    /// Account name, or `system: reason`.
    pub actor: String,
    /// For whom, when that is somebody else.
    pub on_behalf_of: Option<String>,
    /// The caller's network address.
    pub address: Option<String>,
    /// The contract's AuditLogOperation.
    pub operation: i32,
    /// The contract's AuditLogCategory.
    pub category: i32,
    /// 0 information, 1 warning, 2 failure.
    pub level: i32,
    /// The thing changed.
    pub name: String,
    /// Message.
    pub message: String,
    /// JSON, secrets left out.
    pub before: Option<String>,
    /// JSON, secrets left out.
    pub after: Option<String>,
    /// Of the request.
    pub correlation_id: Uuid,
    /// `actor`, folded to be found.
    pub actor_fold: String,
    /// `on_behalf_of`, folded.
    pub on_behalf_of_fold: Option<String>,
    /// `name`, folded.
    pub name_fold: String,
    /// The hash of its leaf in the tree, over all columns before but the folded ones.
    pub leaf_hash: Vec<u8>,
    /// Over the leaf's hash, with a key that is not in the database.
    pub mac: Vec<u8>,
}

/// No relations are declared: slices join where they need to.
#[derive(Copy, Clone, Debug, EnumIter, DeriveRelation)]
pub enum Relation {}

impl ActiveModelBehavior for ActiveModel {}
