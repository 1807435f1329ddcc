//! The rules of a template, applied to what is about to be enrolled.

use pki::{DistinguishedName, KeyAlgorithm, KeyInfo, SanKind, SubjectAlternativeName};

use super::settings::{AlgorithmData, KeyAlgorithms, SubjectPart, compile};
use super::template::Template;
use crate::authorities::escape;
use crate::error::Error;

impl Template {
    /// Adds the defaults to the parts of the subject that are empty, and to server certificates without a DNS name or address
    /// the common name as such (RFC 2818 §3.1 deprecates common names).
    ///
    /// # Errors
    /// 400 when a default cannot stand in a name.
    pub(crate) fn complete(
        &self,
        subject: DistinguishedName,
        mut names: Vec<SubjectAlternativeName>,
    ) -> Result<(DistinguishedName, Vec<SubjectAlternativeName>), Error> {
        let (mut before, mut after) = (String::new(), String::new());
        for default in &self.settings.defaults {
            let part = default.subject_part.as_deref().and_then(SubjectPart::named);
            let Some(value) = default
                .value
                .as_deref()
                .filter(|value| !value.trim().is_empty())
            else {
                continue;
            };
            match part {
                Some(SubjectPart::Attribute(kind)) if subject.values_of(kind).is_empty() => {
                    let text = format!("{kind}={}", escape(value));
                    if kind == "CN" {
                        before = format!("{text},");
                    } else {
                        after = format!("{after},{text}");
                    }
                }
                Some(SubjectPart::Attribute(_)) | None => {}
                Some(part) if names.iter().any(|name| part.covers(name)) => {}
                Some(SubjectPart::Name(kind)) => {
                    names.push(SubjectAlternativeName::new(kind, value));
                }
                Some(SubjectPart::Ip4 | SubjectPart::Ip6) => {
                    names.push(SubjectAlternativeName::new(SanKind::Ip, value));
                }
            }
        }
        let subject = if before.is_empty() && after.is_empty() {
            subject
        } else {
            let text = format!("{before}{subject}{after}");
            DistinguishedName::parse(text.trim_matches(','))
                .map_err(|error| Error::bad_request(format!("TemplateDefaults: {error}.")))?
        };
        let named = names
            .iter()
            .any(|name| matches!(name.kind, SanKind::Dns | SanKind::Ip));
        if self.is_for_servers()
            && !named
            && let Some(name) = subject.common_name().and_then(server_name)
        {
            names.push(name);
        }
        Ok((subject, names))
    }

    /// Checks names and key against the template's rules. All that is wrong is said at once.
    ///
    /// # Errors
    /// 400 with a reason for each rule that is broken.
    pub(crate) fn check(
        &self,
        subject: &DistinguishedName,
        names: &[SubjectAlternativeName],
        key: &KeyInfo,
    ) -> Result<(), Error> {
        let mut wrong = Vec::new();
        self.check_regexes(subject, names, &mut wrong)?;
        let policy = &self.settings.policy;
        let wildcard = |value: &str| value.trim_start().starts_with("*.");
        if policy.allow_wildcards == Some(false) {
            let common = subject
                .values_of("CN")
                .into_iter()
                .filter(|value| wildcard(value));
            let others = names
                .iter()
                .filter(|name| name.kind == SanKind::Dns)
                .map(|name| name.value.as_str())
                .filter(|value| wildcard(value));
            let mut found: Vec<&str> = common.chain(others).collect();
            found.sort_unstable();
            found.dedup();
            wrong.extend(
                found.into_iter().map(|name| {
                    format!("{name:?} is a wildcard, which the template does not allow")
                }),
            );
        }
        if policy.rfc_enforcement == Some(true)
            && !names.iter().any(|name| name.kind == SanKind::Dns)
        {
            wrong.push("there is no DNS name among the subject alternative names, which the template asks for".into());
        }
        if let Some(reason) = self.key_complaint(key) {
            wrong.push(reason);
        }
        if wrong.is_empty() {
            return Ok(());
        }
        let summary = format!("Template {}: {}.", self.row.common_name, wrong.join("; "));
        Err(Error::bad_parts(summary, wrong))
    }

