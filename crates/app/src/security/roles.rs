//! `/Security/Roles`, version 1: a role is a set of permissions, held by local accounts, and may own certificates.

mod changing;
mod reading;
mod wire;

use db::tables::roles;
use sea_orm::{ColumnTrait, ConnectionTrait, EntityTrait, QueryFilter};
use utoipa_axum::router::OpenApiRouter;
use utoipa_axum::routes;

use crate::cx::Cx;
use crate::error::Error;
use crate::web::{Body, Json, List, NoContent, Paging, PathId, Query};
use wire::{RoleCreation, RoleOutput, RoleUpdate, Validation};

/// `/Security/Roles`.
pub(crate) fn routes() -> OpenApiRouter {
    OpenApiRouter::new()
        .routes(routes!(list, create, replace))
        .routes(routes!(one, delete))
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
    changing::create(&cx, request).await.map(Json)
}

/// Replaces a security role.
#[utoipa::path(
    put, path = "/Security/Roles", tag = "SecurityRoles", request_body = RoleUpdate,
    responses((status = 200, body = RoleOutput, description = "The role as it is now")),
    extensions(("x-permissions" = json!(["/security/modify/"])))
)]
async fn replace(cx: Cx, Body(request): Body<RoleUpdate>) -> Result<Json<RoleOutput>, Error> {
    changing::replace(&cx, request).await.map(Json)
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

/// The role with this name, without regard to case.
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
