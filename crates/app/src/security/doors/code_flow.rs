//! Sign-in of browsers at an identity provider: authorization code with PKCE, state and nonce (OpenID Connect Core 1.0, RFC 7636,
//! RFC 9207, RFC 9700).

use std::sync::Arc;

use axum::http::{HeaderValue, header};
use axum::response::Response;
use base64::Engine;
use base64::engine::general_purpose::STANDARD;
use serde::Deserialize;
use serde_json::{Map, Value};

use super::sign_in_attempts::{self as attempts, ATTEMPT_MS, BrowserSecret, same};
use super::{Knock, begin_session, form, redirect, with_cookies};
use crate::error::{Error, Kind};
use crate::generation::Generation;
use crate::identity_providers::{self, Discovery, Provider, is_secure};
use crate::security::redirect_address;
use crate::security::sessions::Holder;
use crate::security::sign_in::{self, COOKIE, LIFETIME_MS, cookie};

/// The cookie of a browser on its way.
const ATTEMPT_COOKIE: &str = "__Host-chancery-signin";
/// Where browsers go afterwards when they do not say.
const DEFAULT_RETURN: &str = "/docs/";
/// Octets of an answer at most.
const ANSWER_MAX: usize = 128 * 1024;

/// Sends a browser to its provider.
pub(super) async fn begin(knock: &Knock, scheme: &str) -> Result<Response, Error> {
    let provider = provider(knock, scheme).await?;
    let query = form::parse(&knock.query)
        .ok_or_else(|| Error::bad_request("The query string cannot be read."))?;
    let return_to = return_to(form::value(&query, "return_to"))?;
    let discovery = discovery(knock, &provider).await;
    let endpoint = provider.text("AuthorizationEndpoint").or_else(|| {
        let published = discovery.as_ref();
        published.and_then(|discovery| discovery.authorization_endpoint.as_deref())
    });
    let endpoint = endpoint
        .filter(|endpoint| is_secure(endpoint))
        .ok_or_else(|| unusable(&provider, "it says no authorization endpoint"))?;
    knock.app().rates.attempt(knock.address(), knock.cx.now())?;
    let secret = BrowserSecret::new()?;
    let state = attempts::begin(&knock.cx, &secret, provider.id, return_to).await?;
    let asked = form::write(&[
        ("response_type", "code"),
        ("client_id", provider.client_id()),
        ("redirect_uri", &redirect_address(knock.app(), &provider)),
        ("scope", provider.scope()),
        ("state", &state),
        ("nonce", &secret.nonce()),
        ("code_challenge", &secret.challenge()),
        ("code_challenge_method", "S256"),
    ]);
    let separator = if endpoint.contains('?') { '&' } else { '?' };
    let response = redirect(&format!("{endpoint}{separator}{asked}"))?;
    Ok(with_cookies(
        response,
        &[(ATTEMPT_COOKIE, &secret.0, ATTEMPT_MS / 1000)],
    ))
}

/// Takes a browser back from its provider.
pub(super) async fn end(knock: &Knock, scheme: &str) -> Result<Response, Error> {
    let provider = provider(knock, scheme).await?;
    let query = form::parse(&knock.query).unwrap_or_default();
    let (Some(state), Some(secret)) = (
        form::value(&query, "state"),
        cookie(&knock.headers, ATTEMPT_COOKIE),
    ) else {
        return Err(refused(&provider, "no state, or no cookie of the attempt"));
    };
    let secret = BrowserSecret(secret.to_owned());
    // Before the attempt is over: a provider that hangs shall not take everybody else's with it.
    let _turn = identity_providers::turn(knock.app(), &provider)
        .ok_or_else(|| unusable(&provider, "too many browsers wait for it"))?;
    let return_to = attempts::take(&knock.cx, state, &secret, provider.id).await?;
    let return_to = return_to.ok_or_else(|| refused(&provider, "no such attempt is under way"))?;
    if form::value(&query, "iss").is_some_and(|issuer| !provider.issues(issuer)) {
        return Err(refused(&provider, "the answer is of another issuer"));
    }
    if let Some(error) = form::value(&query, "error") {
        let error: String = error
            .chars()
            .filter(|c| !c.is_control())
            .take(100)
            .collect();
        return Err(refused(&provider, &format!("the provider says {error}")));
    }
    let code = form::value(&query, "code").ok_or_else(|| refused(&provider, "no code"))?;
    let holder = holder(knock, &provider, code, &secret)
        .await
        .map_err(|reason| refused(&provider, &reason))?;
    let secret = begin_session(knock, holder).await?;
    knock.app().rates.came_back(knock.address());
    Ok(with_cookies(
        redirect(&return_to)?,
        &[
            (COOKIE, &secret, LIFETIME_MS / 1000),
            (ATTEMPT_COOKIE, "", 0),
        ],
    ))
}

