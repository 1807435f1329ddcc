//! `/Status`: what a client asks before anything else.

use utoipa::openapi::path::Operation;
use utoipa_axum::router::OpenApiRouter;
use utoipa_axum::routes;

use crate::cx::Cx;
use crate::error::Error;
use crate::security::permissions;
use crate::web::{Json, NoContent};

/// `/Status`.
pub(crate) fn routes() -> OpenApiRouter {
    OpenApiRouter::new()
        .routes(routes!(endpoints))
        .routes(routes!(health_check))
}

/// The operations that the caller may use (command-behaviour.md B.16). Every account may ask; clients take 200 and an array
/// as proof of sign-in.
#[utoipa::path(
    get,
    path = "/Status/Endpoints",
    tag = "Status",
    responses((status = 200, body = Vec<String>, description = "`METHOD /path`, one for each operation")),
    extensions(("x-permissions" = json!([])))
)]
async fn endpoints(cx: Cx) -> Json<Vec<String>> {
    let mut found: Vec<String> = Vec::new();
    for version in [1, 2] {
        for (path, item) in &cx.app().routes(version).document().paths.paths {
            let methods = [
                ("GET", &item.get),
                ("POST", &item.post),
                ("PUT", &item.put),
                ("DELETE", &item.delete),
            ];
            let open = methods
                .iter()
                .filter(|(_, operation)| operation.as_ref().is_some_and(|it| may_use(&cx, it)));
            found.extend(open.map(|(method, _)| format!("{method} {path}")));
        }
    }
    found.sort();
    found.dedup();
    Json(found)
}

/// Whether the caller holds everything that the operation declares to need.
fn may_use(cx: &Cx, operation: &Operation) -> bool {
    let declared = operation
        .extensions
        .as_ref()
        .and_then(|extensions| extensions.get("x-permissions"));
    let needed = declared
        .and_then(serde_json::Value::as_array)
        .map(Vec::as_slice)
        .unwrap_or_default();
    needed.iter().all(|path| {
        let row = permissions::TABLE
            .iter()
            .find(|row| path.as_str() == Some(row.path));
        row.is_some_and(|row| cx.may(row.permission))
    })
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
