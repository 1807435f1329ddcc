//! Whether a certificate is revoked, by the lists and OCSP answers at hand (RFC 5280 §6.3, RFC 6960 §3.2). One piece of evidence that
//! says revoked outweighs all others; without any that counts it is not checked.

use super::Evidence;
use super::report::{Check, Test};
use crate::certificate::Certificate;
use crate::extensions::CRL_SIGN;
use crate::ocsp::CertificateStatus;
use crate::revocation_list::{RevocationList, RevokedEntry};

/// Most lists of one issuer that are looked at.
const MAXIMUM_LISTS: usize = 32;

/// Most answers about one certificate that are looked at.
const MAXIMUM_ANSWERS: usize = 32;

pub(super) fn check(
    certificate: &Certificate,
    issuer: &Certificate,
    evidence: &Evidence<'_>,
    at: i64,
) -> Check {
    let mut good = None;
    let mut reasons = Vec::new();
    let answers = evidence
        .ocsp_answers
        .iter()
        .filter_map(|answer| answer.status_of(certificate, issuer, at).transpose())
        .take(MAXIMUM_ANSWERS);
    for answer in answers {
        match answer {
            Ok(CertificateStatus::Good) => good = Some("an OCSP answer says it is good"),
            Ok(CertificateStatus::Revoked(entry)) => return revoked(entry, "an OCSP answer"),
            Ok(CertificateStatus::Unknown) => {
                reasons.push("the OCSP responder does not know it".to_owned());
            }
            Err(reason) => reasons.push(reason),
        }
    }
    let lists = evidence
        .revocation_lists
        .iter()
        .filter(|list| list.is_named_after(issuer));
    for list in lists.take(MAXIMUM_LISTS) {
        match by_list(list, certificate, issuer, at) {
            Ok(None) => good = Some("it stands on no revocation list of its issuer"),
            Ok(Some(entry)) => return revoked(entry, "the revocation list of its issuer"),
            Err(reason) => reasons.push(reason),
        }
    }
    match good {
        Some(reason) => Check::passed(Test::Revocation, reason),
        None if reasons.is_empty() => Check::not_checked(
            Test::Revocation,
            "there is neither a revocation list nor an OCSP answer",
        ),
        None => Check::not_checked(Test::Revocation, reasons.join("; ")),
    }
}

fn revoked(entry: RevokedEntry, by: &str) -> Check {
    let reason = match entry.reason {
        None => String::new(),
        Some(reason) => format!(", reason {}", reason_name(reason)),
    };
    Check::failed(Test::Revocation, format!("it is revoked by {by}{reason}"))
}

/// The entry of a certificate, or the reason why the list does not count for it.
fn by_list(
    list: &RevocationList,
    certificate: &Certificate,
    issuer: &Certificate,
    at: i64,
) -> Result<Option<RevokedEntry>, String> {
    let scope = list.scope();
    if let Some(oid) = &scope.unknown_critical {
        return Err(format!(
            "the revocation list has the critical extension {oid}, which is not understood"
        ));
    }
    if scope.is_delta || scope.is_indirect || scope.only_attributes {
        return Err(
            "the revocation list is a delta, an indirect one or one of attribute certificates"
                .to_owned(),
        );
    }
    if (scope.only_end_entities && certificate.is_ca())
        || (scope.only_authorities && !certificate.is_ca())
    {
        return Err("the revocation list is for the other kind of certificates".to_owned());
    }
    if let Some(points) = &scope.distribution_point
        && !certificate
            .crl_distribution_points()
            .iter()
            .any(|point| points.contains(point))
    {
        return Err("the revocation list is of another distribution point".to_owned());
    }
    if list.this_update() > at {
        return Err("the revocation list is from a later time".to_owned());
    }
    if list.next_update().is_some_and(|next| next < at) {
        return Err("the revocation list is out of date".to_owned());
    }
    if issuer.key_usage() != 0 && issuer.key_usage() & CRL_SIGN == 0 {
        return Err("the issuer may not sign revocation lists".to_owned());
    }
    list.verify_signed_by(issuer)
        .map_err(|error| format!("the revocation list: {error}"))?;
    match list.entry(certificate.serial_content()) {
        None if scope.only_some_reasons => {
            Err("the revocation list is for some reasons only".to_owned())
        }
        entry => Ok(entry),
    }
}

/// The names of RFC 5280 §5.3.1.
fn reason_name(reason: u8) -> &'static str {
    match reason {
        0 => "unspecified",
        1 => "key compromise",
        2 => "CA compromise",
        3 => "affiliation changed",
        4 => "superseded",
        5 => "cessation of operation",
        6 => "certificate hold",
        8 => "remove from CRL",
        9 => "privilege withdrawn",
        10 => "AA compromise",
        _ => "unknown",
    }
}
