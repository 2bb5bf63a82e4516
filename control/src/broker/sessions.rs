//! Sessions: what the data plane reports, what people may see, and ending one.

use std::time::Duration;

use policies::words::broker::Conflict;
use policies::{Denial, Office, PrincipalName, Reason, SessionId, SeverReason, Terms};
use tokio::time;

use super::replays::Whose;
use super::{Broker, BrokerError, Caller};
use crate::change::Change;
use crate::ledger::{Happening, Session, SessionEnd, SessionFilter};
use crate::store::Store;

/// How often it is looked whether a store that failed works again.
const STORE_LOOK: Duration = Duration::from_secs(1);

impl Broker {
    /// Writes down that a session's recording is open, and puts it among the live ones.
    ///
    /// In line for the ledger when it returns, and durable before any certificate for the session
    /// is written down.
    ///
    /// # Errors
    ///
    /// [`BrokerError::Unavailable`]: the session must not begin.
    pub async fn session_opened(
        &self,
        session: SessionId,
        terms: &Terms,
    ) -> Result<(), BrokerError> {
        let session = Box::new(Session::opened(session, terms, self.inner.clock.now()));
        self.queue(Happening::SessionOpened { session }).await
    }

    /// Writes down how a session ended. Durable when it returns.
    ///
    /// # Errors
    ///
    /// [`BrokerError::Unavailable`]: it is listed as live, until [`session_closed_late`](Self::session_closed_late) or
    /// the next start.
    pub async fn session_closed(
        &self,
        session: SessionId,
        end: SessionEnd,
    ) -> Result<(), BrokerError> {
        self.record(Happening::SessionClosed {
            session,
            end: Box::new(end),
        })
        .await
    }

    /// The same where the store did not take it, as soon as it works again. In line for the ledger when this returns:
    /// from then on it is written before what comes after it, though a commit fails once more.
    pub async fn session_closed_late(&self, session: SessionId, end: SessionEnd) {
        let end = Box::new(end);
        loop {
            time::sleep(STORE_LOOK).await;
            let end = end.clone();
            if self.store_is_well()
                && let Ok(()) = self.queue(Happening::SessionClosed { session, end }).await
            {
                return;
            }
        }
    }

    /// The sessions that the caller may see, newest first: all with the office for it, else their
    /// own.
    ///
    /// # Errors
    ///
    /// [`BrokerError::Unavailable`] when the store does not answer.
    pub async fn sessions(
        &self,
        caller: &Caller,
        filter: &SessionFilter,
    ) -> Result<Vec<Session>, BrokerError> {
        let mut filter = filter.clone();
        let sees = self.sees_sessions(caller);
        match sees {
            Sees::All => {}
            Sees::Nothing => return Ok(Vec::new()),
            Sees::Own => {
                let asked = filter.principal.replace(caller.principal.clone());
                if asked.is_some_and(|name| name != caller.principal) {
                    return Ok(Vec::new());
                }
            }
        }
        let found = self.inner.store.sessions(&filter).await;
        let mut found = found.map_err(|error| BrokerError::store(&error))?;
        if let Sees::Own = sees {
            found.retain(|session| self.is_own(caller, session));
        }
        Ok(found)
    }

    /// Whether this session is the caller's, and not of somebody who had their name before.
    fn is_own(&self, caller: &Caller, session: &Session) -> bool {
        let state = self.state();
        let view = self.view(&state, caller);
        view.is_own(&session.principal, session.opened_at)
    }

    /// One session.
    ///
    /// # Errors
    ///
    /// [`BrokerError::NotFound`] when there is none that the caller may see.
    pub async fn show_session(
        &self,
        caller: &Caller,
        id: SessionId,
    ) -> Result<Session, BrokerError> {
        let found = self.inner.store.session(id).await;
        let found = found.map_err(|error| BrokerError::store(&error))?;
        let seen = found.filter(|session| match self.sees_sessions(caller) {
            Sees::All => true,
            Sees::Own => self.is_own(caller, session),
            Sees::Nothing => false,
        });
        seen.ok_or_else(|| BrokerError::NotFound {
            what: id.to_string(),
        })
    }

