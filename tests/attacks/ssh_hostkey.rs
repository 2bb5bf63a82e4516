//! Hosts that show what a target is known by, which anybody can copy, and do not have the key of it.

use std::net::{SocketAddr, TcpListener};
use std::sync::Arc;
use std::sync::atomic::{AtomicUsize, Ordering};
use std::sync::mpsc::{Receiver, channel};
use std::thread;
use std::time::Duration;

use russh::keys::PrivateKey;
use russh::keys::ssh_key::certificate::{Builder, CertType};
use russh::keys::ssh_key::private::Ed25519Keypair;
use tests::World;
use tests::sshpeer::{Exchange, SshPeer, msg};

const PLAIN: &str = "ssh-ed25519";
const CERTIFIED: &str = "ssh-ed25519-cert-v01@openssh.com";

/// The seeds of the target's key, of somebody else's, of the CA, and of another one.
const OWN: u8 = 9;
const OTHER: u8 = 10;
const CA: u8 = 11;
const OTHER_CA: u8 = 12;

fn key(seed: u8) -> PrivateKey {
    PrivateKey::from(Ed25519Keypair::from_seed(&[seed; 32]))
}

fn line(seed: u8) -> String {
    key(seed).public_key().to_openssh().expect("a key")
}

fn plain(seed: u8) -> Vec<u8> {
    key(seed).public_key().to_bytes().expect("a key")
}

/// A host's certificate for this key by this CA.
fn certificate(seed: u8, ca: u8) -> Vec<u8> {
    let host = key(seed).public_key().key_data().clone();
    let mut builder = Builder::new(vec![7; 16], host, 1, 4_000_000_000).expect("a time");
    builder.cert_type(CertType::Host).expect("a kind");
    builder.valid_principal("127.0.0.1").expect("a name");
    let signed = builder.sign(&key(ca)).expect("it is signed");
    signed.to_bytes().expect("a certificate")
}

/// A host, how often somebody came, and whether each went on to say who they are.
struct Host {
    addr: SocketAddr,
    begun: Arc<AtomicUsize>,
    ended: Receiver<bool>,
}

/// A host that shows this and signs with that key.
fn host(kind: &'static str, shown: Vec<u8>, signs: u8) -> Host {
    let listener = TcpListener::bind(("127.0.0.1", 0)).expect("a free port");
    let addr = listener.local_addr().expect("it is bound");
    let (told, ended) = channel();
    let begun = Arc::<AtomicUsize>::default();
    let beginning = Arc::clone(&begun);
    thread::spawn(move || {
        for stream in listener.incoming().flatten() {
            beginning.fetch_add(1, Ordering::SeqCst);
            let (told, shown) = (told.clone(), shown.clone());
            thread::spawn(move || {
                let exchange = Exchange {
                    shown: Some((kind, shown.as_slice())),
                    ..Exchange::default()
                };
                let peer = SshPeer::answer_by(stream, [signs; 32], &exchange);
                let came = peer.and_then(|mut peer| peer.wait(msg::USERAUTH_REQUEST));
                told.send(came.is_ok())
            });
        }
    });
    Host { addr, begun, ended }
}

/// Bob adds it, known by this, and alice goes there. Whether tidegate came to say who it is, at any time.
fn believed(world: &World, name: &str, host: &Host, by: [&str; 2]) -> bool {
    let (addr, login) = (host.addr.to_string(), world.login());
    let add = [
        "tidegate", "target", "add", "ssh", name, "--addr", &addr, "--login", &login, by[0], by[1],
    ];
    world.bob().run(&add).expect("bob adds it");
    world.grant(name, &login, "10m");
    let (port, address) = (world.ssh_port(), format!("{login}+{name}@localhost"));
    let line = ["timeout", "20", "ssh", "-p", &port, &address, "echo in"];
    let ran = world.alice().output(&line).expect("ssh runs");
    assert!(!ran.status.success(), "nobody is let in there");
    world.ended_sessions();
    let begun = host.begun.load(Ordering::SeqCst);
    assert!(begun > 1, "bob's look, and alice");
    let end = || host.ended.recv_timeout(Duration::from_secs(40));
    let ends: Vec<bool> = (0..begun).map(|_each| end().expect("it ends")).collect();
    let said = String::from_utf8_lossy(&ran.stderr);
    let is_believed = ends.contains(&true);
    assert!(is_believed || said.contains("TG40"), "{name}: {said}");
    is_believed
}

#[test]
fn a_host_has_to_have_the_key_of_what_it_shows() {
    let world = World::new();
    let (own, ca) = (line(OWN), line(CA));
    let by_key = ["--host-key", own.as_str()];
    let by_ca = ["--host-ca", ca.as_str()];
    let certified = certificate(OWN, CA);
    let cases = [
        // The host itself, by either.
        ("honest-key", PLAIN, plain(OWN), OWN, by_key, true),
        ("honest-ca", CERTIFIED, certified.clone(), OWN, by_ca, true),
        // The right certificate, or the right key, in the hands of somebody else.
        (
            "copied-ca",
            CERTIFIED,
            certified.clone(),
            OTHER,
            by_ca,
            false,
        ),
        ("copied-key", PLAIN, plain(OWN), OTHER, by_key, false),
        // The right key with a certificate by somebody else, and the right CA's for another key.
        (
            "other-ca",
            CERTIFIED,
            certificate(OWN, OTHER_CA),
            OWN,
            by_ca,
            false,
        ),
        (
            "other-key",
            CERTIFIED,
            certificate(OTHER, CA),
            OWN,
            by_ca,
            false,
        ),
        // A key that is not pinned, under a certificate for the one that is; and the reverse.
        ("certified", CERTIFIED, certified, OTHER, by_key, false),
        ("bare", PLAIN, plain(OTHER), OTHER, by_key, false),
        ("bare-ca", PLAIN, plain(OWN), OWN, by_ca, false),
    ];
    for (name, kind, shown, signs, by, want) in cases {
        let host = host(kind, shown, signs);
        assert_eq!(believed(&world, name, &host, by), want, "{name}");
    }
}
