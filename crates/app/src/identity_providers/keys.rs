//! What a provider publishes: its discovery document and its keys (OpenID Connect Discovery 1.0, RFC 7517). Fetched through the
//! guarded client, remembered, and asked for again when a token names a key that is not known, but not more often than the
//! provider can bear.

use std::collections::HashMap;
use std::sync::{Arc, Mutex, PoisonError, RwLock};

use jsonwebtoken::jwk::{AlgorithmParameters, EllipticCurve, Jwk, KeyOperations, PublicKeyUse};
use jsonwebtoken::{Algorithm, DecodingKey};
use serde::Deserialize;
use serde::de::DeserializeOwned;
use serde_json::Value;
use tokio::sync::{OwnedSemaphorePermit, Semaphore};
use uuid::Uuid;

use super::parameters::is_secure;
use super::provider::Provider;
use crate::app::App;

/// Keys younger than this are used without asking; so long does a key that was withdrawn count at most.
const FRESH_MS: i64 = 60 * 60 * 1000;
/// Keys older than this are not used any more, even if the provider does not answer.
const STALE_MS: i64 = 24 * 60 * 60 * 1000;
/// Between two requests to a provider lies at least this.
const BETWEEN_FETCHES_MS: i64 = 30 * 1000;
/// Browsers at most whose sign-in waits for one provider. Each waits as long as a connection may take.
const EXCHANGES_MAX: usize = 16;
/// Octets of a document at most.
const DOCUMENT_MAX: usize = 256 * 1024;
/// Keys of a provider at most.
const KEYS_MAX: usize = 100;

/// The members of the discovery document that are used.
#[derive(Clone, Debug, Deserialize)]
pub(crate) struct Discovery {
    /// Who issues; has to be the authority.
    pub(crate) issuer: String,
    /// Where browsers are sent.
    pub(crate) authorization_endpoint: Option<String>,
    /// Where codes become tokens.
    pub(crate) token_endpoint: Option<String>,
    /// Where more is said about who signed in.
    pub(crate) userinfo_endpoint: Option<String>,
    /// Where the keys are.
    pub(crate) jwks_uri: Option<String>,
    /// How clients prove who they are.
    #[serde(default)]
    pub(crate) token_endpoint_auth_methods_supported: Vec<String>,
}

#[derive(Deserialize)]
struct KeySet {
    keys: Vec<Value>,
}

/// A key that tokens are verified with, and with which algorithms: ours to say, never the token's.
#[derive(Clone, Debug)]
pub(crate) struct Key {
    /// Its id.
    pub(crate) id: Option<String>,
    /// What it may be used with.
    pub(crate) algorithms: Vec<Algorithm>,
    /// The key.
    pub(crate) key: DecodingKey,
}

impl Key {
    /// A key of a set, if it is one that signatures are verified with, of a kind that is known.
    fn of(value: Value) -> Option<Self> {
        let jwk: Jwk = serde_json::from_value(value).ok()?;
        let common = &jwk.common;
        if !matches!(common.public_key_use, None | Some(PublicKeyUse::Signature)) {
            return None;
        }
        let operations = common.key_operations.as_ref();
        if operations.is_some_and(|operations| !operations.contains(&KeyOperations::Verify)) {
            return None;
        }
        // Never a symmetric one: a set of keys is public.
        let possible: &[Algorithm] = match &jwk.algorithm {
            AlgorithmParameters::RSA(_) => &[
                Algorithm::RS256,
                Algorithm::RS384,
                Algorithm::RS512,
                Algorithm::PS256,
                Algorithm::PS384,
                Algorithm::PS512,
            ],
            AlgorithmParameters::EllipticCurve(point) => match point.curve {
                EllipticCurve::P256 => &[Algorithm::ES256],
                EllipticCurve::P384 => &[Algorithm::ES384],
                _ => return None,
            },
            AlgorithmParameters::OctetKeyPair(pair) if pair.curve == EllipticCurve::Ed25519 => {
                &[Algorithm::EdDSA]
            }
            _ => return None,
        };
        let algorithms: Vec<Algorithm> = match common.key_algorithm {
            None => possible.to_vec(),
            Some(only) => possible
                .iter()
                .copied()
                .filter(|one| jsonwebtoken::jwk::KeyAlgorithm::from(*one) == only)
                .collect(),
        };
        if algorithms.is_empty() {
            return None;
        }
        Some(Self {
            id: common.key_id.clone(),
            algorithms,
            key: DecodingKey::from_jwk(&jwk).ok()?,
        })
    }
}

