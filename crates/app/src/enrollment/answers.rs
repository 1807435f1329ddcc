//! What enrollments answer with: certificates and keys in the form asked for, and the headers beside them.

use axum::http::{HeaderMap, HeaderName, HeaderValue};
use base64::Engine;
use base64::engine::general_purpose::STANDARD;
use pki::pkcs12::{self, Encryption};
use pki::{Certificate, PrivateKey};

use super::issue::Issued;
use crate::audit::{self, Category, Entry, Operation};
use crate::cx::Cx;
use crate::error::{Error, Kind};

/// The header that names the form.
const FORMAT_HEADER: &str = "x-certificateformat";

/// `RequestDisposition` of a certificate that is there.
pub(super) const ISSUED: &str = "ISSUED";
/// `RequestDisposition` of a request that waits.
pub(super) const PENDING: &str = "PENDING";
pub(super) const ISSUED_MESSAGE: &str = "The certificate was issued.";
pub(super) const PENDING_MESSAGE: &str = "The request waits for a manager's approval.";

/// Records that the caller gets the private key, before it leaves the server.
///
/// # Errors
/// Those of the database.
pub(super) async fn record_key_handed_out(cx: &Cx, issued: &Issued) -> Result<(), Error> {
    let message = format!(
        "The private key of certificate {} was given to who enrolled it.",
        issued.certificate_id
    );
    let entry = Entry::new(
        Operation::DownloadedWithPrivateKey,
        Category::Certificate,
        issued.certificate().subject(),
        message,
    );
    let (db, cx) = (cx.db().clone(), cx.clone());
    db.write("enrollment.key_handed_out", move |tx| {
        Box::pin(async move { audit::record(tx, &cx, entry).await })
    })
    .await
}

/// The form of a certificate for a request.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum CertificateFormat {
    /// Text with BEGIN and END.
    Pem,
    /// Base64 of each certificate's DER.
    Der,
    /// Base64 of one PKCS#7 with all of them.
    P7b,
}

/// The form of a certificate with its key.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum ContainerFormat {
    /// PKCS#12.
    Pfx,
    /// Text with the encrypted key and the certificates.
    Pem,
    /// None: the key stays here.
    Store,
}

/// The header's text.
///
/// # Errors
/// 400 when it is missing.
fn format(headers: &HeaderMap) -> Result<String, Error> {
    let given = headers
        .get(FORMAT_HEADER)
        .and_then(|value| value.to_str().ok())
        .unwrap_or_default()
        .trim();
    if given.is_empty() {
        return Err(Error::new(
            Kind::MissingHeader,
            "The header x-certificateformat has to be supplied.",
        ));
    }
    Ok(given.to_ascii_uppercase())
}

impl CertificateFormat {
    /// The form that the header names.
    ///
    /// # Errors
    /// 400 when it is missing or names a form that is not offered.
    pub(super) fn of(headers: &HeaderMap) -> Result<Self, Error> {
        match format(headers)?.as_str() {
            "PEM" => Ok(Self::Pem),
            "DER" => Ok(Self::Der),
            "P7B" => Ok(Self::P7b),
            other => Err(not_offered(other, "PEM, DER and P7B")),
        }
    }

    /// The certificates in this form, leaf first.
    pub(super) fn certificates(
        self,
        chain: &[Certificate],
        with_subject: bool,
    ) -> Result<Vec<String>, Error> {
        Ok(match self {
            Self::Pem => chain
                .iter()
                .map(|certificate| pem(certificate, with_subject))
                .collect(),
            Self::Der => chain
                .iter()
                .map(|certificate| STANDARD.encode(certificate.der()))
                .collect(),
            Self::P7b => vec![
                STANDARD
                    .encode(pki::pkcs7::certificates_to_pkcs7_der(chain).map_err(Error::internal)?),
            ],
        })
    }
}

