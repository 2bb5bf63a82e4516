//! Credentials that do not end by themselves, on the wire: handed in, and never given back.

use std::fmt;

use jiff::Timestamp;
use policies::Entry;
use serde::{Deserialize, Serialize};
use zeroize::Zeroize;

/// What a target is entered with that knows no certificates. Prints as `(..)`, is zeroed on drop, and is
/// answered by nothing.
#[derive(Clone, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct SecretOrder {
    /// `key` or `password`.
    pub entry: Entry,
    /// A private key in OpenSSH's form, or a password.
    pub text: String,
}

impl fmt::Debug for SecretOrder {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("SecretOrder(..)")
    }
}

impl Drop for SecretOrder {
    fn drop(&mut self) {
        self.text.zeroize();
    }
}

/// A credential that does not end by itself, as it is shown.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct StandingView {
    /// `key` or `password`.
    pub entry: Entry,
    /// `SHA256:…` of a key.
    pub fingerprint: Option<String>,
    /// Since when it is kept.
    pub kept_at: Timestamp,
}
