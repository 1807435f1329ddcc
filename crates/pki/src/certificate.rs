//! Certificates, read with tolerance: whatever the world has issued must be shown in an inventory.

mod parse;
mod reading;
mod salvage;

use std::fmt;
use std::ops::Range;
use std::sync::Arc;

use aws_lc_rs::digest;

use crate::distinguished_name::DistinguishedName;
use crate::error::Result;
use crate::key_info::KeyInfo;
use crate::signature;
use crate::subject_alternative_name::SubjectAlternativeName;

pub(crate) use parse::algorithm;
pub(crate) use reading::RawExtension;
pub use reading::{MAXIMUM_CERTIFICATE_BYTES, Reading, Warning};

/// An X.509 certificate. Cheap to clone. The DER is kept as it was read; equality is equality of the DER.
#[derive(Clone)]
pub struct Certificate {
    content: Arc<Content>,
}

struct Content {
    der: Vec<u8>,
    to_be_signed: Range<usize>,
    subject_der: Range<usize>,
    issuer_der: Range<usize>,
    spki_der: Range<usize>,
    /// The content of the INTEGER.
    serial: Range<usize>,
    signature: Vec<u8>,
    signature_algorithm: signature::Algorithm,
    serial_hex: String,
    subject_name: DistinguishedName,
    issuer_name: DistinguishedName,
    subject: String,
    issuer: String,
    not_before: i64,
    not_after: i64,
    /// Whether the two times are those of the certificate.
    times_are_read: bool,
    key: KeyInfo,
    extensions: parse::Extensions,
}

impl Certificate {
    /// Reads one certificate. Negative serial numbers, empty subjects, old string types and extensions that cannot be understood are all
    /// accepted; extensions that cannot be understood count as absent.
    ///
    /// # Errors
    /// [`crate::Error::Malformed`] if the octets are not the DER of exactly one certificate.
    pub fn from_der(der: &[u8]) -> Result<Self> {
        parse::parse(der).map(|content| Certificate {
            content: Arc::new(content),
        })
    }

    /// The DER as it was read.
    pub fn der(&self) -> &[u8] {
        &self.content.der
    }

    /// SHA-256 of the DER.
    pub fn sha256(&self) -> [u8; 32] {
        let mut octets = [0; 32];
        octets.copy_from_slice(digest::digest(&digest::SHA256, self.der()).as_ref());
        octets
    }

    /// SHA-1 of the DER in upper-case hexadecimal: the thumbprint of Windows and Command.
    pub fn thumbprint(&self) -> String {
        hex::encode_upper(digest::digest(
            &digest::SHA1_FOR_LEGACY_USE_ONLY,
            self.der(),
        ))
    }

    /// The serial number in upper-case hexadecimal without the sign octet; of a negative number the two's complement as it stands.
    pub fn serial_hex(&self) -> &str {
        &self.content.serial_hex
    }

    /// The subject as text, most specific attribute first (`CN=a,O=b`); empty if the certificate has none.
    pub fn subject(&self) -> &str {
        &self.content.subject
    }

    /// The issuer as text, most specific attribute first.
    pub fn issuer(&self) -> &str {
        &self.content.issuer
    }

    /// The subject as a name.
    pub fn subject_name(&self) -> &DistinguishedName {
        &self.content.subject_name
    }

    /// The issuer as a name.
    pub fn issuer_name(&self) -> &DistinguishedName {
        &self.content.issuer_name
    }

    /// The DER of the subject's `Name`.
    pub fn subject_der(&self) -> &[u8] {
        &self.content.der[self.content.subject_der.clone()]
    }

    /// The DER of the issuer's `Name`.
    pub fn issuer_der(&self) -> &[u8] {
        &self.content.der[self.content.issuer_der.clone()]
    }

    /// The most specific common name of the subject.
    pub fn common_name(&self) -> Option<&str> {
        self.content.subject_name.common_name()
    }

    /// The most specific organizational unit of the subject.
    pub fn organizational_unit(&self) -> Option<&str> {
        self.content.subject_name.organizational_unit()
    }

    /// The e-mail address in the subject.
    pub fn email(&self) -> Option<&str> {
        self.content.subject_name.email()
    }

    /// Start of validity, milliseconds since the Unix epoch.
    pub fn not_before(&self) -> i64 {
        self.content.not_before
    }

    /// End of validity, milliseconds since the Unix epoch.
    pub fn not_after(&self) -> i64 {
        self.content.not_after
    }

