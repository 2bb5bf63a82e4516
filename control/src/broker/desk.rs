//! How every change is made: decide on the log's end, cut what it takes away, append, apply, and only
//! then answer.
//!
//! Also who may see and do what, asked of the policies in one place, and the audit of every no.

use std::sync::Arc;

use jiff::Timestamp;
use policies::words::broker::Conflict;
use policies::{
    Denial, Grant, Office, Part, PrincipalName, Request, SessionId, may_approve, may_office,
    may_revoke,
};
use tokio::sync::oneshot;

use super::{Broker, BrokerError, Caller};
use crate::change::{Change, Draft, Entry};
use crate::entropy;
use crate::feed::Order;
use crate::lease::book::Bound;
use crate::lease::derive::Concerned;
use crate::ledger::{Event, Happening};
use crate::state::State;
use crate::store::{AppendError, Receipt, Store};

/// How much is written down of what somebody named, in characters.
const OBJECT_MAX: usize = 200;

/// How often a change is decided anew because others changed the log meanwhile.
const TRIES_MAX: u32 = 100;

/// What a caller sees: the state, at one instant.
#[derive(Debug)]
pub(super) struct View<'a> {
    pub(super) state: &'a State,
    pub(super) caller: &'a Caller,
    pub(super) now: Timestamp,
    /// The sessions that this change has ended already, before it could be appended.
    pub(super) gone: &'a [SessionId],
}

impl View<'_> {
    /// The names of the sessions that end with this change: these, and those that it has ended.
    pub(super) fn names(&self, bound: &[Bound]) -> Vec<SessionId> {
        let mut names = self.gone.to_vec();
        names.extend(bound.iter().map(|(session, _terms)| *session));
        names
    }

    /// Whether the caller holds this office.
    pub(super) fn office(&self, office: Office) -> Result<(), Denial> {
        let name = &self.caller.principal;
        may_office(
            self.state.policies()?,
            &self.state.facts,
            name,
            office,
            self.now,
        )
    }

    /// Whether this is the caller, and they are not out.
    pub(super) fn is_self(&self, name: &PrincipalName) -> bool {
        *name == self.caller.principal && admits(self.state, name)
    }

    /// Whether something of this principal's, made at that time, is the caller's. Names are used again:
    /// what was there before the caller was added is somebody else's.
    pub(super) fn is_own(&self, name: &PrincipalName, made_at: Timestamp) -> bool {
        let known = self.state.facts.principals.get(name);
        self.is_self(name) && known.is_some_and(|known| known.added_at <= made_at)
    }

    /// Whether the caller may answer this request.
    pub(super) fn may_answer(&self, request: &Request) -> Result<(), Denial> {
        let Caller { principal, source } = self.caller;
        let policies = self.state.policies()?;
        may_approve(
            policies,
            &self.state.facts,
            principal,
            request,
            *source,
            self.now,
        )
    }

    /// Whether the caller may end this grant.
    pub(super) fn may_end(&self, grant: &Grant) -> Result<(), Denial> {
        let Caller { principal, source } = self.caller;
        let policies = self.state.policies()?;
        may_revoke(
            policies,
            &self.state.facts,
            principal,
            grant,
            *source,
            self.now,
        )
    }

    /// Whether the caller may know of this request: their own, one they may answer, or any with the
    /// office for it.
    pub(super) fn sees_request(&self, request: &Request) -> bool {
        self.is_own(&request.principal, request.filed_at)
            || self.office(Office::ViewSessions).is_ok()
            || self.may_answer(request).is_ok()
    }

    /// Whether the caller may know of this grant.
    pub(super) fn sees_grant(&self, grant: &Grant) -> bool {
        // A grant of somebody who had the caller's name before is not theirs to end either.
        let is_namesakes = grant.principal == self.caller.principal;
        self.is_own(&grant.principal, grant.starts_at)
            || self.office(Office::ViewSessions).is_ok()
            || (!is_namesakes && self.may_end(grant).is_ok())
    }
}

/// Whether this is someone who may come in at all: known and not locked.
pub(super) fn admits(state: &State, name: &PrincipalName) -> bool {
    state.facts.principals.contains_key(name) && state.facts.lock_on_principal(name).is_none()
}

/// What a change is decided to be: what to append, and what to answer. With nothing to append, only
/// the answer counts.
pub(super) type Decided<T> = Result<(Vec<Change>, T), BrokerError>;

impl Broker {
    /// The state as it is in memory.
    pub(super) fn state(&self) -> Arc<State> {
        self.inner.state.borrow().clone()
    }

    /// What this caller sees of it.
    pub(super) fn view<'a>(&self, state: &'a State, caller: &'a Caller) -> View<'a> {
        View {
            state,
            caller,
            now: self.inner.clock.now(),
            gone: &[],
        }
    }

