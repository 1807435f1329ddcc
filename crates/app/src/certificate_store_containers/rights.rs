//! `/Security/Containers/{id}/Roles`: what roles may do with the stores of a container.

use db::tables::store_containers::{Entity, Model};
use sea_orm::{ConnectionTrait, EntityTrait};
use serde::{Deserialize, Serialize};
use serde_json::json;
use utoipa::ToSchema;

use crate::audit::{self, Category, Entry, Operation};
use crate::cx::Cx;
use crate::error::Error;
use crate::security::{Per, Permission, object_grants};
use crate::web::{Body, Json, PathId};

/// What a role may do.
#[derive(Debug, Serialize, ToSchema)]
#[serde(rename_all = "PascalCase")]
#[schema(as = CertificateStoreContainerPermissions)]
pub(super) struct RoleOutput {
    #[schema(value_type = i32)]
    security_role_id: i64,
    /// The name of the role.
    name: String,
    /// `Read`, `Schedule`, `Modify`, `ChangeOwner`, `Revoke`, `EditMetadata` and `Recover`.
    permissions: Vec<&'static str>,
}

/// What a role is to be allowed.
#[derive(Debug, Deserialize, ToSchema)]
#[serde(rename_all = "PascalCase")]
#[schema(as = CertificateStoreContainerPermissionsRequest)]
pub(super) struct RoleInput {
    /// Which role.
    #[schema(value_type = i32)]
    security_role_id: Option<i64>,
    /// Ignored.
    #[expect(dead_code, reason = "declared by the contract")]
    name: Option<String>,
    /// `Read`, `CertificateStoreManagement:Read` or `/certificate_stores/read/`; empty to take all away.
    permissions: Option<Vec<String>>,
}

/// What roles may do with the stores of a container, by grants on it. What they may do system-wide is not shown here.
#[utoipa::path(get, path = "/Security/Containers/{id}/Roles", tag = "Security", params(("id" = i32, Path, description = "The container")), responses((status = 200, body = Vec<RoleOutput>, description = "The roles")), extensions(("x-permissions" = json!(["/security/read/"]))))]
pub(super) async fn roles(cx: Cx, PathId(id): PathId<i64>) -> Result<Json<Vec<RoleOutput>>, Error> {
    cx.authorize(Permission::SecurityRead)?;
    let connection = cx.db().read();
    container(connection, id).await?;
    answer(connection, id).await.map(Json)
}

/// Sets what these roles may do with the stores of a container. Other roles keep what they have.
#[utoipa::path(post, path = "/Security/Containers/{id}/Roles", tag = "Security", params(("id" = i32, Path, description = "The container")), request_body = Vec<RoleInput>, responses((status = 200, body = Vec<RoleOutput>, description = "The roles as they are now"), (status = 404, body = crate::error::ErrorBody, description = "There is no such container")), extensions(("x-permissions" = json!(["/security/modify/"]))))]
pub(super) async fn set_roles(
    cx: Cx,
    PathId(id): PathId<i64>,
    Body(request): Body<Vec<RoleInput>>,
) -> Result<Json<Vec<RoleOutput>>, Error> {
    cx.authorize_administration()?;
    let wanted = request
        .into_iter()
        .map(|role| {
            (
                role.security_role_id.unwrap_or_default(),
                role.permissions.unwrap_or_default(),
            )
        })
        .collect();
    let db = cx.db().clone();
    db.write("certificate_store_containers.grant", move |tx| {
        Box::pin(async move {
            let row = container(tx, id).await?;
            let change = object_grants::set(tx, &cx, Per::Container, id, wanted).await?;
            if let Some((before, after)) = change {
                let message = format!(
                    "What roles may do with certificate store container {} was changed.",
                    row.name
                );
                let entry = Entry::new(
                    Operation::Updated,
                    Category::CertificateStoreContainer,
                    row.name,
                    message,
                )
                .before(json!({ "Roles": before }))
                .after(json!({ "Roles": after }));
                audit::record(tx, &cx, entry).await?;
            }
            answer(tx, id).await.map(Json)
        })
    })
    .await
}

async fn container(connection: &impl ConnectionTrait, id: i64) -> Result<Model, Error> {
    let row = Entity::find_by_id(id).one(connection).await?;
    row.ok_or_else(|| Error::not_found("certificate store container", id))
}

async fn answer(connection: &impl ConnectionTrait, id: i64) -> Result<Vec<RoleOutput>, Error> {
    let roles = object_grants::of_object(connection, Per::Container, id).await?;
    let roles = roles.into_iter().map(|role| RoleOutput {
        security_role_id: role.role_id,
        name: role.name,
        permissions: role.permissions,
    });
    Ok(roles.collect())
}
