//! The doors beside the interface: where tokens are issued, and where browsers sign in and out. Outside the API's base, since
//! standards and browsers say where they are.

mod code_flow;
mod form;
mod sign_in_attempts;
mod token_endpoint;

use std::net::IpAddr;
use std::sync::Arc;

use axum::body::to_bytes;
use axum::extract::Request;
use axum::http::{HeaderMap, HeaderValue, Method, StatusCode, header};
use axum::response::{IntoResponse, Response};
use serde::Deserialize;
use serde_json::{Value, json};
use uuid::Uuid;

use super::sessions::{self, Holder};
use super::sign_in::{COOKIE, LIFETIME_MS, cookie, guarded, prove};
use crate::app::App;
use crate::cx::Cx;
use crate::error::{Error, Kind};
use crate::generation::Generation;
use crate::identity_providers;
use crate::web::{PeerAddress, lenient};

pub(crate) use sign_in_attempts::{random, sweep};

/// Octets of a body at most.
const BODY_MAX: usize = 64 * 1024;

/// Whether a path leads to one of the doors.
pub(crate) fn leads_here(path: &str) -> bool {
    let first = path.trim_start_matches('/').split('/').next();
    matches!(first, Some("oauth2" | ".well-known" | "signin" | "signout"))
}

/// A request at one of the doors.
struct Knock {
    cx: Cx,
    headers: HeaderMap,
    query: String,
    body: Vec<u8>,
}

impl Knock {
    fn app(&self) -> &Arc<App> {
        self.cx.app()
    }

    fn address(&self) -> Option<IpAddr> {
        self.cx.address()
    }
}

/// Answers a request at one of the doors.
///
/// # Errors
/// 404 and 405; what the doors themselves refuse.
pub(crate) async fn serve(
    app: &Arc<App>,
    request: Request,
    correlation_id: Uuid,
) -> Result<Response, Error> {
    let peer = request.extensions().get::<PeerAddress>();
    let address = peer.map(|peer| peer.0.ip());
    app.rates.knock(address, app.clock.now())?;
    let (parts, body) = request.into_parts();
    let too_large = || {
        Error::new(
            Kind::TooLarge,
            "The body is larger than this server accepts.",
        )
    };
    let body = to_bytes(body, BODY_MAX).await.map_err(|_| too_large())?;
    let knock = Knock {
        cx: Cx::at_the_door(Arc::clone(app), "sign-in", correlation_id, address),
        headers: parts.headers,
        query: parts.uri.query().unwrap_or_default().to_owned(),
        body: body.to_vec(),
    };
    let path: Vec<&str> = parts
        .uri
        .path()
        .split('/')
        .filter(|segment| !segment.is_empty())
        .collect();
    let get = parts.method == Method::GET;
    let post = parts.method == Method::POST;
    match path.as_slice() {
        ["oauth2", "token"] if post => token_endpoint::token(&knock).await,
        ["oauth2", "jwks"] if get => token_endpoint::key_set(app).await,
        [
            ".well-known",
            "openid-configuration" | "oauth-authorization-server",
        ] if get => Ok(token_endpoint::metadata(app)),
        ["signin"] if get => providers(app).await,
        ["signin", "local"] if post => local(&knock).await,
        ["signin", scheme] if get => code_flow::begin(&knock, scheme).await,
        ["signin", scheme, "callback"] if get => code_flow::end(&knock, scheme).await,
        ["signout"] if post => sign_out(&knock).await,
        ["oauth2", "token" | "jwks"]
        | [
            ".well-known",
            "openid-configuration" | "oauth-authorization-server",
        ]
        | ["signin" | "signout"]
        | ["signin", _]
        | ["signin", _, "callback"] => Err(Error::new(
            Kind::BadMethod,
            "The path does not know this method.",
        )),
        _ => Err(Error::new(Kind::NotFound, "There is no such path.")),
    }
}

/// Who a browser may sign in with.
async fn providers(app: &Arc<App>) -> Result<Response, Error> {
    let generation = Generation::Security.now(app.db.read()).await?;
    let providers = identity_providers::all(app, generation).await?;
    let shown: Vec<Value> = providers
        .iter()
        .filter(|provider| provider.enabled)
        .map(|provider| {
            json!({
                "AuthenticationScheme": provider.scheme, "DisplayName": provider.display_name,
                "Address": format!("/signin/{}", provider.scheme),
            })
        })
        .collect();
    Ok(crate::web::Json(shown).into_response())
}

#[derive(Deserialize)]
#[serde(rename_all = "PascalCase")]
struct LocalSignIn {
    name: String,
    password: String,
}

/// Signs a browser in with a local account. The guard's header keeps pages of others from signing people in as somebody else.
async fn local(knock: &Knock) -> Result<Response, Error> {
    guarded(&knock.headers).map_err(|error| error.tried("sign-in"))?;
    let bad = |reason: String| Error::new(Kind::BadBody, format!("Body: {reason}."));
    let value = lenient::parse(&knock.body).map_err(bad)?;
    let given: LocalSignIn = lenient::from_value(value).map_err(bad)?;
    let who = given.name.clone();
    let possible = [(given.name, given.password.into())];
    let proven = prove(knock.app(), &possible, knock.address()).await;
    let (account, _) = proven.map_err(|error| error.tried(&who))?;
    if account.must_change {
        let message = "The account has to change its password first.";
        return Err(Error::new(Kind::Unauthenticated, message).tried(&who));
    }
    let secret = begin_session(knock, Holder::Account(account)).await?;
    Ok(with_cookies(
        StatusCode::NO_CONTENT.into_response(),
        &[(COOKIE, &secret, LIFETIME_MS / 1000)],
    ))
}

/// Begins a session in the place of the one that the browser may have had.
async fn begin_session(knock: &Knock, holder: Holder) -> Result<String, Error> {
    let before = cookie(&knock.headers, COOKIE);
    let agent = knock
        .headers
        .get(header::USER_AGENT)
        .and_then(|value| value.to_str().ok());
    sessions::begin(&knock.cx, holder, before, agent).await
}

/// Ends the browser's session.
async fn sign_out(knock: &Knock) -> Result<Response, Error> {
    if let Some(secret) = cookie(&knock.headers, COOKIE) {
        guarded(&knock.headers).map_err(|error| error.tried("sign-out"))?;
        sessions::end_by_secret(&knock.cx, secret).await?;
    }
    Ok(with_cookies(
        StatusCode::NO_CONTENT.into_response(),
        &[(COOKIE, "", 0)],
    ))
}

/// An answer that sets cookies: name, value, seconds.
fn with_cookies(mut response: Response, cookies: &[(&str, &str, i64)]) -> Response {
    for (name, value, seconds) in cookies {
        let text =
            format!("{name}={value}; Path=/; Max-Age={seconds}; Secure; HttpOnly; SameSite=Lax");
        if let Ok(value) = HeaderValue::from_str(&text) {
            response.headers_mut().append(header::SET_COOKIE, value);
        }
    }
    response
}

/// A redirect that is a GET whatever came before.
fn redirect(to: &str) -> Result<Response, Error> {
    let to = HeaderValue::from_str(to).map_err(Error::internal)?;
    Ok((StatusCode::SEE_OTHER, [(header::LOCATION, to)]).into_response())
}
