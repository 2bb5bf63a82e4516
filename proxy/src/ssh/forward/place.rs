//! Where a forwarded connection goes, in one spelling: the one that policy judges is the one that is
//! recorded and the one that the target is told.
//!
//! A socket in the file system is a host that begins with `/`, with port 0.
//!
//! Nothing is resolved here. A name means what the target's own resolver says, because it is the
//! target that connects.

use std::fmt;
use std::net::IpAddr;

/// The longest name of a host, in bytes (RFC 1035, section 2.3.4).
const HOST_MAX: usize = 253;

/// The longest part of one (RFC 1035, section 2.3.4).
const LABEL_MAX: usize = 63;

/// The longest path of a socket, in bytes: what `sun_path` holds on Linux (`unix(7)`), with its end.
const PATH_MAX: usize = 107;

/// A host and a port at the target's end, or a socket in its file system.
#[derive(Debug, Clone, PartialEq, Eq, Hash)]
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

    /// Reads the path of a socket. None when it is relative, could be written otherwise (`..`, `//`),
    /// or holds what must not reach a log.
    pub fn socket(path: &str) -> Option<Self> {
        let parts = path.strip_prefix('/')?;
        let plain = |part: &str| !matches!(part, "" | "." | "..");
        let good = path.len() <= PATH_MAX
            && parts.split('/').all(plain)
            && path.chars().all(|c| c.is_ascii_graphic());
        good.then(|| Self {
            host: path.to_owned(),
            port: 0,
        })
    }

    /// Reads where a target is asked to listen: its own loopback address, at a port or, with 0, at
    /// whichever is free. None for every other address.
    pub fn loopback(host: &str, port: u32) -> Option<Self> {
        let port = u16::try_from(port).ok()?;
        let host = matches!(host, "localhost" | "127.0.0.1" | "::1").then(|| host.to_owned())?;
        Some(Self { host, port })
    }

    /// The same at the port that the target chose, where it was to choose.
    pub(in crate::ssh) fn bound(&self, port: u32) -> Option<Self> {
        if self.is_settled() {
            return Some(self.clone());
        }
        let port = u16::try_from(port).ok().filter(|port| *port != 0)?;
        let host = self.host.clone();
        Some(Self { host, port })
    }

    /// Whether the port is known.
    pub(super) fn is_settled(&self) -> bool {
        self.is_socket() || self.port != 0
    }

    /// Whether it is a socket in the file system.
    pub fn is_socket(&self) -> bool {
        self.host.starts_with('/')
    }

    /// The host: an address as its family writes it, or a name in lower case; or the path of a socket.
    pub fn host(&self) -> &str {
        &self.host
    }

    /// The port; 0 for a socket, and where the target is to choose.
    pub fn port(&self) -> u16 {
        self.port
    }
}

impl fmt::Display for Place {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        if self.is_socket() {
            f.write_str(&self.host)
        } else if self.host.contains(':') {
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
    fn a_socket_has_one_spelling_too() {
        let check = |path: &str, want: bool| {
            let got = Place::socket(path).map(|place| place.to_string());
            assert_eq!(got.as_deref(), want.then_some(path), "{path:?}");
        };
        check("/run/app.sock", true);
        check("/run/.s.PGSQL.5432", true);
        for odd in [
            "run/app.sock",
            "/run/../etc/x",
            "/run//x",
            "/run/./x",
            "/run/",
            "/",
            "",
            "/a b",
            "/a\0",
        ] {
            check(odd, false);
        }
        check(&format!("/{}", "a".repeat(106)), true);
        check(&format!("/{}", "a".repeat(107)), false);
        assert_eq!(Place::parse("/run/app.sock", 1), None);
    }

    #[test]
    fn a_target_listens_on_its_loopback_alone() {
        let at = |host, port| Place::loopback(host, port).map(|at| at.to_string());
        assert_eq!(at("localhost", 80).as_deref(), Some("localhost:80"));
        assert_eq!(at("::1", 0).as_deref(), Some("[::1]:0"));
        for host in [
            "",
            "*",
            "0.0.0.0",
            "::",
            "10.0.0.1",
            "127.0.0.2",
            "web1",
            "/run/x",
        ] {
            assert_eq!(at(host, 80), None, "{host:?}");
        }
        assert_eq!(at("localhost", 65536), None);
    }

    #[test]
    fn the_target_chooses_a_port_only_where_it_was_asked_to() {
        let bound = |port: u32, said: u32| {
            let at = Place::loopback("localhost", port).unwrap();
            at.bound(said).map(|bound| bound.port())
        };
        assert_eq!(bound(80, 0), Some(80));
        assert_eq!(bound(80, 81), Some(80));
        assert_eq!(bound(0, 81), Some(81));
        assert_eq!(bound(0, 0), None);
        assert_eq!(bound(0, 65536), None);
    }

    #[test]
    fn a_port_is_a_port() {
        check("a", 1, Some("a:1"));
        check("a", 65535, Some("a:65535"));
        check("a", 0, None);
        check("a", 65536, None);
    }
}
