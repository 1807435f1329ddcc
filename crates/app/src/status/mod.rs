//! `/Status`: what a client asks before anything else.

use utoipa_axum::router::OpenApiRouter;
use utoipa_axum::routes;

use crate::cx::Cx;
use crate::error::Error;
use crate::web::{Json, NoContent};

/// `/Status`.
pub(crate) fn routes() -> OpenApiRouter {
    OpenApiRouter::new()
        .routes(routes!(endpoints))
        .routes(routes!(health_check))
}

/// The operations that this server has. Every signed-in account may ask; clients take 200 and an array as proof of sign-in.
#[utoipa::path(get, path = "/Status/Endpoints", tag = "Status", responses((status = 200, body = Vec<String>, description = "`METHOD /path`, one for each operation")), extensions(("x-permissions" = json!([]))))]
async fn endpoints(cx: Cx) -> Json<Vec<String>> {
    let mut found: Vec<String> = Vec::new();
    for version in [1, 2] {
        for (path, item) in &cx.app().routes(version).document().paths.paths {
            let methods = [
                ("GET", item.get.is_some()),
                ("POST", item.post.is_some()),
                ("PUT", item.put.is_some()),
                ("DELETE", item.delete.is_some()),
            ];
            found.extend(
                methods
                    .iter()
                    .filter(|(_, there)| *there)
                    .map(|(method, _)| format!("{method} {path}")),
            );
        }
    }
    found.sort();
    found.dedup();
    Json(found)
}

/// Whether the server can reach its database.
#[utoipa::path(get, path = "/Status/HealthCheck", tag = "Status", responses((status = 204, description = "It can"), (status = 503, description = "It cannot", body = crate::error::ErrorBody)), extensions(("x-permissions" = json!([]))))]
async fn health_check(cx: Cx) -> Result<NoContent, Error> {
    match cx.db().read().ping().await {
        Ok(()) => Ok(NoContent),
        Err(error) => {
            tracing::error!(%error, "health check");
            Err(Error::new(
                crate::error::Kind::Unavailable,
                "The database does not answer.",
            ))
        }
    }
}
