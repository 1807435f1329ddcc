//! Identity providers: who else may vouch for callers. Here they are configured; what they say is used by sign-in.

mod keys;
mod list;
mod parameters;
mod provider;
mod status;
mod wire;
mod write;

use utoipa_axum::router::OpenApiRouter;
use utoipa_axum::routes;

pub(crate) use keys::{Discovery, KeyCache, key, seen, turn};
pub(crate) use parameters::is_secure;
pub(crate) use provider::{Provider, ProviderCache, all, by_id};

/// What stands where a secret is.
const MASK: &str = "********************";

/// `/IdentityProviders`, and what this server sees of them.
pub(crate) fn routes() -> OpenApiRouter {
    OpenApiRouter::new()
        .routes(routes!(list::identity_providers, write::create))
        .routes(routes!(list::types))
        .routes(routes!(list::identity_provider, write::update))
        .routes(routes!(status::status))
}
