//! What a validation answers.

use std::fmt;

use crate::certificate::Certificate;

/// The answer: a path and what was found along it.
#[derive(Debug, Clone)]
pub struct Report {
    /// The certificate that was asked about first, then its issuer and so on, as far as the path leads.
    pub path: Vec<Judgement>,
    /// Whether every check of every certificate passed; revocation that is unknown counts only if it was demanded.
    pub valid: bool,
}

/// One certificate of the path.
#[derive(Debug, Clone)]
pub struct Judgement {
    /// The certificate.
    pub certificate: Certificate,
    /// Every check that applies to it.
    pub checks: Vec<Check>,
}

/// One check of one certificate.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Check {
    /// What was checked.
    pub test: Test,
    /// How it went.
    pub outcome: Outcome,
    /// Why, in words; also says what was found when it passed.
    pub reason: String,
}

/// What is checked.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash, PartialOrd, Ord)]
pub enum Test {
    /// Whether the path ends at a known root; only at the end of the path.
    Trust,
    /// The signature, with the key of the next certificate.
    Signature,
    /// Not before, not after (RFC 5280 §4.1.2.5).
    Validity,
    /// Authority or not, path length (§4.2.1.9).
    BasicConstraints,
    /// The right to sign certificates (§4.2.1.3).
    KeyUsage,
    /// The usage that was asked for (§4.2.1.12); absent if none was.
    ExtendedKeyUsage,
    /// The names against the constraints of the authorities above (§4.2.1.10).
    NameConstraints,
    /// Whether a policy holds along the path where a certificate demands one (§6.1.3 d to f).
    Policies,
    /// Extensions that must be understood (§4.2).
    CriticalExtensions,
    /// Revocation by lists and OCSP answers (§6.3, RFC 6960); absent at the root.
    Revocation,
}

/// How a check went. The worst is the greatest.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash, PartialOrd, Ord)]
pub enum Outcome {
    /// It is as it should be.
    Passed,
    /// It cannot be told; the reason says why.
    NotChecked,
    /// It is not as it should be.
    Failed,
}

/// A line of the answer of `GET /Certificates/{id}/Validate`.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct ChainStatus {
    /// The name of the flag of .NET's `X509ChainStatusFlags`, for example `NotTimeValid`.
    pub name: &'static str,
    /// The worst outcome along the path.
    pub outcome: Outcome,
    /// The reasons of that outcome with the subject of each certificate; empty if it passed.
    pub reason: String,
}

impl Report {
    pub(super) fn new(path: Vec<Judgement>, revocation_required: bool) -> Self {
        let valid = path
            .iter()
            .flat_map(|judgement| &judgement.checks)
            .all(|check| {
                check.outcome == Outcome::Passed
                    || (check.test == Test::Revocation
                        && check.outcome == Outcome::NotChecked
                        && !revocation_required)
            });
        Report { path, valid }
    }

    /// Every check that did not pass, with its certificate.
    pub fn findings(&self) -> impl Iterator<Item = (&Certificate, &Check)> {
        self.path.iter().flat_map(|judgement| {
            let found = judgement
                .checks
                .iter()
                .filter(|check| check.outcome != Outcome::Passed);
            found.map(|check| (&judgement.certificate, check))
        })
    }

    /// The worst outcome of a check along the path; passed if it applied nowhere.
    pub fn outcome(&self, test: Test) -> Outcome {
        self.findings()
            .filter(|(_, check)| check.test == test)
            .map(|(_, check)| check.outcome)
            .max()
            .unwrap_or(Outcome::Passed)
    }

    /// The report in the terms of .NET's chain building, every flag once, in this order.
    pub fn chain_statuses(&self) -> Vec<ChainStatus> {
        let ends_self_issued = self
            .path
            .last()
            .is_some_and(|last| last.certificate.is_self_issued());
        let no_root = if ends_self_issued {
            "UntrustedRoot"
        } else {
            "PartialChain"
        };
        [
            ("NotTimeValid", Test::Validity, None),
            ("Revoked", Test::Revocation, Some(Outcome::Failed)),
            ("NotSignatureValid", Test::Signature, None),
            ("NotValidForUsage", Test::KeyUsage, None),
            ("NotValidForUsage", Test::ExtendedKeyUsage, None),
            ("UntrustedRoot", Test::Trust, None),
            (
                "RevocationStatusUnknown",
                Test::Revocation,
                Some(Outcome::NotChecked),
            ),
            (
                "HasNotSupportedCriticalExtension",
                Test::CriticalExtensions,
                None,
            ),
            ("InvalidPolicyConstraints", Test::Policies, None),
            ("InvalidBasicConstraints", Test::BasicConstraints, None),
            ("InvalidNameConstraints", Test::NameConstraints, None),
            ("PartialChain", Test::Trust, None),
        ]
        .into_iter()
        .fold(
            Vec::new(),
            |mut statuses: Vec<ChainStatus>, (name, test, only)| {
                let found: Vec<_> = self
                    .findings()
                    .filter(|(_, check)| {
                        check.test == test && only.is_none_or(|only| check.outcome == only)
                    })
                    .filter(|(_, check)| check.test != Test::Trust || name == no_root)
                    .collect();
                let outcome = found
                    .iter()
                    .map(|(_, check)| check.outcome)
                    .max()
                    .unwrap_or(Outcome::Passed);
                let reasons: Vec<String> = found
                    .iter()
                    .filter(|(_, check)| check.outcome == outcome)
                    .map(|(certificate, check)| {
                        format!("{}: {}", certificate.subject(), check.reason)
                    })
                    .collect();
                let reason = reasons.join("; ");
                match statuses.iter_mut().find(|status| status.name == name) {
                    Some(status) if status.outcome < outcome => {
                        (status.outcome, status.reason) = (outcome, reason);
                    }
                    Some(_) => {}
                    None => statuses.push(ChainStatus {
                        name,
                        outcome,
                        reason,
                    }),
                }
                statuses
            },
        )
    }
}

impl Test {
    /// The name shown to people.
    pub fn name(self) -> &'static str {
        match self {
            Test::Trust => "Trust",
            Test::Signature => "Signature",
            Test::Validity => "Validity",
            Test::BasicConstraints => "Basic Constraints",
            Test::KeyUsage => "Key Usage",
            Test::ExtendedKeyUsage => "Extended Key Usage",
            Test::NameConstraints => "Name Constraints",
            Test::Policies => "Policies",
            Test::CriticalExtensions => "Critical Extensions",
            Test::Revocation => "Revocation",
        }
    }
}

impl fmt::Display for Test {
    fn fmt(&self, formatter: &mut fmt::Formatter<'_>) -> fmt::Result {
        formatter.write_str(self.name())
    }
}

impl Check {
    pub(super) fn new(test: Test, outcome: Outcome, reason: impl Into<String>) -> Self {
        Check {
            test,
            outcome,
            reason: reason.into(),
        }
    }

    pub(super) fn passed(test: Test, reason: impl Into<String>) -> Self {
        Self::new(test, Outcome::Passed, reason)
    }

    pub(super) fn failed(test: Test, reason: impl Into<String>) -> Self {
        Self::new(test, Outcome::Failed, reason)
    }

    pub(super) fn not_checked(test: Test, reason: impl Into<String>) -> Self {
        Self::new(test, Outcome::NotChecked, reason)
    }
}
