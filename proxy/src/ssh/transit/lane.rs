//! Carries what a client and a bastion say to each other once they are acquainted, recorded first, to the
//! end of both directions. Of what is encrypted one thing can be seen: who ended it first.

use std::pin::pin;
use std::time::Duration;

use policies::words::Shown;
use policies::words::ssh::SshSaying;
use recorder::{AppendError, ChannelEvent, Stream};
use tokio::io::{self, AsyncRead, AsyncReadExt, AsyncWrite, AsyncWriteExt};
use tokio::{select, time};

use super::acquaint::Acquainted;
use super::passenger::Passenger;
use crate::session::protocol::Closed;
use crate::session::scope::Scope;
use crate::session::severable::Severable;
use crate::ssh::channel::tap::Tap;
use crate::ssh::transit::clear::Clear;

/// How much is read at a time, in bytes. All that is held of a direction.
const PIECE: usize = 16 * 1024;

/// How long nothing may pass once one direction has ended. An SSH connection of which one half is over says
/// what is left to say and ends.
const HALF_LIMIT: Duration = Duration::from_secs(30);

/// How long a client may take to go once its bastion has. A client that was told goodbye, or that said it and whose
/// end is still on its way, goes by itself; one that nobody told stays until it sees that nobody is there.
const GOODBYE_LIMIT: Duration = Duration::from_secs(1);

/// Carries both directions.
pub(super) async fn carry(
    (front, io): (&mut Passenger, &mut Severable),
    acquainted: Acquainted,
    (tap, scope): (&Tap, &Scope),
) -> Closed {
    let (near, write_near) = io::split(&mut front.io);
    let (far, write_far) = io::split(io);
    let up = Lane {
        from: near,
        to: write_far,
        clear: acquainted.up,
        stream: Stream::Input,
        tap,
    };
    let down = Lane {
        from: far,
        to: write_near,
        clear: acquainted.down,
        stream: Stream::Output,
        tap,
    };
    let carried = both(up, down, scope).await;
    let closed = tap.event(ChannelEvent::Closed);
    match (carried, closed) {
        (Ok(()), Ok(())) => Closed::Complete,
        (Err(Stop::Recorder(refused)), _) | (Ok(()), Err(refused)) => Closed::Recorder(refused),
        (Err(Stop::Gone(Stream::Input)), _) => Closed::Client,
        (Err(Stop::Gone(_)), _) => Closed::Broken(SshSaying::TargetGone.words()),
        (Err(Stop::Odd(why)), _) => Closed::Violation(why),
    }
}

/// Why a direction stopped before its end.
enum Stop {
    /// Whoever sends in this direction has gone.
    Gone(Stream),
    /// What came is not SSH.
    Odd(&'static str),
    /// It cannot be recorded.
    Recorder(AppendError),
}

/// Carries both to their end. The bastion has gone where it went first, and the client did not mean to.
async fn both<A, B, C, D>(
    up: Lane<'_, A, B>,
    down: Lane<'_, C, D>,
    scope: &Scope,
) -> Result<(), Stop>
where
    A: AsyncRead + Unpin,
    B: AsyncWrite + Unpin,
    C: AsyncRead + Unpin,
    D: AsyncWrite + Unpin,
{
    let (mut up, mut down) = (pin!(up.carry()), pin!(down.carry()));
    let first = select! {
        biased;
        ended = &mut down => First::Bastion(ended),
        ended = &mut up => First::Client(ended),
    };
    match first {
        First::Client(ended) => {
            shut(ended?).await;
            let rest = select! {
                biased;
                ended = down => unless_gone(ended)?,
                () = silence(scope) => None,
            };
            if let Some(to) = rest {
                shut(to).await;
            }
            Ok(())
        }
        First::Bastion(ended) => {
            unless_gone(ended)?;
            let parted = time::timeout(GOODBYE_LIMIT, up).await;
            let gone = Stop::Gone(Stream::Output);
            parted.map_err(|_elapsed| gone)?.map(drop)
        }
    }
}

/// Whose direction ended first, with whom it was passed on to.
enum First<B, D> {
    Bastion(Result<D, Stop>),
    Client(Result<B, Stop>),
}

/// A direction that the bastion ended, or broke off, which is the same to whoever does not read it.
fn unless_gone<To>(ended: Result<To, Stop>) -> Result<Option<To>, Stop> {
    match ended {
        Ok(to) => Ok(Some(to)),
        Err(Stop::Gone(Stream::Output)) => Ok(None),
        Err(stop) => Err(stop),
    }
}

/// Passes the end of a direction on.
async fn shut(mut to: impl AsyncWrite + Unpin) {
    if to.shutdown().await.is_err() {
        tracing::debug!("peer.gone");
    }
}

/// Returns when nothing has passed for long.
async fn silence(scope: &Scope) {
    loop {
        let left = HALF_LIMIT.saturating_sub(scope.idle());
        if left.is_zero() {
            return;
        }
        time::sleep(left).await;
    }
}

/// One direction.
struct Lane<'a, From, To> {
    from: From,
    to: To,
    clear: Clear,
    stream: Stream,
    tap: &'a Tap,
}

impl<From: AsyncRead + Unpin, To: AsyncWrite + Unpin> Lane<'_, From, To> {
    /// Carries it to its end. Gives back where that is to be passed on.
    async fn carry(mut self) -> Result<To, Stop> {
        // What came behind the host key was held back while that was looked at.
        self.units().await?;
        let mut piece = vec![0; PIECE];
        loop {
            let came = self.from.read(&mut piece).await;
            let length = came.map_err(|_gone| Stop::Gone(self.stream))?;
            let came = piece.get(..length).unwrap_or_default();
            if came.is_empty() {
                let stream = self.stream;
                let over = self.tap.event(ChannelEvent::Eof { stream });
                over.map_err(Stop::Recorder)?;
                return Ok(self.to);
            }
            if self.clear.is_over() {
                self.pass(came).await?;
            } else {
                self.clear.take(came);
                self.units().await?;
            }
        }
    }

    /// Passes on what is whole.
    async fn units(&mut self) -> Result<(), Stop> {
        while let Some(unit) = self.clear.next().map_err(|odd| Stop::Odd(odd.0))? {
            self.pass(unit.bytes()).await?;
        }
        Ok(())
    }

    async fn pass(&mut self, bytes: &[u8]) -> Result<(), Stop> {
        let recorded = self.tap.bytes(self.stream, bytes);
        recorded.map_err(Stop::Recorder)?;
        let sent = self.to.write_all(bytes).await;
        sent.map_err(|_gone| Stop::Gone(other(self.stream)))
    }
}

/// Who hears what one direction carries sends in the other.
fn other(stream: Stream) -> Stream {
    match stream {
        Stream::Input => Stream::Output,
        Stream::Output | Stream::ErrorOutput => Stream::Input,
    }
}
