//! What sort of network an address belongs to.

use std::fmt;
use std::net::{IpAddr, Ipv4Addr, Ipv6Addr};

/// Why an address is no public one (IANA's registries of special-purpose addresses, RFC 6890 and its followers).
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum AddressSort {
    /// 127.0.0.0/8, ::1.
    Loopback,
    /// 169.254.0.0/16 (the metadata services of clouds live there), fe80::/10.
    LinkLocal,
    /// 10.0.0.0/8, 172.16.0.0/12, 192.168.0.0/16 (RFC 1918).
    Private,
    /// fc00::/7 (RFC 4193) and the older fec0::/10.
    UniqueLocal,
    /// 100.64.0.0/10 (RFC 6598): behind a carrier's NAT.
    SharedByCarrier,
    /// 224.0.0.0/4, ff00::/8.
    Multicast,
    /// 0.0.0.0/8 and ::, which mean "this machine" to many systems.
    Unspecified,
    /// For documents, measurements, protocols, the future: nothing that serves anybody.
    Reserved,
}

impl AddressSort {
    /// The sort of an address; `None` for a public one. An IPv6 address that stands for an IPv4 address is of the sort of
    /// that one.
    pub fn of(address: IpAddr) -> Option<Self> {
        match canonical(address) {
            IpAddr::V4(address) => of_v4(address),
            IpAddr::V6(address) => of_v6(address),
        }
    }

    /// Whether naming a host is not enough to reach such an address: it takes its network. Whoever answers for the name in
    /// the DNS must not be able to point it at a cloud's metadata service.
    pub(crate) fn needs_network(self) -> bool {
        match self {
            Self::Loopback | Self::Private | Self::UniqueLocal | Self::SharedByCarrier => false,
            Self::LinkLocal | Self::Multicast | Self::Unspecified | Self::Reserved => true,
        }
    }
}

impl fmt::Display for AddressSort {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(match self {
            Self::Loopback => "a loopback address",
            Self::LinkLocal => "a link-local address",
            Self::Private => "a private address",
            Self::UniqueLocal => "a unique local address",
            Self::SharedByCarrier => "an address behind a carrier's NAT",
            Self::Multicast => "a multicast address",
            Self::Unspecified => "an unspecified address",
            Self::Reserved => "a reserved address",
        })
    }
}

/// The IPv4 address that an IPv6 address stands for, in every notation that a system or gateway on the way may understand:
/// mapped (::ffff:a.b.c.d), compatible (::a.b.c.d) and NAT64 (64:ff9b::a.b.c.d, RFC 6052).
pub(crate) fn canonical(address: IpAddr) -> IpAddr {
    let IpAddr::V6(long) = address else {
        return address;
    };
    let last = |segments: [u16; 8]| {
        let [a, b] = segments[6].to_be_bytes();
        let [c, d] = segments[7].to_be_bytes();
        IpAddr::V4(Ipv4Addr::new(a, b, c, d))
    };
    match long.segments() {
        [0, 0, 0, 0, 0, 0, 0, 0 | 1] => address,
        segments @ ([0, 0, 0, 0, 0, 0 | 0xffff, ..]
        | [0, 0, 0, 0, 0xffff, 0, ..]
        | [0x64, 0xff9b, 0, 0, 0, 0, ..]) => last(segments),
        _ => address,
    }
}

fn of_v4(address: Ipv4Addr) -> Option<AddressSort> {
    match address.octets() {
        [0, ..] => Some(AddressSort::Unspecified),
        [127, ..] => Some(AddressSort::Loopback),
        [10, ..] | [172, 16..=31, ..] | [192, 168, ..] => Some(AddressSort::Private),
        [100, 64..=127, ..] => Some(AddressSort::SharedByCarrier),
        [169, 254, ..] => Some(AddressSort::LinkLocal),
        [224..=239, ..] => Some(AddressSort::Multicast),
        // Protocol assignments, documentation (three), the relays of 6to4, measurements of networks, the future and
        // broadcast.
        [192, 0, 0 | 2, _]
        | [198, 51, 100, _]
        | [203, 0, 113, _]
        | [192, 88, 99, _]
        | [198, 18..=19, ..]
        | [240..=255, ..] => Some(AddressSort::Reserved),
        _ => None,
    }
}

