//! Enrollment requests, from intent to outcome.

use sea_orm::entity::prelude::*;

/// A row of `certificate_requests`.
#[derive(Clone, Debug, PartialEq, Eq, DeriveEntityModel)]
#[sea_orm(table_name = "certificate_requests")]
pub struct Model {
    /// Id.
    #[sea_orm(primary_key)]
    pub id: i64,
    /// Authority id.
    pub authority_id: i64,
    /// Template id.
    pub template_id: i64,
    /// Account name.
    pub requester: String,
    /// The contract's CertState: 1 issued, 3 denied, 4 failed, 5 pending.
    pub state: i32,
    /// Subject.
    pub subject: String,
    /// Common name.
    pub common_name: Option<String>,
    /// PKCS#10 DER.
    pub request: Vec<u8>,
    /// PKCS#8, sealed; of a PFX enrollment.
    pub sealed_key: Option<Vec<u8>>,
    /// JSON: names, metadata, owner, delivery; what issuing needs again after approval.
    pub enrollment: String,
    /// Epoch milliseconds.
    pub submitted_at: i64,
    /// Epoch milliseconds.
    pub decided_at: Option<i64>,
    /// Decided by.
    pub decided_by: Option<String>,
    /// Denial comment.
    pub denial_comment: Option<String>,
    /// Certificate id.
    pub certificate_id: Option<i64>,
}

/// No relations are declared: slices join where they need to.
#[derive(Copy, Clone, Debug, EnumIter, DeriveRelation)]
pub enum Relation {}

impl ActiveModelBehavior for ActiveModel {}
