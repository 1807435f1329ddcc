//! The Online Certificate Status Protocol (RFC 6960), as far as asking and judging the answer: a request for one certificate, and the
//! verification of a basic response.

use std::fmt;
use std::ops::Range;

use aws_lc_rs::digest;
use der::asn1::{AnyRef, IntRef, ObjectIdentifier, OctetStringRef};
use der::{Decode as _, Encode as _, Sequence};
use spki::SubjectPublicKeyInfoRef;

use crate::ber::{
    self, BIT_STRING, CONTEXT_0, CONTEXT_1, CONTEXT_2, ENUMERATED, Element, GENERALIZED_TIME,
    INTEGER, OBJECT_IDENTIFIER, OCTET_STRING, SEQUENCE,
};
use crate::certificate::{Certificate, RawExtension};
use crate::error::{Error, Result};
use crate::revocation_list::{RevokedEntry, shortest};
use crate::{signature, time};

/// Longest answer that is read, in octets.
pub const MAXIMUM_ANSWER_BYTES: usize = 1024 * 1024;

/// Most certificates of responders that are tried.
const MAXIMUM_RESPONDERS: usize = 8;

/// How long an answer without an end counts.
const WITHOUT_END_MS: i64 = 24 * 3_600_000;

/// How far the responder's clock may be ahead.
const SKEW_MS: i64 = 300_000;

const SHA_1: ObjectIdentifier = ObjectIdentifier::new_unwrap("1.3.14.3.2.26");
const BASIC: &str = "1.3.6.1.5.5.7.48.1.1";
const OCSP_SIGNING: &str = "1.3.6.1.5.5.7.3.9";

/// `CertID` of RFC 6960 §4.1.1.
#[derive(Sequence)]
struct CertificateId<'a> {
    hash: HashAlgorithm<'a>,
    name_hash: &'a OctetStringRef,
    key_hash: &'a OctetStringRef,
    serial: IntRef<'a>,
}

#[derive(Sequence)]
struct HashAlgorithm<'a> {
    oid: ObjectIdentifier,
    parameters: AnyRef<'a>,
}

#[derive(Sequence)]
struct Request<'a> {
    id: CertificateId<'a>,
}

#[derive(Sequence)]
struct RequestList<'a> {
    requests: Vec<Request<'a>>,
}

#[derive(Sequence)]
struct OcspRequest<'a> {
    to_be_signed: RequestList<'a>,
}

/// The DER of an `OCSPRequest` for one certificate: hashed with SHA-1, which every responder knows, without nonce and signature, so that
/// answers can be cached (RFC 9654, RFC 5019).
///
/// # Errors
/// [`Error::Malformed`] if the certificate has no serial number or the issuer's key cannot be read.
pub fn request(certificate: &Certificate, issuer: &Certificate) -> Result<Vec<u8>> {
    let hash = &digest::SHA1_FOR_LEGACY_USE_ONLY;
    let name_hash = digest::digest(hash, issuer.subject_der());
    let key_hash = digest::digest(hash, &key_octets(issuer)?);
    let malformed = |error| Error::malformed("OCSP request", error);
    OcspRequest {
        to_be_signed: RequestList {
            requests: vec![Request {
                id: CertificateId {
                    hash: HashAlgorithm {
                        oid: SHA_1,
                        parameters: AnyRef::NULL,
                    },
                    name_hash: OctetStringRef::new(name_hash.as_ref()).map_err(malformed)?,
                    key_hash: OctetStringRef::new(key_hash.as_ref()).map_err(malformed)?,
                    serial: IntRef::new(shortest(certificate.serial_content()))
                        .map_err(malformed)?,
                },
            }],
        },
    }
    .to_der()
    .map_err(malformed)
}

/// An answer of a responder that was read; it is verified when it is asked about a certificate.
#[derive(Clone)]
pub struct OcspAnswer {
    der: Vec<u8>,
    to_be_signed: Range<usize>,
    signature: Range<usize>,
    algorithm: std::sync::Arc<signature::Algorithm>,
    singles: Vec<Single>,
    responders: Vec<Certificate>,
    unknown_critical: bool,
}

#[derive(Clone)]
struct Single {
    hash: String,
    name_hash: Vec<u8>,
    key_hash: Vec<u8>,
    serial: Vec<u8>,
    status: CertificateStatus,
    this_update: i64,
    next_update: Option<i64>,
}

/// What a responder says of a certificate.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum CertificateStatus {
    /// It is not revoked.
    Good,
    /// It is revoked, or held.
    Revoked(RevokedEntry),
    /// The responder does not know it.
    Unknown,
}

