//! `/CertificateStoreContainers`: groups of stores, with a schedule for their inventories. (Newer references call them
//! applications.)

mod list;
mod write;

use utoipa_axum::router::OpenApiRouter;
use utoipa_axum::routes;

/// `/CertificateStoreContainers`.
pub(crate) fn routes() -> OpenApiRouter {
    OpenApiRouter::new()
        .routes(routes!(list::list, write::create, write::replace))
        .routes(routes!(list::get, write::delete))
}
