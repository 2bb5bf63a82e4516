//! A TCP forwarder in front of a target that lets a number of tidegate's messages through and then stands
//! still, so that a test can kill tidegate exactly there.
//!
//! What tidegate sends one by one, waiting for each answer, comes in as one read each; that is what is
//! counted. The server has got what was let through, and its answer to the last is held back.

use std::io::{Read, Write};
use std::net::{Ipv4Addr, Shutdown, SocketAddr, TcpListener, TcpStream};
use std::sync::{Arc, Condvar, Mutex, MutexGuard, PoisonError};
use std::thread;

/// A running forwarder. Its threads end with the test's process.
#[derive(Debug)]
pub struct Tripwire {
    addr: SocketAddr,
    wire: Arc<Wire>,
}

#[derive(Debug, Default)]
struct Wire {
    state: Mutex<State>,
    changed: Condvar,
}

#[derive(Debug, Default)]
struct State {
    /// How many messages may still pass; nothing is counted where there is no number.
    left: Option<u32>,
    tripped: bool,
    /// How often it was released. What stood still before does not go on afterwards.
    era: u64,
}

impl Tripwire {
    /// Listens on a free loopback port and forwards every connection to `target`.
    ///
    /// # Panics
    ///
    /// When there is no port.
    pub fn start(target: SocketAddr) -> Self {
        let listener = TcpListener::bind((Ipv4Addr::LOCALHOST, 0)).expect("a free port");
        let addr = listener
            .local_addr()
            .expect("a bound socket has an address");
        let wire = Arc::<Wire>::default();
        let shared = Arc::clone(&wire);
        thread::spawn(move || {
            for near in listener.incoming().flatten() {
                if let Ok(far) = TcpStream::connect(target) {
                    forward(&near, &far, &shared);
                }
            }
        });
        Self { addr, wire }
    }

    /// Where it listens.
    pub fn addr(&self) -> SocketAddr {
        self.addr
    }

    /// Lets so many messages through from now on, and then none.
    pub fn arm(&self, messages: u32) {
        self.wire.state().left = Some(messages);
    }

    /// Whether it stands still.
    pub fn has_tripped(&self) -> bool {
        self.wire.state().tripped
    }

    /// Ends what stands still, and lets everything through again.
    pub fn release(&self) {
        let mut state = self.wire.state();
        (state.left, state.tripped) = (None, false);
        state.era += 1;
        self.wire.changed.notify_all();
    }
}

impl Wire {
    fn state(&self) -> MutexGuard<'_, State> {
        self.state.lock().unwrap_or_else(PoisonError::into_inner)
    }

    /// Whether what was read may be passed on. Where not, returns only once it is released.
    fn passes(&self, is_tidegates: bool) -> bool {
        let mut state = self.state();
        if let (true, false, Some(left)) = (is_tidegates, state.tripped, state.left) {
            match left.checked_sub(1) {
                Some(less) => state.left = Some(less),
                None => state.tripped = true,
            }
        }
        if !state.tripped {
            return true;
        }
        let era = state.era;
        let waited = self.changed.wait_while(state, |state| state.era == era);
        drop(waited);
        false
    }
}

fn forward(near: &TcpStream, far: &TcpStream, wire: &Arc<Wire>) {
    for (from, to, is_tidegates) in [(near, far, true), (far, near, false)] {
        let _not_vital = from.set_nodelay(true);
        let (Ok(from), Ok(to)) = (from.try_clone(), to.try_clone()) else {
            return;
        };
        let wire = Arc::clone(wire);
        thread::spawn(move || copy(&from, &to, &wire, is_tidegates));
    }
}

fn copy(mut from: &TcpStream, mut to: &TcpStream, wire: &Wire, is_tidegates: bool) {
    let mut buffer = vec![0; 64 * 1024];
    while let Ok(count @ 1..) = from.read(&mut buffer) {
        let bytes = buffer.get(..count).unwrap_or_default();
        if !wire.passes(is_tidegates) || to.write_all(bytes).is_err() {
            break;
        }
    }
    // Either end may be gone already.
    let _from_gone = from.shutdown(Shutdown::Both);
    let _to_gone = to.shutdown(Shutdown::Both);
}
