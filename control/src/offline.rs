//! What is done to the store of a server that does not run: proving it, and putting other policies in
//! force where a server cannot start with those that are.
//!
//! Whoever can write to the store's file can do this; nobody else is asked. It is in the log, with
//! nobody's name, and the server's start tells it like every other change.

use policies::words::broker::{Invalid, LockedOut};
use policies::{Office, PolicySet, may_office};

use crate::broker::BrokerError;
use crate::change::{Change, Draft, PolicyTexts};
use crate::clock::Clock;
use crate::ledger::tail;
use crate::state::{State, load, zone_of};
use crate::store::{AppendError, Backend, Store, StoreError};

/// How many entries are read at once.
const PAGE: u32 = 1_000;

/// Whether the policies in the store can be read by this program.
///
/// # Errors
///
/// [`BrokerError::Invalid`] with what is wrong with them; [`BrokerError::Unavailable`] when the store
/// cannot be read.
pub async fn check_policies(store: &Backend) -> Result<(), BrokerError> {
    let state = state(store)
        .await
        .map_err(|error| BrokerError::store(&error))?;
    match &state.unreadable {
        Some(invalid) => Err(BrokerError::Invalid(invalid.clone())),
        None => Ok(()),
    }
}

/// In which time zone the policies in the store read hours and weekdays.
///
/// # Errors
///
/// [`BrokerError::Unavailable`] when the store cannot be read.
pub async fn policy_zone(store: &Backend) -> Result<String, BrokerError> {
    let state = state(store).await;
    state
        .map(|state| zone_of(&state))
        .map_err(|error| BrokerError::store(&error))
}

/// Puts other policies in force, and gives their digest.
///
/// # Errors
///
/// [`BrokerError::Invalid`] with every mistake in them, or when nobody could change them afterwards.
pub async fn apply_policies(
    store: &Backend,
    texts: PolicyTexts,
    clock: &Clock,
) -> Result<String, BrokerError> {
    let unavailable = |error: StoreError| BrokerError::store(&error);
    let policies = load(&texts).map_err(BrokerError::Invalid)?;
    let state = state(store).await.map_err(unavailable)?;
    let seen = tail::newest_seen(store).await.map_err(unavailable)?;
    // Dated by a wall that is behind, it would stand in the log before what it replaces.
    let at = clock.now().max(seen.unwrap_or_default());
    if !somebody_manages(&policies, &state, at) {
        return Err(BrokerError::Invalid(Invalid::LocksOut(LockedOut::All)));
    }
    let draft = Draft {
        at,
        by: None,
        source: None,
        changes: vec![Change::PoliciesApplied { texts }],
    };
    match store.append(state.revision, draft).await {
        Ok(_revision) => Ok(policies.digest().to_owned()),
        Err(AppendError::Store(error)) => Err(unavailable(error)),
        Err(error @ AppendError::Conflict { .. }) => Err(BrokerError::store(&error)),
    }
}

fn somebody_manages(policies: &PolicySet, state: &State, at: jiff::Timestamp) -> bool {
    let manages =
        |name| may_office(policies, &state.facts, name, Office::ManagePolicies, at).is_ok();
    state.facts.principals.keys().any(manages)
}

async fn state(store: &Backend) -> Result<State, StoreError> {
    let mut state = State::beginning();
    loop {
        let entries = store.read(state.revision, PAGE).await?;
        if entries.is_empty() {
            state.read_through();
            return Ok(state);
        }
        for entry in &entries {
            state.apply(entry);
        }
    }
}
