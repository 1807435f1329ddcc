//! `/Security/Roles`, both versions: a role is a set of permissions, held by claims, and may own certificates.

pub(super) mod changing;
pub(super) mod draft;
pub(super) mod holders;
mod reading;
mod version_2;
pub(super) mod wire;

use db::tables::roles;
use sea_orm::{ColumnTrait, ConnectionTrait, EntityTrait, QueryFilter};
use utoipa_axum::router::OpenApiRouter;
use utoipa_axum::routes;

use crate::cx::Cx;
use crate::error::Error;
use crate::web::{Body, Json, List, NoContent, Paging, PathId, Query};
use wire::{
    HolderName, RoleCopy, RoleCreation, RoleIdentities, RoleOutput, RoleUpdate, Validation,
};

/// `/Security/Roles`.
pub(super) fn routes() -> OpenApiRouter {
    OpenApiRouter::new()
        .routes(routes!(list, create, replace))
        .routes(routes!(one, delete))
        .routes(routes!(copy))
        .routes(routes!(identities, replace_identities))
}

/// `/Security/Roles`, version 2.
pub(super) fn routes_version_2() -> OpenApiRouter {
    version_2::routes()
}

/// Security roles.
#[utoipa::path(
    get, path = "/Security/Roles", tag = "SecurityRoles", params(Paging, Validation),
    responses((status = 200, body = Vec<RoleOutput>, description = "A page")),
    extensions(("x-permissions" = json!(["/security/read/"])))
)]
async fn list(
    cx: Cx,
    Query(paging): Query<Paging>,
    Query(_): Query<Validation>,
) -> Result<List<RoleOutput>, Error> {
    reading::list(&cx, &paging).await
}

/// One security role.
#[utoipa::path(
    get, path = "/Security/Roles/{id}", tag = "SecurityRoles",
    params(("id" = i64, Path, description = "Id of the role")),
    responses((status = 200, body = RoleOutput, description = "The role")),
    extensions(("x-permissions" = json!(["/security/read/"])))
)]
async fn one(cx: Cx, PathId(id): PathId<i64>) -> Result<Json<RoleOutput>, Error> {
    reading::one(&cx, id).await.map(Json)
}

/// Creates a security role.
#[utoipa::path(
    post, path = "/Security/Roles", tag = "SecurityRoles", request_body = RoleCreation,
    responses((status = 200, body = RoleOutput, description = "The new role")),
    extensions(("x-permissions" = json!(["/security/modify/"])))
)]
async fn create(cx: Cx, Body(request): Body<RoleCreation>) -> Result<Json<RoleOutput>, Error> {
    // Before the request is looked at.
    cx.authorize_administration()?;
    let id = changing::create(&cx, request.try_into()?).await?;
    reading::after(&cx, id).await.map(Json)
}

/// Replaces a security role.
#[utoipa::path(
    put, path = "/Security/Roles", tag = "SecurityRoles", request_body = RoleUpdate,
    responses((status = 200, body = RoleOutput, description = "The role as it is now")),
    extensions(("x-permissions" = json!(["/security/modify/"])))
)]
async fn replace(cx: Cx, Body(request): Body<RoleUpdate>) -> Result<Json<RoleOutput>, Error> {
    cx.authorize_administration()?;
    let id = request.id;
    changing::change(&cx, id, request.try_into()?).await?;
    reading::after(&cx, id).await.map(Json)
}

/// Deletes a security role. One that owns certificates has to lose them first.
#[utoipa::path(
    delete, path = "/Security/Roles/{id}", tag = "SecurityRoles",
    params(("id" = i64, Path, description = "Id of the role")),
    responses((status = 204, description = "There is no such role any more")),
    extensions(("x-permissions" = json!(["/security/modify/"])))
)]
async fn delete(cx: Cx, PathId(id): PathId<i64>) -> Result<NoContent, Error> {
    changing::delete(&cx, id).await?;
    Ok(NoContent)
}

/// Creates a role that grants what another one grants. Nobody holds it yet.
#[utoipa::path(
    post, path = "/Security/Roles/{id}/Copy", tag = "SecurityRoles", request_body = RoleCopy,
    params(("id" = i64, Path, description = "Id of the role to copy")),
    responses((status = 200, body = RoleOutput, description = "The new role")),
    extensions(("x-permissions" = json!(["/security/modify/"])))
)]
async fn copy(
    cx: Cx,
    PathId(id): PathId<i64>,
    Body(request): Body<RoleCopy>,
) -> Result<Json<RoleOutput>, Error> {
    let id = changing::copy(&cx, id, request).await?;
    reading::after(&cx, id).await.map(Json)
}

/// Who holds a role.
#[utoipa::path(
    get, path = "/Security/Roles/{id}/Identities", tag = "SecurityRoles",
    params(("id" = i64, Path, description = "Id of the role")),
    responses((status = 200, body = Vec<HolderName>, description = "All of them")),
    extensions(("x-permissions" = json!(["/security/read/"])))
)]
async fn identities(cx: Cx, PathId(id): PathId<i64>) -> Result<Json<Vec<HolderName>>, Error> {
    reading::holder_names(&cx, id).await.map(Json)
}

/// Gives a role to exactly these identities.
#[utoipa::path(
    put, path = "/Security/Roles/{id}/Identities", tag = "SecurityRoles", request_body = RoleIdentities,
    params(("id" = i64, Path, description = "Id of the role")),
    responses((status = 200, body = Vec<HolderName>, description = "All that hold it now")),
    extensions(("x-permissions" = json!(["/security/modify/"])))
)]
async fn replace_identities(
    cx: Cx,
    PathId(id): PathId<i64>,
    Body(request): Body<RoleIdentities>,
) -> Result<Json<Vec<HolderName>>, Error> {
    changing::change(&cx, id, request.into()).await?;
    reading::holder_names_after(&cx, id).await.map(Json)
}

/// The role with this id.
///
/// # Errors
/// Those of the database.
pub(crate) async fn role_by_id(
    connection: &impl ConnectionTrait,
    id: i64,
) -> Result<Option<roles::Model>, Error> {
    Ok(roles::Entity::find_by_id(id).one(connection).await?)
}

/// The role with this name, without regard to case and Unicode form.
///
/// # Errors
/// Those of the database.
pub(crate) async fn role_by_name(
    connection: &impl ConnectionTrait,
    name: &str,
) -> Result<Option<roles::Model>, Error> {
    Ok(roles::Entity::find()
        .filter(roles::Column::NameFold.eq(db::fold(name)))
        .one(connection)
        .await?)
}
