//! The spine: the life of every session, on one page. The only place where the order of a session's
//! events is written.
//!
//! Nothing here knows a protocol, and no protocol knows this order. Bytes reach a target only below
//! a permit, a lease, an open recording and a fresh certificate. Whatever ends a session, its
//! target's socket goes first; the client is told afterwards, if it listens.

use std::time::Duration;

pub mod incoming;
pub mod protocol;
pub mod scope;
pub mod severable;

/// How long a client may take to say who it is, from accept to the end of authentication.
///
/// OpenSSH waits 120 s by default (`LoginGraceTime` in `sshd_config(5)`), PostgreSQL 60 s
/// (`authentication_timeout`). We hold no state worth that much patience.
pub const GREETING_LIMIT: Duration = Duration::from_secs(20);

/// How long a client may take to hear why its session ended before its socket goes.
pub const FAREWELL_LIMIT: Duration = Duration::from_millis(300);

/// How long the stopping of work at the target may take before it is recorded as not seen.
pub const HALT_LIMIT: Duration = Duration::from_secs(2);
