//! Each kind of message of a client that runs something, judged.
//!
//! One that is malformed passes: whoever forwards it sees that too, and ends the session.

use std::sync::Arc;
use std::time::Duration;

use policies::HeldStatement;

use super::earlier::Earlier;
use super::second::{self, Behind, Cursor, Held, Unshowable};
use super::unnamed::Version;
use super::work::{LOOKUP_BYTES, TEXT_BYTE};
use super::{Bench, Gate, Judged, NAMES_MAX, Objection, unshowable};
use crate::postgres::statement::Reading;
use crate::postgres::wire::{self, Bind, HEADER, Parse};

impl Gate {
    pub(super) fn judge_query(&mut self, body: &[u8], bench: &impl Bench, at: Duration) -> Judged {
        let Ok(text) = wire::query(body) else {
            return Judged::Passes;
        };
        let reading = self.read(text);
        match self.judge(&reading, bench) {
            Ok(()) => {
                self.runs(&reading);
                Judged::Passes
            }
            Err(Objection::Refused(refusal)) => Judged::Refused(refusal),
            Err(Objection::Later) => self.later(text),
            // Whoever says yes to it has read it, and it has no PREPARE in it.
            Err(Objection::Alone(policy, reason)) => {
                let held = second::held((b'Q', b""), text, None);
                let waits = self.hold(held, &reading, (policy, reason), at);
                waits.unwrap_or_else(|| self.pass_seconded(b"", &reading))
            }
        }
    }

    pub(super) fn judge_parse(
        &mut self,
        body: &[u8],
        next: &[u8],
        bench: &impl Bench,
        at: Duration,
    ) -> Judged {
        let Ok(Parse { name, text }) = wire::parse(body) else {
            return Judged::Passes;
        };
        if self.closings.is_open(name) {
            return Judged::Unsettled;
        }
        let reading = self.read(text);
        match self.judge(&reading, bench) {
            Ok(()) => return self.pass_parse(name, &reading, None),
            Err(Objection::Refused(refusal)) => return Judged::Refused(refusal),
            Err(Objection::Later) => return self.later(text),
            Err(Objection::Alone(..)) if text.len() > HeldStatement::TEXT_MAX => {
                return unshowable(Unshowable::Long);
            }
            // A name that may have stood for something else would run what nobody was shown.
            Err(Objection::Alone(..)) if !self.is_fresh(name, text) => {
                return unshowable(Unshowable::Unknown);
            }
            Err(Objection::Alone(policy, reason)) => {
                let held = match second::behind(next, name) {
                    Behind::More(bytes) => {
                        let here = body.len().saturating_add(HEADER);
                        return Judged::Partial(here.saturating_add(bytes));
                    }
                    Behind::Long => return unshowable(Unshowable::Long),
                    Behind::Nothing => second::held((b'P', name), text, None),
                    Behind::Bind(bind) => second::held((b'P', name), text, Some(&bind)),
                };
                if let Some(waits) = self.hold(held, &reading, (policy, reason), at) {
                    return waits;
                }
            }
        }
        self.pass_parse(name, &reading, Some(text))
    }

