//! `ssh -J bastion login@target`: a connection to a target's *name*, opened inside a connection to
//! the bastion, is answered here by a second front with a host certificate for that name. What runs
//! in it is an ordinary session with its own permit, lease and recording.
//!
//! A target that is a bastion itself is not answered for: they are let through to it ([`Transit`]).
//!
//! The outer connection reaches nothing by itself: it carries, and may be opened by anybody who may
//! come at all, so many times at once. Inside, only the same person may come out.

use std::future::Future;
use std::io;
use std::net::SocketAddr;
use std::pin::Pin;
use std::sync::Arc;
use std::task::{Context, Poll, ready};
use std::time::Duration;

use ca::HostIdentity;
use control::Caller;
use policies::words::Shown;
use policies::words::ssh::{SshSaying, THE_BASTION};
use policies::{Ask, Capabilities, Denial, PrincipalName, TargetName};
use russh::server::Msg;
use russh::{ChannelOpenFailure, ChannelStream};
use tokio::io::{AsyncRead, AsyncWrite, ReadBuf};
use tokio::select;
use tokio::sync::Semaphore;
use tokio::task::{JoinError, JoinSet};
use tokio::time;
use tokio_util::sync::{CancellationToken, WaitForCancellationFutureOwned};

use super::arrival::{Arrival, Jump, Proven, Visit};
use super::visitor::Visitor;
use crate::session::GREETING_LIMIT;
use crate::session::incoming::Incoming;
use crate::ssh::Ssh;
use crate::ssh::channel::exit::{EXIT_REFUSED, EXIT_USAGE};
use crate::ssh::channel::opening::Opening;
use crate::ssh::flow::Tally;
use crate::ssh::transit::{Company, Outer, Transit};

/// How long a connection to the bastion may carry nothing.
const EMPTY_LIMIT: Duration = Duration::from_secs(5);

/// That somebody is connected to the bastion itself. Dropping it makes room for another connection of
/// theirs.
pub type Standing = Box<dyn Send>;

/// What is needed to answer inside a connection. Implemented where the house is put together.
pub trait Inside: Send + Sync + 'static {
    /// Counts one more connection of theirs to the bastion itself.
    ///
    /// # Errors
    ///
    /// [`Denial::Crowded`] where they have as many as they may.
    fn stand(&self, who: &PrincipalName) -> Result<Standing, Denial>;

    /// Writes down that this person was refused this, where there is no recording. Without end, it is counted.
    fn refused(
        &self,
        who: Caller,
        to: String,
        denial: Denial,
    ) -> Pin<Box<dyn Future<Output = ()> + Send>>;

    /// What those wait for who are to prove themselves inside connections of this person. Small, as each
    /// costs memory before anything is proven.
    fn turns(&self, who: &PrincipalName) -> Arc<Semaphore>;

    /// A host key and certificate for the name that somebody jumped to. The same for targets that
    /// exist and those that do not; none only when none can be made, or too many were made for them.
    fn host<'a>(
        &'a self,
        within: &'a Within,
    ) -> Pin<Box<dyn Future<Output = Option<HostIdentity>> + Send + 'a>>;

    /// Runs one session over this connection, from its greeting to its end.
    fn enter(&self, protocol: Ssh, client: Incoming) -> Pin<Box<dyn Future<Output = ()> + Send>>;

    /// Whether somebody who asks this would be let through to a bastion behind this one. Takes as long for
    /// targets that do not exist.
    fn leads_through(&self, ask: &Ask) -> bool;

    /// The same as [`Inside::enter`] to a bastion behind this one.
    fn go_through(
        &self,
        protocol: Transit,
        client: Incoming,
    ) -> Pin<Box<dyn Future<Output = ()> + Send>>;
}

/// Who jumped, and where to.
#[derive(Debug, Clone)]
pub struct Within {
    /// Who.
    pub principal: PrincipalName,
    /// Where to.
    pub target: TargetName,
}

