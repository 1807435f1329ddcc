//! Security roles as the interface shows and takes them, version 1.

use serde::{Deserialize, Serialize};
use utoipa::{IntoParams, ToSchema};
use uuid::Uuid;

use super::draft::{Draft, Holders, Permissions};
use crate::error::Error;
use crate::security::permission_strings::{check_number, refuse};
use crate::security::permissions::Grant;
use crate::web::Maybe;

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
    /// Who holds it: local accounts, and claims of other providers.
    pub(super) identities: Vec<IdentityOutput>,
}

/// A local account or a claim that holds a role.
#[derive(Debug, Serialize, ToSchema)]
#[serde(rename_all = "PascalCase")]
#[schema(as = SecurityRoleIdentity)]
pub(crate) struct IdentityOutput {
    pub(super) id: i64,
    pub(super) account_name: String,
    /// `User` for local accounts; otherwise the type of the claim.
    pub(super) identity_type: &'static str,
    /// Always null here: the role it stands in is one of them.
    pub(super) roles: Option<Vec<RoleName>>,
    /// False for a local account that is disabled.
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
    pub(crate) id: i64,
    pub(crate) name: String,
}

/// A new role.
#[derive(Debug, Deserialize, ToSchema)]
#[serde(rename_all = "PascalCase")]
#[schema(as = SecurityRoleCreationRequest)]
pub(crate) struct RoleCreation {
    /// Unique without regard to case and Unicode form.
    pub(super) name: String,
    /// What the role is for; may be empty.
    pub(super) description: String,
    /// True unless told.
    pub(super) enabled: Option<bool>,
    /// False unless told.
    pub(super) private: Option<bool>,
    /// `Area:Permission`, or a path such as `/certificate_stores/read/`.
    pub(super) permissions: Option<Vec<String>>,
    /// The set that its permissions have to be in; Global when it is absent or all zeros.
    pub(super) permission_set_id: Option<Uuid>,
    /// Local accounts and claims, by name.
    pub(super) identities: Option<Vec<IdentityInput>>,
}

/// A role as it shall be. Lists and flags that are absent or null stay as they are.
#[derive(Debug, Deserialize, ToSchema)]
#[serde(rename_all = "PascalCase")]
#[schema(as = SecurityRoleUpdateRequest)]
pub(crate) struct RoleUpdate {
    pub(super) id: i64,
    /// Unique without regard to case and Unicode form.
    pub(super) name: String,
    /// What the role is for; may be empty.
    pub(super) description: String,
    pub(super) enabled: Option<bool>,
    pub(super) private: Option<bool>,
    /// `Area:Permission`, or a path such as `/certificate_stores/read/`. They take the place of what the role grants
    /// system-wide; what it grants on collections and containers stays.
    pub(super) permissions: Option<Vec<String>>,
    /// The set that its permissions have to be in; it stays when it is absent or all zeros.
    pub(super) permission_set_id: Option<Uuid>,
    /// Local accounts and claims, by name.
    pub(super) identities: Option<Vec<IdentityInput>>,
}

/// Whom a role is given to.
#[derive(Debug, Deserialize, ToSchema)]
#[serde(rename_all = "PascalCase")]
#[schema(as = SecurityIdentityIdentifier)]
pub(crate) struct IdentityInput {
    /// A local account (`name`, `DOMAIN\name` or `name@domain`), or the value of a claim.
    pub(super) account_name: Option<String>,
    /// Local accounts have none, so this names nobody.
    #[serde(rename = "SID")]
    pub(super) sid: Option<String>,
}

/// A role that grants what another one grants.
#[derive(Debug, Deserialize, ToSchema)]
#[serde(rename_all = "PascalCase")]
#[schema(as = SecurityRoleCopyRequest)]
pub(crate) struct RoleCopy {
    /// Unique without regard to case and Unicode form.
    pub(super) name: String,
    /// That of the copied role unless told.
    pub(super) description: Option<String>,
    /// Where the owner of certificates gets mail.
    pub(super) email_address: Option<String>,
}

/// Who holds a role.
#[derive(Debug, Serialize, ToSchema)]
#[serde(rename_all = "PascalCase")]
#[schema(as = SecurityRoleHolder)]
pub(crate) struct HolderName {
    pub(super) id: i64,
    pub(super) name: String,
}

/// Who shall hold a role.
#[derive(Debug, Deserialize, ToSchema)]
#[serde(rename_all = "PascalCase")]
#[schema(as = SecurityRoleIdentitiesRequest)]
pub(crate) struct RoleIdentities {
    /// Ids of identities.
    ids: Option<Vec<i64>>,
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

impl TryFrom<RoleCreation> for Draft {
    type Error = Error;

    fn try_from(request: RoleCreation) -> Result<Self, Error> {
        Ok(Self {
            name: Some(request.name),
            description: Some(request.description),
            email_address: Maybe::Absent,
            enabled: request.enabled,
            private: request.private,
            permission_set_id: request.permission_set_id,
            permissions: permissions(request.permissions)?,
            holders: request.identities.map_or(Holders::Stay, Holders::Names),
        })
    }
}

impl TryFrom<RoleUpdate> for Draft {
    type Error = Error;

    fn try_from(request: RoleUpdate) -> Result<Self, Error> {
        Ok(Self {
            name: Some(request.name),
            description: Some(request.description),
            email_address: Maybe::Absent,
            enabled: request.enabled,
            private: request.private,
            permission_set_id: request.permission_set_id,
            permissions: permissions(request.permissions)?,
            holders: request.identities.map_or(Holders::Stay, Holders::Names),
        })
    }
}

impl From<RoleIdentities> for Draft {
    fn from(request: RoleIdentities) -> Self {
        Self {
            holders: request.ids.map_or(Holders::Stay, Holders::Ids),
            ..Self::default()
        }
    }
}

/// Names of version 1 and strings of version 2.
fn permissions(given: Option<Vec<String>>) -> Result<Permissions, Error> {
    let Some(given) = given else {
        return Ok(Permissions::Stay);
    };
    check_number("Permissions", given.len())?;
    // Paths say more than names do.
    let named = given.iter().all(|text| text.contains(':'));
    let (mut grants, mut unknown) = (Vec::new(), Vec::new());
    for text in given {
        let found = Grant::parse(&text);
        if found.is_empty() {
            unknown.push(format!("Permissions: there is no permission {text:?}."));
        }
        grants.extend(found);
    }
    refuse("Permissions", "some of them do not exist", unknown)?;
    Ok(Permissions::Version1 { grants, named })
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn every_unknown_permission_is_named() {
        let refused = permissions(Some(vec!["No:Such".into(), "/nothing/".into()])).unwrap_err();
        assert!(
            refused
                .failed()
                .iter()
                .any(|reason| reason.contains("No:Such")),
            "{refused}"
        );
        assert_eq!(refused.failed().len(), 2);
        assert!(matches!(permissions(None), Ok(Permissions::Stay)));
    }
}
