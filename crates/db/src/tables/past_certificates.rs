//! The table `past_certificates`: certificates as they were.

use sea_orm::entity::prelude::*;

/// A row of `past_certificates`.
#[derive(Clone, Debug, PartialEq, Eq, DeriveEntityModel)]
#[sea_orm(table_name = "past_certificates")]
pub struct Model {
    /// Id.
    #[sea_orm(primary_key, auto_increment = false)]
    pub id: i64,
    /// Of the DER.
    pub sha256: Vec<u8>,
    /// SHA-1, upper-case hex.
    pub thumbprint: String,
    /// Upper-case hex.
    pub serial_number: String,
    /// Subject.
    pub subject: String,
    /// Subject fold.
    pub subject_fold: String,
    /// Issuer.
    pub issuer: String,
    /// Issuer fold.
    pub issuer_fold: String,
    /// Common name.
    pub common_name: Option<String>,
    /// Common name fold.
    pub common_name_fold: Option<String>,
    /// Organizational unit.
    pub organizational_unit: Option<String>,
    /// Email.
    pub email: Option<String>,
    /// Epoch milliseconds.
    pub not_before: i64,
    /// Epoch milliseconds.
    pub not_after: i64,
    /// Epoch milliseconds.
    pub imported_at: i64,
    /// The contract's KeyType.
    pub key_type: i32,
    /// Bits.
    pub key_size: i32,
    /// OID.
    pub key_algorithm: String,
    /// Curve.
    pub curve: Option<String>,
    /// Signing algorithm.
    pub signing_algorithm: String,
    /// Bit mask as in .NET.
    pub key_usage: i32,
    /// Is authority.
    pub is_authority: bool,
    /// Path length.
    pub path_length: Option<i32>,
    /// The contract's CertState.
    pub state: i32,
    /// Epoch milliseconds.
    pub revoked_at: Option<i64>,
    /// Revocation reason.
    pub revocation_reason: Option<i32>,
    /// Revocation comment.
    pub revocation_comment: Option<String>,
    /// Authority id.
    pub authority_id: Option<i64>,
    /// Template id.
    pub template_id: Option<i64>,
    /// Request id.
    pub request_id: Option<i64>,
    /// Requester.
    pub requester: Option<String>,
    /// Owner role id.
    pub owner_role_id: Option<i64>,
    /// A key is stored, see certificate_keys.
    pub has_private_key: bool,
    /// Since when it was so, epoch milliseconds.
    pub since: i64,
    /// Until when, epoch milliseconds: then it changed or went.
    #[sea_orm(primary_key, auto_increment = false)]
    pub until: i64,
}

/// None: rows are joined by name, where they are needed.
#[derive(Copy, Clone, Debug, EnumIter, DeriveRelation)]
pub enum Relation {}

impl ActiveModelBehavior for ActiveModel {}
