//! The file whose contents pass.

use crate::ssh::files::sum::Sum;

/// The file at hand.
#[derive(Debug)]
pub(super) struct File {
    pub(super) path: Box<[u8]>,
    pub(super) to: Box<[u8]>,
    pub(super) number: u64,
    pub(super) sum: Sum,
    at: u64,
    /// What the source complained of.
    pub(super) complaint: Option<String>,
}

impl File {
    /// None of it has come.
    pub(super) fn new(path: Box<[u8]>, to: Box<[u8]>, number: u64) -> Self {
        let mut sum = Sum::default();
        // An empty file has a digest too.
        sum.take(&[]);
        Self {
            path,
            to,
            number,
            sum,
            at: 0,
            complaint: None,
        }
    }

    /// Takes more of what is in it.
    pub(super) fn take(&mut self, bytes: &[u8]) {
        let length = u32::try_from(bytes.len()).unwrap_or(u32::MAX);
        self.sum.begin(self.at, length);
        self.sum.take(bytes);
        self.at = self.at.saturating_add(u64::from(length));
    }
}
