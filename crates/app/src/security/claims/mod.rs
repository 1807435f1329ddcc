//! Claims: what identities are known by. Roles are held by claims, never by anything else; a local account is known by one.

mod changing;
mod reading;
mod wire;

use db::tables::claims;
use sea_orm::{ActiveModelTrait, ActiveValue};
use utoipa_axum::router::OpenApiRouter;
use utoipa_axum::routes;

use crate::cx::Cx;
use crate::error::Error;
use crate::web::{Body, Json, List, NoContent, Paging, PathId, Query};
pub(super) use changing::{delete_unchecked, insert};
pub(super) use changing::{find_or_create, record};
pub(super) use reading::{Holder, with_accounts};
pub(super) use reading::{Providers, holders};
pub(super) use wire::{About, ClaimOfRole, ClaimOutput, Wanted as WantedClaim};
use wire::{ClaimCreation, ClaimQuery, ClaimUpdate, RoleOfClaim};

/// The authentication scheme of claims that stand for local accounts.
pub const LOCAL_PROVIDER: &str = "Chancery";

/// The kind of a claim: the contract's ClaimType. Requests carry the number or the name, answers the name.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
#[repr(i32)]
pub enum ClaimType {
    /// A person's account; local accounts are of this type.
    User = 0,
    /// A group of the provider.
    Group = 1,
    /// A machine's account.
    Computer = 2,
    /// The object id of a token (`oid`).
    OAuthOid = 3,
    /// A role of a token.
    OAuthRole = 4,
    /// The subject of a token (`sub`).
    OAuthSubject = 5,
    /// The client of a token (`client_id`, `azp`).
    OAuthClientId = 6,
}

impl ClaimType {
    /// All of them, by number.
    pub const ALL: [(Self, &'static str); 7] = [
        (Self::User, "User"),
        (Self::Group, "Group"),
        (Self::Computer, "Computer"),
        (Self::OAuthOid, "OAuthOid"),
        (Self::OAuthRole, "OAuthRole"),
        (Self::OAuthSubject, "OAuthSubject"),
        (Self::OAuthClientId, "OAuthClientId"),
    ];

    /// As answers show it.
    pub fn name(self) -> &'static str {
        Self::ALL[self as usize].1
    }

    /// The type of this number.
    pub fn of_number(number: i64) -> Option<Self> {
        let index = usize::try_from(number).ok()?;
        Self::ALL.get(index).map(|(kind, _)| *kind)
    }

    /// The type of this name, in any case, or number.
    pub fn parse(text: &str) -> Option<Self> {
        let text = text.trim();
        let named = Self::ALL
            .iter()
            .find(|(_, name)| name.eq_ignore_ascii_case(text))
            .map(|(kind, _)| *kind);
        named.or_else(|| Self::of_number(text.parse().ok()?))
    }
}

/// `/Security/Claims`.
pub(super) fn routes() -> OpenApiRouter {
    OpenApiRouter::new()
        .routes(routes!(list, create, update))
        .routes(routes!(roles))
        .routes(routes!(one, delete))
}

/// Claims: what identities are known by.
#[utoipa::path(
    get, path = "/Security/Claims", tag = "SecurityClaims", params(Paging),
    responses((status = 200, body = Vec<ClaimOutput>, description = "A page")),
    extensions(("x-permissions" = json!(["/security/read/"])))
)]
async fn list(cx: Cx, Query(paging): Query<Paging>) -> Result<List<ClaimOutput>, Error> {
    reading::list(&cx, &paging).await
}

/// One claim.
#[utoipa::path(
    get, path = "/Security/Claims/{id}", tag = "SecurityClaims",
    params(("id" = i64, Path, description = "Id of the claim")),
    responses((status = 200, body = ClaimOutput, description = "The claim")),
    extensions(("x-permissions" = json!(["/security/read/"])))
)]
async fn one(cx: Cx, PathId(id): PathId<i64>) -> Result<Json<ClaimOutput>, Error> {
    reading::one(&cx, id).await.map(Json)
}

/// The roles that a claim holds; none for a claim that nobody made.
#[utoipa::path(
    get, path = "/Security/Claims/Roles", tag = "SecurityClaims", params(ClaimQuery),
    responses((status = 200, body = Vec<RoleOfClaim>, description = "All of them, by name")),
    extensions(("x-permissions" = json!(["/security/read/"])))
)]
async fn roles(cx: Cx, Query(wanted): Query<ClaimQuery>) -> Result<Json<Vec<RoleOfClaim>>, Error> {
    reading::roles(&cx, &wanted).await.map(Json)
}

/// Creates a claim, so that roles can be given to it.
#[utoipa::path(
    post, path = "/Security/Claims", tag = "SecurityClaims", request_body = ClaimCreation,
    responses((status = 200, body = ClaimOutput, description = "The new claim")),
    extensions(("x-permissions" = json!(["/security/modify/"])))
)]
async fn create(cx: Cx, Body(request): Body<ClaimCreation>) -> Result<Json<ClaimOutput>, Error> {
    changing::create(&cx, request).await.map(Json)
}

/// Gives a claim another description. What it is about never changes.
#[utoipa::path(
    put, path = "/Security/Claims", tag = "SecurityClaims", request_body = ClaimUpdate,
    responses((status = 200, body = ClaimOutput, description = "The claim as it is now")),
    extensions(("x-permissions" = json!(["/security/modify/"])))
)]
async fn update(cx: Cx, Body(request): Body<ClaimUpdate>) -> Result<Json<ClaimOutput>, Error> {
    changing::update(&cx, request).await.map(Json)
}

/// Deletes a claim: it loses its roles. One that stands for a local account goes with the account alone.
#[utoipa::path(
    delete, path = "/Security/Claims/{id}", tag = "SecurityClaims",
    params(("id" = i64, Path, description = "Id of the claim")),
    responses((status = 204, description = "There is no such claim any more")),
    extensions(("x-permissions" = json!(["/security/modify/"])))
)]
async fn delete(cx: Cx, PathId(id): PathId<i64>) -> Result<NoContent, Error> {
    changing::delete(&cx, id).await?;
    Ok(NoContent)
}

/// Writes the claim that stands for a new local account. Answers its id.
///
/// # Errors
/// Those of the database.
pub(crate) async fn of_new_account(tx: &db::Tx, name: &str, now: i64) -> Result<i64, Error> {
    let row = claims::ActiveModel {
        id: ActiveValue::NotSet,
        claim_type: ActiveValue::Set(ClaimType::User as i32),
        value: ActiveValue::Set(name.to_owned()),
        value_fold: ActiveValue::Set(db::fold(name)),
        provider: ActiveValue::Set(LOCAL_PROVIDER.to_owned()),
        provider_fold: ActiveValue::Set(db::fold(LOCAL_PROVIDER)),
        description: ActiveValue::Set(format!("The local account {name}.")),
        created_at: ActiveValue::Set(now),
    };
    Ok(row.insert(tx).await?.id)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn types_stand_at_their_numbers_and_read_back() {
        for (number, (kind, name)) in ClaimType::ALL.into_iter().enumerate() {
            assert_eq!(kind as usize, number);
            assert_eq!(kind.name(), name);
            assert_eq!(ClaimType::parse(name), Some(kind));
            assert_eq!(ClaimType::parse(&number.to_string()), Some(kind));
        }
        assert_eq!(ClaimType::parse("oauthrole"), Some(ClaimType::OAuthRole));
        assert_eq!(ClaimType::parse("7"), None);
        assert_eq!(ClaimType::parse("-1"), None);
    }
}
