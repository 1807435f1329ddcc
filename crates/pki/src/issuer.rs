//! Issuing. A certificate is prepared, linted, and only then signed: [`LintedCertificate`] is the one thing that can be signed, and it
//! comes into being only by passing the lints.

mod structures;

use std::fmt;
use std::sync::Arc;

use aws_lc_rs::digest;
use der::Encode;
use spki::SubjectPublicKeyInfoRef;

use crate::certificate::Certificate;
use crate::distinguished_name::DistinguishedName;
use crate::error::{Error, Result};
use crate::extensions::{self, CRL_SIGN, CertificateProfile, KEY_CERT_SIGN};
use crate::key::PrivateKey;
use crate::key_info::KeyInfo;
use crate::lint::Draft;
use crate::serial::Serial;
use crate::subject_alternative_name::SubjectAlternativeName;

pub(crate) use structures::{sign, time_of};

/// A certificate of an authority together with its key. Cheap to clone; everything that depends on the issuer alone is prepared once.
#[derive(Clone)]
pub struct Issuer {
    content: Arc<Content>,
}

struct Content {
    certificate: Certificate,
    key: PrivateKey,
    key_id: Vec<u8>,
    algorithm_der: Vec<u8>,
}

/// Whom a certificate is for.
#[derive(Debug, Clone)]
pub struct Subject {
    /// The distinguished name; may be empty if there are alternative names.
    pub name: DistinguishedName,
    /// The alternative names.
    pub sans: Vec<SubjectAlternativeName>,
    /// The DER of the `SubjectPublicKeyInfo`.
    pub spki_der: Vec<u8>,
}

/// The content of a certificate that has passed the lints and waits for its signature.
pub struct LintedCertificate {
    to_be_signed: Vec<u8>,
    serial: Serial,
    issuer: Issuer,
}

impl Issuer {
    /// Joins a certificate and its key.
    ///
    /// # Errors
    /// [`Error::Refused`] if the key is not that of the certificate, or the certificate is not that of an authority.
    pub fn new(certificate: Certificate, key: PrivateKey) -> Result<Self> {
        if !key.matches(&certificate) {
            return Err(Error::refused(
                "issuer_key",
                "the private key is not that of the certificate",
            ));
        }
        if !certificate.is_ca() {
            return Err(Error::refused(
                "issuer_is_authority",
                "the certificate is not that of an authority",
            ));
        }
        let key_id = match certificate.subject_key_id() {
            Some(key_id) => key_id.to_vec(),
            None => key_id_of(certificate.spki_der())?,
        };
        let algorithm_der = key
            .signature_algorithm()
            .to_der()
            .map_err(extensions::encoding)?;
        Ok(Issuer {
            content: Arc::new(Content {
                certificate,
                key,
                key_id,
                algorithm_der,
            }),
        })
    }

    /// Makes a self-signed root: an authority without path length that may sign certificates and CRLs. Times are milliseconds since the
    /// Unix epoch.
    ///
    /// # Errors
    /// [`Error::Refused`] with what the lints find; [`Error::Crypto`].
    pub fn self_signed_root(
        subject: &DistinguishedName,
        key: PrivateKey,
        not_before_ms: i64,
        not_after_ms: i64,
        serial: &Serial,
    ) -> Result<Self> {
        let profile = CertificateProfile {
            basic_constraints: Some((true, None)),
            key_usage: KEY_CERT_SIGN | CRL_SIGN,
            ..CertificateProfile::default()
        };
        let spki_der = key.spki_der();
        let draft = Draft {
            name: subject,
            names: &[],
            key: &KeyInfo::of_spki(&spki_der),
            profile: &profile,
            serial,
            not_before_ms,
            not_after_ms,
            issuer: None,
        };
        let algorithm_der = key
            .signature_algorithm()
            .to_der()
            .map_err(extensions::encoding)?;
        let to_be_signed = structures::to_be_signed(
            &draft,
            &spki_der,
            &structures::Authority {
                name_der: &subject.to_der()?,
                key_id: None,
                algorithm_der: &algorithm_der,
            },
        )?;
        let certificate = sign(&to_be_signed, &algorithm_der, &key)?;
        Self::new(Certificate::from_der(&certificate)?, key)
    }

