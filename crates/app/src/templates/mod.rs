//! `/Templates`: what kinds of certificates there are, who may enroll for them, and by which rules.

mod first;
mod policy;
mod replace;
mod settings;
mod show;
mod template;

use utoipa_axum::router::OpenApiRouter;
use utoipa_axum::routes;

pub(crate) use first::create_first;
pub(crate) use settings::compile;
pub(crate) use show::FIELDS;
pub(crate) use template::{KeyRetention, Names, Template, by_id, by_name};

/// Bit of `AllowedEnrollmentTypes`: with a key made by the server.
pub(crate) const ENROLLMENT_PFX: i32 = 1;
/// Bit of `AllowedEnrollmentTypes`: with a request.
pub(crate) const ENROLLMENT_CSR: i32 = 2;

/// The slice's operations.
pub(crate) fn routes() -> OpenApiRouter {
    OpenApiRouter::new()
        .routes(routes!(show::list, replace::replace))
        .routes(routes!(show::get))
}
