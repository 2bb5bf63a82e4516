//! What both ends of a transfer say to each other, read as it passes: which files, which way, how much of them, and how it
//! went.
//!
//! Pure: knows no channel and no recording, and changes nothing. Holds the lists of files (at most
//! [`HELD_MAX`](super::listing::HELD_MAX)) and of each direction no more than one thing that has not come whole
//! ([`THING_MAX`]). Where either end says what rsync does not say, that is the end of it.

use policies::words::rsync::{self as words, Lost, who};

use super::Invocation;
use super::frames::{Frames, Piece};
use super::greeting::Greeting;
use super::listing::Lists;
use super::options::Options;
use super::scene::Scene;
use super::sink::Sink;
use super::source::Source;
use super::telling::Telling;
use super::wire::Halt;
use crate::ssh::files::operation::{Ended, Operation};

/// The longest thing that is not taken as it comes, in bytes: an entry of a list without what follows it, one item of an
/// access list, one extended attribute.
pub(super) const THING_MAX: usize = 16 * 1024;

/// How long what stands before a message is, in bytes.
const HEAD: usize = 4;

/// What one step takes besides the bytes that it looks at, as many of which take as long.
const STEP: usize = 16;

/// A transfer whose files are told apart.
#[derive(Debug)]
pub(super) struct Streams {
    greeting: Greeting,
    up: Way,
    down: Way,
    /// Until both ends have agreed, there is nothing in it.
    scene: Scene,
    source: Source,
    sink: Sink,
    /// Which end said last that it ends, whether that is the client, and with which error.
    verdict: Option<(bool, i32)>,
    /// How much was looked at since that was asked.
    work: usize,
}

/// One direction.
#[derive(Debug, Default)]
struct Way {
    /// Whether what comes is in frames.
    framed: bool,
    frames: Frames,
    /// What has come of something that is not whole.
    part: Vec<u8>,
}

impl Streams {
    /// Before anything was said. Where an option is not known, that.
    pub(super) fn new(invocation: &Invocation) -> Result<Self, String> {
        let options = Options::of(invocation)?;
        let (rules, sends) = (options.has_rules(), options.sends);
        Ok(Self {
            greeting: Greeting::default(),
            up: Way::default(),
            down: Way::default(),
            scene: Scene {
                options,
                terms: super::greeting::Terms::default(),
                lists: Lists::default(),
                telling: Telling::new(invocation),
            },
            source: Source::new(rules && !sends),
            sink: Sink::new(rules && sends),
            verdict: None,
            work: 0,
        })
    }

    /// How much is held, about, in bytes.
    pub(super) fn held(&self) -> usize {
        let parts = self.up.part.len().saturating_add(self.down.part.len());
        self.scene.lists.held().saturating_add(parts)
    }

    /// How many operations were told and not taken.
    pub(super) fn waiting(&self) -> usize {
        self.scene.telling.told.len()
    }

    /// What was told since.
    pub(super) fn told(&mut self) -> Vec<Operation> {
        self.scene.telling.counted = 0;
        std::mem::take(&mut self.scene.telling.told)
    }

    /// How much was looked at since this was asked, about, in bytes.
    pub(super) fn worked(&mut self) -> usize {
        std::mem::take(&mut self.work)
    }

    /// One end has said this: how much of it was looked at. At least some is, and not much more than takes so much work.
    pub(super) fn take(
        &mut self,
        from_client: bool,
        bytes: &[u8],
        most: usize,
    ) -> Result<usize, Lost> {
        let behind;
        let mut rest = bytes;
        if !self.way(from_client).framed {
            let mut part = std::mem::take(&mut self.way(from_client).part);
            part.extend_from_slice(bytes);
            self.work = self.work.saturating_add(part.len());
            let (at, is_whole) = self.greeted(from_client, &part)?;
            behind = part.split_off(at.min(part.len()));
            if !is_whole {
                self.way(from_client).part = behind;
                return Ok(bytes.len());
            }
            rest = &behind;
        }
        let until = self.work.saturating_add(most);
        while !rest.is_empty() && self.work < until {
            self.work = self.work.saturating_add(STEP);
            let piece = self.way(from_client).frames.next(&mut rest)?;
            match piece {
                Some(Piece::Data(data)) => self.data(from_client, data)?,
                Some(Piece::Message(kind, text)) => self.message(from_client, kind, &text)?,
                None => {}
            }
        }
        Ok(bytes.len().saturating_sub(rest.len()))
    }

    /// How many of these bytes are the greeting of this end, and whether it is whole.
    fn greeted(&mut self, from_client: bool, part: &[u8]) -> Result<(usize, bool), Lost> {
        let mut at: usize = 0;
        loop {
            let more = part.get(at..).unwrap_or_default();
            match self.greeting.step(from_client, more, &self.scene.options) {
                Ok(Some(taken)) => at = at.saturating_add(taken),
                Ok(None) => {
                    self.agreed(from_client);
                    return Ok((at, true));
                }
                Err(Halt::Short) => return Ok((at, false)),
                Err(Halt::Lost(lost)) => return Err(lost),
            }
        }
    }

