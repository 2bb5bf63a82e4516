//! The fuzz targets of the SSH path.

use policies::TargetName;

use crate::fuzzing::{Target, cut};
use crate::ssh::client::address::{ADDRESS_MAX, Address};
use crate::ssh::forward::agent::{MESSAGE_MAX, Wish, Wishes};
use crate::ssh::forward::place::Place;
use crate::ssh::forward::sniff::{LINES_MAX, Sniffer};
use crate::ssh::transit::clear::{Clear, PACKET_MAX, Unit};

pub(in crate::ssh) mod rsync;
mod scp;
mod sftp;

/// All of them.
pub(crate) const TARGETS: [Target; 9] = [
    ("addresses", addresses),
    ("places", places),
    ("agent", agent),
    ("sniffer", sniffer),
    ("sftp", sftp::sftp),
    ("scp", scp::scp),
    ("rsync", rsync::rsync),
    ("rsync_stream", rsync::rsync_stream),
    ("clear", clear),
];

/// An address that is understood has one spelling, which is understood alike, is short and can be
/// shown. Inside a jump, the login is the whole text.
fn addresses(input: &[u8]) {
    let Ok(text) = std::str::from_utf8(input) else {
        return;
    };
    if let Ok(address @ Address::Target { .. }) = Address::parse(text) {
        let printed = address.to_string();
        assert!(printed.len() <= ADDRESS_MAX, "longer than any: {printed}");
        assert!(!printed.chars().any(char::is_control), "{printed:?}");
        assert!(!printed.starts_with('-'), "an option: {printed}");
        assert_eq!(Address::parse(&printed).as_ref(), Ok(&address));
    }
    if let Ok(target) = TargetName::parse("web1")
        && let Ok(inside) = Address::inside(text, &target)
    {
        assert_eq!(inside.to_string(), format!("{text}+web1"));
        assert_eq!(Address::parse(&inside.to_string()), Ok(inside));
    }
}

/// A place that is understood has one spelling: what is printed, recorded and sent on is understood
/// as the same place, and only that. A socket and a host are never each other.
fn places(input: &[u8]) {
    let Some((port, text)) = input.split_first_chunk::<4>() else {
        return;
    };
    let (port, Ok(text)) = (u32::from_be_bytes(*port), std::str::from_utf8(text)) else {
        return;
    };
    let socket = Place::socket(text);
    if let Some(place) = &socket {
        assert_eq!(place.to_string(), text);
        assert_eq!((place.host(), place.port()), (text, 0));
    }
    let read = Place::parse(text, port);
    assert!(read.is_none() || socket.is_none(), "two things: {text:?}");
    for place in read.iter().chain(&Place::loopback(text, port)) {
        let host = place.host();
        assert_eq!(u32::from(place.port()), port);
        assert!(!place.is_socket(), "a socket: {host:?}");
        assert!(host.chars().all(|c| c.is_ascii_graphic()), "{host:?}");
        assert_eq!(host, host.to_ascii_lowercase());
        if port != 0 {
            assert_eq!(Place::parse(host, port).as_ref(), Some(place));
        }
    }
}

/// What is asked of an agent does not depend on where it is cut; every message is told of once and passes
/// whole; and no more than one is held.
fn agent(input: &[u8]) {
    let Some((stream, pieces)) = cut(input) else {
        return;
    };
    let login = |told: &[Wish]| matches!(told.last(), Some(Wish::Login { .. }));
    let whole = Wishes::default().take(stream);
    let (mut wishes, mut told) = (Wishes::default(), Ok((Vec::new(), Vec::new())));
    for piece in pieces {
        match wishes.take(piece) {
            Ok((more, passed)) => {
                told = told.map(|(all, before)| {
                    ([all, more].concat(), [before.as_slice(), &passed].concat())
                });
            }
            Err(forbidden) => {
                told = Err(forbidden);
                break;
            }
        }
        if told.as_ref().is_ok_and(|(all, _passed)| login(all)) {
            break;
        }
        let held = wishes.held();
        assert!(held <= MESSAGE_MAX.saturating_add(4), "{held} bytes held");
    }
    assert_eq!(told, whole.map(|(told, passed)| (told, passed.to_vec())));
    if let Ok((told, passed)) = told {
        assert!(login(&told) || told.len() == messages(stream));
        assert!(stream.starts_with(&passed), "other bytes passed than came");
    }
}

/// How many whole messages there are, each behind its length.
fn messages(mut stream: &[u8]) -> usize {
    let mut count: usize = 0;
    while let Some((length, rest)) = stream.split_first_chunk::<4>() {
        let length = usize::try_from(u32::from_be_bytes(*length)).unwrap_or(usize::MAX);
        let Some((_message, rest)) = rest.split_at_checked(length) else {
            break;
        };
        (stream, count) = (rest, count.saturating_add(1));
    }
    count
}

/// A conversation is found at the byte that completes what tells, wherever the stream is cut, and
/// little is held until then.
fn sniffer(input: &[u8]) {
    let Some((stream, pieces)) = cut(input) else {
        return;
    };
    let whole = Sniffer::default().sniff(stream);
    let (mut sniffer, mut came, mut found) = (Sniffer::default(), 0_usize, None);
    for piece in pieces {
        let before = came;
        came = came.saturating_add(piece.len());
        found = sniffer.sniff(piece);
        assert!(sniffer.held() <= LINES_MAX, "{} bytes held", sniffer.held());
        if found.is_some() {
            let without = stream.get(..before).unwrap_or(stream);
            assert_eq!(Sniffer::default().sniff(without), None, "told too late");
            break;
        }
    }
    assert_eq!(found, whole);
}

/// What of a connection is in clear does not depend on where it is cut. What passes is what came, whole
/// units of it, and no more than one is held.
fn clear(input: &[u8]) {
    let Some((stream, pieces)) = cut(input) else {
        return;
    };
    let read = |pieces: std::slice::Chunks<'_, u8>| {
        let (mut clear, mut units, mut sealed, mut odd) =
            (Clear::default(), Vec::new(), Vec::new(), false);
        for piece in pieces {
            clear.take(piece);
            while !odd {
                match clear.next() {
                    Ok(Some(Unit::Sealed(bytes))) => sealed.extend(bytes),
                    Ok(Some(unit)) => units.push(unit),
                    Ok(None) => break,
                    Err(_odd) => odd = true,
                }
            }
            if odd {
                break;
            }
            assert!(clear.held() <= PACKET_MAX, "{} held", clear.held());
        }
        assert!(!clear.is_over() || !units.is_empty());
        (units, sealed, odd)
    };
    let (units, sealed, odd) = read(pieces);
    let whole = read(stream.chunks(stream.len().max(1)));
    assert_eq!((&units, &sealed, odd), (&whole.0, &whole.1, whole.2));
    let mut passed: Vec<u8> = units.iter().flat_map(Unit::bytes).copied().collect();
    passed.extend(sealed);
    assert!(stream.starts_with(&passed), "other bytes passed than came");
}