/// What this server last saw of a provider.
#[derive(Clone, Debug, Default)]
pub(crate) struct Seen {
    /// The discovery document; none where every address is configured.
    pub(crate) discovery: Option<Discovery>,
    /// Its keys.
    pub(crate) keys: Vec<Key>,
    /// When both were read, in epoch milliseconds.
    pub(crate) read_at: Option<i64>,
    /// When it was last tried.
    pub(crate) tried_at: Option<i64>,
    /// Why that failed.
    pub(crate) trouble: Option<String>,
}

impl Seen {
    /// The one key that a token with this header can be signed with.
    fn key(&self, id: Option<&str>, algorithm: Algorithm) -> Option<&Key> {
        let mut fitting = self.keys.iter().filter(|key| {
            key.algorithms.contains(&algorithm) && (id.is_none() || key.id.as_deref() == id)
        });
        let first = fitting.next()?;
        // Without an id there has to be no choice.
        fitting.next().is_none().then_some(first)
    }

    fn younger_than(&self, ms: i64, now: i64) -> bool {
        self.read_at.is_some_and(|at| now - at < ms)
    }

    fn may_fetch(&self, now: i64) -> bool {
        self.tried_at
            .is_none_or(|at| now - at >= BETWEEN_FETCHES_MS)
    }
}

struct Entry {
    /// The addresses that were asked: others are another matter.
    source: String,
    seen: RwLock<Arc<Seen>>,
    fetching: tokio::sync::Mutex<()>,
    exchanges: Arc<Semaphore>,
}

/// What is known of each provider.
#[derive(Default)]
pub(crate) struct KeyCache(Mutex<HashMap<Uuid, Arc<Entry>>>);

impl KeyCache {
    fn entry(&self, provider: &Provider) -> Arc<Entry> {
        let source = format!(
            "{} {} {}",
            provider.authority(),
            provider.discovery_address(),
            provider.text("JSONWebKeySetUri").unwrap_or_default()
        );
        let mut entries = self.0.lock().unwrap_or_else(PoisonError::into_inner);
        let known = entries.get(&provider.id);
        if let Some(entry) = known.filter(|entry| entry.source == source) {
            return Arc::clone(entry);
        }
        let entry = Arc::new(Entry {
            source,
            seen: RwLock::default(),
            fetching: tokio::sync::Mutex::default(),
            exchanges: Arc::new(Semaphore::new(EXCHANGES_MAX)),
        });
        entries.insert(provider.id, Arc::clone(&entry));
        entry
    }
}

impl Entry {
    fn seen(&self) -> Arc<Seen> {
        Arc::clone(&self.seen.read().unwrap_or_else(PoisonError::into_inner))
    }

    fn set(&self, seen: Seen) -> Arc<Seen> {
        let seen = Arc::new(seen);
        *self.seen.write().unwrap_or_else(PoisonError::into_inner) = Arc::clone(&seen);
        seen
    }
}

/// A place among the browsers whose sign-in waits for this provider; none when there are too many.
pub(crate) fn turn(app: &App, provider: &Provider) -> Option<OwnedSemaphorePermit> {
    let entry = app.provider_keys.entry(provider);
    Arc::clone(&entry.exchanges).try_acquire_owned().ok()
}

