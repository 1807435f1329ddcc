//! Browsers that are signed in: the cookie that says so, and what it takes to be believed. The row is read with every request,
//! so that a session which somebody ended is over at once, in every server on the same database.

use std::sync::Arc;

use aws_lc_rs::digest;
use axum::http::{HeaderMap, header};
use db::tables::{accounts, sessions};
use sea_orm::sea_query::{Expr, ExprTrait, Query, SimpleExpr};
use sea_orm::{ActiveValue, ColumnTrait, EntityTrait, FromQueryResult, QueryFilter, QuerySelect};

use super::token_claims::qualified;
use super::{bearer, grants, own_token, token_claims};
use crate::app::App;
use crate::cx::Identity;
use crate::error::{Error, Kind};
use crate::generation::Generation;
use crate::identity_providers;
use crate::security::claims::{ClaimType, LOCAL_PROVIDER};

/// The cookie of a session. The prefix makes browsers insist on TLS, on this host alone, and on the whole of it.
pub(crate) const COOKIE: &str = "__Host-chancery";
/// A session that nobody used so long is over, in milliseconds.
pub(crate) const IDLE_MS: i64 = 30 * 60 * 1000;
/// A session is over after so long in any case, in milliseconds.
pub(crate) const LIFETIME_MS: i64 = 12 * 60 * 60 * 1000;
/// How exactly the last use is written down, in milliseconds.
const SEEN_STEP_MS: i64 = 60 * 1000;

/// SHA-256 in hexadecimal, in which secrets of browsers are kept.
pub(crate) fn hash(secret: &str) -> String {
    hex::encode(digest::digest(&digest::SHA256, secret.as_bytes()))
}

/// The value of a cookie; none if it is there twice, since then one of them is somebody else's.
pub(crate) fn cookie<'h>(headers: &'h HeaderMap, name: &str) -> Option<&'h str> {
    let mut found = headers
        .get_all(header::COOKIE)
        .iter()
        .filter_map(|value| value.to_str().ok())
        .flat_map(|value| value.split(';'))
        .filter_map(|pair| pair.trim().split_once('='))
        .filter(|(known, _)| *known == name)
        .map(|(_, value)| value);
    let first = found.next()?;
    found.next().is_none().then_some(first)
}

/// Whether the request says that a script of ours made it, which a page of somebody else cannot have browsers say.
pub(crate) fn guarded(headers: &HeaderMap) -> Result<(), Error> {
    let value = headers.get("x-keyfactor-requested-with");
    if value.is_some_and(|value| !value.is_empty()) {
        return Ok(());
    }
    Err(Error::forbidden(
        "Requests of browser sessions need the header x-keyfactor-requested-with.",
    ))
}

#[derive(FromQueryResult)]
struct Found {
    #[sea_orm(nested)]
    session: sessions::Model,
    generation: Option<i64>,
    password_hash: Option<String>,
    claim_id: Option<i64>,
}

/// A column of the session's account, unless it is disabled.
fn of_account(column: accounts::Column) -> SimpleExpr {
    let query = Query::select()
        .column((accounts::Entity, column))
        .from(accounts::Entity)
        .and_where(
            Expr::col((accounts::Entity, accounts::Column::Id))
                .equals((sessions::Entity, sessions::Column::AccountId)),
        )
        .and_where(Expr::col((accounts::Entity, accounts::Column::Disabled)).eq(false))
        .to_owned();
    SimpleExpr::SubQuery(None, Box::new(query.into()))
}

