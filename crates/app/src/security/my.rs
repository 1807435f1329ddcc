//! `/Security/My`: the caller's own roles, and what they allow system-wide.

use serde::Serialize;
use utoipa::ToSchema;
use utoipa_axum::router::OpenApiRouter;
use utoipa_axum::routes;

use super::decide::Reach;
use super::permissions::{Grant, TABLE};
use super::role_permissions::{AreaPermission, area_permissions};
use crate::cx::{Caller, Cx};
use crate::error::Error;
use crate::web::Json;

/// The caller's roles and permissions.
#[derive(Debug, Serialize, ToSchema)]
#[serde(rename_all = "PascalCase")]
#[schema(as = SecurityMyResponse)]
struct MyOutput {
    /// Names of the enabled roles that the caller holds.
    roles: Vec<String>,
    /// What they allow system-wide, implied permissions included.
    global_permissions: Vec<AreaPermission>,
}

/// `/Security/My`.
pub(super) fn routes() -> OpenApiRouter {
    OpenApiRouter::new().routes(routes!(my))
}

/// The caller's own roles, and what they allow system-wide.
#[utoipa::path(
    get, path = "/Security/My", tag = "Security",
    responses((status = 200, body = MyOutput, description = "Roles and permissions")),
    extensions(("x-permissions" = json!([])))
)]
async fn my(cx: Cx) -> Result<Json<MyOutput>, Error> {
    let allowed: Vec<Grant> = TABLE
        .iter()
        .filter(|row| cx.reach(row.permission) == Reach::All)
        .map(|row| Grant::system(row.path))
        .collect();
    let roles = match cx.caller() {
        Caller::Identity(identity) => identity.grants.roles(),
        Caller::System(_) => &[],
    };
    let mut roles: Vec<String> = roles
        .iter()
        .filter(|role| role.enabled)
        .map(|role| role.name.clone())
        .collect();
    roles.sort();
    let global_permissions = area_permissions(&allowed)
        .map(|(area, permission)| AreaPermission { area, permission })
        .collect();
    Ok(Json(MyOutput {
        roles,
        global_permissions,
    }))
}
