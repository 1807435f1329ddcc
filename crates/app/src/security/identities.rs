//! `/Security/Identities`: what roles can be given to, as version 1 knows it. An identity is a claim; a local account is one.

use std::collections::HashMap;

use db::tables::{accounts, claims, role_claims, roles};
use sea_orm::sea_query::Expr;
use sea_orm::{ColumnTrait, EntityTrait, QueryFilter, QueryOrder};
use serde::{Deserialize, Serialize};
use serde_json::json;
use utoipa::{IntoParams, ToSchema};
use utoipa_axum::router::OpenApiRouter;
use utoipa_axum::routes;
use uuid::Uuid;

use super::claims::{About, ClaimOutput, ClaimType, Holder, Providers, with_accounts};
use super::permissions::{Grant, Per, Permission, legacy_names};
use super::roles::holders::{Named, by_name};
use super::roles::wire::IdentityOutput as IdentityOfRole;
use super::{administration, role_grants};
use crate::audit::{self, Category, Entry, Operation};
use crate::cx::Cx;
use crate::error::Error;
use crate::web::list::FieldKind::{Folded, Integer};
use crate::web::list::{Field, field, page};
use crate::web::{Body, Json, List, NoContent, Paging, PathId, Query};

use claims::Column as C;

/// Who vouches for names that are no local accounts: version 1 knows nobody else (command-behaviour.md B.13).
const DIRECTORY: &str = "Active Directory";
/// Characters of a name at most.
const NAME_MAX: usize = 1_024;

/// What a list may be sorted by.
const FIELDS: &[Field] = &[
    field("Id", Integer(&[]), || Expr::col((claims::Entity, C::Id))),
    field("AccountName", Folded, || {
        Expr::col((claims::Entity, C::ValueFold))
    }),
    field("IdentityType", Integer(&[]), || {
        Expr::col((claims::Entity, C::ClaimType))
    }),
];

/// An identity.
#[derive(Debug, Serialize, ToSchema)]
#[serde(rename_all = "PascalCase")]
#[schema(as = SecurityIdentity)]
struct IdentityOutput {
    id: i64,
    /// The name of a local account, or the value of a claim.
    account_name: String,
    /// `User` for local accounts; otherwise the type of the claim.
    identity_type: &'static str,
    roles: Vec<RoleOfIdentity>,
    /// False for a local account that is disabled.
    valid: bool,
    /// Always null: nobody here has one.
    #[serde(rename = "SID")]
    sid: Option<String>,
}

/// A role that an identity holds.
#[derive(Debug, Serialize, ToSchema)]
#[serde(rename_all = "PascalCase")]
#[schema(as = SecurityIdentityRole)]
struct RoleOfIdentity {
    id: i64,
    name: String,
    description: String,
    enabled: bool,
    immutable: bool,
    valid: bool,
    private: bool,
    permission_set_id: Uuid,
    /// What it grants system-wide, each as `Area:Permission`.
    permissions: Vec<&'static str>,
    /// Always null here: the identity it stands in is one of them.
    identities: Option<Vec<IdentityOfRole>>,
}

/// An identity to make known.
#[derive(Debug, Deserialize, ToSchema)]
#[serde(rename_all = "PascalCase")]
#[schema(as = SecurityIdentityRequest)]
struct IdentityCreation {
    /// `DOMAIN\name`, or the name of a local account.
    account_name: String,
}

/// An identity and everything that its roles grant.
#[derive(Debug, Serialize, ToSchema)]
#[serde(rename_all = "PascalCase")]
#[schema(as = SecurityIdentityPermissions)]
struct IdentityPermissions {
    claim: ClaimOutput,
    identity: String,
    /// System-wide, each as `Area:Permission`.
    secured_area_permissions: Vec<GrantedPermission>,
    /// On certificate collections, each as a version 2 string.
    collection_permissions: Vec<GrantedPermission>,
    /// On containers of certificate stores, each as a version 2 string.
    container_permissions: Vec<GrantedPermission>,
    /// On PAM providers, each as a version 2 string.
    pam_provider_permissions: Vec<GrantedPermission>,
    /// Empty: nothing can be granted on an identity provider.
    identity_provider_permissions: Vec<GrantedPermission>,
    /// System-wide on PAM providers, each as `Area:Permission`.
    pam_permissions: Vec<GrantedPermission>,
}

