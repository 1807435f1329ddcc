//! Sign-in with `Authorization: Bearer`: a token of an identity provider that is entered here, or one of our own.

use std::collections::HashMap;
use std::net::IpAddr;
use std::sync::{Arc, Mutex, PoisonError};

use aws_lc_rs::digest;

use super::token::{self, Said, Wanted};
use super::{own_token, token_claims};
use crate::app::App;
use crate::cx::Identity;
use crate::error::{Error, Kind};
use crate::generation::Generation;
use crate::identity_providers::{self, Provider};

/// How long a verified token is remembered at most, in milliseconds: so long counts a key that was withdrawn.
const REMEMBERED_MS: i64 = 5 * 60 * 1000;
/// Tokens remembered at most.
const REMEMBERED_MAX: usize = 10_000;

/// Tokens that were verified a moment ago, by their SHA-256. What they gave counts as long as nobody changes a provider, a
/// claim or a role: all of those move the generation.
#[derive(Default)]
pub(crate) struct TokenCache(Mutex<HashMap<[u8; 32], Verified>>);

#[derive(Clone)]
struct Verified {
    generation: i64,
    until: i64,
    bearer: Arc<Bearer>,
}

/// Who a token stands for.
pub(super) struct Bearer {
    pub(super) name: String,
    pub(super) subject: String,
    pub(super) scheme: String,
    pub(super) claim_ids: Vec<i64>,
}

impl TokenCache {
    pub(super) fn find(&self, hash: &[u8; 32], generation: i64, now: i64) -> Option<Arc<Bearer>> {
        let known = self.0.lock().unwrap_or_else(PoisonError::into_inner);
        let found = known.get(hash)?;
        (found.generation == generation && now < found.until).then(|| Arc::clone(&found.bearer))
    }

    /// Remembers who a token stands for, until it ends or a little while has passed.
    pub(super) fn remember(
        &self,
        hash: [u8; 32],
        bearer: Bearer,
        generation: i64,
        ends_at: i64,
        now: i64,
    ) -> Arc<Bearer> {
        let verified = Verified {
            generation,
            until: ends_at.min(now + REMEMBERED_MS),
            bearer: Arc::new(bearer),
        };
        let bearer = Arc::clone(&verified.bearer);
        let mut known = self.0.lock().unwrap_or_else(PoisonError::into_inner);
        if known.len() >= REMEMBERED_MAX {
            known.retain(|_, one| one.until > now);
        }
        if known.len() < REMEMBERED_MAX {
            known.insert(hash, verified);
        }
        bearer
    }
}

/// Whose token this is.
///
/// # Errors
/// 401 without a reason; the reason goes to the log.
pub(super) async fn sign_in(
    app: &Arc<App>,
    token: &str,
    address: Option<IpAddr>,
) -> Result<Identity, Error> {
    let said = match token::said(token) {
        Ok(said) => said,
        Err(reason) => return Err(logged(&reason, None, address)),
    };
    if said.issuer == own_token::issuer(app) {
        return own_token::sign_in(app, token, &said, address).await;
    }
    let now = app.clock.now();
    let hash = hash(token);
    let generation = Generation::Security.now(app.db.read()).await?;
    let bearer = match app.tokens.find(&hash, generation, now) {
        Some(bearer) => bearer,
        None => {
            let (provider, claims) = verify(app, token, &said, generation)
                .await?
                .map_err(|reason| logged(&reason, Some(&said), address))?;
            let portrait = token_claims::portrait(&provider, &claims, true)
                .map_err(|reason| logged(&reason, Some(&said), address))?;
            let claim_ids = token_claims::entered(app, &provider.scheme, &portrait.claims).await?;
            let bearer = Bearer {
                name: portrait.name,
                subject: portrait.subject,
                scheme: provider.scheme.clone(),
                claim_ids,
            };
            let ends_at = token::expires_at(&claims);
            app.tokens.remember(hash, bearer, generation, ends_at, now)
        }
    };
    Ok(Identity {
        name: token_claims::qualified(&bearer.scheme, &bearer.name),
        provider: bearer.scheme.clone(),
        subject: bearer.subject.clone(),
        claim_ids: bearer.claim_ids.clone(),
        generation,
        grants: super::grants::of(app, &bearer.claim_ids, generation).await?,
        ..Identity::default()
    })
}

/// The provider that issued the token, and the token's claims; or what is wrong, for the log.
async fn verify(
    app: &App,
    token: &str,
    said: &Said,
    generation: i64,
) -> Result<Result<(Arc<Provider>, token::Claims), String>, Error> {
    let providers = identity_providers::all(app, generation).await?;
    let mut trouble = "no identity provider has this issuer".to_owned();
    // Several may: one for each audience.
    for provider in providers.iter().filter(|one| one.issues(&said.issuer)) {
        if !provider.enabled {
            trouble = format!("the provider {} is disabled", provider.scheme);
            continue;
        }
        let audiences = provider.audiences();
        if audiences.is_empty() {
            // Its ID tokens are for this server too, and are no proof of anything to it.
            trouble = format!("the provider {} has no Audience", provider.scheme);
            continue;
        }
        match proven(app, provider, token, said, &audiences).await {
            Ok(claims) => return Ok(Ok((Arc::clone(provider), claims))),
            Err(reason) => trouble = reason,
        }
    }
    Ok(Err(trouble))
}

/// The claims of a token of this provider for one of these audiences.
///
/// # Errors
/// What is wrong, for the log.
pub(super) async fn proven(
    app: &App,
    provider: &Provider,
    token: &str,
    said: &Said,
    audiences: &[&str],
) -> Result<token::Claims, String> {
    let key_id = said.key_id.as_deref();
    let key = identity_providers::key(app, provider, key_id, said.algorithm).await?;
    let wanted = Wanted {
        algorithms: &key.algorithms,
        issuer: &said.issuer,
        audiences,
        now: app.clock.now(),
    };
    token::verify(token, &key.key, &wanted)
}

/// The claims of an ID token of this provider for this server.
///
/// # Errors
/// What is wrong, for the log.
pub(crate) async fn id_token(
    app: &App,
    provider: &Provider,
    token: &str,
) -> Result<token::Claims, String> {
    let said = token::said(token)?;
    if !provider.issues(&said.issuer) {
        return Err("the ID token is of another issuer".into());
    }
    proven(app, provider, token, &said, &[provider.client_id()]).await
}

fn hash(token: &str) -> [u8; 32] {
    let mut hash = [0; 32];
    hash.copy_from_slice(digest::digest(&digest::SHA256, token.as_bytes()).as_ref());
    hash
}

/// The refusal of any token, and its reason in the log.
pub(super) fn logged(reason: &str, said: Option<&Said>, address: Option<IpAddr>) -> Error {
    let issuer = said.map(|said| said.issuer.chars().take(200).collect::<String>());
    tracing::warn!(reason, issuer, address = ?address, "sign-in failed");
    Error::new(Kind::Unauthenticated, "The token is not accepted.")
}
