//! What the other slices ask of authorities.

use std::sync::Arc;

use ca::Authority;
use pki::{Certificate, DistinguishedName, Issuer, Serial, Subject, SubjectAlternativeName};

use super::memory::{KnownAuthority, all};
use super::{PURPOSE_AGENTS, PURPOSE_ISSUING, PURPOSE_ROOT};
use crate::app::App;
use crate::audit::{self, Category, Entry, Operation};
use crate::certificates::{self, Origin};
use crate::cx::Cx;
use crate::error::Error;

/// How long the server's own certificate is good for; it is renewed long before.
const SERVER_CERTIFICATE_DAYS: i64 = 90;
const SERVER_AUTHENTICATION: &str = "1.3.6.1.5.5.7.3.1";
const DIGITAL_SIGNATURE_AND_KEY_ENCIPHERMENT: u16 = 128 | 32;

/// The authority of the agents' certificates.
///
/// # Errors
/// Those of the database.
pub(crate) async fn agents_authority(app: &App) -> Result<(i64, Arc<Issuer>), Error> {
    let known = all(app).await?;
    let found = known
        .iter()
        .find(|authority| authority.purpose == PURPOSE_AGENTS && authority.enabled);
    let found = found.ok_or_else(|| Error::internal("there is no authority for agents"))?;
    Ok((found.id, Arc::clone(&found.issuer)))
}

/// An order at the clock and with the randomness of `cx`.
pub(crate) fn order(cx: &Cx, subject: Subject, profile: ca::Profile) -> ca::Order {
    ca::Order {
        subject,
        profile,
        serial: Serial::at(cx.now(), &cx.app().randomness.octets()),
        now_ms: cx.now(),
    }
}

/// A certificate for this server's own listener, leaf first up to the root. The first name is its common name.
///
/// # Errors
/// 400 for names that cannot stand in a certificate; those of the database.
async fn issue_server_certificate(
    cx: &Cx,
    names: &[SubjectAlternativeName],
    spki_der: &[u8],
) -> Result<Vec<Certificate>, Error> {
    let known = all(cx.app()).await?;
    let authority = known
        .iter()
        .find(|authority| authority.purpose == PURPOSE_ISSUING && authority.enabled);
    let authority =
        authority.ok_or_else(|| Error::internal("there is no authority that issues"))?;
    // A common name has 64 characters at most (RFC 5280 Appendix A.1); longer names stand among the alternative ones only.
    let common_name = names
        .first()
        .filter(|name| name.value.chars().count() <= 64);
    let subject = Subject {
        name: match common_name {
            Some(name) => DistinguishedName::parse(&format!("CN={}", escape(&name.value)))
                .map_err(|error| super::refusal(error.into()))?,
            None => DistinguishedName::default(),
        },
        sans: names.to_vec(),
        spki_der: spki_der.to_vec(),
    };
    let profile = ca::Profile {
        key_usage: DIGITAL_SIGNATURE_AND_KEY_ENCIPHERMENT,
        extended_key_usages: vec![SERVER_AUTHENTICATION.into()],
        validity_days: SERVER_CERTIFICATE_DAYS,
    };
    let certificate = authority
        .connector
        .issue(order(cx, subject, profile))
        .map_err(super::refusal)?;
    let mut chain = vec![certificate.clone()];
    chain.extend_from_slice(authority.connector.chain());
    let (cx, authority_id) = (cx.clone(), authority.id);
    cx.db()
        .clone()
        .write("authorities.server_certificate", move |tx| {
            Box::pin(async move {
                let requester = cx.caller_name();
                let origin = Origin {
                    authority_id: Some(authority_id),
                    requester: Some(&requester),
                    history: Some((
                        "Enrolled",
                        "Certificate of this server's own listener".into(),
                    )),
                    ..Origin::default()
                };
                certificates::record(tx, &cx, &certificate, &origin).await?;
                let message = "certificate for the server's own listener issued";
                audit::record(
                    tx,
                    &cx,
                    Entry::new(
                        Operation::Created,
                        Category::Certificate,
                        certificate.subject(),
                        message,
                    ),
                )
                .await
            })
        })
        .await?;
    Ok(chain)
}

/// A value with the escapes of RFC 4514 §2.4.
pub(crate) fn escape(value: &str) -> String {
    let mut escaped = String::with_capacity(value.len());
    let last = value.chars().count().saturating_sub(1);
    for (index, character) in value.chars().enumerate() {
        let special = matches!(character, ',' | '+' | '"' | '\\' | '<' | '>' | ';' | '=');
        if special
            || index == 0 && character == '#'
            || character == ' ' && (index == 0 || index == last)
        {
            escaped.push('\\');
        }
        escaped.push(character);
    }
    escaped
}

fn certificates_of(known: &[Arc<KnownAuthority>], purpose: &str) -> Vec<Vec<u8>> {
    let of_purpose = known
        .iter()
        .filter(|authority| authority.purpose == purpose);
    of_purpose
        .map(|authority| authority.issuer.certificate().der().to_vec())
        .collect()
}

impl App {
    /// The certificates that vouch for agents, DER: what a client certificate at the listener has to be signed by.
    pub fn agent_authorities(&self) -> Vec<Vec<u8>> {
        certificates_of(&self.issuers.known(), PURPOSE_AGENTS)
    }

    /// The roots of what is enrolled here, DER: what clients of this server and of deployed certificates trust.
    ///
    /// # Errors
    /// Those of the database.
    pub async fn trust_anchors(&self) -> Result<Vec<Vec<u8>>, Error> {
        Ok(certificates_of(&all(self).await?, PURPOSE_ROOT))
    }

    /// A certificate for the listener from the built-in authority, leaf first, recorded in the inventory. The key stays with
    /// the caller.
    ///
    /// # Errors
    /// Names that cannot stand in a certificate, or a database that cannot be written.
    pub async fn issue_server_certificate(
        self: &Arc<Self>,
        names: &[SubjectAlternativeName],
        key: &pki::PrivateKey,
    ) -> Result<Vec<Certificate>, Error> {
        let cx = Cx::system(Arc::clone(self), "own certificate");
        issue_server_certificate(&cx, names, &key.spki_der()).await
    }
}
