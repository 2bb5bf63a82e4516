//! How much of one file passed one way, and its digest.

use aws_lc_rs::digest::{Context, SHA256};
use recorder::Transfer;

/// How much passed of one file, one way.
#[derive(Default)]
pub(super) struct Sum {
    bytes: u64,
    /// Where the first bytes stand in the file.
    start: Option<u64>,
    /// Where the next ones stand, if they follow.
    next: u64,
    /// How many bytes were refused after they had passed.
    pub(super) refused: u64,
    /// How many passed that the target never said it has.
    pub(super) unanswered: u64,
    /// How many passed of what was cut off, so that the target never had the whole of it.
    pub(super) cut: u64,
    digest: Option<Context>,
    /// Whether something stood elsewhere than where it would follow, was refused, or may not be there.
    torn: bool,
}

impl std::fmt::Debug for Sum {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.debug_struct("Sum")
            .field("bytes", &self.bytes)
            .field("torn", &self.torn)
            .finish_non_exhaustive()
    }
}

impl Sum {
    /// So many bytes are to follow, which stand there in the file. Those count that come.
    pub(super) fn begin(&mut self, offset: u64, length: u32) {
        let follows = self.start.is_none() || self.next == offset;
        self.start.get_or_insert(offset);
        self.torn |= !follows;
        self.next = offset.saturating_add(u64::from(length));
    }

    /// Some of them.
    pub(super) fn take(&mut self, bytes: &[u8]) {
        let length = u64::try_from(bytes.len()).unwrap_or(u64::MAX);
        self.bytes = self.bytes.saturating_add(length);
        self.digest
            .get_or_insert_with(|| Context::new(&SHA256))
            .update(bytes);
    }

    /// The file gets this size, or other contents of which nothing is known. To be empty before anything is in it, or as
    /// long as what is, changes nothing.
    pub(super) fn resize(&mut self, size: Option<u64>) {
        let end = match self.start {
            None => 0,
            Some(_) => self.next,
        };
        self.torn |= size != Some(end);
    }

    /// So many of them came to nothing.
    pub(super) fn refuse(&mut self, length: u32) {
        self.refused = self.refused.saturating_add(u64::from(length));
        self.torn = true;
    }

    /// Whether so many of them are in the file, the target never said.
    pub(super) fn leave(&mut self, length: u32) {
        self.unanswered = self.unanswered.saturating_add(u64::from(length));
        self.torn = true;
    }

    /// So many of them are all that came of what was to come at once, and are in no file.
    pub(super) fn cut(&mut self, length: u32) {
        self.cut = self.cut.saturating_add(u64::from(length));
        self.torn = true;
    }

    /// The SHA-256 of what passed, in the order in which it passed, where that is not the file's: it did not follow,
    /// or was refused.
    pub(super) fn as_passed(&self) -> Option<String> {
        let digest = self.digest.clone().filter(|_| self.torn)?;
        Some(policies::hex(digest.finish().as_ref()))
    }

    /// All of it. The digest is that of the bytes as they stand in the file, if it is known.
    pub(super) fn finish(self) -> Transfer {
        let digest = self.digest.filter(|_| !self.torn);
        let lost = self.refused.saturating_add(self.cut);
        Transfer {
            bytes: self.bytes.saturating_sub(lost),
            start: self.start.unwrap_or_default(),
            digest: digest.and_then(|digest| digest.finish().as_ref().try_into().ok()),
        }
    }
}

/// A stream, as it passes: each byte follows the one before.
#[derive(Debug, Default)]
pub(super) struct Stream {
    sum: Sum,
    at: u64,
}

impl Stream {
    /// More of it. An empty piece is none: a stream is told of alike wherever it was cut.
    pub(super) fn take(&mut self, bytes: &[u8]) {
        if bytes.is_empty() {
            return;
        }
        let length = u32::try_from(bytes.len()).unwrap_or(u32::MAX);
        self.sum.begin(self.at, length);
        self.sum.take(bytes);
        self.at = self.at.saturating_add(u64::from(length));
    }

    /// That it is one, even where nothing passes: that has a digest too.
    pub(super) fn open(&mut self) {
        self.sum.take(&[]);
    }

    /// Whether nothing has passed.
    pub(super) fn is_empty(&self) -> bool {
        self.at == 0
    }

    /// All of it.
    pub(super) fn finish(self) -> Transfer {
        self.sum.finish()
    }
}
