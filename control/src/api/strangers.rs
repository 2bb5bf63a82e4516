//! Which failed logins are written down: a few of each source in a minute, and so many of all. The rest are counted.
//!
//! The ledger is kept for ever, on the disk that live sessions need; a stranger must not be able to
//! fill it. Refuses nobody anything: whoever is not written down gets the same answer.

use std::collections::HashMap;
use std::mem;
use std::net::{IpAddr, Ipv6Addr};
use std::sync::{Mutex, PoisonError};
use std::time::Duration;

use tokio::time::Instant;

/// How many failed logins of one source are written down in a minute.
pub(crate) const PER_MINUTE_MAX: u32 = 10;

/// How many of all sources: about 25 MB a day. Who has one network of IPv6 has 65,536 sources, and asks for no more.
const ALL_MAX: usize = 60;

const MINUTE: Duration = Duration::from_secs(60);

/// Who failed to log in of late.
#[derive(Debug, Default)]
pub(crate) struct Strangers {
    heard: Mutex<Heard>,
}

#[derive(Debug, Default)]
struct Heard {
    /// When this minute is over.
    until: Option<Instant>,
    /// How many of each were written down.
    by_source: HashMap<IpAddr, u32>,
    /// How many of all were written down.
    written: usize,
    /// How many were not written down since the last that was.
    left_out: u64,
}

impl Strangers {
    /// Counts one. If it is to be written down: how many were not, since the last that was.
    pub(crate) fn note(&self, source: IpAddr, now: Instant) -> Option<u64> {
        let mut heard = self.heard.lock().unwrap_or_else(PoisonError::into_inner);
        if heard.until.is_none_or(|until| until <= now) {
            heard.until = now.checked_add(MINUTE);
            heard.by_source.clear();
            heard.written = 0;
        }
        if heard.has_room(network(source)) {
            return Some(mem::take(&mut heard.left_out));
        }
        heard.left_out = heard.left_out.saturating_add(1);
        None
    }
}

impl Heard {
    /// Whether there is room for one more of this source. Takes it.
    fn has_room(&mut self, source: IpAddr) -> bool {
        if self.written >= ALL_MAX {
            return false;
        }
        let count = self.by_source.entry(source).or_default();
        if *count >= PER_MINUTE_MAX {
            return false;
        }
        *count = count.saturating_add(1);
        self.written = self.written.saturating_add(1);
        true
    }
}

/// One household has 2^64 addresses of IPv6 (RFC 4291 section 2.5.1), and is one source.
fn network(source: IpAddr) -> IpAddr {
    match source.to_canonical() {
        IpAddr::V6(address) => {
            let network = address.to_bits() & (u128::MAX << 64);
            IpAddr::V6(Ipv6Addr::from_bits(network))
        }
        v4 @ IpAddr::V4(_) => v4,
    }
}

#[cfg(test)]
#[expect(
    clippy::disallowed_methods,
    reason = "any instant will do to count from"
)]
mod tests {
    use super::*;

    /// Notes `times` of one source, and gives how many of them are written down.
    fn written(strangers: &Strangers, source: &str, times: u32, now: Instant) -> usize {
        let source = source.parse().unwrap();
        let noted = (0..times).filter_map(|_each| strangers.note(source, now));
        noted.count()
    }

    #[test]
    fn a_source_is_written_down_so_often_in_a_minute_and_the_rest_is_counted() {
        let (strangers, now) = (Strangers::default(), Instant::now());
        assert_eq!(written(&strangers, "192.0.2.1", 25, now), 10);
        assert_eq!(written(&strangers, "::ffff:192.0.2.1", 1, now), 0);
        assert_eq!(strangers.note([192, 0, 2, 2].into(), now), Some(16));
        let tick = Duration::from_millis(1);
        assert_eq!(written(&strangers, "192.0.2.1", 25, now + MINUTE - tick), 0);
        let later = strangers.note([192, 0, 2, 1].into(), now + MINUTE);
        assert_eq!(later, Some(25));
    }

    #[test]
    fn a_household_is_one_source() {
        let (strangers, now) = (Strangers::default(), Instant::now());
        assert_eq!(written(&strangers, "2001:db8::1", 10, now), 10);
        assert_eq!(written(&strangers, "2001:db8::ffff:1", 1, now), 0);
        assert_eq!(written(&strangers, "2001:db8:0:1::1", 1, now), 1);
    }

    #[test]
    fn many_sources_keep_to_their_bound_together() {
        let (strangers, now) = (Strangers::default(), Instant::now());
        let all = |now| {
            let source = |n: u32| IpAddr::from(n.to_be_bytes());
            let noted = (0..256).map(|n| written(&strangers, &source(n).to_string(), 10, now));
            noted.sum::<usize>()
        };
        assert_eq!(all(now), ALL_MAX);
        assert_eq!(strangers.heard.lock().unwrap().by_source.len(), 6);
        assert_eq!(all(now + MINUTE), ALL_MAX);
    }
}
