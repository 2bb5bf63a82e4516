//! Targets that do not behave: they get nothing, and hold up nobody.

use std::io::{self, Read, Write};
use std::net::{SocketAddr, TcpListener, TcpStream};
use std::sync::Arc;
use std::thread;
use std::time::{Duration, Instant};

use rustls::pki_types::pem::PemObject;
use rustls::pki_types::{CertificateDer, PrivateKeyDer};
use rustls::{ServerConfig, ServerConnection, StreamOwned};
use tests::{World, pg, until};

/// A target that answers every connection with these bytes and then does nothing.
fn impostor(bytes: impl Into<Vec<u8>>) -> SocketAddr {
    let bytes = bytes.into();
    let listener = TcpListener::bind(("127.0.0.1", 0)).expect("a free port");
    let addr = listener
        .local_addr()
        .expect("a bound socket has an address");
    thread::spawn(move || {
        let mut held = Vec::new();
        for stream in listener.incoming().flatten() {
            let mut stream = stream;
            drop(stream.write_all(&bytes));
            held.push(stream);
        }
    });
    addr
}

/// Adds the impostor as a target that alice may enter.
fn add(world: &World, addr: SocketAddr) {
    world.add_ssh("odd", &addr.to_string(), world.sshd().host_key(), "10m");
}

/// How long alice waits at that target before she is told.
fn told_after(world: &World) -> Duration {
    let (port, address) = (world.ssh_port(), format!("{}+odd@localhost", world.login()));
    let began = Instant::now();
    let tried = world
        .alice()
        .output(&["ssh", "-p", &port, &address, "echo in"])
        .expect("ssh runs");
    let said = String::from_utf8_lossy(&tried.stderr).into_owned();
    assert!(!tried.status.success() && tried.stdout.is_empty(), "{said}");
    assert!(said.contains("TG"), "{said}");
    began.elapsed()
}

#[test]
fn a_target_that_says_nothing_is_given_up() {
    let world = World::new();
    add(&world, impostor(b""));
    let waited = told_after(&world);
    assert!(waited < Duration::from_secs(40), "{waited:?}");
}

#[test]
fn a_target_that_talks_nonsense_is_given_up() {
    let world = World::new();
    add(&world, impostor(b"SSH-2.0-odd\r\n\xff\xff\xff\xffnonsense"));
    told_after(&world);
    assert!(
        world.alice().run(&["tidegate", "ls"]).is_ok(),
        "and the server goes on"
    );
}

#[test]
fn a_message_from_the_target_passes_untouched_and_moves_nothing_of_ours() {
    let world = World::new();
    world.grant_ssh("10m");
    let ran = world.ssh(&[], &["printf '\\033]52;c;ZXZpbA==\\007\\033[2J'"]);
    assert_eq!(
        ran.stdout, b"\x1b]52;c;ZXZpbA==\x07\x1b[2J",
        "byte for byte"
    );
    let listed = world
        .carol()
        .run(&["tidegate", "sessions", "ls", "--all"])
        .unwrap();
    assert!(!listed.contains('\x1b'), "{listed:?}");
}

/// What a terminal would obey, and what of it can be read.
const EVIL: &str = "\u{1b}]52;c;ZXZpbA==\u{7}\u{9b}2J\u{202e}";
const READ: &str = "ZXZpbA==";

/// An SSH server that breaks off with such words.
fn breaking_off() -> SocketAddr {
    let mut said = vec![1, 0, 0, 0, 2];
    for text in [EVIL, ""] {
        said.extend(
            u32::try_from(text.len())
                .expect("it is short")
                .to_be_bytes(),
        );
        said.extend(text.as_bytes());
    }
    // To a multiple of eight (RFC 4253, section 6).
    let whole = said.len().saturating_add(9).next_multiple_of(8);
    let padding = whole.saturating_sub(said.len().saturating_add(5));
    let length = u32::try_from(whole.saturating_sub(4)).expect("it is short");
    let mut bytes = format!("{EVIL}\r\nSSH-2.0-odd {EVIL}\r\n").into_bytes();
    bytes.extend(length.to_be_bytes());
    bytes.push(u8::try_from(padding).expect("it is short"));
    bytes.extend(said);
    bytes.extend(vec![0; padding]);
    impostor(bytes)
}

