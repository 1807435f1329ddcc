//! Certificate policies (RFC 5280 §6.1.3 d to f, §6.1.4 a, b, h to j, §6.1.5). Nobody here asks for a policy of his own, so the
//! policies matter only where a certificate demands that the path has one. For that the valid policy tree of the RFC is more than is
//! needed: whether it has a leaf depends on the policies expected at each depth alone, which are kept as a set.

use std::collections::BTreeSet;

use super::report::{Check, Test};
use crate::ber::{self, OBJECT_IDENTIFIER, SEQUENCE};
use crate::certificate::Certificate;
use crate::error::{Error, Result};

const POLICIES: &str = "2.5.29.32";
const MAPPINGS: &str = "2.5.29.33";
const CONSTRAINTS: &str = "2.5.29.36";
const INHIBIT_ANY: &str = "2.5.29.54";
const ANY: &str = "2.5.29.32.0";

/// Most policies that one certificate may bring in.
const MAXIMUM_POLICIES: usize = 1_000;

/// What has to hold further down the path.
struct State {
    /// The policies that the next certificate may have; empty once there is none.
    expected: BTreeSet<String>,
    /// After how many certificates a policy is demanded, mappings and anyPolicy are no longer allowed.
    explicit: usize,
    mapping: usize,
    any: usize,
}

/// One check for each certificate of a path, leaf first; `trusted` says whether the last one is a root, which is not looked at.
pub(super) fn check(path: &[&Certificate], trusted: bool) -> Vec<Check> {
    let test = Test::Policies;
    let count = path.len() - usize::from(trusted);
    let mut state = State {
        expected: BTreeSet::from([ANY.to_owned()]),
        explicit: count + 1,
        mapping: count + 1,
        any: count + 1,
    };
    let mut checks = vec![Check::passed(test, "a root is trusted without policies"); path.len()];
    for index in (0..count).rev() {
        checks[index] = match state.take(path[index], index == 0) {
            Ok(()) if state.explicit == 0 && state.expected.is_empty() => {
                Check::failed(test, "a policy is demanded, and none holds along the path")
            }
            Ok(()) if state.expected.is_empty() => Check::passed(test, "no policy is demanded"),
            Ok(()) => Check::passed(test, "its policies hold along the path"),
            Err(error) => Check::failed(test, error.to_string()),
        };
    }
    checks
}

impl State {
    fn take(&mut self, certificate: &Certificate, is_last: bool) -> Result<()> {
        let self_issued = certificate.is_self_issued();
        self.take_policies(certificate, self_issued && !is_last)?;
        let (require, inhibit_mapping) = constraints(certificate)?;
        if is_last {
            // §6.1.5 a, b
            self.explicit = self.explicit.saturating_sub(1);
            if require == Some(0) {
                self.explicit = 0;
            }
            return Ok(());
        }
        // Before the mappings of §6.1.4 the demand of §6.1.3 f stands.
        if self.explicit > 0 || !self.expected.is_empty() {
            self.take_mappings(certificate)?;
        }
        if !self_issued {
            self.explicit = self.explicit.saturating_sub(1);
            self.mapping = self.mapping.saturating_sub(1);
            self.any = self.any.saturating_sub(1);
        }
        self.explicit = self.explicit.min(require.unwrap_or(usize::MAX));
        self.mapping = self.mapping.min(inhibit_mapping.unwrap_or(usize::MAX));
        self.any = self
            .any
            .min(inhibit_any(certificate)?.unwrap_or(usize::MAX));
        Ok(())
    }

    /// §6.1.3 d, e.
    fn take_policies(&mut self, certificate: &Certificate, any_is_allowed: bool) -> Result<()> {
        let mut next = BTreeSet::new();
        if let Some(value) = certificate.extension_value(POLICIES) {
            for policy in ber::elements(ber::only(value, SEQUENCE, "certificate policies")?.content)
            {
                let mut parts = ber::elements(policy?.content);
                let policy = ber::dotted(parts.required(OBJECT_IDENTIFIER, "a policy")?.content);
                if policy == ANY {
                    if self.any > 0 || any_is_allowed {
                        next.extend(self.expected.iter().cloned());
                    }
                } else if self.expected.contains(&policy) || self.expected.contains(ANY) {
                    next.insert(policy);
                }
                if next.len() > MAXIMUM_POLICIES {
                    return Err(Error::malformed(
                        "certificate policies",
                        format!("there are more than {MAXIMUM_POLICIES}"),
                    ));
                }
            }
        }
        self.expected = next;
        Ok(())
    }

    /// §6.1.4 a, b.
    fn take_mappings(&mut self, certificate: &Certificate) -> Result<()> {
        let Some(value) = certificate.extension_value(MAPPINGS) else {
            return Ok(());
        };
        let (mut from, mut to) = (BTreeSet::new(), BTreeSet::new());
        for mapping in ber::elements(ber::only(value, SEQUENCE, "policy mappings")?.content) {
            let mut parts = ber::elements(mapping?.content);
            let above = ber::dotted(parts.required(OBJECT_IDENTIFIER, "a policy")?.content);
            let below = ber::dotted(parts.required(OBJECT_IDENTIFIER, "a policy")?.content);
            if above == ANY || below == ANY {
                return Err(Error::malformed(
                    "policy mappings",
                    "anyPolicy cannot be mapped",
                ));
            }
            if self.expected.contains(&above) || self.expected.contains(ANY) {
                to.insert(below);
            }
            from.insert(above);
            if from.len() > MAXIMUM_POLICIES {
                return Err(Error::malformed(
                    "policy mappings",
                    format!("there are more than {MAXIMUM_POLICIES}"),
                ));
            }
        }
        self.expected.retain(|policy| !from.contains(policy));
        if self.mapping > 0 {
            self.expected.append(&mut to);
        }
        Ok(())
    }
}

/// `requireExplicitPolicy` and `inhibitPolicyMapping` (§4.2.1.11).
fn constraints(certificate: &Certificate) -> Result<(Option<usize>, Option<usize>)> {
    let (mut require, mut inhibit) = (None, None);
    if let Some(value) = certificate.extension_value(CONSTRAINTS) {
        for part in ber::elements(ber::only(value, SEQUENCE, "policy constraints")?.content) {
            let part = part?;
            match part.tag {
                0x80 => require = Some(number(part.content)),
                0x81 => inhibit = Some(number(part.content)),
                _ => {
                    return Err(Error::malformed(
                        "policy constraints",
                        "they are not understood",
                    ));
                }
            }
        }
    }
    Ok((require, inhibit))
}

/// `InhibitAnyPolicy` (§4.2.1.14).
fn inhibit_any(certificate: &Certificate) -> Result<Option<usize>> {
    certificate
        .extension_value(INHIBIT_ANY)
        .map(|value| {
            ber::only(value, ber::INTEGER, "inhibit any policy").map(|skip| number(skip.content))
        })
        .transpose()
}

/// A number of certificates; more than any path has is as good as any more.
fn number(content: &[u8]) -> usize {
    content.iter().fold(0usize, |number, octet| {
        number
            .saturating_mul(256)
            .saturating_add(usize::from(*octet))
    })
}
