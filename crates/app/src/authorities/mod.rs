//! `/authorities`.

use utoipa_axum::router::OpenApiRouter;

/// The slice's operations.
pub(crate) fn routes() -> OpenApiRouter {
    OpenApiRouter::new()
}

/// Issuers whose key was unsealed once, by authority id: unsealing and parsing for every certificate would cost more than
/// signing.
#[derive(Default)]
pub(crate) struct IssuerCache(
    std::sync::RwLock<std::collections::HashMap<i64, std::sync::Arc<pki::Issuer>>>,
);

/// The first authorities, made before the transaction that stores them: key generation takes time.
pub(crate) struct FirstAuthorities;

pub(crate) fn prepare_first(_cx: &crate::cx::Cx) -> Result<FirstAuthorities, crate::error::Error> {
    Ok(FirstAuthorities)
}

pub(crate) async fn create_first(
    _tx: &db::Tx,
    _cx: &crate::cx::Cx,
    _first: FirstAuthorities,
) -> Result<(), crate::error::Error> {
    Ok(())
}
