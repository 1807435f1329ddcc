//! `/KeyfactorAgents`: the session protocol of agents.

use std::sync::Arc;

use axum::extract::Request;
use axum::http::StatusCode;
use axum::response::{IntoResponse, Response};
use uuid::Uuid;

use crate::app::App;

/// Answers one call of an agent. `below` is the path after the prefix.
pub(crate) async fn serve(
    _app: &Arc<App>,
    _request: Request,
    _below: &str,
    _correlation_id: Uuid,
) -> Response {
    StatusCode::NOT_FOUND.into_response()
}
