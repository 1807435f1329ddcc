//! Imports of certificates as a stream.

use sea_orm::entity::prelude::*;

/// A row of `imports`.
#[derive(Clone, Debug, PartialEq, Eq, DeriveEntityModel)]
#[sea_orm(table_name = "imports")]
pub struct Model {
    /// Id, which the client may choose.
    #[sea_orm(primary_key, auto_increment = false)]
    pub id: Uuid,
    /// Of the request that reads the stream, or did so last: no other may write.
    pub run_id: Uuid,
    /// 1 PEM, 2 DER.
    pub format: i32,
    /// 0 running, 1 complete, 2 interrupted, 3 failed.
    pub state: i32,
    /// Why it is interrupted or failed.
    pub reason: Option<String>,
    /// Who began it, as audit shows it.
    pub username: String,
    /// The provider that vouched.
    pub provider: String,
    /// Who it is there.
    pub subject: String,
    /// The owner of new certificates, where one was named.
    pub owner_role_id: Option<i64>,
    /// JSON array of [name, value].
    pub metadata: String,
    /// Octets of the stream whose certificates are on disk.
    pub octets: i64,
    /// Certificates that were not there.
    pub new_certificates: i64,
    /// Certificates that were there.
    pub known_certificates: i64,
    /// Certificates that were there and have new metadata.
    pub updated_certificates: i64,
    /// Parts that are no certificate.
    pub failed_certificates: i64,
    /// JSON array of [octet, reason]: the first ones.
    pub failures: String,
    /// Requests that read of it.
    pub runs: i32,
    /// Milliseconds that these took.
    pub active_ms: i64,
    /// Epoch milliseconds.
    pub started_at: i64,
    /// Epoch milliseconds.
    pub updated_at: i64,
    /// Epoch milliseconds.
    pub ended_at: Option<i64>,
}

/// No relations are declared: slices join where they need to.
#[derive(Copy, Clone, Debug, EnumIter, DeriveRelation)]
pub enum Relation {}

impl ActiveModelBehavior for ActiveModel {}
