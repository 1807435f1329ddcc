//! The checks of one certificate at its place in a path, all but trust, policies and revocation.

use super::Demand;
use super::names;
use super::report::{Check, Test};
use crate::certificate::Certificate;
use crate::error::Error;
use crate::extensions::KEY_CERT_SIGN;

const KEY_USAGE: &str = "2.5.29.15";
const BASIC_CONSTRAINTS: &str = "2.5.29.19";
const EXTENDED_KEY_USAGE: &str = "2.5.29.37";
const ANY_USAGE: &str = "2.5.29.37.0";

/// Extensions that are understood: a critical one among them is no reason to refuse.
const UNDERSTOOD: [&str; 10] = [
    KEY_USAGE,
    "2.5.29.17",
    BASIC_CONSTRAINTS,
    "2.5.29.30",
    "2.5.29.31",
    "2.5.29.32",
    "2.5.29.33",
    "2.5.29.36",
    EXTENDED_KEY_USAGE,
    "2.5.29.54",
];

/// All checks of the certificate at `index` of a path; `trusted` says whether the last one is a root.
pub(super) fn of(
    path: &[&Certificate],
    index: usize,
    trusted: bool,
    demand: &Demand<'_>,
) -> Vec<Check> {
    let certificate = path[index];
    let is_root = trusted && index + 1 == path.len();
    let mut checks = vec![
        validity(certificate, demand.at),
        basic_constraints(path, index, is_root),
        key_usage(certificate, index),
        names::check(path, index),
        critical_extensions(certificate),
    ];
    if let Some(usage) = demand.extended_key_usage
        && !is_root
    {
        checks.push(extended_key_usage(certificate, usage));
    }
    checks
}

pub(super) fn signature(certificate: &Certificate, issuer: &Certificate) -> Check {
    if !certificate.algorithms_agree() {
        return Check::failed(
            Test::Signature,
            "it names two different signature algorithms",
        );
    }
    match certificate.verify_signed_by(issuer) {
        Ok(()) => Check::passed(
            Test::Signature,
            format!("it is signed by `{}`", issuer.subject()),
        ),
        Err(Error::BadSignature) => Check::failed(
            Test::Signature,
            format!(
                "the signature does not verify with the key of `{}`",
                issuer.subject()
            ),
        ),
        Err(error) => Check::not_checked(Test::Signature, error.to_string()),
    }
}

fn validity(certificate: &Certificate, at: i64) -> Check {
    let test = Test::Validity;
    if !certificate.has_readable_validity() {
        Check::not_checked(test, "its validity cannot be read")
    } else if at < certificate.not_before() {
        Check::failed(test, "it is not valid yet")
    } else if at >= certificate.not_after().saturating_add(1000) {
        Check::failed(test, "it has expired")
    } else {
        Check::passed(test, "the time is within its validity")
    }
}

/// RFC 5280 §6.1.4 k to m: issuers are authorities, and no more authorities stand below one than it allows.
fn basic_constraints(path: &[&Certificate], index: usize, is_root: bool) -> Check {
    let test = Test::BasicConstraints;
    let certificate = path[index];
    if index == 0 {
        return Check::passed(test, "it issues nothing in this path");
    }
    // A root of before version 3 has no extensions to say that it is one.
    if is_root && certificate.raw_extensions().next().is_none() {
        return Check::passed(test, "it is a root without extensions");
    }
    if !certificate.is_ca() {
        return Check::failed(test, "it is not that of an authority");
    }
    let below = path[1..index]
        .iter()
        .filter(|one| !one.is_self_issued())
        .count();
    match certificate.path_length() {
        Some(allowed) if below > allowed as usize => Check::failed(
            test,
            format!("{below} authorities stand below it, its path length is {allowed}"),
        ),
        _ => Check::passed(test, "it is that of an authority"),
    }
}

fn key_usage(certificate: &Certificate, index: usize) -> Check {
    let test = Test::KeyUsage;
    let stands = has(certificate, KEY_USAGE);
    if index > 0 && stands && certificate.key_usage() & KEY_CERT_SIGN == 0 {
        return Check::failed(test, "its key may not sign certificates");
    }
    Check::passed(test, "its key may be used as it is")
}

fn extended_key_usage(certificate: &Certificate, usage: &str) -> Check {
    let test = Test::ExtendedKeyUsage;
    let usages = certificate.extended_key_usages();
    if !has(certificate, EXTENDED_KEY_USAGE) {
        Check::passed(test, "it is not restricted to usages")
    } else if usages.iter().any(|one| one == usage || one == ANY_USAGE) {
        Check::passed(test, format!("it may be used for {usage}"))
    } else {
        Check::failed(test, format!("it may not be used for {usage}"))
    }
}

fn critical_extensions(certificate: &Certificate) -> Check {
    let test = Test::CriticalExtensions;
    let mut seen = std::collections::HashSet::new();
    for extension in certificate.raw_extensions() {
        let Ok(extension) = extension else {
            return Check::failed(test, "its extensions cannot be read");
        };
        let oid = extension.oid();
        if extension.critical && !UNDERSTOOD.contains(&oid.as_str()) {
            return Check::failed(
                test,
                format!("the critical extension {oid} is not understood"),
            );
        }
        if certificate.not_understood().contains(&oid) && UNDERSTOOD.contains(&oid.as_str()) {
            return Check::failed(test, format!("the extension {oid} does not have its form"));
        }
        if !seen.insert(oid.clone()) {
            return Check::failed(test, format!("the extension {oid} stands in it twice"));
        }
    }
    Check::passed(test, "every critical extension is understood")
}

fn has(certificate: &Certificate, oid: &str) -> bool {
    certificate.extension_value(oid).is_some()
}
