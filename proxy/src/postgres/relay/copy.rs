//! What each copy carries: counted and digested while it passes.
//!
//! A copy goes from the target's word that it begins to the word of whoever sends that this was all. That is
//! recorded before it is passed on, so how the statement went stands behind it. Keeps nothing of the data.

use std::fmt;

use aws_lc_rs::digest::{self, SHA256};
use recorder::{FileOperation, FileOutcome, FileResult, Frame, Transfer};

use super::noted::Noted;
use crate::postgres::wire::scan;

/// Which way a copy goes.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Way {
    /// `COPY … FROM STDIN`.
    In,
    /// `COPY … TO STDOUT`.
    Out,
}

/// How the data of a copy ended.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum CopyEnd {
    /// Who sent it said that this was all.
    Whole,
    /// The client gave it up, or the target did.
    Failed,
    /// tidegate did.
    Refused,
    /// The session ended.
    BrokenOff,
}

/// What may become of what comes from the target.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Prospect {
    /// It passes.
    Passes,
    /// It passes, unless the budget turns out to be used up.
    MayPass,
    /// Nothing that begins passes: a result is being cut off.
    Hidden,
}

/// The copies of one session, of which one at a time is under way.
#[derive(Debug, Default)]
pub(super) struct Copies {
    open: Option<Box<Running>>,
    /// The copy under way as it was before what is being read came.
    before: Option<Box<Running>>,
    is_hidden: bool,
}

/// A copy whose data passes.
#[derive(Clone)]
struct Running {
    statement: u64,
    way: Way,
    is_binary: bool,
    bytes: u64,
    newlines: u64,
    messages: u64,
    digest: digest::Context,
    /// How many bytes still pass of what comes, where it was cut off.
    left: Option<usize>,
}

/// A copy whose data has passed, to be recorded.
#[derive(Debug)]
pub(crate) struct Carried {
    statement: u64,
    way: Way,
    end: FileResult<'static>,
    is_binary: bool,
    bytes: u64,
    digest: [u8; 32],
    /// What else is told of it.
    detail: String,
}

impl Copies {
    /// The target says that a copy begins, and with the first byte of `told` whether it is text.
    pub(super) fn begins(&mut self, statement: u64, way: Way, told: &[u8]) {
        let mut copy = Running::new(statement, way, told.first().is_some_and(|byte| *byte != 0));
        copy.left = (way == Way::Out && self.is_hidden).then_some(0);
        self.open = Some(Box::new(copy));
    }

    /// Whether a copy goes this way.
    pub(super) fn goes(&self, way: Way) -> bool {
        self.open.as_ref().is_some_and(|copy| copy.way == way)
    }

    /// Takes a part of a message of copied data that goes on. Where no copy goes that way, nobody reads it.
    pub(super) fn takes(&mut self, way: Way, data: &[u8]) {
        if let Some(copy) = self.open.as_mut().filter(|copy| copy.way == way) {
            copy.take(data);
        }
    }

    /// Takes the last part of such a message.
    pub(super) fn takes_last(&mut self, way: Way, data: &[u8]) {
        if let Some(copy) = self.open.as_mut().filter(|copy| copy.way == way) {
            let passes = copy.left != Some(0);
            copy.take(data);
            copy.messages = copy.messages.saturating_add(u64::from(passes));
        }
    }

    /// The data of the copy that goes this way has ended.
    pub(super) fn ends(&mut self, way: Way, end: CopyEnd) -> Option<Carried> {
        let copy = self.open.take_if(|copy| copy.way == way)?;
        Some(copy.ended(end))
    }

    /// The data of whatever copy is under way has ended.
    pub(super) fn over(&mut self, end: CopyEnd) -> Option<Carried> {
        self.open.take().map(|copy| copy.ended(end))
    }

    /// Something is about to be read from the target.
    pub(super) fn expect(&mut self, prospect: Prospect) {
        self.is_hidden = prospect == Prospect::Hidden;
        self.before = match (&self.open, prospect) {
            (Some(copy), Prospect::MayPass) if copy.way == Way::Out => Some(copy.clone()),
            _other => None,
        };
    }

