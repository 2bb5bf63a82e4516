//! What the door has to wait for before it can answer: whether a permit names something, and what a target says.

use std::time::Duration;

use policies::Capability;
use tokio::sync::oneshot;
use tokio::time;

use super::Door;
use crate::ssh::client::arrival::{Arrival, Listen, Said};
use crate::ssh::forward::place::Place;

/// How long a client may wait for an answer that depends on its permit or its target: for the session to
/// begin and the target to answer.
const ANSWER_LIMIT: Duration = Duration::from_secs(40);

impl Door {
    /// Asks the session to have its target listen, or listen no more. russh wants the answer before it
    /// does anything else for this client.
    pub(super) async fn listen(
        &self,
        at: Said<Place>,
        arrival: fn(Listen) -> Arrival,
    ) -> Option<u16> {
        let (answer, answered) = oneshot::channel();
        if !self.announce(arrival(Listen { at, answer })) {
            return None;
        }
        self.flow.answering(true);
        let answered = time::timeout(ANSWER_LIMIT, answered).await;
        self.flow.answering(false);
        answered.ok()?.ok()
    }

    /// Whether the permit names this. It may have to be waited for: clients ask before they are let in.
    pub(super) async fn permits(&mut self, capability: Capability) -> bool {
        let known = time::timeout(ANSWER_LIMIT, self.permitted.wait_for(Option::is_some)).await;
        known.is_ok_and(|known| {
            known.is_ok_and(|known| known.as_ref().is_some_and(|all| all.contains(&capability)))
        })
    }
}
