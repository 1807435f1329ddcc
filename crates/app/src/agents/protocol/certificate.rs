//! The certificates of agents: from a request to a certificate of the agents' own authority.

use base64::Engine;
use pki::{CertificateProfile, CertificateRequest, DistinguishedName, Issuer, Serial, Subject};

use crate::cx::Cx;
use crate::error::Error;

/// Octets of a request at most.
const REQUEST_OCTETS_MAX: usize = 16 * 1024;
/// How long an agent's certificate is good for.
const VALIDITY_MS: i64 = 365 * jobs::DAY_MS;
/// How far the beginning lies in the past: the C agent compares with local time (agent-protocol 1).
const BACK_DATED_MS: i64 = jobs::DAY_MS;
/// How long before the end an agent that does not care for itself is asked to renew.
const RENEWED_BEFORE_MS: i64 = 60 * jobs::DAY_MS;
const CLIENT_AUTHENTICATION: &str = "1.3.6.1.5.5.7.3.2";
const DIGITAL_SIGNATURE: u16 = 128;

/// A request for a certificate, its signature checked.
pub(super) struct Csr {
    spki_der: Vec<u8>,
    /// SHA-256 of the public key, hex: the same key asks for the same certificate.
    pub(super) key: String,
}

impl Csr {
    /// Reads bare base64 (also wrapped, also PEM).
    ///
    /// # Errors
    /// A refusal that says what is wrong.
    pub(super) fn read(text: &str) -> Result<Self, Error> {
        let wrong = |reason: &dyn std::fmt::Display| Error::bad_request(format!("CSR: {reason}."));
        if text.len() > REQUEST_OCTETS_MAX {
            return Err(wrong(&"it is too long"));
        }
        let octets = if text.contains("-----BEGIN") {
            text.as_bytes().to_vec()
        } else {
            let bare: String = text.split_ascii_whitespace().collect();
            base64::engine::general_purpose::STANDARD
                .decode(bare)
                .map_err(|_| wrong(&"it is not base64"))?
        };
        let request =
            CertificateRequest::from_pem_or_der(&octets).map_err(|error| wrong(&error))?;
        let key = aws_lc_rs::digest::digest(&aws_lc_rs::digest::SHA256, request.spki_der());
        Ok(Self {
            spki_der: request.spki_der().to_vec(),
            key: hex::encode(key),
        })
    }

    /// The certificate for this key and the agent's name. What the request says of the subject is not taken over: the
    /// name is what was approved.
    ///
    /// # Errors
    /// A refusal when the key is one that no certificate is given to.
    pub(super) fn issue(
        &self,
        cx: &Cx,
        issuer: &Issuer,
        client_machine: &str,
    ) -> Result<pki::Certificate, Error> {
        let refused = |error: pki::Error| Error::bad_request(format!("CSR: {error}."));
        // A common name has 64 characters at most (RFC 5280 Appendix A.1).
        let name: String = client_machine.chars().take(64).collect();
        let subject = Subject {
            name: DistinguishedName::parse(&format!("CN={}", escaped(name.trim())))
                .map_err(refused)?,
            sans: Vec::new(),
            spki_der: self.spki_der.clone(),
        };
        let profile = CertificateProfile {
            basic_constraints: Some((false, None)),
            key_usage: DIGITAL_SIGNATURE,
            extended_key_usages: vec![CLIENT_AUTHENTICATION.into()],
            ..CertificateProfile::default()
        };
        let serial = Serial::from_random(&cx.app().randomness.octets());
        let begin = (cx.now() - BACK_DATED_MS).max(issuer.certificate().not_before());
        let end = (cx.now() + VALIDITY_MS).min(issuer.certificate().not_after());
        let linted = issuer
            .prepare(subject, &profile, serial, begin, end)
            .map_err(refused)?;
        linted.sign(issuer).map_err(Error::internal)
    }
}

/// RFC 4514 §2.4.
fn escaped(value: &str) -> String {
    let mut text = String::with_capacity(value.len());
    for character in value.chars() {
        if ",+\"\\<>;=#".contains(character) {
            text.push('\\');
        }
        text.push(character);
    }
    text
}

/// What is known of an agent's current certificate.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Age {
    /// There is none, or it cannot be read.
    None,
    /// Good for a while.
    Good,
    /// Near its end.
    Old,
    /// Past its end.
    Expired,
}

/// How old the agent's certificate is.
pub(super) fn age(certificate: Option<&[u8]>, now: i64) -> Age {
    let Some(certificate) = certificate.and_then(|der| pki::Certificate::from_der(der).ok()) else {
        return Age::None;
    };
    match certificate.not_after() {
        end if end <= now => Age::Expired,
        end if end - RENEWED_BEFORE_MS <= now => Age::Old,
        _ => Age::Good,
    }
}
