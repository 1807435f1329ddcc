//! Who may do what: the table of permissions, the decision, sign-in, accounts and roles.

pub mod accounts;
pub mod claims;
mod decide;
pub(crate) mod doors;
pub(crate) mod explain;
pub(crate) mod object_grants;
mod ownership;
mod passwords;
pub mod permission_sets;
pub mod permissions;
pub(crate) mod population;
mod rates;
mod role_grants;
mod roles;
mod scopes;
mod sessions;
mod sign_in;
pub mod token_keys;

pub use decide::{Allowed, Grants, HeldRole, Look, Reach, Target};
pub use explain::Explanation;
pub(crate) use ownership::OwnerChange;
pub use permissions::{Grant, Per, Permission};
pub(crate) use rates::RateLimits;
pub use rates::Rates;
pub(crate) use role_grants::forget_object;
pub(crate) use roles::{role_by_id, role_by_name};
pub(crate) use scopes::Through;
pub(crate) use sign_in::{
    CredentialCache, GrantsCache, TokenCache, changed, redirect_address, sign_in,
};

use utoipa_axum::router::OpenApiRouter;

/// `/Security/Roles`, sessions, and explanations.
pub(crate) fn routes() -> OpenApiRouter {
    roles::routes()
        .merge(sessions::routes())
        .merge(explain::routes())
}
