//! How every change gets into the log: decide on its end, cut what is taken away, append, apply, and only
//! then answer.
//!
//! Asks nobody whether a change may be made: that is for whoever decides.

use std::sync::Arc;

use jiff::Timestamp;
use policies::words::broker::Conflict;
use policies::{Part, SessionId};
use tokio::sync::oneshot;

use super::{Broker, BrokerError, Caller};
use crate::change::{Change, Draft, Entry};
use crate::feed::Order;
use crate::lease::derive::Concerned;
use crate::state::State;
use crate::store::{AppendError, Store};

/// How often a change is decided anew because others changed the log meanwhile.
const TRIES_MAX: u32 = 100;

/// The end of the log, on which a change is decided.
#[derive(Debug, Clone, Copy)]
pub(super) struct LogEnd<'a> {
    pub(super) state: &'a State,
    pub(super) now: Timestamp,
    /// The sessions that this change has ended already, before it could be appended.
    pub(super) gone: &'a [SessionId],
}

/// What a change is decided to be: what to append, and what to answer. With nothing to append, only
/// the answer counts.
pub(super) type Decided<T> = Result<(Vec<Change>, T), BrokerError>;

impl Broker {
    /// The state with the log's tail in it.
    pub(super) async fn caught_up(&self) -> Result<Arc<State>, BrokerError> {
        let state = self.state();
        if self.inner.store.head() == state.revision && self.inner.book.closed().is_none() {
            return Ok(state);
        }
        self.settled_leases().await
    }

    /// The same, once every lease is settled that what is in it ends: the state is published before that.
    async fn settled_leases(&self) -> Result<Arc<State>, BrokerError> {
        let unavailable = BrokerError::Unavailable { part: Part::Store };
        let (answer, caught_up) = oneshot::channel();
        if self
            .inner
            .orders
            .send(Order::CatchUp(answer))
            .await
            .is_err()
        {
            return Err(unavailable);
        }
        match caught_up.await {
            Ok(Ok(state)) => Ok(state),
            Ok(Err(error)) => Err(BrokerError::store(&error)),
            Err(_gone) => Err(unavailable),
        }
    }

    /// Decides on the log's end, appends and applies; decides anew when others were faster.
    /// Without a caller it is the server's own doing.
    pub(super) async fn append<T>(
        &self,
        by: Option<&Caller>,
        decide: impl Fn(&LogEnd<'_>) -> Decided<T>,
    ) -> Result<T, BrokerError> {
        let (mut gone, turns) = (Vec::new(), &self.inner.turns);
        let mut turn = turns.at_once();
        let mut ends = false;
        for _try in 0..TRIES_MAX {
            let state = self.caught_up().await;
            let state = state.map_err(|refused| untaken(refused, ends, &gone))?;
            let end = LogEnd {
                state: &state,
                now: self.inner.clock.now(),
                gone: &gone,
            };
            let (changes, answer) = decide(&end)?;
            if changes.is_empty() {
                return Ok(answer);
            }
            let takes_away = changes.iter().any(Change::takes_away);
            let draft = Draft {
                at: self.inner.health.dated(end.now),
                by: by.map(|caller| caller.principal.clone()),
                source: by.map(|caller| caller.source),
                changes,
            };
            ends = self.cut_ahead(&state, &draft, &mut gone);
            if turn.is_none() {
                // What was decided meanwhile may change what is decided here.
                turn = Some(if takes_away {
                    turns.ahead().await
                } else {
                    turns.ordinary().await
                });
                continue;
            }
            match self.inner.store.append(state.revision, draft).await {
                Ok(_revision) => {
                    // Not what is published: leases are settled after that.
                    self.settled_leases().await?;
                    return Ok(answer);
                }
                Err(AppendError::Conflict { .. }) => tokio::task::yield_now().await,
                Err(AppendError::Store(error)) => {
                    return Err(untaken(BrokerError::store(&error), ends, &gone));
                }
            }
        }
        Err(BrokerError::Conflict(Conflict::Busy))
    }

    /// Ends the leases that a change is about to end, before the change is durable. What only takes
    /// away need not wait for a disk; where the append then fails, those sessions are gone all the
    /// same, and whoever asked is told that. Whether it ends leases at all.
    fn cut_ahead(&self, state: &State, draft: &Draft, gone: &mut Vec<SessionId>) -> bool {
        let takings = draft.changes.iter().filter(|change| change.takes_away());
        let mut concerned = Concerned::default();
        takings.for_each(|change| concerned.add(change));
        if concerned.is_empty() {
            return false;
        }
        let mut ahead = state.clone();
        ahead.apply(&Entry {
            revision: state.revision.next(),
            draft: draft.clone(),
        });
        let now = self.inner.clock.now();
        // What only the policies can say is asked of them once the change is in the log.
        let over = concerned.judge(&ahead, &self.inner.book, now).over;
        gone.extend(over.iter().map(|(session, _reason)| *session));
        self.inner.book.sever_these(over);
        true
    }
}

/// What whoever asked is told when the store did not take a change: of one that ends leases, how many are over.
fn untaken(refused: BrokerError, ends: bool, gone: &[SessionId]) -> BrokerError {
    let is_silent = matches!(refused, BrokerError::Unavailable { part: Part::Store });
    if ends && is_silent {
        return BrokerError::Unkept { cut: gone.len() };
    }
    refused
}
