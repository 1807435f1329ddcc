//! The search for a path: from the leaf to its issuers, depth first, back where a path turns out bad. Signatures are verified once for
//! each pair and counted, steps are counted too, so that no set of certificates makes it long.

use std::collections::{HashMap, HashSet};

use super::checks;
use super::report::{Check, Judgement, Outcome, Report, Test};
use super::{Demand, Evidence, MAXIMUM_PATH, MAXIMUM_SIGNATURE_CHECKS, policies, revocation};
use crate::certificate::Certificate;
use crate::error::Error;

/// Most paths that are judged, ends without root included.
const MAXIMUM_PATHS: usize = 100;

/// Most steps from a certificate to an issuer.
const MAXIMUM_STEPS: usize = 10_000;

type Name = Vec<Vec<(String, String)>>;

/// The certificates are numbered: the leaf 0, then roots, then intermediates.
pub(super) struct Search<'a> {
    certificates: Vec<&'a Certificate>,
    roots: HashSet<usize>,
    by_subject: HashMap<Name, Vec<usize>>,
    signatures: HashMap<(usize, usize), Check>,
    revocations: HashMap<(usize, usize), Check>,
    evidence: &'a Evidence<'a>,
    demand: &'a Demand<'a>,
    steps: usize,
    paths: usize,
    best: Option<(Rank, Report)>,
}

/// How close a path comes; the greater is the better one.
#[derive(PartialEq, Eq, PartialOrd, Ord)]
struct Rank {
    valid: bool,
    trusted: bool,
    failed: std::cmp::Reverse<usize>,
    not_checked: std::cmp::Reverse<usize>,
    length: usize,
}

impl<'a> Search<'a> {
    pub(super) fn new(
        leaf: &'a Certificate,
        intermediates: &'a [Certificate],
        roots: &'a [Certificate],
        evidence: &'a Evidence<'a>,
        demand: &'a Demand<'a>,
    ) -> Self {
        let mut search = Search {
            certificates: vec![leaf],
            roots: HashSet::new(),
            by_subject: HashMap::new(),
            signatures: HashMap::new(),
            revocations: HashMap::new(),
            evidence,
            demand,
            steps: 0,
            paths: 0,
            best: None,
        };
        let mut seen: HashMap<&Certificate, usize> = HashMap::from([(leaf, 0)]);
        for (certificate, is_root) in roots
            .iter()
            .map(|root| (root, true))
            .chain(intermediates.iter().map(|other| (other, false)))
        {
            let number = *seen.entry(certificate).or_insert_with(|| {
                search.certificates.push(certificate);
                search.certificates.len() - 1
            });
            if is_root {
                search.roots.insert(number);
            }
            if number > 0 && number + 1 == search.certificates.len() {
                let named = search
                    .by_subject
                    .entry(certificate.subject_name().canonical())
                    .or_default();
                if named.last() != Some(&number) {
                    named.push(number);
                }
            }
        }
        search
    }

    pub(super) fn run(mut self) -> Report {
        self.extend(&mut vec![0]);
        match self.best.take() {
            Some((_, report)) => report,
            // The leaf alone is always a path.
            None => self.judge(&[0], &Check::failed(Test::Trust, "no path was found")),
        }
    }

    /// Goes on from the last certificate of a path; true once a good path was found.
    fn extend(&mut self, path: &mut Vec<usize>) -> bool {
        let last = path[path.len() - 1];
        if self.roots.contains(&last)
            && self.finish(path, &Check::passed(Test::Trust, "it is a known root"))
        {
            return true;
        }
        let mut why = None;
        let mut went_on = false;
        for issuer in self.issuers(last) {
            let candidate = self.certificates[issuer];
            // The same name with the same key is the same authority: a path through it twice is a loop.
            let is_loop = path.iter().any(|one| {
                let one = self.certificates[*one];
                one.spki_der() == candidate.spki_der()
                    && one.subject_name().matches(candidate.subject_name())
            });
            if is_loop {
                continue;
            }
            self.steps += 1;
            if path.len() == MAXIMUM_PATH
                || self.steps > MAXIMUM_STEPS
                || self.paths > MAXIMUM_PATHS
            {
                why = Some(format!(
                    "the search ended here: {MAXIMUM_PATH} certificates, {MAXIMUM_PATHS} paths"
                ));
                break;
            }
            let signature = self.signature(last, issuer);
            if signature.outcome == Outcome::Failed {
                why.get_or_insert(signature.reason);
                continue;
            }
            went_on = true;
            path.push(issuer);
            let found = self.extend(path);
            path.pop();
            if found {
                return true;
            }
        }
        if !went_on && !self.roots.contains(&last) {
            let reason = why.unwrap_or_else(|| {
                if self.certificates[last].is_self_issued() {
                    "it signed itself and is no known root".to_owned()
                } else {
                    format!(
                        "no certificate of its issuer `{}` is known",
                        self.certificates[last].issuer()
                    )
                }
            });
            return self.finish(path, &Check::failed(Test::Trust, reason));
        }
        false
    }