    /// The state with the log's tail in it.
    pub(super) async fn caught_up(&self) -> Result<Arc<State>, BrokerError> {
        let state = self.state();
        if self.inner.store.head() == state.revision && self.inner.book.closed().is_none() {
            return Ok(state);
        }
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

    /// Decides on the log's end, appends and applies; decides anew when others were faster. Every
    /// no is in the ledger before it is answered.
    pub(super) async fn change<T>(
        &self,
        caller: &Caller,
        (deed, object): (&str, &str),
        decide: impl Fn(&View<'_>) -> Decided<T>,
    ) -> Result<T, BrokerError> {
        let done = self.try_change(caller, decide).await;
        if let Err(refused) = &done {
            self.audit_refusal(caller, (deed, object), refused).await;
        }
        done
    }

    async fn try_change<T>(
        &self,
        caller: &Caller,
        decide: impl Fn(&View<'_>) -> Decided<T>,
    ) -> Result<T, BrokerError> {
        let (mut gone, turns) = (Vec::new(), &self.inner.turns);
        let mut turn = turns.at_once();
        for _try in 0..TRIES_MAX {
            let state = self.caught_up().await?;
            let view = View {
                gone: &gone,
                ..self.view(&state, caller)
            };
            if !admits(&state, &caller.principal) {
                let what = caller.principal.to_string();
                return Err(BrokerError::NotFound { what });
            }
            let (changes, answer) = decide(&view)?;
            if changes.is_empty() {
                return Ok(answer);
            }
            let takes_away = changes.iter().any(Change::takes_away);
            let draft = Draft {
                at: self.inner.health.dated(view.now),
                by: Some(caller.principal.clone()),
                source: Some(caller.source),
                changes,
            };
            self.cut_ahead(&state, &draft, &mut gone);
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
                    self.caught_up().await?;
                    return Ok(answer);
                }
                Err(AppendError::Conflict { .. }) => tokio::task::yield_now().await,
                Err(AppendError::Store(error)) => return Err(BrokerError::store(&error)),
            }
        }
        Err(BrokerError::Conflict(Conflict::Busy))
    }

    /// Ends the leases that a change is about to end, before the change is durable. What only takes
    /// away need not wait for a disk; where the append then fails, those sessions are gone all the
    /// same, and whoever asked is told that it may have been done or not.
    fn cut_ahead(&self, state: &State, draft: &Draft, gone: &mut Vec<SessionId>) {
        let takings = draft.changes.iter().filter(|change| change.takes_away());
        let mut concerned = Concerned::default();
        takings.for_each(|change| concerned.add(change));
        if concerned.is_empty() {
            return;
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
    }

    /// Writes a no into the ledger. It stays a no if that fails.
    pub(super) async fn audit_refusal(
        &self,
        caller: &Caller,
        (deed, object): (&str, &str),
        refused: &BrokerError,
    ) {
        let denial = match refused {
            BrokerError::Denied(denial) => denial.clone(),
            BrokerError::NotFound { what } => Denial::NotFound { what: what.clone() },
            BrokerError::Unavailable { part } => Denial::Unavailable { part: *part },
            BrokerError::Conflict(_) | BrokerError::Invalid(_) => return,
        };
        let happening = Happening::Disallowed {
            principal: caller.principal.clone(),
            source: caller.source,
            deed: deed.to_owned(),
            object: object.chars().take(OBJECT_MAX).collect(),
            denial,
        };
        self.write_refusal(&caller.principal, happening).await;
    }

    /// Writes something into the ledger, and waits until it is durable or cannot be.
    pub(super) async fn write(&self, happening: Happening) {
        if let Err(refused) = self.record(happening).await {
            tracing::error!(
                error = &refused as &dyn std::error::Error,
                "ledger.unwritten"
            );
        }
    }

    /// Puts something in line for the ledger.
    pub(super) async fn submit(&self, happening: Happening) -> Result<Receipt, BrokerError> {
        let submitted = self.inner.store.submit(self.event(happening)).await;
        submitted.map_err(|error| BrokerError::store(&error))
    }

    fn event(&self, happening: Happening) -> Vec<Event> {
        let at = self.inner.clock.now();
        vec![Event { at, happening }]
    }

    /// Puts something in line for the ledger that nobody waits for.
    pub(super) async fn queue(&self, happening: Happening) -> Result<(), BrokerError> {
        let queued = self.inner.store.queue(self.event(happening)).await;
        queued.map_err(|error| BrokerError::store(&error))
    }

    /// Whether a login certificate may be signed: the clock is believed and the store answers.
    ///
    /// # Errors
    ///
    /// [`BrokerError::Unavailable`] when not.
    pub fn may_issue(&self) -> Result<(), BrokerError> {
        self.healthy()
    }

    /// Whether a grant may be made or used: the clock is believed and the store answers.
    pub(super) fn healthy(&self) -> Result<(), BrokerError> {
        self.inner.health.admits().map_err(BrokerError::from)
    }
}

/// Random bytes for a new id.
pub(super) fn draw() -> Result<[u8; 10], BrokerError> {
    entropy::bytes().map_err(|_refused| BrokerError::Unavailable {
        part: Part::Authority,
    })
}