    /// It is over, or looked at no further: what has not passed whole.
    pub(super) fn finish(&mut self) -> Vec<Operation> {
        if let Some(going) = self.source.left() {
            self.scene.telling.ends(going, Ended::Unanswered);
        }
        self.told()
    }

    /// That nothing is told apart any more, because of what one end said.
    pub(super) fn lost(&mut self, from_client: bool, lost: Lost) {
        if let Some(going) = self.source.left() {
            self.scene.telling.ends(going, Ended::Unanswered);
        }
        self.scene
            .telling
            .lost(words::no_further(from_client, lost));
    }

    /// What is to be said of the whole of it.
    pub(super) fn notes(&self) -> Vec<String> {
        let mut notes = vec![words::passed(self.scene.telling.files)];
        notes.extend(self.scene.telling.unsaid());
        for (bit, what) in words::FAULTS {
            if self.source.faults & bit != 0 {
                notes.push(what.to_owned());
            }
        }
        let verdict = self.verdict;
        notes.extend(verdict.map(|(from_client, code)| words::ended_with(from_client, code)));
        notes
    }

    fn way(&mut self, from_client: bool) -> &mut Way {
        if from_client {
            &mut self.up
        } else {
            &mut self.down
        }
    }

    /// This end has nothing more to say before there are frames.
    fn agreed(&mut self, from_client: bool) {
        self.way(from_client).framed = true;
        if let Some(terms) = self.greeting.terms()
            && !from_client
        {
            self.scene.lists = Lists::new(terms.is_incremental());
            self.scene.terms = terms.clone();
        }
    }

    /// What is in frames.
    fn data(&mut self, from_client: bool, data: &[u8]) -> Result<(), Lost> {
        let is_source = from_client != self.scene.options.sends;
        let mut part = std::mem::take(&mut self.way(from_client).part);
        if part.is_empty() {
            let taken = self.said(is_source, data)?;
            part.extend_from_slice(data.get(taken..).unwrap_or_default());
        } else {
            part.extend_from_slice(data);
            let taken = self.said(is_source, &part)?;
            part.drain(..taken.min(part.len()));
        }
        self.way(from_client).part = part;
        Ok(())
    }

    /// How many bytes of what is in frames were taken. What is left is not whole.
    fn said(&mut self, is_source: bool, data: &[u8]) -> Result<usize, Lost> {
        let mut at: usize = 0;
        while let Some(rest) = data.get(at..)
            && !rest.is_empty()
        {
            // No further, so that the same is too long wherever it was cut.
            let rest = rest.get(..THING_MAX).unwrap_or(rest);
            let step = if is_source {
                self.source.step(rest, &mut self.scene)
            } else {
                self.sink.step(rest, &mut self.scene)
            };
            let looked = step.as_ref().map_or(rest.len(), |taken| *taken);
            self.work = self.work.saturating_add(looked).saturating_add(STEP);
            match step {
                Ok(taken) => {
                    at = at.saturating_add(taken);
                    self.scene.telling.passes(taken)?;
                }
                Err(Halt::Short) if rest.len() >= THING_MAX => return Err(Lost::Long),
                Err(Halt::Short) => break,
                Err(Halt::Lost(lost)) => return Err(lost),
            }
        }
        Ok(at)
    }

    /// A message between the data (`rsync.h`: `enum msgcode`).
    fn message(&mut self, from_client: bool, kind: u8, text: &[u8]) -> Result<(), Lost> {
        let is_source = from_client != self.scene.options.sends;
        let number = <[u8; 4]>::try_from(text).map(i32::from_le_bytes);
        let number = number.map_err(|_odd| Lost::Message);
        let telling = &mut self.scene.telling;
        match kind {
            // What is only said, and signs of life.
            2 | 4 | 33 | 42 => {}
            1 | 3 => telling.complaint(who(from_client), text),
            // What could not be read, only the source knows.
            22 => {
                if is_source {
                    self.source.faults |= number?;
                }
            }
            86 if text.is_empty() => {}
            86 => self.verdict = Some((from_client, number?)),
            // A source that removes nothing does not care.
            100 if from_client && !self.scene.options.removes_sources() => {}
            100 if !is_source => {
                let entry = self.scene.lists.tell(number?)?;
                telling.arrived(entry);
            }
            // A client's rsync deletes at its own end, and tells nobody.
            101 if !is_source && from_client => {}
            101 if !is_source => telling.deleted(text),
            102 if is_source => {
                let entry = self.scene.lists.tell(number?)?;
                telling.unsent(entry);
            }
            _ => return Err(Lost::Message),
        }
        self.scene.telling.passes(text.len().saturating_add(HEAD))
    }
}
