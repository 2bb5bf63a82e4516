//! Cancel keys: the ones that clients hold are ours, and mean something only while their session
//! lives.
//!
//! The process id in a key is the server's, which `pg_backend_pid()` tells as well: notifications
//! carry it, and clients tell their own by it (NOTIFY, "Notes"; libpq, `PQbackendPID`). The secret is
//! ours, drawn for the session; that of the server process is known to nobody but us. Processes of
//! different servers may have the same id, so a key is looked up by both.
//!
//! The secret alone has to be guessed, then: 32 bits in protocol 3.0, as with PostgreSQL itself, which
//! lets anybody try as often as they like. Here a cancel request never gets an answer, whether its key
//! was right or not, and sources that send many are not listened to.
//!
//! Whoever knows the key may cancel, as with PostgreSQL: the key is all that a request shows in clear, and
//! drivers send it from wherever they run. Whose certificate was shown beside it is written down, not asked for.

use std::fmt;
use std::net::IpAddr;
use std::sync::Arc;
use std::sync::atomic::{AtomicI64, AtomicU64, Ordering};

use aws_lc_rs::constant_time;
use control::entropy::{self, EntropyError};
use dashmap::DashMap;
use jiff::Timestamp;
use policies::PrincipalName;
use policies::words::recordings::cancel_asked;
use recorder::Frame;
use tokio::time;
use tracing::debug;

use crate::listener::prefix;
use crate::postgres::halt::stopper::{REQUEST_LIMIT, Stopper};
use crate::postgres::wire::BackendKey;
use crate::session::chain;
use crate::session::scope::Scope;

/// How many cancel requests one source may send in a second.
const PER_SECOND_MAX: u32 = 20;

/// How many sources are remembered. Beyond that, those of earlier seconds are forgotten, and beyond twice as many of
/// one second no others are listened to: whoever guesses from so many would be as good as not counted.
const SOURCES_MAX: usize = 4096;

/// All live keys.
#[derive(Debug, Default)]
pub(crate) struct Cancels {
    /// By process id.
    live: DashMap<i32, Vec<Live>>,
    sources: DashMap<IpAddr, Heard>,
    /// In which second those of earlier ones were forgotten last: that looks at all of them.
    swept: AtomicI64,
}

/// How often a source was heard in one second.
#[derive(Debug, Clone, Copy)]
struct Heard {
    second: i64,
    count: u32,
}

struct Live {
    secret: Vec<u8>,
    stopper: Stopper,
    scope: Scope,
    /// The number of the statement that runs, or 0.
    running: Arc<AtomicU64>,
}

impl fmt::Debug for Live {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Live")
            .field("stopper", &self.stopper)
            .finish_non_exhaustive()
    }
}

/// One live key. Dropping it makes the key worthless.
#[derive(Debug)]
pub(crate) struct Issued {
    cancels: Arc<Cancels>,
    key: BackendKey,
}

impl Issued {
    /// The key to show to the client.
    pub(crate) fn key(&self) -> &BackendKey {
        &self.key
    }
}

impl Drop for Issued {
    fn drop(&mut self) {
        if let Some(mut alike) = self.cancels.live.get_mut(&self.key.pid) {
            alike.retain(|live| live.secret != self.key.secret);
        }
        let unused = |_pid: &i32, alike: &Vec<Live>| alike.is_empty();
        self.cancels.live.remove_if(&self.key.pid, unused);
    }
}

impl Cancels {
    /// Makes a key for a session: 4 bytes of secret in protocol 3.0, 32 from 3.2 on.
    pub(crate) fn issue(
        self: &Arc<Self>,
        minor: u16,
        stopper: Stopper,
        scope: Scope,
        running: Arc<AtomicU64>,
    ) -> Result<Issued, EntropyError> {
        let pid = stopper.key.pid;
        let mut alike = self.live.entry(pid).or_default();
        let secret = loop {
            let drawn = match minor {
                0 | 1 => entropy::bytes::<4>()?.to_vec(),
                _longer => entropy::bytes::<32>()?.to_vec(),
            };
            // No key means two sessions.
            if alike.iter().all(|live| live.secret != drawn) {
                break drawn;
            }
        };
        alike.push(Live {
            secret: secret.clone(),
            stopper,
            scope,
            running,
        });
        drop(alike);
        Ok(Issued {
            cancels: Arc::clone(self),
            key: BackendKey { pid, secret },
        })
    }