    /// The certificates that may have issued one, the likeliest first: the key identifier agrees, it is a root, it is valid now, it is
    /// valid longest.
    fn issuers(&self, number: usize) -> Vec<usize> {
        let certificate = self.certificates[number];
        let name = certificate.issuer_name().canonical();
        if name.is_empty() {
            return Vec::new();
        }
        let mut found = self.by_subject.get(&name).cloned().unwrap_or_default();
        let at = self.demand.at;
        found.sort_by_cached_key(|candidate| {
            let issuer = self.certificates[*candidate];
            let identified = match (certificate.authority_key_id(), issuer.subject_key_id()) {
                (Some(wanted), Some(found)) if wanted == found => 0,
                (Some(_), Some(_)) => 2,
                _ => 1,
            };
            let in_time = issuer.not_before() <= at && at <= issuer.not_after();
            (
                identified,
                !self.roots.contains(candidate),
                !in_time,
                std::cmp::Reverse(issuer.not_after()),
            )
        });
        found
    }

    fn signature(&mut self, number: usize, issuer: usize) -> Check {
        if let Some(known) = self.signatures.get(&(number, issuer)) {
            return known.clone();
        }
        let (certificate, by) = (self.certificates[number], self.certificates[issuer]);
        let check = if self.signatures.len() == MAXIMUM_SIGNATURE_CHECKS {
            Check::failed(
                Test::Signature,
                format!(
                    "more than {MAXIMUM_SIGNATURE_CHECKS} signatures would have to be verified"
                ),
            )
        } else {
            checks::signature(certificate, by)
        };
        self.signatures.insert((number, issuer), check.clone());
        check
    }

    /// Judges a path; true if it is good.
    fn finish(&mut self, path: &[usize], trust: &Check) -> bool {
        self.paths += 1;
        let trusted = trust.outcome == Outcome::Passed;
        let report = self.judge(path, trust);
        let count = |outcome| {
            report
                .findings()
                .filter(|(_, check)| check.outcome == outcome)
                .count()
        };
        let rank = Rank {
            valid: report.valid,
            trusted,
            failed: std::cmp::Reverse(count(Outcome::Failed)),
            not_checked: std::cmp::Reverse(count(Outcome::NotChecked)),
            length: path.len(),
        };
        let valid = report.valid;
        if self.best.as_ref().is_none_or(|(best, _)| rank > *best) {
            self.best = Some((rank, report));
        }
        valid
    }

    fn judge(&mut self, path: &[usize], trust: &Check) -> Report {
        let certificates: Vec<&Certificate> = path
            .iter()
            .map(|number| self.certificates[*number])
            .collect();
        let trusted = trust.outcome == Outcome::Passed;
        let mut judgements = Vec::with_capacity(path.len());
        let policies = policies::check(&certificates, trusted);
        for ((index, number), policy) in path.iter().enumerate().zip(policies) {
            let mut all = vec![policy];
            match path.get(index + 1) {
                Some(issuer) => {
                    all.push(self.signature(*number, *issuer));
                    all.push(self.revocation(*number, *issuer));
                }
                None => all.extend(self.end(*number, trust)),
            }
            all.extend(checks::of(&certificates, index, trusted, self.demand));
            all.sort_by_key(|check| check.test);
            judgements.push(Judgement {
                certificate: certificates[index].clone(),
                checks: all,
            });
        }
        Report::new(judgements, self.demand.revocation_required)
    }

    /// The checks of the last certificate, whose issuer is not in the path.
    fn end(&mut self, number: usize, trust: &Check) -> Vec<Check> {
        let certificate = self.certificates[number];
        let signature = if trust.outcome == Outcome::Passed {
            Check::passed(Test::Signature, "a root is trusted without its signature")
        } else if certificate.is_self_issued() {
            match certificate.verify_signed_by(certificate) {
                Ok(()) => Check::passed(Test::Signature, "it is signed with its own key"),
                Err(Error::BadSignature) => Check::failed(Test::Signature, trust.reason.clone()),
                Err(error) => Check::not_checked(Test::Signature, error.to_string()),
            }
        } else if self.signatures.keys().any(|(one, _)| *one == number) {
            Check::failed(Test::Signature, trust.reason.clone())
        } else {
            Check::not_checked(Test::Signature, "its issuer is not known")
        };
        vec![trust.clone(), signature]
    }

    fn revocation(&mut self, number: usize, issuer: usize) -> Check {
        if let Some(known) = self.revocations.get(&(number, issuer)) {
            return known.clone();
        }
        let check = revocation::check(
            self.certificates[number],
            self.certificates[issuer],
            self.evidence,
            self.demand.at,
        );
        self.revocations.insert((number, issuer), check.clone());
        check
    }
}
