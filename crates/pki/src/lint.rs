//! The lints every certificate passes before it is signed. A lint is a function from a draft to a complaint; the table is the list.

mod names;

use crate::certificate::Certificate;
use crate::distinguished_name::DistinguishedName;
use crate::error::{Error, Finding, Result};
use crate::extensions::{
    CertificateProfile, DECIPHER_ONLY, ENCIPHER_ONLY, KEY_AGREEMENT, KEY_CERT_SIGN,
};
use crate::key_info::{KeyAlgorithm, KeyInfo};
use crate::serial::Serial;
use crate::subject_alternative_name::SubjectAlternativeName;

/// A certificate before it is signed.
pub(crate) struct Draft<'a> {
    pub(crate) name: &'a DistinguishedName,
    pub(crate) names: &'a [SubjectAlternativeName],
    pub(crate) key: &'a KeyInfo,
    pub(crate) profile: &'a CertificateProfile,
    pub(crate) serial: &'a Serial,
    pub(crate) not_before_ms: i64,
    pub(crate) not_after_ms: i64,
    /// None for a self-signed root.
    pub(crate) issuer: Option<&'a Certificate>,
}

struct Lint {
    name: &'static str,
    complaint: fn(&Draft<'_>) -> Option<String>,
}

const LINTS: &[Lint] = &[
    Lint {
        name: "serial_number",
        complaint: serial_number,
    }, // RFC 5280 §4.1.2.2
    Lint {
        name: "validity_order",
        complaint: validity_order,
    }, // RFC 5280 §4.1.2.5
    Lint {
        name: "validity_range",
        complaint: validity_range,
    }, // RFC 5280 §4.1.2.5
    Lint {
        name: "validity_within_issuer",
        complaint: validity_within_issuer,
    },
    Lint {
        name: "issuer_may_sign",
        complaint: issuer_may_sign,
    }, // RFC 5280 §4.2.1.3, §4.2.1.9
    Lint {
        name: "path_length",
        complaint: path_length,
    }, // RFC 5280 §4.2.1.9
    Lint {
        name: "authority_key_usage",
        complaint: authority_key_usage,
    }, // RFC 5280 §4.2.1.3
    Lint {
        name: "subject_present",
        complaint: names::subject_present,
    }, // RFC 5280 §4.1.2.6
    Lint {
        name: "subject_attributes",
        complaint: names::subject_attributes,
    }, // RFC 5280 Appendix A.1
    Lint {
        name: "alternative_names",
        complaint: names::alternative_names,
    }, // RFC 5280 §4.2.1.6
    Lint {
        name: "alternative_names_unique",
        complaint: names::alternative_names_unique,
    },
    Lint {
        name: "key_strength",
        complaint: key_strength,
    }, // NIST SP 800-57 Part 1, 112 bits
    Lint {
        name: "key_usage",
        complaint: key_usage,
    }, // RFC 5280 §4.2.1.3
    Lint {
        name: "extended_key_usage",
        complaint: extended_key_usage,
    }, // RFC 5280 §4.2.1.12
    Lint {
        name: "urls",
        complaint: urls,
    }, // RFC 5280 §4.2.1.13, §4.2.2.1
];

/// Runs all lints.
///
/// # Errors
/// [`Error::Refused`] with all complaints.
pub(crate) fn check(draft: &Draft<'_>) -> Result<()> {
    let findings: Vec<Finding> = LINTS
        .iter()
        .filter_map(|lint| {
            (lint.complaint)(draft).map(|reason| Finding {
                lint: lint.name,
                reason,
            })
        })
        .collect();
    if findings.is_empty() {
        Ok(())
    } else {
        Err(Error::Refused { findings })
    }
}

fn serial_number(draft: &Draft<'_>) -> Option<String> {
    let content = draft.serial.content();
    let sound =
        content.len() <= 20 && content[0] & 0x80 == 0 && content.iter().any(|octet| *octet != 0);
    (!sound).then(|| "the serial number is not positive or longer than 20 octets".to_owned())
}

fn validity_order(draft: &Draft<'_>) -> Option<String> {
    (draft.not_before_ms / 1000 >= draft.not_after_ms / 1000)
        .then(|| "the validity ends before it begins".to_owned())
}

fn validity_range(draft: &Draft<'_>) -> Option<String> {
    /// 9999-12-31T23:59:59Z.
    const LAST_MS: i64 = 253_402_300_799_000;
    let sound = draft.not_before_ms >= 0 && draft.not_after_ms <= LAST_MS;
    (!sound).then(|| "the validity is not between 1970 and 9999".to_owned())
}

fn validity_within_issuer(draft: &Draft<'_>) -> Option<String> {
    let issuer = draft.issuer?;
    if draft.not_before_ms / 1000 * 1000 < issuer.not_before() {
        return Some("the validity begins before that of the issuer".to_owned());
    }
    (draft.not_after_ms > issuer.not_after())
        .then(|| "the validity ends after that of the issuer".to_owned())
}

fn issuer_may_sign(draft: &Draft<'_>) -> Option<String> {
    let issuer = draft.issuer?;
    let usage = issuer.key_usage();
    let sound = issuer.is_ca() && (usage == 0 || usage & KEY_CERT_SIGN != 0);
    (!sound).then(|| "the issuer may not sign certificates".to_owned())
}

fn path_length(draft: &Draft<'_>) -> Option<String> {
    let (authority, length) = draft.profile.basic_constraints?;
    if !authority {
        return length.map(|_| "only authorities have a path length".to_owned());
    }
    let allowed = draft.issuer?.path_length()?;
    match (allowed, length) {
        (0, _) => Some("the issuer's path length allows no authorities below it".to_owned()),
        (allowed, Some(length)) if u32::from(length) >= allowed => Some(format!(
            "the path length {length} is not below the issuer's {allowed}"
        )),
        _ => None,
    }
}

fn authority_key_usage(draft: &Draft<'_>) -> Option<String> {
    let may_sign = draft.profile.key_usage & KEY_CERT_SIGN != 0;
    match (draft.profile.is_authority(), may_sign) {
        (true, false) => Some("an authority needs the key usage KeyCertSign".to_owned()),
        (false, true) => Some("only authorities have the key usage KeyCertSign".to_owned()),
        _ => None,
    }
}

fn key_strength(draft: &Draft<'_>) -> Option<String> {
    let key = draft.key;
    match key.algorithm {
        KeyAlgorithm::Rsa => (key.size_bits < 2048).then(|| {
            format!(
                "an RSA key of {} bits is too short; 2048 is the least",
                key.size_bits
            )
        }),
        KeyAlgorithm::Ecc => {
            let curve = key.curve.as_deref().unwrap_or("without a name");
            (!matches!(curve, "P-256" | "P-384" | "P-521"))
                .then(|| format!("the elliptic curve {curve} is not accepted"))
        }
        KeyAlgorithm::Ed25519
        | KeyAlgorithm::Ed448
        | KeyAlgorithm::MlDsa44
        | KeyAlgorithm::MlDsa65
        | KeyAlgorithm::MlDsa87
        | KeyAlgorithm::SlhDsa => None,
        KeyAlgorithm::Dsa | KeyAlgorithm::Dh | KeyAlgorithm::Unknown => Some(format!(
            "keys of the algorithm {} are not accepted",
            key.algorithm
        )),
    }
}

fn key_usage(draft: &Draft<'_>) -> Option<String> {
    const KNOWN: u16 = 0x80ff;
    let mask = draft.profile.key_usage;
    if mask & !KNOWN != 0 {
        return Some(format!("the key usage {mask:#06x} has unknown bits"));
    }
    if mask & (ENCIPHER_ONLY | DECIPHER_ONLY) != 0 && mask & KEY_AGREEMENT == 0 {
        return Some("EncipherOnly and DecipherOnly need KeyAgreement".to_owned());
    }
    (mask != 0 && draft.profile.key_usage_for(draft.key) == 0).then(|| {
        format!(
            "{} keys can serve none of the key usages",
            draft.key.algorithm
        )
    })
}

fn extended_key_usage(draft: &Draft<'_>) -> Option<String> {
    let usages = &draft.profile.extended_key_usages;
    usages.iter().enumerate().find_map(|(index, usage)| {
        if usage.parse::<der::asn1::ObjectIdentifier>().is_err() {
            Some(format!("`{usage}` is no object identifier"))
        } else if usages[..index].contains(usage) {
            Some(format!("{usage} is named twice"))
        } else {
            None
        }
    })
}

fn urls(draft: &Draft<'_>) -> Option<String> {
    let profile = draft.profile;
    profile
        .crl_distribution_points
        .iter()
        .chain(&profile.ocsp_urls)
        .chain(&profile.ca_issuers_urls)
        .find(|url| {
            let lower = url.to_ascii_lowercase();
            let known = ["http://", "https://", "ldap://", "ldaps://"]
                .iter()
                .any(|scheme| {
                    lower
                        .strip_prefix(scheme)
                        .is_some_and(|rest| !rest.is_empty())
                });
            !known || !url.bytes().all(|byte| byte.is_ascii_graphic())
        })
        .map(|url| format!("`{url}` is no HTTP or LDAP URL"))
}
