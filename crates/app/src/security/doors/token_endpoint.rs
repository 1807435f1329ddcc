//! `POST /oauth2/token`: access tokens for machine accounts (RFC 6749, client credentials). The client is a local account: its
//! name is the client id, its password the secret.

use std::sync::Arc;

use axum::http::{HeaderMap, HeaderValue, StatusCode, header};
use axum::response::{IntoResponse, Response};
use base64::Engine;
use base64::engine::general_purpose::STANDARD;
use serde_json::{Value, json};

use zeroize::Zeroizing;

use super::{Knock, form};
use crate::app::App;
use crate::error::{Error, Kind};
use crate::security::sign_in::{TOKEN_LIFETIME_S, issue, issuer, prove};

/// The one scope: whatever the account may do.
const SCOPE: &str = "chancery";
/// Scopes that clients ask for by habit, which mean nothing here.
const IDLE_SCOPES: [&str; 3] = ["openid", "profile", "email"];

/// A refusal of RFC 6749, 5.2.
struct Refusal {
    status: StatusCode,
    error: &'static str,
    description: String,
    /// Who asked, as far as the request says.
    client: Option<String>,
}

fn refusal(error: &'static str, description: &str) -> Refusal {
    Refusal {
        status: StatusCode::BAD_REQUEST,
        error,
        description: description.to_owned(),
        client: None,
    }
}

fn invalid_client(description: &str) -> Refusal {
    Refusal {
        status: StatusCode::UNAUTHORIZED,
        ..refusal("invalid_client", description)
    }
}

impl IntoResponse for Refusal {
    fn into_response(self) -> Response {
        let body = json!({ "error": self.error, "error_description": self.description });
        let mut response = answer(self.status, &body);
        if self.status == StatusCode::UNAUTHORIZED {
            response.headers_mut().insert(
                header::WWW_AUTHENTICATE,
                HeaderValue::from_static("Basic realm=\"Chancery\", charset=\"UTF-8\""),
            );
        }
        // For the log.
        let kind = match self.status {
            StatusCode::UNAUTHORIZED => Kind::Unauthenticated,
            _ => Kind::BadRequest,
        };
        let error = Error::new(kind, format!("{}: {}", self.error, self.description));
        let error = match &self.client {
            Some(client) => error.tried(client),
            None => error,
        };
        response.extensions_mut().insert(Arc::new(error));
        response
    }
}

fn answer(status: StatusCode, body: &Value) -> Response {
    let media = HeaderValue::from_static("application/json");
    let pragma = HeaderValue::from_static("no-cache");
    let headers = [(header::CONTENT_TYPE, media), (header::PRAGMA, pragma)];
    (status, headers, body.to_string()).into_response()
}

/// Answers a request for a token.
///
/// # Errors
/// Those of the database; what is wrong with the request is an answer of the protocol.
pub(super) async fn token(knock: &Knock) -> Result<Response, Error> {
    let app = knock.app();
    let client = match request(app, &knock.headers, &knock.body) {
        Ok(client) => client,
        Err(refusal) => return Ok(refusal.into_response()),
    };
    let refused = |description: &str| {
        let refusal = Refusal {
            client: client.first().map(|(name, _)| name.clone()),
            ..invalid_client(description)
        };
        Ok(refusal.into_response())
    };
    let account = match prove(app, &client, knock.address()).await {
        Ok((account, _)) => account,
        Err(error) if error.kind() == Kind::Unauthenticated => return refused(error.message()),
        Err(error) => return Err(error),
    };
    if account.must_change {
        return refused("The account has to change its password first.");
    }
    let token = issue(&knock.cx, &account).await?;
    let body = json!({
        "access_token": token, "token_type": "Bearer", "expires_in": TOKEN_LIFETIME_S, "scope": SCOPE,
    });
    Ok(answer(StatusCode::OK, &body))
}