async fn provider(knock: &Knock, scheme: &str) -> Result<Arc<Provider>, Error> {
    let app = knock.app();
    let generation = Generation::Security.now(app.db.read()).await?;
    let providers = identity_providers::all(app, generation).await?;
    let wanted = db::fold(scheme);
    let found = providers
        .iter()
        .find(|provider| provider.enabled && db::fold(&provider.scheme) == wanted);
    found
        .cloned()
        .ok_or_else(|| Error::new(Kind::NotFound, "There is no such identity provider."))
}

async fn discovery(knock: &Knock, provider: &Provider) -> Option<Discovery> {
    let seen = identity_providers::seen(knock.app(), provider).await;
    seen.discovery.clone()
}

/// A path of this server: a browser that has signed in is not sent elsewhere.
fn return_to(wanted: Option<&str>) -> Result<String, Error> {
    let path = wanted.unwrap_or(DEFAULT_RETURN);
    let plain = path.len() <= 1_000 && path.chars().all(|c| c.is_ascii_graphic() && c != '\\');
    if plain && path.starts_with('/') && !path.starts_with("//") {
        return Ok(path.to_owned());
    }
    Err(Error::bad_request(
        "return_to: a path of this server is expected, which begins with one slash.",
    ))
}

fn refused(provider: &Provider, reason: &str) -> Error {
    tracing::warn!(provider = provider.scheme, reason, "sign-in failed");
    Error::new(
        Kind::Unauthenticated,
        "The sign-in did not succeed. Begin it again.",
    )
    .tried(&format!("a browser from {}", provider.scheme))
}

fn unusable(provider: &Provider, reason: &str) -> Error {
    tracing::warn!(
        provider = provider.scheme,
        reason,
        "an identity provider cannot be used"
    );
    Error::new(
        Kind::Unavailable,
        "The identity provider cannot be used now. Try again later.",
    )
}

/// What the token endpoint answers (OpenID Connect Core, 3.1.3.3).
#[derive(Deserialize)]
struct Tokens {
    id_token: String,
    access_token: Option<String>,
}

/// Who signed in, proven by the code and the ID token that it gives.
async fn holder(
    knock: &Knock,
    provider: &Arc<Provider>,
    code: &str,
    secret: &BrowserSecret,
) -> Result<Holder, String> {
    let discovery = discovery(knock, provider).await;
    let tokens = exchange(knock, provider, discovery.as_ref(), code, secret).await?;
    let mut claims = sign_in::id_token(knock.app(), provider, &tokens.id_token).await?;
    let nonce = claims.get("nonce").and_then(Value::as_str);
    if !nonce.is_some_and(|nonce| same(nonce, &secret.nonce())) {
        return Err("the ID token has another nonce".into());
    }
    let azp = claims.get("azp").and_then(Value::as_str);
    if azp.is_some_and(|azp| azp != provider.client_id()) {
        return Err("the ID token is for another client".into());
    }
    let userinfo = provider.text("UserInfoEndpoint").or_else(|| {
        let published = discovery.as_ref();
        published.and_then(|discovery| discovery.userinfo_endpoint.as_deref())
    });
    if let (Some(endpoint), Some(token)) = (userinfo, &tokens.access_token) {
        let more = user_info(knock, endpoint, token).await?;
        // OpenID Connect Core, 5.3.2.
        if more.get("sub") != claims.get("sub") {
            return Err("the user info is about somebody else".into());
        }
        for (name, value) in more {
            claims.entry(name).or_insert(value);
        }
    }
    let portrait = sign_in::portrait(provider, &claims, false)?;
    Ok(Holder::Provider(Arc::clone(provider), portrait))
}

