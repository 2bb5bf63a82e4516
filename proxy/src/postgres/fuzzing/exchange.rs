//! A session: what both sides say, and what is written down of it.

use std::cell::RefCell;
use std::time::Duration;

use policies::words::Words;
use recorder::{AppendError, Frame, Stream};

use crate::fuzzing::turns;
use crate::postgres::relay::account::Account;
use crate::postgres::relay::noted::Noted;
use crate::postgres::relay::tap::Tap;
use crate::postgres::wire::scan::{Scanned, Scanner};
use crate::postgres::wire::{Side, Violation};

/// What is written down of a session does not depend on where it is cut; each statement has a number
/// of its own, and no outcome is put down to one that was never sent.
pub(super) fn exchange(input: &[u8]) {
    let turns = turns(input);
    let (mut cut, mut whole) = (Session::new(), Session::new());
    for turn in &turns {
        for piece in &turn.pieces {
            cut.take(turn.from_client, piece);
        }
        whole.take(turn.from_client, &turn.whole());
        assert_eq!(cut.stop, whole.stop);
        assert_eq!(cut.told, whole.told);
    }
    whole.settle();
    assert!(whole.tap.pipeline().idle() || whole.tap.pipeline().skipping());
}

/// One session, without sockets.
struct Session {
    tap: Tap,
    client: (Scanner, Vec<u8>),
    target: (Scanner, Vec<u8>),
    told: Vec<String>,
    /// How many statements there were.
    sent: u64,
    stop: Option<Result<(), Violation>>,
}

impl Session {
    fn new() -> Self {
        Self {
            tap: Tap::new(),
            client: (Scanner::new(Side::Client), Vec::new()),
            target: (Scanner::new(Side::Target), Vec::new()),
            told: Vec::new(),
            sent: 0,
            stop: None,
        }
    }

    fn take(&mut self, from_client: bool, piece: &[u8]) {
        if self.stop.is_some() {
            return;
        }
        let (scanner, held) = if from_client {
            &mut self.client
        } else {
            &mut self.target
        };
        held.extend_from_slice(piece);
        let (tap, mut noted, mut finished) = (&mut self.tap, Vec::new(), Vec::new());
        let came = scanner.scan(held, &mut finished, |message| {
            if from_client {
                tap.client_sent(&message, Duration::ZERO, &mut noted)
            } else {
                tap.target_sent(&message, Duration::ZERO, &mut noted)
            }
        });
        // What is copied is taken in as it comes, also of a message whose end has not come.
        let begins = held.get(scanner.copied()).unwrap_or_default();
        if came.is_ok() && from_client {
            tap.client_copied(begins);
        } else if came.is_ok() {
            tap.target_copied(begins);
        }
        for frame in noted.iter().map(Noted::frame) {
            self.sent = self.sent.max(in_order(&frame, self.sent));
            self.told.push(format!("{frame:?}"));
        }
        match came {
            Ok(Scanned::All { tail }) => {
                let done = held.len().saturating_sub(tail);
                held.drain(..done);
            }
            Ok(Scanned::Withheld { .. }) => self.stop = Some(Ok(())),
            Err(violation) => self.stop = Some(Err(violation)),
        }
    }

    /// What is known at the end is told once, and of statements that were sent.
    fn settle(&mut self) {
        let account = Book::default();
        assert!(self.tap.settle(&account).is_ok());
        for id in account.outcomes.take() {
            assert!(
                id <= self.sent,
                "an outcome of a statement that was not sent"
            );
        }
        assert!(self.tap.settle(&account).is_ok());
        assert!(account.outcomes.take().is_empty(), "told twice");
    }
}

/// The number of a statement, which is one more than that before it; an outcome has one of those.
fn in_order(frame: &Frame<'_>, sent: u64) -> u64 {
    if let Frame::Statement(statement) = frame {
        assert_eq!(statement.id, sent.saturating_add(1), "a number left out");
        return statement.id;
    }
    if let Frame::Outcome(outcome) = frame {
        assert!(
            outcome.id <= sent,
            "an outcome of a statement that was not sent"
        );
    }
    sent
}

/// Remembers of what the outcome was written down.
#[derive(Debug, Default)]
struct Book {
    outcomes: RefCell<Vec<u64>>,
}

impl Account for Book {
    fn stir(&self) -> Duration {
        Duration::ZERO
    }

    fn passes(&self, _stream: Stream, _bytes: usize) {}

    fn spends(&self, _rows: u64, _bytes: u64, _statements: u64) -> Option<Words> {
        None
    }

    fn warnings(&self) -> Vec<Words> {
        Vec::new()
    }

    fn record_all(&self, frames: &[Frame<'_>]) -> Result<(), AppendError> {
        let mut outcomes = self.outcomes.borrow_mut();
        for frame in frames {
            if let Frame::Outcome(outcome) = frame {
                outcomes.push(outcome.id);
            }
        }
        Ok(())
    }
}
