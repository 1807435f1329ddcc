//! Sign-in: whose request it is, and what the roles of its claims grant.

mod basic;
mod bearer;
mod grants;
mod token;
mod token_claims;

use std::net::IpAddr;
use std::sync::Arc;

use axum::http::{HeaderMap, header};

use crate::app::App;
use crate::cx::Identity;
use crate::error::{Error, Kind};
use crate::identity_providers::Provider;

pub(crate) use basic::CredentialCache;
pub(crate) use bearer::TokenCache;
pub(crate) use grants::{GrantsCache, changed};

/// The identity that the headers name and prove.
///
/// # Errors
/// 401 without saying which part is wrong.
pub(crate) async fn sign_in(
    app: &Arc<App>,
    headers: &HeaderMap,
    address: Option<IpAddr>,
) -> Result<Identity, Error> {
    let value = headers.get(header::AUTHORIZATION);
    let text = value.and_then(|value| value.to_str().ok()).map(str::trim);
    match text.and_then(|text| text.split_once(' ')) {
        Some((scheme, token)) if scheme.eq_ignore_ascii_case("bearer") => {
            bearer::sign_in(app, token.trim(), address).await
        }
        _ if headers.get_all(header::AUTHORIZATION).iter().count() > 1 => Err(Error::new(
            Kind::Unauthenticated,
            "Sign in in one way, not in several.",
        )),
        _ => basic::sign_in(app, headers, address).await,
    }
}

/// Where a provider sends browsers back to. It is registered there.
pub(crate) fn redirect_address(app: &App, provider: &Provider) -> String {
    let url = app
        .options
        .public_url
        .as_deref()
        .unwrap_or("https://localhost");
    format!(
        "{}/signin/{}/callback",
        url.trim_end_matches('/'),
        provider.scheme
    )
}
