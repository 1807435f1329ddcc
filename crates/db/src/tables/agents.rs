//! Orchestrator agents.

use sea_orm::entity::prelude::*;

/// A row of `agents`.
#[derive(Clone, Debug, PartialEq, Eq, DeriveEntityModel)]
#[sea_orm(table_name = "agents")]
pub struct Model {
    /// Id.
    #[sea_orm(primary_key, auto_increment = false)]
    pub id: Uuid,
    /// Client machine.
    pub client_machine: String,
    /// Client machine fold.
    pub client_machine_fold: String,
    /// Who registered it.
    pub username: String,
    /// Platform.
    pub platform: i32,
    /// Version.
    pub version: String,
    /// 1 new, 2 approved, 3 disapproved.
    pub status: i32,
    /// JSON array.
    pub capabilities: String,
    /// Of its current certificate.
    pub thumbprint: Option<String>,
    /// Still accepted until the current one was seen.
    pub previous_thumbprint: Option<String>,
    /// Last thumbprint used.
    pub last_thumbprint_used: Option<String>,
    /// SHA-256 of the public key last enrolled, hex.
    pub request_key: Option<String>,
    /// DER, answered again when a request is repeated.
    pub certificate: Option<Vec<u8>>,
    /// 0 none, 1 requested, 2 required.
    pub authentication_reenrollment: i32,
    /// Last error code.
    pub last_error_code: Option<i64>,
    /// Last error message.
    pub last_error_message: Option<String>,
    /// Runs what it is given at once: gets due jobs only.
    pub single_shot: bool,
    /// Knows the `Chancery` members of the protocol, takes PKCS#12 and creates stores: our own agent.
    pub takes_extras: bool,
    /// Epoch milliseconds.
    pub registered_at: i64,
    /// Epoch milliseconds.
    pub last_seen: i64,
}

/// No relations are declared: slices join where they need to.
#[derive(Copy, Clone, Debug, EnumIter, DeriveRelation)]
pub enum Relation {}

impl ActiveModelBehavior for ActiveModel {}
