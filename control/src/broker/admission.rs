//! Letting people in, and what may be done in a session.
//!
//! The order matters and is tested at every step: into the book, the log's tail, the decision, the
//! terms into the book, and one more look at the state.

use std::sync::Arc;
use std::sync::atomic::Ordering;
use std::time::Duration;

use jiff::Timestamp;
use policies::{
    Ask, Credential, Deed, Denial, FileUse, GrantId, Part, PrincipalName, Protocol, Reason,
    Scrutiny, SessionId, Terms, Usage, decide, scrutiny,
};
use tokio::time::Instant;

use super::view::admits;
use super::{Admission, Broker, BrokerError};
use crate::entropy;
use crate::identity::fingerprint_of;
use crate::lease::Lease;
use crate::lease::derive::{by_policy, structural};
use crate::ledger::Happening;
use crate::state::State;

impl Broker {
    /// Lets someone in, or says why not. Either way it is in the ledger before anything that
    /// follows from it is.
    ///
    /// # Errors
    ///
    /// The reason, as it may be told.
    pub async fn admit(&self, ask: &Ask) -> Result<Admission, Denial> {
        let called = &ask.target;
        let target = self.state().called(called).clone();
        let named = (target != *called).then(|| Ask {
            target,
            ..ask.clone()
        });
        let ask = named.as_ref().unwrap_or(ask);
        let mut admitted = self.try_admit(ask).await;
        if let Err(Denial::NoGrant { target, .. } | Denial::Filled { target, .. }) = &mut admitted {
            // Whom an alias leads nowhere is not told where it leads.
            target.clone_from(called);
        }
        let happening = match &admitted {
            Ok(admission) => {
                let terms = admission.permit.terms();
                Happening::Admitted {
                    session: admission.session,
                    ask: ask.clone(),
                    grant: terms.grant,
                    until: terms.until,
                }
            }
            Err(denial) => Happening::Refused {
                ask: ask.clone(),
                denial: denial.clone(),
            },
        };
        if admitted.is_err() {
            self.write_refusal(&ask.principal, happening).await;
            return admitted;
        }
        // The ledger keeps its order: no certificate can be written down, and so none signed, before
        // this line is durable.
        match self.queue(happening).await {
            Ok(()) => admitted,
            Err(_logged) => Err(Denial::Unavailable { part: Part::Store }),
        }
    }

    async fn try_admit(&self, ask: &Ask) -> Result<Admission, Denial> {
        let inner = &self.inner;
        inner.health.admits()?;
        if inner.stopping.load(Ordering::SeqCst) {
            return Err(Denial::Unavailable { part: Part::Server });
        }
        if inner.book.closed().is_some() {
            return Err(Denial::Unavailable { part: Part::Store });
        }
        let unnamed = |_refused| Denial::Unavailable {
            part: Part::Authority,
        };
        let session = SessionId::new(inner.clock.now(), entropy::bytes().map_err(unnamed)?);
        let begun = (inner.clock.now(), inner.clock.instant());
        let mut lease = Lease::subscribe(&inner.book, session, ask, begun);
        // Itself included: of those that come at the same time, none is overlooked.
        let limit = inner.settings.per_principal;
        if inner.book.count_of(&ask.principal) > limit {
            return Err(Denial::Crowded { limit });
        }
        let at_most = inner.settings.per_database;
        if ask.protocol == Protocol::Postgres
            && inner.book.count_at(&ask.principal, &ask.target) > at_most
        {
            let (target, limit) = (ask.target.clone(), at_most);
            return Err(Denial::Filled { target, limit });
        }
        let state = self.caught_up().await;
        let state = state.map_err(|_logged| Denial::Unavailable { part: Part::Store })?;
        if !state.is_proof(&ask.credential, &ask.principal) {
            let (target, login) = (ask.target.clone(), ask.login.clone());
            return Err(Denial::NoGrant { target, login });
        }
        let now = inner.clock.now();
        let uptime = inner.clock.uptime();
        let mut facts = state.facts_at(now, uptime);
        if let Some(only) = ask.credential.bound_to() {
            // A longer grant of the same kind must not keep a session that came by this one.
            facts.to_mut().grants.retain(|id, _grant| *id == only);
        }
        let permit = decide(state.policies()?, &facts, ask, now)?;
        let terms = Arc::new(permit.terms().clone());
        let stamp = (state.revision, inner.clock.instant());
        inner.lately.put(&terms, stamp, permit.usage());
        lease.bind(&terms, self.deadline(&state, &terms, uptime));
        let latest = self.state();
        if latest.revision != state.revision {
            let over = structural(&latest, session, &terms, now);
            if let Some(reason) = over.or_else(|| by_policy(&latest, &terms, now)) {
                inner.book.sever(session, reason);
            }
        }
        Ok(Admission {
            session,
            permit,
            lease,
        })
    }

