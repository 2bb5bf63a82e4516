//! The first entry of an empty log: the first administrator and the policies.
//!
//! The one way to write to the log without a broker, and only onto nothing.

use policies::Principal;
use policies::words::broker::Conflict;
use policies::words::taken::FIRST_ADMINISTRATOR;

use crate::broker::BrokerError;
use crate::change::{Change, Draft, PolicyTexts, Revision};
use crate::clock::Clock;
use crate::state::load;
use crate::store::{AppendError, Backend, Store};

/// Writes the first administrator, with their keys and groups, and the policies.
///
/// # Errors
///
/// [`BrokerError::Conflict`] when the log is not empty; [`BrokerError::Invalid`] with every mistake
/// in the policies.
pub async fn bootstrap(
    store: &Backend,
    admin: Principal,
    texts: PolicyTexts,
    clock: &Clock,
) -> Result<(), BrokerError> {
    load(&texts).map_err(BrokerError::Invalid)?;
    let changes = vec![
        Change::PoliciesApplied { texts },
        Change::PrincipalAdded { principal: admin },
    ];
    let draft = Draft {
        at: clock.now(),
        by: None,
        source: None,
        changes,
    };
    match store.append(Revision::EMPTY, draft).await {
        Ok(_first) => Ok(()),
        Err(AppendError::Conflict { .. }) => Err(BrokerError::Conflict(Conflict::Exists {
            what: FIRST_ADMINISTRATOR.to_owned(),
        })),
        Err(AppendError::Store(error)) => Err(BrokerError::store(&error)),
    }
}
