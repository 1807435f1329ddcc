//! Who may do what: the table of permissions, the decision, sign-in, accounts, claims, roles and permission sets.

pub mod accounts;
pub(crate) mod administration;
pub mod claims;
mod collection_audit;
mod decide;
pub(crate) mod doors;
pub(crate) mod explain;
mod identities;
mod my;
pub(crate) mod object_grants;
mod ownership;
mod passwords;
pub mod permission_sets;
mod permission_strings;
pub mod permissions;
pub(crate) mod population;
mod rates;
mod role_grants;
mod role_permissions;
mod roles;
mod scopes;
mod sessions;
mod sign_in;
pub mod token_keys;

pub(crate) use administration::granted_now;
pub use decide::{Allowed, Grants, HeldRole, Look, Reach, Target};
pub use explain::Explanation;
pub(crate) use ownership::OwnerChange;
pub use permissions::{Grant, Per, Permission};
pub use rates::Rates;
pub(crate) use rates::{RateLimits, Turn};
pub(crate) use role_grants::forget_object;
pub(crate) use roles::{role_by_id, role_by_name};
pub(crate) use scopes::Through;
pub(crate) use sign_in::{
    AccountNames, CredentialCache, GrantsCache, TokenCache, changed, redirect_address, sign_in,
};

use utoipa_axum::router::OpenApiRouter;

use crate::cx::Identity;
use crate::error::Error;

/// Characters of a name at most.
const NAME_MAX: usize = 256;

/// `/Security`, `/PermissionSets`, `/Permissions`, and ours: accounts, sessions and explanations.
pub(crate) fn routes() -> OpenApiRouter {
    OpenApiRouter::new()
        .merge(accounts::routes())
        .merge(claims::routes())
        .merge(collection_audit::routes())
        .merge(explain::routes())
        .merge(identities::routes())
        .merge(my::routes())
        .merge(permission_sets::routes())
        .merge(permission_strings::routes())
        .merge(role_permissions::routes())
        .merge(roles::routes())
        .merge(sessions::routes())
}

/// What of it exists in version 2.
pub(crate) fn routes_version_2() -> OpenApiRouter {
    roles::routes_version_2()
}

/// Refuses everything but the change of the own password to an account whose password has to be changed.
///
/// # Errors
/// 403 naming the operation.
pub(crate) fn check_password_change(identity: &Identity, path: &str) -> Result<(), Error> {
    if identity.must_change_password && path != accounts::OWN_PASSWORD {
        return Err(Error::forbidden(format!(
            "User {} has to change the password first: POST {}.",
            identity.name,
            accounts::OWN_PASSWORD
        ))
        .tried(&identity.name));
    }
    Ok(())
}

/// The name of a role or a permission set, without blanks around it.
///
/// # Errors
/// 400 for one that is empty, too long, or made of what nobody sees.
fn checked_name(member: &str, name: &str) -> Result<String, Error> {
    let name = name.trim();
    if db::fold(name).is_empty()
        || name.chars().count() > NAME_MAX
        || name.chars().any(char::is_control)
    {
        return Err(Error::bad_request(format!(
            "{member}: has to be 1 to {NAME_MAX} characters of text."
        )));
    }
    Ok(name.to_owned())
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn names() {
        assert_eq!(checked_name("Name", " Owners ").unwrap(), "Owners");
        for bad in ["  ", "a\nb", "\u{200b}\u{ad}", &"x".repeat(257)] {
            assert!(checked_name("Name", bad).is_err(), "{bad:?}");
        }
    }
}
