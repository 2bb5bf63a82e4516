//! What opens a connection through a target to another one behind it: a certificate that permits
//! forwarding a port and nothing else, no terminal and no command that would need one.
//!
//! No permit is spent on it. Nobody gets in by it: the server alone goes through, with a session whose
//! permit it holds, or for a look by those who manage targets.

use std::fmt;
use std::net::IpAddr;

use jiff::Timestamp;
use policies::{Hop, SessionId, TargetName, Terms};

use crate::intent::{Contents, Draft, Extension, Purpose};
use crate::profile::{PASS_LIFETIME_MAX, TRIAL_LIFETIME};
use crate::rand_core::CryptoRng;
use crate::window::Window;
use crate::{Authority, IssueError, Journal, KeyId, PassKey, Serial};

/// Whom a way is for.
#[derive(Debug, Clone, Copy)]
pub enum Traveller<'a> {
    /// A session, by its terms.
    Session(SessionId, &'a Terms),
    /// A look at this target, which is, or is to become, one.
    Trial(&'a TargetName),
}

/// What a way through a target needs.
pub struct HopOrder<'a> {
    /// Through which, as whom.
    pub hop: &'a Hop,
    /// For whom.
    pub traveller: Traveller<'a>,
    /// What time it is.
    pub now: Timestamp,
    /// The address that it will see us come from, where that is known.
    pub source_address: Option<IpAddr>,
    /// Where randomness comes from.
    pub rng: &'a mut (dyn CryptoRng + Send),
}

impl fmt::Debug for HopOrder<'_> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("HopOrder")
            .field("hop", &self.hop)
            .field("traveller", &self.traveller)
            .finish_non_exhaustive()
    }
}

impl Authority {
    /// Makes a certificate that opens one connection through a target.
    pub async fn issue_hop(
        &self,
        order: HopOrder<'_>,
        journal: &impl Journal,
    ) -> Result<PassKey, IssueError> {
        let (key_id, window) = match order.traveller {
            Traveller::Session(session, terms) => (
                KeyId::of_session(session, terms.grant, &terms.principal),
                Window::new(order.now, PASS_LIFETIME_MAX, Some(terms.until))?,
            ),
            Traveller::Trial(target) => (
                KeyId::of_trial(target),
                Window::new(order.now, TRIAL_LIFETIME, None)?,
            ),
        };
        let serial = Serial::draw_ssh(order.rng);
        let draft = Draft {
            purpose: Purpose::SshHop,
            serial,
            key_id,
            window,
            contents: Contents::Ssh {
                principals: vec![order.hop.login.as_str().to_owned()],
                source_address: order.source_address.map(|address| address.to_canonical()),
                force_command: None,
                extensions: [Extension::PermitPortForwarding].into(),
            },
        };
        self.fresh_ssh(draft, order.rng, journal).await
    }
}
