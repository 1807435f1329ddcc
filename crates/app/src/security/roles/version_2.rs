//! `/Security/Roles`, version 2: permissions are strings such as `/certificate_stores/read/3/`, holders are claims.

use db::tables::{role_claims, roles};
use sea_orm::sea_query::{Expr, ExprTrait};
use sea_orm::{ColumnTrait, EntityTrait, QueryFilter, QuerySelect};
use serde::{Deserialize, Serialize};
use std::collections::HashMap;
use utoipa::ToSchema;
use utoipa_axum::router::OpenApiRouter;
use utoipa_axum::routes;
use uuid::Uuid;

use super::draft::{Draft, Holders, Permissions};
use super::{changing, reading, role_by_id};
use crate::cx::Cx;
use crate::error::Error;
use crate::security::claims::{self, ClaimOfRole, ClaimOutput, Providers};
use crate::security::{Permission, permission_strings, role_grants};
use crate::web::list::page;
use crate::web::{Body, Json, List, Maybe, Paging, PathId, Query};

/// A security role in a list.
#[derive(Debug, Serialize, ToSchema)]
#[serde(rename_all = "PascalCase")]
#[schema(as = SecurityRoleQueryResponse)]
struct RoleInList {
    id: i64,
    name: String,
    email_address: Option<String>,
    /// Shipped with the product: only its claims can change.
    immutable: bool,
    permission_set_id: Uuid,
    /// How many claims hold it.
    claims_count: i64,
}

/// A security role.
#[derive(Debug, Serialize, ToSchema)]
#[serde(rename_all = "PascalCase")]
#[schema(as = SecurityRoleResponse)]
struct RoleOutput {
    id: i64,
    name: String,
    description: String,
    /// Where the owner of certificates gets mail.
    email_address: Option<String>,
    /// Shipped with the product: only its claims can change.
    immutable: bool,
    permission_set_id: Uuid,
    /// What it grants.
    permissions: Vec<String>,
    /// Who holds it.
    claims: Vec<ClaimOutput>,
}

/// A new role.
#[derive(Debug, Deserialize, ToSchema)]
#[serde(rename_all = "PascalCase")]
#[schema(as = SecurityRoleCreationRequest2)]
struct RoleCreation {
    /// Unique without regard to case and Unicode form.
    name: String,
    /// What the role is for; may be empty.
    description: String,
    /// Where the owner of certificates gets mail.
    email_address: Option<String>,
    /// The set that its permissions have to be in; all zeros is Global.
    permission_set_id: Option<Uuid>,
    /// Strings such as `/certificate_stores/read/3/`, none of which covers another.
    permissions: Option<Vec<String>>,
    /// Who holds it. A claim that does not exist is created.
    claims: Option<Vec<ClaimOfRole>>,
}

/// A role as it shall be. Lists that are absent or null, and an address that is absent, stay as they are.
#[derive(Debug, Deserialize, ToSchema)]
#[serde(rename_all = "PascalCase")]
#[schema(as = SecurityRoleUpdateRequest2)]
struct RoleUpdate {
    id: i64,
    /// Unique without regard to case and Unicode form.
    name: String,
    /// What the role is for; may be empty.
    description: String,
    /// Where the owner of certificates gets mail.
    #[serde(default)]
    #[schema(value_type = Option<String>)]
    email_address: Maybe<String>,
    /// The set that its permissions have to be in; it stays when it is all zeros.
    permission_set_id: Option<Uuid>,
    /// Strings such as `/certificate_stores/read/3/`, none of which covers another.
    permissions: Option<Vec<String>>,
    /// Who holds it. A claim that does not exist is created.
    claims: Option<Vec<ClaimOfRole>>,
}

pub(super) fn routes() -> OpenApiRouter {
    OpenApiRouter::new()
        .routes(routes!(list, create, replace))
        .routes(routes!(one))
}

/// Security roles.
#[utoipa::path(
    get, path = "/Security/Roles", tag = "SecurityRoles", params(Paging),
    responses((status = 200, body = Vec<RoleInList>, description = "A page")),
    extensions(("x-permissions" = json!(["/security/read/"])))
)]
async fn list(cx: Cx, Query(paging): Query<Paging>) -> Result<List<RoleInList>, Error> {
    in_list(&cx, &paging).await
}