    /// One session whose recording the caller may play: their own, or any with the office for it.
    /// That they asked is in the ledger either way: see `replays.rs`.
    ///
    /// # Errors
    ///
    /// [`BrokerError::Denied`] for who may see the session and not its recording.
    pub async fn replayable(&self, caller: &Caller, id: SessionId) -> Result<Session, BrokerError> {
        let allowed = self.try_replay(caller, id).await;
        match &allowed {
            Ok(session) => {
                let whose = if self.is_own(caller, session) {
                    Whose::Own
                } else {
                    Whose::Anothers
                };
                self.write_replay(&caller.principal, id, whose).await?;
            }
            Err(refused) => {
                self.audit_refusal(caller, ("replay", &id.to_string()), refused)
                    .await;
            }
        }
        allowed
    }

    async fn try_replay(&self, caller: &Caller, id: SessionId) -> Result<Session, BrokerError> {
        let state = self.state();
        let replay = self.view(&state, caller).office(Office::Replay);
        let found = match replay {
            // Whoever may play any recording may see any session.
            Ok(()) => self.inner.store.session(id).await,
            Err(denial) => {
                let session = self.show_session(caller, id).await?;
                return if self.is_own(caller, &session) {
                    Ok(session)
                } else {
                    Err(denial.into())
                };
            }
        };
        let found = found.map_err(|error| BrokerError::store(&error))?;
        found.ok_or_else(|| BrokerError::NotFound {
            what: id.to_string(),
        })
    }

    /// Ends one session; its grant stays. Its lease is over when this returns.
    ///
    /// # Errors
    ///
    /// [`BrokerError::Conflict`] when it is over.
    pub async fn kill_session(
        &self,
        caller: &Caller,
        id: SessionId,
        reason: Reason,
    ) -> Result<(), BrokerError> {
        let owner = match self.owner_of_live(caller, id) {
            Some(owner) => owner,
            None => self.owner_in_ledger(caller, id).await?,
        };
        let now = self.inner.clock.instant();
        if owner == caller.principal && !self.inner.own_kills.is_logged(&owner, now) {
            self.end_session(id, SeverReason::Killed { by: owner, reason });
            return Ok(());
        }
        self.change(caller, ("kill session", &id.to_string()), |view| {
            if !view.is_self(&owner) {
                view.office(Office::KillSessions)?;
            }
            if view.state.kills.contains_key(&id) {
                return Err(BrokerError::Conflict(Conflict::SessionOver { session: id }));
            }
            let (by, reason) = (caller.principal.clone(), reason.clone());
            Ok((
                vec![Change::SessionKilled {
                    session: id,
                    by,
                    reason,
                }],
                (),
            ))
        })
        .await
    }

    /// Whose session this is, from memory, where the caller may kill it: a cut waits for no disk, and
    /// a session may be killed that the ledger does not hold yet.
    pub(super) fn owner_of_live(&self, caller: &Caller, id: SessionId) -> Option<PrincipalName> {
        let (_session, terms) = self.inner.book.one(id)?;
        let state = self.state();
        let view = self.view(&state, caller);
        let may = view.is_self(&terms.principal) || view.office(Office::KillSessions).is_ok();
        may.then(|| terms.principal.clone())
    }

    /// Whose session this is, as far as the caller may know.
    async fn owner_in_ledger(
        &self,
        caller: &Caller,
        id: SessionId,
    ) -> Result<PrincipalName, BrokerError> {
        match self.show_session(caller, id).await {
            Ok(session) if session.is_live() => Ok(session.principal),
            Ok(_over) => Err(BrokerError::Conflict(Conflict::SessionOver { session: id })),
            Err(refused) => {
                self.audit_refusal(caller, ("kill session", &id.to_string()), &refused)
                    .await;
                Err(refused)
            }
        }
    }

    fn sees_sessions(&self, caller: &Caller) -> Sees {
        let state = self.state();
        let view = self.view(&state, caller);
        match view.office(Office::ViewSessions) {
            Ok(()) => Sees::All,
            Err(Denial::Unavailable { .. }) => Sees::Nothing,
            Err(_) if view.is_self(&caller.principal) => Sees::Own,
            Err(_) => Sees::Nothing,
        }
    }
}

/// Whose sessions a caller sees.
enum Sees {
    All,
    Own,
    Nothing,
}