/// The key that a token with this header has to be verified with.
///
/// # Errors
/// Why there is none, for the log.
pub(crate) async fn key(
    app: &App,
    provider: &Provider,
    id: Option<&str>,
    algorithm: Algorithm,
) -> Result<Key, String> {
    let entry = app.provider_keys.entry(provider);
    let (seen, now) = (entry.seen(), app.clock.now());
    // While somebody else asks, or has asked a moment ago, an old key does: a provider that hangs keeps nobody waiting.
    let asked = seen.younger_than(STALE_MS, now) && !seen.may_fetch(now);
    if (asked || seen.younger_than(FRESH_MS, now))
        && let Some(key) = seen.key(id, algorithm)
    {
        return Ok(key.clone());
    }
    let seen = refresh(app, provider, &entry, &seen).await;
    if seen.younger_than(STALE_MS, app.clock.now())
        && let Some(key) = seen.key(id, algorithm)
    {
        return Ok(key.clone());
    }
    let id = id.map(|id| id.chars().take(80).collect::<String>());
    Err(match &seen.trouble {
        Some(trouble) => format!("the provider's keys are not to be had: {trouble}"),
        None => format!("the provider has no key {id:?} for {algorithm:?}"),
    })
}

/// What is known of a provider, asked for where that is due.
pub(crate) async fn seen(app: &App, provider: &Provider) -> Arc<Seen> {
    let entry = app.provider_keys.entry(provider);
    let (seen, now) = (entry.seen(), app.clock.now());
    let fresh = seen.trouble.is_none() && seen.younger_than(FRESH_MS, now);
    if fresh || seen.read_at.is_some() && !seen.may_fetch(now) {
        return seen;
    }
    refresh(app, provider, &entry, &seen).await
}

/// Asks the provider, one request at a time, if it was not asked a moment ago.
async fn refresh(app: &App, provider: &Provider, entry: &Entry, before: &Seen) -> Arc<Seen> {
    let _one = entry.fetching.lock().await;
    let seen = entry.seen();
    let now = app.clock.now();
    // Somebody else asked while this one waited.
    if seen.tried_at != before.tried_at || !seen.may_fetch(now) {
        return seen;
    }
    // Before it is asked: whoever gives up waiting, or is cut off, leaves that behind.
    entry.set(Seen {
        tried_at: Some(now),
        ..Seen::clone(&seen)
    });
    let next = match fetch(app, provider).await {
        Ok((discovery, keys)) => Seen {
            // Where the keys came without it, the document that was seen before still tells the addresses.
            discovery: discovery.or_else(|| seen.discovery.clone()),
            keys,
            read_at: Some(now),
            tried_at: Some(now),
            trouble: None,
        },
        Err(trouble) => {
            tracing::warn!(
                provider = provider.scheme,
                trouble,
                "an identity provider does not say what it has to"
            );
            Seen {
                tried_at: Some(now),
                trouble: Some(trouble),
                ..Seen::clone(&seen)
            }
        }
    };
    entry.set(next)
}

async fn fetch(app: &App, provider: &Provider) -> Result<(Option<Discovery>, Vec<Key>), String> {
    let configured = provider.text("JSONWebKeySetUri");
    let discovery: Result<Discovery, String> =
        document(app, "discovery document", &provider.discovery_address()).await;
    let discovery = match discovery {
        Ok(discovery) if !provider.issues(&discovery.issuer) => {
            let issuer: String = discovery.issuer.chars().take(200).collect();
            return Err(format!(
                "The discovery document is of the issuer {issuer:?}, not of the authority."
            ));
        }
        Ok(discovery) => Some(discovery),
        // Who configured where the keys are may do without.
        Err(_) if configured.is_some() => None,
        Err(trouble) => return Err(trouble),
    };
    let published = discovery
        .as_ref()
        .and_then(|discovery| discovery.jwks_uri.as_deref());
    let address = configured
        .or(published)
        .ok_or("The discovery document has no jwks_uri.")?;
    let set: KeySet = document(app, "key set", address).await?;
    let keys: Vec<Key> = set
        .keys
        .into_iter()
        .take(KEYS_MAX)
        .filter_map(Key::of)
        .collect();
    if keys.is_empty() {
        return Err("The key set holds no key that signatures can be verified with.".into());
    }
    Ok((discovery, keys))
}

