//! The client's side of an SSH session, for the spine: how no is said, and goodbye.

use std::sync::Arc;
use std::sync::atomic::AtomicUsize;
use std::time::Duration;

use policies::Capabilities;
use policies::words::ssh::SshSaying;
use policies::words::{Shown, Words};
use russh::Disconnect;
use russh::server::{Handle, RunningSession};
use tokio::sync::{mpsc, watch};
use tokio::time;
use tokio_util::sync::CancellationToken;

use super::arrival::{Arrival, ForwardOpen, Visit};
use super::door::Door;
use super::stalled_kex::Wire;
use crate::session::protocol::Front;
use crate::ssh::channel::exit::{EXIT_GONE, EXIT_REFUSED};
use crate::ssh::channel::opening::Opening;
use crate::ssh::channel::tallies::Tallies;
use crate::ssh::channel::voice::Voices;
use crate::ssh::flow::Flow;

/// How long we wait for a channel on which no can be said. A client without one (`ssh -N`) is told
/// in the disconnect message.
const CHANNEL_LIMIT: Duration = Duration::from_secs(3);

/// How long we wait for the first channel of a client whose session could not begin.
const ARRIVAL_LIMIT: Duration = Duration::from_millis(100);

/// How long a client gets to show what it was told before it is disconnected.
const PARTING_PAUSE: Duration = Duration::from_millis(20);

/// How long the connection may take to accept that it is to end. russh takes no orders while it waits
/// for a client that does not read.
const DISCONNECT_LIMIT: Duration = Duration::from_millis(500);

/// How long a client may take to go when the target has ended the session.
const LEAVING_SOON: Duration = Duration::from_millis(500);

/// How long a client that has been told no may take to go.
const LEAVING_LIMIT: Duration = Duration::from_secs(5);

/// How long a connection that is over may take to say how it ended.
const ENDED_LIMIT: Duration = Duration::from_millis(200);

/// The language of every disconnect message (RFC 3066).
const LANGUAGE: &str = "en";

/// The client, authenticated.
pub struct Visitor {
    pub(in crate::ssh) handle: Handle,
    /// How the connection ends; none once that was looked at.
    pub(in crate::ssh) running: Option<RunningSession<Door>>,
    pub(in crate::ssh) arrivals: mpsc::Receiver<Arrival>,
    pub(in crate::ssh) gone: CancellationToken,
    pub(in crate::ssh) flow: Arc<Flow>,
    pub(in crate::ssh) wire: Arc<Wire>,
    pub(in crate::ssh) voices: Voices,
    /// How much waits of what came over channels that we opened.
    pub(in crate::ssh) opened: Tallies,
    /// What the door is told of the permit, once there is one or none.
    pub(in crate::ssh) permitted: watch::Sender<Option<Capabilities>>,
    /// What is said where the target goes.
    pub(in crate::ssh) parting: SshSaying<'static>,
    /// How much was refused because it found no room among the arrivals.
    pub(in crate::ssh) unheard: Arc<AtomicUsize>,
}

impl std::fmt::Debug for Visitor {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.debug_struct("Visitor").finish_non_exhaustive()
    }
}

impl Visitor {
    /// Answers the first session channel with words and an exit status, and waits for the client to
    /// go.
    pub async fn turn_away(&mut self, words: &Words, status: u32) {
        self.permit(Capabilities::new());
        let mut waiting = Vec::new();
        match time::timeout(CHANNEL_LIMIT, self.first_session(&mut waiting)).await {
            Ok(Some(visit)) => {
                waiting.clear();
                let (line, answered) = (Opening::new(visit), self.gone.clone());
                answered
                    .run_until_cancelled(line.turn_away(words, status))
                    .await;
            }
            Ok(None) | Err(_) => self.disconnect(words).await,
        }
        if time::timeout(LEAVING_LIMIT, self.gone.cancelled())
            .await
            .is_err()
        {
            self.disconnect(words).await;
        }
    }

    /// Tells the door what may be asked for, which it waits to hear where that has to be answered.
    pub(in crate::ssh) fn permit(&self, capabilities: Capabilities) {
        self.permitted.send_replace(Some(capabilities));
    }

    /// What the client did that its connection was ended for, now that it is over. None where it went by itself.
    pub(in crate::ssh) async fn offence(&mut self) -> Option<&'static str> {
        let ended = time::timeout(ENDED_LIMIT, self.running.take()?).await;
        let failed = ended.ok()?.err()?;
        let offence = failed.offence()?;
        tracing::info!(reason = %failed, "client.shown_out");
        Some(offence)
    }

    /// The first session channel; none when the client has gone. Whoever wants a connection carried
    /// (`ssh -W`) is left waiting: told no, their client would go before it has heard why.
    async fn first_session(&mut self, waiting: &mut Vec<ForwardOpen>) -> Option<Visit> {
        loop {
            match self.arrivals.recv().await? {
                Arrival::Session(visit) => return Some(visit),
                Arrival::Forward(open) => waiting.push(open),
                Arrival::Jump(_)
                | Arrival::Listen(_)
                | Arrival::Unlisten(_)
                | Arrival::Refused(_)
                | Arrival::Barred(_) => {}
            }
        }
    }

    /// Ends the connection in the protocol's own way. Queued behind what the client has not taken
    /// yet, so it promises nothing; the spine cuts the socket in any case.
    pub async fn disconnect(&self, words: &Words) {
        disconnect(&self.handle, words).await;
    }

    /// Says no on the channels that arrived and were never taken: those of a session that ended
    /// before it began.
    async fn decline_arrivals(&mut self, words: &Words) {
        self.permit(Capabilities::new());
        let mut next = time::timeout(ARRIVAL_LIMIT, self.arrivals.recv())
            .await
            .ok()
            .flatten();
        while let Some(arrival) = next {
            if let Arrival::Session(visit) = arrival {
                Opening::new(visit).turn_away(words, EXIT_GONE).await;
            }
            next = self.arrivals.try_recv().ok();
        }
    }
}

/// Ends a client's connection in the protocol's own way.
pub(in crate::ssh) async fn disconnect(handle: &Handle, words: &Words) {
    let (reason, language) = (Disconnect::ByApplication, LANGUAGE.to_owned());
    let asking = handle.disconnect(reason, one_line(words), language);
    match time::timeout(DISCONNECT_LIMIT, asking).await {
        Ok(Ok(())) => {}
        Ok(Err(_gone)) => tracing::debug!("client.gone"),
        Err(_elapsed) => tracing::debug!("client.lingers"),
    }
}

/// Words as a message has them that is shown in one line.
pub(in crate::ssh) fn one_line(words: &Words) -> String {
    words.to_string().replace('\n', "; ")
}

impl Front for Visitor {
    async fn refuse(&mut self, words: &Words) {
        self.turn_away(words, EXIT_REFUSED).await;
    }

    async fn farewell(&mut self, words: &Words) {
        if self.voices.is_empty() {
            self.decline_arrivals(words).await;
        }
        self.voices.say_and_end(words, EXIT_GONE).await;
        // Most clients go by themselves; those that carry more than one channel do not.
        if time::timeout(PARTING_PAUSE, self.gone.cancelled())
            .await
            .is_err()
        {
            self.disconnect(words).await;
            self.gone.cancelled().await;
        }
    }

    async fn leave(&mut self) {
        if self.gone.is_cancelled() || self.wire.over().is_cancelled() {
            return;
        }
        self.disconnect(&self.parting.words()).await;
        if time::timeout(LEAVING_SOON, self.gone.cancelled())
            .await
            .is_err()
        {
            tracing::debug!("client.lingers");
        }
    }
}
