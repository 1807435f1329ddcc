//! Local accounts: people and machines that sign in with a password.

use sea_orm::entity::prelude::*;

/// A row of `accounts`.
#[derive(Clone, Debug, PartialEq, Eq, DeriveEntityModel)]
#[sea_orm(table_name = "accounts")]
pub struct Model {
    /// Id.
    #[sea_orm(primary_key)]
    pub id: i64,
    /// The claim that stands for the account: it holds the roles.
    pub claim_id: i64,
    /// As it was given.
    pub name: String,
    /// Folded, how it is found.
    pub name_fold: String,
    /// Argon2id, PHC string.
    pub password_hash: String,
    /// The password has to be changed before anything else is allowed.
    pub must_change: bool,
    /// Disabled.
    pub disabled: bool,
    /// Wrong passwords in a row.
    pub failures: i64,
    /// Epoch milliseconds.
    pub locked_until: Option<i64>,
    /// Epoch milliseconds.
    pub created_at: i64,
    /// Epoch milliseconds.
    pub password_changed_at: i64,
}

/// No relations are declared: slices join where they need to.
#[derive(Copy, Clone, Debug, EnumIter, DeriveRelation)]
pub enum Relation {}

impl ActiveModelBehavior for ActiveModel {}
