//! Changing the policies.

use std::collections::BTreeSet;

use policies::words::broker::{Conflict, Invalid, LockedOut};
use policies::{Deed, Office, PolicySet, SessionId, SeverReason, Terms, may};

use super::{Broker, BrokerError, Caller};
use crate::change::{Change, PolicyTexts};
use crate::lease::book::{Bound, LeaseBook};
use crate::lease::derive::by_policy;
use crate::state::{load, zone_of};

/// What became of policies that were handed in.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Applied {
    /// SHA-256 of the texts, in hexadecimal.
    pub digest: String,
    /// The live sessions that end by it.
    pub ends: Vec<SessionId>,
    /// What is odd about them without being wrong, as it is to be printed.
    pub warnings: Vec<String>,
}

/// How many leases are put to the policies before other tasks have their turn.
const AT_ONCE: usize = 8;

impl Broker {
    /// Says what applying these policies would do, without doing it.
    ///
    /// # Errors
    ///
    /// [`BrokerError::Invalid`] with every mistake in them.
    pub async fn check_policies(
        &self,
        caller: &Caller,
        texts: &PolicyTexts,
    ) -> Result<Applied, BrokerError> {
        self.change(caller, ("check policies", ""), |view| {
            view.office(Office::ManagePolicies)?;
            Ok((Vec::new(), ()))
        })
        .await?;
        let policies = load(texts).map_err(BrokerError::Invalid)?;
        let state = self.state().with_policies(&policies);
        self.view(&state, caller)
            .office(Office::ManagePolicies)
            .map_err(|_no| locks_out())?;
        let mut ends = Vec::new();
        for (at, (session, terms)) in self.inner.book.all().into_iter().enumerate() {
            if at % AT_ONCE == 0 {
                tokio::task::yield_now().await;
            }
            let set = state.policies()?;
            if may(
                set,
                &state.facts,
                &terms,
                &Deed::Connect,
                self.inner.clock.now(),
            )
            .is_err()
            {
                ends.push(session);
            }
        }
        Ok(self.applied(&policies, ends))
    }

    /// Decides by these policies from here on. The sessions that they do not allow are over when it
    /// returns. Of those that are in force already nothing is written down.
    ///
    /// # Errors
    ///
    /// [`BrokerError::Invalid`] with every mistake in them; the policies in force stay.
    pub async fn apply_policies(
        &self,
        caller: &Caller,
        texts: PolicyTexts,
    ) -> Result<Applied, BrokerError> {
        self.replace_policies(caller, texts, None).await
    }

    /// The same, only if the policies in force still have this digest: what others put in force meanwhile is not
    /// taken back by somebody who has not seen it.
    ///
    /// # Errors
    ///
    /// [`BrokerError::Conflict`] if they have another; else as [`Broker::apply_policies`].
    pub async fn replace_policies(
        &self,
        caller: &Caller,
        texts: PolicyTexts,
        replaced: Option<&str>,
    ) -> Result<Applied, BrokerError> {
        let before = Before::of(&self.inner.book);
        let policies = self
            .change(caller, ("apply policies", ""), |view| {
                view.office(Office::ManagePolicies)?;
                let digest = view.state.policies()?.digest();
                if replaced.is_some_and(|replaced| replaced != digest) {
                    let digest = digest.to_owned();
                    return Err(BrokerError::Conflict(Conflict::PoliciesReplaced { digest }));
                }
                if view.state.texts.as_deref() == Some(&texts) {
                    // Nothing changes: each set would stand in the log for ever, and take every role that
                    // nobody is in by.
                    return Ok((Vec::new(), view.state.policies()?.clone()));
                }
                let policies = load(&texts).map_err(BrokerError::Invalid)?;
                let after = view.state.with_policies(&policies);
                view.under(&after)
                    .office(Office::ManagePolicies)
                    .map_err(|_no| locks_out())?;
                Ok((
                    vec![Change::PoliciesApplied {
                        texts: texts.clone(),
                    }],
                    policies,
                ))
            })
            .await?;
        let ends = self.end_unwanted(before, |_all| true).await;
        Ok(self.applied(&policies, ends))
    }

    /// Ends those of these sessions that the policies do not allow as things are, and returns them. Also those that
    /// began after it was looked at who is live: a change takes as long as a disk does.
    pub(super) async fn end_unwanted(
        &self,
        before: Before,
        which: impl Fn(&Terms) -> bool,
    ) -> Vec<SessionId> {
        let mut ends = Vec::new();
        let live = before.and_since(&self.inner.book).into_iter();
        let these = live.filter(|(_session, terms)| which(terms));
        let these: Vec<Bound> = these.collect();
        for (at, bound) in these.into_iter().enumerate() {
            if at % AT_ONCE == 0 {
                tokio::task::yield_now().await;
            }
            if let Some(reason) = self.unwanted(&bound) {
                self.inner.book.sever(bound.0, reason);
                ends.push(bound.0);
            }
        }
        ends
    }

    fn unwanted(&self, (_session, terms): &Bound) -> Option<SeverReason> {
        by_policy(&self.state(), terms, self.inner.clock.now())
    }

    fn applied(&self, policies: &PolicySet, ends: Vec<SessionId>) -> Applied {
        let state = self.state();
        let people = state.facts.principals.values();
        let peopled = people.flat_map(|one| &one.groups).cloned();
        let odd = policies.strange_groups(Some(&peopled.collect()));
        let odd = policies.warnings().iter().chain(&odd);
        let mut warnings: Vec<String> = odd.map(ToString::to_string).collect();
        warnings.extend(policies.strangers(&state.facts));
        Applied {
            digest: policies.digest().to_owned(),
            ends,
            warnings,
        }
    }

    /// In which time zone the policies in force read hours and weekdays.
    pub(crate) fn policy_zone(&self) -> String {
        zone_of(&self.state())
    }

    /// The policies in force, and their digest.
    ///
    /// # Errors
    ///
    /// [`BrokerError::Denied`] for who may neither manage nor inspect.
    pub fn policies(&self, caller: &Caller) -> Result<(PolicyTexts, String), BrokerError> {
        let state = self.state();
        let view = self.view(&state, caller);
        view.office(Office::ManagePolicies)
            .or_else(|no| view.office(Office::Inspect).map_err(|_inspects| no))?;
        let digest = state.policies()?.digest().to_owned();
        let texts = state.texts.as_deref().cloned();
        texts
            .map(|texts| (texts, digest))
            .ok_or_else(|| BrokerError::NotFound {
                what: "policies".to_owned(),
            })
    }
}

/// Who was live before a change of what is allowed.
pub(super) struct Before {
    live: Vec<Bound>,
    /// These, and those that were ended by an earlier change.
    judged: BTreeSet<SessionId>,
}

impl Before {
    pub(super) fn of(book: &LeaseBook) -> Self {
        // In this order: one that begins between the two is looked at in any case.
        let judged = book.judged().into_iter();
        let live = book.all();
        let judged = judged.chain(live.iter().cloned());
        Self {
            judged: judged.map(|(session, _terms)| session).collect(),
            live,
        }
    }

    /// These, and those that began since. Whoever follows the log may have ended one already: by this change.
    fn and_since(self, book: &LeaseBook) -> Vec<Bound> {
        let Self { mut live, judged } = self;
        let since = book.judged().into_iter();
        live.extend(since.filter(|(session, _terms)| !judged.contains(session)));
        live
    }
}

/// Nobody could change them back.
fn locks_out() -> BrokerError {
    BrokerError::Invalid(Invalid::LocksOut(LockedOut::You))
}