/// Serves a connection to the bastion itself, until it is over and everything in it is.
pub async fn serve(visitor: &mut Visitor, proven: &Proven, ssh: &Ssh, source: SocketAddr) {
    let _standing = match ssh.inside.stand(&proven.principal) {
        Ok(standing) => standing,
        Err(denial) => {
            let noting = note((ssh, proven), source, (None, denial.clone()));
            noting.await;
            return visitor.turn_away(&denial.words(), EXIT_REFUSED).await;
        }
    };
    visitor.permit(Capabilities::new());
    let drowned = visitor.flow.drowned().clone();
    let (mut inner, company) = (JoinSet::new(), Company::default());
    loop {
        let arrival = select! {
            biased;
            () = visitor.wire.over().cancelled() => break,
            () = drowned.cancelled() => {
                visitor.disconnect(&SshSaying::Help.words()).await;
                break;
            }
            Some(done) = inner.join_next(), if !inner.is_empty() => {
                over(done, proven);
                continue;
            }
            arrival = visitor.arrivals.recv() => arrival,
            () = time::sleep(EMPTY_LIMIT), if inner.is_empty() => {
                visitor.disconnect(&SshSaying::Help.words()).await;
                break;
            }
        };
        let Some(arrival) = arrival else { break };
        if let Some(begun) = begin((ssh, proven), (arrival, source), (visitor, &company)) {
            inner.spawn(begun);
        }
    }
    // Clients go as soon as they are refused.
    while let Ok(arrival) = visitor.arrivals.try_recv() {
        if let Arrival::Barred(barred) = arrival {
            let denial = barred.denial();
            let refused = (barred.to, denial);
            inner.spawn(note((ssh, proven), source, refused));
        }
    }
    while let Some(done) = inner.join_next().await {
        over(done, proven);
    }
}

/// What begins inside where the client did this, if anything does.
fn begin(
    (ssh, proven): (&Ssh, &Proven),
    (arrival, source): (Arrival, SocketAddr),
    (visitor, company): (&Visitor, &Company),
) -> Option<Pin<Box<dyn Future<Output = ()> + Send>>> {
    match arrival {
        Arrival::Session(visit) => {
            let company = company.clone();
            Some(Box::pin(async move {
                Opening::new(visit)
                    .turn_away(&SshSaying::Help.words(), EXIT_USAGE)
                    .await;
                drop(company);
            }))
        }
        Arrival::Jump(wanted) => {
            let outer = Outer {
                handle: visitor.handle.clone(),
                company: company.clone(),
            };
            let within = (outer, visitor.wire.over().clone());
            Some(jump((ssh, proven), (wanted, source), within))
        }
        Arrival::Barred(barred) => {
            let denial = barred.denial();
            let refused = (barred.to, denial);
            Some(note((ssh, proven), source, refused))
        }
        // There is no target here to listen or to connect.
        Arrival::Forward(_) | Arrival::Listen(_) | Arrival::Unlisten(_) => None,
        Arrival::Refused(what) => {
            tracing::debug!(reason = what.as_str(), "forwarding.refused");
            None
        }
    }
}

/// Writes down what this person was refused, and where it was to lead: the bastion itself, where to nowhere.
fn note(
    (ssh, proven): (&Ssh, &Proven),
    source: SocketAddr,
    (to, denial): (Option<String>, Denial),
) -> Pin<Box<dyn Future<Output = ()> + Send>> {
    let who = Caller {
        principal: proven.principal.clone(),
        source: source.ip().to_canonical(),
    };
    let to = to.unwrap_or_else(|| THE_BASTION.to_owned());
    ssh.inside.refused(who, to, denial)
}

/// What was inside ended. That of a defect is written down: a session that it had has said so under its own name.
fn over(done: Result<(), JoinError>, proven: &Proven) {
    if let Err(failed) = done {
        tracing::error!(principal = %proven.principal, reason = %failed, "jump.panicked");
    }
}

