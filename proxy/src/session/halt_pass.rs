//! What shows a session's target who comes when work of the session has to be stopped there: the
//! certificate that opened the session has ended long before.
//!
//! Decides nothing: who is let in was decided before, and a stop only takes away.

use std::fmt;
use std::future::Future;
use std::pin::Pin;

use ca::{Authority, Pass, PassOrder, VaultError};
use control::ledger::StandingUse;
use control::{Broker, entropy};
use policies::{SessionId, Terms};
use tracing::warn;

use super::chain;

/// A pass that is being made; nothing where none can be had.
pub type Making<'a> = Pin<Box<dyn Future<Output = Option<Pass>> + Send + 'a>>;

/// Makes passes for stopping the work of sessions.
pub trait HaltPasses: fmt::Debug + Send + Sync + 'static {
    /// One for a short connection to the session's target.
    fn make<'a>(&'a self, session: SessionId, terms: &'a Terms) -> Making<'a>;
}

/// Makes none.
#[derive(Debug)]
pub struct Nowhere;

impl HaltPasses for Nowhere {
    fn make<'a>(&'a self, _session: SessionId, _terms: &'a Terms) -> Making<'a> {
        Box::pin(std::future::ready(None))
    }
}

/// Signs them, or opens what is kept for the target.
pub struct Signed {
    /// Knows the time, writes down what is signed, and keeps what opens targets without certificates.
    pub broker: Broker,
    /// Signs.
    pub authority: Authority,
}

impl fmt::Debug for Signed {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Signed").finish_non_exhaustive()
    }
}

impl HaltPasses for Signed {
    fn make<'a>(&'a self, session: SessionId, terms: &'a Terms) -> Making<'a> {
        Box::pin(async move {
            if !terms.target.entry().is_certificate() {
                let kept = self.broker.kept(&terms.target.name)?;
                let noted = self.broker.standing_used(session, terms, StandingUse::Halt);
                if let Err(refused) = noted.await {
                    warn!(reason = %chain(&refused), "halt.unissued");
                    return None;
                }
                // It is bound to where the target was when the session began, which may be elsewhere by now.
                let mut opened = Err(VaultError::Open);
                for sealed in kept.each() {
                    opened = self.authority.standing_halt(terms, session, sealed);
                    if opened.is_ok() {
                        break;
                    }
                }
                return opened
                    .map_err(|refused| warn!(reason = %chain(&refused), "halt.unissued"))
                    .ok();
            }
            let mut rng = entropy::rng();
            let order = PassOrder {
                session,
                now: self.broker.clock().now(),
                source_address: None,
                rng: &mut rng,
            };
            let made = self
                .authority
                .issue_halt(terms, order, self.broker.journal());
            made.await
                .map_err(|refused| warn!(reason = %chain(&refused), "halt.unissued"))
                .ok()
        })
    }
}
