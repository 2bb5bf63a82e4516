//! What a client hears where the door itself opens no channel: in the answer, which is where clients show it. Whoever
//! writes the session down, or the connection to the bastion itself, hears of it too.

use policies::words::forward::ForwardSaying;
use policies::words::ssh::{SshSaying, no_jump};
use policies::words::{Shown, Words};
use russh::ChannelOpenFailure;
use russh::server::ChannelOpenHandle;

use super::{Door, DoorError};
use crate::ssh::channel::requests::CHANNELS_MAX;
use crate::ssh::client::arrival::{Arrival, Barred, Forwarding, Route, Said};
use crate::ssh::client::visitor::one_line;

impl Door {
    /// The connection has had as many channels as one may.
    pub(super) async fn is_worn(
        &self,
        reply: ChannelOpenHandle,
        to: Option<String>,
    ) -> Result<(), DoorError> {
        let words = SshSaying::Worn.words();
        self.bar(reply, ChannelOpenFailure::ResourceShortage, (words, to))
            .await
    }

    /// As many programs run as may at a time.
    pub(super) async fn has_no_line(&self, reply: ChannelOpenHandle) -> Result<(), DoorError> {
        let saying = SshSaying::Busy {
            limit: CHANNELS_MAX,
        };
        let failure = ChannelOpenFailure::ResourceShortage;
        self.bar(reply, failure, (saying.words(), None)).await
    }

    /// As many connections are carried as may be at a time.
    pub(super) async fn has_no_room(
        &self,
        reply: ChannelOpenHandle,
        to: String,
    ) -> Result<(), DoorError> {
        let words = ForwardSaying::Crowded { to: &to }.words();
        let failure = ChannelOpenFailure::ResourceShortage;
        self.bar(reply, failure, (words, Some(to))).await
    }

    /// Somebody jumps to what is no target's name.
    pub(super) async fn knows_no(
        &self,
        reply: ChannelOpenHandle,
        place: String,
    ) -> Result<(), DoorError> {
        let why = no_jump(&place);
        let words = SshSaying::BadAddress { why: &why }.words();
        let failure = ChannelOpenFailure::AdministrativelyProhibited;
        self.bar(reply, failure, (words, Some(place))).await
    }

    /// Lets the session know of something refused. Where nobody listens, nothing is lost but words.
    pub(super) fn refused(&self, what: Forwarding) {
        if !self.announce(Arrival::Refused(what)) {
            tracing::debug!(reason = what.as_str(), "forwarding.refused");
        }
    }

    /// Written down before it is said, as far as it is heard: whoever asks without end has a queue of so many.
    async fn bar(
        &self,
        reply: ChannelOpenHandle,
        failure: ChannelOpenFailure,
        (words, to): (Words, Option<String>),
    ) -> Result<(), DoorError> {
        let code = failure.code();
        let reason = one_line(&words);
        if !self.announce(Arrival::Barred(Barred { words, to })) {
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