/// The names and passwords that the request may mean.
fn request(
    app: &App,
    headers: &HeaderMap,
    body: &[u8],
) -> Result<Vec<(String, Zeroizing<String>)>, Refusal> {
    let media = headers
        .get(header::CONTENT_TYPE)
        .and_then(|value| value.to_str().ok());
    let media = media
        .unwrap_or_default()
        .split(';')
        .next()
        .unwrap_or_default();
    if !media
        .trim()
        .eq_ignore_ascii_case("application/x-www-form-urlencoded")
    {
        let message = "The body has to be application/x-www-form-urlencoded.";
        return Err(refusal("invalid_request", message));
    }
    let text = std::str::from_utf8(body).ok();
    let form = text.and_then(form::parse).ok_or_else(|| {
        let message = "The form cannot be read, or names something twice.";
        refusal("invalid_request", message)
    })?;
    let client = client(headers, &form)?;
    match form::value(&form, "grant_type") {
        Some("client_credentials") => {}
        Some(_) => {
            let message = "The one grant is client_credentials.";
            return Err(refusal("unsupported_grant_type", message));
        }
        None => return Err(refusal("invalid_request", "grant_type is missing.")),
    }
    let known = |scope: &str| scope == SCOPE || IDLE_SCOPES.contains(&scope);
    let scope = form::value(&form, "scope").unwrap_or_default();
    if !scope.split(' ').filter(|one| !one.is_empty()).all(known) {
        return Err(refusal("invalid_scope", "The one scope is chancery."));
    }
    for name in ["audience", "resource"] {
        let wanted = form::value(&form, name);
        if wanted.is_some_and(|wanted| wanted.trim_end_matches('/') != issuer(app)) {
            let message = format!("{name}: tokens are for {} alone.", issuer(app));
            return Err(refusal("invalid_target", &message));
        }
    }
    Ok(client)
}

/// Name and password from the header or the form, never from both.
fn client(
    headers: &HeaderMap,
    form: &[(String, String)],
) -> Result<Vec<(String, Zeroizing<String>)>, Refusal> {
    let (id, secret) = (
        form::value(form, "client_id"),
        form::value(form, "client_secret"),
    );
    let missing = || invalid_client("Give client id and secret in the header or in the form.");
    let mut values = headers.get_all(header::AUTHORIZATION).iter();
    let Some(value) = values.next() else {
        let (Some(id), Some(secret)) = (id, secret) else {
            return Err(missing());
        };
        return Ok(vec![(id.to_owned(), Zeroizing::new(secret.to_owned()))]);
    };
    if secret.is_some() || values.next().is_some() {
        let message = "The client proves itself in more than one way.";
        return Err(refusal("invalid_request", message));
    }
    let text = value.to_str().ok().map(str::trim).ok_or_else(missing)?;
    let (scheme, encoded) = text.split_once(' ').ok_or_else(missing)?;
    if !scheme.eq_ignore_ascii_case("basic") {
        return Err(missing());
    }
    let octets = Zeroizing::new(STANDARD.decode(encoded.trim()).map_err(|_| missing())?);
    let text = std::str::from_utf8(&octets).map_err(|_| missing())?;
    let (name, password) = text.split_once(':').ok_or_else(missing)?;
    let plain = (name.to_owned(), Zeroizing::new(password.to_owned()));
    // RFC 6749, 2.3.1, has both escaped before; half of the clients do not.
    let escaped = form::decode(name).zip(form::decode(password).map(Zeroizing::new));
    let mut possible = vec![plain];
    possible.extend(escaped.filter(|pair| *pair != possible[0]));
    let named = |id: &str| possible.iter().any(|(name, _)| name == id);
    if !id.is_none_or(named) {
        return Err(refusal(
            "invalid_request",
            "client_id is another one in the form.",
        ));
    }
    Ok(possible)
}

/// Where clients find the endpoints (RFC 8414; the same document is found as that of OpenID Connect).
pub(super) fn metadata(app: &App) -> Response {
    let issuer = issuer(app);
    let body = json!({
        "issuer": issuer,
        "token_endpoint": format!("{issuer}/oauth2/token"),
        "jwks_uri": format!("{issuer}/oauth2/jwks"),
        "grant_types_supported": ["client_credentials"],
        "response_types_supported": [],
        "scopes_supported": [SCOPE],
        "token_endpoint_auth_methods_supported": ["client_secret_basic", "client_secret_post"],
    });
    answer(StatusCode::OK, &body)
}

/// The keys of our tokens.
///
/// # Errors
/// Those of the database.
pub(super) async fn key_set(app: &App) -> Result<Response, Error> {
    let keys = crate::security::token_keys::key_set(app).await?;
    Ok(answer(StatusCode::OK, &keys))
}
