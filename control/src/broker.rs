//! The one thing that other crates see of the truth: questions to it and changes of it.
//!
//! Every change is decided by `policies`, appended to the log, and applied before the caller gets an
//! answer; so when `revoke` returns, the leases it ends are over. What only takes away ends them before
//! it is appended. Knows nothing about wires.

mod admission;
mod ahead;
mod alias;
mod answerers;
mod audit;
mod budgets;
mod desk;
mod grants;
mod lanes;
mod listing;
mod locks;
mod log;
mod logins;
mod lookup;
mod office;
mod onetime;
mod particulars;
mod policy;
mod principals;
mod proving;
mod quota;
mod recent;
mod recorded;
mod recovery;
mod refusals;
mod replays;
mod requests;
mod roles;
mod seconding;
mod sessions;
mod standing;
mod start;
mod targets;
mod transit;
mod turns;
mod view;

use std::net::IpAddr;
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, AtomicU64, Ordering};
use std::time::Duration;

use ca::LOGIN_LIFETIME_MAX;
use jiff::SignedDuration;
use policies::words::broker::{Conflict, Invalid, unkept};
use policies::words::{Shown, Words};
use policies::{Denial, Part, Permit, PrincipalName, SessionId, SeverReason};
use tokio::sync::{mpsc, watch};

use crate::clock::Clock;
use crate::feed::Order;
use crate::journal::LedgerJournal;
use crate::lately::Lately;
use crate::lease::Lease;
use crate::lease::book::LeaseBook;
use crate::ledger::roots::Roots;
use crate::ledger::{chain, tail};
use crate::onetime::OneTimePasswords;
use crate::roles::Roles;
use crate::spending::Spending;
use crate::state::State;
use crate::store::Backend;
use crate::watchman::Health;

use self::logins::Logins;
use self::proving::Signed;
use self::quota::OwnKills;
use self::refusals::Refusals;
use self::replays::Replays;
use self::turns::Turns;

pub use self::audit::Found;
pub use self::locks::LocksSeen;
pub use self::logins::Acquaintance;
pub use self::onetime::SecretWish;
pub(crate) use self::particulars::becoming;
pub use self::policy::Applied;
pub(crate) use self::recovery::Newest;
pub use self::recovery::Waiting;
pub use self::requests::{Asking, Petition, RequestFilter};
pub use self::roles::KnownRole;
pub use self::seconding::Heard;
pub use self::start::StartError;
pub(crate) use self::targets::entered_so;
pub use self::targets::{Access, TargetView};
#[cfg(test)]
pub(crate) use self::view::asked;

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
    /// How long live sessions go on while the store does not answer. Anything outside of
    /// [`Settings::BLIND_LIMITS`] is brought into it.
    pub blind_limit: Duration,
    /// How long a request waits for an answer.
    pub request_limit: SignedDuration,
    /// How long a login's certificates live at the longest. More than what the authority signs,
    /// [`LOGIN_LIFETIME_MAX`], is that.
    pub login_lifetime: SignedDuration,
    /// How many sessions one principal may have at once.
    pub per_principal: usize,
    /// How many of these may be at one database server: whoever had all of its connections could keep what
    /// they had running from being stopped.
    pub per_database: usize,
    /// Whether clients without certificates may come in with one-time passwords.
    pub one_time_passwords: OneTimePasswords,
    /// Whether the wall is believed at the start even where it is behind the log: for an operator
    /// whose clock was ahead when the log was written.
    pub believe_clock: bool,
    /// Whether the log is believed at the start even where it is not the one that the ledger tells of: for
    /// an operator who has nothing better to restore. It is in the ledger.
    pub believe_log: bool,
}

impl Settings {
    /// The shortest and the longest that sessions may go on without a store.
    pub const BLIND_LIMITS: (Duration, Duration) =
        (Duration::from_secs(1), Duration::from_secs(300));
}

