//! The live part of an SSH session: takes in what the client opens, gives each channel a task, and
//! ends when either side has gone.
//!
//! All tasks belong to the relay: when it is dropped, because the lease has ended, they end too.

use std::sync::Arc;
use std::sync::atomic::{AtomicBool, AtomicUsize, Ordering};
use std::time::Duration;

use policies::Capability;
use policies::words::forward::ForwardSaying;
use policies::words::offence;
use policies::words::ssh::SshSaying;
use policies::words::{Shown, Words};
use recorder::{AppendError, CARRIED, ChannelEvent, Frame};
use russh::server::Handle;
use tokio::select;
use tokio::sync::mpsc;
use tokio::task::{JoinError, JoinSet};
use tokio::time;
use tokio_util::sync::CancellationToken;

use crate::session::protocol::Closed;
use crate::session::scope::Scope;
use crate::ssh::channel::line::Line;
use crate::ssh::channel::refused::Telling;
use crate::ssh::channel::requests::{CHANNELS_MAX, LINES_MAX};
use crate::ssh::channel::tallies::Tallies;
use crate::ssh::channel::tap::Taps;
use crate::ssh::channel::voice::Voices;
use crate::ssh::client::arrival::{Arrival, Barred, Forwarding, Visit};
use crate::ssh::client::visitor::Visitor;
use crate::ssh::forward::gate::{Gate, Inbound};
use crate::ssh::forward::inward::Inward;
use crate::ssh::forward::listening::Listening;
use crate::ssh::forward::onward::Onward;
use crate::ssh::target::back::Back;

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
    /// Whom this session expects to come in at the target.
    pub(super) gate: Gate,
    /// How much waits of what came over channels that we opened with the client.
    pub(super) opened: Tallies,
    /// Cancelled when the client has gone, or has said goodbye and keeps its socket.
    pub client_gone: CancellationToken,
    /// How much more is told of what is refused.
    pub(super) telling: Telling,
    announced: AtomicBool,
    /// How many programs run.
    running: AtomicUsize,
    /// How many channels the target has been asked for of which nobody wants to hear any more.
    pub(super) late: AtomicUsize,
    /// Whether the target broke off in the middle of something.
    broken: AtomicBool,
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

    /// Whether the permit names this at all.
    pub fn names(&self, capability: Capability) -> bool {
        self.scope.terms().capabilities.contains(&capability)
    }

    /// What is said of a channel that the target has not opened, and whether it broke off.
    pub(super) fn unopened(&self) -> SshSaying<'static> {
        if self.back.gone().is_cancelled() {
            self.breaks();
        }
        if self.back.is_worn() {
            SshSaying::Worn
        } else if self.back.is_held_up() {
            SshSaying::HeldUp
        } else {
            SshSaying::NotStarted
        }
    }

    /// A program begins.
    pub fn begun(&self) {
        self.running.fetch_add(1, Ordering::Relaxed);
    }

    /// A program has ended.
    pub fn ended(&self) {
        self.running.fetch_sub(1, Ordering::Relaxed);
    }

    /// The target has gone in the middle of something. Before the client hears of it, which may go then.
    pub fn breaks(&self) {
        self.broken.store(true, Ordering::Relaxed);
    }

    /// How a session ends whose target has gone, whatever was done.
    fn broken(&self) -> Closed {
        match self.back.offence() {
            Some(offence) => Closed::Violation(offence),
            None => Closed::Broken(self.breaking().words()),
        }
    }

    /// What is said of a target that has gone in the middle of something.
    pub(super) fn breaking(&self) -> SshSaying<'static> {
        if self.back.is_drowned() {
            SshSaying::Drowned
        } else {
            SshSaying::TargetGone
        }
    }

    /// Records a channel that was refused under this number, and gives the words for it.
    fn refused(&self, channel: u32, what: Forwarding) -> Result<Words, AppendError> {
        let words = SshSaying::NotInPermit {
            what: what.as_str(),
        }
        .words();
        self.bars(channel, (words.code, what.as_str()))?;
        Ok(words)
    }

    /// Records something that the door refused under this number, or counts it where much was refused.
    fn bars(&self, channel: u32, (code, what): (&str, &str)) -> Result<(), AppendError> {
        if !self.telling.tells() {
            return Ok(());
        }
        let event = ChannelEvent::Refused { code, what };
        self.scope.record(&Frame::Channel { channel, event })
    }

    /// Records how much was only counted.
    fn counts(&self) -> Result<(), AppendError> {
        self.telling.misses(self.gate.untold());
        let Some(words) = self.telling.untold().map(|saying| saying.words()) else {
            return Ok(());
        };
        let (code, text) = (words.code, words.what.as_str());
        self.scope.record(&Frame::Note { code, text })
    }
}

