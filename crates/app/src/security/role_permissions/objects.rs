//! `/Security/Roles/{id}/Permissions/Collections` and `/Containers`: what a role grants on single collections and containers.

use serde::{Deserialize, Serialize};
use utoipa::ToSchema;
use utoipa_axum::router::OpenApiRouter;
use utoipa_axum::routes;

use super::grants;
use crate::cx::Cx;
use crate::error::Error;
use crate::security::object_grants::{named, short_name};
use crate::security::permission_strings::refuse;
use crate::security::permissions::{Grant, Per, Permission};
use crate::security::role_grants::object_names;
use crate::security::roles::changing::change;
use crate::security::roles::draft::{Draft, Permissions, of_kind};
use crate::web::{Body, Json, PathId};

/// A permission on a certificate collection.
#[derive(Debug, Serialize, ToSchema)]
#[serde(rename_all = "PascalCase")]
#[schema(as = SecurityRoleCollectionPermission)]
struct CollectionPermission {
    collection_id: i64,
    /// Of the collection.
    name: String,
    /// `Read`, `EditMetadata`, `Recover`, `Revoke`, `Delete`, `ChangeOwner`, `ImportPrivateKey`; `Modify` of the collection
    /// itself.
    permission: &'static str,
}

/// A permission that a role shall grant on a certificate collection.
#[derive(Debug, Deserialize, ToSchema)]
#[serde(rename_all = "PascalCase")]
#[schema(as = SecurityRoleCollectionPermissionRequest)]
struct CollectionPermissionInput {
    collection_id: Option<i64>,
    /// As answers show it, `Certificates:Read`, or `/certificates/collections/read/`.
    permission: Option<String>,
}

/// A permission on a container of certificate stores.
#[derive(Debug, Serialize, ToSchema)]
#[serde(rename_all = "PascalCase")]
#[schema(as = SecurityRoleContainerPermission)]
struct ContainerPermission {
    container_id: i64,
    /// Of the container.
    name: String,
    /// `Read`, `Schedule`, `Modify`, `ChangeOwner`, `Revoke`, `EditMetadata` or `Recover`.
    permission: &'static str,
}

/// A permission that a role shall grant on a container of certificate stores.
#[derive(Debug, Deserialize, ToSchema)]
#[serde(rename_all = "PascalCase")]
#[schema(as = SecurityRoleContainerPermissionRequest)]
struct ContainerPermissionInput {
    container_id: Option<i64>,
    /// As answers show it, `CertificateStoreManagement:Read`, or `/certificate_stores/read/`.
    permission: Option<String>,
}

pub(super) fn routes() -> OpenApiRouter {
    OpenApiRouter::new()
        .routes(routes!(collections, add_collections, set_collections))
        .routes(routes!(containers, add_containers, set_containers))
}

/// What a role grants on single certificate collections.
#[utoipa::path(
    get, path = "/Security/Roles/{id}/Permissions/Collections", tag = "SecurityRolePermissions",
    params(("id" = i64, Path, description = "Id of the role")),
    responses((status = 200, body = Vec<CollectionPermission>, description = "All of it")),
    extensions(("x-permissions" = json!(["/security/read/"])))
)]
async fn collections(
    cx: Cx,
    PathId(id): PathId<i64>,
) -> Result<Json<Vec<CollectionPermission>>, Error> {
    cx.authorize(Permission::SecurityRead)?;
    shown(&cx, id, Per::Collection).await
}

/// Lets a role grant more on certificate collections.
#[utoipa::path(
    post, path = "/Security/Roles/{id}/Permissions/Collections", tag = "SecurityRolePermissions",
    params(("id" = i64, Path, description = "Id of the role")), request_body = Vec<CollectionPermissionInput>,
    responses((status = 200, body = Vec<CollectionPermission>, description = "What it grants on collections now")),
    extensions(("x-permissions" = json!(["/security/modify/"])))
)]
async fn add_collections(
    cx: Cx,
    PathId(id): PathId<i64>,
    Body(request): Body<Vec<CollectionPermissionInput>>,
) -> Result<Json<Vec<CollectionPermission>>, Error> {
    cx.authorize_administration()?;
    let added = read(Per::Collection, request.into_iter().map(Into::into))?;
    write(&cx, id, Per::Collection, Permissions::Add(added)).await
}

/// Lets a role grant exactly this on certificate collections.
#[utoipa::path(
    put, path = "/Security/Roles/{id}/Permissions/Collections", tag = "SecurityRolePermissions",
    params(("id" = i64, Path, description = "Id of the role")), request_body = Vec<CollectionPermissionInput>,
    responses((status = 200, body = Vec<CollectionPermission>, description = "What it grants on collections now")),
    extensions(("x-permissions" = json!(["/security/modify/"])))
)]
async fn set_collections(
    cx: Cx,
    PathId(id): PathId<i64>,
    Body(request): Body<Vec<CollectionPermissionInput>>,
) -> Result<Json<Vec<CollectionPermission>>, Error> {
    cx.authorize_administration()?;
    let only = read(Per::Collection, request.into_iter().map(Into::into))?;
    let only = Permissions::Only(Per::Collection, only);
    write(&cx, id, Per::Collection, only).await
}

