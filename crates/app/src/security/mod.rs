//! Who may do what: the table of permissions, the decision, sign-in, accounts and roles.

pub mod accounts;
mod decide;
mod passwords;
pub mod permissions;
mod roles;
mod sign_in;

pub use decide::{Allowed, Grants, HeldRole};
pub use permissions::Permission;
pub(crate) use roles::{role_by_id, role_by_name};
pub(crate) use sign_in::{CredentialCache, sign_in};

use utoipa_axum::router::OpenApiRouter;

/// `/Security/Roles`.
pub(crate) fn routes() -> OpenApiRouter {
    roles::routes()
}
