//! `/enrollment`.

use utoipa_axum::router::OpenApiRouter;

/// The slice's operations.
pub(crate) fn routes() -> OpenApiRouter {
    OpenApiRouter::new()
}

/// The slice's operations in version 2.
pub(crate) fn routes_version_2() -> OpenApiRouter {
    OpenApiRouter::new()
}