impl OcspAnswer {
    /// Reads an `OCSPResponse`.
    ///
    /// # Errors
    /// [`Error::Malformed`], also above [`MAXIMUM_ANSWER_BYTES`], and with the status if the responder refused.
    pub fn from_der(der: &[u8]) -> Result<Self> {
        if der.len() > MAXIMUM_ANSWER_BYTES {
            return Err(malformed(format!(
                "it is longer than {MAXIMUM_ANSWER_BYTES} octets"
            )));
        }
        let mut outer = ber::elements(ber::only(der, SEQUENCE, "OCSP answer")?.content);
        let status = outer.required(ENUMERATED, "the status")?;
        if status.content != [0] {
            return Err(malformed(format!(
                "the responder refused with status {}",
                hex::encode(status.content)
            )));
        }
        let bytes = outer.required(CONTEXT_0, "the answer")?;
        let mut bytes = ber::elements(ber::read(bytes.content, 0)?.0.content);
        let kind = bytes.required(OBJECT_IDENTIFIER, "the type")?;
        if ber::dotted(kind.content) != BASIC {
            return Err(malformed("it is no basic answer"));
        }
        let basic = bytes.required(OCTET_STRING, "the basic answer")?;
        let mut basic = ber::elements(ber::only(basic.content, SEQUENCE, "OCSP answer")?.content);
        let to_be_signed = basic.required(SEQUENCE, "the data")?;
        let algorithm = basic.required(SEQUENCE, "the signature algorithm")?;
        let signature = basic.required(BIT_STRING, "the signature")?;
        let responders = match basic.optional(CONTEXT_0)? {
            Some(wrapped) => ber::elements(ber::read(wrapped.content, 0)?.0.content)
                .take(MAXIMUM_RESPONDERS)
                .map(|certificate| Certificate::from_der(certificate?.whole))
                .collect::<Result<_>>()?,
            None => Vec::new(),
        };
        let mut parts = ber::elements(to_be_signed.content);
        parts.optional(CONTEXT_0)?;
        if parts.optional(CONTEXT_1)?.is_none() {
            parts.required(CONTEXT_2, "the responder")?;
        }
        parts.required(GENERALIZED_TIME, "the time")?;
        let singles = parts.required(SEQUENCE, "the answers")?;
        let mut unknown_critical = has_critical(parts.optional(CONTEXT_1)?)?;
        let singles = ber::elements(singles.content)
            .map(|single| {
                let (single, critical) = Single::of(&single?)?;
                unknown_critical |= critical;
                Ok(single)
            })
            .collect::<Result<_>>()?;
        let identifier =
            spki::AlgorithmIdentifierRef::from_der(algorithm.whole).map_err(malformed)?;
        let range = |part| ber::range_within(der, part).unwrap_or_default();
        Ok(OcspAnswer {
            to_be_signed: range(to_be_signed.whole),
            signature: range(signature.content.get(1..).unwrap_or_default()),
            algorithm: signature::Algorithm::of(&identifier).into(),
            singles,
            responders,
            unknown_critical,
            der: der.to_vec(),
        })
    }

    /// The DER as it was read.
    pub fn der(&self) -> &[u8] {
        &self.der
    }

    /// What the answer says of a certificate at a time (milliseconds since the Unix epoch), none if nothing. The answer counts only if
    /// it is signed by the issuer or by a responder whom the issuer certified for it (RFC 6960 §4.2.2.2).
    ///
    /// # Errors
    /// The reason why the answer, which is about this certificate, does not count.
    pub fn status_of(
        &self,
        certificate: &Certificate,
        issuer: &Certificate,
        at_ms: i64,
    ) -> Result<Option<CertificateStatus>, String> {
        let Some(single) = self
            .singles
            .iter()
            .find(|single| single.is_about(certificate, issuer))
        else {
            return Ok(None);
        };
        if self.unknown_critical {
            return Err(
                "the OCSP answer has a critical extension that is not understood".to_owned(),
            );
        }
        let end = single
            .next_update
            .unwrap_or(single.this_update + WITHOUT_END_MS);
        if at_ms.saturating_add(SKEW_MS) < single.this_update || at_ms > end {
            return Err("the OCSP answer is not of this time".to_owned());
        }
        self.verify(issuer, at_ms)?;
        Ok(Some(single.status))
    }

