//! Local accounts as the interface shows and takes them. Passwords only come in.

use serde::{Deserialize, Serialize};
use utoipa::ToSchema;

use crate::security::roles::wire::RoleName;
use crate::web::Date;

/// A local account.
#[derive(Debug, Serialize, ToSchema)]
#[serde(rename_all = "PascalCase")]
#[schema(as = ChancerySecurityAccount)]
pub(super) struct AccountOutput {
    pub(super) id: i64,
    /// The claim that stands for the account: the identity that roles are given to.
    pub(super) claim_id: i64,
    pub(super) name: String,
    /// A disabled account cannot sign in.
    pub(super) disabled: bool,
    /// The password has to be changed before anything else is allowed.
    pub(super) must_change_password: bool,
    /// Until when wrong passwords keep the account from signing in.
    pub(super) locked_until: Option<Date>,
    pub(super) created_at: Date,
    pub(super) password_changed_at: Date,
    /// The roles it holds, by name.
    pub(super) roles: Vec<RoleName>,
}

/// A new local account.
#[derive(Deserialize, ToSchema)]
#[serde(rename_all = "PascalCase")]
#[schema(as = ChancerySecurityAccountRequest)]
pub(super) struct AccountCreation {
    /// Unique without regard to case and Unicode form; no colon, no backslash.
    pub(super) name: String,
    /// At least 12 characters.
    pub(super) password: String,
    /// Whether it has to be changed at the first sign-in; true unless told.
    pub(super) must_change_password: Option<bool>,
    /// Names of roles.
    pub(super) roles: Option<Vec<String>>,
}

/// A new password for somebody else's account.
#[derive(Deserialize, ToSchema)]
#[serde(rename_all = "PascalCase")]
#[schema(as = ChancerySecurityPasswordReset)]
pub(super) struct PasswordReset {
    /// At least 12 characters.
    pub(super) password: String,
    /// Whether it has to be changed at the next sign-in; true unless told.
    pub(super) must_change_password: Option<bool>,
}

/// A new password for one's own account.
#[derive(Deserialize, ToSchema)]
#[serde(rename_all = "PascalCase")]
#[schema(as = ChancerySecurityPasswordChange)]
pub(super) struct PasswordChange {
    pub(super) old_password: String,
    /// At least 12 characters, and not the old one.
    pub(super) new_password: String,
}