/// What speaks TLS as the world's own database does, and asks for no certificate.
pub(crate) fn tls_of(world: &World) -> Arc<ServerConfig> {
    let server = world.postgres();
    let chain = CertificateDer::pem_file_iter(server.certificate_path());
    let chain: Result<Vec<_>, _> = chain.expect("a certificate").collect();
    let key = PrivateKeyDer::from_pem_file(server.dir().join("server.key")).expect("its key");
    let provider = Arc::new(rustls::crypto::aws_lc_rs::default_provider());
    let config = ServerConfig::builder_with_provider(provider)
        .with_safe_default_protocol_versions()
        .expect("the provider speaks TLS")
        .with_no_client_auth()
        .with_single_cert(chain.expect("a certificate"), key);
    Arc::new(config.expect("the key fits"))
}

/// A database that refuses whoever comes with such words. It has the certificate of the world's own.
fn refusing(world: &World) -> SocketAddr {
    let config = tls_of(world);
    let listener = TcpListener::bind(("127.0.0.1", 0)).expect("a free port");
    let addr = listener.local_addr().expect("it is bound");
    thread::spawn(move || {
        for stream in listener.incoming().flatten() {
            let config = Arc::clone(&config);
            thread::spawn(move || refuse(stream, config));
        }
    });
    addr
}

fn refuse(mut stream: TcpStream, config: Arc<ServerConfig>) -> io::Result<()> {
    stream.read_exact(&mut [0; 8])?;
    stream.write_all(b"S")?;
    let tls = ServerConnection::new(config).map_err(io::Error::other)?;
    let mut tls = StreamOwned::new(tls, stream);
    let mut length = [0; 4];
    tls.read_exact(&mut length)?;
    let rest = usize::try_from(u32::from_be_bytes(length)).map_err(io::Error::other)?;
    tls.read_exact(&mut vec![0; rest.saturating_sub(4)])?;
    let said = format!("SFATAL\0VFATAL\0C28000\0M{EVIL}\0\0");
    tls.write_all(&pg::message(b'E', said.as_bytes()))?;
    tls.flush()
}

/// What people read of targets and sessions, and what moves a terminal of it.
#[track_caller]
pub(crate) fn read(world: &World, target: &str) -> String {
    let mut all = String::new();
    let carols: [&[&str]; 3] = [
        &["sessions", "ls", "--all"],
        &["-o", "wide", "sessions", "ls", "--all"],
        &["audit", "ls"],
    ];
    let bobs: [&[&str]; 4] = [
        &["ls"],
        &["target", "show", target],
        &["target", "test", target],
        &["doctor"],
    ];
    for (who, lines) in [(world.carol(), &carols[..]), (world.bob(), &bobs[..])] {
        for line in lines {
            let ran = who.output(&[&["tidegate"][..], *line].concat());
            let said = proxy::demo::said(&ran.expect("it runs"));
            let acts = said
                .chars()
                .find(|c| *c != '\n' && policies::name::acts(*c));
            assert_eq!(acts, None, "{line:?}: {said:?}");
            all.push_str(&said);
        }
    }
    all
}

#[test]
fn what_a_target_says_as_it_turns_us_away_moves_nothing_of_ours() {
    let world = World::new();
    add(&world, breaking_off());
    told_after(&world);
    read(&world, "odd");
    let addr = refusing(&world).to_string();
    let line = [
        "tidegate", "target", "add", "pg", "odd-db", "--addr", &addr, "--dbname", "orders",
        "--role", "app", "--label", "env=dev",
    ];
    let added = world.bob().output(&line).expect("it runs");
    let said = proxy::demo::said(&added);
    assert!(!said.contains('\u{1b}'), "{said:?}");
    world.grant("odd-db", "app", "10m");
    let place = "service=orders dbname=odd-db";
    let line = ["psql", "-X", "-At", place, "-c", "select 1"];
    let tried = world.alice().output(&line).expect("psql runs");
    assert!(!tried.status.success());
    let said = read(&world, "odd-db");
    assert!(said.contains(READ), "it is told, and does nothing: {said}");
}

/// A role of a grant calls what it leaves behind as it likes, and the ledger names that.
#[test]
fn what_things_in_a_database_are_called_moves_nothing_of_ours() {
    let world = World::new();
    world.have_own_roles();
    world.sql("grant create on schema public to app");
    let grant = world.grant_pg("10m");
    let ran = world.psql(&format!(
        "create table \"{EVIL}\" (id int); grant select on \"{EVIL}\" to public"
    ));
    assert!(ran.status.success(), "{}", proxy::demo::said(&ran));
    world.revoke(&grant);
    until("the ledger tells of it", || {
        read(&world, "orders").contains(READ).then_some(())
    });
}
