//! The text of a statement that does not run, where it is longer than its frame.
//!
//! The first mebibyte of it loses its passwords once the message is whole. What goes on behind that is written down as it
//! passes, and nobody knows yet what stands in the rest. So nothing of it is kept from where the word `password` has come
//! on, and how many bytes that are is told. Of a text that runs, or may, all is kept: it would be a way to keep SQL out of
//! the recording.

use std::ops::Range;

use super::noted::Noted;
use crate::postgres::statement::redact::Mention;
use crate::postgres::wire::scan::{KEPT_MAX, Message, Scanner};

/// One that is under way.
#[derive(Debug, Default)]
pub(super) struct Long {
    /// What came of it before was gone through.
    is_begun: bool,
    mention: Mention,
    /// How many bytes of it are not kept.
    withheld: u64,
}

impl Long {
    /// Looks at what `chunk`, which `scanner` has not seen yet, has of the message that is under way. Says where in it
    /// nothing is kept that is beyond the frame.
    pub(super) fn look(&mut self, scanner: &Scanner, chunk: &[u8]) -> Range<usize> {
        let part = chunk.get(..scanner.missing()).unwrap_or(chunk);
        let room = KEPT_MAX.saturating_sub(scanner.kept().len());
        let is_text = matches!(scanner.kind(), Some(b'Q' | b'P'));
        if !is_text || part.len() <= room {
            return 0..0;
        }
        if !std::mem::replace(&mut self.is_begun, true) {
            self.mention.find(scanner.kept());
        }
        let Some(end) = self.mention.find(part) else {
            return 0..0;
        };
        let withheld = end.max(room)..part.len();
        let bytes = u64::try_from(withheld.len()).unwrap_or(u64::MAX);
        self.withheld = self.withheld.saturating_add(bytes);
        withheld
    }

    /// What is told of a message of which not all is in its frame, now that it is whole.
    pub(super) fn omitted(
        &mut self,
        message: &Message<'_>,
        is_redacted: bool,
    ) -> Option<Noted<'static>> {
        let digest = message.digest?;
        let Self { withheld, .. } = std::mem::take(self);
        let kept = u64::try_from(message.body.len()).unwrap_or(u64::MAX);
        let rest = u64::from(message.length).saturating_sub(kept);
        // The rest of a text has passed in pieces.
        let is_text = matches!(message.kind, b'Q' | b'P');
        Some(Noted::Omitted {
            bytes: if is_text { withheld } else { rest },
            digest: (withheld == 0 && !is_redacted).then_some(digest),
        })
    }
}
