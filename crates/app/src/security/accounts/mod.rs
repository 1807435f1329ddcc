//! Local accounts, `/Chancery/Accounts`: people and machines that sign in with a name and a password. And what the machine's
//! owner does with them.

mod changing;
mod own_password;
mod reading;
mod wire;

use std::sync::Arc;

use db::tables::accounts;
use sea_orm::{ColumnTrait, EntityTrait, QueryFilter};
use utoipa_axum::router::OpenApiRouter;
use utoipa_axum::routes;

use crate::app::App;
use crate::cx::Cx;
use crate::error::Error;
use crate::web::{Body, Json, List, NoContent, Paging, PathId, Query};
use changing::{NewAccount, Which};
use wire::{AccountCreation, AccountOutput, PasswordChange, PasswordReset};

/// Where one changes the own password: the one operation that is allowed while a change is due.
pub(crate) const OWN_PASSWORD: &str = "/Chancery/Accounts/My/Password";

/// `/Chancery/Accounts`.
pub(super) fn routes() -> OpenApiRouter {
    OpenApiRouter::new()
        .routes(routes!(list, create_one))
        .routes(routes!(own_password))
        .routes(routes!(one, delete))
        .routes(routes!(disable))
        .routes(routes!(enable))
        .routes(routes!(password))
}

/// Local accounts.
#[utoipa::path(
    get, path = "/Chancery/Accounts", tag = "ChancerySecurity", params(Paging),
    responses((status = 200, body = Vec<AccountOutput>, description = "A page")),
    extensions(("x-permissions" = json!(["/security/read/"])))
)]
async fn list(cx: Cx, Query(paging): Query<Paging>) -> Result<List<AccountOutput>, Error> {
    reading::list(&cx, &paging).await
}

/// One local account.
#[utoipa::path(
    get, path = "/Chancery/Accounts/{id}", tag = "ChancerySecurity",
    params(("id" = i64, Path, description = "Id of the account")),
    responses((status = 200, body = AccountOutput, description = "The account")),
    extensions(("x-permissions" = json!(["/security/read/"])))
)]
async fn one(cx: Cx, PathId(id): PathId<i64>) -> Result<Json<AccountOutput>, Error> {
    reading::one(&cx, id).await.map(Json)
}

/// Creates a local account, in roles that grant nothing the caller does not hold.
#[utoipa::path(
    post, path = "/Chancery/Accounts", tag = "ChancerySecurity", request_body = AccountCreation,
    responses((status = 200, body = AccountOutput, description = "The new account")),
    extensions(("x-permissions" = json!(["/security/modify/"])))
)]
async fn create_one(
    cx: Cx,
    Body(request): Body<AccountCreation>,
) -> Result<Json<AccountOutput>, Error> {
    let given = NewAccount {
        name: request.name,
        password: request.password,
        must_change: request.must_change_password.unwrap_or(true),
        roles: request.roles.unwrap_or_default(),
    };
    let id = changing::create(&cx, given).await?;
    reading::after(&cx, id).await.map(Json)
}

/// Deletes a local account: neither one's own nor the last administrator's.
#[utoipa::path(
    delete, path = "/Chancery/Accounts/{id}", tag = "ChancerySecurity",
    params(("id" = i64, Path, description = "Id of the account")),
    responses((status = 204, description = "There is no such account any more")),
    extensions(("x-permissions" = json!(["/security/modify/"])))
)]
async fn delete(cx: Cx, PathId(id): PathId<i64>) -> Result<NoContent, Error> {
    changing::delete(&cx, id).await?;
    Ok(NoContent)
}

/// Keeps a local account from signing in.
#[utoipa::path(
    post, path = "/Chancery/Accounts/{id}/Disable", tag = "ChancerySecurity",
    params(("id" = i64, Path, description = "Id of the account")),
    responses((status = 204, description = "It cannot sign in")),
    extensions(("x-permissions" = json!(["/security/modify/"])))
)]
async fn disable(cx: Cx, PathId(id): PathId<i64>) -> Result<NoContent, Error> {
    changing::set_disabled(&cx, Which::Id(id), true).await?;
    Ok(NoContent)
}

