//! Reading and verifying certificate revocation lists (RFC 5280 §5). The list stays as it was read: a lookup walks the entries, so that
//! a list of a million entries costs its octets and no more.

use std::fmt;
use std::ops::Range;
use std::sync::Arc;

use der::Decode as _;

use crate::ber::{
    self, BIT_STRING, CONTEXT_0, ENUMERATED, Element, GENERALIZED_TIME, INTEGER, SEQUENCE, UTC_TIME,
};
use crate::certificate::{Certificate, RawExtension};
use crate::distinguished_name::DistinguishedName;
use crate::error::{Error, Result};
use crate::{signature, time};

/// Longest list that is read, in octets.
pub const MAXIMUM_LIST_BYTES: usize = 64 * 1024 * 1024;

const CRL_NUMBER: &str = "2.5.29.20";
const REASON: &str = "2.5.29.21";
const DELTA: &str = "2.5.29.27";
const ISSUING_DISTRIBUTION_POINT: &str = "2.5.29.28";
const CERTIFICATE_ISSUER: &str = "2.5.29.29";
const AUTHORITY_KEY_IDENTIFIER: &str = "2.5.29.35";

/// A revocation list that was read; whether it is genuine says [`RevocationList::verify_signed_by`]. Cheap to clone.
#[derive(Clone)]
pub struct RevocationList {
    content: Arc<Content>,
}

struct Content {
    der: Vec<u8>,
    to_be_signed: Range<usize>,
    entries: Range<usize>,
    issuer_der: Range<usize>,
    issuer: DistinguishedName,
    this_update: i64,
    next_update: Option<i64>,
    algorithm: signature::Algorithm,
    signature: Range<usize>,
    scope: Scope,
}

/// What a list speaks for, beyond its issuer (RFC 5280 §5.2).
#[derive(Debug, Default)]
pub(crate) struct Scope {
    pub(crate) number: Option<String>,
    pub(crate) is_delta: bool,
    pub(crate) is_indirect: bool,
    pub(crate) only_end_entities: bool,
    pub(crate) only_authorities: bool,
    pub(crate) only_attributes: bool,
    pub(crate) only_some_reasons: bool,
    /// The URLs of the distribution point; none if the list has no distribution point.
    pub(crate) distribution_point: Option<Vec<String>>,
    /// A critical extension, of the list or of an entry, that is not understood.
    pub(crate) unknown_critical: Option<String>,
}

/// One entry.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct RevokedEntry {
    /// When it was revoked, milliseconds since the Unix epoch.
    pub at: i64,
    /// `CRLReason` of RFC 5280 §5.3.1; none if the entry gives none.
    pub reason: Option<u8>,
}

impl RevocationList {
    /// Reads a list in DER or PEM (`X509 CRL`).
    ///
    /// # Errors
    /// [`Error::Malformed`], also above [`MAXIMUM_LIST_BYTES`].
    pub fn from_pem_or_der(octets: &[u8]) -> Result<Self> {
        if octets.first() == Some(&SEQUENCE) {
            return Self::from_der(octets);
        }
        crate::pem::parse(octets)
            .iter()
            .find(|block| block.label == "X509 CRL")
            .ok_or_else(|| malformed("it is neither DER nor PEM with an X509 CRL"))
            .and_then(|block| Self::from_der(&block.der))
    }

