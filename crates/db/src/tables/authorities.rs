//! Certificate authorities. The built-in ones hold a sealed key.

use sea_orm::entity::prelude::*;

/// A row of `authorities`.
#[derive(Clone, Debug, PartialEq, Eq, DeriveEntityModel)]
#[sea_orm(table_name = "authorities")]
pub struct Model {
    /// Id.
    #[sea_orm(primary_key)]
    pub id: i64,
    /// Logical name.
    pub logical_name: String,
    /// Host name.
    pub host_name: String,
    /// Folded `host\logical`.
    pub name_fold: String,
    /// `root`, `issuing` or `agents`.
    pub purpose: String,
    /// The authority that signed this one.
    pub parent_id: Option<i64>,
    /// DER.
    pub certificate: Vec<u8>,
    /// PKCS#8, sealed.
    pub sealed_key: Option<Vec<u8>>,
    /// JSON: the contract's members that have no behaviour of their own.
    pub configuration: String,
    /// Issues certificates.
    pub enabled: bool,
    /// Epoch milliseconds.
    pub created_at: i64,
}

/// No relations are declared: slices join where they need to.
#[derive(Copy, Clone, Debug, EnumIter, DeriveRelation)]
pub enum Relation {}

impl ActiveModelBehavior for ActiveModel {}
