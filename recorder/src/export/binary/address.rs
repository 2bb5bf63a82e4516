//! Addresses of networks and of their hardware: `network.c`, `mac.c`.

use std::net::{IpAddr, Ipv4Addr, Ipv6Addr};

use policies::hex;

/// Which of the two types of network addresses.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Kind {
    /// A network: always with the length of its prefix, and nothing behind that.
    Cidr,
    /// A host, maybe with its network.
    Inet,
}

/// `inet` and `cidr`: the family as the server numbers it, bits of the prefix, the type, which is not looked at, the
/// address's length, and the address (`network_recv`).
pub(super) fn network(bytes: &[u8], kind: Kind) -> Option<String> {
    let ([family, bits, _kind, length], address) = bytes.split_first_chunk()?;
    let address = match (family, length) {
        (2, 4) => IpAddr::V4(Ipv4Addr::from(super::whole(address)?)),
        (3, 16) => IpAddr::V6(Ipv6Addr::from(super::whole(address)?)),
        _other => return None,
    };
    // As the first bits of 128.
    let (value, width) = match address {
        IpAddr::V4(v4) => (u128::from(v4.to_bits()) << 96, 32),
        IpAddr::V6(v6) => (v6.to_bits(), 128),
    };
    let behind = value.checked_shl((*bits).into()).unwrap_or(0);
    if *bits > width || (kind == Kind::Cidr && behind != 0) {
        return None;
    }
    let shown = match address {
        IpAddr::V4(v4) => v4.to_string(),
        IpAddr::V6(v6) => long(v6),
    };
    Some(if kind == Kind::Inet && *bits == width {
        shown
    } else {
        format!("{shown}/{bits}")
    })
}

/// `pg_inet_net_ntop` in `src/port/inet_net_ntop.c`, which writes the last 32 bits as those of IPv4 also behind
/// zeros alone.
fn long(address: Ipv6Addr) -> String {
    match address.segments() {
        [0, 0, 0, 0, 0, 0, high, low] if high != 0 => {
            let low = (u32::from(high) << 16) | u32::from(low);
            format!("::{}", Ipv4Addr::from(low))
        }
        _others => address.to_string(),
    }
}

/// `macaddr` and `macaddr8`.
pub(super) fn mac(bytes: &[u8]) -> String {
    let each: Vec<String> = bytes.iter().map(|byte| hex(&[*byte])).collect();
    each.join(":")
}
