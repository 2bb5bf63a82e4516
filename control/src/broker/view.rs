//! What a caller sees of the state, and who may see and do what: asked of the policies in one place.

use std::sync::OnceLock;

use jiff::Timestamp;
use policies::{
    Denial, Grant, Office, PrincipalName, Request, SessionId, may_approve, may_office, may_revoke,
};

use super::Caller;
use super::log::LogEnd;
use crate::lease::book::Bound;
use crate::state::State;

/// What a caller sees: the state, at one instant.
#[derive(Debug)]
pub(super) struct View<'a> {
    pub(super) state: &'a State,
    pub(super) caller: &'a Caller,
    pub(super) now: Timestamp,
    /// The sessions that this change has ended already, before it could be appended.
    pub(super) gone: &'a [SessionId],
    /// Whether the caller may see what is everybody's: asked of the policies once, for however many things.
    sees_all: OnceLock<bool>,
}

impl<'a> View<'a> {
    pub(super) fn of(end: &LogEnd<'a>, caller: &'a Caller) -> Self {
        let LogEnd { state, now, gone } = *end;
        Self {
            state,
            caller,
            now,
            gone,
            sees_all: OnceLock::new(),
        }
    }

    /// What the caller would see if this were so.
    pub(super) fn under<'b>(&'b self, state: &'b State) -> View<'b> {
        let (now, gone) = (self.now, self.gone);
        View::of(&LogEnd { state, now, gone }, self.caller)
    }

    /// The names of the sessions that end with this change: these, and those that it has ended.
    pub(super) fn names(&self, bound: &[Bound]) -> Vec<SessionId> {
        let mut names = self.gone.to_vec();
        names.extend(bound.iter().map(|(session, _terms)| *session));
        names
    }

    /// Whether the caller holds this office.
    pub(super) fn office(&self, office: Office) -> Result<(), Denial> {
        #[cfg(test)]
        asked::one();
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
        #[cfg(test)]
        asked::one();
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
        #[cfg(test)]
        asked::one();
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

    /// Whether the caller may see what is everybody's.
    pub(super) fn sees_all(&self) -> bool {
        *self
            .sees_all
            .get_or_init(|| self.office(Office::ViewSessions).is_ok())
    }

    /// Whether the caller may know of this request: their own, one they may answer, or any with the
    /// office for it.
    pub(super) fn sees_request(&self, request: &Request) -> bool {
        self.is_own(&request.principal, request.filed_at)
            || self.sees_all()
            || self.may_answer(request).is_ok()
    }

    /// Whether the caller may know of this grant.
    pub(super) fn sees_grant(&self, grant: &Grant) -> bool {
        // A grant of somebody who had the caller's name before is not theirs to end either.
        let is_namesakes = grant.principal == self.caller.principal;
        self.is_own(&grant.principal, grant.starts_at)
            || self.sees_all()
            || (!is_namesakes && self.may_end(grant).is_ok())
    }
}

/// Whether this is someone who may come in at all: known and not locked.
pub(super) fn admits(state: &State, name: &PrincipalName) -> bool {
    state.facts.principals.contains_key(name) && state.facts.lock_on_principal(name).is_none()
}

/// How many questions were put to the policies, for the tests that count them.
#[cfg(test)]
pub(crate) mod asked {
    use std::cell::Cell;

    thread_local!(static QUESTIONS: Cell<u32> = const { Cell::new(0) });

    pub(super) fn one() {
        QUESTIONS.set(QUESTIONS.get().saturating_add(1));
    }

    /// How many there were since this was called last.
    pub(crate) fn lately() -> u32 {
        QUESTIONS.replace(0)
    }
}
