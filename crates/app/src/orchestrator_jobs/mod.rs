//! `/orchestrator_jobs`.

use utoipa_axum::router::OpenApiRouter;

/// The slice's operations.
pub(crate) fn routes() -> OpenApiRouter {
    OpenApiRouter::new()
}
