//! Who calls: an agent with its certificate, or an account that brings an agent.

use std::net::IpAddr;
use std::sync::Arc;

use aws_lc_rs::digest;
use axum::http::{HeaderMap, header};
use db::tables::agents;
use sea_orm::{ColumnTrait, EntityTrait, ExprTrait, QueryFilter};

use crate::app::App;
use crate::error::{Error, Kind};
use crate::security::{self, Turn};
use crate::web::PeerCertificate;

/// Who calls.
#[derive(Debug)]
pub(super) enum Who {
    /// An agent that holds the key of its certificate, and which of its certificates it was (SHA-1, upper-case hex).
    Agent(Box<agents::Model>, String),
    /// An account. `unknown_certificate`: a certificate came along that is no agent's (any more).
    Account {
        /// Its provider and subject, by which its requests are counted.
        whose: (String, String),
        name: String,
        unknown_certificate: bool,
    },
    /// Somebody whose certificate is no agent's and who did not sign in.
    Stranger,
}

impl Who {
    /// The turn of a call: accounts have those of the API, and strangers those of who is not signed in.
    ///
    /// # Errors
    /// 429.
    pub(super) fn turn(&self, app: &App, address: Option<IpAddr>) -> Result<Option<Turn>, Error> {
        let (rates, now) = (&app.rates, app.clock.now());
        match self {
            Self::Agent(agent, _) => rates.turn(("agent", agent.id), now).map(Some),
            Self::Account { whose, .. } => rates.turn(whose, now).map(Some),
            Self::Stranger => rates.knock(address, now).map(|()| None),
        }
    }

    /// Whether the connection was proven to be TLS with a client certificate.
    pub(super) fn has_certificate(&self) -> bool {
        matches!(self, Self::Agent(..))
    }
}

/// Finds out who calls. The certificate decides where there is one that we know; the C agent sends name and password beside
/// it, which then are not looked at.
///
/// # Errors
/// 401 for nobody, and for a wrong name or password.
pub(super) async fn identify(
    app: &Arc<App>,
    headers: &HeaderMap,
    peer: Option<PeerCertificate>,
    address: Option<IpAddr>,
) -> Result<Who, Error> {
    if let Some(PeerCertificate(der)) = &peer {
        let thumbprint = hex::encode_upper(digest::digest(&digest::SHA1_FOR_LEGACY_USE_ONLY, der));
        let known = agents::Column::Thumbprint
            .eq(&thumbprint)
            .or(agents::Column::PreviousThumbprint.eq(&thumbprint));
        if let Some(agent) = agents::Entity::find()
            .filter(known)
            .one(app.db().read())
            .await?
        {
            return Ok(Who::Agent(Box::new(agent), thumbprint));
        }
    }
    if !headers.contains_key(header::AUTHORIZATION) {
        return match peer {
            Some(_) => Ok(Who::Stranger),
            None => Err(Error::new(
                Kind::Unauthenticated,
                "Neither a client certificate nor a name and password.",
            )),
        };
    }
    let account = security::sign_in(app, headers, address).await?;
    security::check_password_change(&account, "an agent's interface")?;
    // Agents without a certificate are known by the account's name, and only ours never stand for two.
    if account.account_id.is_none() {
        let message = "Agents sign in with a local account.";
        return Err(Error::new(Kind::Unauthenticated, message).tried(&account.name));
    }
    Ok(Who::Account {
        whose: (account.provider, account.subject),
        name: account.name,
        unknown_certificate: peer.is_some(),
    })
}
