//! Who to wake: every lease, found by session, grant, principal or target.
//!
//! One lock around a few maps, held for a few lookups and never across an await. Knows where each
//! lease stands and when it has to be over, not why it should end before.

use std::collections::{BTreeMap, BTreeSet};
use std::fmt;
use std::panic::{AssertUnwindSafe, catch_unwind};
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};

use policies::{GrantId, PrincipalName, SessionId, SeverReason, TargetName, Terms};
use tokio::sync::{Notify, watch};
use tokio::time::Instant;

use super::Standing;

/// A session and the terms by which it was let in.
pub(crate) type Bound = (SessionId, Arc<Terms>);

/// What is done the moment a lease is over. Runs outside the book's lock.
pub(crate) type Act = Box<dyn FnOnce() + Send>;

/// All leases of this server.
#[derive(Debug, Default)]
pub(crate) struct LeaseBook {
    pages: Mutex<Pages>,
    /// Told when the earliest deadline is another than before.
    sooner: Notify,
    /// Whether nobody may go on any more.
    shut: watch::Sender<bool>,
}

#[derive(Debug, Default)]
struct Pages {
    rows: BTreeMap<SessionId, Row>,
    by_grant: BTreeMap<GrantId, BTreeSet<SessionId>>,
    by_principal: BTreeMap<PrincipalName, BTreeSet<SessionId>>,
    by_target: BTreeMap<TargetName, BTreeSet<SessionId>>,
    by_deadline: BTreeSet<(Instant, SessionId)>,
    /// Bound, and not looked at since.
    unseen: BTreeSet<SessionId>,
    /// Set once, when nobody may go on: whoever subscribes later is over at once.
    closed: Option<SeverReason>,
}

struct Row {
    standing: watch::Sender<Standing>,
    principal: PrincipalName,
    target: TargetName,
    /// Absent while the decision is being made.
    bound: Option<(Arc<Terms>, Instant)>,
    act: Option<Act>,
}

impl fmt::Debug for Row {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Row")
            .field("standing", &*self.standing.borrow())
            .finish_non_exhaustive()
    }
}

impl LeaseBook {
    /// Puts a session into the book.
    pub(crate) fn subscribe(
        &self,
        session: SessionId,
        principal: &PrincipalName,
        target: &TargetName,
    ) -> watch::Receiver<Standing> {
        let mut pages = self.pages();
        let standing = match &pages.closed {
            Some(reason) => Standing::Over(reason.clone()),
            None => Standing::Holds,
        };
        let (sender, receiver) = watch::channel(standing);
        pages
            .by_principal
            .entry(principal.clone())
            .or_default()
            .insert(session);
        pages
            .by_target
            .entry(target.clone())
            .or_default()
            .insert(session);
        let row = Row {
            standing: sender,
            principal: principal.clone(),
            target: target.clone(),
            bound: None,
            act: None,
        };
        pages.rows.insert(session, row);
        receiver
    }

    /// Writes down by which terms a session was let in, and when it has to be over at the latest.
    pub(crate) fn bind(&self, session: SessionId, terms: &Arc<Terms>, deadline: Instant) {
        let mut pages = self.pages();
        let Some(row) = pages.rows.get_mut(&session) else {
            return;
        };
        row.bound = Some((Arc::clone(terms), deadline));
        pages
            .by_grant
            .entry(terms.grant)
            .or_default()
            .insert(session);
        for hop in &terms.via {
            let through = pages.by_target.entry(hop.target.name.clone()).or_default();
            through.insert(session);
        }
        pages.unseen.insert(session);
        pages.by_deadline.insert((deadline, session));
        if pages.by_deadline.first() == Some(&(deadline, session)) {
            self.sooner.notify_one();
        }
    }

    /// Takes in what has to be done the moment this lease is over, or does it at once.
    pub(crate) fn when_over(&self, session: SessionId, act: Act) {
        let mut pages = self.pages();
        if let Some(row) = pages.rows.get_mut(&session)
            && *row.standing.borrow() == Standing::Holds
        {
            let replaced = row.act.replace(act);
            drop(pages);
            drop(replaced);
            return;
        }
        drop(pages);
        act();
    }

    /// Takes a session out of the book.
    pub(crate) fn remove(&self, session: SessionId) {
        // Dropped after the lock is given back: an act may be the last to hold a file.
        let _row = self.pages().take(session);
    }

