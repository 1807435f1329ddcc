//! The authority that needs nothing outside: a certificate and a key in this process.

use crate::authority::{Authority, Capabilities, Connector};
use crate::{Error, Order, Profile, Result};

/// This kind.
pub const CONNECTOR: Connector = Connector {
    name: "built_in",
    description: "An authority of this server itself.",
    capabilities: Capabilities {
        issues: true,
        answers_at_once: true,
        manager_approval_outside: true,
    },
};

/// How far certificates reach into the past, in milliseconds: clocks of clients may be behind ours.
pub const BACKDATING_MS: i64 = 5 * 60 * 1000;

const DAY_MS: i64 = 24 * 60 * 60 * 1000;

/// An authority whose key is in memory. Cheap to clone.
#[derive(Clone, Debug)]
pub struct BuiltIn {
    issuer: pki::Issuer,
    chain: Vec<pki::Certificate>,
    revocation_list: Option<String>,
}

impl BuiltIn {
    /// An authority and the certificates above it, the one that signed it first.
    pub fn new(issuer: pki::Issuer, above: &[pki::Certificate]) -> Self {
        let chain = pki::build_chain(issuer.certificate(), above);
        Self {
            issuer,
            chain,
            revocation_list: None,
        }
    }

    /// The same, whose certificates say that its revocation list is at this address.
    #[must_use]
    pub fn with_revocation_list(self, url: Option<String>) -> Self {
        Self {
            revocation_list: url,
            ..self
        }
    }

    /// The certificate and key.
    pub fn issuer(&self) -> &pki::Issuer {
        &self.issuer
    }
}

impl Authority for BuiltIn {
    fn connector(&self) -> &'static Connector {
        &CONNECTOR
    }

    fn chain(&self) -> &[pki::Certificate] {
        &self.chain
    }

    fn issue(&self, order: Order) -> Result<pki::Certificate> {
        let (not_before, not_after) =
            validity(&order.profile, order.now_ms, self.issuer.certificate())?;
        let profile = pki::CertificateProfile {
            crl_distribution_points: self.revocation_list.iter().cloned().collect(),
            ..certificate_profile(order.profile)
        };
        let linted =
            self.issuer
                .prepare(order.subject, &profile, order.serial, not_before, not_after)?;
        Ok(linted.sign(&self.issuer)?)
    }
}

/// When a certificate begins and ends: no earlier and no later than its issuer.
fn validity(profile: &Profile, now_ms: i64, issuer: &pki::Certificate) -> Result<(i64, i64)> {
    if now_ms >= issuer.not_after() {
        return Err(Error::Refused(vec![
            "the authority's own certificate has expired".into(),
        ]));
    }
    if now_ms < issuer.not_before() {
        return Err(Error::Refused(vec![
            "the authority's own certificate is not valid yet".into(),
        ]));
    }
    let not_before = now_ms
        .saturating_sub(BACKDATING_MS)
        .max(issuer.not_before());
    let life = profile.validity_days.max(1).saturating_mul(DAY_MS);
    // The last second belongs to the validity (RFC 5280 §4.1.2.5), so a life of one day ends one second earlier.
    let not_after = now_ms
        .saturating_add(life)
        .saturating_sub(1000)
        .min(issuer.not_after());
    Ok((not_before, not_after))
}

fn certificate_profile(profile: Profile) -> pki::CertificateProfile {
    pki::CertificateProfile {
        basic_constraints: Some((false, None)),
        key_usage: profile.key_usage,
        extended_key_usages: profile.extended_key_usages,
        ..pki::CertificateProfile::default()
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    const NOW: i64 = 1_800_000_000_000;

    fn authority(life_days: i64) -> BuiltIn {
        let key = pki::PrivateKey::generate(pki::KeySpec::EcP256).unwrap();
        let name = pki::DistinguishedName::parse("CN=Test CA").unwrap();
        let serial = pki::Serial::from_random(&[7; 16]);
        let end = NOW + life_days * DAY_MS;
        BuiltIn::new(
            pki::Issuer::self_signed_root(&name, key, NOW - 1000, end, &serial).unwrap(),
            &[],
        )
    }

    fn order(subject: &str, names: &[&str], now_ms: i64) -> Order {
        let key = pki::PrivateKey::generate(pki::KeySpec::EcP256).unwrap();
        Order {
            subject: pki::Subject {
                name: pki::DistinguishedName::parse(subject).unwrap(),
                sans: names
                    .iter()
                    .map(|name| pki::SubjectAlternativeName::dns(*name))
                    .collect(),
                spki_der: key.spki_der(),
            },
            profile: Profile {
                key_usage: 128,
                extended_key_usages: vec!["1.3.6.1.5.5.7.3.1".into()],
                validity_days: 90,
            },
            serial: pki::Serial::from_random(&[9; 16]),
            now_ms,
        }
    }

    #[test]
    fn issues_within_its_own_life() {
        let authority = authority(30);
        let issued = authority
            .issue(order("CN=a.example", &["a.example"], NOW))
            .unwrap();
        issued
            .verify_signed_by(authority.issuer().certificate())
            .unwrap();
        assert_eq!(issued.not_before(), NOW - 1000);
        assert_eq!(issued.not_after(), NOW + 30 * DAY_MS);
        assert_eq!(issued.key_usage(), 128);
        assert!(!issued.is_ca());
        assert_eq!(authority.chain().len(), 1);
    }

    #[test]
    fn a_full_life_is_the_template_s() {
        let issued = authority(3650)
            .issue(order("CN=a.example", &["a.example"], NOW + DAY_MS))
            .unwrap();
        assert_eq!(issued.not_before(), NOW + DAY_MS - BACKDATING_MS);
        assert_eq!(issued.not_after(), NOW + 91 * DAY_MS - 1000);
    }

    #[test]
    fn refuses_with_reasons() {
        let refused = |result: Result<pki::Certificate>| matches!(result, Err(Error::Refused(reasons)) if !reasons.is_empty());
        assert!(refused(authority(30).issue(order(
            "CN=a.example",
            &["a.example"],
            NOW + 31 * DAY_MS
        ))));
        assert!(refused(authority(30).issue(order(
            "CN=a.example",
            &["a.example"],
            NOW - DAY_MS
        ))));
        assert!(refused(authority(30).issue(order("", &[], NOW))));
        assert!(refused(authority(30).issue(order(
            "CN=a",
            &["not a host name"],
            NOW
        ))));
    }

    #[test]
    fn every_connector_has_a_name_of_its_own() {
        let mut names: Vec<&str> = crate::ALL.iter().map(|connector| connector.name).collect();
        names.sort_unstable();
        names.dedup();
        assert_eq!(names.len(), crate::ALL.len());
    }
}
