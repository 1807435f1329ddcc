//! Subject alternative names as clients give them: a map from kind to values.

use std::collections::BTreeMap;

use pki::{SanKind, SubjectAlternativeName};

use crate::error::Error;

/// The map of a request.
pub(super) type SansInput = BTreeMap<String, Option<Vec<String>>>;

/// Names in one certificate at most: more do not fit what servers send in a handshake.
pub(super) const NAMES_MAX: usize = 1000;

/// The kinds, by the keys of clients.md 2.5 and their synonyms in the product's own pages.
const KINDS: &[(&str, SanKind)] = &[
    ("dns", SanKind::Dns),
    ("ip", SanKind::Ip),
    ("ip4", SanKind::Ip),
    ("ip6", SanKind::Ip),
    ("uri", SanKind::Uri),
    ("rfc822", SanKind::Rfc822),
    ("email", SanKind::Rfc822),
    ("mail", SanKind::Rfc822),
    ("other", SanKind::Other),
    ("directory", SanKind::Directory),
    ("ediparty", SanKind::EdiParty),
    ("x400", SanKind::X400),
    ("registeredid", SanKind::RegisteredId),
    ("ms_ntprincipalname", SanKind::UserPrincipalName),
    ("upn", SanKind::UserPrincipalName),
    ("ms_ntdsreplication", SanKind::NtdsReplication),
];

/// The kind with this number (see [`SanKind::number`]).
pub(crate) fn kind_numbered(number: u16) -> SanKind {
    KINDS
        .iter()
        .find(|(_, kind)| kind.number() == number)
        .map_or(SanKind::Other, |(_, kind)| *kind)
}

/// The names of a map, without blanks and duplicates.
///
/// # Errors
/// 400 naming the key or the value that is wrong.
pub(super) fn from_map(map: &SansInput) -> Result<Vec<SubjectAlternativeName>, Error> {
    let mut names = Vec::new();
    for (key, values) in map {
        let kind = KINDS
            .iter()
            .find(|(known, _)| known.eq_ignore_ascii_case(key.trim()));
        let Some((key, kind)) = kind else {
            let known: Vec<&str> = KINDS.iter().map(|(known, _)| *known).collect();
            return Err(Error::bad_request(format!(
                "SANs: {key:?} is no kind of name; there are {}.",
                known.join(", ")
            )));
        };
        let values = values
            .iter()
            .flatten()
            .map(|value| value.trim())
            .filter(|value| !value.is_empty());
        for value in values {
            names.push(SubjectAlternativeName::new(
                *kind,
                checked(key, *kind, value)?,
            ));
        }
    }
    Ok(unique(names))
}

fn checked(key: &str, kind: SanKind, value: &str) -> Result<String, Error> {
    if kind != SanKind::Ip {
        return Ok(value.to_owned());
    }
    let wrong =
        |what: &str| Error::bad_request(format!("SANs.{key}: {value:?} is no {what} address."));
    let address: std::net::IpAddr = value.parse().map_err(|_| wrong("IP"))?;
    match key {
        "ip4" if !address.is_ipv4() => Err(wrong("IPv4")),
        "ip6" if !address.is_ipv6() => Err(wrong("IPv6")),
        _ => Ok(address.to_string()),
    }
}

/// The names of a request and those given beside it: of each kind that is given, the given ones; of the others, those of the
/// request.
pub(super) fn merged(
    requested: &[SubjectAlternativeName],
    given: Vec<SubjectAlternativeName>,
) -> Vec<SubjectAlternativeName> {
    let kept = requested
        .iter()
        .filter(|name| given.iter().all(|other| other.kind != name.kind))
        .cloned();
    let mut names: Vec<SubjectAlternativeName> = kept.collect();
    names.extend(given);
    unique(names)
}

/// The names in their order, each once; DNS names and addresses of mail without regard to case.
pub(super) fn unique(names: Vec<SubjectAlternativeName>) -> Vec<SubjectAlternativeName> {
    let mut seen = std::collections::HashSet::new();
    names
        .into_iter()
        .filter(|name| seen.insert((name.kind, name.value.to_lowercase())))
        .collect()
}

/// The values alone.
pub(crate) fn san_texts(names: &[(u16, String)]) -> Vec<String> {
    names.iter().map(|(_, value)| value.clone()).collect()
}

#[cfg(test)]
mod tests {
    use super::*;

    fn map(pairs: &[(&str, &[&str])]) -> SansInput {
        let values =
            |values: &[&str]| Some(values.iter().map(|value| (*value).to_owned()).collect());
        pairs
            .iter()
            .map(|(key, given)| ((*key).to_owned(), values(given)))
            .collect()
    }

    #[test]
    fn kinds_are_read_and_duplicates_left_out() {
        let names = from_map(&map(&[
            ("DNS", &["a.example", "A.example", " "]),
            ("ip4", &["10.0.0.1"]),
            ("ms_ntprincipalname", &["u@d"]),
        ]));
        let kinds: Vec<SanKind> = names.unwrap().iter().map(|name| name.kind).collect();
        assert_eq!(
            kinds,
            [SanKind::Dns, SanKind::Ip, SanKind::UserPrincipalName]
        );
        assert!(
            from_map(&map(&[("dnsname", &["a"])]))
                .unwrap_err()
                .message()
                .contains("\"dnsname\"")
        );
        assert!(from_map(&map(&[("ip4", &["::1"])])).is_err());
        assert!(from_map(&map(&[("ip", &["1.2.3"])])).is_err());
    }

    #[test]
    fn given_kinds_replace_those_of_the_request() {
        let requested = [
            SubjectAlternativeName::dns("old.example"),
            SubjectAlternativeName::new(SanKind::Ip, "10.0.0.1"),
        ];
        let names = merged(&requested, vec![SubjectAlternativeName::dns("new.example")]);
        assert_eq!(
            names,
            [
                SubjectAlternativeName::new(SanKind::Ip, "10.0.0.1"),
                SubjectAlternativeName::dns("new.example")
            ]
        );
    }

    #[test]
    fn every_kind_has_a_number_of_its_own() {
        for (_, kind) in KINDS {
            assert_eq!(kind_numbered(kind.number()), *kind);
        }
    }
}
