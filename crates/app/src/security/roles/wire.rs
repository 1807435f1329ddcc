//! Security roles as the interface shows and takes them, version 1.

use serde::{Deserialize, Serialize};
use utoipa::{IntoParams, ToSchema};
use uuid::Uuid;

/// A security role.
#[derive(Debug, Serialize, ToSchema)]
#[serde(rename_all = "PascalCase")]
#[schema(as = SecurityRole)]
pub(crate) struct RoleOutput {
    pub(super) id: i64,
    pub(super) name: String,
    pub(super) description: String,
    /// A role that is not enabled grants nothing.
    pub(super) enabled: bool,
    /// Shipped with the product: only its identities can change.
    pub(super) immutable: bool,
    pub(super) valid: bool,
    pub(super) private: bool,
    pub(super) permission_set_id: Uuid,
    /// What it grants system-wide, each as `Area:Permission`.
    pub(super) permissions: Vec<&'static str>,
    /// The local accounts that hold it.
    pub(super) identities: Vec<IdentityOutput>,
}

/// A local account that holds a role.
#[derive(Debug, Serialize, ToSchema)]
#[serde(rename_all = "PascalCase")]
#[schema(as = SecurityRoleIdentity)]
pub(crate) struct IdentityOutput {
    pub(super) id: i64,
    pub(super) account_name: String,
    /// `User`.
    pub(super) identity_type: &'static str,
    /// Always null here: the role it stands in is one of them.
    pub(super) roles: Option<Vec<RoleName>>,
    /// Whether the account can sign in.
    pub(super) valid: bool,
    /// Local accounts have none.
    #[serde(rename = "SID")]
    pub(super) sid: Option<String>,
}

/// A role, by id and name.
#[derive(Debug, Serialize, ToSchema)]
#[serde(rename_all = "PascalCase")]
#[schema(as = SecurityRoleName)]
pub(crate) struct RoleName {
    id: i64,
    name: String,
}

/// A new role.
#[derive(Debug, Deserialize, ToSchema)]
#[serde(rename_all = "PascalCase")]
#[schema(as = SecurityRoleCreationRequest)]
pub(crate) struct RoleCreation {
    /// Unique without regard to case.
    pub(super) name: String,
    /// What the role is for; may be empty.
    pub(super) description: String,
    /// True unless told.
    pub(super) enabled: Option<bool>,
    /// False unless told.
    pub(super) private: Option<bool>,
    /// `Area:Permission`, or a path such as `/certificate_stores/read/`.
    pub(super) permissions: Option<Vec<String>>,
    /// Accepted when it is the one set there is.
    pub(super) permission_set_id: Option<Uuid>,
    /// Local accounts, by name.
    pub(super) identities: Option<Vec<IdentityInput>>,
}

/// A role as it shall be. Lists and flags that are absent or null stay as they are.
#[derive(Debug, Deserialize, ToSchema)]
#[serde(rename_all = "PascalCase")]
#[schema(as = SecurityRoleUpdateRequest)]
pub(crate) struct RoleUpdate {
    pub(super) id: i64,
    /// Unique without regard to case.
    pub(super) name: String,
    /// What the role is for; may be empty.
    pub(super) description: String,
    pub(super) enabled: Option<bool>,
    pub(super) private: Option<bool>,
    /// `Area:Permission`, or a path such as `/certificate_stores/read/`.
    pub(super) permissions: Option<Vec<String>>,
    /// Accepted when it is the one set there is.
    pub(super) permission_set_id: Option<Uuid>,
    /// Local accounts, by name.
    pub(super) identities: Option<Vec<IdentityInput>>,
}

/// Whom a role is given to.
#[derive(Debug, Deserialize, ToSchema)]
#[serde(rename_all = "PascalCase")]
#[schema(as = SecurityIdentityIdentifier)]
pub(crate) struct IdentityInput {
    /// A local account: `name`, `DOMAIN\name` or `name@domain`.
    pub(super) account_name: Option<String>,
    /// Local accounts have none, so this names nobody.
    #[serde(rename = "SID")]
    pub(super) sid: Option<String>,
}

/// What a list of roles is asked besides its page.
#[derive(Debug, Deserialize, IntoParams)]
#[serde(rename_all = "PascalCase")]
#[into_params(parameter_in = Query, rename_all = "PascalCase")]
#[expect(dead_code, reason = "accepted: local accounts are always looked at")]
pub(crate) struct Validation {
    /// Accepted; `Valid` is always looked at.
    validate: Option<bool>,
}
