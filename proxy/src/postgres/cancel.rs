//! Cancel keys: the ones that clients hold are ours, and mean something only while their session
//! lives.
//!
//! A cancel request never gets an answer, whether its key was right or not, and sources that send
//! many are not listened to. The real key of a server process is known to nobody but us.

use std::fmt;
use std::io;
use std::net::IpAddr;
use std::sync::Arc;
use std::time::Duration;

use aws_lc_rs::constant_time;
use control::entropy::{self, EntropyError};
use dashmap::DashMap;
use dashmap::mapref::entry::Entry;
use jiff::Timestamp;
use policies::ServerPin;
use recorder::Frame;
use tokio::io::{AsyncReadExt, AsyncWriteExt};
use tokio::time;
use tracing::debug;

use super::back::{self, BackendKey};
use super::tls::Trust;
use super::wire::packet;
use crate::session::road::Road;
use crate::session::scope::Scope;

/// How many cancel requests one source may send in a second.
const PER_SECOND_MAX: u32 = 20;

/// How many sources are remembered. Beyond that, those of earlier seconds are forgotten.
const SOURCES_MAX: usize = 4096;

/// How long one request to a target may take.
pub(crate) const REQUEST_LIMIT: Duration = Duration::from_secs(5);

/// `CANCEL_REQUEST_CODE` (`src/include/libpq/pqcomm.h`).
const CANCEL_REQUEST: u32 = 80_877_102;

/// All live keys.
#[derive(Debug, Default)]
pub(crate) struct Cancels {
    live: DashMap<i32, Live>,
    sources: DashMap<IpAddr, Heard>,
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
}

impl fmt::Debug for Live {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Live")
            .field("stopper", &self.stopper)
            .finish_non_exhaustive()
    }
}

/// Stops what one server process is doing.
#[derive(Debug, Clone)]
pub(crate) struct Stopper {
    /// What the server's host is called.
    pub(crate) host: String,
    /// The way there.
    pub(crate) road: Arc<dyn Road>,
    /// How it proves itself.
    pub(crate) pin: ServerPin,
    /// The real key.
    pub(crate) key: BackendKey,
}

impl Stopper {
    /// Sends one cancel request on a connection of its own, over TLS, and waits until the server has
    /// closed it: by then the process has been signalled.
    pub(crate) async fn stop(&self) -> io::Result<()> {
        // Made when it is needed: most sessions have nothing stopped.
        let stranger = Trust::new(&self.pin, &self.host, None).map_err(io::Error::other)?;
        let stream = self.road.go().await.map_err(io::Error::other)?;
        let mut tls = back::secure(stream, &stranger)
            .await
            .map_err(io::Error::other)?;
        let mut request = Vec::new();
        packet(&mut request, |body| {
            body.extend(CANCEL_REQUEST.to_be_bytes());
            body.extend(self.key.pid.to_be_bytes());
            body.extend_from_slice(&self.key.secret);
        });
        tls.write_all(&request).await?;
        tls.flush().await?;
        let mut nothing = [0; 1];
        let _closed_either_way = tls.read(&mut nothing).await;
        Ok(())
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
        self.cancels.live.remove(&self.key.pid);
    }
}

impl Cancels {
    /// Makes a key for a session: 4 bytes of secret in protocol 3.0, 32 from 3.2 on.
    pub(crate) fn issue(
        self: &Arc<Self>,
        minor: u16,
        stopper: Stopper,
        scope: Scope,
    ) -> Result<Issued, EntropyError> {
        let secret = match minor {
            0 | 1 => entropy::bytes::<4>()?.to_vec(),
            _longer => entropy::bytes::<32>()?.to_vec(),
        };
        loop {
            // Positive, as a process id is; clients print it.
            let pid = i32::from_be_bytes(entropy::bytes::<4>()?) & i32::MAX;
            if let (1.., Entry::Vacant(free)) = (pid, self.live.entry(pid)) {
                free.insert(Live {
                    secret: secret.clone(),
                    stopper,
                    scope,
                });
                return Ok(Issued {
                    cancels: Arc::clone(self),
                    key: BackendKey { pid, secret },
                });
            }
        }
    }

    /// Does what a cancel request asks, if its key is good. Takes no notice of anything else.
    pub(crate) async fn request(&self, source: IpAddr, shown: &BackendKey, now: Timestamp) {
        if !self.listens_to(source, now) {
            return debug!(%source, "cancel.ignored");
        }
        let found = self.live.get(&shown.pid).and_then(|live| {
            let right = constant_time::verify_slices_are_equal(&live.secret, &shown.secret);
            right
                .ok()
                .map(|()| (live.stopper.clone(), live.scope.clone()))
        });
        let Some((stopper, scope)) = found else {
            return debug!(%source, "cancel.unknown");
        };
        let note = Frame::Note {
            code: "cancel",
            text: "the client asked to cancel what runs",
        };
        if scope.record(&note).is_err() {
            return;
        }
        // What waits for a second person runs nowhere yet.
        if scope.give_up() {
            return debug!(session = %scope.session(), "cancel.unsent");
        }
        match time::timeout(REQUEST_LIMIT, stopper.stop()).await {
            Ok(Ok(())) => debug!(session = %scope.session(), "cancel.sent"),
            Ok(Err(refused)) => {
                debug!(session = %scope.session(), reason = %refused, "cancel.failed");
            }
            Err(_elapsed) => debug!(session = %scope.session(), "cancel.slow"),
        }
    }

    fn listens_to(&self, source: IpAddr, now: Timestamp) -> bool {
        let second = now.as_second();
        if self.sources.len() >= SOURCES_MAX {
            self.sources.retain(|_source, heard| heard.second == second);
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
}
