//! `/Workflow`: requests that wait for a manager.

mod decide;
mod requests;

use utoipa_axum::router::OpenApiRouter;
use utoipa_axum::routes;

/// The slice's operations.
pub(crate) fn routes() -> OpenApiRouter {
    OpenApiRouter::new()
        .routes(routes!(requests::pending))
        .routes(routes!(requests::denied))
        .routes(routes!(requests::external_validation))
        .routes(routes!(decide::approve))
        .routes(routes!(decide::deny))
        .routes(routes!(requests::get))
}
