//! Who else may vouch for callers: OpenID Connect providers.

use sea_orm::entity::prelude::*;

/// A row of `identity_providers`.
#[derive(Clone, Debug, PartialEq, Eq, DeriveEntityModel)]
#[sea_orm(table_name = "identity_providers")]
pub struct Model {
    /// Id.
    #[sea_orm(primary_key, auto_increment = false)]
    pub id: Uuid,
    /// Its name: in claims, and in the addresses of the browser's sign-in. Never changes.
    pub authentication_scheme: String,
    /// Folded, for finding it.
    pub authentication_scheme_fold: String,
    /// As people know it.
    pub display_name: String,
    /// Folded, for finding it.
    pub display_name_fold: String,
    /// `Generic` or `Auth0`.
    pub provider_type: String,
    /// The set it is in.
    pub permission_set_id: Uuid,
    /// Nobody signs in through one that is not.
    pub authentication_enabled: bool,
    /// JSON object of texts by the parameter's name, without secrets.
    pub parameters: String,
    /// The secret of this server at the provider, sealed.
    pub sealed_client_secret: Option<Vec<u8>>,
    /// Epoch milliseconds.
    pub created_at: i64,
}

/// No relations are declared: slices join where they need to.
#[derive(Copy, Clone, Debug, EnumIter, DeriveRelation)]
pub enum Relation {}

impl ActiveModelBehavior for ActiveModel {}
