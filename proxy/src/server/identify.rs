//! Says who someone is, by asking the broker.

use std::net::IpAddr;

use control::Broker;
use control::broker::Acquaintance;
use control::onetime::Verifier;
use policies::{Credential, Login, PrincipalName, SecretId, TargetName};

use crate::session::protocol::{Identify, Noting, Redeeming};

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

    fn acquaintance(&self, fingerprint: &str) -> Option<Acquaintance> {
        self.0.acquaintance(fingerprint)
    }

    fn verifier(&self, secret: SecretId) -> Option<Verifier> {
        self.0.verifier(secret)
    }

    fn misproven(&self, secret: SecretId, source: IpAddr) -> Noting<'_> {
        Box::pin(self.0.misproven_onetime(secret, source))
    }

    fn redeem<'a>(
        &'a self,
        secret: SecretId,
        source: IpAddr,
        place: (&'a TargetName, &'a Login),
    ) -> Redeeming<'a> {
        Box::pin(self.0.use_onetime(secret, source, place))
    }

    fn now(&self) -> jiff::Timestamp {
        self.0.latest_time()
    }
}
