//! How a broker starts: prove log and ledger, read the log, keep up with it, say in the ledger that it begins.

use std::sync::Arc;
use std::sync::atomic::AtomicBool;

use jiff::Timestamp;
use policies::words::Shown;
use policies::words::broker::Invalid;
use tokio::sync::{mpsc, watch};

use super::logins::Logins;
use super::proving::{self, Found, Signed};
use super::quota::OwnKills;
use super::refusals::Refusals;
use super::replays::Replays;
use super::turns::Turns;
use super::{Broker, BrokerError, Inner, Settings};
use crate::clock::Clock;
use crate::feed::{Feed, FeedError, ORDERS_MAX};
use crate::journal::LedgerJournal;
use crate::lately::Lately;
use crate::lease::book::LeaseBook;
use crate::lease::expiry;
use crate::ledger::proof::LogFault;
use crate::ledger::roots::Roots;
use crate::ledger::{Event, Happening, Witness, tail};
use crate::roles::Roles;
use crate::spending::Spending;
use crate::state::State;
use crate::store::{Backend, Store, StoreError};
use crate::watchman::{Health, Watchman};

/// Why the broker cannot start.
#[derive(Debug, thiserror::Error)]
pub enum StartError {
    /// The log cannot be read.
    #[error("read the log of changes")]
    Log(#[source] FeedError),
    /// The ledger cannot be read or written.
    #[error("use the ledger")]
    Ledger(#[source] StoreError),
    /// The log is not what the ledger says.
    #[error("compare the log with the ledger")]
    Altered(#[source] LogFault),
    /// The policies in the log cannot be read: another version of this program took them.
    #[error("read the policies that are in force: {}", .0.words().what)]
    Policies(Invalid),
    /// What was made while the clock was ahead cannot be ended.
    #[error("end what was made while the clock was ahead")]
    Ahead(#[source] BrokerError),
}

impl Broker {
    /// Proves all of log and ledger, reads the log, and keeps up with it from here on.
    ///
    /// # Errors
    ///
    /// [`StartError`] when the log or the ledger cannot be used.
    pub async fn start(
        store: Backend,
        clock: Clock,
        settings: Settings,
    ) -> Result<Self, StartError> {
        Self::start_from(store, clock, settings, None).await
    }

    /// As [`start`](Self::start), and proves no more than what is new since the witness was told last.
    ///
    /// # Errors
    ///
    /// [`StartError`] when the log or the ledger cannot be used.
    pub async fn start_from(
        store: Backend,
        clock: Clock,
        settings: Settings,
        witness: Option<Witness>,
    ) -> Result<Self, StartError> {
        let (shortest, longest) = Settings::BLIND_LIMITS;
        let blind_limit = settings.blind_limit.clamp(shortest, longest);
        let book = Arc::new(LeaseBook::default());
        let (sender, state) = watch::channel(Arc::new(State::default()));
        let mut feed = Feed::new((store.clone(), clock.clone()), Arc::clone(&book), sender);
        let edition = Arc::clone(&feed.edition);
        let found = proving::prove(&store, &settings, witness.as_ref()).await?;
        let newest = read_through(&mut feed, &state).await?;
        let floor = settings.floor(&clock, newest);
        // Before this they were fixed by a wall that may be behind.
        feed.fix_ends_anew(clock.now().max(floor));
        let health = Arc::new(Health::new(&clock, floor));
        let signed = begin(&store, (&clock, health.newest()), &found, witness).await?;
        let (orders, taken) = mpsc::channel(ORDERS_MAX);
        let (alive, broker) = watch::channel(());
        let watchman = Watchman {
            store: store.clone(),
            clock: clock.clone(),
            book: Arc::clone(&book),
            health: Arc::clone(&health),
            state: state.clone(),
            orders: orders.clone(),
            blind_limit,
        };
        // They end when the broker is gone; whichever ends sooner closes the book.
        tokio::spawn(feed.run(taken));
        tokio::spawn(expiry::run(
            Arc::clone(&book),
            clock.clone(),
            broker.clone(),
        ));
        tokio::spawn(watchman.run(broker));
        let journal = LedgerJournal::new(store.clone(), clock.clone());
        let inner = Arc::new(Inner {
            store,
            clock,
            settings,
            state,
            edition,
            orders,
            book,
            health,
            journal,
            roles: Roles::default(),
            spending: Spending::default(),
            lately: Lately::default(),
            signed,
            recorded: Roots::default(),
            refusals: Refusals::default(),
            replays: Replays::default(),
            own_kills: OwnKills::default(),
            logins: Logins::default(),
            turns: Turns::default(),
            stopping: AtomicBool::new(false),
            _alive: alive,
        });
        let broker = Self { inner };
        broker.end_ahead().await.map_err(StartError::Ahead)?;
        broker.close_held().await;
        Ok(broker)
    }
}

impl Settings {
    /// The time behind which the wall is not believed.
    fn floor(&self, clock: &Clock, newest_at: Timestamp) -> Timestamp {
        if self.believe_clock {
            newest_at.min(clock.now())
        } else {
            newest_at
        }
    }
}

/// Reads the log to its end, and says what was the newest time that was believed.
async fn read_through(
    feed: &mut Feed,
    state: &watch::Receiver<Arc<State>>,
) -> Result<Timestamp, StartError> {
    feed.begin().await.map_err(StartError::Log)?;
    if let Some(invalid) = state.borrow().unreadable.clone() {
        return Err(StartError::Policies(invalid));
    }
    let seen = tail::newest_seen(&feed.store).await;
    Ok(seen.map_err(StartError::Ledger)?.unwrap_or(Timestamp::MIN))
}

/// Writes down that a server begins, durably, and has signed how far log and ledger were proven.
async fn begin(
    store: &Backend,
    (clock, newest_at): (&Clock, Timestamp),
    found: &Found,
    witness: Option<Witness>,
) -> Result<Option<Signed>, StartError> {
    let started = Happening::Started {
        version: env!("CARGO_PKG_VERSION").to_owned(),
        newest_at: Some(newest_at),
    };
    let differed = found.differed.clone();
    let differed = differed.map(|what| Happening::EvidenceDiffered { what });
    let at = clock.now();
    let event = |happening| Event { at, happening };
    let events = differed.into_iter().chain([started]).map(event).collect();
    let receipt = store.submit(events).await.map_err(StartError::Ledger)?;
    receipt.durably().await.map_err(StartError::Ledger)?;
    let Some(witness) = witness else {
        return Ok(None);
    };
    let signed = Signed::begin(store, witness, found).await;
    signed.map(Some).map_err(StartError::Ledger)
}
