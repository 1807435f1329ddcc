//! Name constraints (RFC 5280 §4.2.1.10): every name of a certificate against the subtrees of every authority above it.

use super::report::{Check, Test};
use crate::ber::{self, SEQUENCE};
use crate::certificate::Certificate;
use crate::distinguished_name::DistinguishedName;

const NAME_CONSTRAINTS: &str = "2.5.29.30";
const SUBJECT_ALTERNATIVE_NAME: &str = "2.5.29.17";

/// Most comparisons of a name with a subtree for one certificate.
const MAXIMUM_COMPARISONS: usize = 1 << 20;

/// Tags of `GeneralName`.
const EMAIL: u8 = 0x81;
const DNS: u8 = 0x82;
const DIRECTORY: u8 = 0xa4;
const URI: u8 = 0x86;
const IP: u8 = 0x87;

/// A name of a certificate, or the base of a subtree.
struct Name {
    tag: u8,
    content: Vec<u8>,
}

struct Constraints {
    permitted: Vec<Name>,
    excluded: Vec<Name>,
}

/// Why a name is not allowed.
enum Refusal {
    Violated(String),
    NotUnderstood(String),
}

pub(super) fn check(path: &[&Certificate], index: usize) -> Check {
    let test = Test::NameConstraints;
    let certificate = path[index];
    // RFC 5280 §6.1.3 b: an authority that certifies itself anew keeps its name, whatever it was constrained to.
    if index > 0 && certificate.is_self_issued() {
        return Check::passed(test, "it bears the name of its issuer");
    }
    let above = &path[index + 1..];
    let mut names = None;
    let mut comparisons = 0;
    for authority in above {
        let constraints = match constraints_of(authority) {
            Ok(None) => continue,
            Ok(Some(constraints)) => constraints,
            Err(reason) => {
                return Check::failed(
                    test,
                    format!("the constraints of `{}`: {reason}", authority.subject()),
                );
            }
        };
        let names = match names.get_or_insert_with(|| names_of(certificate)) {
            Ok(names) => names,
            Err(reason) => return Check::failed(test, reason.clone()),
        };
        comparisons += names.len() * (constraints.permitted.len() + constraints.excluded.len());
        if comparisons > MAXIMUM_COMPARISONS {
            return Check::not_checked(
                test,
                format!("more than {MAXIMUM_COMPARISONS} comparisons would be needed"),
            );
        }
        for name in names.iter() {
            match constraints.allow(name) {
                Ok(()) => {}
                Err(Refusal::Violated(reason)) => {
                    return Check::failed(
                        test,
                        format!("{reason} by the constraints of `{}`", authority.subject()),
                    );
                }
                Err(Refusal::NotUnderstood(reason)) => return Check::not_checked(test, reason),
            }
        }
    }
    Check::passed(
        test,
        if names.is_some() {
            "its names are allowed"
        } else {
            "no authority above constrains names"
        },
    )
}

fn constraints_of(authority: &Certificate) -> Result<Option<Constraints>, String> {
    let Some(value) = authority.extension_value(NAME_CONSTRAINTS) else {
        return Ok(None);
    };
    let malformed = |_| "they do not have their form".to_owned();
    let mut constraints = Constraints {
        permitted: Vec::new(),
        excluded: Vec::new(),
    };
    for list in ber::elements(
        ber::only(value, SEQUENCE, "name constraints")
            .map_err(malformed)?
            .content,
    ) {
        let list = list.map_err(malformed)?;
        let subtrees = match list.tag {
            0xa0 => &mut constraints.permitted,
            0xa1 => &mut constraints.excluded,
            _ => return Err("they have a part that is not understood".to_owned()),
        };
        for subtree in ber::elements(list.content) {
            let mut parts = ber::elements(subtree.map_err(malformed)?.content);
            let base = parts
                .next()
                .ok_or_else(|| "a subtree is empty".to_owned())?
                .map_err(malformed)?;
            // RFC 5280: the minimum is always zero and left out, the maximum is absent.
            if parts.next().is_some() {
                return Err(
                    "a subtree has a minimum or maximum, which are not understood".to_owned(),
                );
            }
            subtrees.push(Name {
                tag: base.tag,
                content: base.content.to_vec(),
            });
        }
    }
    Ok(Some(constraints))
}

