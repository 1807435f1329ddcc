//! `/Enrollment`: certificates for requests, with keys made here, and again for those that end.

mod answers;
mod csr;
mod decide;
mod delivery;
mod issue;
mod names;
mod pfx;
mod plan;
mod recording;
mod renew;

use utoipa_axum::router::OpenApiRouter;
use utoipa_axum::routes;

use decide::decided;
pub(crate) use decide::{deny, no_longer_waits};
pub(crate) use issue::{Intent, approve};
pub(crate) use names::{kind_numbered, san_texts};
pub(crate) use pfx::checked_password;
pub(crate) use plan::{Owner, owner as first_owner};
pub(crate) use recording::Recorder;

/// `CertState` of a request that was answered with a certificate.
pub(crate) const STATE_ISSUED: i32 = 1;
/// `CertState` of a request that a manager denied.
pub(crate) const STATE_DENIED: i32 = 3;
/// `CertState` of a request that waits for a manager.
pub(crate) const STATE_PENDING: i32 = 5;
/// `CertState` of a request that waits for somebody outside; the built-in authority has none.
pub(crate) const STATE_EXTERNAL_VALIDATION: i32 = 8;

/// The slice's operations.
pub(crate) fn routes() -> OpenApiRouter {
    OpenApiRouter::new()
        .routes(routes!(csr::enroll))
        .routes(routes!(pfx::enroll))
        .routes(routes!(renew::renew))
}

/// The slice's operations in version 2.
pub(crate) fn routes_version_2() -> OpenApiRouter {
    OpenApiRouter::new().routes(routes!(pfx::enroll_with_stores))
}