/// Whose session this is.
///
/// # Errors
/// 401 for a session that is over; 403 for one that goes on, without the header of the cross-site guard.
pub(super) async fn sign_in(
    app: &Arc<App>,
    secret: &str,
    headers: &HeaderMap,
) -> Result<Identity, Error> {
    let over = || Error::new(Kind::Unauthenticated, "The session is over. Sign in again.");
    let hash = hash(secret);
    let found = sessions::Entity::find()
        .expr_as(Generation::Security.query(), "generation")
        .expr_as(of_account(accounts::Column::PasswordHash), "password_hash")
        .expr_as(of_account(accounts::Column::ClaimId), "claim_id")
        .filter(sessions::Column::TokenHash.eq(&hash))
        .into_model::<Found>()
        .one(app.db.read())
        .await?;
    let found = found.ok_or_else(over)?;
    let (session, now) = (found.session, app.clock.now());
    if now >= session.expires_at || now - session.last_seen_at >= IDLE_MS {
        return Err(over());
    }
    let generation = found.generation.unwrap_or_default();
    let (provider, claim_ids) = match (session.account_id, session.identity_provider_id) {
        (Some(_), _) => {
            let hash = found.password_hash.ok_or_else(over)?;
            if own_token::fingerprint(&hash) != session.credential {
                return Err(over());
            }
            (LOCAL_PROVIDER.to_owned(), Vec::from_iter(found.claim_id))
        }
        (None, Some(id)) => of_provider(app, &session, id, generation)
            .await?
            .ok_or_else(over)?,
        (None, None) => return Err(over()),
    };
    let (name, subject) = match session.account_id {
        Some(id) => (session.name, id.to_string()),
        None => (qualified(&provider, &session.name), session.subject),
    };
    // Not before: who made up a cookie is nobody, and leaves no record.
    guarded(headers).map_err(|error| error.tried(&name))?;
    if now - session.last_seen_at >= SEEN_STEP_MS {
        seen(app, session.id, now).await?;
    }
    Ok(Identity {
        account_id: session.account_id,
        // Such an account gets no session, and one made before ends with its password.
        must_change_password: false,
        name,
        provider,
        subject,
        session_id: Some(session.id),
        grants: grants::of(app, &claim_ids, generation).await?,
        claim_ids,
        generation,
    })
}

/// The scheme and the claims of a session that a provider vouched for.
async fn of_provider(
    app: &App,
    session: &sessions::Model,
    provider_id: uuid::Uuid,
    generation: i64,
) -> Result<Option<(String, Vec<i64>)>, Error> {
    let mut key = [0; 32];
    hex::decode_to_slice(&session.token_hash, &mut key).map_err(Error::internal)?;
    let now = app.clock.now();
    if let Some(known) = app.tokens.find(&key, generation, now) {
        return Ok(Some((known.scheme.clone(), known.claim_ids.clone())));
    }
    let providers = identity_providers::all(app, generation).await?;
    let provider = providers
        .iter()
        .find(|one| one.id == provider_id && one.enabled);
    let Some(provider) = provider else {
        return Ok(None);
    };
    let said: Vec<(i64, String)> = serde_json::from_str(&session.claims)?;
    let said: Vec<(ClaimType, String)> = said
        .into_iter()
        .filter_map(|(kind, value)| Some((ClaimType::of_number(kind)?, value)))
        .collect();
    let claim_ids = token_claims::entered(app, &provider.scheme, &said).await?;
    let bearer = bearer::Bearer {
        name: session.name.clone(),
        subject: session.subject.clone(),
        scheme: provider.scheme.clone(),
        claim_ids: claim_ids.clone(),
    };
    app.tokens
        .remember(key, bearer, generation, session.expires_at, now);
    Ok(Some((provider.scheme.clone(), claim_ids)))
}

async fn seen(app: &App, id: uuid::Uuid, now: i64) -> Result<(), Error> {
    app.db
        .write("sessions.seen", move |tx| {
            Box::pin(async move {
                // One that was ended meanwhile stays ended.
                sessions::Entity::update_many()
                    .set(sessions::ActiveModel {
                        last_seen_at: ActiveValue::Set(now),
                        ..Default::default()
                    })
                    .filter(sessions::Column::Id.eq(id))
                    .exec(tx)
                    .await?;
                Ok::<_, Error>(())
            })
        })
        .await
}
