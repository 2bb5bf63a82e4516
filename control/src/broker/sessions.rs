//! Sessions: what the data plane reports, what people may see, and ending one.
use super::{Broker, BrokerError, Caller};
use crate::ledger::{Happening, Line, Session, SessionEnd, SessionFilter};
use jiff::Timestamp;
use policies::*;
impl Broker {
    /// Writes down that a session's recording is open, and puts it among the live ones. Durable
    /// when it returns.
    pub async fn session_opened(
        &self,
        session: SessionId,
        terms: &Terms,
    ) -> Result<(), BrokerError> {
        let _ = (session, terms);
        super::unready()
    }
    /// Writes down how a session ended. Durable when it returns.
    pub async fn session_closed(
        &self,
        session: SessionId,
        end: SessionEnd,
    ) -> Result<(), BrokerError> {
        let _ = (session, end);
        super::unready()
    }
    /// Writes down something for the auditor. Durable when it returns.
    pub async fn record(&self, happening: Happening) -> Result<(), BrokerError> {
        let _ = happening;
        super::unready()
    }
    /// The sessions that the caller may see, newest first.
    pub async fn sessions(
        &self,
        caller: &Caller,
        filter: &SessionFilter,
    ) -> Result<Vec<Session>, BrokerError> {
        let _ = (caller, filter);
        super::unready()
    }
    /// One session.
    pub async fn show_session(
        &self,
        caller: &Caller,
        id: SessionId,
    ) -> Result<Session, BrokerError> {
        let _ = (caller, id);
        super::unready()
    }
    /// One session whose recording the caller may play: their own, or any with the office for it.
    pub async fn replayable(&self, caller: &Caller, id: SessionId) -> Result<Session, BrokerError> {
        let _ = (caller, id);
        super::unready()
    }
    /// Ends one session; its grant stays.
    pub async fn kill_session(
        &self,
        caller: &Caller,
        id: SessionId,
        reason: Reason,
    ) -> Result<(), BrokerError> {
        let _ = (caller, id, reason);
        super::unready()
    }
    /// Lines of the ledger after `seen`, oldest first.
    pub async fn audit(
        &self,
        caller: &Caller,
        seen: u64,
        limit: u32,
    ) -> Result<Vec<Line>, BrokerError> {
        let _ = (caller, seen, limit);
        super::unready()
    }
    /// The ids of sessions that were open when the server last stopped, closed as cut short.
    pub async fn cut_short(&self, now: Timestamp) -> Result<Vec<SessionId>, BrokerError> {
        let _ = now;
        super::unready()
    }
}
