//! The last resort for a certificate that no parser accepts: its structure is walked element by element, and every part that can be
//! understood by itself is kept. What cannot is said in a warning.

use der::Decode;
use x509_parser::extensions::X509Extension;
use x509_parser::prelude::FromDer;

use super::parse::{self, Extensions};
use super::reading::MAXIMUM_WARNINGS;
use super::{Content, Warning};
use crate::ber::{self, CONTEXT_0, CONTEXT_3, Element, INTEGER, SEQUENCE};
use crate::distinguished_name::DistinguishedName;
use crate::error::{Error, Result};
use crate::key_info::KeyInfo;
use crate::signature;
use crate::time;

/// The parts of a `TBSCertificate` in their order, without the version (RFC 5280 §4.1).
const PARTS: [(&str, u8); 6] = [
    ("serial number", INTEGER),
    ("signature algorithm", SEQUENCE),
    ("issuer", SEQUENCE),
    ("validity", SEQUENCE),
    ("subject", SEQUENCE),
    ("public key", SEQUENCE),
];

/// Reads what can be read. The outer element must be a SEQUENCE that ends where the octets end, and at least one part of it must be
/// that of a certificate.
pub(super) fn salvage(der: &[u8]) -> Result<(Content, Vec<Warning>)> {
    let outer = ber::only(der, SEQUENCE, "certificate")?;
    let nothing = || Error::malformed("certificate", "nothing of a certificate can be read in it");
    let mut signed = ber::elements(outer.content);
    let to_be_signed = signed
        .next()
        .and_then(Result::ok)
        .filter(|element| element.tag == SEQUENCE)
        .ok_or_else(nothing)?;
    let mut warnings = Vec::new();
    let parts = parts(der, &to_be_signed, &mut warnings);
    let [serial, _, issuer, validity, subject, key] = parts.elements;
    let mut readable = serial.is_some();
    let mut name = |element: Option<Element<'_>>, part| {
        let element = element?;
        match DistinguishedName::from_der(element.whole) {
            Ok(name) => {
                readable = true;
                Some(name)
            }
            Err(error) => {
                warnings.push(Warning::new(
                    part,
                    at(der, element.whole, &error.to_string()),
                ));
                None
            }
        }
    };
    let issuer_name = name(issuer, "issuer");
    let subject_name = name(subject, "subject");
    let key_info = KeyInfo::of_spki(key.map_or(&[], |key| key.whole));
    readable |= !key_info.algorithm_oid.is_empty();
    if !readable {
        return Err(nothing());
    }
    if let Some(key) = key
        && key_info.algorithm_oid.is_empty()
    {
        warnings.push(Warning::new(
            "public key",
            at(der, key.whole, "it cannot be understood"),
        ));
    }
    let (not_before, not_after) = times(der, validity, &mut warnings);
    let (algorithm, signature) = signature_of(&mut signed, &mut warnings);
    let range = |part: &[u8]| ber::range_within(der, part).unwrap_or_default();
    let whole = |element: Option<Element<'_>>| element.map_or(0..0, |element| range(element.whole));
    let subject_name = subject_name.unwrap_or_default();
    let issuer_name = issuer_name.unwrap_or_default();
    let content = Content {
        to_be_signed: range(to_be_signed.whole),
        subject_der: whole(subject),
        issuer_der: whole(issuer),
        spki_der: whole(key),
        serial: serial.map_or(0..0, |serial| range(serial.content)),
        signature,
        signature_algorithm: algorithm,
        serial_hex: parse::serial_hex(serial.map_or(&[], |serial| serial.content)),
        subject: subject_name.to_string(),
        issuer: issuer_name.to_string(),
        subject_name,
        issuer_name,
        times_are_read: not_before.is_some() && not_after.is_some(),
        not_before: not_before.unwrap_or(0),
        not_after: not_after.unwrap_or(time::NO_END),
        key: key_info,
        extensions: extensions(der, parts.extensions, &mut warnings),
        der: der.to_vec(),
    };
    Ok((content, warnings))
}

struct Parts<'a> {
    elements: [Option<Element<'a>>; 6],
    extensions: Option<Element<'a>>,
}

