//! What was made while the clock was ahead, once it is right and believed again.
//!
//! Its time lies before it, though some or all of it was used: in force again it would outlive its end. So nothing of
//! it holds, and whoever needs it asks once more.

use policies::words::broker::CLOCK_WAS_AHEAD;
use policies::{GrantEnd, RequestState};

use super::grants::ours;
use super::{Broker, BrokerError};
use crate::change::Change;

impl Broker {
    /// Where the clock was said to be right, ends every grant that begins after the present, and takes back every request
    /// that was filed after it.
    pub(super) async fn end_ahead(&self) -> Result<(), BrokerError> {
        if !self.inner.settings.believe_clock {
            return Ok(());
        }
        self.append(None, |end| {
            let facts = &end.state.facts;
            let grants = facts.grants.values();
            let ahead = grants.filter(|grant| grant.ended.is_none() && grant.starts_at > end.now);
            let ended = ahead.map(|grant| Change::GrantEnded {
                id: grant.id,
                end: GrantEnd {
                    by: None,
                    reason: ours(CLOCK_WAS_AHEAD),
                    at: end.now,
                },
            });
            let requests = facts.requests.values();
            let asked = requests.filter(|request| {
                request.state == RequestState::Pending && request.filed_at > end.now
            });
            let withdrawn = asked.map(|request| Change::RequestWithdrawn { id: request.id });
            Ok((ended.chain(withdrawn).collect(), ()))
        })
        .await
    }
}
