//! Reading with more tolerance than any parser: nothing that was found in the field is lost.

use std::fmt;
use std::sync::Arc;

use der::Decode;

use super::{Certificate, Content, parse, salvage};
use crate::ber::{self, CONTEXT_0, CONTEXT_3, Element, OBJECT_IDENTIFIER, OCTET_STRING, SEQUENCE};
use crate::error::Result;

/// Longest certificate that is read, in octets: 10,000 long names fit.
pub const MAXIMUM_CERTIFICATE_BYTES: usize = 4 * 1024 * 1024;

/// Most warnings of one certificate.
pub(super) const MAXIMUM_WARNINGS: usize = 100;

/// Something about a certificate that is not as it should be; the certificate was read all the same.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Warning {
    /// The part, for example `not after`; `certificate` for what concerns the whole.
    pub part: &'static str,
    /// What is wrong with it, with the offset where there is one.
    pub reason: String,
}

/// A certificate and what is odd about it.
#[derive(Debug, Clone)]
pub struct Reading {
    /// The certificate, its octets as they were.
    pub certificate: Certificate,
    /// Empty for a certificate that every parser accepts.
    pub warnings: Vec<Warning>,
}

/// An extension as it stands in a certificate.
#[derive(Debug, Clone, Copy)]
pub(crate) struct RawExtension<'a> {
    identifier: &'a [u8],
    pub(crate) critical: bool,
    pub(crate) value: &'a [u8],
}

impl Certificate {
    /// Reads a certificate as tolerantly as possible. What the strict reader refuses (RFC 5280 to the letter) is read by the tolerant
    /// one, and what that refuses is taken apart element by element; each comes with warnings. Parts that could not be read are empty:
    /// no serial number, no name, no key, 1970 for the start of validity and 9999 for its end.
    ///
    /// # Errors
    /// [`crate::Error::Malformed`] with the offset if the octets are not one whole SEQUENCE, if nothing in them is part of a
    /// certificate, or above [`MAXIMUM_CERTIFICATE_BYTES`].
    pub fn read(der: &[u8]) -> Result<Reading> {
        if der.len() > MAXIMUM_CERTIFICATE_BYTES {
            return Err(crate::Error::malformed(
                "certificate",
                format!("it is longer than {MAXIMUM_CERTIFICATE_BYTES} octets"),
            ));
        }
        ber::only(der, SEQUENCE, "certificate")?;
        let strict = x509_cert::Certificate::from_der(der);
        let (content, mut warnings) = match parse::parse(der) {
            Ok(content) => (content, Vec::new()),
            Err(_) => salvage::salvage(der)?,
        };
        if let Err(error) = strict {
            warnings.insert(
                0,
                Warning::new("certificate", format!("strict readers refuse it: {error}")),
            );
        }
        observe(&content, &mut warnings);
        let certificate = Certificate {
            content: Arc::new(content),
        };
        certificate.observe_extensions(&mut warnings);
        Ok(Reading {
            certificate,
            warnings,
        })
    }

    /// The content octets of the serial number's INTEGER, sign and leading zeroes as they stand.
    pub fn serial_content(&self) -> &[u8] {
        &self.content.der[self.content.serial.clone()]
    }

    /// Whether both ends of the validity could be read; if not, [`Certificate::not_before`] or [`Certificate::not_after`] is made up.
    pub fn has_readable_validity(&self) -> bool {
        self.content.times_are_read
    }

    /// Dotted identifiers of known extensions that do not have the form they should have.
    pub(crate) fn not_understood(&self) -> &[String] {
        &self.content.extensions.not_understood
    }

    /// Whether the signed algorithm is the one beside the signature (RFC 5280 §4.1.1.2).
    pub(crate) fn algorithms_agree(&self) -> bool {
        let outside = ber::read(self.der(), 0).ok().and_then(|(outer, _)| {
            let mut parts = ber::elements(outer.content).skip(1);
            parts.next()?.ok()
        });
        let inside = ber::read(&self.content.der[self.content.to_be_signed.clone()], 0)
            .ok()
            .and_then(|(sequence, _)| {
                let mut parts = ber::elements(sequence.content);
                let _ = parts.optional(CONTEXT_0);
                parts.nth(1)?.ok()
            });
        matches!((outside, inside), (Some(outside), Some(inside)) if outside.whole == inside.whole)
    }