    /// Reads a list in DER.
    ///
    /// # Errors
    /// [`Error::Malformed`], also above [`MAXIMUM_LIST_BYTES`] and for any entry that cannot be read.
    pub fn from_der(der: &[u8]) -> Result<Self> {
        if der.len() > MAXIMUM_LIST_BYTES {
            return Err(malformed(format!(
                "it is longer than {MAXIMUM_LIST_BYTES} octets"
            )));
        }
        let outer = ber::only(der, SEQUENCE, "revocation list")?;
        let mut signed = ber::elements(outer.content);
        let to_be_signed = signed.required(SEQUENCE, "the content")?;
        let algorithm = signed.required(SEQUENCE, "the signature algorithm")?;
        let signature = signed.required(BIT_STRING, "the signature")?;
        let mut parts = ber::elements(to_be_signed.content);
        parts.optional(INTEGER)?;
        let inner_algorithm = parts.required(SEQUENCE, "the signature algorithm")?;
        if inner_algorithm.whole != algorithm.whole {
            return Err(malformed("it names two signature algorithms"));
        }
        let issuer = parts.required(SEQUENCE, "the issuer")?;
        let this_update = time_in(&mut parts)?.ok_or_else(|| malformed("it has no time"))?;
        let next_update = time_in(&mut parts)?;
        let entries = parts
            .optional(SEQUENCE)?
            .map_or(&[][..], |list| list.content);
        let mut scope = Scope::default();
        if let Some(wrapped) = parts.optional(CONTEXT_0)? {
            for extension in ber::elements(ber::read(wrapped.content, 0)?.0.content) {
                scope.take(&RawExtension::of(&extension?)?)?;
            }
        }
        for entry in ber::elements(entries) {
            let unknown = entry_of(&entry?)?.2;
            scope.unknown_critical = scope.unknown_critical.take().or(unknown);
        }
        let identifier =
            spki::AlgorithmIdentifierRef::from_der(algorithm.whole).map_err(malformed)?;
        let range = |part| ber::range_within(der, part).unwrap_or_default();
        Ok(RevocationList {
            content: Arc::new(Content {
                to_be_signed: range(to_be_signed.whole),
                entries: range(entries),
                issuer_der: range(issuer.whole),
                issuer: DistinguishedName::from_der(issuer.whole)?,
                this_update,
                next_update,
                algorithm: signature::Algorithm::of(&identifier),
                signature: range(signature.content.get(1..).unwrap_or_default()),
                scope,
                der: der.to_vec(),
            }),
        })
    }

    /// The DER as it was read.
    pub fn der(&self) -> &[u8] {
        &self.content.der
    }

    /// Who issued it.
    pub fn issuer(&self) -> &DistinguishedName {
        &self.content.issuer
    }

    /// When it was made, milliseconds since the Unix epoch.
    pub fn this_update(&self) -> i64 {
        self.content.this_update
    }

    /// When the next one is to be there; none if it says nothing.
    pub fn next_update(&self) -> Option<i64> {
        self.content.next_update
    }

    /// The CRL number in upper-case hexadecimal.
    pub fn number(&self) -> Option<&str> {
        self.content.scope.number.as_deref()
    }

    /// The number of entries.
    pub fn length(&self) -> usize {
        ber::elements(self.entries()).count()
    }

    /// The entry of a serial number, given as the content of its INTEGER ([`Certificate::serial_content`]).
    pub fn entry(&self, serial_content: &[u8]) -> Option<RevokedEntry> {
        ber::elements(self.entries())
            .filter_map(|entry| entry_of(&entry.ok()?).ok())
            .find(|(serial, _, _)| shortest(serial) == shortest(serial_content))
            .map(|(_, entry, _)| entry)
    }

    /// Verifies the signature with the issuer's key. Looks at nothing else.
    ///
    /// # Errors
    /// [`Error::BadSignature`]; [`Error::UnsupportedAlgorithm`].
    pub fn verify_signed_by(&self, issuer: &Certificate) -> Result<()> {
        let content = &self.content;
        content.algorithm.verify(
            issuer.spki_der(),
            &content.der[content.to_be_signed.clone()],
            &content.der[content.signature.clone()],
        )
    }

    pub(crate) fn scope(&self) -> &Scope {
        &self.content.scope
    }

    /// Whether it bears the name of that authority.
    pub(crate) fn is_named_after(&self, authority: &Certificate) -> bool {
        self.content.der[self.content.issuer_der.clone()] == *authority.subject_der()
            || self.content.issuer.matches(authority.subject_name())
    }

    fn entries(&self) -> &[u8] {
        &self.content.der[self.content.entries.clone()]
    }
}

