//! A write on its way: its packet says how much it has before that comes, and its answer comes when all of it is there.

use super::Talk;
use super::waiting::Waiting;

/// The write whose contents come from the client.
#[derive(Debug, Clone, Copy)]
pub(super) struct Writing {
    id: u32,
    /// The number of its file.
    pub(super) of: u64,
    length: u32,
    /// How many bytes of it are to come.
    left: u32,
}

impl Writing {
    /// One of so many bytes, none of which has come.
    pub(super) fn new(id: u32, of: u64, length: u32) -> Self {
        Self {
            id,
            of,
            length,
            left: length,
        }
    }
}

impl Talk {
    /// More of what is written.
    pub(super) fn write(&mut self, bytes: &[u8]) {
        let Some(write) = &mut self.writing else {
            return;
        };
        let length = u32::try_from(bytes.len()).unwrap_or(u32::MAX);
        write.left = write.left.saturating_sub(length);
        if let Some(file) = self.files.asked(write.of) {
            file.written.take(bytes);
        }
    }

    /// Whether some of this request is still to come, so that no target can answer it.
    pub(super) fn is_cut(&self, id: u32) -> bool {
        self.cut_off().is_some_and(|write| write.id == id)
    }

    /// The conversation is over: what was written and not answered is in its file or not, and what was cut off is not.
    pub(super) fn doubt(&mut self) {
        let cut = self.cut_off();
        self.writing = None;
        for (id, waiting) in &self.waiting {
            let Waiting::Write { of, length, .. } = waiting else {
                continue;
            };
            let Some(file) = self.files.asked(*of) else {
                continue;
            };
            match cut.filter(|write| write.id == *id) {
                Some(write) => file.written.cut(write.length.saturating_sub(write.left)),
                None => file.written.leave(*length),
            }
        }
    }

    fn cut_off(&self) -> Option<Writing> {
        self.writing.filter(|write| write.left > 0)
    }
}
