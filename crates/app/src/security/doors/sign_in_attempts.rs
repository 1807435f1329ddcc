//! Browsers on their way to a provider and back. An attempt is for one browser, one provider and one return.

use aws_lc_rs::constant_time;
use aws_lc_rs::digest;
use base64::Engine;
use base64::engine::general_purpose::URL_SAFE_NO_PAD;
use db::tables::{sessions, sign_in_attempts};
use sea_orm::{ActiveValue, ColumnTrait, EntityTrait, PaginatorTrait, QueryFilter};
use uuid::Uuid;

use crate::app::App;
use crate::cx::Cx;
use crate::error::Error;
use crate::security::sign_in::hash;

/// How long a sign-in at the provider may take, in milliseconds.
pub(super) const ATTEMPT_MS: i64 = 10 * 60 * 1000;

/// What the browser keeps, in its cookie. Everything else of the attempt that is secret follows from it, so that nothing of
/// it lies in the database.
pub(super) struct BrowserSecret(pub(super) String);

impl BrowserSecret {
    pub(super) fn new() -> Result<Self, Error> {
        random().map(Self)
    }

    /// The code verifier of RFC 7636.
    pub(super) fn verifier(&self) -> String {
        self.derived("verifier")
    }

    /// What the provider is shown of it: S256.
    pub(super) fn challenge(&self) -> String {
        let hash = digest::digest(&digest::SHA256, self.verifier().as_bytes());
        URL_SAFE_NO_PAD.encode(hash)
    }

    /// What has to stand in the ID token.
    pub(super) fn nonce(&self) -> String {
        self.derived("nonce")
    }

    fn derived(&self, purpose: &str) -> String {
        let hash = digest::digest(&digest::SHA256, format!("{purpose}\0{}", self.0).as_bytes());
        URL_SAFE_NO_PAD.encode(hash)
    }
}

/// 256 bits that nobody guesses.
pub(crate) fn random() -> Result<String, Error> {
    let mut octets = [0; 32];
    aws_lc_rs::rand::fill(&mut octets).map_err(|_| Error::internal("no randomness"))?;
    Ok(URL_SAFE_NO_PAD.encode(octets))
}

/// Whether two texts are the same, in a time that tells nothing.
pub(super) fn same(one: &str, other: &str) -> bool {
    constant_time::verify_slices_are_equal(one.as_bytes(), other.as_bytes()).is_ok()
}

/// Writes an attempt down. Answers its state. How many an address may have under way is for [`crate::security::RateLimits`].
///
/// # Errors
/// Those of the database.
pub(super) async fn begin(
    cx: &Cx,
    secret: &BrowserSecret,
    provider_id: Uuid,
    return_to: String,
) -> Result<String, Error> {
    let state = random()?;
    let row = sign_in_attempts::ActiveModel {
        state_hash: ActiveValue::Set(hash(&state)),
        browser_hash: ActiveValue::Set(hash(&secret.0)),
        identity_provider_id: ActiveValue::Set(provider_id),
        return_to: ActiveValue::Set(return_to),
        expires_at: ActiveValue::Set(cx.now() + ATTEMPT_MS),
    };
    cx.db()
        .clone()
        .write("sign_in_attempts.begin", move |tx| {
            Box::pin(async move {
                sign_in_attempts::Entity::insert(row)
                    .exec_without_returning(tx)
                    .await?;
                Ok::<_, Error>(())
            })
        })
        .await?;
    Ok(state)
}

/// Takes an attempt, which thereby is over. Answers where the browser wanted to go; nothing if there is none for this state,
/// browser and provider.
///
/// # Errors
/// Those of the database.
pub(super) async fn take(
    cx: &Cx,
    state: &str,
    secret: &BrowserSecret,
    provider_id: Uuid,
) -> Result<Option<String>, Error> {
    let state_hash = hash(state);
    let taken = cx
        .db()
        .clone()
        .write("sign_in_attempts.take", move |tx| {
            Box::pin(async move {
                let found = sign_in_attempts::Entity::find_by_id(state_hash.clone())
                    .one(tx)
                    .await?;
                let deleted = sign_in_attempts::Entity::delete_by_id(state_hash)
                    .exec(tx)
                    .await?;
                // Of two that take it at once, one does.
                Ok::<_, Error>(found.filter(|_| deleted.rows_affected == 1))
            })
        })
        .await?;
    let fits = |attempt: &sign_in_attempts::Model| {
        attempt.expires_at > cx.now()
            && attempt.identity_provider_id == provider_id
            && same(&attempt.browser_hash, &hash(&secret.0))
    };
    Ok(taken.filter(fits).map(|attempt| attempt.return_to))
}

/// Deletes what is over: attempts and sessions.
///
/// # Errors
/// Those of the database.
pub(crate) async fn sweep(app: &App) -> Result<(), Error> {
    let now = app.clock.now();
    let old_attempt = sign_in_attempts::Column::ExpiresAt.lte(now);
    let old_session = sea_orm::Condition::any()
        .add(sessions::Column::ExpiresAt.lte(now))
        .add(sessions::Column::LastSeenAt.lte(now - crate::security::sign_in::IDLE_MS));
    let attempts = sign_in_attempts::Entity::find()
        .filter(old_attempt.clone())
        .count(app.db.read());
    let ended = sessions::Entity::find()
        .filter(old_session.clone())
        .count(app.db.read());
    if attempts.await? == 0 && ended.await? == 0 {
        return Ok(());
    }
    app.db
        .write("sessions.sweep", move |tx| {
            Box::pin(async move {
                sign_in_attempts::Entity::delete_many()
                    .filter(old_attempt)
                    .exec(tx)
                    .await?;
                sessions::Entity::delete_many()
                    .filter(old_session)
                    .exec(tx)
                    .await?;
                Ok::<_, Error>(())
            })
        })
        .await
}