/// Finishes the digests of whatever still runs, and says what was only counted, when the session ends however it
/// does.
struct Finish(Arc<Link>);

impl Drop for Finish {
    fn drop(&mut self) {
        self.0.taps.finish();
        if let Err(refused) = self.0.counts() {
            tracing::debug!(reason = %refused, "recording.uncounted");
        }
    }
}

type Channels = JoinSet<Result<(), AppendError>>;

/// Moves bytes both ways until one side ends.
pub async fn run(visitor: &mut Visitor, mut back: Back, scope: &Scope) -> Closed {
    visitor.permit(scope.terms().capabilities.clone());
    let inbound = back.take_inbound();
    let link = Arc::new(Link {
        gate: back.gate().clone(),
        back,
        scope: scope.clone(),
        voices: visitor.voices.clone(),
        taps: Taps::default(),
        client: visitor.handle.clone(),
        opened: visitor.opened.clone(),
        client_gone: visitor.wire.over().clone(),
        telling: Telling::new(Arc::clone(&visitor.unheard)),
        announced: AtomicBool::new(false),
        running: AtomicUsize::new(0),
        late: AtomicUsize::new(0),
        broken: AtomicBool::new(false),
    });
    let finish = Finish(Arc::clone(&link));
    let mut relay = Relay {
        link,
        channels: Channels::new(),
        lines: 0,
        carried: CARRIED,
    };
    let closed = relay.carry_all(visitor, inbound).await;
    visitor.parting = relay.link.breaking();
    let closed = match relay.take_last(visitor) {
        Ok(()) => closed,
        Err(refused) => Closed::Recorder(refused),
    };
    relay.channels.shutdown().await;
    drop(finish);
    closed
}

/// What is looked after.
struct Relay {
    link: Arc<Link>,
    channels: Channels,
    /// The next number of a session channel in the recording.
    lines: u32,
    /// The next number of what is carried.
    carried: u32,
}

impl Relay {
    async fn carry_all(
        &mut self,
        visitor: &mut Visitor,
        mut inbound: Option<mpsc::Receiver<Inbound>>,
    ) -> Closed {
        let link = Arc::clone(&self.link);
        loop {
            let arrival = select! {
                biased;
                () = link.client_gone.cancelled() => {
                    return client_left(visitor, &link, &mut self.channels).await;
                }
                Some(done) = self.channels.join_next(), if !self.channels.is_empty() => {
                    match judge(done) {
                        Some(closed) => return closed,
                        None => continue,
                    }
                }
                () = link.back.gone().cancelled() => {
                    return self.target_left(visitor).await;
                }
                Some(inbound) = came(&mut inbound) => {
                    if let Err(refused) = self.take_in(inbound) {
                        return Closed::Recorder(refused);
                    }
                    continue;
                }
                () = link.back.unread() => {
                    link.back.stay().await;
                    continue;
                }
                arrival = visitor.arrivals.recv() => arrival,
            };
            match arrival {
                None => return client_left(visitor, &link, &mut self.channels).await,
                Some(arrival) => {
                    if let Err(refused) = self.take(arrival).await {
                        return Closed::Recorder(refused);
                    }
                }
            }
        }
    }

    /// Takes what the client did. Fails where that cannot be recorded.
    async fn take(&mut self, arrival: Arrival) -> Result<(), AppendError> {
        let link = Arc::clone(&self.link);
        match arrival {
            Arrival::Session(visit) if self.channels.len() >= LINES_MAX => turn_down(visit).await,
            Arrival::Session(visit) => {
                self.channels
                    .spawn(Line::new(link, visit, self.lines).carry());
                self.lines = self.lines.saturating_add(1);
            }
            Arrival::Forward(open) => {
                let onward = Onward::new(link, open, self.number());
                self.channels.spawn(onward.carry());
            }
            Arrival::Listen(listen) => {
                let listening = Listening::new(link, self.number());
                self.channels.spawn(listening.begin(listen));
            }
            Arrival::Unlisten(listen) => {
                let listening = Listening::new(link, self.number());
                self.channels.spawn(listening.end(listen));
            }
            Arrival::Refused(what) => {
                let words = link.refused(self.number(), what)?;
                // A client may ask faster than it takes our words. What is one too many is recorded
                // all the same.
                if self.channels.len() < LINES_MAX {
                    self.channels.spawn(async move {
                        link.voices.say_some_time(&words).await;
                        Ok(())
                    });
                }
            }
            Arrival::Barred(barred) => self.bars(&barred)?,
            // The door opens none where a target was named.
            Arrival::Jump(_) => {}
        }
        Ok(())
    }

