//! Reads what was signed with code that had no part in making it, and compares it with the intent.
//!
//! SSH certificates are built by `ssh-key` and signed by aws-lc; here their bytes are read by a
//! reader of our own and the signature is verified by `ssh-key`. X.509 certificates are built by
//! rcgen; here x509-parser reads them and webpki verifies them as a TLS peer would.

mod ssh;
mod x509;

use jiff::Timestamp;

pub(crate) use ssh::ssh;
pub(crate) use x509::x509;

use crate::IssueError;

/// Seconds since 1970, as SSH certificates count them.
pub(crate) fn unix(at: Timestamp) -> Result<u64, IssueError> {
    u64::try_from(at.as_second()).map_err(|_negative| IssueError::Time)
}

/// `Ok` if the fact holds, else what differs.
fn same(fact: bool, what: &'static str) -> Result<(), IssueError> {
    fact.then_some(()).ok_or(IssueError::Differs(what))
}

#[cfg(test)]
mod tests;