/// Lets a local account sign in again.
#[utoipa::path(
    post, path = "/Chancery/Accounts/{id}/Enable", tag = "ChancerySecurity",
    params(("id" = i64, Path, description = "Id of the account")),
    responses((status = 204, description = "It can sign in")),
    extensions(("x-permissions" = json!(["/security/modify/"])))
)]
async fn enable(cx: Cx, PathId(id): PathId<i64>) -> Result<NoContent, Error> {
    changing::set_disabled(&cx, Which::Id(id), false).await?;
    Ok(NoContent)
}

/// Gives a local account a new password, and unlocks it.
#[utoipa::path(
    post, path = "/Chancery/Accounts/{id}/Password", tag = "ChancerySecurity", request_body = PasswordReset,
    params(("id" = i64, Path, description = "Id of the account")),
    responses((status = 204, description = "The new password counts, and no other")),
    extensions(("x-permissions" = json!(["/security/modify/"])))
)]
async fn password(
    cx: Cx,
    PathId(id): PathId<i64>,
    Body(request): Body<PasswordReset>,
) -> Result<NoContent, Error> {
    let must_change = request.must_change_password.unwrap_or(true);
    changing::reset_password(&cx, Which::Id(id), request.password, must_change).await?;
    Ok(NoContent)
}

/// Changes the caller's own password.
#[utoipa::path(
    post, path = "/Chancery/Accounts/My/Password", tag = "ChancerySecurity", request_body = PasswordChange,
    responses((status = 204, description = "The new password counts, and no other")),
    extensions(("x-permissions" = json!([])))
)]
async fn own_password(cx: Cx, Body(request): Body<PasswordChange>) -> Result<NoContent, Error> {
    own_password::change(&cx, request).await?;
    Ok(NoContent)
}

/// Creates an account that holds the named roles, for the machine's owner, who chose the password. Answers its id.
///
/// # Errors
/// 400 for an empty or taken name, a password against the rules, or an unknown role; 403 without the permission.
pub async fn create(
    cx: &Cx,
    name: &str,
    password: String,
    role_names: &[String],
) -> Result<i64, Error> {
    let given = NewAccount {
        name: name.to_owned(),
        password,
        must_change: false,
        roles: role_names.to_vec(),
    };
    changing::create(cx, given).await
}

/// Gives an account a new password and unlocks it, for the machine's owner.
///
/// # Errors
/// 404 for an unknown name, 400 for a password against the rules, 403 without the permission.
pub async fn reset_password(cx: &Cx, name: &str, password: String) -> Result<(), Error> {
    changing::reset_password(cx, Which::Name(name.to_owned()), password, false).await
}

/// Keeps an account from signing in, or lets it sign in again.
///
/// # Errors
/// 404 for an unknown name, 400 for the last administrator, 403 without the permission.
pub async fn set_disabled(cx: &Cx, name: &str, disabled: bool) -> Result<(), Error> {
    changing::set_disabled(cx, Which::Name(name.to_owned()), disabled).await
}

/// Whether any account exists; a new installation has none.
///
/// # Errors
/// Those of the database.
pub async fn any(app: &Arc<App>) -> Result<bool, Error> {
    Ok(accounts::Entity::find()
        .one(app.db().read())
        .await?
        .is_some())
}

/// Whether there is an account of this name.
///
/// # Errors
/// Those of the database.
pub async fn exists(app: &Arc<App>, name: &str) -> Result<bool, Error> {
    let found = accounts::Entity::find()
        .filter(accounts::Column::NameFold.eq(db::fold(name)))
        .one(app.db().read())
        .await?;
    Ok(found.is_some())
}

/// A password that is hard to guess and easy to type: 24 letters and digits in groups.
pub fn random_password() -> String {
    const LETTERS: &[u8] = b"abcdefghjkmnpqrstuvwxyzABCDEFGHJKLMNPQRSTUVWXYZ23456789";
    // The greatest multiple of 55 that an octet reaches is 220: each letter is as likely as the others.
    let letter = || {
        loop {
            let mut octet = zeroize::Zeroizing::new([0_u8]);
            aws_lc_rs::rand::fill(&mut *octet).expect("the operating system gives randomness");
            if octet[0] < 220 {
                break char::from(LETTERS[usize::from(octet[0]) % LETTERS.len()]);
            }
        }
    };
    std::iter::repeat_with(letter).take(24).enumerate().fold(
        String::new(),
        |mut text, (index, letter)| {
            if index > 0 && index % 6 == 0 {
                text.push('-');
            }
            text.push(letter);
            text
        },
    )
}
