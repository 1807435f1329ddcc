//! `/Security/Roles/{id}/Permissions/Global`: what a role grants for the whole system.

use serde::{Deserialize, Serialize};
use utoipa::ToSchema;
use utoipa_axum::router::OpenApiRouter;
use utoipa_axum::routes;

use super::{area_permissions, grants};
use crate::cx::Cx;
use crate::error::Error;
use crate::security::permission_strings::refuse;
use crate::security::permissions::{Grant, Per, Permission};
use crate::security::roles::changing::change;
use crate::security::roles::draft::{Draft, Permissions};
use crate::web::{Body, Json, PathId};

/// A permission for the whole system.
#[derive(Debug, Serialize, ToSchema)]
#[serde(rename_all = "PascalCase")]
#[schema(as = SecurityAreaPermission)]
pub(in crate::security) struct AreaPermission {
    /// `CertificateStoreManagement`, for example.
    pub(in crate::security) area: &'static str,
    /// `Read`, for example.
    pub(in crate::security) permission: &'static str,
}

/// A permission that a role shall grant for the whole system.
#[derive(Debug, Deserialize, ToSchema)]
#[serde(rename_all = "PascalCase")]
#[schema(as = SecurityAreaPermissionRequest)]
struct AreaPermissionInput {
    /// `CertificateStoreManagement`, for example.
    area: Option<String>,
    /// `Read`, for example.
    permission: Option<String>,
}

pub(super) fn routes() -> OpenApiRouter {
    OpenApiRouter::new().routes(routes!(list, add, set))
}

/// What a role grants for the whole system, by the names of version 1.
#[utoipa::path(
    get, path = "/Security/Roles/{id}/Permissions/Global", tag = "SecurityRolePermissions",
    params(("id" = i64, Path, description = "Id of the role")),
    responses((status = 200, body = Vec<AreaPermission>, description = "All of it")),
    extensions(("x-permissions" = json!(["/security/read/"])))
)]
async fn list(cx: Cx, PathId(id): PathId<i64>) -> Result<Json<Vec<AreaPermission>>, Error> {
    cx.authorize(Permission::SecurityRead)?;
    shown(&cx, id).await
}

/// Lets a role grant more for the whole system.
#[utoipa::path(
    post, path = "/Security/Roles/{id}/Permissions/Global", tag = "SecurityRolePermissions",
    params(("id" = i64, Path, description = "Id of the role")), request_body = Vec<AreaPermissionInput>,
    responses((status = 200, body = Vec<AreaPermission>, description = "What it grants now")),
    extensions(("x-permissions" = json!(["/security/modify/"])))
)]
async fn add(
    cx: Cx,
    PathId(id): PathId<i64>,
    Body(request): Body<Vec<AreaPermissionInput>>,
) -> Result<Json<Vec<AreaPermission>>, Error> {
    cx.authorize_administration()?;
    write(&cx, id, Permissions::Add(read(&request)?)).await
}

/// Lets a role grant exactly this for the whole system.
#[utoipa::path(
    put, path = "/Security/Roles/{id}/Permissions/Global", tag = "SecurityRolePermissions",
    params(("id" = i64, Path, description = "Id of the role")), request_body = Vec<AreaPermissionInput>,
    responses((status = 200, body = Vec<AreaPermission>, description = "What it grants now")),
    extensions(("x-permissions" = json!(["/security/modify/"])))
)]
async fn set(
    cx: Cx,
    PathId(id): PathId<i64>,
    Body(request): Body<Vec<AreaPermissionInput>>,
) -> Result<Json<Vec<AreaPermission>>, Error> {
    cx.authorize_administration()?;
    write(&cx, id, Permissions::Only(Per::System, read(&request)?)).await
}

async fn write(
    cx: &Cx,
    id: i64,
    permissions: Permissions,
) -> Result<Json<Vec<AreaPermission>>, Error> {
    let draft = Draft {
        permissions,
        ..Draft::default()
    };
    change(cx, id, draft).await?;
    shown(cx, id).await
}

async fn shown(cx: &Cx, id: i64) -> Result<Json<Vec<AreaPermission>>, Error> {
    let grants = grants(cx, id).await?;
    let permissions =
        area_permissions(&grants).map(|(area, permission)| AreaPermission { area, permission });
    Ok(Json(permissions.collect()))
}

fn read(request: &[AreaPermissionInput]) -> Result<Vec<Grant>, Error> {
    let (mut grants, mut unknown) = (Vec::new(), Vec::new());
    for (index, given) in request.iter().enumerate() {
        let area = given.area.as_deref().unwrap_or_default().trim();
        let permission = given.permission.as_deref().unwrap_or_default().trim();
        let found = Grant::parse(&format!("{area}:{permission}"));
        if found.is_empty() {
            unknown.push(format!(
                "[{index}]: there is no permission {permission:?} in the area {area:?}."
            ));
        }
        grants.extend(found);
    }
    refuse("Body", "some permissions do not exist", unknown)?;
    Ok(grants)
}