impl ContainerFormat {
    /// The form that the header names.
    ///
    /// # Errors
    /// 400 when it is missing or names a form that is not offered.
    pub(super) fn of(headers: &HeaderMap) -> Result<Self, Error> {
        match format(headers)?.as_str() {
            "PFX" => Ok(Self::Pfx),
            "PEM" => Ok(Self::Pem),
            "STORE" => Ok(Self::Store),
            other => Err(not_offered(other, "PFX, PEM and STORE")),
        }
    }

    fn extension(self) -> &'static str {
        match self {
            Self::Pem => "pem",
            Self::Pfx | Self::Store => "pfx",
        }
    }
}

fn not_offered(format: &str, offered: &str) -> Error {
    let shown: String = format.chars().take(20).collect();
    Error::new(
        Kind::BadFormat,
        format!("x-certificateformat: {shown:?} is not offered here; {offered} are."),
    )
}

/// A certificate as PEM, after a line with its subject.
fn pem(certificate: &Certificate, with_subject: bool) -> String {
    let block = pki::pem::encode("CERTIFICATE", certificate.der());
    // A line break in a subject would end the comment.
    let subject = certificate.subject().replace(['\n', '\r'], " ");
    if with_subject {
        format!("#{subject}\n{block}")
    } else {
        block
    }
}

/// A certificate with its key and what else is known, to be packed.
pub(super) struct Contents<'a> {
    pub(super) key: &'a PrivateKey,
    /// Leaf first.
    pub(super) chain: &'a [Certificate],
    pub(super) friendly_name: &'a str,
    pub(super) password: &'a str,
    pub(super) legacy_encryption: bool,
    pub(super) with_subject: bool,
    /// Root first instead of leaf first; PEM only.
    pub(super) root_first: bool,
}

/// Base64 of the container; empty where the key stays here.
///
/// # Errors
/// 400 for a password or name that the form cannot express.
pub(super) fn container(format: ContainerFormat, contents: &Contents<'_>) -> Result<String, Error> {
    match format {
        ContainerFormat::Store => Ok(String::new()),
        ContainerFormat::Pem => {
            let mut certificates: Vec<String> = contents
                .chain
                .iter()
                .map(|one| pem(one, contents.with_subject))
                .collect();
            if contents.root_first {
                certificates.reverse();
            }
            let key = contents.key.to_encrypted_pkcs8_pem(contents.password);
            let key = key.map_err(Error::internal)?;
            let text = format!("{}{}", key, certificates.concat());
            Ok(STANDARD.encode(text))
        }
        ContainerFormat::Pfx => {
            let encryption = if contents.legacy_encryption {
                Encryption::Legacy
            } else {
                Encryption::Compatible
            };
            let written = pkcs12::to_pkcs12(
                contents.key,
                contents.chain,
                contents.friendly_name,
                contents.password,
                encryption,
            );
            let der = written.map_err(|error| match error {
                pkcs12::Error::Malformed(reason) => {
                    Error::bad_request(format!("Password, CustomFriendlyName: {reason}."))
                }
                other => Error::internal(other),
            })?;
            Ok(STANDARD.encode(der))
        }
    }
}

/// The headers of an answer with a key: the name of the file, and whether the key is kept here.
pub(super) fn headers(format: ContainerFormat, name: &str, saved: bool) -> HeaderMap {
    let plain =
        |character: char| character.is_ascii_alphanumeric() || matches!(character, '.' | '-' | '_');
    let name: String = name
        .chars()
        .take(100)
        .map(|character| if plain(character) { character } else { '_' })
        .collect();
    let name = if name.is_empty() {
        "certificate".to_owned()
    } else {
        name
    };
    let mut headers = HeaderMap::new();
    if let Ok(value) = HeaderValue::from_str(&format!("{name}.{}", format.extension())) {
        headers.insert(HeaderName::from_static("x-certificatefile"), value);
    }
    let status = if saved { "Saved" } else { "NoRetention" };
    headers.insert(
        HeaderName::from_static("x-privatekeystatus"),
        HeaderValue::from_static(status),
    );
    headers
}
