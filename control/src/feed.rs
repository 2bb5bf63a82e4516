//! The one task that owns the state: reads the log, applies it, and settles the leases.
//!
//! The state is published before the leases are looked up, and an admission puts its terms into the
//! book before it looks at the state; so one of the two sees the other, and a revocation cannot
//! slip between. When the task ends, for whatever reason, every lease does.

use std::collections::VecDeque;
use std::sync::Arc;
use std::sync::atomic::{AtomicU64, Ordering};

use jiff::Timestamp;
use policies::SeverReason;
use tokio::sync::{mpsc, oneshot, watch};

use crate::change::{Entry, Revision};
use crate::clock::Clock;
use crate::lease::book::{Bound, LeaseBook};
use crate::lease::derive::{Concerned, by_policy, sever_if_over};
use crate::state::State;
use crate::store::{Backend, Store, StoreError};

/// How many orders may wait. Whoever comes after that waits for a place.
pub(crate) const ORDERS_MAX: usize = 1_024;

/// How many entries are read at once.
const PAGE: u32 = 1_000;

/// How many leases are put to the policies before orders are looked at again.
const REVIEW_AT_ONCE: usize = 8;

/// Why the log could not be followed.
#[derive(Debug, Clone, thiserror::Error)]
pub enum FeedError {
    /// The store cannot be read.
    #[error("read the log")]
    Store(#[source] StoreError),
    /// An entry is missing or out of order.
    #[error("the log goes on at revision {found} after {after}")]
    Gap {
        /// The last good one.
        after: Revision,
        /// What came next.
        found: Revision,
    },
}

/// What the task can be told.
#[derive(Debug)]
pub(crate) enum Order {
    /// Read the log's tail, and hand over the state with it.
    CatchUp(oneshot::Sender<Result<Arc<State>, FeedError>>),
    /// Ask the policies about every lease: the time of day may matter to them.
    Review,
    /// Forget what was over long ago.
    Retire(Timestamp),
}

/// The task's own things.
#[derive(Debug)]
pub(crate) struct Feed {
    pub(crate) store: Backend,
    pub(crate) clock: Clock,
    pub(crate) book: Arc<LeaseBook>,
    pub(crate) state: watch::Sender<Arc<State>>,
    /// The revision of the state that was published last: to be looked at without a lock.
    pub(crate) edition: Arc<AtomicU64>,
    /// The leases that the policies have yet to be asked about.
    pub(crate) doubtful: VecDeque<Bound>,
    /// Whether they are to be asked about all of them once they were asked about these.
    pub(crate) again: bool,
}

/// Closes the book when its task is gone, even by a panic.
#[derive(Debug)]
pub(crate) struct LastWord(pub(crate) Arc<LeaseBook>);

impl Drop for LastWord {
    fn drop(&mut self) {
        if std::thread::panicking() {
            tracing::error!("control.panicked");
        }
        self.0.close(&SeverReason::Blind);
    }
}

impl Feed {
    /// A feed that has read nothing yet.
    pub(crate) fn new(
        (store, clock): (Backend, Clock),
        book: Arc<LeaseBook>,
        state: watch::Sender<Arc<State>>,
    ) -> Self {
        Self {
            store,
            clock,
            book,
            state,
            edition: Arc::default(),
            doubtful: VecDeque::new(),
            again: false,
        }
    }

    /// Serves until nobody can give orders any more.
    pub(crate) async fn run(mut self, mut orders: mpsc::Receiver<Order>) {
        let _last_word = LastWord(Arc::clone(&self.book));
        loop {
            let doubtful = self.again || !self.doubtful.is_empty();
            tokio::select! {
                biased;
                order = orders.recv() => match order {
                    Some(order) => self.obey(order).await,
                    None => return,
                },
                () = self.store.wait() => self.follow().await,
                () = std::future::ready(()), if doubtful => {
                    self.review();
                    tokio::task::yield_now().await;
                }
            }
        }
    }

    async fn obey(&mut self, order: Order) {
        match order {
            Order::CatchUp(answer) => {
                let caught_up = self.catch_up().await;
                // Whoever asked may have gone away.
                drop(answer.send(caught_up.map(|()| self.state.borrow().clone())));
            }
            Order::Review => {
                // Those that wait are not put behind all others: where one review takes longer than a minute, it
                // would never come to its end.
                self.again = true;
            }
            Order::Retire(now) => {
                let mut state = State::clone(&self.state.borrow());
                state.retire(now);
                self.state.send_replace(Arc::new(state));
            }
        }
    }

    async fn follow(&mut self) {
        if let Err(error) = self.catch_up().await {
            tracing::warn!(error = &error as &dyn std::error::Error, "log.unread");
        }
    }