/// A permission, and where it comes from.
#[derive(Debug, Serialize, ToSchema)]
#[serde(rename_all = "PascalCase")]
#[schema(as = SecurityGrantedPermission)]
struct GrantedPermission {
    permission: String,
    /// Names of roles.
    granted_by_roles: Vec<String>,
}

/// What a list of identities is asked besides its page.
#[derive(Debug, Deserialize, IntoParams)]
#[serde(rename_all = "PascalCase")]
#[into_params(parameter_in = Query, rename_all = "PascalCase")]
#[expect(dead_code, reason = "accepted: accounts are always looked at")]
struct Validation {
    /// Accepted; `Valid` is always looked at.
    validate: Option<bool>,
}

/// Whom to look for.
#[derive(Debug, Deserialize, IntoParams)]
#[serde(rename_all = "PascalCase")]
#[into_params(parameter_in = Query)]
struct Lookup {
    /// `name`, `DOMAIN\name` or `name@domain`.
    #[param(rename = "accountName")]
    account_name: Option<String>,
}

/// Whether somebody is known.
#[derive(Debug, Serialize, ToSchema)]
#[serde(rename_all = "PascalCase")]
#[schema(as = SecurityIdentityLookup)]
struct LookupOutput {
    valid: bool,
}

/// `/Security/Identities`.
pub(super) fn routes() -> OpenApiRouter {
    OpenApiRouter::new()
        .routes(routes!(list, create))
        .routes(routes!(lookup))
        .routes(routes!(one, delete))
}

/// Identities and their roles.
#[utoipa::path(
    get, path = "/Security/Identities", tag = "Security", params(Paging, Validation),
    responses((status = 200, body = Vec<IdentityOutput>, description = "A page")),
    extensions(("x-permissions" = json!(["/security/read/"])))
)]
async fn list(
    cx: Cx,
    Query(paging): Query<Paging>,
    Query(_): Query<Validation>,
) -> Result<List<IdentityOutput>, Error> {
    cx.authorize(Permission::SecurityRead)?;
    let select = claims::Entity::find();
    let (rows, total) = page(&cx, select, &paging, FIELDS, "AccountName", C::Id).await?;
    Ok(List {
        items: outputs(&cx, rows).await?,
        total,
    })
}

/// Makes an identity known, so that version 1 roles can name it: a local account is already, any other name becomes a claim of
/// the type User of the provider `Active Directory`.
#[utoipa::path(
    post, path = "/Security/Identities", tag = "Security", request_body = IdentityCreation,
    responses((status = 200, body = IdentityOutput, description = "The identity")),
    extensions(("x-permissions" = json!(["/security/modify/"])))
)]
async fn create(
    cx: Cx,
    Body(request): Body<IdentityCreation>,
) -> Result<Json<IdentityOutput>, Error> {
    create_identity(&cx, &request.account_name).await.map(Json)
}

/// Whether a name is one of a local account or of a claim.
#[utoipa::path(
    get, path = "/Security/Identities/Lookup", tag = "Security", params(Lookup),
    responses((status = 200, body = LookupOutput, description = "Whether it is")),
    extensions(("x-permissions" = json!(["/security/read/"])))
)]
async fn lookup(cx: Cx, Query(wanted): Query<Lookup>) -> Result<Json<LookupOutput>, Error> {
    cx.authorize(Permission::SecurityRead)?;
    let name = wanted.account_name.unwrap_or_default();
    let known = by_name(cx.db().read(), &name, &[]).await?;
    let valid = !matches!(known, Named::Nobody);
    Ok(Json(LookupOutput { valid }))
}

/// One identity with everything that its roles grant.
#[utoipa::path(
    get, path = "/Security/Identities/{id}", tag = "Security",
    params(("id" = i64, Path, description = "Id of the identity")),
    responses((status = 200, body = IdentityPermissions, description = "The identity")),
    extensions(("x-permissions" = json!(["/security/read/"])))
)]
async fn one(cx: Cx, PathId(id): PathId<i64>) -> Result<Json<IdentityPermissions>, Error> {
    permissions_of(&cx, id).await.map(Json)
}