/// Serves a jump to this name: by letting it through, where that is a bastion and they may go there, else by
/// answering as the target of that name, whether there is one or not.
fn jump(
    (ssh, proven): (&Ssh, &Proven),
    (wanted, source): (Jump, SocketAddr),
    (outer, gone): (Outer, CancellationToken),
) -> Pin<Box<dyn Future<Output = ()> + Send>> {
    let Jump {
        visit,
        reply,
        target,
    } = wanted;
    let course = Arc::clone(visit.tally.course());
    let stream = JumpStream::new(visit, gone.clone());
    let company = outer.company.clone();
    let asked = Transit::ask(proven, &target, (source, ssh.identify.now()));
    let asked = asked.filter(|ask| ssh.inside.leads_through(ask));
    if let Some(ask) = asked {
        let client = Incoming::carried(stream, source, None);
        let going = ssh.inside.go_through(Transit::new(ask, outer), client);
        return Box::pin(async move {
            course.opens();
            reply.accept().await;
            going.await;
        });
    }
    let within = Within {
        principal: proven.principal.clone(),
        target,
    };
    let turns = ssh.inside.turns(&proven.principal);
    let opening = Box::pin(async move {
        // Nothing is sent on a channel that is not open, so nothing piles up meanwhile.
        let turn = time::timeout(GREETING_LIMIT, turns.acquire_owned());
        let Some(Ok(Ok(turn))) = gone.run_until_cancelled(turn).await else {
            reply.reject(ChannelOpenFailure::ResourceShortage).await;
            return None;
        };
        course.opens();
        reply.accept().await;
        Some(Incoming::carried(stream, source, Some(turn)))
    });
    let answering = ssh.answer_inside(within, opening);
    Box::pin(async move {
        answering.await;
        drop(company);
    })
}

/// A channel that carries another connection.
struct JumpStream {
    stream: ChannelStream<Msg>,
    tally: Arc<Tally>,
    /// russh wakes no writer that waits for a window when the connection ends, nor a reader where it ends with a goodbye;
    /// this does.
    gone: Pin<Box<WaitForCancellationFutureOwned>>,
}

impl JumpStream {
    fn new(visit: Visit, gone: CancellationToken) -> Self {
        Self {
            stream: visit.channel.into_stream(),
            tally: visit.tally,
            gone: Box::pin(gone.cancelled_owned()),
        }
    }

    /// Lets the end of the outer connection end a wait.
    fn or_gone<T>(
        &mut self,
        cx: &mut Context<'_>,
        polled: Poll<io::Result<T>>,
    ) -> Poll<io::Result<T>> {
        if polled.is_ready() {
            return polled;
        }
        ready!(self.gone.as_mut().poll(cx));
        Poll::Ready(Err(io::ErrorKind::ConnectionAborted.into()))
    }
}

impl Drop for JumpStream {
    fn drop(&mut self) {
        self.tally.end();
    }
}

impl AsyncRead for JumpStream {
    fn poll_read(
        self: Pin<&mut Self>,
        cx: &mut Context<'_>,
        into: &mut ReadBuf<'_>,
    ) -> Poll<io::Result<()>> {
        let this = self.get_mut();
        let before = into.filled().len();
        let polled = Pin::new(&mut this.stream).poll_read(cx, into);
        // After a goodbye russh keeps the channel for as long as the client keeps its socket.
        ready!(this.or_gone(cx, polled))?;
        this.tally.take(into.filled().len().saturating_sub(before));
        Poll::Ready(Ok(()))
    }
}

impl AsyncWrite for JumpStream {
    fn poll_write(
        self: Pin<&mut Self>,
        cx: &mut Context<'_>,
        bytes: &[u8],
    ) -> Poll<io::Result<usize>> {
        let this = self.get_mut();
        let polled = Pin::new(&mut this.stream).poll_write(cx, bytes);
        this.or_gone(cx, polled)
    }

    fn poll_flush(self: Pin<&mut Self>, cx: &mut Context<'_>) -> Poll<io::Result<()>> {
        let this = self.get_mut();
        let polled = Pin::new(&mut this.stream).poll_flush(cx);
        this.or_gone(cx, polled)
    }

    fn poll_shutdown(self: Pin<&mut Self>, cx: &mut Context<'_>) -> Poll<io::Result<()>> {
        let this = self.get_mut();
        let polled = Pin::new(&mut this.stream).poll_shutdown(cx);
        this.or_gone(cx, polled)
    }
}
