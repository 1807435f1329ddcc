//! Browsers that are signed in.

use sea_orm::entity::prelude::*;

/// A row of `sessions`.
#[derive(Clone, Debug, PartialEq, Eq, DeriveEntityModel)]
#[sea_orm(table_name = "sessions")]
pub struct Model {
    /// Id, by which people see and end it.
    #[sea_orm(primary_key, auto_increment = false)]
    pub id: Uuid,
    /// SHA-256 of what the cookie holds, hexadecimal.
    pub token_hash: String,
    /// The local account, where it is one.
    pub account_id: Option<i64>,
    /// Who vouched, where it is no local account.
    pub identity_provider_id: Option<Uuid>,
    /// The name, as history and audit show it.
    pub name: String,
    /// The provider's `sub`; empty for local accounts.
    pub subject: String,
    /// JSON array of [type, value], as the provider said at sign-in.
    pub claims: String,
    /// For local accounts: the fingerprint of the password, so that a new one ends the session.
    pub credential: String,
    /// Where it began.
    pub address: Option<String>,
    /// What the browser calls itself.
    pub user_agent: Option<String>,
    /// Epoch milliseconds.
    pub created_at: i64,
    /// Epoch milliseconds, to a minute.
    pub last_seen_at: i64,
    /// Epoch milliseconds: ends then in any case.
    pub expires_at: i64,
}

/// No relations are declared: slices join where they need to.
#[derive(Copy, Clone, Debug, EnumIter, DeriveRelation)]
pub enum Relation {}

impl ActiveModelBehavior for ActiveModel {}
