//! `/Security/Roles/{id}/Permissions/PamProviders`: what a role grants on single PAM providers.

use std::collections::BTreeMap;

use serde::{Deserialize, Serialize};
use utoipa::ToSchema;
use utoipa_axum::router::OpenApiRouter;
use utoipa_axum::routes;

use super::grants;
use super::objects::{OnObject, read};
use crate::cx::Cx;
use crate::error::Error;
use crate::security::object_grants::short_name;
use crate::security::permissions::{Per, Permission};
use crate::security::role_grants::object_names;
use crate::security::roles::changing::change;
use crate::security::roles::draft::{Draft, Permissions, of_kind};
use crate::web::{Body, Json, PathId};

/// The permissions on a PAM provider.
#[derive(Debug, Serialize, ToSchema)]
#[serde(rename_all = "PascalCase")]
#[schema(as = SecurityRolePamProviderPermissions)]
struct PamProviderPermissions {
    pam_provider_id: i64,
    /// Of the provider.
    name: Option<String>,
    /// `Read` and `Modify`.
    permissions: Vec<&'static str>,
}

/// The permissions that a role shall grant on a PAM provider.
#[derive(Debug, Deserialize, ToSchema)]
#[serde(rename_all = "PascalCase")]
#[schema(as = SecurityRolePamProviderPermissionsRequest)]
struct PamProviderPermissionsInput {
    pam_provider_id: Option<i64>,
    /// `Read` and `Modify`.
    permissions: Option<Vec<String>>,
}

pub(super) fn routes() -> OpenApiRouter {
    OpenApiRouter::new().routes(routes!(list, set))
}

/// What a role grants on single PAM providers.
#[utoipa::path(
    get, path = "/Security/Roles/{id}/Permissions/PamProviders", tag = "SecurityRolePermissions",
    params(("id" = i64, Path, description = "Id of the role")),
    responses((status = 200, body = Vec<PamProviderPermissions>, description = "All of it")),
    extensions(("x-permissions" = json!(["/security/read/"])))
)]
async fn list(cx: Cx, PathId(id): PathId<i64>) -> Result<Json<Vec<PamProviderPermissions>>, Error> {
    cx.authorize(Permission::SecurityRead)?;
    shown(&cx, id).await
}

/// Lets a role grant exactly this on PAM providers.
#[utoipa::path(
    put, path = "/Security/Roles/{id}/Permissions/PamProviders", tag = "SecurityRolePermissions",
    params(("id" = i64, Path, description = "Id of the role")), request_body = Vec<PamProviderPermissionsInput>,
    responses((status = 200, body = Vec<PamProviderPermissions>, description = "What it grants on PAM providers now")),
    extensions(("x-permissions" = json!(["/security/modify/"])))
)]
async fn set(
    cx: Cx,
    PathId(id): PathId<i64>,
    Body(request): Body<Vec<PamProviderPermissionsInput>>,
) -> Result<Json<Vec<PamProviderPermissions>>, Error> {
    cx.authorize_administration()?;
    let given = request.into_iter().flat_map(|given| {
        let object_id = given.pam_provider_id.unwrap_or_default();
        let permissions = given.permissions.unwrap_or_default().into_iter();
        permissions.map(move |permission| OnObject {
            object_id,
            permission,
        })
    });
    let only = read(Per::PamProvider, given)?;
    let draft = Draft {
        permissions: Permissions::Only(Per::PamProvider, only),
        ..Draft::default()
    };
    change(&cx, id, draft).await?;
    shown(&cx, id).await
}

async fn shown(cx: &Cx, id: i64) -> Result<Json<Vec<PamProviderPermissions>>, Error> {
    let grants = grants(cx, id).await?;
    let mut found: BTreeMap<i64, Vec<&'static str>> = BTreeMap::new();
    for grant in of_kind(&grants, Per::PamProvider) {
        if let (Some(object_id), Some(permission)) =
            (grant.object_id, Permission::of_path(&grant.path))
        {
            let names = found.entry(object_id).or_default();
            names.push(short_name(permission.entry()));
        }
    }
    let ids: Vec<i64> = found.keys().copied().collect();
    let mut names = object_names(cx.db().read(), Per::PamProvider, &ids).await?;
    let permissions =
        found
            .into_iter()
            .map(|(pam_provider_id, permissions)| PamProviderPermissions {
                name: names.remove(&pam_provider_id),
                pam_provider_id,
                permissions,
            });
    Ok(Json(permissions.collect()))
}
