//! What is open, and how much of it has been read and written.

use std::collections::HashMap;

use aws_lc_rs::digest::{Context, SHA256};
use recorder::Transfer;

use super::packet::Unclear;

/// How many files and directories may be open at once. `OpenSSH`'s server has at most as many as it
/// may have descriptors.
const OPEN_MAX: usize = 4096;

/// How much passed of one file, one way.
#[derive(Default)]
pub(super) struct Sum {
    bytes: u64,
    /// Where the first bytes stand in the file.
    start: Option<u64>,
    /// Where the next ones stand, if they follow.
    next: u64,
    /// How many bytes were refused after they had passed.
    refused: u64,
    digest: Option<Context>,
    /// Whether something stood elsewhere than where it would follow, or was refused.
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
    /// So many bytes follow, which stand there in the file.
    pub(super) fn begin(&mut self, offset: u64, length: u32) {
        let follows = self.start.is_none() || self.next == offset;
        self.start.get_or_insert(offset);
        self.torn |= !follows;
        self.bytes = self.bytes.saturating_add(u64::from(length));
        self.next = offset.saturating_add(u64::from(length));
    }

    /// Some of them.
    pub(super) fn take(&mut self, bytes: &[u8]) {
        if self.torn {
            self.digest = None;
        } else {
            self.digest
                .get_or_insert_with(|| Context::new(&SHA256))
                .update(bytes);
        }
    }

    /// So many of them came to nothing.
    pub(super) fn refuse(&mut self, length: u32) {
        self.refused = self.refused.saturating_add(u64::from(length));
        self.torn = true;
    }

    fn finish(self) -> Transfer {
        let digest = self.digest.filter(|_| !self.torn);
        Transfer {
            bytes: self.bytes.saturating_sub(self.refused),
            start: self.start.unwrap_or_default(),
            digest: digest.and_then(|digest| digest.finish().as_ref().try_into().ok()),
        }
    }
}

/// One open file or directory.
#[derive(Debug)]
pub(super) struct Open {
    pub(super) path: Box<[u8]>,
    pub(super) read: Sum,
    pub(super) written: Sum,
    /// How many names of a directory were read.
    pub(super) names: u64,
}

/// One that was closed.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(super) struct Shut {
    pub(super) path: Box<[u8]>,
    pub(super) read: Transfer,
    pub(super) written: Transfer,
    pub(super) names: u64,
    pub(super) refused: u64,
}

/// Everything that is open, by handle.
#[derive(Debug, Default)]
pub(super) struct Files(HashMap<Box<[u8]>, Open>);

impl Files {
    /// The target opened this.
    pub(super) fn open(&mut self, handle: &[u8], path: Box<[u8]>) -> Result<(), Unclear> {
        if self.0.len() >= OPEN_MAX {
            return Err(Unclear::Flood);
        }
        let open = Open {
            path,
            read: Sum::default(),
            written: Sum::default(),
            names: 0,
        };
        match self.0.insert(handle.into(), open) {
            None => Ok(()),
            // Two files by one name: whichever the target means, we might mean the other.
            Some(_) => Err(Unclear::Handle),
        }
    }

    /// What has this handle.
    pub(super) fn get(&mut self, handle: &[u8]) -> Result<&mut Open, Unclear> {
        self.0.get_mut(handle).ok_or(Unclear::Handle)
    }

    /// It is closed.
    pub(super) fn close(&mut self, handle: &[u8]) -> Option<Shut> {
        self.0.remove(handle).map(shut)
    }

    /// The conversation is over; what is still open.
    pub(super) fn close_all(&mut self) -> Vec<Shut> {
        let mut left = self
            .0
            .drain()
            .map(|(_, open)| shut(open))
            .collect::<Vec<_>>();
        left.sort_by(|one, other| one.path.cmp(&other.path));
        left
    }
}

fn shut(open: Open) -> Shut {
    Shut {
        path: open.path,
        refused: open.written.refused,
        read: open.read.finish(),
        written: open.written.finish(),
        names: open.names,
    }
}
