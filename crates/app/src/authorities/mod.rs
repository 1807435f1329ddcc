//! `/CertificateAuthority`, and the authorities themselves: their keys, their certificates, what they issue.

mod first;
mod issuing;
mod list;
mod memory;
mod revocation_lists;

use utoipa_axum::router::OpenApiRouter;
use utoipa_axum::routes;

pub(crate) use first::{create_first, prepare_first};
pub(crate) use issuing::{agents_authority, escape, order};
pub(crate) use list::CONFIGURATION_TENANT;
pub(crate) use memory::{IssuerCache, KnownAuthority, all, fill, issuer_of};
pub(crate) use revocation_lists::{PATH as REVOCATION_LISTS, is_own, publish, renew, serve};

/// What an authority is for: signs other authorities.
pub(crate) const PURPOSE_ROOT: &str = "root";
/// What an authority is for: issues what people and programs enroll.
pub(crate) const PURPOSE_ISSUING: &str = "issuing";
/// What an authority is for: issues the certificates by which agents are known. A root of its own, so that nothing that is
/// enrolled elsewhere can pass for an agent.
pub(crate) const PURPOSE_AGENTS: &str = "agents";

/// The slice's operations.
pub(crate) fn routes() -> OpenApiRouter {
    OpenApiRouter::new()
        .routes(routes!(list::list))
        .routes(routes!(list::get))
}

/// What a caller is told when an authority gave no certificate.
pub(crate) fn refusal(error: ca::Error) -> crate::error::Error {
    use crate::error::{Error, Kind};
    match error {
        ca::Error::Refused(reasons) => Error::new(
            Kind::AuthorityRefused,
            format!("The certificate authority refused: {}.", reasons.join("; ")),
        ),
        ca::Error::Malformed(reason) => {
            Error::bad_request(format!("The certificate cannot be made: {reason}."))
        }
        other => Error::internal(other),
    }
}
