//! Who to wake: every lease, found by session, grant, principal or target.
//!
//! One lock around four maps, held for a few lookups and never across an await. Knows where each
//! lease stands, not why it should end.

use std::collections::{BTreeMap, BTreeSet};
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};

use policies::{GrantId, PrincipalName, SessionId, SeverReason, TargetName, Terms};
use tokio::sync::watch;

use super::Standing;

/// A session and the terms by which it was let in.
pub(crate) type Bound = (SessionId, Arc<Terms>);

/// All leases of this server.
#[derive(Debug, Default)]
pub(crate) struct LeaseBook {
    pages: Mutex<Pages>,
}

#[derive(Debug, Default)]
struct Pages {
    rows: BTreeMap<SessionId, Row>,
    by_grant: BTreeMap<GrantId, BTreeSet<SessionId>>,
    by_principal: BTreeMap<PrincipalName, BTreeSet<SessionId>>,
    by_target: BTreeMap<TargetName, BTreeSet<SessionId>>,
    /// Set once, when nobody may go on: whoever subscribes later is over at once.
    closed: Option<SeverReason>,
}

#[derive(Debug)]
struct Row {
    standing: watch::Sender<Standing>,
    principal: PrincipalName,
    target: TargetName,
    /// Absent while the decision is being made.
    terms: Option<Arc<Terms>>,
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
            terms: None,
        };
        pages.rows.insert(session, row);
        receiver
    }

    /// Writes down by which terms a session was let in.
    pub(crate) fn bind(&self, session: SessionId, terms: &Arc<Terms>) {
        let mut pages = self.pages();
        if let Some(row) = pages.rows.get_mut(&session) {
            row.terms = Some(Arc::clone(terms));
            pages
                .by_grant
                .entry(terms.grant)
                .or_default()
                .insert(session);
        }
    }

    /// Takes a session out of the book.
    pub(crate) fn remove(&self, session: SessionId) {
        let mut pages = self.pages();
        let Some(row) = pages.rows.remove(&session) else {
            return;
        };
        unlist(&mut pages.by_principal, &row.principal, session);
        unlist(&mut pages.by_target, &row.target, session);
        if let Some(terms) = &row.terms {
            unlist(&mut pages.by_grant, &terms.grant, session);
        }
    }

    /// Ends a lease. The first reason stays.
    pub(crate) fn sever(&self, session: SessionId, reason: SeverReason) {
        if let Some(row) = self.pages().rows.get(&session) {
            end(row, reason);
        }
    }

    /// Ends every lease, and from here on each new one at once.
    pub(crate) fn close(&self, reason: &SeverReason) {
        let mut pages = self.pages();
        pages.closed.get_or_insert_with(|| reason.clone());
        pages.rows.values().for_each(|row| end(row, reason.clone()));
    }

    /// Ends every lease there is.
    pub(crate) fn sever_all(&self, reason: &SeverReason) {
        self.pages()
            .rows
            .values()
            .for_each(|row| end(row, reason.clone()));
    }

    /// Whether [`LeaseBook::close`] was called, and why.
    pub(crate) fn closed(&self) -> Option<SeverReason> {
        self.pages().closed.clone()
    }

    /// The bound session of this name, if it still holds.
    pub(crate) fn one(&self, session: SessionId) -> Option<Bound> {
        self.pages().bound(session)
    }

    /// Every bound session that still holds.
    pub(crate) fn all(&self) -> Vec<Bound> {
        let pages = self.pages();
        pages
            .rows
            .keys()
            .filter_map(|session| pages.bound(*session))
            .collect()
    }

    /// The bound sessions of a grant that still hold.
    pub(crate) fn of_grant(&self, grant: GrantId) -> Vec<Bound> {
        let pages = self.pages();
        pages.listed(pages.by_grant.get(&grant))
    }

    /// The bound sessions of a principal that still hold.
    pub(crate) fn of_principal(&self, name: &PrincipalName) -> Vec<Bound> {
        let pages = self.pages();
        pages.listed(pages.by_principal.get(name))
    }

    /// The bound sessions to a target that still hold.
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
    fn bound(&self, session: SessionId) -> Option<Bound> {
        let row = self.rows.get(&session)?;
        let holds = *row.standing.borrow() == Standing::Holds;
        row.terms
            .as_ref()
            .filter(|_| holds)
            .map(|terms| (session, Arc::clone(terms)))
    }

    fn listed(&self, sessions: Option<&BTreeSet<SessionId>>) -> Vec<Bound> {
        sessions
            .into_iter()
            .flatten()
            .filter_map(|session| self.bound(*session))
            .collect()
    }
}

fn end(row: &Row, reason: SeverReason) {
    row.standing.send_if_modified(|standing| match standing {
        Standing::Holds => {
            *standing = Standing::Over(reason);
            true
        }
        Standing::Over(_) => false,
    });
}

fn unlist<K: Ord>(index: &mut BTreeMap<K, BTreeSet<SessionId>>, key: &K, session: SessionId) {
    if let Some(sessions) = index.get_mut(key) {
        sessions.remove(&session);
        if sessions.is_empty() {
            index.remove(key);
        }
    }
}
