//! Says who someone is, by asking the broker.

use control::Broker;
use policies::{Credential, PrincipalName};

use crate::session::protocol::Identify;

/// The broker, as far as protocols may ask it while they greet.
#[derive(Debug)]
pub(super) struct BrokerIdentify(pub(super) Broker);

impl Identify for BrokerIdentify {
    fn by_key(&self, openssh: &str) -> Option<(PrincipalName, Credential)> {
        let (name, fingerprint) = self.0.identify_key(openssh)?;
        Some((name, Credential::Key { fingerprint }))
    }

    fn admits(&self, principal: &PrincipalName, credential: &Credential) -> bool {
        self.0.knows(principal, credential)
    }

    fn now(&self) -> jiff::Timestamp {
        self.0.clock().now()
    }
}
