//! One operation on a file, as it was asked for and as it went.

use recorder::{FileOperation, FileOutcome, FileResult, Frame, Transfer};

/// Something that was asked for, or how it went.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Operation {
    pub(super) number: u64,
    /// One of our own names: nobody makes one up.
    action: &'static str,
    pub(super) path: Box<[u8]>,
    pub(super) to: Box<[u8]>,
    pub(super) detail: String,
    pub(super) outcome: Option<Outcome>,
}

#[derive(Debug, Clone, PartialEq, Eq)]
pub(super) struct Outcome {
    ended: Ended,
    pub(super) read: Transfer,
    pub(super) written: Transfer,
}

#[derive(Debug, Clone, PartialEq, Eq)]
pub(super) enum Ended {
    Done,
    Failed { code: u32, message: String },
    Refused,
    Unanswered,
}

impl Ended {
    fn outcome(self) -> Outcome {
        Outcome {
            ended: self,
            read: Transfer::default(),
            written: Transfer::default(),
        }
    }
}

impl Operation {
    pub(super) fn new(action: &'static str, path: &[u8], to: &[u8], detail: String) -> Self {
        Self {
            number: 0,
            action,
            path: path.into(),
            to: to.into(),
            detail,
            outcome: None,
        }
    }

    /// As the recording of the channel with this number has it.
    pub fn frame(&self, channel: u32) -> Frame<'_> {
        Frame::File(FileOperation {
            channel,
            id: self.number,
            action: self.action,
            path: &self.path,
            to: &self.to,
            detail: &self.detail,
            outcome: self.outcome.as_ref().map(|outcome| FileOutcome {
                result: match &outcome.ended {
                    Ended::Done => FileResult::Done,
                    Ended::Failed { code, message } => FileResult::Failed {
                        code: *code,
                        message,
                    },
                    Ended::Refused => FileResult::Refused,
                    Ended::Unanswered => FileResult::Unanswered,
                },
                read: outcome.read,
                written: outcome.written,
            }),
        })
    }

    pub(super) fn ended(mut self, ended: Ended) -> Self {
        self.outcome = Some(ended.outcome());
        self
    }

    /// Says one thing more about it.
    pub(super) fn note(&mut self, note: &str) {
        if !self.detail.is_empty() {
            self.detail.push_str(", ");
        }
        self.detail.push_str(note);
    }

    /// Whether it asks where names begin that do not begin with a slash.
    pub(super) fn asks_for_home(&self) -> bool {
        self.action == "realpath" && matches!(&*self.path, b"" | b".")
    }

    /// How much memory its texts take, in bytes.
    pub(super) fn size(&self) -> usize {
        let (action, detail) = (self.action.len(), self.detail.len());
        let texts = [action, self.path.len(), self.to.len(), detail];
        texts.into_iter().fold(0, usize::saturating_add)
    }

    /// Says what passed of its file, and what else there is to say of it.
    pub(super) fn sum_up(&mut self, read: Transfer, written: Transfer, notes: &[String]) {
        if let Some(outcome) = &mut self.outcome {
            (outcome.read, outcome.written) = (read, written);
        }
        let detail = std::iter::once(&self.detail).chain(notes);
        let said = detail.filter(|note| !note.is_empty()).cloned();
        self.detail = said.collect::<Vec<_>>().join(", ");
    }
}
