//! A relay of session channels on stock russh and nothing else: what the library costs, beside which one
//! sees what is ours.
//!
//! No policy, no recording, no ledger, no digest. It keeps to the choices of the SSH path all the same:
//! the same algorithms and sizes, the same flow control, one thread for each processor and a session on one
//! of them. Whoever shows a key is let in.

mod relay;

use std::net::{Ipv4Addr, TcpListener, TcpStream};
use std::num::NonZero;
use std::path::Path;
use std::process::Command;
use std::sync::Arc;
use std::thread;

use proxy::demo::{Daemon, Ending, Signals, free_port};
use russh::keys::load_secret_key;
use tokio::runtime::{Builder, Handle};

use relay::Relay;

/// What the program is told that is to become one.
const MODE: &str = "--bare-relay";

/// A running one, in a process of its own; ended on drop.
#[derive(Debug)]
pub struct BareRelay {
    daemon: Daemon,
    port: u16,
}

impl BareRelay {
    /// Starts one in front of the sshd on this port of the loopback address: this program once more, which
    /// has to begin with [`serve`]. It shows `host_key`, logs in with `key`, and has its log in `dir`.
    ///
    /// # Panics
    ///
    /// When it does not come up.
    pub fn start(target: u16, (host_key, key): (&Path, &Path), dir: &Path) -> Self {
        let port = free_port().expect("a free port");
        let own = std::env::current_exe().expect("a process knows its program");
        let mut command = Command::new(own);
        command.arg(MODE);
        command.args([port, target].map(|port| port.to_string()));
        command.args([host_key, key]);
        let log = dir.join("bare-relay.log");
        let daemon = Daemon::start("bare relay", command, &log, Ending::Kill, Signals::Shared);
        let mut daemon = daemon.expect("this program starts once more");
        let up = daemon.wait_until(|| TcpStream::connect((Ipv4Addr::LOCALHOST, port)).is_ok());
        up.expect("the bare relay listens");
        Self { daemon, port }
    }

    /// The port it listens on.
    pub fn port(&self) -> u16 {
        self.port
    }

    /// The process.
    pub fn pid(&self) -> u32 {
        self.daemon.pid()
    }
}

/// Relays for as long as the process lives, where that is what the program was started for. Returns
/// otherwise.
///
/// # Panics
///
/// When it was started with something else than [`BareRelay::start`] says.
pub fn serve() {
    let words = std::env::args().skip_while(|word| word != MODE).skip(1);
    let words: Vec<String> = words.collect();
    let [port, target, host_key, key] = words.as_slice() else {
        return;
    };
    let key_of = |path: &String| load_secret_key(path, None).expect("a key");
    let port_of = |port: &String| port.parse::<u16>().expect("a port");
    let relay = Arc::new(Relay::new(port_of(target), key_of(host_key), key_of(key)));
    let listener =
        TcpListener::bind((Ipv4Addr::LOCALHOST, port_of(port))).expect("the port is free");
    let count = thread::available_parallelism().map_or(1, NonZero::get);
    let tracks: Vec<Track> = (0..count).map(|_number| Track::start()).collect();
    for socket in listener.incoming().filter_map(Result::ok) {
        let load = |track: &&Track| Arc::strong_count(&track.place);
        let track = tracks.iter().min_by_key(load);
        track.expect("there is a processor").carry(&relay, socket);
    }
}

/// One thread, with a runtime of its own.
struct Track {
    handle: Handle,
    /// Held by every connection that it carries.
    place: Arc<()>,
}

impl Track {
    fn start() -> Self {
        let runtime = Builder::new_current_thread().enable_all().build();
        let runtime = runtime.expect("a runtime");
        let handle = runtime.handle().clone();
        thread::spawn(move || runtime.block_on(std::future::pending::<()>()));
        let place = Arc::default();
        Self { handle, place }
    }

    fn carry(&self, relay: &Arc<Relay>, socket: TcpStream) {
        let options = socket.set_nodelay(true);
        let options = options.and(socket.set_nonblocking(true));
        options.expect("a socket has options");
        let (relay, place) = (Arc::clone(relay), Arc::clone(&self.place));
        self.handle.spawn(async move {
            // A connection that fails is seen by its client.
            drop(relay.carry(socket).await);
            drop(place);
        });
    }
}
