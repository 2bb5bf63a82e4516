//! What a client's statements may do, asked before they pass.
//!
//! Walks over what was read and says how much of it may go on: up to a statement that is not allowed,
//! or that is not whole yet. Remembers what was decided for as long as policies and facts stay the
//! same, and for ten seconds at most, because policies may look at the time. Does not answer anybody.

mod answers;
mod beginning;
mod bench;
mod budget;
mod closing;
mod earlier;
mod judge;
mod passage;
mod portals;
mod prepared;
mod progress;
mod refusal;
mod second;
mod unnamed;
mod work;

use std::sync::Arc;
use std::time::Duration;

use policies::Scrutiny;

use super::statement::{Known, Reading, TEXT_MAX};
use super::wire::say;
use super::wire::{Fields, HEADER, Header, Side};
use crate::session::share::{Share, Turn};
use answers::{Answer, Answers};
use budget::Ends;
use closing::Closings;
use earlier::Earlier;
use portals::Portals;
use prepared::Prepared;
use progress::{Place, Progress};
use refusal::{backward, hidden, unshowable, words};
use second::{Second, Unshowable};
use unnamed::Unnamed;
use work::{LOOKUP_BYTES, MESSAGE};

pub(crate) use bench::{Bench, Hearing};
pub(crate) use passage::Passage;
pub(crate) use refusal::Refusal;
pub(crate) use second::Held;

/// How much of a Bind message is held until its two names are there, in bytes.
const NAMES_MAX: usize = 1024;

/// Where the server is with what it was sent before.
#[derive(Debug, Clone, Copy)]
pub(crate) struct Standing {
    /// How many bytes are missing of a message that is on its way.
    pub(crate) begun: usize,
    /// It has answered everything, and drops nothing.
    pub(crate) is_idle: bool,
    /// Something was sent since the last Sync.
    pub(crate) in_batch: bool,
    /// It has acted on the last Parse without a name.
    pub(crate) is_parsed: bool,
    /// The number that the next message gets which is not a Sync or a Flush.
    pub(crate) next: u64,
}

/// The judgement of one session's statements.
#[derive(Debug)]
pub(crate) struct Gate {
    known: Arc<Known>,
    asked: Option<(u64, Duration)>,
    scrutiny: Scrutiny,
    answers: Answers,
    share: Arc<Share>,
    progress: Progress,
    /// Something was asked in this turn.
    has_asked: bool,
    prepared: Prepared,
    portals: Portals,
    second: Second,
    unnamed: Unnamed,
    closings: Closings,
    ends: Ends,
    /// Nothing is outstanding but Closes, so that the number of the next is known.
    is_counted: bool,
}

/// What comes of judging one message.
#[derive(Debug)]
enum Judged {
    Passes,
    /// It is not all there. With fewer bytes from its header on, it is looked at in vain.
    Partial(usize),
    /// Others have their turn before the rest of it is asked about.
    Later,
    Unsettled,
    Held(Box<Held>),
    Refused(Box<Refusal>),
}

/// Why one text may not pass.
#[derive(Debug)]
enum Objection {
    /// Others could let it through: the policy and its reason.
    Alone(String, String),
    Refused(Box<Refusal>),
    /// Not all has been asked.
    Later,
}

impl Gate {
    /// A gate at which nothing has been asked.
    pub(crate) fn new(known: Arc<Known>) -> Self {
        Self {
            known,
            asked: None,
            scrutiny: Scrutiny::Each,
            answers: Answers::default(),
            share: Arc::default(),
            progress: Progress::default(),
            has_asked: false,
            prepared: Prepared::default(),
            portals: Portals::default(),
            second: Second::default(),
            unnamed: Unnamed::default(),
            closings: Closings::default(),
            ends: Ends::default(),
            is_counted: false,
        }
    }

    /// The same with a share that other gates have, too.
    pub(crate) fn sharing(self, share: &Arc<Share>) -> Self {
        let share = Arc::clone(share);
        Self { share, ..self }
    }

