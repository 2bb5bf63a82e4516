//! Why nobody was reached, in words: for those who manage targets with each address, for everybody
//! else without.

use std::fmt;
use std::net::SocketAddr;

/// Why one address gave no connection.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Absence {
    /// Nothing listens there.
    Refused,
    /// No way leads there.
    NoWay,
    /// It did not answer in time.
    Silent,
    /// The system said something else.
    Odd,
}

impl Absence {
    /// The fact, to be built into sentences.
    pub fn fact(self) -> &'static str {
        match self {
            Self::Refused => "nothing listens there",
            Self::NoWay => "no way leads there",
            Self::Silent => "it did not answer in time",
            Self::Odd => "it cannot be connected to",
        }
    }
}

/// One address that was tried.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Tried {
    /// Which.
    pub addr: SocketAddr,
    /// Why it gave no connection.
    pub why: Absence,
}

impl fmt::Display for Tried {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{}: {}", self.addr, self.why.fact())
    }
}

/// Every address that was tried, with why: for those who manage targets.
pub fn each(tried: &[Tried]) -> String {
    let each: Vec<String> = tried.iter().map(ToString::to_string).collect();
    each.join("; ")
}

/// What came of all addresses of one name, without them: what anybody may know.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Summary {
    /// How many were tried.
    pub addresses: usize,
    /// Why none gave a connection, where it is the same for all.
    pub why: Option<Absence>,
}

impl Summary {
    /// The sum of what was tried.
    pub fn of(tried: &[Tried]) -> Self {
        let first = tried.first().map(|tried| tried.why);
        Self {
            addresses: tried.len(),
            why: first.filter(|why| tried.iter().all(|tried| tried.why == *why)),
        }
    }
}

impl fmt::Display for Summary {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        if self.addresses > 1 {
            write!(f, "at any of its {} addresses", self.addresses)?;
        } else {
            f.write_str("at its address")?;
        }
        self.why.map_or(Ok(()), |why| write!(f, ": {}", why.fact()))
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn tried(addr: &str, why: Absence) -> Tried {
        Tried {
            addr: addr.parse().unwrap(),
            why,
        }
    }

    #[test]
    fn an_administrator_reads_each_address_and_why() {
        let list = [
            tried("[::1]:22", Absence::Refused),
            tried("192.0.2.7:22", Absence::Silent),
        ];
        assert_eq!(
            each(&list),
            "[::1]:22: nothing listens there; 192.0.2.7:22: it did not answer in time"
        );
    }

    #[track_caller]
    fn check(list: &[Tried], want: &str) {
        assert_eq!(Summary::of(list).to_string(), want);
    }

    #[test]
    fn everybody_else_reads_how_many_there_are_and_why() {
        let (one, other) = (
            tried("[::1]:22", Absence::Refused),
            tried("192.0.2.7:22", Absence::Silent),
        );
        check(&[one], "at its address: nothing listens there");
        check(
            &[one, one],
            "at any of its 2 addresses: nothing listens there",
        );
        check(&[one, other], "at any of its 2 addresses");
    }
}
