//! `/PermissionSets`: what the roles in them may hold at most (command-behaviour.md B.13).

mod changing;
mod reading;
mod wire;

use std::collections::HashMap;

use db::tables::{permission_set_permissions, permission_sets};
use sea_orm::{ActiveValue, ColumnTrait, ConnectionTrait, EntityTrait, QueryFilter};
use utoipa_axum::router::OpenApiRouter;
use utoipa_axum::routes;
use uuid::{Uuid, uuid};

use super::permission_strings::refuse;
use super::permissions::Grant;
use super::role_grants::stored;
use crate::cx::Cx;
use crate::error::Error;
use crate::web::{Body, Json, List, NoContent, Paging, PathId, Query};
use wire::{SetCreation, SetOutput, SetUpdate};

/// The set of everything, there from the start. Clients know it by this id.
pub const GLOBAL: Uuid = uuid!("099c05f0-deba-4562-a5b1-f491e19c0749");

/// `/PermissionSets`.
pub(super) fn routes() -> OpenApiRouter {
    OpenApiRouter::new()
        .routes(routes!(list, create, update))
        .routes(routes!(mine))
        .routes(routes!(one, delete))
}

/// Permission sets.
#[utoipa::path(
    get, path = "/PermissionSets", tag = "PermissionSet", params(Paging),
    responses((status = 200, body = Vec<SetOutput>, description = "A page")),
    extensions(("x-permissions" = json!(["/security/read/"])))
)]
async fn list(cx: Cx, Query(paging): Query<Paging>) -> Result<List<SetOutput>, Error> {
    reading::list(&cx, &paging).await
}

/// The permission sets of the roles that the caller holds.
#[utoipa::path(
    get, path = "/PermissionSets/My", tag = "PermissionSet",
    responses((status = 200, body = Vec<SetOutput>, description = "All of them, by name")),
    extensions(("x-permissions" = json!([])))
)]
async fn mine(cx: Cx) -> Result<Json<Vec<SetOutput>>, Error> {
    reading::mine(&cx).await.map(Json)
}

/// One permission set.
#[utoipa::path(
    get, path = "/PermissionSets/{id}", tag = "PermissionSet",
    params(("id" = Uuid, Path, description = "Id of the set")),
    responses((status = 200, body = SetOutput, description = "The set")),
    extensions(("x-permissions" = json!(["/security/read/"])))
)]
async fn one(cx: Cx, PathId(id): PathId<Uuid>) -> Result<Json<SetOutput>, Error> {
    reading::one(&cx, id).await.map(Json)
}

/// Creates a permission set.
#[utoipa::path(
    post, path = "/PermissionSets", tag = "PermissionSet", request_body = SetCreation,
    responses((status = 200, body = SetOutput, description = "The new set")),
    extensions(("x-permissions" = json!(["/security/modify/"])))
)]
async fn create(cx: Cx, Body(request): Body<SetCreation>) -> Result<Json<SetOutput>, Error> {
    changing::create(&cx, request).await.map(Json)
}

/// Replaces the permissions of a set. Its roles have to hold nothing else.
#[utoipa::path(
    put, path = "/PermissionSets", tag = "PermissionSet", request_body = SetUpdate,
    responses((status = 200, body = SetOutput, description = "The set as it is now")),
    extensions(("x-permissions" = json!(["/security/modify/"])))
)]
async fn update(cx: Cx, Body(request): Body<SetUpdate>) -> Result<Json<SetOutput>, Error> {
    changing::update(&cx, request).await.map(Json)
}

/// Deletes a permission set that no role is in.
#[utoipa::path(
    delete, path = "/PermissionSets/{id}", tag = "PermissionSet",
    params(("id" = Uuid, Path, description = "Id of the set")),
    responses((status = 204, description = "There is no such set any more")),
    extensions(("x-permissions" = json!(["/security/modify/"])))
)]
async fn delete(cx: Cx, PathId(id): PathId<Uuid>) -> Result<NoContent, Error> {
    changing::delete(&cx, id).await?;
    Ok(NoContent)
}

/// The set that is there from the start.
///
/// # Errors
/// Those of the database.
pub(crate) async fn create_first(tx: &db::Tx, cx: &Cx) -> Result<(), Error> {
    let set = permission_sets::ActiveModel {
        id: ActiveValue::Set(GLOBAL),
        name: ActiveValue::Set("Global".into()),
        name_fold: ActiveValue::Set(db::fold("Global")),
        created_at: ActiveValue::Set(cx.now()),
    };
    permission_sets::Entity::insert(set)
        .exec_without_returning(tx)
        .await?;
    replace_grants(tx, GLOBAL, &[Grant::system("/")]).await
}

/// What the roles of each of these sets may hold at most, sorted.
async fn grants_of(
    connection: &impl ConnectionTrait,
    ids: &[Uuid],
) -> Result<HashMap<Uuid, Vec<Grant>>, Error> {
    let rows = permission_set_permissions::Entity::find()
        .filter(permission_set_permissions::Column::PermissionSetId.is_in(ids.iter().copied()))
        .all(connection)
        .await?;
    let mut grants: HashMap<Uuid, Vec<Grant>> = HashMap::new();
    for row in rows {
        let grant = stored(row.permission, row.object_id);
        grants.entry(row.permission_set_id).or_default().push(grant);
    }
    for grants in grants.values_mut() {
        grants.sort();
    }
    Ok(grants)
}

async fn replace_grants(tx: &db::Tx, id: Uuid, grants: &[Grant]) -> Result<(), Error> {
    permission_set_permissions::Entity::delete_many()
        .filter(permission_set_permissions::Column::PermissionSetId.eq(id))
        .exec(tx)
        .await?;
    for grant in grants {
        let row = permission_set_permissions::ActiveModel {
            permission_set_id: ActiveValue::Set(id),
            permission: ActiveValue::Set(grant.path.clone()),
            object_id: ActiveValue::Set(grant.object_id.unwrap_or_default()),
        };
        permission_set_permissions::Entity::insert(row)
            .exec_without_returning(tx)
            .await?;
    }
    Ok(())
}

/// Refuses grants that a set does not hold. What a set holds for the whole system it holds for every object.
///
/// # Errors
/// 400 for a set that does not exist, and naming each grant that is outside.
pub(super) async fn check_inside(tx: &db::Tx, id: Uuid, grants: &[Grant]) -> Result<(), Error> {
    let set = permission_sets::Entity::find_by_id(id).one(tx).await?;
    let set = set.ok_or_else(|| {
        Error::bad_request(format!("PermissionSetId: there is no permission set {id}."))
    })?;
    let held = grants_of(tx, &[id]).await?.remove(&id).unwrap_or_default();
    let outside = outside(&held, grants).map(|grant| {
        format!(
            "Permissions: {grant} is not in the permission set {:?}.",
            set.name
        )
    });
    refuse(
        "Permissions",
        &format!("some are not in the permission set {:?}", set.name),
        outside.collect(),
    )
}

/// Those grants that none of `held` covers.
fn outside<'g>(held: &[Grant], grants: &'g [Grant]) -> impl Iterator<Item = &'g Grant> {
    grants
        .iter()
        .filter(move |grant| !held.iter().any(|held| held.covers(grant)))
}