    /// Reads the log from its beginning, before there is a lease. What was over a week before an entry was written is
    /// nobody's any more, so what is held is bounded however long the log is.
    pub(crate) async fn begin(&mut self) -> Result<(), FeedError> {
        let (mut state, now) = (State::beginning(), self.clock.now());
        loop {
            let entries = self.read(state.revision).await?;
            let Some(last) = entries.last() else {
                break;
            };
            for entry in &entries {
                take_in(&mut state, entry)?;
            }
            state.kills.clear();
            // An entry that was written while the clock was ahead makes nothing old.
            state.retire(last.draft.at.min(now));
        }
        state.read_through();
        state.fix_ends(now, self.clock.uptime());
        self.publish(Arc::new(state));
        Ok(())
    }

    async fn read(&self, seen: Revision) -> Result<Vec<Entry>, FeedError> {
        let read = self.store.read(seen, PAGE).await;
        read.map_err(FeedError::Store)
    }

    fn publish(&self, state: Arc<State>) {
        let revision = state.revision;
        self.state.send_replace(state);
        self.edition.store(revision.0, Ordering::Release);
    }

    /// Reads and applies what is new.
    pub(crate) async fn catch_up(&mut self) -> Result<(), FeedError> {
        loop {
            let seen = self.state.borrow().revision;
            let entries = self.read(seen).await?;
            if entries.is_empty() {
                return Ok(());
            }
            let mut state = State::clone(&self.state.borrow());
            let mut concerned = Concerned::default();
            for entry in &entries {
                take_in(&mut state, entry)?;
                entry
                    .draft
                    .changes
                    .iter()
                    .for_each(|change| concerned.add(change));
            }
            state.fix_ends(self.clock.now(), self.clock.uptime());
            // A session is in the book before anybody can name it, so one that is not there is over. The log
            // has every kill there ever was.
            state
                .kills
                .retain(|session, _kill| self.book.knows(*session));
            let state = Arc::new(state);
            self.publish(Arc::clone(&state));
            let judged = concerned.judge(&state, &self.book, self.clock.now());
            self.book.sever_these(judged.over);
            self.doubtful.extend(judged.doubtful);
        }
    }

    /// Fixes anew when the grants are over by the uptime, as of `now`. For the start.
    pub(crate) fn fix_ends_anew(&self, now: Timestamp) {
        let mut state = State::clone(&self.state.borrow());
        state.ends.clear();
        state.fix_ends(now, self.clock.uptime());
        self.state.send_replace(Arc::new(state));
    }

    /// Puts the next few leases to the policies.
    fn review(&mut self) {
        if self.doubtful.is_empty() && std::mem::take(&mut self.again) {
            self.doubtful.extend(self.book.all());
        }
        let state = self.state.borrow().clone();
        let now = self.clock.now();
        for _ in 0..REVIEW_AT_ONCE {
            let Some((session, terms)) = self.doubtful.pop_front() else {
                return;
            };
            if sever_if_over(&state, &self.book, (session, &terms), now) {
                continue;
            }
            if let Some(reason) = by_policy(&state, &terms, now) {
                self.book.sever(session, reason);
            }
        }
    }
}

/// Applies the next entry.
fn take_in(state: &mut State, entry: &Entry) -> Result<(), FeedError> {
    if entry.revision != state.revision.next() {
        return Err(FeedError::Gap {
            after: state.revision,
            found: entry.revision,
        });
    }
    state.apply(entry);
    Ok(())
}

#[cfg(test)]
mod tests {
    use std::collections::{BTreeMap, BTreeSet};
    use std::time::Duration;

    use jiff::SignedDuration;
    use policies::{
        Algorithms, Capabilities, Credential, Endpoint, Entry as Entrance, Grant, GrantId,
        HostKeyPin, InputRecording, Obligations, Protocol, Reason, RequestId, SessionId,
        SshEndpoint, Target, TargetName, Terms,
    };

    use super::*;
    use crate::change::{Change, Draft};

    /// Somebody kills this session of theirs.
    async fn kill(feed: &mut Feed, session: SessionId) {
        let reason = Reason::parse("enough").unwrap();
        let draft = Draft {
            at: feed.clock.now(),
            by: None,
            source: None,
            changes: vec![Change::SessionKilled {
                session,
                by: "eve".parse().unwrap(),
                reason,
            }],
        };
        let end = feed.state.borrow().revision;
        feed.store.append(end, draft).await.unwrap();
        feed.catch_up().await.unwrap();
    }