    fn check_regexes(
        &self,
        subject: &DistinguishedName,
        names: &[SubjectAlternativeName],
        wrong: &mut Vec<String>,
    ) -> Result<(), Error> {
        for rule in &self.settings.regexes {
            let (Some(name), Some(regex)) = (&rule.subject_part, &rule.regex) else {
                continue;
            };
            let Some(part) = SubjectPart::named(name) else {
                continue;
            };
            let compiled = compile(regex).map_err(Error::internal)?;
            let mut values: Vec<&str> = match part {
                SubjectPart::Attribute(kind) => subject.values_of(kind),
                part => names
                    .iter()
                    .filter(|name| part.covers(name))
                    .map(|name| name.value.as_str())
                    .collect(),
            };
            // A rule about an attribute is also a rule about its absence; names of a kind need not be there.
            if values.is_empty() && matches!(part, SubjectPart::Attribute(_)) {
                values.push("");
            }
            for value in values.into_iter().filter(|value| !compiled.is_match(value)) {
                wrong.push(
                    match rule.error.as_deref().filter(|text| !text.trim().is_empty()) {
                        Some(text) => format!("{name}: {text}"),
                        None => format!("{name}: {value:?} does not match {regex}"),
                    },
                );
            }
        }
        Ok(())
    }

    /// Why the template does not allow a key.
    fn key_complaint(&self, key: &KeyInfo) -> Option<String> {
        let allowed = self.key_rules()?;
        let (name, data) = match key.algorithm {
            KeyAlgorithm::Rsa => ("RSA", allowed.rsa.as_ref()),
            KeyAlgorithm::Ecc => ("ECC", allowed.ecdsa.as_ref()),
            KeyAlgorithm::Ed25519 => ("Ed25519", allowed.ed25519.as_ref()),
            KeyAlgorithm::Ed448 => ("Ed448", allowed.ed448.as_ref()),
            other => (other.name(), None),
        };
        let Some(data) = data else {
            return Some(format!("the template does not allow {name} keys"));
        };
        if let Some(lengths) = data
            .bit_lengths
            .as_ref()
            .filter(|lengths| !lengths.is_empty())
            && !lengths.contains(&key.size_bits)
        {
            let list: Vec<String> = lengths.iter().map(ToString::to_string).collect();
            return Some(format!(
                "the template allows {name} keys of {} bits, not of {}",
                list.join(", "),
                key.size_bits
            ));
        }
        if key.algorithm == KeyAlgorithm::Ecc
            && let Some(curves) = data.curves.as_ref().filter(|curves| !curves.is_empty())
        {
            let own = key.curve.as_deref().unwrap_or("an unknown curve");
            if !curves.iter().any(|curve| same_curve(curve, own)) {
                return Some(format!(
                    "the template allows keys on {}, not on {own}",
                    curves.join(", ")
                ));
            }
        }
        None
    }

    /// The kinds of keys that are allowed; `None` for all. The older members are read as the newer.
    fn key_rules(&self) -> Option<KeyAlgorithms> {
        let policy = &self.settings.policy;
        let given = |info: &KeyAlgorithms| {
            info.ecdsa.is_some()
                || info.rsa.is_some()
                || info.ed448.is_some()
                || info.ed25519.is_some()
        };
        if let Some(info) = policy.key_info.as_ref().filter(|info| given(info)) {
            return Some(info.clone());
        }
        let sizes = policy
            .rsa_valid_key_sizes
            .clone()
            .filter(|sizes| !sizes.is_empty());
        let curves = policy
            .ecc_valid_curves
            .clone()
            .filter(|curves| !curves.is_empty());
        if sizes.is_none() && curves.is_none() {
            return None;
        }
        // The older members speak of RSA and ECC only: each restricts its own kind.
        Some(KeyAlgorithms {
            ecdsa: Some(AlgorithmData {
                curves,
                ..AlgorithmData::default()
            }),
            rsa: Some(AlgorithmData {
                bit_lengths: sizes,
                ..AlgorithmData::default()
            }),
            ed448: Some(AlgorithmData::default()),
            ed25519: Some(AlgorithmData::default()),
        })
    }
}

/// Whether two names of curves, or identifiers, are the same curve.
fn same_curve(one: &str, other: &str) -> bool {
    let spec = |curve: &str| pki::KeySpec::parse("ECC", None, Some(curve)).ok();
    one.eq_ignore_ascii_case(other) || spec(one).is_some_and(|one| spec(other) == Some(one))
}

