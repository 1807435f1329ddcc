//! The extensions of the certificates that are issued here.

use der::asn1::{BitString, Ia5String, ObjectIdentifier, OctetString};
use der::{Encode, asn1::OctetStringRef};
use x509_cert::ext::Extension;
use x509_cert::ext::pkix::crl::dp::DistributionPoint;
use x509_cert::ext::pkix::name::{DistributionPointName, GeneralName};
use x509_cert::ext::pkix::{AccessDescription, AuthorityKeyIdentifier, BasicConstraints};

use crate::error::{Error, Result};
use crate::key_info::{KeyAlgorithm, KeyInfo};
use crate::subject_alternative_name::{SubjectAlternativeName, encode_general_names};

const AUTHORITY_INFORMATION_ACCESS: &str = "1.3.6.1.5.5.7.1.1";
const SUBJECT_KEY_IDENTIFIER: &str = "2.5.29.14";
const KEY_USAGE: &str = "2.5.29.15";
const SUBJECT_ALTERNATIVE_NAME: &str = "2.5.29.17";
const BASIC_CONSTRAINTS: &str = "2.5.29.19";
const CRL_DISTRIBUTION_POINTS: &str = "2.5.29.31";
const AUTHORITY_KEY_IDENTIFIER: &str = "2.5.29.35";
const EXTENDED_KEY_USAGE: &str = "2.5.29.37";
const OCSP: &str = "1.3.6.1.5.5.7.48.1";
const CA_ISSUERS: &str = "1.3.6.1.5.5.7.48.2";

pub(crate) const CRL_SIGN: u16 = 2;
pub(crate) const KEY_CERT_SIGN: u16 = 4;
pub(crate) const KEY_AGREEMENT: u16 = 8;
pub(crate) const DATA_ENCIPHERMENT: u16 = 16;
pub(crate) const KEY_ENCIPHERMENT: u16 = 32;
pub(crate) const ENCIPHER_ONLY: u16 = 1;
pub(crate) const DECIPHER_ONLY: u16 = 32768;

/// What an authority puts into the certificates of one kind, besides the subject and its names.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct CertificateProfile {
    /// (is an authority, path length); none leaves the extension out.
    pub basic_constraints: Option<(bool, Option<u8>)>,
    /// The bit mask of [`crate::Certificate::key_usage`]; 0 leaves the extension out. Usages the key cannot serve by its algorithm
    /// (encipherment with anything but RSA: RFC 5480 §3, RFC 8410 §5, RFC 9881 §5) are left out of the certificate, so that one profile
    /// serves all keys.
    pub key_usage: u16,
    /// Dotted identifiers; empty leaves the extension out.
    pub extended_key_usages: Vec<String>,
    /// URLs.
    pub crl_distribution_points: Vec<String>,
    /// URLs of the OCSP responders.
    pub ocsp_urls: Vec<String>,
    /// URLs of the issuer's certificate.
    pub ca_issuers_urls: Vec<String>,
}

impl CertificateProfile {
    /// The key usage as far as a key of this kind can serve it.
    pub(crate) fn key_usage_for(&self, key: &KeyInfo) -> u16 {
        let impossible = match key.algorithm {
            KeyAlgorithm::Rsa => KEY_AGREEMENT | ENCIPHER_ONLY | DECIPHER_ONLY,
            KeyAlgorithm::Ecc => KEY_ENCIPHERMENT | DATA_ENCIPHERMENT,
            _ => {
                KEY_ENCIPHERMENT | DATA_ENCIPHERMENT | KEY_AGREEMENT | ENCIPHER_ONLY | DECIPHER_ONLY
            }
        };
        self.key_usage & !impossible
    }

    pub(crate) fn is_authority(&self) -> bool {
        matches!(self.basic_constraints, Some((true, _)))
    }
}

/// What the extensions are built from.
pub(crate) struct Source<'a> {
    pub(crate) profile: &'a CertificateProfile,
    pub(crate) key_usage: u16,
    pub(crate) names: &'a [SubjectAlternativeName],
    pub(crate) subject_is_empty: bool,
    pub(crate) subject_key_id: &'a [u8],
    pub(crate) authority_key_id: Option<&'a [u8]>,
}