impl Default for Settings {
    fn default() -> Self {
        Self {
            blind_limit: Duration::from_secs(30),
            request_limit: SignedDuration::from_hours(1),
            login_lifetime: SignedDuration::from_hours(8),
            per_principal: 256,
            per_database: 64,
            one_time_passwords: OneTimePasswords::Offered,
            believe_clock: false,
            believe_log: false,
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
    store: Backend,
    clock: Clock,
    settings: Settings,
    state: watch::Receiver<Arc<State>>,
    /// The revision of that, for whoever looks often.
    edition: Arc<AtomicU64>,
    orders: mpsc::Sender<Order>,
    book: Arc<LeaseBook>,
    health: Arc<Health>,
    journal: LedgerJournal,
    roles: Roles,
    spending: Spending,
    lately: Lately,
    /// How far log and ledger were proven, where somebody signs that.
    signed: Option<Signed>,
    /// Which recordings there are, as far as somebody asked.
    recorded: Roots,
    /// Who was refused something of late.
    refusals: Refusals,
    /// Who was handed recordings of late.
    replays: Replays,
    /// Who ended sessions of their own of late.
    own_kills: OwnKills,
    /// Whose logins fresh keys are.
    logins: Logins,
    /// Whose turn it is to change the log.
    turns: Turns,
    /// Whether nobody is let in any more.
    stopping: AtomicBool,
    /// Tells the watchman that the broker is gone, by being dropped.
    _alive: watch::Sender<()>,
}

impl Broker {
    /// The clock.
    pub fn clock(&self) -> &Clock {
        &self.inner.clock
    }

    /// How long a login's certificates live at the longest.
    pub(crate) fn login_lifetime(&self) -> SignedDuration {
        self.inner.settings.login_lifetime.min(LOGIN_LIFETIME_MAX)
    }

    /// Where certificates are written down before they are signed.
    pub fn journal(&self) -> &LedgerJournal {
        &self.inner.journal
    }

    /// Ends every session because the server is stopping, and lets nobody in any more.
    pub fn stop(&self) {
        self.inner.book.close(&SeverReason::Stopping);
    }

    /// Returns when one of the tasks has ended that follow the log and end leases. Every lease is over then, and nobody
    /// gets in until the server is started again.
    pub async fn blinded(&self) {
        self.inner.book.shut().await;
        if self.inner.book.closed() != Some(SeverReason::Blind) {
            // It was stopped.
            std::future::pending::<()>().await;
        }
    }

    /// The last line of the ledger and its digest in hexadecimal: to be kept elsewhere.
    ///
    /// # Errors
    ///
    /// [`BrokerError::Unavailable`] when the store does not answer.
    pub async fn ledger_head(&self) -> Result<(u64, String), BrokerError> {
        let end = tail::end(&self.inner.store).await;
        let (seq, digest) = end.map_err(|error| BrokerError::store(&error))?;
        Ok((seq, chain::hex(&digest)))
    }

    /// Lets nobody in any more because the server is about to stop. Who is in goes on.
    pub fn refuse_newcomers(&self) {
        self.inner.stopping.store(true, Ordering::SeqCst);
    }

    /// Ends every live session, for a reason that is not about any one of them.
    pub fn end_all(&self, reason: &SeverReason) {
        self.inner.book.sever_all(reason);
    }

    /// Ends one session for a reason that is not in the log, for example that its recording cannot
    /// go on.
    pub fn end_session(&self, session: SessionId, reason: SeverReason) {
        self.inner.book.sever(session, reason);
    }
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
    #[error("the policies say no: {}", .0.words().code)]
    Denied(Denial),
    /// It clashes with what is so by now.
    #[error("it clashes with what is so: {}", .0.words().code)]
    Conflict(Conflict),
    /// There is nothing of that name that the caller may see.
    #[error("find `{what}`")]
    NotFound {
        /// What they named.
        what: String,
    },
    /// It makes no sense as it was asked.
    #[error("it makes no sense: {}", .0.words().code)]
    Invalid(Invalid),
    /// Something was to be taken away and the store did not take that. What was cut stays cut; as far as is known
    /// nothing is ended by it.
    #[error("the store does not take what was taken away")]
    Unkept {
        /// How many sessions were cut.
        cut: usize,
    },
    /// A part of the bastion does not answer. It may have been done or not.
    #[error("the {part:?} does not answer")]
    Unavailable {
        /// Which.
        part: Part,
    },
}

impl BrokerError {
    /// The operator reads what the store said; the caller only that it does not answer.
    pub(crate) fn store(error: &(dyn std::error::Error + 'static)) -> Self {
        tracing::error!(error, "store.unusable");
        Self::Unavailable { part: Part::Store }
    }
}

impl From<Denial> for BrokerError {
    fn from(denial: Denial) -> Self {
        match denial {
            Denial::NotFound { what } => Self::NotFound { what },
            Denial::Unavailable { part } => Self::Unavailable { part },
            Denial::NoGrant { .. }
            | Denial::Pending { .. }
            | Denial::NotYet { .. }
            | Denial::Forbidden { .. }
            | Denial::Crowded { .. }
            | Denial::Filled { .. }
            | Denial::TooLong { .. }
            | Denial::NotAllowed { .. } => Self::Denied(denial),
        }
    }
}

impl Shown for BrokerError {
    fn words(&self) -> Words {
        match self {
            Self::Denied(denial) => denial.words(),
            Self::Conflict(conflict) => conflict.words(),
            Self::NotFound { what } => Denial::NotFound { what: what.clone() }.words(),
            Self::Invalid(invalid) => invalid.words(),
            Self::Unkept { cut } => unkept(*cut),
            Self::Unavailable { part } => Denial::Unavailable { part: *part }.words(),
        }
    }
}