/// Takes all roles away from an identity, and forgets it unless it is a local account.
#[utoipa::path(
    delete, path = "/Security/Identities/{id}", tag = "Security",
    params(("id" = i64, Path, description = "Id of the identity")),
    responses((status = 204, description = "It holds no role any more")),
    extensions(("x-permissions" = json!(["/security/modify/"])))
)]
async fn delete(cx: Cx, PathId(id): PathId<i64>) -> Result<NoContent, Error> {
    delete_identity(&cx, id).await?;
    Ok(NoContent)
}

async fn create_identity(cx: &Cx, name: &str) -> Result<IdentityOutput, Error> {
    cx.authorize_administration()?;
    let name = name.trim().to_owned();
    if db::fold(&name).is_empty()
        || name.chars().count() > NAME_MAX
        || name.chars().any(char::is_control)
    {
        return Err(Error::bad_request(format!(
            "AccountName: has to be 1 to {NAME_MAX} characters of text."
        )));
    }
    let context = cx.clone();
    let db = cx.db().clone();
    let row = db.write("identities.create", move |tx| {
        Box::pin(async move {
            let (_, context) = administration::begin(tx, &context).await?;
            match by_name(tx, &name, &[]).await? {
                Named::One(id) => {
                    let known = claims::Entity::find_by_id(id).one(tx).await?;
                    known.ok_or_else(|| Error::internal("a claim was lost while reading it"))
                }
                Named::Several => Err(Error::bad_request(format!(
                    "AccountName: {name:?} is the value of several claims already."
                ))),
                Named::Nobody => {
                    let about = About {
                        kind: ClaimType::User,
                        value: name,
                        provider: DIRECTORY.to_owned(),
                    };
                    super::claims::insert(tx, &context, about, String::new()).await
                }
            }
        })
    });
    let row = row.await?;
    outputs(cx, vec![row])
        .await?
        .pop()
        .ok_or_else(|| Error::internal("an identity was lost while reading it"))
}

async fn delete_identity(cx: &Cx, id: i64) -> Result<(), Error> {
    cx.authorize_administration()?;
    let cx = cx.clone();
    let db = cx.db().clone();
    db.write("identities.delete", move |tx| {
        Box::pin(async move {
            let (begun, cx) = administration::begin(tx, &cx).await?;
            let row = claims::Entity::find_by_id(id).one(tx).await?;
            let row = row.ok_or_else(|| Error::not_found("security identity", id))?;
            let account = accounts::Entity::find()
                .filter(accounts::Column::ClaimId.eq(id))
                .one(tx)
                .await?;
            let Some(account) = account else {
                return super::claims::delete_unchecked(tx, &cx, row).await;
            };
            let held = roles_of(tx, &[id]).await?.remove(&id).unwrap_or_default();
            let names: Vec<&str> = held.iter().map(|role| role.name.as_str()).collect();
            role_claims::Entity::delete_many()
                .filter(role_claims::Column::ClaimId.eq(id))
                .exec(tx)
                .await?;
            begun.administrators_remain(tx).await?;
            let message = format!("All roles were taken from the account {}.", account.name);
            let entry = Entry::new(
                Operation::Updated,
                Category::Account,
                &account.name,
                message,
            );
            let entry = entry
                .before(json!({ "Roles": names }))
                .after(json!({ "Roles": [] }));
            audit::record(tx, &cx, entry).await
        })
    })
    .await
}

async fn outputs(cx: &Cx, rows: Vec<claims::Model>) -> Result<Vec<IdentityOutput>, Error> {
    let connection = cx.db().read();
    let ids: Vec<i64> = rows.iter().map(|row| row.id).collect();
    let mut held = roles_of(connection, &ids).await?;
    let mut role_ids: Vec<i64> = held.values().flatten().map(|role| role.id).collect();
    role_ids.sort_unstable();
    role_ids.dedup();
    let grants = role_grants::of_roles(connection, &role_ids).await?;
    let holders = with_accounts(connection, rows).await?;
    let output = |holder: Holder| {
        let roles = held.remove(&holder.claim.id).unwrap_or_default();
        let roles = roles.into_iter().map(|role| RoleOfIdentity {
            permissions: grants
                .get(&role.id)
                .map(|grants| legacy_names(grants))
                .unwrap_or_default(),
            id: role.id,
            name: role.name,
            description: role.description,
            enabled: role.enabled,
            immutable: role.immutable,
            valid: true,
            private: role.private,
            permission_set_id: role.permission_set_id,
            identities: None,
        });
        IdentityOutput {
            id: holder.claim.id,
            account_name: holder.name().to_owned(),
            identity_type: holder.kind(),
            roles: roles.collect(),
            valid: holder.valid(),
            sid: None,
        }
    };
    Ok(holders.into_iter().map(output).collect())
}

