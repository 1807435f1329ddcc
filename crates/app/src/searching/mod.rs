//! `/Chancery/Search`: what a query may say, and certificates by free text.

mod fields;

use utoipa_axum::router::OpenApiRouter;
use utoipa_axum::routes;

/// The slice's operations.
pub(crate) fn routes() -> OpenApiRouter {
    OpenApiRouter::new().routes(routes!(fields::list))
}