    /// The monotonic instant at which these terms are over: by the wall or by the uptime, whichever
    /// is first.
    fn deadline(&self, state: &State, terms: &Terms, uptime: Duration) -> Instant {
        let clock = &self.inner.clock;
        let by_wall = clock.instant_of(terms.until);
        let end = state.ends.get(&terms.grant).copied().unwrap_or_default();
        let by_uptime = clock.instant().checked_add(end.saturating_sub(uptime));
        by_uptime.map_or(by_wall, |by_uptime| by_uptime.min(by_wall))
    }

    /// Whether this may be done in a session that was let in by these terms. In memory.
    ///
    /// # Errors
    ///
    /// The reason, as it may be told.
    pub fn may(&self, terms: &Terms, deed: &Deed) -> Result<(), Denial> {
        let state = self.state();
        self.usage(&state, terms)?.may(terms, deed)
    }

    /// What the answers of [`Self::may`], [`Self::scrutiny`] and [`Self::files`] rest on: they are the same while this
    /// is, but for the time. Asked before every message of every session, so it takes no lock.
    pub fn edition(&self) -> u64 {
        self.inner.edition.load(Ordering::Acquire)
    }

    /// Whether the SQL statements of a session that was let in by these terms have to be asked about,
    /// each. In memory.
    pub fn scrutiny(&self, terms: &Terms) -> Scrutiny {
        let state = self.state();
        match state.policies() {
            Ok(policies) => scrutiny(policies, || self.usage(&state, terms)),
            // Each is then refused with the reason.
            Err(_unavailable) => Scrutiny::Each,
        }
    }

    /// What may be done with files in a session that was let in by these terms, as things stand now. In memory.
    pub fn files(&self, terms: &Terms) -> FileUse {
        let state = self.state();
        match state.policies() {
            Ok(policies) => FileUse::of(policies, || self.usage(&state, terms)),
            Err(unavailable) => FileUse::Refused(unavailable),
        }
    }

    /// What the grant of these terms allows, put together anew where nobody did a moment ago.
    pub(super) fn usage(&self, state: &State, terms: &Terms) -> Result<Arc<Usage>, Denial> {
        let inner = &self.inner;
        let now = state.instant_for(terms, inner.clock.now());
        let stamp = (state.revision, inner.clock.instant());
        if let Some(known) = inner.lately.get(terms, stamp.0, stamp.1) {
            return known.again(&state.facts, terms, now);
        }
        let usage = Arc::new(Usage::of(state.policies()?, &state.facts, terms, now)?);
        inner.lately.put(terms, stamp, &usage);
        Ok(usage)
    }

    /// Whose registered key this is, and its fingerprint: a line in OpenSSH's form, or a fingerprint
    /// `SHA256:…`. Nobody's if its owner is locked.
    ///
    /// The key is looked up by its digest, so how long it takes says nothing about which keys are
    /// registered.
    pub fn identify_key(&self, key: &str) -> Option<(PrincipalName, String)> {
        let fingerprint = fingerprint_of(key)?;
        let state = self.state();
        let owner = state
            .owner_of(&fingerprint)
            .filter(|owner| admits(&state, owner))?;
        Some((owner.clone(), fingerprint))
    }

    /// Whether this is someone who may come in at all: known, not locked, and proven by what they
    /// showed. A certificate is good for as long as the registered key by which it was got is theirs.
    pub fn knows(&self, name: &PrincipalName, credential: &Credential) -> bool {
        let state = self.state();
        admits(&state, name) && state.is_proof(credential, name)
    }

    /// The instant by which logins are judged: under a wall that was set back none that is over holds again, and none
    /// holds longer for as long as that wall is not believed.
    pub fn latest_time(&self) -> Timestamp {
        self.inner.health.latest_time()
    }

    /// What whoever holds this grant gave as their reason.
    pub fn reason_of(&self, grant: GrantId) -> Option<Reason> {
        let state = self.state();
        let request = state.facts.grants.get(&grant)?.request;
        state
            .facts
            .requests
            .get(&request)
            .map(|request| request.reason.clone())
    }

    /// Writes down something for the auditor. Durable when it returns.
    ///
    /// # Errors
    ///
    /// It may be written or not.
    pub async fn record(&self, happening: Happening) -> Result<(), BrokerError> {
        let receipt = self.submit(happening).await?;
        receipt
            .durably()
            .await
            .map_err(|error| BrokerError::store(&error))
    }
}
