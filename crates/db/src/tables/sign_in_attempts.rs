//! Browsers that were sent to a provider and are expected back.

use sea_orm::entity::prelude::*;

/// A row of `sign_in_attempts`.
#[derive(Clone, Debug, PartialEq, Eq, DeriveEntityModel)]
#[sea_orm(table_name = "sign_in_attempts")]
pub struct Model {
    /// SHA-256 of the state, hexadecimal.
    #[sea_orm(primary_key, auto_increment = false)]
    pub state_hash: String,
    /// SHA-256 of what the browser's cookie holds, hexadecimal.
    pub browser_hash: String,
    /// Where it was sent.
    pub identity_provider_id: Uuid,
    /// Where it goes afterwards: a path of this server.
    pub return_to: String,
    /// Epoch milliseconds.
    pub expires_at: i64,
}

/// No relations are declared: slices join where they need to.
#[derive(Copy, Clone, Debug, EnumIter, DeriveRelation)]
pub enum Relation {}

impl ActiveModelBehavior for ActiveModel {}