    fn verify(&self, issuer: &Certificate, at_ms: i64) -> Result<(), String> {
        let signed_by = |signer: &Certificate| {
            self.algorithm.verify(
                signer.spki_der(),
                &self.der[self.to_be_signed.clone()],
                &self.der[self.signature.clone()],
            )
        };
        let mut last = match signed_by(issuer) {
            Ok(()) => return Ok(()),
            Err(error) => format!("the OCSP answer is not signed by the issuer: {error}"),
        };
        for responder in &self.responders {
            let named = responder
                .extended_key_usages()
                .iter()
                .any(|usage| usage == OCSP_SIGNING);
            let in_time = responder.not_before() <= at_ms && at_ms <= responder.not_after();
            if !named || !in_time || !responder.names_as_issuer(issuer) {
                "the responder of the OCSP answer was not certified for it".clone_into(&mut last);
                continue;
            }
            match responder
                .verify_signed_by(issuer)
                .and_then(|()| signed_by(responder))
            {
                Ok(()) => return Ok(()),
                Err(error) => last = format!("the OCSP answer: {error}"),
            }
        }
        Err(last)
    }
}

impl Single {
    fn of(element: &Element<'_>) -> Result<(Self, bool)> {
        let mut parts = ber::elements(element.content);
        let mut id = ber::elements(parts.required(SEQUENCE, "the certificate")?.content);
        let algorithm = id.required(SEQUENCE, "the hash")?;
        let hash = ber::elements(algorithm.content).required(OBJECT_IDENTIFIER, "the hash")?;
        let name_hash = id
            .required(OCTET_STRING, "the issuer's name")?
            .content
            .to_vec();
        let key_hash = id
            .required(OCTET_STRING, "the issuer's key")?
            .content
            .to_vec();
        let serial = shortest(id.required(INTEGER, "the serial number")?.content).to_vec();
        let status = parts
            .next()
            .ok_or_else(|| malformed("it has no status"))??;
        let status = match status.tag {
            0x80 => CertificateStatus::Good,
            0xa1 => {
                let mut revoked = ber::elements(status.content);
                let at = time_of(&revoked.required(GENERALIZED_TIME, "the time of revocation")?)?;
                let reason = match revoked.optional(CONTEXT_0)? {
                    Some(wrapped) => ber::read(wrapped.content, 0)?.0.content.last().copied(),
                    None => None,
                };
                CertificateStatus::Revoked(RevokedEntry { at, reason })
            }
            0x82 => CertificateStatus::Unknown,
            _ => return Err(malformed("its status cannot be understood")),
        };
        let this_update = time_of(&parts.required(GENERALIZED_TIME, "the time")?)?;
        let next_update = match parts.optional(CONTEXT_0)? {
            Some(wrapped) => Some(time_of(&ber::read(wrapped.content, 0)?.0)?),
            None => None,
        };
        let critical = has_critical(parts.optional(CONTEXT_1)?)?;
        let single = Single {
            hash: ber::dotted(hash.content),
            name_hash,
            key_hash,
            serial,
            status,
            this_update,
            next_update,
        };
        Ok((single, critical))
    }

    fn is_about(&self, certificate: &Certificate, issuer: &Certificate) -> bool {
        let hash = match self.hash.as_str() {
            "1.3.14.3.2.26" => &digest::SHA1_FOR_LEGACY_USE_ONLY,
            "2.16.840.1.101.3.4.2.1" => &digest::SHA256,
            "2.16.840.1.101.3.4.2.2" => &digest::SHA384,
            "2.16.840.1.101.3.4.2.3" => &digest::SHA512,
            _ => return false,
        };
        let is = |octets: &[u8], expected: &[u8]| digest::digest(hash, octets).as_ref() == expected;
        self.serial == shortest(certificate.serial_content())
            && (is(issuer.subject_der(), &self.name_hash)
                || is(certificate.issuer_der(), &self.name_hash))
            && key_octets(issuer).is_ok_and(|key| is(&key, &self.key_hash))
    }
}

/// The key itself, without algorithm and count of unused bits.
fn key_octets(certificate: &Certificate) -> Result<Vec<u8>> {
    SubjectPublicKeyInfoRef::try_from(certificate.spki_der())
        .map(|spki| spki.subject_public_key.raw_bytes().to_vec())
        .map_err(|error| Error::malformed("public key", error))
}

fn has_critical(wrapped: Option<Element<'_>>) -> Result<bool> {
    let Some(wrapped) = wrapped else {
        return Ok(false);
    };
    let mut critical = false;
    for extension in ber::elements(ber::read(wrapped.content, 0)?.0.content) {
        critical |= RawExtension::of(&extension?)?.critical;
    }
    Ok(critical)
}

fn time_of(element: &Element<'_>) -> Result<i64> {
    time::milliseconds(element).ok_or_else(|| malformed("a time cannot be read"))
}

fn malformed(reason: impl fmt::Display) -> Error {
    Error::malformed("OCSP answer", reason)
}

impl fmt::Debug for OcspAnswer {
    fn fmt(&self, formatter: &mut fmt::Formatter<'_>) -> fmt::Result {
        formatter
            .debug_struct("OcspAnswer")
            .field("answers", &self.singles.len())
            .finish_non_exhaustive()
    }
}
