//! What the operator allows beyond the public internet.

use std::net::IpAddr;

use crate::address::{AddressSort, canonical};

/// Hosts, networks and ports that may be reached although they are not public.
///
/// Members are written as in the configuration:
///
/// | member | allows |
/// |---|---|
/// | `10.20.0.0/16`, `fd00::/8` | addresses of that network, at any port |
/// | `10.20.3.4`, `::1` | that address |
/// | `idp.example.org` | that name, whichever private or loopback address it has |
/// | `*.corp.example` | every name below that domain |
/// | `10.20.0.0/16:8443`, `[fd00::/8]:443`, `idp.example.org:8443` | the same at that port only |
///
/// A name never opens link-local, multicast or reserved addresses: those take their network.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Allow {
    entries: Vec<Entry>,
}

/// A member that cannot be read.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct AllowError(String);

impl std::fmt::Display for AllowError {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        write!(
            f,
            "`{}` is none of: an address, a network such as 10.20.0.0/16 or fd00::/8, a host name, *.domain, each with or \
             without :port (IPv6 in brackets then)",
            self.0
        )
    }
}

impl std::error::Error for AllowError {}

#[derive(Clone, Debug, PartialEq, Eq)]
struct Entry {
    place: Place,
    port: Option<u16>,
}

#[derive(Clone, Debug, PartialEq, Eq)]
enum Place {
    Network {
        address: IpAddr,
        prefix: u32,
    },
    /// In small letters, without a dot at its end.
    Host(String),
    /// The same, for what stands below.
    Below(String),
}

impl Allow {
    /// Reads the members.
    ///
    /// # Errors
    /// The first member that cannot be read.
    pub fn parse<I: AsRef<str>>(members: impl IntoIterator<Item = I>) -> Result<Self, AllowError> {
        let entries = members.into_iter().map(|member| {
            let member = member.as_ref().trim();
            entry(member).ok_or_else(|| AllowError(member.to_owned()))
        });
        Ok(Self {
            entries: entries.collect::<Result<_, _>>()?,
        })
    }

    /// Whether a member opens this address and port to whoever asks for `host` (`None` if the address itself was asked
    /// for).
    pub(crate) fn opens(&self, host: Option<&str>, address: IpAddr, port: u16) -> bool {
        let by_name = !AddressSort::of(address).is_some_and(AddressSort::needs_network);
        let host = host.map(|host| host.trim_end_matches('.').to_ascii_lowercase());
        self.entries.iter().any(|entry| {
            let place = match (&entry.place, &host) {
                (
                    Place::Network {
                        address: network,
                        prefix,
                    },
                    _,
                ) => {
                    contains(*network, *prefix, address)
                        || contains(*network, *prefix, canonical(address))
                }
                (Place::Host(name), Some(host)) => by_name && name == host,
                (Place::Below(domain), Some(host)) => {
                    by_name
                        && host
                            .strip_suffix(domain)
                            .is_some_and(|rest| rest.len() > 1 && rest.ends_with('.'))
                }
                (_, None) => false,
            };
            place && entry.port.is_none_or(|only| only == port)
        })
    }
}

fn entry(member: &str) -> Option<Entry> {
    if let Some(rest) = member.strip_prefix('[') {
        let (inside, after) = rest.split_once(']')?;
        let port = match after {
            "" => None,
            _ => Some(port(after.strip_prefix(':')?)?),
        };
        let place = network(inside)?;
        return Some(Entry { place, port });
    }
    // More than one colon is IPv6 without a port.
    if let Some(place) = network(member) {
        return Some(Entry { place, port: None });
    }
    let (place, port) = match member.rsplit_once(':') {
        Some((place, digits)) => (place, Some(port(digits)?)),
        None => (member, None),
    };
    let place = network(place).or_else(|| host(place))?;
    Some(Entry { place, port })
}

fn port(digits: &str) -> Option<u16> {
    digits.parse().ok().filter(|port| *port != 0)
}

fn network(text: &str) -> Option<Place> {
    let (address, prefix) = match text.split_once('/') {
        Some((address, prefix)) => (address, Some(prefix.parse::<u32>().ok()?)),
        None => (text, None),
    };
    let address: IpAddr = address.parse().ok()?;
    let longest = if address.is_ipv4() { 32 } else { 128 };
    let prefix = prefix.unwrap_or(longest);
    (prefix <= longest).then_some(Place::Network { address, prefix })
}