/// What a role grants on single containers of certificate stores.
#[utoipa::path(
    get, path = "/Security/Roles/{id}/Permissions/Containers", tag = "SecurityRolePermissions",
    params(("id" = i64, Path, description = "Id of the role")),
    responses((status = 200, body = Vec<ContainerPermission>, description = "All of it")),
    extensions(("x-permissions" = json!(["/security/read/"])))
)]
async fn containers(
    cx: Cx,
    PathId(id): PathId<i64>,
) -> Result<Json<Vec<ContainerPermission>>, Error> {
    cx.authorize(Permission::SecurityRead)?;
    shown(&cx, id, Per::Container).await
}

/// Lets a role grant more on containers of certificate stores.
#[utoipa::path(
    post, path = "/Security/Roles/{id}/Permissions/Containers", tag = "SecurityRolePermissions",
    params(("id" = i64, Path, description = "Id of the role")), request_body = Vec<ContainerPermissionInput>,
    responses((status = 200, body = Vec<ContainerPermission>, description = "What it grants on containers now")),
    extensions(("x-permissions" = json!(["/security/modify/"])))
)]
async fn add_containers(
    cx: Cx,
    PathId(id): PathId<i64>,
    Body(request): Body<Vec<ContainerPermissionInput>>,
) -> Result<Json<Vec<ContainerPermission>>, Error> {
    cx.authorize_administration()?;
    let added = read(Per::Container, request.into_iter().map(Into::into))?;
    write(&cx, id, Per::Container, Permissions::Add(added)).await
}

/// Lets a role grant exactly this on containers of certificate stores.
#[utoipa::path(
    put, path = "/Security/Roles/{id}/Permissions/Containers", tag = "SecurityRolePermissions",
    params(("id" = i64, Path, description = "Id of the role")), request_body = Vec<ContainerPermissionInput>,
    responses((status = 200, body = Vec<ContainerPermission>, description = "What it grants on containers now")),
    extensions(("x-permissions" = json!(["/security/modify/"])))
)]
async fn set_containers(
    cx: Cx,
    PathId(id): PathId<i64>,
    Body(request): Body<Vec<ContainerPermissionInput>>,
) -> Result<Json<Vec<ContainerPermission>>, Error> {
    cx.authorize_administration()?;
    let only = read(Per::Container, request.into_iter().map(Into::into))?;
    let only = Permissions::Only(Per::Container, only);
    write(&cx, id, Per::Container, only).await
}

/// A permission on an object, of whatever kind.
#[derive(Debug)]
pub(super) struct OnObject {
    pub(super) object_id: i64,
    pub(super) permission: String,
}

impl From<CollectionPermissionInput> for OnObject {
    fn from(given: CollectionPermissionInput) -> Self {
        Self {
            object_id: given.collection_id.unwrap_or_default(),
            permission: given.permission.unwrap_or_default(),
        }
    }
}

impl From<ContainerPermissionInput> for OnObject {
    fn from(given: ContainerPermissionInput) -> Self {
        Self {
            object_id: given.container_id.unwrap_or_default(),
            permission: given.permission.unwrap_or_default(),
        }
    }
}

impl From<(i64, String, &'static str)> for CollectionPermission {
    fn from((collection_id, name, permission): (i64, String, &'static str)) -> Self {
        Self {
            collection_id,
            name,
            permission,
        }
    }
}

impl From<(i64, String, &'static str)> for ContainerPermission {
    fn from((container_id, name, permission): (i64, String, &'static str)) -> Self {
        Self {
            container_id,
            name,
            permission,
        }
    }
}

/// The grants that a request names.
///
/// # Errors
/// 400 naming each that there is not.
pub(super) fn read(per: Per, given: impl Iterator<Item = OnObject>) -> Result<Vec<Grant>, Error> {
    let (mut grants, mut wrong) = (Vec::new(), Vec::new());
    for (index, given) in given.enumerate() {
        if given.object_id <= 0 {
            wrong.push(format!("[{index}]: an id of 1 or more is needed."));
        }
        match named(per, given.object_id, &given.permission) {
            Some(row) => grants.push(Grant {
                path: row.path.to_owned(),
                object_id: Some(given.object_id),
            }),
            None => wrong.push(format!(
                "[{index}]: there is no permission {:?} on such an object.",
                given.permission
            )),
        }
    }
    refuse("Body", "some permissions do not exist", wrong)?;
    Ok(grants)
}

async fn write<T: From<(i64, String, &'static str)>>(
    cx: &Cx,
    id: i64,
    per: Per,
    permissions: Permissions,
) -> Result<Json<Vec<T>>, Error> {
    let draft = Draft {
        permissions,
        ..Draft::default()
    };
    change(cx, id, draft).await?;
    shown(cx, id, per).await
}

async fn shown<T: From<(i64, String, &'static str)>>(
    cx: &Cx,
    id: i64,
    per: Per,
) -> Result<Json<Vec<T>>, Error> {
    let grants = grants(cx, id).await?;
    let mut found: Vec<(i64, &'static str)> = of_kind(&grants, per)
        .filter_map(|grant| {
            let entry = Permission::of_path(&grant.path)?.entry();
            Some((grant.object_id?, short_name(entry)))
        })
        .collect();
    found.sort_unstable();
    let ids: Vec<i64> = found.iter().map(|(object_id, _)| *object_id).collect();
    let names = object_names(cx.db().read(), per, &ids).await?;
    let permissions = found.into_iter().map(|(object_id, permission)| {
        let name = names.get(&object_id).cloned().unwrap_or_default();
        T::from((object_id, name, permission))
    });
    Ok(Json(permissions.collect()))
}