    pub(super) fn judge_bind(
        &mut self,
        [portal, name]: [&[u8]; 2],
        (body, length): (Option<&[u8]>, usize),
        bench: &impl Bench,
        at: Duration,
    ) -> Judged {
        let Version {
            reading,
            text,
            is_hot,
        } = self.version(name);
        let judged = self.judge(&reading, bench);
        let is_objected = matches!(judged, Err(Objection::Alone(..) | Objection::Refused(_)));
        if name.is_empty() && self.unnamed.is_open() && (is_hot || is_objected) {
            return Judged::Unsettled;
        }
        let (policy, reason) = match judged {
            // One that once stood for a text that needs a second person, and now for another as well.
            Ok(()) if is_hot && text.is_none() => return unshowable(Unshowable::Unknown),
            Ok(()) => {
                self.binds(portal, &reading);
                return Judged::Passes;
            }
            Err(Objection::Refused(refusal)) => return Judged::Refused(refusal),
            Err(Objection::Later) => return Judged::Later,
            Err(Objection::Alone(policy, reason)) => (policy, reason),
        };
        let Some(text) = text else {
            return unshowable(Unshowable::Unknown);
        };
        if length > HeldStatement::VALUES_MAX.saturating_mul(2) {
            return unshowable(Unshowable::Long);
        }
        let Some(body) = body else {
            return Judged::Partial(length.saturating_add(HEADER));
        };
        let Ok(bind): Result<Bind<'_>, _> = wire::bind(body) else {
            return Judged::Passes;
        };
        let held = second::held((b'B', name), &text, Some(&bind));
        self.hold(held, &reading, (policy, reason), at)
            .unwrap_or_else(|| self.pass_seconded(portal, &reading))
    }

    /// Judges an Execute once more, where its portal runs something by its name: the server looks only now what
    /// that stands for. `body` is its own, where it is all there.
    pub(super) fn judge_execute(&mut self, body: Option<&[u8]>, bench: &impl Bench) -> Judged {
        let portal = body.and_then(|body| wire::execute(body).ok());
        let mut earlier = Earlier::default();
        for others in self.portals.watched(portal) {
            match self.judge_beside(&others, &mut earlier, bench) {
                Ok(()) => self.runs(&others),
                Err(Objection::Refused(refusal)) => return Judged::Refused(refusal),
                Err(Objection::Later) => return Judged::Later,
                // What it runs was not shown to anybody with it.
                Err(Objection::Alone(..)) => return unshowable(Unshowable::Unknown),
            }
        }
        self.executes(portal);
        Judged::Passes
    }

    /// What a text would do.
    fn read(&mut self, text: &[u8]) -> Arc<Reading> {
        if let Some(reading) = self.progress.read(text) {
            return reading;
        }
        if let Some(reading) = self.known.get(text) {
            self.share.takes(text.len() / LOOKUP_BYTES);
            return reading;
        }
        self.share.takes(TEXT_BYTE.saturating_mul(text.len()));
        self.known.read(text)
    }

    /// The rest of a text is asked about in the next turn.
    fn later(&mut self, text: &[u8]) -> Judged {
        self.progress.keep_text(text);
        Judged::Later
    }

    /// What a second person has said yes to passes. Of a cursor and a portal that has a name more can be fetched.
    fn pass_seconded(&mut self, portal: &[u8], reading: &Reading) -> Judged {
        if reading.holds_cursor || reading.may_do_anything() {
            self.second.opens_cursor(Cursor::Held);
        } else if !portal.is_empty() || reading.opens_cursor {
            self.second.opens_cursor(Cursor::Passing);
        }
        Judged::Passes
    }

    /// Nothing for what a second person has said yes to; anything else has to wait, if it can.
    fn hold(
        &mut self,
        held: Result<Held, Unshowable>,
        reading: &Reading,
        (policy, reason): (String, String),
        at: Duration,
    ) -> Option<Judged> {
        match held {
            Err(why) => Some(unshowable(why)),
            Ok(held) if self.second.spend(&held.pass, at) => None,
            Ok(held) => Some(Judged::Held(Box::new(Held {
                statements: reading.statements.clone(),
                policy,
                reason,
                ..held
            }))),
        }
    }

    /// What a Bind of this name is of.
    fn version(&mut self, name: &[u8]) -> Version {
        if name.is_empty() {
            let version = self.unnamed.version();
            // It may have been put together just now.
            if self.unnamed.is_open() {
                self.share.takes(version.reading.weight());
            }
            return version;
        }
        let reading = self.prepared.get(name);
        Version {
            reading: reading.unwrap_or_else(|| Arc::new(Reading::unknown())),
            text: self.second.text(name).map(Arc::from),
            is_hot: self.second.is_hot(name),
        }
    }

    /// Keeps what a Parse that passes stands for; `seconded` is its text where a second person has said
    /// yes to it.
    fn pass_parse(
        &mut self,
        name: &[u8],
        reading: &Arc<Reading>,
        seconded: Option<&[u8]>,
    ) -> Judged {
        let looked = if name.is_empty() {
            self.unnamed.prepared(reading, seconded)
        } else {
            self.second.prepared(name, seconded);
            self.prepared.put(name, reading)
        };
        self.share.takes(looked);
        Judged::Passes
    }

    /// A Parse whose text is too long to be read, where everything is permitted. `beginning` is what there is of it.
    pub(super) fn pass_unread(&mut self, beginning: &[u8]) -> Judged {
        let name = match wire::parse_beginning(beginning) {
            Ok(Parse { name, .. }) => name,
            Err(_no_end) if beginning.len() < NAMES_MAX => return Judged::Partial(0),
            // The server looks at much less of it.
            Err(_no_end) => beginning.get(..NAMES_MAX).unwrap_or(beginning),
        };
        self.pass_parse(name, &Arc::new(Reading::unknown()), None)
    }

    /// Whether a text that needs a second person may be prepared under this name: it is the one
    /// without a name, or has never stood for anything else.
    fn is_fresh(&self, name: &[u8], text: &[u8]) -> bool {
        if name.is_empty() {
            return true;
        }
        let known = match self.second.text(name) {
            Some(known) => known == text,
            None => !self.second.is_hot(name) && self.prepared.is_free(name),
        };
        self.second.has_room(name) && known
    }
}
