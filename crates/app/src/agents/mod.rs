//! `/Agents`, and what agents themselves call: `/KeyfactorAgents`.

pub(crate) mod protocol;

use utoipa_axum::router::OpenApiRouter;

/// `/Agents`.
pub(crate) fn routes() -> OpenApiRouter {
    OpenApiRouter::new()
}

/// Closes what agents left behind: expired sessions, jobs whose lease ran out.
pub(crate) async fn sweep(
    _app: &std::sync::Arc<crate::app::App>,
) -> Result<(), crate::error::Error> {
    Ok(())
}