    /// The extensions one by one, as far as they can be taken apart; an error is the last element.
    pub(crate) fn raw_extensions(&self) -> impl Iterator<Item = Result<RawExtension<'_>>> {
        let to_be_signed = &self.content.der[self.content.to_be_signed.clone()];
        let list = ber::read(to_be_signed, 0)
            .ok()
            .and_then(|(sequence, _)| {
                let mut parts = ber::elements(sequence.content);
                let _ = parts.optional(CONTEXT_0);
                parts
                    .skip(6)
                    .filter_map(Result::ok)
                    .find(|element| element.tag == CONTEXT_3)
            })
            .and_then(|wrapped| ber::read(wrapped.content, 0).ok())
            .map_or(&[][..], |(list, _)| list.content);
        ber::elements(list).map(|element| RawExtension::of(&element?))
    }

    /// The value of an extension; of two the first.
    pub(crate) fn extension_value(&self, oid: &str) -> Option<&[u8]> {
        self.raw_extensions()
            .filter_map(Result::ok)
            .find(|extension| extension.oid() == oid)
            .map(|extension| extension.value)
    }

    fn observe_extensions(&self, warnings: &mut Vec<Warning>) {
        let mut seen: Vec<&[u8]> = Vec::new();
        for extension in self.raw_extensions() {
            if warnings.len() >= MAXIMUM_WARNINGS {
                break;
            }
            match extension {
                Ok(extension) if seen.contains(&extension.identifier) => {
                    let reason = format!("{} stands in it more than once", extension.oid());
                    warnings.push(Warning::new("extension", reason));
                }
                // A certificate with so many is odd by itself; the comparison stays short.
                Ok(extension) if seen.len() < 100 => seen.push(extension.identifier),
                Ok(_) => {}
                Err(error) => warnings.push(Warning::new("extension", error.to_string())),
            }
        }
    }
}

impl<'a> RawExtension<'a> {
    /// `Extension` of RFC 5280 §4.1, or of a CRL §5.1.
    pub(crate) fn of(element: &Element<'a>) -> Result<Self> {
        let mut parts = ber::elements(element.content);
        let identifier = parts.required(OBJECT_IDENTIFIER, "the identifier of an extension")?;
        let critical = parts.optional(ber::BOOLEAN)?;
        let value = parts.required(OCTET_STRING, "the value of an extension")?;
        Ok(RawExtension {
            identifier: identifier.content,
            critical: critical.is_some_and(|flag| flag.content != [0]),
            value: value.content,
        })
    }

    /// The dotted identifier.
    pub(crate) fn oid(&self) -> String {
        ber::dotted(self.identifier)
    }
}

/// What every reader accepts, or one does and another does not, and people should know.
fn observe(content: &Content, warnings: &mut Vec<Warning>) {
    let serial = &content.der[content.serial.clone()];
    let mut warn = |part, reason: String| warnings.push(Warning::new(part, reason));
    if serial.first().is_some_and(|first| first & 0x80 != 0) {
        warn("serial number", "it is negative".to_owned());
    }
    if serial.len() > 20 {
        warn(
            "serial number",
            format!("it has {} octets, more than 20", serial.len()),
        );
    }
    if content.times_are_read && content.not_after < content.not_before {
        warn("validity", "it ends before it starts".to_owned());
    }
    for (part, name, whole) in [
        ("issuer", &content.issuer_name, &content.issuer_der),
        ("subject", &content.subject_name, &content.subject_der),
    ] {
        let lacking = name.lacks_of(&content.der[whole.clone()]);
        if lacking > 0 {
            warn(
                part,
                format!("{lacking} of its attributes could not be read"),
            );
        }
    }
    for extension in &content.extensions.not_understood {
        warn("extension", format!("{extension} cannot be understood"));
    }
}

impl Warning {
    pub(super) fn new(part: &'static str, reason: String) -> Self {
        Warning { part, reason }
    }
}

impl fmt::Display for Warning {
    fn fmt(&self, formatter: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(formatter, "{}: {}", self.part, self.reason)
    }
}
