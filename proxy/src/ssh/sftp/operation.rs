//! One operation on a file, as it was asked for and as it went.

use std::borrow::Cow;

use recorder::{FileOperation, FileOutcome, FileResult, Frame, Transfer};

use super::files::Shut;

/// Something that was asked for, or how it went.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Operation {
    pub(super) number: u64,
    action: Cow<'static, str>,
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
    pub(super) fn new(
        action: impl Into<Cow<'static, str>>,
        path: &[u8],
        to: &[u8],
        detail: String,
    ) -> Self {
        Self {
            number: 0,
            action: action.into(),
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
            action: &self.action,
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

    pub(super) fn size(&self) -> usize {
        let text = self.path.len().saturating_add(self.to.len());
        text.saturating_add(self.detail.len())
    }

    /// Says what passed of its file.
    pub(super) fn sum_up(&mut self, shut: &Shut) {
        if let Some(outcome) = &mut self.outcome {
            (outcome.read, outcome.written) = (shut.read, shut.written);
        }
        let mut notes = vec![std::mem::take(&mut self.detail)];
        if shut.names > 0 {
            notes.push(format!("{} names", shut.names));
        }
        if shut.refused > 0 {
            notes.push(format!("{} bytes refused by the target", shut.refused));
        }
        notes.retain(|note| !note.is_empty());
        self.detail = notes.join(", ");
    }
}
