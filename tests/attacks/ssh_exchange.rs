//! Agreeing on keys with somebody who cheats: a public value that makes the secret known, or a message slipped in
//! where nothing is encrypted yet. At either leg.

use std::io;
use std::net::TcpListener;
use std::sync::Arc;
use std::sync::atomic::{AtomicUsize, Ordering};
use std::sync::mpsc::{Receiver, channel};
use std::thread;
use std::time::Duration;

use tests::World;
use tests::sshpeer::{Exchange, Message, Method, SshPeer, msg};

use crate::door;
use crate::ssh_target::{SEED, add_as};

/// Points of Curve25519 whose order divides eight: with each of them the secret is zero (RFC 7748, section 6.1;
/// <https://cr.yp.to/ecdh.html#validate>).
const SMALL: [[u8; 32]; 5] = [
    [0; 32],
    [
        1, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0,
        0, 0,
    ],
    [
        0xe0, 0xeb, 0x7a, 0x7c, 0x3b, 0x41, 0xb8, 0xae, 0x16, 0x56, 0xe3, 0xfa, 0xf1, 0x9f, 0xc4,
        0x6a, 0xda, 0x09, 0x8d, 0xeb, 0x9c, 0x32, 0xb1, 0xfd, 0x86, 0x62, 0x05, 0x16, 0x5f, 0x49,
        0xb8, 0x00,
    ],
    [
        0x5f, 0x9c, 0x95, 0xbc, 0xa3, 0x50, 0x8c, 0x24, 0xb1, 0xd0, 0xb1, 0x55, 0x9c, 0x83, 0xef,
        0x5b, 0x04, 0x44, 0x5c, 0xc4, 0x58, 0x1c, 0x8e, 0x86, 0xd8, 0x22, 0x4e, 0xdd, 0xd0, 0x9f,
        0x11, 0x57,
    ],
    [
        0xec, 0xff, 0xff, 0xff, 0xff, 0xff, 0xff, 0xff, 0xff, 0xff, 0xff, 0xff, 0xff, 0xff, 0xff,
        0xff, 0xff, 0xff, 0xff, 0xff, 0xff, 0xff, 0xff, 0xff, 0xff, 0xff, 0xff, 0xff, 0xff, 0xff,
        0xff, 0x7f,
    ],
];

/// An exchange of each method with each of those points, behind an honest one.
fn exchanges() -> Vec<Exchange<'static>> {
    let points = || std::iter::once(None).chain(SMALL.map(Some));
    let by = |method| {
        points().map(move |point| Exchange {
            method,
            point,
            before_newkeys: &[],
            ..Exchange::default()
        })
    };
    [Method::Curve, Method::Hybrid]
        .into_iter()
        .flat_map(by)
        .collect()
}

/// What is slipped in: messages that say nothing, and one that has its place later.
fn slipped_in() -> [Message; 4] {
    [msg::IGNORE, 4, msg::EXT_INFO, msg::USERAUTH_SUCCESS]
        .map(|kind| Message::new(kind).string("").string(""))
}

#[test]
fn a_client_whose_public_value_makes_the_secret_known_is_shown_out() {
    let world = World::new();
    for exchange in exchanges() {
        let agreed = SshPeer::connect_by(door(world.doors().ssh), &exchange);
        assert_eq!(agreed.is_ok(), exchange.point.is_none(), "{exchange:?}");
    }
    assert!(!world.server_log().contains("panicked"));
}

/// Two that do not look agree on it, so it is the look that is missing where it is not refused.
#[test]
fn who_does_not_look_takes_such_a_value() {
    for method in [Method::Curve, Method::Hybrid] {
        let exchange = Exchange {
            method,
            point: Some(SMALL[0]),
            before_newkeys: &[],
            ..Exchange::default()
        };
        let listener = TcpListener::bind(("127.0.0.1", 0)).expect("a free port");
        let addr = listener.local_addr().expect("it is bound");
        let answering = thread::spawn(move || {
            let (stream, _) = listener.accept().expect("it comes");
            SshPeer::answer_by(stream, SEED, &exchange).is_ok()
        });
        let mut client = SshPeer::connect_by(addr, &exchange).expect("they agree");
        client.begin_login().expect("and speak");
        assert!(answering.join().expect("it ends"));
    }
}

/// What became of each connection to a target: whether tidegate agreed on keys and came to say who it is.
struct Told {
    begun: Arc<AtomicUsize>,
    ended: Receiver<io::Result<()>>,
}

/// A target that agrees on keys in this way, and is tried at once.
fn target(
    world: &World,
    name: &str,
    method: Method,
    point: Option<[u8; 32]>,
    before: Vec<Message>,
) -> Told {
    let listener = TcpListener::bind(("127.0.0.1", 0)).expect("a free port");
    let addr = listener.local_addr().expect("it is bound");
    let (agreed, ended) = channel();
    let begun = Arc::<AtomicUsize>::default();
    let beginning = Arc::clone(&begun);
    thread::spawn(move || {
        for stream in listener.incoming().flatten() {
            beginning.fetch_add(1, Ordering::SeqCst);
            let (before, agreed) = (before.clone(), agreed.clone());
            thread::spawn(move || {
                let exchange = Exchange {
                    method,
                    point,
                    before_newkeys: &before,
                    ..Exchange::default()
                };
                let peer = SshPeer::answer_by(stream, SEED, &exchange);
                // Whoever agreed says who they are now.
                let came = peer.and_then(|mut peer| peer.wait(msg::USERAUTH_REQUEST));
                agreed.send(came.map(drop))
            });
        }
    });
    add_as(world, name, addr);
    Told { begun, ended }
}

/// Whether tidegate came to say who it is, in any of its connections.
fn agrees(told: &Told) -> bool {
    let begun = told.begun.load(Ordering::SeqCst);
    assert!(begun > 0, "tidegate comes");
    let end = || told.ended.recv_timeout(Duration::from_secs(40));
    let ends = (0..begun).map(|_each| end().expect("it ends"));
    // Each of them, whatever the ones before did.
    ends.fold(false, |agrees, end| agrees | end.is_ok())
}

#[test]
fn a_target_whose_public_value_makes_the_secret_known_is_left() {
    let world = World::new();
    for (number, exchange) in exchanges().into_iter().enumerate() {
        let Exchange { method, point, .. } = exchange;
        let told = target(&world, &format!("odd{number}"), method, point, Vec::new());
        assert_eq!(agrees(&told), point.is_none(), "{method:?} {point:?}");
    }
    assert!(!world.server_log().contains("panicked"));
}

/// CVE-2023-48795, from the other side.
#[test]
fn a_target_that_slips_a_message_in_before_the_first_keys_is_left() {
    let world = World::new();
    assert!(agrees(&target(
        &world,
        "good",
        Method::Curve,
        None,
        Vec::new()
    )));
    for (number, message) in slipped_in().into_iter().enumerate() {
        let name = format!("odd{number}");
        let told = target(&world, &name, Method::Curve, None, vec![message.clone()]);
        assert!(!agrees(&told), "{message:?} was overlooked");
    }
}