async fn exchange(
    knock: &Knock,
    provider: &Provider,
    discovery: Option<&Discovery>,
    code: &str,
    secret: &BrowserSecret,
) -> Result<Tokens, String> {
    let endpoint = provider
        .text("TokenEndpoint")
        .or_else(|| discovery.and_then(|discovery| discovery.token_endpoint.as_deref()));
    let endpoint = endpoint
        .filter(|endpoint| is_secure(endpoint))
        .ok_or("the provider says no token endpoint")?;
    let (address, verifier) = (redirect_address(knock.app(), provider), secret.verifier());
    let mut pairs = vec![
        ("grant_type", "authorization_code"),
        ("code", code),
        ("redirect_uri", address.as_str()),
        ("code_verifier", verifier.as_str()),
    ];
    let password = provider
        .client_secret(knock.app())
        .map_err(|error| error.to_string())?;
    let password = password
        .as_ref()
        .map(|secret| String::from_utf8_lossy(secret.expose()).into_owned());
    let methods = discovery.map(|discovery| &discovery.token_endpoint_auth_methods_supported);
    // Basic is what every provider has to know (RFC 6749, 2.3.1); few know the other alone.
    let basic = methods.is_none_or(|methods| {
        methods.is_empty() || methods.iter().any(|method| method == "client_secret_basic")
    });
    let mut authorization = None;
    match &password {
        Some(password) if basic => {
            let (id, password) = (form::encode(provider.client_id()), form::encode(password));
            authorization = Some(format!(
                "Basic {}",
                STANDARD.encode(format!("{id}:{password}"))
            ));
        }
        Some(password) => {
            pairs.extend([
                ("client_id", provider.client_id()),
                ("client_secret", password),
            ]);
        }
        None => pairs.push(("client_id", provider.client_id())),
    }
    let media = "application/x-www-form-urlencoded";
    let body = form::write(&pairs).into_bytes();
    let mut request = egress::Request::post(endpoint, media, body).limit(ANSWER_MAX);
    if let Some(authorization) = authorization {
        request = request.header(header::AUTHORIZATION, sensitive(&authorization)?);
    }
    fetch(knock, "token endpoint", request).await
}

async fn user_info(
    knock: &Knock,
    endpoint: &str,
    token: &str,
) -> Result<Map<String, Value>, String> {
    if !is_secure(endpoint) {
        return Err("the user info endpoint does not begin with https://".into());
    }
    let value = sensitive(&format!("Bearer {token}"))?;
    let request = egress::Request::get(endpoint)
        .limit(ANSWER_MAX)
        .header(header::AUTHORIZATION, value);
    fetch(knock, "user info endpoint", request).await
}

fn sensitive(text: &str) -> Result<HeaderValue, String> {
    let mut value = HeaderValue::from_str(text).map_err(|_| "a value fits no header".to_owned())?;
    value.set_sensitive(true);
    Ok(value)
}

async fn fetch<T: serde::de::DeserializeOwned>(
    knock: &Knock,
    what: &str,
    request: egress::Request,
) -> Result<T, String> {
    let answer = knock.cx.egress().fetch(request).await;
    let answer = answer.map_err(|error| format!("the {what}: {error}"))?;
    if answer.status != egress::StatusCode::OK {
        // RFC 6749, 5.2: a word that tells what is wrong, and no secret.
        let said: Map<String, Value> = serde_json::from_slice(&answer.body).unwrap_or_default();
        let error = said
            .get("error")
            .and_then(Value::as_str)
            .unwrap_or_default();
        let error: String = error
            .chars()
            .filter(char::is_ascii_graphic)
            .take(60)
            .collect();
        let status = answer.status.as_u16();
        return Err(format!("the {what} answers {status} {error}"));
    }
    serde_json::from_slice(&answer.body).map_err(|_| format!("the {what} gives another answer"))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn browsers_return_to_this_server_alone() {
        for path in ["/", "/docs/", "/docs/?a=b#/c", "/a//b"] {
            assert_eq!(return_to(Some(path)).unwrap(), path);
        }
        assert_eq!(return_to(None).unwrap(), DEFAULT_RETURN);
        for path in [
            "https://evil.example",
            "//evil.example",
            "/\\evil.example",
            "\\/x",
            "docs",
            "javascript:alert(1)",
            "/a\r\nb",
            "/\u{e4}",
            "/ x",
            "",
            &format!("/{}", "x".repeat(1_000)),
        ] {
            assert!(return_to(Some(path)).is_err(), "{path:.40}");
        }
    }
}
