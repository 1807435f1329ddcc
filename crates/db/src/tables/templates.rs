//! Certificate templates of the built-in authority.

use sea_orm::entity::prelude::*;

/// A row of `templates`.
#[derive(Clone, Debug, PartialEq, Eq, DeriveEntityModel)]
#[sea_orm(table_name = "templates")]
pub struct Model {
    /// Id.
    #[sea_orm(primary_key)]
    pub id: i64,
    /// Short name, how clients name it.
    pub common_name: String,
    /// Name fold.
    pub name_fold: String,
    /// Display name.
    pub display_name: String,
    /// Friendly name.
    pub friendly_name: Option<String>,
    /// Oid.
    pub oid: String,
    /// Configuration tenant.
    pub configuration_tenant: String,
    /// Key type.
    pub key_type: String,
    /// Key size.
    pub key_size: String,
    /// Bit mask as in .NET.
    pub key_usage: i32,
    /// JSON array of OIDs.
    pub extended_key_usages: String,
    /// Validity days.
    pub validity_days: i64,
    /// None, Indefinite, AfterExpiration or FromIssuance.
    pub key_retention: String,
    /// Key retention days.
    pub key_retention_days: Option<i64>,
    /// A request waits for a manager.
    pub requires_approval: bool,
    /// Bits: 1 PFX, 2 CSR, 4 CSR generation.
    pub allowed_enrollment_types: i32,
    /// Use allowed requesters.
    pub use_allowed_requesters: bool,
    /// JSON array of role names.
    pub allowed_requesters: String,
    /// JSON: regexes, defaults, policy, enrollment and metadata fields.
    pub settings: String,
    /// Epoch milliseconds.
    pub changed_at: i64,
}

/// No relations are declared: slices join where they need to.
#[derive(Copy, Clone, Debug, EnumIter, DeriveRelation)]
pub enum Relation {}

impl ActiveModelBehavior for ActiveModel {}
