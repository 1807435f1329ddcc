//! Security roles: a named set of permissions.

use sea_orm::entity::prelude::*;

/// A row of `roles`.
#[derive(Clone, Debug, PartialEq, Eq, DeriveEntityModel)]
#[sea_orm(table_name = "roles")]
pub struct Model {
    /// Id.
    #[sea_orm(primary_key)]
    pub id: i64,
    /// The set whose permissions the role may hold.
    pub permission_set_id: Uuid,
    /// Name.
    pub name: String,
    /// Name fold.
    pub name_fold: String,
    /// Description.
    pub description: String,
    /// Email address.
    pub email_address: Option<String>,
    /// A role that is not enabled grants nothing.
    pub enabled: bool,
    /// Private.
    pub private: bool,
    /// Shipped with the product: cannot be changed or deleted.
    pub immutable: bool,
    /// Epoch milliseconds.
    pub created_at: i64,
}

/// No relations are declared: slices join where they need to.
#[derive(Copy, Clone, Debug, EnumIter, DeriveRelation)]
pub enum Relation {}

impl ActiveModelBehavior for ActiveModel {}
