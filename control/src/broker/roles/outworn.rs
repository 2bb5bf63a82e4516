//! Roles that were made under other policies or groups than those in force.
//!
//! One that nobody is in by goes by itself (`roles.rs`). This is about whoever comes before that.

use std::time::Duration;

use policies::{Grant, GrantId};
use tokio::time::sleep;

use crate::broker::Broker;
use crate::state::{RoleRecord, State};

/// How often is looked whether sessions are wound up before their role is made anew, and how many times: whoever comes
/// back at once waits no longer than their work takes to be stopped.
const WINDING_UP: Duration = Duration::from_millis(50);
const WINDING_UP_MAX: u32 = 60;

impl Broker {
    /// Returns when no session is being wound up in the role of a grant that has to be made anew, or after a while: they
    /// end their own server processes by it, and ask what became of their transactions.
    pub(super) async fn wound_up(&self, id: GrantId) {
        for _round in 0..WINDING_UP_MAX {
            let state = self.state();
            let grant = state.facts.grants.get(&id);
            let outworn = grant
                .zip(state.roles.get(&id))
                .is_some_and(|(grant, record)| self.is_outworn(&state, grant, record));
            let over = self.inner.book.winding_up(id).into_iter();
            if !outworn || !self.inner.roles.is_entered(id, over) {
                return;
            }
            sleep(WINDING_UP).await;
        }
    }

    /// Whether a role was made under other policies or groups than there are, and nobody is in by it.
    pub(super) fn is_outworn(&self, state: &State, grant: &Grant, record: &RoleRecord) -> bool {
        let live = self.inner.book.of_grant(grant.id).into_iter();
        let live = live.map(|(session, _terms)| session);
        record.is_outdated(state.ruled_at(&grant.principal))
            && !self.inner.roles.is_entered(grant.id, live)
            && !self.stays_elevated(state, grant, &record.place)
    }
}