    /// Walks over `chunk`.
    pub(crate) fn admit(
        &mut self,
        chunk: &[u8],
        standing: Standing,
        bench: &impl Bench,
        at: Duration,
    ) -> Passage {
        self.renew(bench, at);
        self.has_asked = false;
        let begun = standing.begun;
        self.is_counted = standing.is_idle && !standing.in_batch && begun == 0;
        self.closings.count_from(standing.next);
        if standing.is_idle {
            self.give_up_closed();
        }
        // What is on its way may be a long Parse, and the answer is to the one before it.
        if standing.is_parsed && begun == 0 {
            self.unnamed.parsed();
        }
        if !standing.in_batch {
            self.batch_ended();
        }
        if self.scrutiny == Scrutiny::Unread && !bench.is_metered() {
            return Passage::All;
        }
        let mut place = begun;
        // What breaks the protocol is seen again, and dealt with, by who forwards it. Nothing runs behind a goodbye.
        while let Some(rest) = chunk.get(place..)
            && let Ok(Some(header)) = Header::read(rest, Side::Client)
            && !matches!(header.kind, b'F' | b'X')
        {
            // What nobody is asked about, copied data among it, is passed on in any case.
            let is_judged = matches!(header.kind, b'Q' | b'P' | b'B' | b'E' | b'C');
            if is_judged && self.share.is_over() {
                return Passage::Enough(place);
            }
            self.share.takes(MESSAGE);
            let length = usize::try_from(header.body).unwrap_or(usize::MAX);
            let behind = rest.get(HEADER..).unwrap_or_default();
            let judged = self.judge_and_charge(header, behind, bench, at);
            // What comes behind it may not rest on answers as old as its own.
            if !matches!(judged, Judged::Later) && self.progress.end() {
                self.renew(bench, at);
            }
            match judged {
                Judged::Passes => {}
                Judged::Later => return Passage::Enough(place),
                Judged::Partial(wants) => return Passage::Until { at: place, wants },
                Judged::Unsettled => return Passage::Unsettled(place),
                Judged::Held(held) => {
                    let at = place;
                    return Passage::Held { at, header, held };
                }
                Judged::Refused(refusal) => {
                    return Passage::Refused {
                        at: place,
                        header,
                        refusal,
                    };
                }
            }
            self.unnamed.settle(false);
            if header.kind == b'S' {
                self.batch_ended();
            }
            self.is_counted &= matches!(header.kind, b'S' | b'H' | b'C');
            place = place.saturating_add(HEADER).saturating_add(length);
        }
        Passage::All
    }

    /// Notes that the client's batch has ended: what comes next is not dropped with it.
    fn batch_ended(&mut self) {
        self.unnamed.synced();
        self.closings.synced();
    }

    /// Notes that the server has answered everything and has no transaction open: no portal is left, nor any
    /// cursor that is not held.
    pub(crate) fn transaction_ended(&mut self) {
        self.portals = Portals::default();
        self.second.transaction_ended();
        self.closings.transaction_ended();
    }

    /// Returns once what is left is to be looked at.
    pub(crate) fn next_turn(&self) -> Turn {
        Arc::clone(&self.share).next()
    }

    /// Judges a message, and counts it against the budget once it may pass.
    fn judge_and_charge(
        &mut self,
        header: Header,
        behind: &[u8],
        bench: &impl Bench,
        at: Duration,
    ) -> Judged {
        let judged = match self.scrutiny {
            Scrutiny::Unread => Judged::Passes,
            Scrutiny::Each => self.judge_message(header, behind, bench, at),
        };
        if !matches!(judged, Judged::Passes) || !bench.is_metered() {
            return judged;
        }
        let length = usize::try_from(header.body).unwrap_or(usize::MAX);
        budget::charge(header.kind, length, behind, &mut self.ends, bench)
    }

    /// Takes a second person's yes to what was held.
    pub(crate) fn grant(&mut self, held: Held, at: Duration) {
        self.second.grant(held.pass, at);
    }

    /// Notes that what comes next of the client does not pass up to its Sync: a message in the middle of its turns is never
    /// decided.
    pub(crate) fn dropped(&mut self) {
        self.progress.end();
    }

    /// Notes that everything has been answered that will be.
    pub(crate) fn settled(&mut self) {
        self.unnamed.settle(true);
        self.give_up_closed();
    }

    /// Judges a message, of which `behind` is what was read behind its header.
    fn judge_message(
        &mut self,
        header: Header,
        behind: &[u8],
        bench: &impl Bench,
        at: Duration,
    ) -> Judged {
        let length = usize::try_from(header.body).unwrap_or(usize::MAX);
        let body = behind.get(..length);
        let partial = Judged::Partial(length.saturating_add(HEADER));
        if matches!(header.kind, b'Q' | b'P' | b'B' | b'E') {
            self.put_back();
        }
        match header.kind {
            b'Q' | b'P' if length > TEXT_MAX => {
                match self.judge(&Arc::new(Reading::unknown()), bench) {
                    Ok(()) if header.kind == b'P' => self.pass_unread(behind),
                    Ok(()) => {
                        self.runs(&Arc::new(Reading::unknown()));
                        Judged::Passes
                    }
                    Err(Objection::Alone(..)) => unshowable(Unshowable::Long),
                    Err(Objection::Refused(refusal)) => Judged::Refused(refusal),
                    Err(Objection::Later) => Judged::Later,
                }
            }
            b'Q' => match body {
                Some(body) => self.judge_query(body, bench, at),
                None => partial,
            },
            b'P' => match body {
                Some(body) => {
                    let next = behind.get(length..).unwrap_or_default();
                    self.judge_parse(body, next, bench, at)
                }
                None => partial,
            },
            b'C' => match body {
                Some(body) => {
                    self.close(body);
                    Judged::Passes
                }
                None => partial,
            },
            b'E' if body.is_none() && length <= NAMES_MAX && self.portals.are_watched() => partial,
            b'E' => self.judge_execute(body, bench),
            b'B' => match bound(behind) {
                Some(names) => self.judge_bind(names, (body, length), bench, at),
                None if behind.len() < length.min(NAMES_MAX) => Judged::Partial(0),
                None => match self.judge(&Arc::new(Reading::unknown()), bench) {
                    Ok(()) => {
                        let unknown = Arc::new(Reading::unknown());
                        for portal in [b"".as_slice(), b"?"] {
                            self.binds(portal, &unknown);
                        }
                        Judged::Passes
                    }
                    Err(Objection::Alone(..)) => unshowable(Unshowable::Unknown),
                    Err(Objection::Refused(refusal)) => Judged::Refused(refusal),
                    Err(Objection::Later) => Judged::Later,
                },
            },
            _no_statement => Judged::Passes,
        }
    }