    /// Records a channel that the door did not open.
    fn bars(&mut self, barred: &Barred) -> Result<(), AppendError> {
        let what = barred.to.as_deref().unwrap_or("session");
        let number = self.number();
        self.link.bars(number, (barred.words.code, what))
    }

    /// Records what the door refused just before the end: clients go as soon as they hear of it.
    fn take_last(&mut self, visitor: &mut Visitor) -> Result<(), AppendError> {
        while let Ok(arrival) = visitor.arrivals.try_recv() {
            match arrival {
                Arrival::Barred(barred) => self.bars(&barred)?,
                Arrival::Refused(what) => {
                    let number = self.number();
                    self.link.refused(number, what)?;
                }
                Arrival::Session(_)
                | Arrival::Jump(_)
                | Arrival::Forward(_)
                | Arrival::Listen(_)
                | Arrival::Unlisten(_) => {}
            }
        }
        Ok(())
    }

    /// Takes who came in at the target, while there is room for the client's own as well, and neither connection has had
    /// as many channels as one may. A reply that is dropped is a no. Fails where that cannot be recorded.
    fn take_in(&mut self, inbound: Inbound) -> Result<(), AppendError> {
        if self.link.opened.is_worn() || self.link.back.is_worn() {
            let number = self.number();
            let code = SshSaying::Worn.words().code;
            return self.link.bars(number, (code, "inbound"));
        }
        if self.channels.len() >= LINES_MAX.saturating_sub(CHANNELS_MAX) {
            let (number, to) = (self.number(), inbound.purpose.told());
            let code = ForwardSaying::Crowded { to: &to }.words().code;
            return self.link.bars(number, (code, &to));
        }
        let inward = Inward::new(Arc::clone(&self.link), inbound, self.number());
        self.channels.spawn(inward.carry());
        Ok(())
    }

    /// The target has gone: lets the channels deliver what it had sent first. Some end the connection once the last
    /// program is over.
    async fn target_left(&mut self, visitor: &mut Visitor) -> Closed {
        let link = Arc::clone(&self.link);
        loop {
            let done = select! {
                biased;
                () = link.client_gone.cancelled() => {
                    return client_left(visitor, &link, &mut self.channels).await;
                }
                done = self.channels.join_next() => done,
            };
            match done.map(judge) {
                None => break,
                Some(None) => {}
                Some(Some(closed)) => return closed,
            }
        }
        let is_over = self.lines > 0 && !link.broken.load(Ordering::Relaxed);
        // Whatever its goodbye was: nothing was under way any more.
        if is_over {
            Closed::Target
        } else {
            link.broken()
        }
    }

    /// The number of one more that is carried.
    fn number(&mut self) -> u32 {
        let number = self.carried;
        self.carried = number.saturating_add(1);
        number
    }
}

/// Who comes in next at the target; nobody, where that was never asked for.
async fn came(inbound: &mut Option<mpsc::Receiver<Inbound>>) -> Option<Inbound> {
    match inbound {
        Some(inbound) => inbound.recv().await,
        None => std::future::pending().await,
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
            Some(Closed::Violation(offence::CHANNEL_LOST))
        }
    }
}

/// The client has gone: in the middle of something, or when all was done; or it was shown out.
async fn client_left(visitor: &mut Visitor, link: &Link, channels: &mut Channels) -> Closed {
    let closed = match visitor.offence().await {
        Some(offence) => Closed::Violation(offence),
        None if link.broken.load(Ordering::Relaxed) => link.broken(),
        None if link.running.load(Ordering::Relaxed) == 0 => Closed::Complete,
        None => Closed::Client,
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