    /// What was read last does not pass, but for its beginning: `data` of a copy, and `owed` bytes in all that the
    /// client has still to get of the message that it belongs to. What is `noted` of it says so.
    pub(super) fn cut(&mut self, data: &[u8], owed: usize, noted: &mut [Noted<'_>]) {
        let mut before = self.before.take().map(|mut copy| {
            copy.left = Some(owed);
            copy.take(data);
            // Otherwise it counts as it ends.
            let is_whole = owed > 0 && data.len() == owed;
            copy.messages = copy.messages.saturating_add(u64::from(is_whole));
            copy
        });
        for noted in noted {
            if let Noted::Copied(carried) = noted
                && carried.way == Way::Out
            {
                let nothing = Running::cut(carried.statement, carried.is_binary);
                let copy = before.take().unwrap_or_else(|| Box::new(nothing));
                *carried = copy.ended(CopyEnd::Whole);
            }
        }
        if let Some(copy) = self.open.as_mut().filter(|copy| copy.way == Way::Out) {
            let nothing = Running::cut(copy.statement, copy.is_binary);
            *copy = before.take().unwrap_or_else(|| Box::new(nothing));
        }
    }
}

impl Running {
    fn new(statement: u64, way: Way, is_binary: bool) -> Self {
        Self {
            statement,
            way,
            is_binary,
            bytes: 0,
            newlines: 0,
            messages: 0,
            digest: digest::Context::new(&SHA256),
            left: None,
        }
    }

    /// A copy of which nothing passes.
    fn cut(statement: u64, is_binary: bool) -> Self {
        Self {
            left: Some(0),
            ..Self::new(statement, Way::Out, is_binary)
        }
    }

    fn take(&mut self, data: &[u8]) {
        let data = match &mut self.left {
            None => data,
            Some(left) => {
                let now = data.get(..*left).unwrap_or(data);
                *left = left.saturating_sub(now.len());
                now
            }
        };
        self.digest.update(data);
        self.bytes = self.bytes.saturating_add(count(data.len()));
        if !self.is_binary {
            self.newlines = self.newlines.saturating_add(newlines(data));
        }
    }

    fn ended(self, end: CopyEnd) -> Carried {
        let end = match (self.left, end) {
            (Some(_), CopyEnd::Whole | CopyEnd::Failed) | (_, CopyEnd::Refused) => {
                FileResult::Refused
            }
            (None, CopyEnd::Whole) => FileResult::Done,
            (None, CopyEnd::Failed) => FileResult::Failed {
                code: 0,
                message: "",
            },
            (_, CopyEnd::BrokenOff) => FileResult::Unanswered,
        };
        let detail = if self.is_binary {
            format!("binary messages={}", self.messages)
        } else {
            format!("text lines={}", self.newlines)
        };
        Carried {
            statement: self.statement,
            way: self.way,
            end,
            is_binary: self.is_binary,
            bytes: self.bytes,
            digest: scan::finish(self.digest),
            detail,
        }
    }
}

impl Carried {
    /// The frame for it.
    pub(super) fn frame(&self) -> Frame<'_> {
        let nothing = Transfer::default();
        let carried = Transfer {
            bytes: self.bytes,
            start: 0,
            digest: Some(self.digest),
        };
        let (action, read, written) = match self.way {
            Way::In => (FileOperation::COPY_IN, nothing, carried),
            Way::Out => (FileOperation::COPY_OUT, carried, nothing),
        };
        Frame::File(FileOperation {
            channel: 0,
            id: self.statement,
            action,
            path: b"",
            to: b"",
            detail: &self.detail,
            outcome: Some(FileOutcome {
                result: self.end,
                read,
                written,
            }),
        })
    }
}

impl fmt::Debug for Running {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Running")
            .field("statement", &self.statement)
            .field("way", &self.way)
            .field("bytes", &self.bytes)
            .finish_non_exhaustive()
    }
}

/// How many lines end in it, as `wc -l` counts them. In groups whose count fits in a byte, which a processor adds up
/// many at a time.
fn newlines(data: &[u8]) -> u64 {
    let group = |group: &[u8]| -> u8 { group.iter().map(|byte| u8::from(*byte == b'\n')).sum() };
    data.chunks(255).map(|bytes| u64::from(group(bytes))).sum()
}

fn count(length: usize) -> u64 {
    u64::try_from(length).unwrap_or(u64::MAX)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn every_end_of_a_line_is_counted() {
        for (data, want) in [
            (Vec::new(), 0),
            (b"a\nb".to_vec(), 1),
            (vec![b'\n'; 254], 254),
            (vec![b'\n'; 255], 255),
            (vec![b'\n'; 100_000], 100_000),
        ] {
            assert_eq!(newlines(&data), want);
        }
    }
}
