//! Where a forwarded connection goes, in one spelling: the one that policy judges is the one that is
//! recorded and the one that the target is told.
//!
//! Nothing is resolved here. A name means what the target's own resolver says, because it is the
//! target that connects.

use std::fmt;
use std::net::IpAddr;

/// The longest name of a host, in bytes (RFC 1035, section 2.3.4).
const HOST_MAX: usize = 253;

/// The longest part of one (RFC 1035, section 2.3.4).
const LABEL_MAX: usize = 63;

/// A host and a port at the target's end.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Place {
    host: String,
    port: u16,
}

impl Place {
    /// Reads what a client sent: an address, or a name in any case. None when it is neither, when it
    /// is a number that some resolvers take for an address (`127.1`, `0x7f000001`), or when the port
    /// is none.
    pub fn parse(host: &str, port: u32) -> Option<Self> {
        let port = u16::try_from(port).ok().filter(|port| *port != 0)?;
        let host = match host.parse::<IpAddr>() {
            Ok(address) => address.to_canonical().to_string(),
            Err(_name) => name(host)?,
        };
        Some(Self { host, port })
    }

    /// The host: an address as its family writes it, or a name in lower case.
    pub fn host(&self) -> &str {
        &self.host
    }

    /// The port, never 0.
    pub fn port(&self) -> u16 {
        self.port
    }
}

impl fmt::Display for Place {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        if self.host.contains(':') {
            write!(f, "[{}]:{}", self.host, self.port)
        } else {
            write!(f, "{}:{}", self.host, self.port)
        }
    }
}

/// A name in lower case, if it is one.
fn name(text: &str) -> Option<String> {
    let plain = |c: char| c.is_ascii_alphanumeric() || c == '-' || c == '_';
    let label =
        |label: &str| !label.is_empty() && label.len() <= LABEL_MAX && label.chars().all(plain);
    let last = text.rsplit('.').next().unwrap_or(text);
    let good = text.len() <= HOST_MAX && text.split('.').all(label) && !is_number(last);
    good.then(|| text.to_ascii_lowercase())
}

/// Whether `inet_aton(3)` may take a name that ends like this for an address.
fn is_number(last: &str) -> bool {
    let hexadecimal = last.strip_prefix("0x").or_else(|| last.strip_prefix("0X"));
    last.chars().all(|c| c.is_ascii_digit())
        || hexadecimal.is_some_and(|digits| digits.chars().all(|c| c.is_ascii_hexdigit()))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[track_caller]
    fn check(host: &str, port: u32, want: Option<&str>) {
        let got = Place::parse(host, port).map(|to| to.to_string());
        assert_eq!(got.as_deref(), want, "{host:?} {port}");
    }

    #[test]
    fn one_place_has_one_spelling() {
        check("DB.Internal", 5432, Some("db.internal:5432"));
        check("localhost", 80, Some("localhost:80"));
        check("127.0.0.1", 80, Some("127.0.0.1:80"));
        check("::ffff:127.0.0.1", 80, Some("127.0.0.1:80"));
        check("0:0:0:0:0:0:0:1", 80, Some("[::1]:80"));
    }

    #[test]
    fn what_resolvers_read_in_two_ways_is_no_place() {
        for odd in [
            "127.1",
            "2130706433",
            "0x7f000001",
            "0x7f.1",
            "0177.0.0.1",
            "localhost.",
            "fe80::1%eth0",
            "",
            ".",
            "a..b",
            "*",
            "a b",
            "a\0b",
            "\u{202e}a",
        ] {
            check(odd, 80, None);
        }
        check(&"a".repeat(64), 80, None);
        check(&vec!["a".repeat(63); 5].join("."), 80, None);
    }

    #[test]
    fn a_port_is_a_port() {
        check("a", 1, Some("a:1"));
        check("a", 65535, Some("a:65535"));
        check("a", 0, None);
        check("a", 65536, None);
    }
}
