//! A TCP forwarder in front of a target that stands still behind a number of tidegate's messages and goes on
//! when it is told to, so that a test can change something exactly there. It counts what tidegate sends.
//!
//! Unlike [`Tripwire`](crate::tripwire::Tripwire) it goes on reading: whatever tidegate still says while the target
//! seems to be silent is counted, and gets to the target once it goes on.

use std::io::{Read, Write};
use std::net::{Ipv4Addr, Shutdown, SocketAddr, TcpListener, TcpStream};
use std::sync::mpsc::{Receiver, channel};
use std::sync::{Arc, Condvar, Mutex, MutexGuard, PoisonError};
use std::thread;

/// A running forwarder. Its threads end with the test's process.
#[derive(Debug)]
pub struct Holdup {
    addr: SocketAddr,
    shared: Arc<Shared>,
}

#[derive(Debug, Default)]
struct Shared {
    state: Mutex<State>,
    changed: Condvar,
}

#[derive(Debug, Default)]
struct State {
    /// How many messages may still pass; nothing is counted where there is no number.
    left: Option<u32>,
    holds: bool,
    /// How many bytes tidegate has sent since it was armed, over connections that were there when it came to stand still.
    sent: u64,
    /// How many of those are open.
    open: usize,
    /// How often what stood still was given up.
    given_up: u64,
}

impl Holdup {
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
        let shared = Arc::<Shared>::default();
        let own = Arc::clone(&shared);
        thread::spawn(move || {
            for near in listener.incoming().flatten() {
                if let Ok(far) = TcpStream::connect(target) {
                    forward(near, far, &own);
                }
            }
        });
        Self { addr, shared }
    }

    /// Where it listens.
    pub fn addr(&self) -> SocketAddr {
        self.addr
    }

    /// Lets so many of tidegate's messages through from now on, and then nothing in either direction.
    pub fn arm(&self, messages: u32) {
        let mut state = self.shared.state();
        (state.left, state.sent) = (Some(messages), 0);
    }

    /// Whether it stands still.
    pub fn holds(&self) -> bool {
        self.shared.state().holds
    }

    /// How many bytes tidegate has sent since it was armed, over connections that were there when it came to stand
    /// still.
    pub fn sent(&self) -> u64 {
        self.shared.state().sent
    }

    /// Whether none of those connections is open any more: all that was sent over them is counted.
    pub fn is_left(&self) -> bool {
        self.shared.state().open == 0
    }

    /// Lets go on what stood still, and everything after it.
    pub fn let_on(&self) {
        let mut state = self.shared.state();
        (state.left, state.holds) = (None, false);
        self.shared.changed.notify_all();
    }

    /// Breaks off what stood still, of which nothing more gets anywhere, and lets everything else through.
    pub fn break_off(&self) {
        self.shared.state().given_up += 1;
        self.let_on();
    }
}

impl Shared {
    fn state(&self) -> MutexGuard<'_, State> {
        self.state.lock().unwrap_or_else(PoisonError::into_inner)
    }

    /// Waits until nothing is held any more. Whether what waited goes on then.
    fn wait(&self, state: MutexGuard<'_, State>) -> bool {
        let given_up = state.given_up;
        let waited = self.changed.wait_while(state, |state| state.holds);
        waited.is_ok_and(|state| state.given_up == given_up)
    }

    /// Whether one more of tidegate's messages goes on, once that is known.
    fn pass(&self) -> bool {
        let mut state = self.state();
        if let (false, Some(left)) = (state.holds, state.left) {
            match left.checked_sub(1) {
                Some(less) => state.left = Some(less),
                None => state.holds = true,
            }
        }
        self.wait(state)
    }
}

fn forward(near: TcpStream, far: TcpStream, shared: &Arc<Shared>) {
    let _not_vital = (near.set_nodelay(true), far.set_nodelay(true));
    let (Ok(near_too), Ok(far_too)) = (near.try_clone(), far.try_clone()) else {
        return;
    };
    let (said, saying) = channel();
    let is_counted = {
        let mut state = shared.state();
        // Whoever comes later comes to stop what stood still.
        let is_counted = state.left.is_some() && !state.holds;
        state.open += usize::from(is_counted);
        is_counted
    };
    let counting = Arc::clone(shared);
    thread::spawn(move || {
        let mut buffer = vec![0; 64 * 1024];
        while let Ok(count @ 1..) = (&near).read(&mut buffer) {
            let bytes = buffer.get(..count).unwrap_or_default().to_vec();
            if is_counted {
                counting.state().sent += u64::try_from(count).expect("it is in memory");
            }
            if said.send(bytes).is_err() {
                break;
            }
        }
        counting.state().open -= usize::from(is_counted);
    });
    let passing = Arc::clone(shared);
    thread::spawn(move || pass_on(&saying, &far, &passing));
    let answering = Arc::clone(shared);
    thread::spawn(move || answer(&far_too, &near_too, &answering));
}

/// From tidegate to the target.
fn pass_on(saying: &Receiver<Vec<u8>>, mut to: &TcpStream, shared: &Shared) {
    while let Ok(bytes) = saying.recv() {
        if !shared.pass() || to.write_all(&bytes).is_err() {
            break;
        }
    }
    // It may be gone already.
    let _gone = to.shutdown(Shutdown::Both);
}

/// From the target to tidegate.
fn answer(mut from: &TcpStream, mut to: &TcpStream, shared: &Shared) {
    let mut buffer = vec![0; 64 * 1024];
    while let Ok(count @ 1..) = from.read(&mut buffer) {
        let bytes = buffer.get(..count).unwrap_or_default();
        if !shared.wait(shared.state()) || to.write_all(bytes).is_err() {
            break;
        }
    }
    let _gone = to.shutdown(Shutdown::Both);
}
