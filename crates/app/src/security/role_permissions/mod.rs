//! `/Security/Roles/{id}/Permissions`: the grants of a role by what they are limited to. Version 1 knows no strings: here a
//! permission is an area and a name, and an object is an id. The rows are the same as those of version 2.

mod global;
mod objects;
mod pam_providers;

use serde::Serialize;
use utoipa::ToSchema;
use utoipa_axum::router::OpenApiRouter;
use utoipa_axum::routes;

pub(super) use global::AreaPermission;

use super::object_grants::short_name;
use super::permissions::{Grant, Per, Permission, legacy_names};
use super::{role_by_id, role_grants};
use crate::cx::Cx;
use crate::error::Error;
use crate::web::{Json, PathId};

/// `/Security/Roles/{id}/Permissions`.
pub(super) fn routes() -> OpenApiRouter {
    OpenApiRouter::new()
        .routes(routes!(overview))
        .merge(global::routes())
        .merge(objects::routes())
        .merge(pam_providers::routes())
}

/// A permission of a role, of whatever kind.
#[derive(Debug, PartialEq, Eq, Serialize, ToSchema)]
#[serde(rename_all = "PascalCase")]
#[schema(as = SecurityRolePermission)]
struct PermissionOutput {
    /// `Global`, `Collection`, `Container` or `PamProvider`.
    #[serde(rename = "Type")]
    kind: &'static str,
    /// `CertificateStoreManagement`, for example.
    area: &'static str,
    /// `Read`, for example.
    permission: &'static str,
    /// The collection, container or PAM provider; null for the whole system.
    object_id: Option<i64>,
}

/// Everything that a role grants.
#[utoipa::path(
    get, path = "/Security/Roles/{id}/Permissions", tag = "SecurityRolePermissions",
    params(("id" = i64, Path, description = "Id of the role")),
    responses((status = 200, body = Vec<PermissionOutput>, description = "All of it")),
    extensions(("x-permissions" = json!(["/security/read/"])))
)]
async fn overview(cx: Cx, PathId(id): PathId<i64>) -> Result<Json<Vec<PermissionOutput>>, Error> {
    cx.authorize(Permission::SecurityRead)?;
    let grants = grants(&cx, id).await?;
    let system = area_permissions(&grants).map(|(area, permission)| PermissionOutput {
        kind: "Global",
        area,
        permission,
        object_id: None,
    });
    let objects = grants.iter().filter_map(|grant| {
        let entry = Permission::of_path(&grant.path)?.entry();
        Some(PermissionOutput {
            kind: match grant.per() {
                Per::System => return None,
                Per::Collection => "Collection",
                Per::Container => "Container",
                Per::PamProvider => "PamProvider",
            },
            area: entry.legacy[0].split_once(':')?.0,
            permission: short_name(entry),
            object_id: grant.object_id,
        })
    });
    Ok(Json(system.chain(objects).collect()))
}

/// The system-wide grants by their version 1 names, as area and permission.
pub(super) fn area_permissions(
    grants: &[Grant],
) -> impl Iterator<Item = (&'static str, &'static str)> {
    legacy_names(grants)
        .into_iter()
        .filter_map(|name| name.split_once(':'))
}

/// What a role grants. The caller was authorized.
async fn grants(cx: &Cx, id: i64) -> Result<Vec<Grant>, Error> {
    let connection = cx.db().read();
    let role = role_by_id(connection, id).await?;
    role.ok_or_else(|| Error::not_found("security role", id))?;
    let mut grants = role_grants::of_roles(connection, &[id]).await?;
    Ok(grants.remove(&id).unwrap_or_default())
}