/// A common name as the alternative name that it stands for; `None` when it is no name of a host.
fn server_name(common_name: &str) -> Option<SubjectAlternativeName> {
    if let Ok(address) = common_name.parse::<std::net::IpAddr>() {
        return Some(SubjectAlternativeName::new(
            SanKind::Ip,
            address.to_string(),
        ));
    }
    let labels: Vec<&str> = common_name.split('.').collect();
    let sound = |(index, label): (usize, &&str)| {
        index == 0 && *label == "*" && labels.len() > 1
            || (1..=63).contains(&label.len())
                && label
                    .bytes()
                    .all(|octet| octet.is_ascii_alphanumeric() || octet == b'-' || octet == b'_')
                && !label.starts_with('-')
                && !label.ends_with('-')
    };
    let host = common_name.len() <= 253 && labels.iter().enumerate().all(sound);
    host.then(|| SubjectAlternativeName::dns(common_name))
}

#[cfg(test)]
mod tests {
    use super::super::settings::{Settings, TemplateDefault, TemplatePolicy, TemplateRegex};
    use super::*;
    use db::tables::templates;

    fn template(settings: Settings) -> Template {
        let row = templates::Model {
            id: 1,
            common_name: "T".into(),
            name_fold: "t".into(),
            display_name: "T".into(),
            friendly_name: None,
            oid: "2.25.1".into(),
            configuration_tenant: String::new(),
            key_type: "ECC".into(),
            key_size: "256".into(),
            key_usage: 128,
            extended_key_usages: String::new(),
            validity_days: 90,
            key_retention: "Indefinite".into(),
            key_retention_days: None,
            requires_approval: false,
            allowed_enrollment_types: 7,
            use_allowed_requesters: false,
            allowed_requesters: String::new(),
            settings: String::new(),
            changed_at: 0,
        };
        Template {
            row,
            extended_key_usages: vec!["1.3.6.1.5.5.7.3.1".into()],
            allowed_requesters: Vec::new(),
            settings,
        }
    }

    fn key(spec: pki::KeySpec) -> KeyInfo {
        pki::PrivateKey::generate(spec).unwrap().key_info().clone()
    }

    #[test]
    fn defaults_fill_what_is_empty_and_the_common_name_becomes_a_dns_name() {
        let default = |part: &str, value: &str| TemplateDefault {
            subject_part: Some(part.into()),
            value: Some(value.into()),
        };
        let template = template(Settings {
            defaults: vec![
                default("o", "Example, Inc."),
                default("OU", "Ops"),
                default("MAIL", "a@b.example"),
            ],
            ..Settings::default()
        });
        let subject = DistinguishedName::parse("CN=a.example,OU=Web").unwrap();
        let (subject, names) = template.complete(subject, Vec::new()).unwrap();
        assert_eq!(subject.to_string(), "CN=a.example,OU=Web,O=Example\\, Inc.");
        assert_eq!(
            names,
            [
                SubjectAlternativeName::new(SanKind::Rfc822, "a@b.example"),
                SubjectAlternativeName::dns("a.example")
            ]
        );
        let (_, names) = template
            .complete(DistinguishedName::parse("CN=An agent").unwrap(), Vec::new())
            .unwrap();
        assert_eq!(
            names.len(),
            1,
            "a common name that is no host stays a common name"
        );
    }

    #[test]
    fn every_broken_rule_is_named() {
        let regex = |part: &str, regex: &str| TemplateRegex {
            subject_part: Some(part.into()),
            regex: Some(regex.into()),
            ..TemplateRegex::default()
        };
        let template = template(Settings {
            regexes: vec![regex("O", "^Example$"), regex("DNS", "\\.example$")],
            policy: TemplatePolicy {
                allow_wildcards: Some(false),
                ecc_valid_curves: Some(vec!["1.3.132.0.34".into()]),
                ..TemplatePolicy::default()
            },
            ..Settings::default()
        });
        let subject = DistinguishedName::parse("CN=*.b.test").unwrap();
        let names = [
            SubjectAlternativeName::dns("*.b.test"),
            SubjectAlternativeName::dns("a.example"),
        ];
        let error = template
            .check(&subject, &names, &key(pki::KeySpec::EcP256))
            .unwrap_err();
        assert_eq!(error.failed().len(), 4, "{error}");
        let subject = DistinguishedName::parse("CN=a.example,O=Example").unwrap();
        template
            .check(&subject, &names[1..], &key(pki::KeySpec::EcP384))
            .unwrap();
        template
            .check(&subject, &names[1..], &key(pki::KeySpec::Ed25519))
            .unwrap();
    }
}
