//! From DER to the fields of a certificate. One reader for all certificates, the tolerant one: two readers that disagree would be two
//! truths about one certificate.

use der::Decode;
use x509_parser::certificate::X509Certificate;
use x509_parser::extensions::{DistributionPointName, GeneralName, ParsedExtension, X509Extension};
use x509_parser::prelude::FromDer;
use x509_parser::x509::AlgorithmIdentifier;

use super::Content;
use crate::ber;
use crate::distinguished_name::DistinguishedName;
use crate::error::{Error, Result};
use crate::key_info::KeyInfo;
use crate::signature;
use crate::subject_alternative_name::SubjectAlternativeName;

/// What is known of the extensions; absent ones are empty.
#[derive(Default)]
pub(super) struct Extensions {
    pub(super) key_usage: u16,
    pub(super) extended_key_usages: Vec<String>,
    pub(super) subject_alternative_names: Vec<SubjectAlternativeName>,
    pub(super) crl_distribution_points: Vec<String>,
    pub(super) ocsp_urls: Vec<String>,
    pub(super) is_ca: bool,
    pub(super) path_length: Option<u32>,
    pub(super) authority_key_id: Option<Vec<u8>>,
    pub(super) subject_key_id: Option<Vec<u8>>,
    /// Dotted identifiers of those that are known and do not have the form they should have.
    pub(super) not_understood: Vec<String>,
}

pub(super) fn parse(der: &[u8]) -> Result<Content> {
    let (rest, certificate) =
        X509Certificate::from_der(der).map_err(|error| Error::malformed("certificate", error))?;
    if !rest.is_empty() {
        return Err(Error::malformed(
            "certificate",
            format!("{} octets follow it", rest.len()),
        ));
    }
    let to_be_signed = &certificate.tbs_certificate;
    let spki = to_be_signed.subject_pki.raw;
    let subject_name = DistinguishedName::from_parsed(&to_be_signed.subject);
    let issuer_name = DistinguishedName::from_parsed(&to_be_signed.issuer);
    let part = |part: &[u8]| {
        ber::range_within(der, part)
            .ok_or_else(|| Error::malformed("certificate", "its parts overlap"))
    };
    Ok(Content {
        to_be_signed: part(to_be_signed.as_ref())?,
        subject_der: part(to_be_signed.subject.as_raw())?,
        issuer_der: part(to_be_signed.issuer.as_raw())?,
        spki_der: part(spki)?,
        serial: part(to_be_signed.raw_serial())?,
        times_are_read: true,
        signature: certificate.signature_value.data.to_vec(),
        signature_algorithm: algorithm(&certificate.signature_algorithm),
        serial_hex: serial_hex(to_be_signed.raw_serial()),
        subject: subject_name.to_string(),
        issuer: issuer_name.to_string(),
        subject_name,
        issuer_name,
        not_before: to_be_signed
            .validity
            .not_before
            .timestamp()
            .saturating_mul(1000),
        not_after: to_be_signed
            .validity
            .not_after
            .timestamp()
            .saturating_mul(1000),
        key: KeyInfo::of_spki(spki),
        extensions: Extensions::of(to_be_signed.extensions()),
        der: der.to_vec(),
    })
}

/// The signature algorithm of a structure read by x509-parser.
pub(crate) fn algorithm(identifier: &AlgorithmIdentifier<'_>) -> signature::Algorithm {
    let parameters = identifier
        .parameters
        .as_ref()
        .filter(|any| any.tag() == x509_parser::asn1_rs::Tag::Sequence)
        .map(|any| any.data);
    signature::Algorithm::new(&identifier.algorithm.to_id_string(), parameters)
}

pub(super) fn serial_hex(octets: &[u8]) -> String {
    let start = octets
        .iter()
        .position(|octet| *octet != 0)
        .unwrap_or(octets.len().saturating_sub(1));
    hex::encode_upper(&octets[start..])
}

impl Extensions {
    fn of(extensions: &[X509Extension<'_>]) -> Self {
        let mut known = Extensions::default();
        for extension in extensions {
            known.take(extension);
        }
        known
    }

    pub(super) fn take(&mut self, extension: &X509Extension<'_>) {
        match extension.parsed_extension() {
            ParsedExtension::KeyUsage(usage) => self.key_usage = key_usage_mask(usage.flags),
            ParsedExtension::ExtendedKeyUsage(_) => {
                // The parsed form has lost the order.
                self.extended_key_usages = identifiers(extension.value);
            }
            ParsedExtension::SubjectAlternativeName(names) => {
                self.subject_alternative_names = names
                    .general_names
                    .iter()
                    .map(SubjectAlternativeName::from_parsed)
                    .collect();
            }
            ParsedExtension::CRLDistributionPoints(points) => {
                self.crl_distribution_points = points
                    .points
                    .iter()
                    .filter_map(|point| match &point.distribution_point {
                        Some(DistributionPointName::FullName(names)) => Some(names),
                        _ => None,
                    })
                    .flatten()
                    .filter_map(url)
                    .collect();
            }
            ParsedExtension::AuthorityInfoAccess(access) => {
                self.ocsp_urls = access
                    .accessdescs
                    .iter()
                    .filter(|description| {
                        description.access_method
                            == x509_parser::oid_registry::OID_PKIX_ACCESS_DESCRIPTOR_OCSP
                    })
                    .filter_map(|description| url(&description.access_location))
                    .collect();
            }
            ParsedExtension::BasicConstraints(constraints) => {
                self.is_ca = constraints.ca;
                self.path_length = constraints.path_len_constraint;
            }
            ParsedExtension::AuthorityKeyIdentifier(identifier) => {
                self.authority_key_id =
                    identifier.key_identifier.as_ref().map(|key| key.0.to_vec());
            }
            ParsedExtension::SubjectKeyIdentifier(identifier) => {
                self.subject_key_id = Some(identifier.0.to_vec());
            }
            ParsedExtension::ParseError { .. } => {
                let oid = extension.oid.to_id_string();
                if !self.not_understood.contains(&oid) {
                    self.not_understood.push(oid);
                }
            }
            _ => {}
        }
    }
}

fn url(name: &GeneralName<'_>) -> Option<String> {
    match name {
        GeneralName::URI(text) => Some((*text).to_owned()),
        _ => None,
    }
}

/// The identifiers of a SEQUENCE OF OBJECT IDENTIFIER, leaving out what is none.
fn identifiers(value: &[u8]) -> Vec<String> {
    let Ok(sequence) = der::asn1::AnyRef::from_der(value) else {
        return Vec::new();
    };
    let mut rest = sequence.value();
    let mut found = Vec::new();
    while let Ok((after, oid)) = x509_parser::der_parser::oid::Oid::from_der(rest) {
        found.push(oid.to_id_string());
        rest = after;
    }
    found
}

/// From bits counted from the first named bit (RFC 5280 §4.2.1.3) to the mask of .NET.
fn key_usage_mask(flags: u16) -> u16 {
    (0..8)
        .filter(|bit| flags & (1 << bit) != 0)
        .map(|bit| 0x80 >> bit)
        .sum::<u16>()
        | if flags & (1 << 8) != 0 { 0x8000 } else { 0 }
}
