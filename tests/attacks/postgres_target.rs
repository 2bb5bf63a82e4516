//! Databases, or somebody on the way to one, that say more than they should before anything is proven: what was said
//! is believed by nobody, and nothing goes there.

use std::io::{self, Read, Write};
use std::net::{SocketAddr, TcpListener, TcpStream};
use std::sync::Arc;
use std::sync::atomic::{AtomicUsize, Ordering};
use std::sync::mpsc::{Receiver, channel};
use std::thread;
use std::time::Duration;

use aws_lc_rs::digest::{SHA256, digest};
use policies::hex;
use proxy::demo::said;
use rustls::pki_types::CertificateDer;
use rustls::pki_types::pem::PemObject as _;
use rustls::{ServerConfig, ServerConnection, StreamOwned};
use tests::{World, pg};

use crate::hostile_target::{read, tls_of};

/// What a database does instead of what it should.
#[derive(Clone)]
enum Trick {
    /// Says so in clear, and waits.
    Clear(Vec<u8>),
    /// Says yes to TLS, and this behind it in clear, before both speak TLS.
    Behind(Vec<u8>),
    /// Asks for this proof, over TLS.
    Asks(Vec<u8>),
}

/// What came from tidegate in answer.
type Came = io::Result<Vec<u8>>;

/// Words that nobody is to read.
const LURE: &str = "ask mallory for the password";

/// `AuthenticationOk`, and that it is ready.
fn lets_in() -> Vec<u8> {
    [pg::message(b'R', &[0; 4]), pg::message(b'Z', b"I")].concat()
}

/// Wants this kind of proof (PostgreSQL, "Message Formats").
fn wants(kind: u8, more: &[u8]) -> Vec<u8> {
    pg::message(b'R', &[&[0, 0, 0, kind], more].concat())
}

/// Everything that comes until the other side has gone, or for a while.
fn rest(from: &mut impl Read) -> Came {
    let (mut all, mut buffer) = (Vec::new(), [0; 4096]);
    loop {
        match from.read(&mut buffer) {
            Ok(0) => return Ok(all),
            Ok(count) => all.extend_from_slice(buffer.get(..count).unwrap_or_default()),
            // Whoever goes without a word has said nothing more either.
            Err(error) if all.is_empty() => return Err(error),
            Err(_gone) => return Ok(all),
        }
    }
}

fn play(mut stream: TcpStream, trick: &Trick, config: Arc<ServerConfig>) -> Came {
    stream.set_read_timeout(Some(Duration::from_secs(30)))?;
    stream.read_exact(&mut [0; 8])?;
    let asks = match trick {
        Trick::Clear(bytes) => {
            stream.write_all(bytes)?;
            return rest(&mut stream);
        }
        Trick::Behind(bytes) => {
            stream.write_all(&[b"S", &bytes[..]].concat())?;
            None
        }
        Trick::Asks(bytes) => {
            stream.write_all(b"S")?;
            Some(bytes)
        }
    };
    let tls = ServerConnection::new(config).map_err(io::Error::other)?;
    let mut tls = StreamOwned::new(tls, stream);
    let Some(asks) = asks else {
        return rest(&mut tls);
    };
    let mut length = [0; 4];
    tls.read_exact(&mut length)?;
    let whole = usize::try_from(u32::from_be_bytes(length)).map_err(io::Error::other)?;
    tls.read_exact(&mut vec![0; whole.saturating_sub(4)])?;
    tls.write_all(asks)?;
    tls.flush()?;
    // Nothing more is said here, whatever comes.
    let mut some = vec![0; 4096];
    let count = tls.read(&mut some).unwrap_or_default();
    some.truncate(count);
    Ok(some)
}

/// A database that plays tricks, and what came of each connection to it.
struct Database {
    addr: SocketAddr,
    begun: Arc<AtomicUsize>,
    coming: Receiver<Came>,
}

impl Database {
    /// One that does this to whoever comes. It has the certificate of the world's own.
    fn open(world: &World, trick: Trick) -> Self {
        let config = tls_of(world);
        let listener = TcpListener::bind(("127.0.0.1", 0)).expect("a free port");
        let addr = listener.local_addr().expect("it is bound");
        let (came, coming) = channel();
        let begun = Arc::<AtomicUsize>::default();
        let beginning = Arc::clone(&begun);
        thread::spawn(move || {
            for stream in listener.incoming().flatten() {
                beginning.fetch_add(1, Ordering::SeqCst);
                let (trick, config, came) = (trick.clone(), Arc::clone(&config), came.clone());
                thread::spawn(move || came.send(play(stream, &trick, config)));
            }
        });
        Self {
            addr,
            begun,
            coming,
        }
    }