impl Scope {
    fn take(&mut self, extension: &RawExtension<'_>) -> Result<()> {
        match extension.oid().as_str() {
            CRL_NUMBER => {
                let number = ber::read(extension.value, 0)?.0.content;
                self.number = Some(hex::encode_upper(shortest(number)));
            }
            DELTA => self.is_delta = true,
            ISSUING_DISTRIBUTION_POINT => self.take_distribution_point(extension.value)?,
            AUTHORITY_KEY_IDENTIFIER => {}
            other if extension.critical => self.unknown_critical = Some(other.to_owned()),
            _ => {}
        }
        Ok(())
    }

    /// `IssuingDistributionPoint` of RFC 5280 §5.2.5. A name relative to the issuer is left out: no certificate's point equals it then.
    fn take_distribution_point(&mut self, value: &[u8]) -> Result<()> {
        for part in ber::elements(ber::only(value, SEQUENCE, "issuing distribution point")?.content)
        {
            let part = part?;
            let is_true = part.content.first().is_some_and(|octet| *octet != 0);
            match part.tag {
                0xa0 => {
                    let (names, _) = ber::read(part.content, 0)?;
                    let urls = ber::elements(names.content)
                        .filter_map(Result::ok)
                        .filter(|name| names.tag == 0xa0 && name.tag == 0x86)
                        .map(|name| String::from_utf8_lossy(name.content).into_owned());
                    self.distribution_point = Some(urls.collect());
                }
                0x81 => self.only_end_entities = is_true,
                0x82 => self.only_authorities = is_true,
                0x83 => self.only_some_reasons = true,
                0x84 => self.is_indirect = is_true,
                0x85 => self.only_attributes = is_true,
                _ => return Err(malformed("its distribution point cannot be understood")),
            }
        }
        Ok(())
    }
}

/// Serial number, entry, and a critical extension that is not understood.
fn entry_of<'a>(element: &Element<'a>) -> Result<(&'a [u8], RevokedEntry, Option<String>)> {
    let mut parts = ber::elements(element.content);
    let serial = parts.required(INTEGER, "the serial number of an entry")?;
    let at = time_in(&mut parts)?.ok_or_else(|| malformed("an entry has no time"))?;
    let mut reason = None;
    let mut unknown = None;
    if let Some(extensions) = parts.optional(SEQUENCE)? {
        for extension in ber::elements(extensions.content) {
            let extension = RawExtension::of(&extension?)?;
            match extension.oid().as_str() {
                REASON => {
                    let (value, _) = ber::read(extension.value, 0)?;
                    reason = value
                        .content
                        .last()
                        .copied()
                        .filter(|_| value.tag == ENUMERATED);
                }
                // Entries of other issuers make the list an indirect one.
                other if extension.critical || other == CERTIFICATE_ISSUER => {
                    unknown = Some(other.to_owned());
                }
                _ => {}
            }
        }
    }
    Ok((serial.content, RevokedEntry { at, reason }, unknown))
}

fn time_in(parts: &mut ber::Elements<'_>) -> Result<Option<i64>> {
    let element = match parts.optional(UTC_TIME)? {
        Some(element) => Some(element),
        None => parts.optional(GENERALIZED_TIME)?,
    };
    element
        .map(|element| {
            time::milliseconds(&element).ok_or_else(|| malformed("a time cannot be read"))
        })
        .transpose()
}

/// An INTEGER without octets that DER would leave out.
pub(crate) fn shortest(mut content: &[u8]) -> &[u8] {
    while let [0, second, ..] = content
        && *second < 0x80
    {
        content = &content[1..];
    }
    content
}

fn malformed(reason: impl fmt::Display) -> Error {
    Error::malformed("revocation list", reason)
}

impl fmt::Debug for RevocationList {
    fn fmt(&self, formatter: &mut fmt::Formatter<'_>) -> fmt::Result {
        formatter
            .debug_struct("RevocationList")
            .field("issuer", &self.issuer().to_string())
            .field("number", &self.number())
            .finish_non_exhaustive()
    }
}