    /// Forgets what may have changed.
    fn renew(&mut self, bench: &impl Bench, at: Duration) {
        let edition = bench.edition();
        let limit = self.progress.answer_limit();
        let good = self.asked.is_some_and(|(before, asked_at)| {
            before == edition && at.saturating_sub(asked_at) < limit
        });
        if !good {
            self.asked = Some((edition, at));
            self.answers.forget();
            self.progress.begin_anew();
            self.scrutiny = bench.scrutiny();
            if self.scrutiny == Scrutiny::Unread {
                self.progress.end();
                // What names stand for from here on is not seen.
                self.prepared.doubt();
                self.second.doubt();
                self.unnamed.doubt();
                self.closings.doubt();
            }
        }
    }

    /// Judges a text, and what it runs that was prepared before. What may not pass at all comes before what others
    /// could let through.
    fn judge(&mut self, reading: &Arc<Reading>, bench: &impl Bench) -> Result<(), Objection> {
        self.judge_beside(reading, &mut Earlier::default(), bench)
    }

    /// The same for one of several that one message may run: `earlier` is for all of them.
    fn judge_beside(
        &mut self,
        reading: &Arc<Reading>,
        earlier: &mut Earlier,
        bench: &impl Bench,
    ) -> Result<(), Objection> {
        if self.answers.have_permitted(reading) {
            return Ok(());
        }
        let mut place = self.progress.place(reading);
        let judged = self.judge_within(reading, &mut place, earlier, bench);
        match &judged {
            Ok(()) => self.answers.permit(reading),
            Err(Objection::Later) => self.progress.pause(reading, place),
            Err(Objection::Alone(..) | Objection::Refused(_)) => {}
        }
        judged
    }

    fn judge_within(
        &mut self,
        reading: &Reading,
        place: &mut Place,
        earlier: &mut Earlier,
        bench: &impl Bench,
    ) -> Result<(), Objection> {
        // What is looked for among the answers is gone through whole, in the first of its turns.
        if place.asked == 0 {
            self.share.takes(reading.weight() / LOOKUP_BYTES);
        }
        while let Some(statement) = reading.statements.get(place.asked) {
            if let Some(no) = self.turn_over() {
                return Err(no);
            }
            match self.answer(statement, bench) {
                Answer::Permitted => {}
                Answer::Seconded(policy, reason) => {
                    place.alone.get_or_insert((policy, reason));
                }
                Answer::Denied(denial) => {
                    return Err(Objection::Refused(Box::new(Refusal {
                        words: words(statement.kind, denial),
                        sqlstate: say::NOT_PERMITTED,
                        fingerprint: reading.fingerprint.clone(),
                    })));
                }
            }
            place.asked = place.asked.saturating_add(1);
        }
        // A yes was for one message with its values, and an EXECUTE is neither.
        let is_hot = |name: &String| self.second.is_hot(name.as_bytes());
        if reading.executes.iter().any(is_hot) {
            return Err(Objection::Refused(Box::new(hidden())));
        }
        if let (Some(cursor), Some(open)) = (&reading.goes_back, self.second.cursor()) {
            return Err(Objection::Refused(Box::new(backward(cursor, open))));
        }
        for name in &reading.runs_earlier {
            let inner = earlier.enter(self.prepared.get(name.as_bytes()));
            let inner = inner.unwrap_or_else(|| Arc::new(Reading::unknown()));
            let judged = self.judge_within(&inner, &mut Place::default(), earlier, bench);
            earlier.leave();
            match judged {
                Ok(()) => {}
                // What it runs does not stand in it: nobody could say yes to that.
                Err(Objection::Alone(..)) => return Err(Objection::Refused(Box::new(hidden()))),
                Err(no) => return Err(no),
            }
        }
        match place.alone.clone() {
            None => Ok(()),
            Some(_) if !reading.prepares.is_empty() => Err(Objection::Refused(Box::new(hidden()))),
            Some((policy, reason)) => Err(Objection::Alone(policy, reason)),
        }
    }
}

/// The names of portal and prepared statement at the beginning of a Bind message.
fn bound(body: &[u8]) -> Option<[&[u8]; 2]> {
    let mut fields = Fields::new(b'B', body);
    Some([fields.text().ok()?, fields.text().ok()?])
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

#[cfg(test)]
mod tests;