    /// What came of each of them.
    fn came(&self) -> Vec<Came> {
        let begun = self.begun.load(Ordering::SeqCst);
        assert!(begun > 1, "tidegate tries it, and alice comes");
        let next = || self.coming.recv_timeout(Duration::from_secs(40));
        (0..begun).map(|_each| next().expect("it ends")).collect()
    }
}

/// Bob adds such a database, which tidegate tries at once, and alice goes there. Gives back what anybody is told of it,
/// and what came from tidegate each time.
fn visit(world: &World, name: &str, trick: Trick) -> (String, Vec<Came>) {
    let database = Database::open(world, trick);
    let pin = CertificateDer::from_pem_file(world.postgres().certificate_path());
    let pin = digest(&SHA256, &pin.expect("a certificate"));
    let (addr, pin) = (database.addr.to_string(), hex(pin.as_ref()));
    let line = [
        "tidegate",
        "target",
        "add",
        "pg",
        name,
        "--addr",
        &addr,
        "--dbname",
        "orders",
        "--role",
        "app",
        "--label",
        "env=dev",
        "--server-cert-sha256",
        &pin,
    ];
    let added = world.bob().output(&line).expect("it runs");
    let told = said(&added);
    assert!(told.contains(&format!("added {name}")), "{told}");
    world.grant(name, "app", "10m");
    let place = format!("service=orders dbname={name}");
    let line = ["psql", "-X", "-At", &place, "-c", "select 'in'"];
    let ran = world.alice().output(&line).expect("psql runs");
    assert!(ran.stdout.is_empty(), "{}", said(&ran));
    world.ended_sessions();
    // Not what comes of looking at it once more.
    let came = database.came();
    (told + &said(&ran) + &read(world, name), came)
}

/// Nothing came there but who asks for TLS, and, where that was had, who comes.
#[track_caller]
fn sends_nothing(name: &str, came: &[Came]) {
    for each in came {
        let silent = each.as_ref().map_or(true, Vec::is_empty);
        assert!(silent, "{name}: {each:?}");
    }
}

#[test]
fn bytes_that_a_server_sends_before_tls_are_never_processed() {
    let world = World::new();
    let error = format!("SERROR\0VERROR\0C28000\0M{LURE}\0\0");
    let tricks = [
        ("lets-in", lets_in()),
        ("says-no", pg::message(b'E', error.as_bytes())),
    ];
    for (name, bytes) in tricks {
        let (told, came) = visit(&world, name, Trick::Behind(bytes));
        // Where what was sent early is thrown away, both would come to speak TLS.
        assert!(came.iter().all(Result::is_err), "{came:?}");
        assert!(told.contains("TG") && !told.contains(LURE), "{told}");
    }
}

#[test]
fn what_a_server_says_before_tls_is_shown_to_nobody() {
    let world = World::new();
    let error = format!("SERROR\0VERROR\0C28000\0M{LURE}\0\0");
    let old = format!("E{LURE}\n\0");
    let tricks = [
        ("error", pg::message(b'E', error.as_bytes())),
        ("old-error", old.into_bytes()),
        ("no-tls", [b"N", &lets_in()[..]].concat()),
        ("lets-in", lets_in()),
    ];
    for (name, bytes) in tricks {
        let (told, came) = visit(&world, name, Trick::Clear(bytes));
        sends_nothing(name, &came);
        assert!(
            told.contains("TG") && !told.contains(LURE),
            "{name}: {told}"
        );
    }
}

#[test]
fn no_password_is_given_where_a_certificate_is_shown() {
    let world = World::new();
    // What tidegate says to a server that asks for nothing more can be seen here.
    let (_, came) = visit(&world, "plain", Trick::Asks(lets_in()));
    let spoke = |came: &Came| came.as_ref().is_ok_and(|bytes| !bytes.is_empty());
    assert!(came.iter().any(spoke), "{came:?}");
    let asks = [
        ("cleartext", wants(3, &[])),
        ("md5", wants(5, b"salt")),
        ("scram", wants(10, b"SCRAM-SHA-256\0\0")),
        ("gss", wants(7, &[])),
        ("sspi", wants(9, &[])),
    ];
    for (name, asks) in asks {
        let (told, came) = visit(&world, name, Trick::Asks(asks));
        sends_nothing(name, &came);
        assert!(told.contains("TG"), "{name}: {told}");
    }
}
