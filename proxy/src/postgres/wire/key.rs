//! The key by which a connection of its own has a server process stop what it does.

use std::fmt;

/// A key that stops what one server process is doing.
#[derive(Clone, PartialEq, Eq)]
pub(crate) struct BackendKey {
    /// The process.
    pub(crate) pid: i32,
    /// The secret.
    pub(crate) secret: Vec<u8>,
}

impl fmt::Debug for BackendKey {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "BackendKey({}, ..)", self.pid)
    }
}
