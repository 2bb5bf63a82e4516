//! Whose turn it is to stop work at a server, and to look whether it has stopped.
//!
//! Each server has turns of its own: one that is silent, or has many sessions to end, keeps nobody waiting who has work
//! to stop at another. Knows nothing of sessions.

use std::collections::HashMap;
use std::sync::{Arc, Mutex, PoisonError, Weak};

use policies::{Hop, HostPort, TargetName};
use tokio::sync::Semaphore;

/// How many look at the same time whether a process is gone. A server has few connections to spare, and a thousand
/// sessions may be cut at once.
const LOOKS_MAX: usize = 8;

/// How many cancel requests are under way at the same time. Each is a connection and a TLS handshake, and takes no place
/// among the server's sessions.
const REQUESTS_MAX: usize = 32;

/// How many may go on trying when nobody waits for them any more.
const PATIENT_MAX: usize = 512;

/// How many servers are known before those are forgotten whose turns nobody holds.
const SERVERS_MAX: usize = 64;

/// The turns at one server.
#[derive(Debug)]
pub(crate) struct Turns {
    /// Of those who look.
    pub(super) looks: Semaphore,
    /// Of those who send cancel requests.
    pub(super) requests: Semaphore,
    /// Places of those who go on trying when nobody waits for them any more. There is no waiting for one.
    pub(super) patience: Semaphore,
}

impl Default for Turns {
    fn default() -> Self {
        Self {
            looks: Semaphore::new(LOOKS_MAX),
            requests: Semaphore::new(REQUESTS_MAX),
            patience: Semaphore::new(PATIENT_MAX),
        }
    }
}

/// The same address is another server behind other targets.
type Spot = (Vec<TargetName>, HostPort);

/// The turns at every server at which there are sessions.
#[derive(Debug, Default)]
pub(crate) struct Servers {
    known: Mutex<HashMap<Spot, Weak<Turns>>>,
}

impl Servers {
    /// The turns at one server, the same for everybody who holds them at the same time.
    pub(crate) fn turns(&self, via: &[Hop], addr: &HostPort) -> Arc<Turns> {
        let in_front = via.iter().map(|hop| hop.target.name.clone());
        let spot = (in_front.collect(), addr.clone());
        let mut known = self.known.lock().unwrap_or_else(PoisonError::into_inner);
        if let Some(held) = known.get(&spot).and_then(Weak::upgrade) {
            return held;
        }
        if known.len() >= SERVERS_MAX {
            known.retain(|_spot, turns| turns.strong_count() > 0);
        }
        let turns = Arc::<Turns>::default();
        known.insert(spot, Arc::downgrade(&turns));
        turns
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_server_has_turns_of_its_own_and_is_forgotten_with_them() {
        let servers = Servers::default();
        let at = |port: u16| HostPort {
            host: "db".to_owned(),
            port,
        };
        let (one, other) = (servers.turns(&[], &at(1)), servers.turns(&[], &at(2)));
        assert!(Arc::ptr_eq(&one, &servers.turns(&[], &at(1))));
        assert!(!Arc::ptr_eq(&one, &other));
        let _all = one.looks.try_acquire_many(8).unwrap();
        assert!(other.looks.try_acquire().is_ok());
        for port in 3..1_000 {
            drop(servers.turns(&[], &at(port)));
        }
        let known = servers.known.lock().unwrap().len();
        assert!(known <= SERVERS_MAX, "{known}");
        assert!(Arc::ptr_eq(&one, &servers.turns(&[], &at(1))));
    }
}
