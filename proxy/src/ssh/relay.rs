//! The live part of an SSH session: takes in what the client opens, gives each channel a task, and
//! ends when either side has gone.
//!
//! All tasks belong to the relay: when it is dropped, because the lease has ended, they end too.

use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};

use policies::words::Shown;
use policies::words::ssh::SshSaying;
use recorder::{AppendError, ChannelEvent, Frame};
use russh::server::Handle;
use tokio::select;
use tokio::task::{JoinError, JoinSet};
use tokio_util::sync::CancellationToken;

use super::back::Back;
use super::door::{Arrival, Forwarding};
use super::line::Line;
use super::tap::Taps;
use super::visitor::Visitor;
use super::voice::Voices;
use crate::session::protocol::Closed;
use crate::session::scope::Scope;

/// What the channels of a session share.
pub struct Link {
    /// The target.
    pub back: Back,
    /// The session.
    pub scope: Scope,
    /// Where we can be heard.
    pub voices: Voices,
    /// What is being recorded.
    pub taps: Taps,
    /// The client, for what has no channel.
    pub client: Handle,
    /// Cancelled when the client has gone.
    pub client_gone: CancellationToken,
    announced: AtomicBool,
}

impl std::fmt::Debug for Link {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.debug_struct("Link")
            .field("scope", &self.scope)
            .finish_non_exhaustive()
    }
}

impl Link {
    /// Whether the person has been told already that they are recorded. True from the second call.
    pub fn announced(&self) -> bool {
        self.announced.swap(true, Ordering::Relaxed)
    }

    /// Records something that belongs to no channel, and says it where somebody listens.
    async fn refused(&self, what: Forwarding) -> Result<(), AppendError> {
        let words = SshSaying::NotInPermit {
            what: what.as_str(),
        }
        .words();
        let event = ChannelEvent::Refused {
            code: words.code,
            what: what.as_str(),
        };
        self.scope.record(&Frame::Channel { channel: 0, event })?;
        self.voices.say(&words).await;
        Ok(())
    }
}

/// Finishes the digests of whatever still runs, when the session ends however it does.
struct Finish(Arc<Link>);

impl Drop for Finish {
    fn drop(&mut self) {
        self.0.taps.finish();
    }
}

type Channels = JoinSet<Result<(), AppendError>>;

/// Moves bytes both ways until one side ends.
pub async fn run(visitor: &mut Visitor, back: Back, scope: &Scope) -> Closed {
    let link = Arc::new(Link {
        back,
        scope: scope.clone(),
        voices: visitor.voices.clone(),
        taps: Taps::default(),
        client: visitor.handle.clone(),
        client_gone: visitor.gone.clone(),
        announced: AtomicBool::new(false),
    });
    let finish = Finish(Arc::clone(&link));
    let mut channels = Channels::new();
    let closed = carry_all(visitor, &link, &mut channels).await;
    channels.shutdown().await;
    drop(finish);
    closed
}

async fn carry_all(visitor: &mut Visitor, link: &Arc<Link>, channels: &mut Channels) -> Closed {
    let mut number = 0;
    loop {
        let arrival = select! {
            biased;
            () = visitor.gone.cancelled() => return client_left(channels),
            Some(done) = channels.join_next(), if !channels.is_empty() => {
                match judge(done) {
                    Some(closed) => return closed,
                    None => continue,
                }
            }
            () = link.back.gone().cancelled() => return target_left(visitor, channels).await,
            arrival = visitor.arrivals.recv() => arrival,
        };
        match arrival {
            None => return client_left(channels),
            Some(Arrival::Session(visit)) => {
                let line = Line::new(Arc::clone(link), visit, number);
                number = u32::saturating_add(number, 1);
                channels.spawn(line.carry());
            }
            Some(Arrival::Refused(what)) => {
                let link = Arc::clone(link);
                channels.spawn(async move { link.refused(what).await });
            }
            // The door opens none where a target was named.
            Some(Arrival::Jump { .. }) => {}
        }
    }
}

/// Why a channel's end ends the session, if it does.
fn judge(done: Result<Result<(), AppendError>, JoinError>) -> Option<Closed> {
    match done {
        Ok(Ok(())) => None,
        Ok(Err(refused)) => Some(Closed::Recorder(refused)),
        Err(failed) => {
            tracing::error!(reason = %failed, "channel.panicked");
            Some(Closed::Violation("a channel could not be carried on"))
        }
    }
}

fn client_left(channels: &Channels) -> Closed {
    match channels.is_empty() {
        true => Closed::Complete,
        false => Closed::Client,
    }
}

/// The target has gone: lets the channels deliver what it had sent first.
async fn target_left(visitor: &Visitor, channels: &mut Channels) -> Closed {
    loop {
        let done = select! {
            biased;
            () = visitor.gone.cancelled() => return client_left(channels),
            done = channels.join_next() => done,
        };
        match done.map(judge) {
            None => break,
            Some(None) => {}
            Some(Some(closed)) => return closed,
        }
    }
    Closed::Target
}
