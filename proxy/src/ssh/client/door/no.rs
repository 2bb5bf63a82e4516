//! What a client hears where the door itself opens no channel: in the answer, which is where clients show it. Whoever
//! writes the session down, or the connection to the bastion itself, hears of it too.

use policies::Denial;
use policies::words::Shown;
use policies::words::forward::ForwardSaying;
use policies::words::ssh::SshSaying;
use russh::ChannelOpenFailure;
use russh::server::ChannelOpenHandle;

use super::{Door, DoorError};
use crate::ssh::client::arrival::{Arrival, Barred, Route, Said};
use crate::ssh::client::roster::FORGOTTEN_MAX;
use crate::ssh::client::visitor::one_line;

impl Door {
    /// The connection has had as many channels as one may.
    pub(super) async fn is_worn(
        &self,
        reply: ChannelOpenHandle,
        to: Option<String>,
    ) -> Result<(), DoorError> {
        let barred = Barred {
            words: SshSaying::Worn.words(),
            to,
            denial: Denial::Crowded {
                limit: FORGOTTEN_MAX,
            },
        };
        self.bar(reply, ChannelOpenFailure::ResourceShortage, barred)
            .await
    }

    /// As many connections are carried as may be at a time.
    pub(super) async fn has_no_room(
        &self,
        reply: ChannelOpenHandle,
        to: String,
    ) -> Result<(), DoorError> {
        let barred = Barred {
            words: ForwardSaying::Crowded { to: &to }.words(),
            to: Some(to),
            denial: Denial::Crowded {
                limit: self.roster.carried_max(),
            },
        };
        self.bar(reply, ChannelOpenFailure::ResourceShortage, barred)
            .await
    }

    /// Somebody jumps to what is no target's name.
    pub(super) async fn knows_no(
        &self,
        reply: ChannelOpenHandle,
        place: String,
    ) -> Result<(), DoorError> {
        let why = format!("`{place}` is no target: a jump goes to a target by its name");
        let barred = Barred {
            words: SshSaying::BadAddress { why: &why }.words(),
            denial: Denial::NotFound {
                what: place.clone(),
            },
            to: Some(place),
        };
        let failure = ChannelOpenFailure::AdministrativelyProhibited;
        self.bar(reply, failure, barred).await
    }

    /// Written down before it is said, as far as it is heard: whoever asks without end has a queue of so many.
    async fn bar(
        &self,
        reply: ChannelOpenHandle,
        failure: ChannelOpenFailure,
        barred: Barred,
    ) -> Result<(), DoorError> {
        let code = failure.code();
        let reason = one_line(&barred.words);
        if !self.announce(Arrival::Barred(barred)) {
            tracing::debug!("channel.refused");
        }
        reply
            .reject(ChannelOpenFailure::Other { code, reason })
            .await;
        Ok(())
    }
}

/// Where a channel was to lead, for whoever reads of it.
pub(super) fn place(route: &Said<Route>) -> String {
    match route {
        Ok(route) => route.to.to_string(),
        Err(said) => said.clone(),
    }
}