/// One security role.
#[utoipa::path(
    get, path = "/Security/Roles/{id}", tag = "SecurityRoles",
    params(("id" = i64, Path, description = "Id of the role")),
    responses((status = 200, body = RoleOutput, description = "The role")),
    extensions(("x-permissions" = json!(["/security/read/"])))
)]
async fn one(cx: Cx, PathId(id): PathId<i64>) -> Result<Json<RoleOutput>, Error> {
    cx.authorize(Permission::SecurityRead)?;
    output(&cx, id).await.map(Json)
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
    output(&cx, id).await.map(Json)
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
    output(&cx, id).await.map(Json)
}

impl TryFrom<RoleCreation> for Draft {
    type Error = Error;

    fn try_from(request: RoleCreation) -> Result<Self, Error> {
        Ok(Self {
            name: Some(request.name),
            description: Some(request.description),
            email_address: request.email_address.map_or(Maybe::Absent, Maybe::Value),
            permission_set_id: request.permission_set_id,
            permissions: permissions(request.permissions)?,
            holders: holders(request.claims)?,
            ..Self::default()
        })
    }
}

impl TryFrom<RoleUpdate> for Draft {
    type Error = Error;

    fn try_from(request: RoleUpdate) -> Result<Self, Error> {
        Ok(Self {
            name: Some(request.name),
            description: Some(request.description),
            email_address: request.email_address,
            permission_set_id: request.permission_set_id,
            permissions: permissions(request.permissions)?,
            holders: holders(request.claims)?,
            ..Self::default()
        })
    }
}

fn permissions(given: Option<Vec<String>>) -> Result<Permissions, Error> {
    given.map_or(Ok(Permissions::Stay), |given| {
        permission_strings::read("Permissions", &given).map(Permissions::Version2)
    })
}

fn holders(given: Option<Vec<ClaimOfRole>>) -> Result<Holders, Error> {
    given.map_or(Ok(Holders::Stay), |given| {
        let wanted = given.into_iter().enumerate();
        let wanted = wanted.map(|(index, claim)| claim.read(index));
        wanted.collect::<Result<_, _>>().map(Holders::Claims)
    })
}

/// A page of roles, by name unless told otherwise.
async fn in_list(cx: &Cx, paging: &Paging) -> Result<List<RoleInList>, Error> {
    cx.authorize(Permission::SecurityRead)?;
    let select = roles::Entity::find();
    let (rows, total) = page(
        cx,
        select,
        paging,
        reading::FIELDS,
        "Name",
        roles::Column::Id,
    )
    .await?;
    let counts: Vec<(i64, i64)> = role_claims::Entity::find()
        .select_only()
        .column(role_claims::Column::RoleId)
        .expr_as(
            Expr::col(role_claims::Column::ClaimId).count(),
            "claims_count",
        )
        .filter(role_claims::Column::RoleId.is_in(rows.iter().map(|row| row.id)))
        .group_by(role_claims::Column::RoleId)
        .into_tuple()
        .all(cx.db().read())
        .await?;
    let counts: HashMap<i64, i64> = counts.into_iter().collect();
    let items = rows.into_iter().map(|row| RoleInList {
        claims_count: counts.get(&row.id).copied().unwrap_or_default(),
        id: row.id,
        name: row.name,
        email_address: row.email_address,
        immutable: row.immutable,
        permission_set_id: row.permission_set_id,
    });
    Ok(List {
        items: items.collect(),
        total,
    })
}

/// One role. The caller was authorized.
async fn output(cx: &Cx, id: i64) -> Result<RoleOutput, Error> {
    let connection = cx.db().read();
    let row = role_by_id(connection, id).await?;
    let row = row.ok_or_else(|| Error::not_found("security role", id))?;
    let mut grants = role_grants::of_roles(connection, &[id]).await?;
    let mut holders = claims::holders(connection, &[id]).await?;
    let providers = Providers::read(connection).await?;
    let grants = grants.remove(&id).unwrap_or_default();
    let holders = holders.remove(&id).unwrap_or_default().into_iter();
    Ok(RoleOutput {
        permissions: grants.iter().map(ToString::to_string).collect(),
        claims: holders
            .map(|holder| providers.output(holder.claim))
            .collect(),
        id: row.id,
        name: row.name,
        description: row.description,
        email_address: row.email_address,
        immutable: row.immutable,
        permission_set_id: row.permission_set_id,
    })
}
