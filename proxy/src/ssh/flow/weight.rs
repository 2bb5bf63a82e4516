//! What is held for a session besides the bytes that wait: the pool has to see it too.

use std::sync::Arc;

use super::{Flow, signed};

/// How much something holds for a session, in bytes. Nothing once it is dropped.
#[derive(Debug)]
pub struct Weight {
    flow: Arc<Flow>,
    bytes: i64,
}

impl Weight {
    /// Nothing yet.
    pub(in crate::ssh) fn none(flow: Arc<Flow>) -> Self {
        Self { flow, bytes: 0 }
    }

    /// So much is held from here on.
    pub fn set(&mut self, bytes: usize) {
        let before = std::mem::replace(&mut self.bytes, signed(bytes));
        self.flow.weighs(self.bytes.saturating_sub(before));
    }
}

impl Drop for Weight {
    fn drop(&mut self) {
        self.set(0);
    }
}
