//! Grants, and ending them.

use std::sync::Arc;
use std::time::Duration;

use policies::words::broker::{Conflict, GONE};
use policies::{
    Grant, GrantEnd, GrantId, GrantOver, Login, PrincipalName, Reason, RequestState, SessionId,
    TargetName,
};

use super::listing::newest;
use super::view::View;
use super::{Broker, BrokerError, Caller};
use crate::change::Change;

impl Broker {
    /// Ends a grant and returns the live sessions that ended with it: their leases are over. Also one that only
    /// one of the two clocks says is over: by the other it may be used again.
    ///
    /// # Errors
    ///
    /// [`BrokerError::Conflict`] when it is over; [`BrokerError::NotFound`] when the caller may not
    /// see it.
    pub async fn revoke(
        &self,
        caller: &Caller,
        id: GrantId,
        reason: Reason,
    ) -> Result<Vec<SessionId>, BrokerError> {
        self.change(caller, ("revoke", &id.to_string()), |view| {
            let grant = view.state.facts.grants.get(&id);
            let grant = grant.ok_or_else(|| BrokerError::NotFound {
                what: id.to_string(),
            })?;
            view.may_end(grant)?;
            let uptime = self.inner.clock.uptime();
            if view.state.is_surely_over(grant, view.now, uptime) {
                return Err(BrokerError::Conflict(Conflict::Grant(GrantOver { id })));
            }
            let end = GrantEnd {
                by: Some(caller.principal.clone()),
                reason: reason.clone(),
                at: view.now,
            };
            let sessions = view.names(&self.inner.book.of_grant(id));
            Ok((vec![Change::GrantEnded { id, end }], sessions))
        })
        .await
    }

    /// One grant.
    ///
    /// # Errors
    ///
    /// [`BrokerError::NotFound`] when there is none that the caller may see.
    pub fn show_grant(&self, caller: &Caller, id: GrantId) -> Result<Arc<Grant>, BrokerError> {
        let state = self.state();
        let view = self.view(&state, caller);
        let grant = state
            .facts
            .grants
            .get(&id)
            .filter(|grant| view.sees_grant(grant));
        grant.cloned().ok_or_else(|| BrokerError::NotFound {
            what: id.to_string(),
        })
    }

    /// The grants that the caller may see and that are not surely over, as [`Broker::grants`] lists them: whoever
    /// ends all of somebody's means these, whatever the wall says.
    pub async fn grants_to_end(&self, caller: &Caller, before: Option<GrantId>) -> Vec<Arc<Grant>> {
        let state = self.state();
        let view = self.view(&state, caller);
        let uptime = self.inner.clock.uptime();
        let may_be_used = |grant: &Grant| !state.is_surely_over(grant, view.now, uptime);
        newest(&state.facts.grants, before, |grant| {
            let fits = may_be_used(grant) && view.sees_grant(grant);
            fits.then(|| Arc::clone(grant))
        })
        .await
    }

    /// The grants that the caller may see, newest first: `in_force` ones only, or all of the last
    /// week; those that are older than `before`; the first thousand.
    pub async fn grants(
        &self,
        caller: &Caller,
        in_force: bool,
        before: Option<GrantId>,
    ) -> Vec<Arc<Grant>> {
        let state = self.state();
        let view = self.view(&state, caller);
        let fits =
            |grant: &Grant| (!in_force || grant.in_force(view.now)) && view.sees_grant(grant);
        newest(&state.facts.grants, before, |grant| {
            fits(grant).then(|| Arc::clone(grant))
        })
        .await
    }
}

/// Ends what stands on a name that is about to go: whoever or whatever is called so next gets
/// nothing by it. Grants that only one of the two clocks says are over are ended too, and every request that nobody has
/// answered is taken back: one that has lapsed by a wall that is ahead is open again once that is set right.
pub(super) fn orphans(
    view: &View<'_>,
    uptime: Duration,
    named: impl Fn(&PrincipalName, &TargetName, &Login) -> bool,
) -> Vec<Change> {
    let facts = &view.state.facts;
    let end = GrantEnd {
        by: Some(view.caller.principal.clone()),
        reason: ours(GONE),
        at: view.now,
    };
    let grants = facts.grants.values().filter(|grant| {
        let is_over = view.state.is_surely_over(grant, view.now, uptime);
        !is_over && named(&grant.principal, &grant.target, &grant.login)
    });
    let requests = facts.requests.values().filter(|request| {
        request.state == RequestState::Pending
            && named(&request.principal, &request.target, &request.login)
    });
    let ended = grants.map(|grant| Change::GrantEnded {
        id: grant.id,
        end: end.clone(),
    });
    let withdrawn = requests.map(|request| Change::RequestWithdrawn { id: request.id });
    ended.chain(withdrawn).collect()
}

/// A reason of the server's own.
#[expect(
    clippy::expect_used,
    reason = "the sentences are constants, and a test reads each"
)]
pub(super) fn ours(sentence: &'static str) -> Reason {
    Reason::parse(sentence).expect("a reason")
}

#[cfg(test)]
mod tests {
    use policies::words::broker::CLOCK_WAS_AHEAD;

    use super::*;

    #[test]
    fn our_own_sentences_are_reasons() {
        for sentence in [GONE, CLOCK_WAS_AHEAD] {
            assert_eq!(ours(sentence).as_str(), sentence);
        }
    }
}