    /// Ends a lease. The first reason stays.
    pub(crate) fn sever(&self, session: SessionId, reason: SeverReason) {
        self.sever_these(vec![(session, reason)]);
    }

    /// Ends these leases. First every reason is there to be read, then all is done that is to be done
    /// at once, and only then the sessions are woken: they would want the same processors.
    pub(crate) fn sever_these(&self, over: Vec<(SessionId, SeverReason)>) {
        let mut sessions = Vec::with_capacity(over.len());
        let mut acts = Vec::with_capacity(over.len());
        {
            let mut pages = self.pages();
            for (session, reason) in over {
                if let Some(row) = pages.rows.get_mut(&session)
                    && end_unheard(row, reason)
                {
                    sessions.push(session);
                    acts.extend(row.act.take());
                }
            }
        }
        for act in acts {
            // Whatever one act does, the others are done and everybody is woken.
            if catch_unwind(AssertUnwindSafe(act)).is_err() {
                tracing::error!("lease.act_panicked");
            }
        }
        let pages = self.pages();
        for row in sessions.iter().filter_map(|name| pages.rows.get(name)) {
            row.standing.send_modify(|_standing| {});
        }
    }

    /// Ends every lease, and from here on each new one at once.
    pub(crate) fn close(&self, reason: &SeverReason) {
        self.pages().closed.get_or_insert_with(|| reason.clone());
        self.sever_all(reason);
        self.shut.send_replace(true);
    }

    /// Returns when [`LeaseBook::close`] was called.
    pub(crate) async fn shut(&self) {
        let mut shut = self.shut.subscribe();
        // The sender is ours: it cannot be gone.
        drop(shut.wait_for(|shut| *shut).await);
    }

    /// Ends every lease there is.
    pub(crate) fn sever_all(&self, reason: &SeverReason) {
        let sessions: Vec<_> = self.pages().rows.keys().copied().collect();
        let over = sessions.into_iter().map(|name| (name, reason.clone()));
        self.sever_these(over.collect());
    }

    /// Ends every lease whose deadline has come by `now`.
    pub(crate) fn expire(&self, now: Instant) {
        let mut over = Vec::new();
        {
            let mut pages = self.pages();
            while let Some((deadline, session)) = pages.by_deadline.first().copied()
                && deadline <= now
            {
                pages.by_deadline.pop_first();
                let row = pages.rows.get(&session);
                if let Some((terms, _)) = row.and_then(|row| row.bound.as_ref()) {
                    over.push((session, SeverReason::Expired { at: terms.until }));
                }
            }
        }
        self.sever_these(over);
    }

    /// The next deadline of a lease.
    pub(crate) fn next_deadline(&self) -> Option<Instant> {
        self.pages().by_deadline.first().map(|(at, _)| *at)
    }

    /// Returns when the next deadline may be another than it was.
    pub(crate) async fn sooner(&self) {
        self.sooner.notified().await;
    }

    /// Whether [`LeaseBook::close`] was called, and why.
    pub(crate) fn closed(&self) -> Option<SeverReason> {
        self.pages().closed.clone()
    }

    /// The bound session of this name, if it still holds.
    pub(crate) fn one(&self, session: SessionId) -> Option<Bound> {
        self.pages().bound(session)
    }

    /// Whether this session is in the book at all, be it over.
    pub(crate) fn knows(&self, session: SessionId) -> bool {
        self.pages().rows.contains_key(&session)
    }

    /// Every bound session that still holds.
    pub(crate) fn all(&self) -> Vec<Bound> {
        self.pages().every()
    }

    /// Every bound session that still holds, or that the policies have ended and that is being wound up.
    pub(crate) fn judged(&self) -> Vec<Bound> {
        let pages = self.pages();
        let judged = pages.rows.iter().filter(|(_session, row)| {
            let standing = row.standing.borrow();
            let by_policies = matches!(
                &*standing,
                Standing::Over(SeverReason::PolicyChanged { .. })
            );
            by_policies || *standing == Standing::Holds
        });
        let bound = judged.filter_map(|(session, row)| {
            let (terms, _deadline) = row.bound.as_ref()?;
            Some((*session, Arc::clone(terms)))
        });
        bound.collect()
    }

    /// Those bound sessions that still hold and that neither this nor [`LeaseBook::look_at_all`] has
    /// told of.
    pub(crate) fn look_at_new(&self) -> Vec<Bound> {
        let mut pages = self.pages();
        let unseen = std::mem::take(&mut pages.unseen);
        pages.listed(Some(&unseen))
    }