fn of_v6(address: Ipv6Addr) -> Option<AddressSort> {
    match address.segments() {
        [0, 0, 0, 0, 0, 0, 0, 0] => Some(AddressSort::Unspecified),
        [0, 0, 0, 0, 0, 0, 0, 1] => Some(AddressSort::Loopback),
        [0xfe80..=0xfebf, ..] => Some(AddressSort::LinkLocal),
        [0xfc00..=0xfdff, ..] | [0xfec0..=0xfeff, ..] => Some(AddressSort::UniqueLocal),
        [0xff00..=0xffff, ..] => Some(AddressSort::Multicast),
        // Inside the global unicast block: Teredo and other protocols (2001::/23), documentation (2001:db8::/32 and
        // 3fff::/20) and 6to4 (2002::/16), which carries an IPv4 address to a relay of unknown hands.
        [0x2001, 0..=0x1ff, ..] | [0x2001, 0xdb8, ..] | [0x2002, ..] | [0x3fff, 0..=0xfff, ..] => {
            Some(AddressSort::Reserved)
        }
        [0x2000..=0x3fff, ..] => None,
        // Nothing else is routed: discard-only, local NAT64 (64:ff9b:1::/48), segment routing, what is not assigned.
        _ => Some(AddressSort::Reserved),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn every_block_from_its_first_to_its_last_address() {
        use AddressSort::*;
        let blocks = [
            ("0.0.0.0", "0.255.255.255", Some(Unspecified)),
            ("1.0.0.0", "9.255.255.255", None),
            ("10.0.0.0", "10.255.255.255", Some(Private)),
            ("100.63.255.255", "100.63.255.255", None),
            ("100.64.0.0", "100.127.255.255", Some(SharedByCarrier)),
            ("100.128.0.0", "126.255.255.255", None),
            ("127.0.0.0", "127.255.255.255", Some(Loopback)),
            ("169.254.0.0", "169.254.255.255", Some(LinkLocal)),
            ("172.15.255.255", "172.15.255.255", None),
            ("172.16.0.0", "172.31.255.255", Some(Private)),
            ("172.32.0.0", "172.32.0.0", None),
            ("192.0.0.0", "192.0.0.255", Some(Reserved)),
            ("192.0.1.0", "192.0.1.255", None),
            ("192.0.2.0", "192.0.2.255", Some(Reserved)),
            ("192.168.0.0", "192.168.255.255", Some(Private)),
            ("198.18.0.0", "198.19.255.255", Some(Reserved)),
            ("198.51.100.0", "198.51.100.255", Some(Reserved)),
            ("203.0.113.0", "203.0.113.255", Some(Reserved)),
            ("223.255.255.255", "223.255.255.255", None),
            ("224.0.0.0", "239.255.255.255", Some(Multicast)),
            ("240.0.0.0", "255.255.255.255", Some(Reserved)),
            ("::", "::", Some(Unspecified)),
            ("::1", "::1", Some(Loopback)),
            ("::2", "::2", Some(Unspecified)),
            ("::7f00:1", "::7f00:1", Some(Loopback)),
            ("::ffff:127.0.0.1", "::ffff:127.255.255.255", Some(Loopback)),
            ("::ffff:10.0.0.0", "::ffff:10.255.255.255", Some(Private)),
            ("::ffff:0:10.0.0.0", "::ffff:0:10.1.1.1", Some(Private)),
            ("::ffff:9.9.9.9", "::ffff:9.9.9.9", None),
            ("64:ff9b::a00:1", "64:ff9b::aff:ffff", Some(Private)),
            ("64:ff9b::a9fe:a9fe", "64:ff9b::a9fe:a9fe", Some(LinkLocal)),
            ("64:ff9b::909:909", "64:ff9b::909:909", None),
            ("64:ff9b:1::a00:1", "64:ff9b:1::909:909", Some(Reserved)),
            ("100::", "100::1", Some(Reserved)),
            ("2001::", "2001:1ff:ffff::", Some(Reserved)),
            ("2001:200::", "2001:db7:ffff::", None),
            ("2001:db8::", "2001:db8:ffff::", Some(Reserved)),
            ("2002:7f00:1::", "2002:ffff::", Some(Reserved)),
            ("2003::", "2a00::1", None),
            ("3fff::", "3fff:fff:ffff::", Some(Reserved)),
            ("4000::", "fbff::", Some(Reserved)),
            ("fc00::", "fdff:ffff::", Some(UniqueLocal)),
            ("fe80::", "febf:ffff::", Some(LinkLocal)),
            ("fec0::", "feff:ffff::", Some(UniqueLocal)),
            ("ff00::", "ffff::1", Some(Multicast)),
        ];
        for (first, last, sort) in blocks {
            for address in [first, last] {
                assert_eq!(AddressSort::of(address.parse().unwrap()), sort, "{address}");
            }
        }
    }
}
