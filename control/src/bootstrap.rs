//! The first entry of an empty log: the first administrator and the policies.

use policies::Principal;

use crate::broker::BrokerError;
use crate::change::PolicyTexts;
use crate::clock::Clock;
use crate::store::Backend;

/// Writes the first administrator and the policies into an empty log.
pub async fn bootstrap(
    store: &Backend,
    admin: Principal,
    texts: PolicyTexts,
    clock: &Clock,
) -> Result<(), BrokerError> {
    let _ = (store, admin, texts, clock);
    crate::broker::unready()
}
