//! Sign-in: whose request it is, and what the roles of its claims grant.

mod basic;
mod bearer;
mod grants;
mod own_token;
mod session;
mod token;
mod token_claims;

use std::net::IpAddr;
use std::sync::Arc;

use axum::http::{HeaderMap, header};

use crate::app::App;
use crate::cx::Identity;
use crate::error::{Error, Kind};
use crate::identity_providers::Provider;

pub(crate) use basic::{AccountNames, CredentialCache, count_failure, prove};
pub(crate) use bearer::{TokenCache, id_token};
pub(crate) use grants::{GrantsCache, changed};
pub(crate) use own_token::{TOKEN_LIFETIME_S, fingerprint, issue, issuer};
pub(crate) use session::{COOKIE, IDLE_MS, LIFETIME_MS, cookie, guarded, hash};
pub(crate) use token_claims::{Portrait, portrait};

/// The identity that the headers name and prove: a name and a password, a token, or the cookie of a session. Who sends both
/// the header and the cookie is who the header says.
///
/// # Errors
/// 401 without saying which part is wrong; 403 for a session without the header of the cross-site guard.
pub(crate) async fn sign_in(
    app: &Arc<App>,
    headers: &HeaderMap,
    address: Option<IpAddr>,
) -> Result<Identity, Error> {
    let mut values = headers.get_all(header::AUTHORIZATION).iter();
    let first = values.next();
    if values.next().is_some() {
        let message = "Sign in in one way, not in several.";
        return Err(Error::new(Kind::Unauthenticated, message));
    }
    if first.is_none()
        && let Some(secret) = cookie(headers, COOKIE)
    {
        return session::sign_in(app, secret, headers).await;
    }
    let text = first.and_then(|value| value.to_str().ok()).map(str::trim);
    match text.and_then(|text| text.split_once(' ')) {
        Some((scheme, token)) if scheme.eq_ignore_ascii_case("bearer") => {
            bearer::sign_in(app, token.trim(), address).await
        }
        _ => basic::sign_in(app, headers, address).await,
    }
}

/// Where a provider sends browsers back to. It is registered there.
pub(crate) fn redirect_address(app: &App, provider: &Provider) -> String {
    format!("{}/signin/{}/callback", issuer(app), provider.scheme)
}