/// The roles of each of these claims, by name.
pub(super) async fn roles_of(
    connection: &impl sea_orm::ConnectionTrait,
    claim_ids: &[i64],
) -> Result<HashMap<i64, Vec<roles::Model>>, Error> {
    let links = role_claims::Entity::find()
        .filter(role_claims::Column::ClaimId.is_in(claim_ids.iter().copied()))
        .all(connection)
        .await?;
    let mut ids: Vec<i64> = links.iter().map(|link| link.role_id).collect();
    ids.sort_unstable();
    ids.dedup();
    let found = roles::Entity::find()
        .filter(roles::Column::Id.is_in(ids))
        .order_by_asc(roles::Column::NameFold)
        .all(connection)
        .await?;
    let mut held: HashMap<i64, Vec<roles::Model>> = HashMap::new();
    for role in found {
        for link in links.iter().filter(|link| link.role_id == role.id) {
            held.entry(link.claim_id).or_default().push(role.clone());
        }
    }
    Ok(held)
}

async fn permissions_of(cx: &Cx, id: i64) -> Result<IdentityPermissions, Error> {
    cx.authorize(Permission::SecurityRead)?;
    let connection = cx.db().read();
    let row = claims::Entity::find_by_id(id).one(connection).await?;
    let row = row.ok_or_else(|| Error::not_found("security identity", id))?;
    let held = roles_of(connection, &[id]).await?.remove(&id);
    let held = held.unwrap_or_default().into_iter();
    // What is not enabled grants nothing.
    let held: Vec<roles::Model> = held.filter(|role| role.enabled).collect();
    let ids: Vec<i64> = held.iter().map(|role| role.id).collect();
    let grants = role_grants::of_roles(connection, &ids).await?;
    let granted = |per: Per| -> Vec<GrantedPermission> {
        let mut found: Vec<GrantedPermission> = Vec::new();
        for role in &held {
            let grants = grants.get(&role.id).map(Vec::as_slice).unwrap_or_default();
            let permissions: Vec<String> = match per {
                Per::System => legacy_names(grants)
                    .into_iter()
                    .map(ToOwned::to_owned)
                    .collect(),
                _ => grants
                    .iter()
                    .filter(|grant: &&Grant| grant.per() == per)
                    .map(ToString::to_string)
                    .collect(),
            };
            for permission in permissions {
                match found
                    .iter_mut()
                    .find(|known| known.permission == permission)
                {
                    Some(known) => known.granted_by_roles.push(role.name.clone()),
                    None => found.push(GrantedPermission {
                        permission,
                        granted_by_roles: vec![role.name.clone()],
                    }),
                }
            }
        }
        found
    };
    let pam: Vec<&str> = [Permission::PamRead, Permission::PamModify]
        .iter()
        .map(|permission| permission.entry().legacy[0])
        .collect();
    let holder = with_accounts(connection, vec![row]).await?.pop();
    let holder = holder.ok_or_else(|| Error::internal("a claim was lost while reading it"))?;
    Ok(IdentityPermissions {
        identity: holder.name().to_owned(),
        claim: Providers::read(connection).await?.output(holder.claim),
        pam_permissions: granted(Per::System)
            .into_iter()
            .filter(|granted| pam.contains(&granted.permission.as_str()))
            .collect(),
        secured_area_permissions: granted(Per::System),
        collection_permissions: granted(Per::Collection),
        container_permissions: granted(Per::Container),
        pam_provider_permissions: granted(Per::PamProvider),
        identity_provider_permissions: Vec::new(),
    })
}