    /// The issuer's certificate.
    pub fn certificate(&self) -> &Certificate {
        &self.content.certificate
    }

    /// The issuer's key identifier, as it stands in the certificates it signs.
    pub fn key_id(&self) -> &[u8] {
        &self.content.key_id
    }

    /// Builds a certificate and lints it against RFC 5280. Adds the subject and authority key identifiers and what the profile says; the
    /// alternative names are critical exactly if the subject is empty. Times are milliseconds since the Unix epoch, cut to seconds.
    ///
    /// # Errors
    /// [`Error::Refused`] with everything the lints find; [`Error::Malformed`] for names or keys that cannot be encoded.
    pub fn prepare(
        &self,
        subject: Subject,
        profile: &CertificateProfile,
        serial: Serial,
        not_before_ms: i64,
        not_after_ms: i64,
    ) -> Result<LintedCertificate> {
        let Subject {
            name,
            sans,
            spki_der,
        } = subject;
        let draft = Draft {
            name: &name,
            names: &sans,
            key: &KeyInfo::of_spki(&spki_der),
            profile,
            serial: &serial,
            not_before_ms,
            not_after_ms,
            issuer: Some(self.certificate()),
        };
        let to_be_signed = structures::to_be_signed(
            &draft,
            &spki_der,
            &structures::Authority {
                name_der: self.certificate().subject_der(),
                key_id: Some(self.key_id()),
                algorithm_der: self.algorithm_der(),
            },
        )?;
        Ok(LintedCertificate {
            to_be_signed,
            serial,
            issuer: self.clone(),
        })
    }

    pub(crate) fn key(&self) -> &PrivateKey {
        &self.content.key
    }

    pub(crate) fn algorithm_der(&self) -> &[u8] {
        &self.content.algorithm_der
    }
}

impl LintedCertificate {
    /// The serial number the certificate will have.
    pub fn serial(&self) -> &Serial {
        &self.serial
    }

    /// Signs it. The issuer must be the one it was prepared by.
    ///
    /// # Errors
    /// [`Error::Refused`] for another issuer; [`Error::Crypto`].
    pub fn sign(self, issuer: &Issuer) -> Result<Certificate> {
        if issuer.certificate() != self.issuer.certificate() {
            return Err(Error::refused(
                "same_issuer",
                "the certificate was prepared by another issuer",
            ));
        }
        let der = sign(&self.to_be_signed, issuer.algorithm_der(), issuer.key())?;
        Certificate::from_der(&der)
    }
}

/// The identifier of a key: the first 160 bits of SHA-256 over the key octets (RFC 7093 §2, method 1).
fn key_id_of(spki_der: &[u8]) -> Result<Vec<u8>> {
    let spki = SubjectPublicKeyInfoRef::try_from(spki_der)
        .map_err(|error| Error::malformed("public key", error))?;
    let hash = digest::digest(&digest::SHA256, spki.subject_public_key.raw_bytes());
    Ok(hash.as_ref()[..20].to_vec())
}

impl fmt::Debug for Issuer {
    fn fmt(&self, formatter: &mut fmt::Formatter<'_>) -> fmt::Result {
        formatter
            .debug_struct("Issuer")
            .field("certificate", self.certificate())
            .finish_non_exhaustive()
    }
}

impl fmt::Debug for LintedCertificate {
    fn fmt(&self, formatter: &mut fmt::Formatter<'_>) -> fmt::Result {
        formatter
            .debug_struct("LintedCertificate")
            .field("serial", &self.serial.to_hex())
            .field("issuer", &self.issuer)
            .finish_non_exhaustive()
    }
}
