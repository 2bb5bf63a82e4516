//! What a client hears where the door itself opens no channel: in the answer, which is where clients show it.

use policies::words::forward::ForwardSaying;
use policies::words::ssh::SshSaying;
use policies::words::{Shown, Words};
use russh::ChannelOpenFailure;
use russh::server::ChannelOpenHandle;

use super::DoorError;
use crate::ssh::client::arrival::{Route, Said};
use crate::ssh::client::visitor::one_line;

/// The connection has had as many channels as one may.
pub(super) async fn worn(reply: ChannelOpenHandle) -> Result<(), DoorError> {
    let code = ChannelOpenFailure::ResourceShortage.code();
    say(reply, code, &SshSaying::Worn.words()).await
}

/// As many connections are carried as may be at a time.
pub(super) async fn room(reply: ChannelOpenHandle, route: &Said<Route>) -> Result<(), DoorError> {
    let to = match route {
        Ok(route) => &route.to.to_string(),
        Err(said) => said,
    };
    let code = ChannelOpenFailure::ResourceShortage.code();
    say(reply, code, &ForwardSaying::Crowded { to }.words()).await
}

/// Somebody jumps to what is no target's name.
pub(super) async fn target(reply: ChannelOpenHandle, place: &str) -> Result<(), DoorError> {
    let code = ChannelOpenFailure::AdministrativelyProhibited.code();
    let why = format!("`{place}` is no target: a jump goes to a target by its name");
    let words = SshSaying::BadAddress { why: &why }.words();
    say(reply, code, &words).await
}

async fn say(reply: ChannelOpenHandle, code: u32, words: &Words) -> Result<(), DoorError> {
    let reason = one_line(words);
    reply
        .reject(ChannelOpenFailure::Other { code, reason })
        .await;
    Ok(())
}
