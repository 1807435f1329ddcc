//! `/Templates`: what kinds of certificates there are, and who may enroll for them.

mod first;

use utoipa_axum::router::OpenApiRouter;

pub(crate) use first::create_first;

/// The slice's operations.
pub(crate) fn routes() -> OpenApiRouter {
    OpenApiRouter::new()
}