    /// Every bound session that still holds; none of them is new any longer.
    pub(crate) fn look_at_all(&self) -> Vec<Bound> {
        let mut pages = self.pages();
        pages.unseen.clear();
        pages.every()
    }

    /// The bound sessions of a grant that still hold.
    pub(crate) fn of_grant(&self, grant: GrantId) -> Vec<Bound> {
        let pages = self.pages();
        pages.listed(pages.by_grant.get(&grant))
    }

    /// The sessions of a grant that are over and being wound up.
    pub(crate) fn winding_up(&self, grant: GrantId) -> Vec<SessionId> {
        let pages = self.pages();
        let sessions = pages.by_grant.get(&grant).into_iter().flatten();
        let over = sessions.filter(|session| pages.bound(**session).is_none());
        over.copied().collect()
    }

    /// Whether there are sessions of a grant, those included that are over and being wound up.
    pub(crate) fn winds_up(&self, grant: GrantId) -> bool {
        let pages = self.pages();
        let sessions = pages.by_grant.get(&grant);
        sessions.is_some_and(|sessions| !sessions.is_empty())
    }

    /// The bound sessions of a principal that still hold.
    pub(crate) fn of_principal(&self, name: &PrincipalName) -> Vec<Bound> {
        let pages = self.pages();
        pages.listed(pages.by_principal.get(name))
    }

    /// How many sessions a principal has in the book, those that are being decided included.
    pub(crate) fn count_of(&self, name: &PrincipalName) -> usize {
        let pages = self.pages();
        pages.by_principal.get(name).map_or(0, BTreeSet::len)
    }

    /// How many of these are at this target, or on their way to it.
    pub(crate) fn count_at(&self, name: &PrincipalName, target: &TargetName) -> usize {
        let pages = self.pages();
        let Some(theirs) = pages.by_principal.get(name) else {
            return 0;
        };
        let rows = theirs.iter().filter_map(|session| pages.rows.get(session));
        rows.filter(|row| row.target == *target).count()
    }

    /// The bound sessions to a target, or through it, that still hold.
    pub(crate) fn of_target(&self, name: &TargetName) -> Vec<Bound> {
        let pages = self.pages();
        pages.listed(pages.by_target.get(name))
    }

    fn pages(&self) -> MutexGuard<'_, Pages> {
        // Nothing in here panics half-way through a change, and a lease must be severable in any case.
        self.pages.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

impl Pages {
    fn take(&mut self, session: SessionId) -> Option<Row> {
        let row = self.rows.remove(&session)?;
        self.unseen.remove(&session);
        unlist(&mut self.by_principal, &row.principal, session);
        unlist(&mut self.by_target, &row.target, session);
        if let Some((terms, deadline)) = &row.bound {
            unlist(&mut self.by_grant, &terms.grant, session);
            for hop in &terms.via {
                unlist(&mut self.by_target, &hop.target.name, session);
            }
            self.by_deadline.remove(&(*deadline, session));
        }
        Some(row)
    }

    fn bound(&self, session: SessionId) -> Option<Bound> {
        let row = self.rows.get(&session)?;
        let holds = *row.standing.borrow() == Standing::Holds;
        row.bound
            .as_ref()
            .filter(|_| holds)
            .map(|(terms, _)| (session, Arc::clone(terms)))
    }

    fn every(&self) -> Vec<Bound> {
        let names = self.rows.keys();
        names.filter_map(|session| self.bound(*session)).collect()
    }

    fn listed(&self, sessions: Option<&BTreeSet<SessionId>>) -> Vec<Bound> {
        sessions
            .into_iter()
            .flatten()
            .filter_map(|session| self.bound(*session))
            .collect()
    }
}

/// Puts an end to one row without waking anybody, and says whether it was not over before.
fn end_unheard(row: &Row, reason: SeverReason) -> bool {
    let mut ended = false;
    row.standing.send_if_modified(|standing| {
        if *standing == Standing::Holds {
            *standing = Standing::Over(reason);
            ended = true;
        }
        false
    });
    ended
}

fn unlist<K: Ord>(index: &mut BTreeMap<K, BTreeSet<SessionId>>, key: &K, session: SessionId) {
    if let Some(sessions) = index.get_mut(key) {
        sessions.remove(&session);
        if sessions.is_empty() {
            index.remove(key);
        }
    }
}