/// A JSON document of the provider.
async fn document<T: DeserializeOwned>(app: &App, what: &str, address: &str) -> Result<T, String> {
    if !is_secure(address) {
        return Err(format!(
            "The address of the {what} does not begin with https://."
        ));
    }
    let request = egress::Request::get(address)
        .limit(DOCUMENT_MAX)
        .redirects(2);
    let answer = app
        .egress
        .fetch(request)
        .await
        .map_err(|error| format!("The {what}: {error}"))?;
    if answer.status != egress::StatusCode::OK {
        let status = answer.status.as_u16();
        return Err(format!("The {what}: the answer has status {status}."));
    }
    serde_json::from_slice(&answer.body).map_err(|error| {
        let (line, column) = (error.line(), error.column());
        format!("The {what} cannot be read, at line {line}, column {column}.")
    })
}

#[cfg(test)]
mod tests {
    use super::*;
    use serde_json::json;

    const X: &str = "f83OJ3D2xF1Bg8vub9tLe1gHMzV76e8Tus9uPHvRVEU";
    const Y: &str = "x_FEzRu9m36HLN_tue659LNpXW6pCyStikYjKIWI5a0";

    fn algorithms(value: Value) -> Option<Vec<Algorithm>> {
        Key::of(value).map(|key| key.algorithms)
    }

    #[test]
    fn keys_allow_what_their_kind_allows() {
        let point = json!({"kty": "EC", "crv": "P-256", "x": X, "y": Y});
        assert_eq!(algorithms(point.clone()), Some(vec![Algorithm::ES256]));
        let with = |name: &str, value: Value| {
            let mut changed = point.clone();
            changed[name] = value;
            algorithms(changed)
        };
        assert_eq!(with("use", json!("sig")), Some(vec![Algorithm::ES256]));
        assert_eq!(with("use", json!("enc")), None);
        assert_eq!(with("key_ops", json!(["sign"])), None);
        assert_eq!(with("alg", json!("HS256")), None);
        assert_eq!(with("alg", json!("ES384")), None);
        assert_eq!(with("crv", json!("P-521")), None);
        assert_eq!(with("crv", json!("secp256k1")), None);
        assert_eq!(algorithms(json!({"kty": "oct", "k": "c2VjcmV0"})), None);
        assert_eq!(
            algorithms(json!({"kty": "OKP", "crv": "X25519", "x": X})),
            None
        );
        assert_eq!(algorithms(json!("text")), None);
        let rsa = json!({"kty": "RSA", "n": X, "e": "AQAB", "alg": "PS256"});
        assert_eq!(algorithms(rsa), Some(vec![Algorithm::PS256]));
    }

    #[test]
    fn without_an_id_there_must_be_no_choice() {
        let key = |id: &str| {
            Key::of(json!({"kty": "EC", "crv": "P-256", "x": X, "y": Y, "kid": id})).unwrap()
        };
        let one = Seen {
            keys: vec![key("a")],
            ..Seen::default()
        };
        assert!(one.key(None, Algorithm::ES256).is_some());
        assert!(one.key(None, Algorithm::ES384).is_none());
        assert!(one.key(Some("b"), Algorithm::ES256).is_none());
        let two = Seen {
            keys: vec![key("a"), key("b")],
            ..Seen::default()
        };
        assert!(two.key(None, Algorithm::ES256).is_none());
        assert!(two.key(Some("b"), Algorithm::ES256).is_some());
    }
}