/// The alternative names, the subject, its e-mail addresses, and its common name where it stands for a DNS name.
fn names_of(certificate: &Certificate) -> Result<Vec<Name>, String> {
    let mut names = Vec::new();
    if let Some(value) = certificate.extension_value(SUBJECT_ALTERNATIVE_NAME) {
        let unreadable = |_| "its alternative names cannot be read".to_owned();
        for name in ber::elements(
            ber::only(value, SEQUENCE, "alternative names")
                .map_err(unreadable)?
                .content,
        ) {
            let name = name.map_err(unreadable)?;
            names.push(Name {
                tag: name.tag,
                content: name.content.to_vec(),
            });
        }
    }
    let has_dns = names.iter().any(|name| name.tag == DNS);
    let subject = certificate.subject_name();
    if subject.lacks_of(certificate.subject_der()) > 0 {
        return Err("its subject cannot be read".to_owned());
    }
    if !subject.is_empty() {
        names.push(Name {
            tag: DIRECTORY,
            content: certificate.subject_der().to_vec(),
        });
    }
    let text = |tag, value: &str| Name {
        tag,
        content: value.as_bytes().to_vec(),
    };
    names.extend(
        subject
            .values_of("E")
            .into_iter()
            .map(|email| text(EMAIL, email)),
    );
    if !has_dns && !certificate.is_ca() {
        let hosts = subject
            .values_of("CN")
            .into_iter()
            .filter(|name| is_host(name));
        names.extend(hosts.map(|host| text(DNS, host)));
    }
    Ok(names)
}

impl Constraints {
    fn allow(&self, name: &Name) -> Result<(), Refusal> {
        for subtree in self
            .excluded
            .iter()
            .filter(|subtree| subtree.tag == name.tag)
        {
            if matches(subtree, name, true)? {
                return Err(Refusal::Violated(format!("`{}` is excluded", name.text())));
            }
        }
        let mut of_kind = self
            .permitted
            .iter()
            .filter(|subtree| subtree.tag == name.tag)
            .peekable();
        if of_kind.peek().is_none() {
            return Ok(());
        }
        for subtree in of_kind {
            if matches(subtree, name, false)? {
                return Ok(());
            }
        }
        Err(Refusal::Violated(format!(
            "`{}` is not permitted",
            name.text()
        )))
    }
}

impl Name {
    fn text(&self) -> String {
        match self.tag {
            DIRECTORY => DistinguishedName::from_der(&self.content)
                .map_or_else(|_| hex::encode(&self.content), |name| name.to_string()),
            EMAIL | DNS | URI => String::from_utf8_lossy(&self.content).into_owned(),
            _ => hex::encode(&self.content),
        }
    }
}

/// Whether a name lies in a subtree; for an excluded one, whether it may.
fn matches(subtree: &Name, name: &Name, excluded: bool) -> Result<bool, Refusal> {
    let text = |content: &[u8]| {
        std::str::from_utf8(content)
            .map(str::to_ascii_lowercase)
            .map_err(|_| {
                Refusal::Violated(format!(
                    "`{}` is no text and so not permitted",
                    hex::encode(content)
                ))
            })
    };
    Ok(match name.tag {
        DNS => dns_matches(&text(&subtree.content)?, &text(&name.content)?, excluded),
        EMAIL => email_matches(
            std::str::from_utf8(&subtree.content).unwrap_or_default(),
            &String::from_utf8_lossy(&name.content),
        ),
        URI => {
            let uri = text(&name.content)?;
            let host = host_of(&uri).ok_or_else(|| {
                Refusal::Violated(format!("`{uri}` has no host name and so is not permitted"))
            })?;
            host_matches(&text(&subtree.content)?, host)
        }
        IP => address_matches(&subtree.content, &name.content),
        DIRECTORY => {
            let parse = |der: &[u8]| {
                DistinguishedName::from_der(der)
                    .map(|name| name.canonical())
                    .map_err(|_| {
                        Refusal::NotUnderstood("a directory name cannot be read".to_owned())
                    })
            };
            parse(&name.content)?.starts_with(&parse(&subtree.content)?)
        }
        tag => {
            return Err(Refusal::NotUnderstood(format!(
                "constraints on names of the kind [{}] are not understood",
                tag & 0x1f
            )));
        }
    })
}

/// `example.com` covers itself and everything below; with a leading dot only what is below, as all readers take it. A wildcard lies in
/// a subtree if all of its names do, and may lie in an excluded one if any does.
fn dns_matches(subtree: &str, name: &str, excluded: bool) -> bool {
    let wildcard = name.strip_prefix("*.");
    let name = wildcard.unwrap_or(name).trim_end_matches('.');
    let bare = subtree.trim_start_matches('.');
    let below = |whole: &str, part: &str| {
        whole
            .strip_suffix(part)
            .is_some_and(|rest| rest.ends_with('.'))
    };
    let covers = subtree.is_empty()
        || below(name, bare)
        || (name == bare && (!subtree.starts_with('.') || wildcard.is_some()));
    covers || (excluded && wildcard.is_some() && below(bare, name))
}

