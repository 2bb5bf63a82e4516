//! Through to a bastion behind this one (`ssh -J bastion1,bastion2 LOGIN@TARGET`): who is connected to this
//! bastion and jumps to a target that is a tidegate itself has the bytes of an SSH connection carried there.
//!
//! An ordinary session with its own permit, lease and recording, except that nothing opens the target for
//! it: people log in there with what is their own. What passes is encrypted for that bastion, which records
//! it; here it is counted. So that no other server and no other protocol is reached in this way, the
//! beginning is read in passing, which is in clear ([`clear`]): a tidegate has to answer, with
//! its pinned host key (`docs/decisions/0037-a-chain-of-bastions.md`).

mod acquaint;
pub(in crate::ssh) mod clear;
mod lane;
mod passenger;

use std::net::SocketAddr;
use std::sync::Arc;

use ca::{Pass, PassKey};
use jiff::Timestamp;
use policies::words::Shown;
use policies::words::entrance;
use policies::words::session::{Missed, Unreachable};
use policies::{Ask, BASTION_LOGIN, Login, Protocol as Spoken, TargetName};
use recorder::{CARRIED, ChannelEvent};
use tokio::time;

use super::NoHalt;
use crate::session::LOGIN_LIMIT;
use crate::session::incoming::Newcomer;
use crate::session::protocol::{Closed, ConnectError, Connected, Identified, Protocol, Refused};
use crate::session::scope::Scope;
use crate::session::severable::Severable;
use crate::session::way::Dialled;
use crate::ssh::channel::tap::{Content, Tap};
use crate::ssh::client::arrival::Proven;

pub use passenger::{Company, Outer, Passenger};

use acquaint::Acquainted;

/// One connection of somebody who is known already to a bastion behind this one.
#[derive(Debug)]
pub struct Transit {
    ask: Ask,
    outer: Arc<Outer>,
}

impl Transit {
    /// What has to be asked before somebody is let through: as everywhere, but as nobody's account. None once
    /// what they have proven themselves by is over: the connection that it was shown on may stay open for
    /// as long as they like.
    pub fn ask(
        proven: &Proven,
        target: &TargetName,
        (source, now): (SocketAddr, Timestamp),
    ) -> Option<Ask> {
        if proven.until.is_some_and(|until| now >= until) {
            return None;
        }
        Some(Ask {
            principal: proven.principal.clone(),
            credential: proven.credential.clone(),
            source: source.ip().to_canonical(),
            target: target.clone(),
            login: BASTION_LOGIN.parse::<Login>().ok()?,
            database: None,
            protocol: Spoken::Ssh,
        })
    }

    /// The connection of somebody who asks this, inside the connection that they have to us.
    pub fn new(ask: Ask, outer: Outer) -> Self {
        let outer = Arc::new(outer);
        Self { ask, outer }
    }
}

/// The bastion, which is the one that is pinned, and what is still to be read in passing.
pub struct Beyond {
    io: Severable,
    acquainted: Acquainted,
    tap: Finishing,
}

impl std::fmt::Debug for Beyond {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.debug_struct("Beyond")
            .field("acquainted", &self.acquainted)
            .finish_non_exhaustive()
    }
}

/// The recording of what passes. Dropping it writes its digests down, however the session ends.
struct Finishing(Arc<Tap>);

impl Drop for Finishing {
    fn drop(&mut self) {
        if let Err(refused) = self.0.finish() {
            tracing::debug!(reason = %refused, "recording.undigested");
        }
    }
}

impl Protocol for Transit {
    type Front = Passenger;
    type Back = Beyond;
    type Halt = NoHalt;

    /// They have proven who they are to the connection that this one is inside of.
    async fn greet(
        &self,
        io: Severable,
        mut newcomer: Newcomer,
    ) -> Result<Identified<Passenger>, Refused> {
        newcomer.proven();
        Ok(Identified {
            ask: self.ask.clone(),
            front: Passenger::new(io, Arc::clone(&self.outer)),
        })
    }

    /// Nobody logs in. Looks on while client and bastion get acquainted, up to the key that it shows.
    async fn connect(
        &self,
        front: &mut Passenger,
        dialled: Dialled,
        pass: Pass,
        scope: &Scope,
    ) -> Result<Connected<Self>, ConnectError> {
        if !matches!(pass.key, PassKey::Own) || !scope.terms().target.is_bastion() {
            let other = entrance::NO_BASTION.to_owned();
            return Err(ConnectError::Violation(other));
        }
        let mut io = dialled.io;
        let tap = Finishing(opened(scope).map_err(ConnectError::Recorder)?);
        let acquainting = acquaint::acquaint((front, &mut io), &tap.0, scope);
        let acquainted = time::timeout(LOGIN_LIMIT, acquainting).await;
        let acquainted = acquainted.unwrap_or_else(|_elapsed| {
            Err(ConnectError::Io(std::io::ErrorKind::TimedOut.into()))
        })?;
        let back = Beyond {
            io,
            acquainted,
            tap,
        };
        Ok(Connected { back, halt: NoHalt })
    }

    async fn relay(&self, front: &mut Passenger, back: Beyond, scope: &Scope) -> Closed {
        let Beyond {
            mut io,
            acquainted,
            tap,
        } = back;
        let closed = lane::carry((front, &mut io), acquainted, (&tap.0, scope)).await;
        if matches!(closed, Closed::Violation(_)) {
            let target = &scope.terms().target.name;
            let why = Unreachable::NotSsh;
            front.tell(&Missed { why, target }.words()).await;
        }
        closed
    }
}

/// Begins the recording of what passes.
fn opened(scope: &Scope) -> Result<Arc<Tap>, recorder::AppendError> {
    let tap = Arc::new(Tap::new(scope.clone(), CARRIED));
    tap.begin(Content::Sealed);
    let terms = scope.terms();
    let at = terms.target.addr();
    tap.event(ChannelEvent::Opened {
        kind: "direct-tcpip",
    })?;
    tap.event(ChannelEvent::Forward {
        host: &at.host,
        port: u32::from(at.port),
        originator: &terms.source.to_string(),
        originator_port: 0,
    })?;
    Ok(tap)
}

#[cfg(test)]
mod tests {
    use policies::{Credential, PrincipalName};

    use super::*;

    #[test]
    fn a_login_that_is_over_leads_nowhere_however_long_its_connection_stays() {
        let at = |second| Timestamp::from_second(second).unwrap();
        let source = SocketAddr::from(([127, 0, 0, 1], 22));
        let target = TargetName::parse("bastion2").unwrap();
        let asked = |until, now| {
            let text = || "x".to_owned();
            let proven = Proven {
                principal: PrincipalName::parse("alice").unwrap(),
                credential: Credential::Certificate {
                    serial: text(),
                    fingerprint: text(),
                    by_key: text(),
                },
                until,
                user: text(),
            };
            Transit::ask(&proven, &target, (source, now)).is_some()
        };
        assert!(asked(Some(at(1000)), at(999)));
        assert!(!asked(Some(at(1000)), at(1000)));
        assert!(!asked(Some(at(1000)), at(9000)));
        // A registered key is asked about when the session begins.
        assert!(asked(None, at(9000)));
    }
}