/// Builds the extensions, in the order certificates usually have them.
pub(crate) fn build(source: &Source<'_>) -> Result<Vec<Extension>> {
    let profile = source.profile;
    let mut extensions = Vec::with_capacity(8);
    if let Some((ca, path_len_constraint)) = profile.basic_constraints {
        let constraints = BasicConstraints {
            ca,
            path_len_constraint,
        };
        extensions.push(extension(BASIC_CONSTRAINTS, true, &constraints)?);
    }
    if source.key_usage != 0 {
        extensions.push(extension(
            KEY_USAGE,
            true,
            &key_usage_bits(source.key_usage)?,
        )?);
    }
    if !profile.extended_key_usages.is_empty() {
        let usages = profile
            .extended_key_usages
            .iter()
            .map(|usage| usage.parse::<ObjectIdentifier>())
            .collect::<Result<Vec<_>, _>>()
            .map_err(|error| Error::malformed("extended key usage", error))?;
        extensions.push(extension(EXTENDED_KEY_USAGE, false, &usages)?);
    }
    if !source.names.is_empty() {
        // RFC 5280 §4.2.1.6: critical exactly if it is the only identity.
        let names = encode_general_names(source.names)?;
        extensions.push(raw_extension(
            SUBJECT_ALTERNATIVE_NAME,
            source.subject_is_empty,
            names,
        )?);
    }
    let key_id = OctetStringRef::new(source.subject_key_id).map_err(encoding)?;
    extensions.push(extension(SUBJECT_KEY_IDENTIFIER, false, &key_id)?);
    if let Some(key_id) = source.authority_key_id {
        extensions.push(authority_key_identifier(key_id)?);
    }
    if !profile.crl_distribution_points.is_empty() {
        let points = profile
            .crl_distribution_points
            .iter()
            .map(|url| {
                Ok(DistributionPoint {
                    distribution_point: Some(DistributionPointName::FullName(vec![uri(url)?])),
                    reasons: None,
                    crl_issuer: None,
                })
            })
            .collect::<Result<Vec<_>>>()?;
        extensions.push(extension(CRL_DISTRIBUTION_POINTS, false, &points)?);
    }
    let ocsp = profile.ocsp_urls.iter().map(|url| (OCSP, url));
    let issuers = profile.ca_issuers_urls.iter().map(|url| (CA_ISSUERS, url));
    let access = ocsp
        .chain(issuers)
        .map(|(method, url)| {
            Ok(AccessDescription {
                access_method: identifier(method),
                access_location: uri(url)?,
            })
        })
        .collect::<Result<Vec<_>>>()?;
    if !access.is_empty() {
        extensions.push(extension(AUTHORITY_INFORMATION_ACCESS, false, &access)?);
    }
    Ok(extensions)
}

pub(crate) fn authority_key_identifier(key_id: &[u8]) -> Result<Extension> {
    let identifier = AuthorityKeyIdentifier {
        key_identifier: Some(OctetString::new(key_id).map_err(encoding)?),
        authority_cert_issuer: None,
        authority_cert_serial_number: None,
    };
    extension(AUTHORITY_KEY_IDENTIFIER, false, &identifier)
}

/// An extension out of its value.
pub(crate) fn extension(oid: &str, critical: bool, value: &impl Encode) -> Result<Extension> {
    raw_extension(oid, critical, value.to_der().map_err(encoding)?)
}

fn raw_extension(oid: &str, critical: bool, value: Vec<u8>) -> Result<Extension> {
    Ok(Extension {
        extn_id: identifier(oid),
        critical,
        extn_value: OctetString::new(value).map_err(encoding)?,
    })
}

fn identifier(oid: &str) -> ObjectIdentifier {
    ObjectIdentifier::new(oid).expect("the identifiers of this file are valid")
}

fn uri(url: &str) -> Result<GeneralName> {
    Ia5String::new(url)
        .map(GeneralName::UniformResourceIdentifier)
        .map_err(|_| Error::malformed("URL", format!("`{url}`: only ASCII can be encoded")))
}

/// The named bits: the low octet of the mask is the first octet of the bit string, DecipherOnly the first bit of the second.
fn key_usage_bits(mask: u16) -> Result<BitString> {
    let first = u8::try_from(mask & 0xff).unwrap_or_default();
    let octets = if mask & DECIPHER_ONLY == 0 {
        vec![first]
    } else {
        vec![first, 0x80]
    };
    let unused = octets.last().map_or(0, |last| last.trailing_zeros());
    BitString::new(u8::try_from(unused).unwrap_or_default(), octets).map_err(encoding)
}

pub(crate) fn encoding(error: der::Error) -> Error {
    Error::malformed("certificate content", error)
}
