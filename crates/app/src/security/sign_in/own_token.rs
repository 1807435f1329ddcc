//! Our own access tokens: what is in them, and how they are believed. They stand for a local account, which is looked at with
//! every call: one that was disabled, deleted or given another password has no tokens any more.

use std::net::IpAddr;
use std::sync::Arc;

use aws_lc_rs::digest;
use base64::Engine;
use base64::engine::general_purpose::URL_SAFE_NO_PAD;
use db::tables::accounts;
use jsonwebtoken::{Algorithm, Header};
use serde_json::{Value, json};

use super::token::{self, Said, Wanted};
use super::{basic, bearer};
use crate::app::App;
use crate::audit::{self, Category, Entry, Operation};
use crate::cx::{Cx, Identity};
use crate::error::Error;
use crate::security::token_keys;

/// How long an access token lives, in seconds.
pub(crate) const TOKEN_LIFETIME_S: i64 = 60 * 60;

/// Who issues our tokens, and for whom they are: this server, as clients reach it.
pub(crate) fn issuer(app: &App) -> &str {
    let url = app.options.public_url.as_deref();
    url.unwrap_or("https://localhost").trim_end_matches('/')
}

/// What changes with the password, and tells nothing about it.
pub(crate) fn fingerprint(password_hash: &str) -> String {
    let hash = digest::digest(
        &digest::SHA256,
        format!("credential\0{password_hash}").as_bytes(),
    );
    URL_SAFE_NO_PAD.encode(&hash.as_ref()[..16])
}

/// A token for an account that has proven who it is, and its record.
///
/// # Errors
/// Those of the database, and of the keys.
pub(crate) async fn issue(cx: &Cx, account: &accounts::Model) -> Result<String, Error> {
    let app = cx.app();
    let (key_id, key) = token_keys::signing(app).await?;
    let now = app.clock.now() / 1000;
    let header = Header {
        kid: Some(key_id),
        typ: Some("at+jwt".into()),
        ..Header::new(Algorithm::ES256)
    };
    let id = app.randomness.guid();
    let claims = json!({
        "iss": issuer(app), "aud": issuer(app), "sub": account.name, "client_id": account.name,
        "iat": now, "nbf": now, "exp": now + TOKEN_LIFETIME_S, "jti": id,
        "account": account.id, "credential": fingerprint(&account.password_hash),
    });
    let token = jsonwebtoken::encode(&header, &claims, &key).map_err(Error::internal)?;
    let message = format!(
        "An access token was issued to the account {}.",
        account.name
    );
    let entry = Entry::new(Operation::Created, Category::Access, &account.name, message)
        .after(json!({ "Id": id, "AccountId": account.id }));
    let cx = cx.clone();
    let db = cx.db().clone();
    db.write("tokens.issue", move |tx| {
        Box::pin(async move { audit::record(tx, &cx, entry).await })
    })
    .await?;
    Ok(token)
}

/// Whose token this is.
///
/// # Errors
/// 401 without a reason; the reason goes to the log.
pub(super) async fn sign_in(
    app: &Arc<App>,
    token: &str,
    said: &Said,
    address: Option<IpAddr>,
) -> Result<Identity, Error> {
    let refused = |reason: &str| bearer::logged(reason, Some(said), address);
    let key = match &said.key_id {
        Some(id) => token_keys::verifying(app, id).await?,
        None => None,
    };
    let key = key.ok_or_else(|| refused("there is no such key of ours"))?;
    let wanted = Wanted {
        algorithms: &[Algorithm::ES256],
        issuer: issuer(app),
        audiences: &[issuer(app)],
        now: app.clock.now(),
    };
    let claims = token::verify(token, &key, &wanted).map_err(|reason| refused(&reason))?;
    let id = claims.get("account").and_then(Value::as_i64);
    let id = id.ok_or_else(|| refused("the token names no account"))?;
    let found = basic::find_by_id(app, id).await?;
    let Some((account, generation)) = found.filter(|(account, _)| !account.disabled) else {
        return Err(refused("the account is disabled, or is gone"));
    };
    let credential = claims.get("credential").and_then(Value::as_str);
    if credential != Some(&fingerprint(&account.password_hash)) {
        return Err(refused("the account has another password since"));
    }
    basic::identity(app, account, generation).await
}
