//! The messages of one direction.

use policies::words::postgres::Lines;

use crate::fuzzing::cut;
use crate::postgres::wire::say;
use crate::postgres::wire::scan::{KEPT_MAX, Message, Scanned, Scanner};
use crate::postgres::wire::{self, HEADER, Side, Violation};

/// Messages are the same wherever the stream is cut, each is told of once, with all of its bytes; and
/// no more is held than has come, nor than is kept.
pub(super) fn messages(input: &[u8]) {
    let Some((side, input)) = input.split_first() else {
        return;
    };
    let side = if *side & 1 == 0 {
        Side::Client
    } else {
        Side::Target
    };
    let Some((stream, pieces)) = cut(input) else {
        return;
    };
    let whole = scan(side, std::iter::once(stream));
    assert_eq!(scan(side, pieces), whole);
    let told = whole.iter().filter_map(|seen| match seen {
        Seen::Message { length, .. } => usize::try_from(*length).ok(),
        Seen::Withheld(_) | Seen::Violation(_) => None,
    });
    let told: usize = told.map(|length| length.saturating_add(HEADER)).sum();
    assert!(told <= stream.len(), "more is told of than came");
    for seen in &whole {
        if let Seen::Message { kind, body, .. } = seen {
            fields(*kind, body);
        }
    }
}

/// What a scanner came upon.
#[derive(Debug, PartialEq, Eq)]
enum Seen {
    Message {
        kind: u8,
        length: u32,
        body: Vec<u8>,
        digest: Option<[u8; 32]>,
    },
    /// A message that must not be forwarded, and where in the stream.
    Withheld(usize),
    Violation(Violation),
}

/// Scans as a relay does: an unfinished header is handed in again.
fn scan<'a>(side: Side, pieces: impl Iterator<Item = &'a [u8]>) -> Vec<Seen> {
    let (mut scanner, mut seen) = (Scanner::new(side), Vec::new());
    let (mut held, mut passed) = (Vec::new(), 0_usize);
    for piece in pieces {
        held.extend_from_slice(piece);
        let mut finished = Vec::new();
        let came = scanner.scan(&held, &mut finished, |message: Message<'_>| {
            seen.push(Seen::Message {
                kind: message.kind,
                length: message.length,
                body: message.body.to_vec(),
                digest: message.digest,
            });
            Ok(())
        });
        let tail = match came {
            Ok(Scanned::All { tail }) => tail,
            Ok(Scanned::Withheld { at, .. }) => {
                seen.push(Seen::Withheld(passed.saturating_add(at)));
                break;
            }
            Err(violation) => {
                seen.push(Seen::Violation(violation));
                break;
            }
        };
        assert!(tail < HEADER, "more than half a header is handed back");
        let done = held.len().saturating_sub(tail);
        passed = passed.saturating_add(done);
        held.drain(..done);
        let room = passed.saturating_mul(2).clamp(64, KEPT_MAX);
        assert!(scanner.held() <= room, "{} held", scanner.held());
        assert_eq!(scanner.at_boundary(), scanner.missing() == 0);
    }
    seen
}

/// The beginning of a message is read as the whole is, and a written error is read back.
fn fields(kind: u8, body: &[u8]) {
    if let Ok(parse) = wire::parse(body) {
        assert_eq!(wire::parse_beginning(body), Ok(parse));
    }
    if let Ok(bind) = wire::bind(body) {
        for end in 0..=body.len().min(64) {
            let beginning = wire::bind_beginning(body.get(..end).unwrap_or(body));
            if let Ok(beginning) = beginning {
                assert!(bind.values.starts_with(&beginning.values), "other values");
                assert_eq!(
                    (bind.portal, bind.statement),
                    (beginning.portal, beginning.statement)
                );
            }
        }
        assert_eq!(bind.formats.len(), bind.values.len());
    }
    if let Ok(text) = wire::query(body) {
        assert_eq!([text, &[0]].concat(), body);
    }
    if let Ok(tag) = wire::tag(body) {
        assert_eq!([tag, &[0]].concat(), body);
    }
    let _read = (
        wire::named(kind, body),
        wire::execute(body),
        wire::status(body),
    );
    if wire::complaint(kind, body).is_ok() {
        let said = [&[b'E', 0, 0, 0, 0], body].concat();
        let told = say::shut_out(said.clone(), ("orders", "app"), Lines::Its);
        let own = told.get(HEADER..).unwrap_or_default();
        assert!(
            told == said || wire::complaint(b'E', own).is_ok(),
            "unreadable"
        );
    }
}
