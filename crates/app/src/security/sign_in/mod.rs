//! Sign-in: whose request it is, and what the roles of its claims grant.

mod basic;
mod grants;

use std::net::IpAddr;
use std::sync::Arc;

use axum::http::HeaderMap;

use crate::app::App;
use crate::cx::Identity;
use crate::error::Error;

pub(crate) use basic::CredentialCache;
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
    basic::sign_in(app, headers, address).await
}
