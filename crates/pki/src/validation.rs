//! Validation of a certificate (RFC 5280 §6): a path to a known root is looked for, every path there is until one is good, and every
//! check of every certificate of the path is answered with its reason. What cannot be checked is said to be so and is never valid.

mod checks;
mod names;
mod path;
mod policies;
mod report;
mod revocation;

pub use report::{ChainStatus, Check, Judgement, Outcome, Report, Test};

use crate::certificate::Certificate;
use crate::ocsp::OcspAnswer;
use crate::revocation_list::RevocationList;

/// Most signatures of certificates that are verified for one report.
pub const MAXIMUM_SIGNATURE_CHECKS: usize = 200;

/// Longest path.
pub const MAXIMUM_PATH: usize = 16;

/// What is known of revocation.
#[derive(Debug, Clone, Copy, Default)]
pub struct Evidence<'a> {
    /// Revocation lists of any issuer; those that do not concern the path are passed over.
    pub revocation_lists: &'a [RevocationList],
    /// OCSP answers about any certificate.
    pub ocsp_answers: &'a [OcspAnswer],
}

/// What is asked.
#[derive(Debug, Clone, Copy, Default)]
pub struct Demand<'a> {
    /// The time for which it is asked, milliseconds since the Unix epoch.
    pub at: i64,
    /// The dotted identifier of an extended key usage that the certificate must be good for.
    pub extended_key_usage: Option<&'a str>,
    /// Whether a certificate of which nothing is known about revocation is not valid.
    pub revocation_required: bool,
}

/// Validates a certificate. The roots are trusted as they are given, self-signed or not; the intermediates are not, and may hold
/// anything. The report is that of the first good path, or else of the path that comes closest.
pub fn validate(
    leaf: &Certificate,
    intermediates: &[Certificate],
    roots: &[Certificate],
    evidence: &Evidence<'_>,
    demand: &Demand<'_>,
) -> Report {
    path::Search::new(leaf, intermediates, roots, evidence, demand).run()
}