    /// What the public key is.
    pub fn key(&self) -> &KeyInfo {
        &self.content.key
    }

    /// The signature algorithm as Command shows it, for example `SHA-256withRSA`; the dotted identifier if it has no name here.
    pub fn signature_algorithm(&self) -> &str {
        self.content.signature_algorithm.name()
    }

    /// The key usage in the bit mask of .NET's `X509KeyUsageFlags`: EncipherOnly 1, CrlSign 2, KeyCertSign 4, KeyAgreement 8,
    /// DataEncipherment 16, KeyEncipherment 32, NonRepudiation 64, DigitalSignature 128, DecipherOnly 32768; 0 if absent.
    pub fn key_usage(&self) -> u16 {
        self.content.extensions.key_usage
    }

    /// The extended key usages as dotted identifiers, in the order of the certificate.
    pub fn extended_key_usages(&self) -> &[String] {
        &self.content.extensions.extended_key_usages
    }

    /// The subject alternative names, in the order of the certificate.
    pub fn subject_alternative_names(&self) -> &[SubjectAlternativeName] {
        &self.content.extensions.subject_alternative_names
    }

    /// The URLs of the CRL distribution points.
    pub fn crl_distribution_points(&self) -> &[String] {
        &self.content.extensions.crl_distribution_points
    }

    /// The OCSP responder URLs of the authority information access.
    pub fn ocsp_urls(&self) -> &[String] {
        &self.content.extensions.ocsp_urls
    }

    /// Whether the basic constraints name it an authority. Version 1 certificates are none.
    pub fn is_ca(&self) -> bool {
        self.content.extensions.is_ca
    }

    /// The path length constraint.
    pub fn path_length(&self) -> Option<u32> {
        self.content.extensions.path_length
    }

    /// The key identifier of the authority that signed it.
    pub fn authority_key_id(&self) -> Option<&[u8]> {
        self.content.extensions.authority_key_id.as_deref()
    }

    /// The identifier of its own key.
    pub fn subject_key_id(&self) -> Option<&[u8]> {
        self.content.extensions.subject_key_id.as_deref()
    }

    /// The DER of the `SubjectPublicKeyInfo`.
    pub fn spki_der(&self) -> &[u8] {
        &self.content.der[self.content.spki_der.clone()]
    }

    /// Whether subject and issuer are the same name.
    pub fn is_self_issued(&self) -> bool {
        names_match(
            (self.subject_der(), self.subject()),
            (self.issuer_der(), self.issuer()),
        )
    }

    /// Whether the issuer's subject is this certificate's issuer: octet for octet, or in text without regard to case.
    pub(crate) fn names_as_issuer(&self, issuer: &Certificate) -> bool {
        names_match(
            (self.issuer_der(), self.issuer()),
            (issuer.subject_der(), issuer.subject()),
        )
    }

    /// Verifies this certificate's signature with the issuer's key: RSA (PKCS#1 and PSS), ECDSA, Ed25519, ML-DSA. Looks at nothing else.
    ///
    /// # Errors
    /// [`crate::Error::BadSignature`], or [`crate::Error::UnsupportedAlgorithm`] if it cannot be told.
    pub fn verify_signed_by(&self, issuer: &Certificate) -> Result<()> {
        self.content.signature_algorithm.verify(
            issuer.spki_der(),
            &self.content.der[self.content.to_be_signed.clone()],
            &self.content.signature,
        )
    }
}

fn names_match(one: (&[u8], &str), other: (&[u8], &str)) -> bool {
    one.0 == other.0 || (!one.1.is_empty() && one.1.eq_ignore_ascii_case(other.1))
}

impl PartialEq for Certificate {
    fn eq(&self, other: &Self) -> bool {
        Arc::ptr_eq(&self.content, &other.content) || self.der() == other.der()
    }
}

impl Eq for Certificate {}

impl std::hash::Hash for Certificate {
    fn hash<H: std::hash::Hasher>(&self, state: &mut H) {
        self.der().hash(state);
    }
}

impl fmt::Debug for Certificate {
    fn fmt(&self, formatter: &mut fmt::Formatter<'_>) -> fmt::Result {
        formatter
            .debug_struct("Certificate")
            .field("subject", &self.subject())
            .field("issuer", &self.issuer())
            .field("serial", &self.serial_hex())
            .finish_non_exhaustive()
    }
}