/// A mailbox, a host, or with a leading dot the hosts below a domain. The part before the @ counts by its case.
fn email_matches(subtree: &str, name: &str) -> bool {
    let Some((local, host)) = name.rsplit_once('@') else {
        return false;
    };
    match subtree.rsplit_once('@') {
        Some((wanted, at)) if !wanted.is_empty() => {
            wanted == local && at.eq_ignore_ascii_case(host)
        }
        Some((_, at)) => at.eq_ignore_ascii_case(host),
        None => {
            subtree.is_empty()
                || host_matches(&subtree.to_ascii_lowercase(), &host.to_ascii_lowercase())
        }
    }
}

/// A host exactly, or with a leading dot the hosts below a domain.
fn host_matches(subtree: &str, host: &str) -> bool {
    if subtree.starts_with('.') {
        host.ends_with(subtree) && host.len() > subtree.len()
    } else {
        subtree.is_empty() || subtree == host
    }
}

/// The host of a URI with an authority (RFC 3986 §3.2); none if it has none or an address.
fn host_of(uri: &str) -> Option<&str> {
    let (_, rest) = uri.split_once("://")?;
    let authority = rest.split(['/', '?', '#']).next()?;
    let host = authority
        .rsplit_once('@')
        .map_or(authority, |(_, host)| host);
    let host = host.split(':').next()?;
    let is_address = host.starts_with('[') || host.parse::<std::net::Ipv4Addr>().is_ok();
    (!host.is_empty() && !is_address).then_some(host)
}

/// An address against address and mask, four or sixteen octets each.
fn address_matches(subtree: &[u8], address: &[u8]) -> bool {
    let (base, mask) = subtree.split_at(subtree.len() / 2);
    base.len() == address.len()
        && mask.len() == address.len()
        && address
            .iter()
            .zip(base)
            .zip(mask)
            .all(|((address, base), mask)| address & mask == base & mask)
}

/// Whether a common name could be taken for the name of a host.
fn is_host(name: &str) -> bool {
    let name = name.strip_prefix("*.").unwrap_or(name);
    name.contains('.')
        && name.split('.').all(|label| {
            !label.is_empty()
                && label
                    .bytes()
                    .all(|octet| octet.is_ascii_alphanumeric() || octet == b'-' || octet == b'_')
        })
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn subtrees_of_every_kind() {
        for (subtree, name, permitted, excluded) in [
            ("example.com", "example.com", true, true),
            ("example.com", "a.b.example.com", true, true),
            ("example.com", "badexample.com", false, false),
            ("example.com", "*.example.com", true, true),
            (".example.com", "example.com", false, false),
            (".example.com", "a.example.com", true, true),
            (".example.com", "*.example.com", true, true),
            ("a.example.com", "*.example.com", false, true),
            ("", "anything", true, true),
        ] {
            assert_eq!(
                dns_matches(subtree, name, false),
                permitted,
                "{subtree} {name}"
            );
            assert_eq!(
                dns_matches(subtree, name, true),
                excluded,
                "{subtree} {name}"
            );
        }
        for (subtree, name, expected) in [
            ("example.com", "a@example.com", true),
            ("example.com", "a@EXAMPLE.com", true),
            ("example.com", "a@x.example.com", false),
            (".example.com", "a@x.example.com", true),
            ("a@example.com", "a@Example.com", true),
            ("a@example.com", "A@example.com", false),
            ("example.com", "nobody", false),
        ] {
            assert_eq!(email_matches(subtree, name), expected, "{subtree} {name}");
        }
        assert_eq!(host_of("https://u:p@a.example:8443/x?y"), Some("a.example"));
        assert_eq!(host_of("https://[::1]/"), None);
        assert_eq!(host_of("https://10.0.0.1/"), None);
        assert_eq!(host_of("urn:x"), None);
        assert!(address_matches(
            &[10, 0, 0, 0, 255, 0, 0, 0],
            &[10, 9, 8, 7]
        ));
        assert!(!address_matches(
            &[10, 0, 0, 0, 255, 0, 0, 0],
            &[11, 9, 8, 7]
        ));
        assert!(!address_matches(&[10, 0, 0, 0, 255, 0, 0, 0], &[0; 16]));
    }
}
