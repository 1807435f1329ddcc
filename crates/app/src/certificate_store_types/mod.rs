//! `/certificate_store_types`.

use utoipa_axum::router::OpenApiRouter;

/// The slice's operations.
pub(crate) fn routes() -> OpenApiRouter {
    OpenApiRouter::new()
}

pub(crate) async fn create_first(
    _tx: &db::Tx,
    _cx: &crate::cx::Cx,
) -> Result<(), crate::error::Error> {
    Ok(())
}
