//! The live part of an SSH session: takes in what the client opens, gives each channel a task, and
//! ends when either side has gone.
//!
//! All tasks belong to the relay: when it is dropped, because the lease has ended, they end too.

use std::sync::Arc;
use std::sync::atomic::{AtomicBool, AtomicUsize, Ordering};
use std::time::Duration;

use policies::words::Shown;
use policies::words::ssh::SshSaying;
use recorder::{AppendError, CARRIED, ChannelEvent, Frame};
use russh::server::Handle;
use tokio::select;
use tokio::task::{JoinError, JoinSet};
use tokio::time;
use tokio_util::sync::CancellationToken;

use super::arrival::{Arrival, Forwarding, Visit};
use super::back::Back;
use super::channels::LINES_MAX;
use super::line::Line;
use super::onward::Onward;
use super::tap::Taps;
use super::visitor::Visitor;
use super::voice::Voices;
use crate::session::protocol::Closed;
use crate::session::scope::Scope;

/// How long channels may take to end once the client has gone.
const ENDING_LIMIT: Duration = Duration::from_millis(200);

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
    /// How many programs run.
    running: AtomicUsize,
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

    /// A program begins.
    pub fn begun(&self) {
        self.running.fetch_add(1, Ordering::Relaxed);
    }

    /// A program has ended.
    pub fn ended(&self) {
        self.running.fetch_sub(1, Ordering::Relaxed);
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
        self.voices.say_some_time(&words).await;
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
        running: AtomicUsize::new(0),
    });
    let finish = Finish(Arc::clone(&link));
    let mut channels = Channels::new();
    let closed = carry_all(visitor, &link, &mut channels).await;
    channels.shutdown().await;
    drop(finish);
    closed
}

async fn carry_all(visitor: &mut Visitor, link: &Arc<Link>, channels: &mut Channels) -> Closed {
    let (mut number, mut carried) = (0, 0);
    loop {
        let arrival = select! {
            biased;
            () = visitor.gone.cancelled() => return client_left(link, channels).await,
            Some(done) = channels.join_next(), if !channels.is_empty() => {
                match judge(done) {
                    Some(closed) => return closed,
                    None => continue,
                }
            }
            () = link.back.gone().cancelled() => return target_left(visitor, link, channels).await,
            arrival = visitor.arrivals.recv() => arrival,
        };
        match arrival {
            None => return client_left(link, channels).await,
            Some(Arrival::Session(visit)) if channels.len() >= LINES_MAX => turn_down(visit).await,
            Some(Arrival::Session(visit)) => {
                channels.spawn(Line::new(Arc::clone(link), visit, number).carry());
                number = u32::saturating_add(number, 1);
            }
            Some(Arrival::Refused(what)) => {
                let link = Arc::clone(link);
                channels.spawn(async move { link.refused(what).await });
            }
            Some(Arrival::Errand(errand)) => {
                let number = CARRIED.saturating_add(carried);
                channels.spawn(Onward::new(Arc::clone(link), errand, number).carry());
                carried = u32::saturating_add(carried, 1);
            }
            // The door opens none where a target was named.
            Some(Arrival::Jump { .. }) => {}
        }
    }
}

/// Closes a channel that is one too many. A client that keeps to what may be open at a time meets this
/// only where it opens and closes channels faster than its target does.
async fn turn_down(visit: Visit) {
    visit.tally.end();
    if time::timeout(ENDING_LIMIT, visit.channel.close())
        .await
        .is_err()
    {
        tracing::debug!("client.slow");
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

/// The client has gone: in the middle of something, or when all was done.
async fn client_left(link: &Link, channels: &mut Channels) -> Closed {
    let closed = match link.running.load(Ordering::Relaxed) {
        0 => Closed::Complete,
        _ => Closed::Client,
    };
    let ending = async {
        while let Some(done) = channels.join_next().await {
            if let Some(closed) = judge(done) {
                return Some(closed);
            }
        }
        None
    };
    time::timeout(ENDING_LIMIT, ending)
        .await
        .ok()
        .flatten()
        .unwrap_or(closed)
}

/// The target has gone: lets the channels deliver what it had sent first.
async fn target_left(visitor: &Visitor, link: &Link, channels: &mut Channels) -> Closed {
    loop {
        let done = select! {
            biased;
            () = visitor.gone.cancelled() => return client_left(link, channels).await,
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