fn host(text: &str) -> Option<Place> {
    let (below, name) = match text.strip_prefix("*.") {
        Some(domain) => (true, domain),
        None => (false, text),
    };
    let name = name.trim_end_matches('.').to_ascii_lowercase();
    let labels = |c: char| c.is_ascii_alphanumeric() || matches!(c, '-' | '_' | '.');
    // A last label of digits is how addresses are written in odd ways; no name has one.
    let last = name.rsplit('.').next()?;
    let numeric = last.chars().all(|c| c.is_ascii_digit());
    let valid = name.chars().all(labels) && !name.split('.').any(str::is_empty) && !numeric;
    valid.then_some(if below {
        Place::Below(name)
    } else {
        Place::Host(name)
    })
}

fn contains(network: IpAddr, prefix: u32, address: IpAddr) -> bool {
    let same = |network: u128, address: u128, bits: u32| {
        let rest = bits - prefix;
        // A shift by all bits overflows; then everything is inside.
        network.checked_shr(rest).unwrap_or(0) == address.checked_shr(rest).unwrap_or(0)
    };
    match (network, address) {
        (IpAddr::V4(network), IpAddr::V4(address)) => {
            same(network.to_bits().into(), address.to_bits().into(), 32)
        }
        (IpAddr::V6(network), IpAddr::V6(address)) => {
            same(network.to_bits(), address.to_bits(), 128)
        }
        _ => false,
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn opens(members: &[&str], host: Option<&str>, address: &str, port: u16) -> bool {
        let allow = Allow::parse(members).unwrap();
        allow.opens(host, address.parse().unwrap(), port)
    }

    #[test]
    fn networks_open_addresses_in_every_notation() {
        assert!(opens(&["10.0.0.0/8"], None, "10.1.2.3", 80));
        assert!(opens(&["10.0.0.0/8"], Some("x.example"), "10.1.2.3", 80));
        assert!(opens(&["10.0.0.0/8"], None, "::ffff:10.1.2.3", 80));
        assert!(!opens(&["10.0.0.0/8"], None, "11.1.2.3", 80));
        assert!(!opens(&["10.0.0.0/16"], None, "10.1.2.3", 80));
        assert!(opens(&["0.0.0.0/0"], None, "169.254.169.254", 80));
        assert!(!opens(&["0.0.0.0/0"], None, "fd00::1", 80));
        assert!(opens(&["::/0"], None, "fd00::1", 80));
        assert!(opens(&["fd00::/8"], None, "fdff::1", 443));
        assert!(opens(&["127.0.0.1"], None, "127.0.0.1", 1));
        assert!(!opens(&["127.0.0.1"], None, "127.0.0.2", 1));
    }

    #[test]
    fn a_port_narrows() {
        assert!(opens(&["10.0.0.0/8:443"], None, "10.1.2.3", 443));
        assert!(!opens(&["10.0.0.0/8:443"], None, "10.1.2.3", 80));
        assert!(opens(&["[fd00::/8]:443"], None, "fd00::1", 443));
        assert!(!opens(&["[fd00::/8]:443"], None, "fd00::1", 444));
        assert!(opens(
            &["idp.example:8443"],
            Some("IDP.example."),
            "10.0.0.1",
            8443
        ));
        assert!(!opens(
            &["idp.example:8443"],
            Some("idp.example"),
            "10.0.0.1",
            443
        ));
    }

    #[test]
    fn names_open_private_addresses_and_nothing_worse() {
        assert!(opens(
            &["idp.example"],
            Some("idp.example"),
            "127.0.0.1",
            443
        ));
        assert!(!opens(
            &["idp.example"],
            Some("not-idp.example"),
            "10.0.0.1",
            443
        ));
        assert!(!opens(&["idp.example"], None, "10.0.0.1", 443));
        assert!(!opens(
            &["idp.example"],
            Some("idp.example"),
            "169.254.169.254",
            80
        ));
        assert!(!opens(&["idp.example"], Some("idp.example"), "0.0.0.0", 80));
        assert!(opens(
            &["*.corp.example"],
            Some("a.b.corp.example"),
            "10.0.0.1",
            443
        ));
        assert!(!opens(
            &["*.corp.example"],
            Some("corp.example"),
            "10.0.0.1",
            443
        ));
        assert!(!opens(
            &["*.corp.example"],
            Some("evilcorp.example"),
            "10.0.0.1",
            443
        ));
    }

    #[test]
    fn nonsense_is_refused_by_name() {
        for member in [
            "",
            "10.0.0.0/33",
            "fd00::/129",
            "1.2.3",
            "0x7f.1.2.3:80:90",
            "a b",
            "http://a",
            "a/8",
            "host:0",
            "host:99999",
            "host:",
            "[fd00::1",
            "[host]:80",
            "*",
            "*.",
            "a..b",
            "10.0.0.0/8:",
            "a@b",
        ] {
            let error = Allow::parse([member]).unwrap_err().to_string();
            assert!(
                error.starts_with(&format!("`{member}` is none of")),
                "{error}"
            );
        }
    }
}
