//! What a client's statements may do, asked before they pass.
//!
//! Walks over what was read and says how much of it may go on: up to a statement that is not allowed,
//! or that is not whole yet. Remembers what was decided for as long as policies and facts stay the
//! same, and for a second at most, because policies may look at the time. Does not answer anybody.

use std::collections::HashMap;
use std::sync::Arc;
use std::time::Duration;

use policies::words::postgres::Complaint;
use policies::words::{Shown, Words};
use policies::{Deed, Denial, Scrutiny, SqlKind, SqlStatement};

use super::statement::{Known, Reading, TEXT_MAX};
use super::wire::{self, HEADER, Header, Side};

/// How long an answer is good for where nothing but the time has changed.
const ANSWER_MAX: Duration = Duration::from_secs(1);

/// How many answers are remembered; then all are forgotten.
const ANSWERS_MAX: usize = 256;

/// Who answers for the policies.
pub(crate) trait Bench {
    /// What its answers rest on: they are the same while this is, but for the time.
    fn edition(&self) -> u64;
    /// Whether the statements of this session have to be asked about.
    fn scrutiny(&self) -> Scrutiny;
    /// Whether this may be done now.
    fn may(&self, deed: &Deed) -> Result<(), Denial>;
}

/// A statement that may not pass.
#[derive(Debug)]
pub(crate) struct Refusal {
    /// What the client is told.
    pub(crate) words: Words,
    /// The same for statements that differ in constants only; empty for what was not read.
    pub(crate) fingerprint: String,
}

/// How much of what was read may go on.
#[derive(Debug)]
pub(crate) enum Passage {
    /// All of it.
    All,
    /// What is before this place; there a statement begins that is not whole.
    Until(usize),
    /// What is before this place; there a message begins that must never pass.
    Refused {
        /// Where.
        at: usize,
        /// The message.
        header: Header,
        /// Why.
        refusal: Box<Refusal>,
    },
}

/// The judgement of one session's statements.
#[derive(Debug)]
pub(crate) struct Gate {
    known: Arc<Known>,
    asked: Option<(u64, Duration)>,
    scrutiny: Scrutiny,
    answers: HashMap<SqlStatement, Result<(), Denial>>,
}

impl Gate {
    /// A gate at which nothing has been asked.
    pub(crate) fn new(known: Arc<Known>) -> Self {
        Self {
            known,
            asked: None,
            scrutiny: Scrutiny::Each,
            answers: HashMap::new(),
        }
    }

    /// Walks over `chunk`, of which the first `begun` bytes belong to a message that is on its way.
    pub(crate) fn admit(
        &mut self,
        chunk: &[u8],
        begun: usize,
        bench: &impl Bench,
        at: Duration,
    ) -> Passage {
        self.renew(bench, at);
        if self.scrutiny == Scrutiny::Unread {
            return Passage::All;
        }
        let mut place = begun;
        // What breaks the protocol is seen again, and dealt with, by who forwards it.
        while let Some(rest) = chunk.get(place..)
            && let Ok(Some(header)) = Header::read(rest, Side::Client)
            && header.kind != b'F'
        {
            let length = usize::try_from(header.body).unwrap_or(usize::MAX);
            if matches!(header.kind, b'Q' | b'P') {
                let body = rest.get(HEADER..).and_then(|behind| behind.get(..length));
                let judged = match body {
                    _too_long if length > TEXT_MAX => self.judge(&Reading::unknown(), bench),
                    None => return Passage::Until(place),
                    Some(body) => match text(header.kind, body) {
                        Some(text) => self.judge(&Arc::clone(&self.known).read(text), bench),
                        None => return Passage::All,
                    },
                };
                if let Err(refusal) = judged {
                    return Passage::Refused {
                        at: place,
                        header,
                        refusal: Box::new(refusal),
                    };
                }
            }
            place = place.saturating_add(HEADER).saturating_add(length);
        }
        Passage::All
    }

    /// Forgets what may have changed.
    fn renew(&mut self, bench: &impl Bench, at: Duration) {
        let edition = bench.edition();
        let good = self.asked.is_some_and(|(before, asked_at)| {
            before == edition && at.saturating_sub(asked_at) < ANSWER_MAX
        });
        if !good {
            self.asked = Some((edition, at));
            self.answers.clear();
            self.scrutiny = bench.scrutiny();
        }
    }

    fn judge(&mut self, reading: &Reading, bench: &impl Bench) -> Result<(), Refusal> {
        for statement in &reading.statements {
            if let Err(denial) = self.answer(statement, bench) {
                return Err(Refusal {
                    words: words(statement.kind, denial),
                    fingerprint: reading.fingerprint.clone(),
                });
            }
        }
        Ok(())
    }

    fn answer(&mut self, statement: &SqlStatement, bench: &impl Bench) -> Result<(), Denial> {
        if let Some(known) = self.answers.get(statement) {
            return known.clone();
        }
        let answer = bench.may(&Deed::Statement(statement.clone()));
        if self.answers.len() >= ANSWERS_MAX {
            self.answers.clear();
        }
        self.answers.insert(statement.clone(), answer.clone());
        answer
    }
}

/// The text of a Query or Parse message; none where it is malformed.
fn text(kind: u8, body: &[u8]) -> Option<&[u8]> {
    if kind == b'Q' {
        wire::query(body).ok()
    } else {
        wire::parse(body).ok().map(|parse| parse.text)
    }
}

/// How far `chunk`, of which the first `begun` bytes belong to a message that is on its way, goes
/// before the client's next Sync or its goodbye, and whether that is in it.
pub(crate) fn until_sync(chunk: &[u8], begun: usize) -> (usize, bool) {
    let mut place = begun;
    while let Some(rest) = chunk.get(place..)
        && let Ok(Some(header)) = Header::read(rest, Side::Client)
    {
        if matches!(header.kind, b'S' | b'X') {
            return (place, true);
        }
        let length = usize::try_from(header.body).unwrap_or(usize::MAX);
        place = place.saturating_add(HEADER).saturating_add(length);
    }
    (chunk.len(), false)
}

fn words(kind: SqlKind, denial: Denial) -> Words {
    match denial {
        Denial::Forbidden { policy, reason } if kind == SqlKind::Unknown => {
            Complaint::Unread { policy, reason }.words()
        }
        Denial::Forbidden { policy, reason } => {
            let kind = kind.as_str();
            let complaint = Complaint::Statement {
                kind,
                policy,
                reason,
            };
            complaint.words()
        }
        other @ (Denial::NoGrant { .. }
        | Denial::Pending { .. }
        | Denial::NotYet { .. }
        | Denial::NotAllowed { .. }
        | Denial::Crowded { .. }
        | Denial::NotFound { .. }
        | Denial::Unavailable { .. }) => other.words(),
    }
}
