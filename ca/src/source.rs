//! The list of addresses in the critical option `source-address`, read as sshd reads it
//! (`addr_match_cidr_list` in `addrmatch.c`): comma-separated addresses and CIDR networks, no
//! wildcards, no negation, no bits set behind the prefix.

use std::net::{IpAddr, Ipv6Addr};
use std::str::FromStr;

/// Addresses and networks. IPv4 and IPv4-mapped IPv6 are the same thing.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) struct SourceList(Vec<Network>);

/// The text is not such a list.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) struct NotASourceList;

#[derive(Debug, Clone, Copy, PartialEq, Eq)]
struct Network {
    /// The address as IPv6; IPv4 is mapped.
    bits: u128,
    /// Which bits count.
    mask: u128,
}

impl SourceList {
    /// Whether the address is in one of the networks.
    pub(crate) fn covers(&self, source: IpAddr) -> bool {
        let source = as_v6(source);
        self.0.iter().any(|network| network.covers(source))
    }
}

impl Network {
    fn covers(self, source: Ipv6Addr) -> bool {
        // `::/0` is every IPv6 address and no IPv4 one, as with sshd; the mapped addresses lie
        // inside it only in our representation.
        let mapped = source.to_ipv4_mapped().is_some();
        let within_mapped = self.mask.leading_ones() >= MAPPED_PREFIX
            && Ipv6Addr::from_bits(self.bits).to_ipv4_mapped().is_some();
        mapped == within_mapped && source.to_bits() & self.mask == self.bits
    }
}

/// How many bits say that an IPv6 address is an IPv4 one (RFC 4291 section 2.5.5.2).
const MAPPED_PREFIX: u32 = 96;

impl FromStr for SourceList {
    type Err = NotASourceList;

    fn from_str(text: &str) -> Result<Self, NotASourceList> {
        text.split(',')
            .map(Network::parse)
            .collect::<Option<_>>()
            .map(Self)
            .ok_or(NotASourceList)
    }
}

impl Network {
    fn parse(text: &str) -> Option<Self> {
        let (address, prefix) = match text.split_once('/') {
            Some((address, prefix)) => (address, Some(prefix)),
            None => (text, None),
        };
        let address: IpAddr = address.parse().ok()?;
        let (width, offset) = match address {
            IpAddr::V4(_) => (32, MAPPED_PREFIX),
            IpAddr::V6(_) => (128, 0),
        };
        let prefix = match prefix {
            None => width,
            Some(digits) if !digits.is_empty() && digits.bytes().all(|b| b.is_ascii_digit()) => {
                digits
                    .parse::<u32>()
                    .ok()
                    .filter(|prefix| *prefix <= width)?
            }
            Some(_odd) => return None,
        };
        let free = 128_u32.checked_sub(prefix.checked_add(offset)?)?;
        let mask = u128::MAX.checked_shl(free).unwrap_or(0);
        let bits = as_v6(address).to_bits();
        (bits & !mask == 0).then_some(Self { bits, mask })
    }
}

fn as_v6(address: IpAddr) -> Ipv6Addr {
    match address {
        IpAddr::V4(v4) => v4.to_ipv6_mapped(),
        IpAddr::V6(v6) => v6,
    }
}

#[cfg(test)]
mod tests {
    use std::net::Ipv4Addr;

    use proptest::prelude::*;

    use super::*;

    #[track_caller]
    fn check(list: &str, source: &str, want: bool) {
        let list: SourceList = list.parse().unwrap();
        assert_eq!(list.covers(source.parse().unwrap()), want);
    }

    #[test]
    fn an_address_alone_is_itself() {
        check("10.1.2.3", "10.1.2.3", true);
        check("10.1.2.3", "10.1.2.4", false);
        check("2001:db8::1", "2001:db8::1", true);
        check("2001:db8::1", "2001:db8::2", false);
    }

    #[test]
    fn a_network_covers_its_edges_and_no_more() {
        check("10.1.2.0/24", "10.1.2.0", true);
        check("10.1.2.0/24", "10.1.2.255", true);
        check("10.1.2.0/24", "10.1.3.0", false);
        check("2001:db8::/32", "2001:db8:ffff::1", true);
        check("2001:db8::/32", "2001:db9::", false);
    }

    #[test]
    fn any_of_a_list_is_enough() {
        check("192.0.2.1,10.0.0.0/8,::1", "10.9.9.9", true);
        check("192.0.2.1,10.0.0.0/8,::1", "::1", true);
        check("192.0.2.1,10.0.0.0/8,::1", "192.0.2.2", false);
    }

    #[test]
    fn ipv4_mapped_is_ipv4() {
        check("10.0.0.0/8", "::ffff:10.1.2.3", true);
        check("::ffff:10.0.0.0/104", "10.1.2.3", true);
        check("::ffff:10.0.0.0/104", "11.0.0.0", false);
    }

    #[test]
    fn everything_of_one_family_is_nothing_of_the_other() {
        check("0.0.0.0/0", "10.1.2.3", true);
        check("0.0.0.0/0", "2001:db8::1", false);
        check("::/0", "2001:db8::1", true);
        check("::/0", "10.1.2.3", false);
    }

    #[test]
    fn what_sshd_refuses_is_refused() {
        for bad in [
            "",
            ",",
            "10.0.0.1,",
            "10.0.0.1/33",
            "10.0.0.1/8",
            "10.0.0.0/",
            "10.0.0.0/+8",
            "10.0.0.0/-1",
            "2001:db8::/129",
            "2001:db8::1/64",
            "10.0.*",
            "!10.0.0.1",
            "localhost",
            " 10.0.0.1",
            "10.0.0.1 ",
            "10.0.0",
            "10.0.0.0/8/8",
            "fe80::1%eth0",
        ] {
            assert_eq!(bad.parse::<SourceList>(), Err(NotASourceList), "{bad:?}");
        }
    }

    proptest! {
        #[test]
        fn an_address_is_in_every_network_that_is_cut_from_it(v4: Ipv4Addr, free in 0_u32..=32) {
            let length = 32_u32.saturating_sub(free);
            let mask = u32::MAX.checked_shl(free).unwrap_or(0);
            let network = Ipv4Addr::from_bits(v4.to_bits() & mask);
            let list: SourceList = format!("{network}/{length}").parse().unwrap();
            prop_assert!(list.covers(v4.into()));
            prop_assert!(list.covers(v4.to_ipv6_mapped().into()));
            let outside = Ipv4Addr::from_bits(v4.to_bits() ^ 0x8000_0000);
            prop_assert_eq!(list.covers(outside.into()), length == 0);
        }

        #[test]
        fn noise_breaks_nothing(text in "[0-9a-f:./,]{0,40}", source: IpAddr) {
            if let Ok(list) = text.parse::<SourceList>() {
                list.covers(source);
            }
        }
    }
}