    /// Does what a cancel request asks, if its key is good. Takes no notice of anything else. `who` says whose
    /// certificate was shown with it, and is asked only then.
    pub(crate) async fn request(
        &self,
        source: IpAddr,
        shown: &BackendKey,
        now: Timestamp,
        who: impl FnOnce() -> Option<PrincipalName>,
    ) {
        if !self.listens_to(source, now) {
            return debug!(%source, "cancel.ignored");
        }
        let right = |live: &&Live| {
            constant_time::verify_slices_are_equal(&live.secret, &shown.secret).is_ok()
        };
        let found = self.live.get(&shown.pid).and_then(|alike| {
            let live = alike.iter().find(right)?;
            let running = Arc::clone(&live.running);
            Some((live.stopper.clone(), live.scope.clone(), running))
        });
        let Some((stopper, scope, running)) = found else {
            return debug!(%source, "cancel.unknown");
        };
        let (who, running) = (who(), running.load(Ordering::Relaxed));
        let text = cancel_asked((source, who.as_ref()), running, scope.is_waiting());
        let (code, text) = ("cancel", text.as_str());
        let note = Frame::Note { code, text };
        if scope.record(&note).is_err() {
            return;
        }
        // What waits for a second person runs nowhere yet.
        if scope.give_up() {
            return debug!(session = %scope.session(), "cancel.unsent");
        }
        match time::timeout(REQUEST_LIMIT, stopper.stop(&scope, &mut None)).await {
            Ok(Ok(())) => debug!(session = %scope.session(), "cancel.sent"),
            Ok(Err(refused)) => {
                debug!(session = %scope.session(), reason = %chain(&refused), "cancel.failed");
            }
            Err(_elapsed) => debug!(session = %scope.session(), "cancel.slow"),
        }
    }

    fn listens_to(&self, source: IpAddr, now: Timestamp) -> bool {
        let second = now.as_second();
        let source = prefix(source);
        let count = self.sources.len();
        if count >= SOURCES_MAX && self.swept.swap(second, Ordering::Relaxed) != second {
            self.sources.retain(|_source, heard| heard.second == second);
        } else if count >= SOURCES_MAX.saturating_mul(2) && !self.sources.contains_key(&source) {
            return false;
        }
        let mut heard = self
            .sources
            .entry(source)
            .or_insert(Heard { second, count: 0 });
        if heard.second != second {
            *heard = Heard { second, count: 0 };
        }
        heard.count = heard.count.saturating_add(1);
        heard.count <= PER_SECOND_MAX
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_source_that_sends_many_is_not_listened_to_for_the_rest_of_the_second() {
        let cancels = Cancels::default();
        let (here, there) = (IpAddr::from([192, 0, 2, 1]), IpAddr::from([192, 0, 2, 2]));
        let now = Timestamp::from_second(1_000).unwrap();
        assert!((0..PER_SECOND_MAX).all(|_each| cancels.listens_to(here, now)));
        assert!(!cancels.listens_to(here, now));
        assert!(cancels.listens_to(there, now));
        assert!(cancels.listens_to(here, Timestamp::from_second(1_001).unwrap()));
        // A host has as many addresses of its /64 as it likes.
        let at = |n: u16| IpAddr::from([0x2001, 0xdb8, 0, 0, 0, 0, 0, n]);
        let each = (0..u16::try_from(PER_SECOND_MAX).unwrap()).map(at);
        assert!(each.into_iter().all(|from| cancels.listens_to(from, now)));
        assert!(!cancels.listens_to(at(9_999), now));
    }

    #[test]
    fn sources_are_forgotten_before_they_fill_the_memory() {
        let cancels = Cancels::default();
        let early = Timestamp::from_second(1).unwrap();
        for n in 0..u32::try_from(SOURCES_MAX).unwrap() {
            cancels.listens_to(IpAddr::from(n.to_be_bytes()), early);
        }
        cancels.listens_to(
            IpAddr::from([192, 0, 2, 1]),
            Timestamp::from_second(2).unwrap(),
        );
        assert_eq!(cancels.sources.len(), 1);
    }

    #[test]
    fn sources_of_one_second_fill_no_memory_and_keep_nobody_out_that_was_there() {
        let cancels = Cancels::default();
        let now = Timestamp::from_second(1).unwrap();
        let source = |n: usize| IpAddr::from(u32::try_from(n).unwrap().to_be_bytes());
        let heard = (0..4 * SOURCES_MAX).filter(|n| cancels.listens_to(source(*n), now));
        assert_eq!(heard.count(), 2 * SOURCES_MAX);
        assert_eq!(cancels.sources.len(), 2 * SOURCES_MAX);
        assert!(cancels.listens_to(source(7), now));
        let later = Timestamp::from_second(2).unwrap();
        assert!(cancels.listens_to(source(3 * SOURCES_MAX), later));
        assert_eq!(cancels.sources.len(), 1);
    }
}