    #[tokio::test]
    async fn kills_of_sessions_that_are_over_are_forgotten() {
        let (sender, state) = watch::channel(Arc::new(State::default()));
        let clock = Clock::system();
        let mut feed = Feed::new((Backend::memory(), clock.clone()), Arc::default(), sender);
        let session = |number| SessionId::new(clock.now(), [number; 10]);
        let (eve, web1) = ("eve".parse().unwrap(), TargetName::parse("web1").unwrap());
        for number in 0..100 {
            let one = session(number);
            let _standing = feed.book.subscribe(one, &eve, &web1);
            kill(&mut feed, one).await;
            let kills = &state.borrow().kills;
            assert!(kills.contains_key(&one) && kills.len() <= 2);
            feed.book.remove(one);
        }
        kill(&mut feed, session(100)).await;
        assert!(state.borrow().kills.is_empty());
    }

    /// A lease of this session of eve's, under a grant that there never was.
    fn bound(feed: &Feed, session: SessionId) {
        let (eve, web1) = ("eve".parse().unwrap(), TargetName::parse("web1").unwrap());
        drop(feed.book.subscribe(session, &eve, &web1));
        let target = Target {
            name: web1,
            endpoint: Endpoint::Ssh(SshEndpoint {
                addr: "192.0.2.7:22".parse().unwrap(),
                host_key: HostKeyPin::Keys { keys: Vec::new() },
                jump: None,
                entry: Entrance::Certificate,
                algorithms: Algorithms::Modern,
                keeper: None,
            }),
            logins: BTreeSet::new(),
            labels: BTreeMap::new(),
            owners: None,
            added_at: feed.clock.now(),
            namesakes: BTreeSet::new(),
        };
        let terms = Terms {
            grant: GrantId::new(feed.clock.now(), [1; 10]),
            principal: eve,
            credential: Credential::Key {
                fingerprint: "SHA256:eve".to_owned(),
            },
            source: [192, 0, 2, 7].into(),
            target: Arc::new(target),
            via: Vec::new(),
            login: "deploy".parse().unwrap(),
            database: None,
            protocol: Protocol::Ssh,
            until: Timestamp::MAX,
            capabilities: Capabilities::new(),
            obligations: Obligations {
                input: InputRecording::Counted,
            },
        };
        let deadline = feed
            .clock
            .instant()
            .checked_add(Duration::from_secs(3_600))
            .unwrap();
        feed.book.bind(session, &Arc::new(terms), deadline);
    }

    #[tokio::test]
    async fn a_review_of_all_is_not_forgotten_where_one_lease_waits() {
        let (sender, _state) = watch::channel(Arc::new(State::default()));
        let clock = Clock::system();
        let mut feed = Feed::new((Backend::memory(), clock.clone()), Arc::default(), sender);
        let sessions = [1, 2].map(|number| SessionId::new(clock.now(), [number; 10]));
        for session in sessions {
            bound(&feed, session);
        }
        feed.doubtful.extend(feed.book.one(sessions[0]));
        feed.obey(Order::Review).await;
        // Under no grant and no policies, whoever is looked at is over.
        for _round in 0..2 {
            feed.review();
        }
        assert_eq!(feed.book.all().len(), 0);
    }

    /// A grant of ten minutes that was made at this time.
    fn granted(at: Timestamp, number: u16) -> Draft {
        let mut random = [0; 10];
        random[..2].copy_from_slice(&number.to_be_bytes());
        let grant = Grant {
            id: GrantId::new(at, random),
            request: RequestId::new(at, random),
            principal: "eve".parse().unwrap(),
            target: "web1".parse().unwrap(),
            login: "deploy".parse().unwrap(),
            starts_at: at,
            expires_at: at.saturating_add(SignedDuration::from_mins(10)).unwrap(),
            ended: None,
        };
        let policies = Vec::new();
        Draft {
            at,
            by: None,
            source: None,
            changes: vec![Change::GrantMade { grant, policies }],
        }
    }

    /// One an hour for three months; the last was made while the clock was a month ahead.
    #[tokio::test]
    async fn a_start_holds_of_a_long_log_what_was_not_over_long_ago() {
        let (sender, state) = watch::channel(Arc::new(State::default()));
        let clock = Clock::anchored("2026-01-05T09:00:00Z".parse().unwrap());
        let mut feed = Feed::new((Backend::memory(), clock.clone()), Arc::default(), sender);
        let now = clock.now();
        let hours = |count: u16| SignedDuration::from_hours(i64::from(count));
        for number in 0..2_200 {
            let at = match number {
                2_199 => now + hours(720),
                _ => now - hours(2_199 - number),
            };
            let end = Revision(u64::from(number));
            feed.store.append(end, granted(at, number)).await.unwrap();
        }
        feed.begin().await.unwrap();
        let held = state.borrow().clone();
        assert_eq!(held.revision, Revision(2_200));
        // Those of a week and of ten minutes, and the one of next month.
        assert_eq!(held.facts.grants.len(), 7 * 24 + 1);
        assert_eq!(held.ends.len(), held.facts.grants.len());
    }
}
