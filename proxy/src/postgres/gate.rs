//! What a client's statements may do, asked before they pass.
//!
//! Walks over what was read and says how much of it may go on: up to a statement that is not allowed,
//! or that is not whole yet. Remembers what was decided for as long as policies and facts stay the
//! same, and for a second at most, because policies may look at the time. Does not answer anybody.

mod prepared;

use std::collections::HashMap;
use std::sync::Arc;
use std::time::Duration;

use policies::words::postgres::Complaint;
use policies::words::{Shown, Words};
use policies::{Deed, Denial, Scrutiny, SqlKind, SqlStatement};

use super::statement::{Known, Reading, TEXT_MAX};
use super::wire::{self, Fields, HEADER, Header, Named, Side};
use prepared::Prepared;

/// How long an answer is good for where nothing but the time has changed.
const ANSWER_MAX: Duration = Duration::from_secs(1);

/// How many answers are remembered; then all are forgotten.
const ANSWERS_MAX: usize = 256;

/// How much of a Bind message is held until its two names are there, in bytes.
const NAMES_MAX: usize = 1024;

/// How many prepared statements that run others may be around one another.
const AROUND_MAX: usize = 2;

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
    prepared: Prepared,
}

impl Gate {
    /// A gate at which nothing has been asked.
    pub(crate) fn new(known: Arc<Known>) -> Self {
        Self {
            known,
            asked: None,
            scrutiny: Scrutiny::Each,
            answers: HashMap::new(),
            prepared: Prepared::default(),
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
            let behind = rest.get(HEADER..).unwrap_or_default();
            let judged = match header.kind {
                b'Q' | b'P' if length > TEXT_MAX => {
                    self.judge(&Reading::unknown(), AROUND_MAX, bench)
                }
                b'Q' | b'P' | b'C' => match behind.get(..length) {
                    Some(body) => self.judge_whole(header.kind, body, bench),
                    None => return Passage::Until(place),
                },
                b'B' => match bound(behind) {
                    Some(name) => self.judge_name(name, bench),
                    None if behind.len() < length.min(NAMES_MAX) => return Passage::Until(place),
                    None => self.judge(&Reading::unknown(), AROUND_MAX, bench),
                },
                _no_statement => Ok(()),
            };
            if let Err(refusal) = judged {
                return Passage::Refused {
                    at: place,
                    header,
                    refusal: Box::new(refusal),
                };
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

    /// Judges a message that is all there. One that is malformed passes: whoever forwards it sees
    /// that too, and ends the session.
    fn judge_whole(&mut self, kind: u8, body: &[u8], bench: &impl Bench) -> Result<(), Refusal> {
        let (name, text) = match kind {
            b'Q' => match wire::query(body) {
                Ok(text) => (None, text),
                Err(_malformed) => return Ok(()),
            },
            b'P' => match wire::parse(body) {
                Ok(parse) => (Some(parse.name), parse.text),
                Err(_malformed) => return Ok(()),
            },
            _close => {
                if let Ok(Named::Statement(name)) = wire::named(kind, body) {
                    self.prepared.forget(name);
                }
                return Ok(());
            }
        };
        let reading = self.known.read(text);
        self.judge(&reading, AROUND_MAX, bench)?;
        for prepared in &reading.prepares {
            self.prepared.put(prepared.as_bytes(), &reading);
        }
        if let Some(name) = name {
            self.prepared.put(name, &reading);
        }
        Ok(())
    }

    /// Judges the running of what was prepared under this name.
    fn judge_name(&mut self, name: &[u8], bench: &impl Bench) -> Result<(), Refusal> {
        let reading = self.prepared.get(name);
        let reading = reading.unwrap_or_else(|| Arc::new(Reading::unknown()));
        self.judge(&reading, AROUND_MAX, bench)
    }

    /// Judges a text, and what it runs that was prepared before; `around` is how many more of those
    /// may be around one another.
    fn judge(
        &mut self,
        reading: &Reading,
        around: usize,
        bench: &impl Bench,
    ) -> Result<(), Refusal> {
        for statement in &reading.statements {
            if let Err(denial) = self.answer(statement, bench) {
                return Err(Refusal {
                    words: words(statement.kind, denial),
                    fingerprint: reading.fingerprint.clone(),
                });
            }
        }
        for name in reading.executes.difference(&reading.prepares) {
            let known = self.prepared.get(name.as_bytes());
            let (inner, around) = match (known, around.checked_sub(1)) {
                (Some(inner), Some(around)) => (inner, around),
                _unknown => (Arc::new(Reading::unknown()), 0),
            };
            self.judge(&inner, around, bench)?;
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

/// The name of the prepared statement at the beginning of a Bind message.
fn bound(body: &[u8]) -> Option<&[u8]> {
    let mut fields = Fields::new(b'B', body);
    fields.text().and_then(|_portal| fields.text()).ok()
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
