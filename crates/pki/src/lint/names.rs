//! Lints of the subject and the alternative names.

use std::collections::HashSet;
use std::net::IpAddr;

use super::Draft;
use crate::distinguished_name::DistinguishedName;
use crate::subject_alternative_name::{SanKind, SubjectAlternativeName};

pub(super) fn subject_present(draft: &Draft<'_>) -> Option<String> {
    if !draft.name.is_empty() {
        return None;
    }
    if draft.profile.is_authority() {
        return Some("an authority needs a subject".to_owned());
    }
    draft
        .names
        .is_empty()
        .then(|| "there is neither a subject nor an alternative name".to_owned())
}

/// Upper bounds of RFC 5280 Appendix A.1, in characters.
pub(super) fn subject_attributes(draft: &Draft<'_>) -> Option<String> {
    draft.name.entries().find_map(|(attribute, value)| {
        let length = value.chars().count();
        if length == 0 {
            return Some(format!("{attribute} is empty"));
        }
        if value.contains('\0') {
            return Some(format!("{attribute} contains NUL"));
        }
        if attribute == "C"
            && !(length == 2 && value.bytes().all(|byte| byte.is_ascii_alphabetic()))
        {
            return Some(format!("C must be two letters, not `{value}`"));
        }
        let bound = match attribute {
            "CN" | "O" | "OU" | "T" | "SERIALNUMBER" => 64,
            "L" | "ST" | "STREET" | "BUSINESSCATEGORY" => 128,
            "E" => 255,
            _ => return None,
        };
        (length > bound)
            .then(|| format!("{attribute} has {length} characters; {bound} are allowed"))
    })
}

pub(super) fn alternative_names(draft: &Draft<'_>) -> Option<String> {
    draft.names.iter().find_map(|name| {
        syntax(name).map(|reason| format!("alternative name `{}`: {reason}", name.value))
    })
}

pub(super) fn alternative_names_unique(draft: &Draft<'_>) -> Option<String> {
    let mut seen = HashSet::new();
    draft
        .names
        .iter()
        .find(|name| !seen.insert((name.kind, name.value.to_ascii_lowercase())))
        .map(|name| format!("the alternative name `{}` is there twice", name.value))
}

fn syntax(name: &SubjectAlternativeName) -> Option<String> {
    let value = name.value.as_str();
    let complaint = match name.kind {
        SanKind::Dns => return dns_name(value).map(str::to_owned),
        SanKind::Rfc822 => mailbox(value),
        SanKind::Ip => value
            .parse::<IpAddr>()
            .is_err()
            .then_some("it is no IPv4 or IPv6 address"),
        SanKind::Uri => {
            let absolute = value.split_once(':').is_some_and(|(scheme, rest)| {
                scheme.starts_with(|first: char| first.is_ascii_alphabetic())
                    && scheme
                        .bytes()
                        .all(|byte| byte.is_ascii_alphanumeric() || b"+-.".contains(&byte))
                    && !rest.is_empty()
            });
            (!absolute || !value.bytes().all(|byte| byte.is_ascii_graphic()))
                .then_some("it is no absolute URI")
        }
        SanKind::Directory => {
            return match DistinguishedName::parse(value) {
                Ok(name) if name.is_empty() => Some("it is empty".to_owned()),
                Ok(_) => None,
                Err(error) => Some(error.to_string()),
            };
        }
        SanKind::UserPrincipalName => value.is_empty().then_some("it is empty"),
        // The encoding refuses what is wrong with the others.
        SanKind::Other
        | SanKind::X400
        | SanKind::EdiParty
        | SanKind::RegisteredId
        | SanKind::NtdsReplication => None,
    };
    complaint.map(str::to_owned)
}

/// The preferred name syntax (RFC 1034 §3.5, RFC 1123 §2.1), underscores allowed as private names have them, `*` as the whole leftmost
/// label (RFC 9525 §6.3).
fn dns_name(value: &str) -> Option<&'static str> {
    if value.is_empty() || value.len() > 253 {
        return Some("a DNS name has 1 to 253 characters");
    }
    if value.parse::<IpAddr>().is_ok() {
        return Some("it is an IP address, not a DNS name");
    }
    let rest = value.strip_prefix("*.").unwrap_or(value);
    if rest.contains('*') {
        return Some("`*` may only be the whole leftmost label");
    }
    rest.split('.').find_map(|label| {
        if label.is_empty() || label.len() > 63 {
            Some("a label of a DNS name has 1 to 63 characters")
        } else if !label
            .bytes()
            .all(|byte| byte.is_ascii_alphanumeric() || b"-_".contains(&byte))
        {
            Some("a DNS name has letters, digits and hyphens only")
        } else if label.starts_with('-') || label.ends_with('-') {
            Some("a label of a DNS name may not begin or end with a hyphen")
        } else {
            None
        }
    })
}

fn mailbox(value: &str) -> Option<&'static str> {
    let sound = value.rsplit_once('@').is_some_and(|(local, domain)| {
        !local.is_empty()
            && !local.contains('@')
            && local.bytes().all(|byte| byte.is_ascii_graphic())
            && !domain.contains('*')
            && dns_name(domain).is_none()
    });
    (!sound).then_some("it is no e-mail address")
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn dns_names() {
        for good in [
            "a",
            "a.example",
            "*.a.example",
            "xn--bcher-kva.example",
            "_sip.a.example",
            "1a.example",
        ] {
            assert_eq!(dns_name(good), None, "{good}");
        }
        let long = "a".repeat(64);
        for bad in [
            "",
            "*",
            "*a.example",
            "a.*.example",
            "a..b",
            ".a",
            "a.",
            "-a.b",
            "a-.b",
            "a b",
            "bücher.example",
            "10.0.0.1",
            "::1",
            &long,
        ] {
            assert!(dns_name(bad).is_some(), "{bad}");
        }
    }

    #[test]
    fn mailboxes() {
        assert_eq!(mailbox("a.b+c@example.com"), None);
        for bad in [
            "",
            "a",
            "@example.com",
            "a@",
            "a@b@c",
            "a b@example.com",
            "a@*.example.com",
        ] {
            assert!(mailbox(bad).is_some(), "{bad}");
        }
    }
}
