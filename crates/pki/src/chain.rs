//! From a certificate to its root, through whatever certificates are at hand.

use crate::certificate::Certificate;
use crate::error::Error;

/// Builds the chain of a certificate out of a pool, leaf first. An issuer is found by name, then by key identifier, then by the signature.
/// The chain ends at a self-issued certificate, or where the pool has no issuer. No certificate appears twice. Validity periods and trust
/// are not looked at.
pub fn build_chain(leaf: &Certificate, pool: &[Certificate]) -> Vec<Certificate> {
    let mut chain = vec![leaf.clone()];
    let mut last = leaf;
    while !last.is_self_issued() || last.verify_signed_by(last).is_err() {
        let Some(issuer) = issuer_of(last, pool, &chain) else {
            break;
        };
        chain.push(issuer.clone());
        last = issuer;
    }
    chain
}

/// The best issuer: one whose key identifier matches before one without, then the one that is valid longest.
fn issuer_of<'a>(
    certificate: &Certificate,
    pool: &'a [Certificate],
    chain: &[Certificate],
) -> Option<&'a Certificate> {
    let mut candidates: Vec<(bool, &Certificate)> = pool
        .iter()
        .filter(|candidate| certificate.names_as_issuer(candidate) && !chain.contains(candidate))
        .filter_map(|candidate| {
            match (certificate.authority_key_id(), candidate.subject_key_id()) {
                (Some(wanted), Some(found)) => (wanted == found).then_some((true, candidate)),
                _ => Some((false, candidate)),
            }
        })
        .collect();
    candidates.sort_by_key(|(identified, candidate)| {
        std::cmp::Reverse((
            *identified,
            candidate.is_self_issued(),
            candidate.not_after(),
        ))
    });
    candidates
        .into_iter()
        .find(
            |(identified, candidate)| match certificate.verify_signed_by(candidate) {
                Ok(()) => true,
                // An algorithm that cannot be verified here still shows its chain if the key identifiers agree.
                Err(Error::UnsupportedAlgorithm(_)) => *identified,
                Err(_) => false,
            },
        )
        .map(|(_, candidate)| candidate)
}