/// Takes the parts by their place; one of a wrong type is left out, the others are not.
fn parts<'a>(der: &[u8], to_be_signed: &Element<'a>, warnings: &mut Vec<Warning>) -> Parts<'a> {
    let mut all = ber::elements(to_be_signed.content);
    // Without the version it is of version 1; what stands in it does not matter to any reader.
    let _ = all.optional(CONTEXT_0);
    let elements = PARTS.map(|(part, tag)| match all.next() {
        Some(Ok(element)) if element.tag == tag => Some(element),
        Some(Ok(element)) => {
            let reason = format!("it has tag {:#04x} instead of {tag:#04x}", element.tag);
            warnings.push(Warning::new(part, at(der, element.whole, &reason)));
            None
        }
        Some(Err(error)) => {
            warnings.push(Warning::new(part, at(der, all.rest(), &error.to_string())));
            None
        }
        None => {
            warnings.push(Warning::new(part, "it was not reached".to_owned()));
            None
        }
    });
    let extensions = all
        .filter_map(Result::ok)
        .find(|element| element.tag == CONTEXT_3);
    Parts {
        elements,
        extensions,
    }
}

fn times(
    der: &[u8],
    validity: Option<Element<'_>>,
    warnings: &mut Vec<Warning>,
) -> (Option<i64>, Option<i64>) {
    let Some(validity) = validity else {
        return (None, None);
    };
    let mut both = ber::elements(validity.content);
    let mut one = |part, instead: &str| match both.next() {
        Some(Ok(element)) => {
            let read = time::milliseconds(&element);
            if read.is_none() {
                let text = String::from_utf8_lossy(element.content).into_owned();
                let reason = format!("`{text}` is no time; {instead} stands in its place");
                warnings.push(Warning::new(part, at(der, element.whole, &reason)));
            }
            read
        }
        _ => {
            warnings.push(Warning::new(
                part,
                format!("it was not reached; {instead} stands in its place"),
            ));
            None
        }
    };
    (
        one("not before", "1970-01-01"),
        one("not after", "9999-12-31"),
    )
}

fn signature_of(
    signed: &mut ber::Elements<'_>,
    warnings: &mut Vec<Warning>,
) -> (signature::Algorithm, Vec<u8>) {
    let identifier = signed
        .next()
        .and_then(Result::ok)
        .and_then(|element| spki::AlgorithmIdentifierRef::from_der(element.whole).ok());
    let bits = signed
        .next()
        .and_then(Result::ok)
        .filter(|element| element.tag == ber::BIT_STRING);
    if identifier.is_none() || bits.is_none() {
        warnings.push(Warning::new("signature", "it cannot be read".to_owned()));
    }
    let algorithm = identifier.map_or_else(
        || signature::Algorithm::new("Unknown", None),
        |identifier| signature::Algorithm::of(&identifier),
    );
    let signature = bits.map_or(&[][..], |bits| bits.content.get(1..).unwrap_or_default());
    (algorithm, signature.to_vec())
}

fn extensions(der: &[u8], wrapped: Option<Element<'_>>, warnings: &mut Vec<Warning>) -> Extensions {
    let mut known = Extensions::default();
    let Some(sequence) = wrapped.and_then(|wrapped| ber::read(wrapped.content, 0).ok()) else {
        return known;
    };
    for element in ber::elements(sequence.0.content) {
        if warnings.len() >= MAXIMUM_WARNINGS {
            break;
        }
        match element {
            Ok(element) => match X509Extension::from_der(element.whole) {
                Ok((_, extension)) => known.take(&extension),
                Err(error) => {
                    warnings.push(Warning::new(
                        "extension",
                        at(der, element.whole, &error.to_string()),
                    ));
                }
            },
            Err(error) => warnings.push(Warning::new("extensions", error.to_string())),
        }
    }
    known
}

fn at(der: &[u8], part: &[u8], reason: &str) -> String {
    match ber::range_within(der, part) {
        Some(range) => format!("offset {}: {reason}", range.start),
        None => reason.to_owned(),
    }
}
