//! The way to a session's target once more, for what stops its work there and for what looks after
//! its role: a connection of its own, through the same targets.
//!
//! Not part of the session: severing that does not sever this.

use std::fmt;
use std::future::Future;
use std::io;
use std::net::{IpAddr, SocketAddr};
use std::pin::Pin;
use std::task::{Context, Poll};

use ca::{Authority, Traveller};
use control::Broker;
use policies::{Hop, HostPort, Jump, SessionId, TargetName, Terms, Wayless};
use tokio::io::{AsyncRead, AsyncWrite, ReadBuf};

use super::dial::{dial_address, dial_one_of};
use super::protocol::ConnectError;
use super::severable::{Severable, Severer};
use super::way::Way;

/// A connection that is being made.
pub type Going<'a> = Pin<Box<dyn Future<Output = Result<Branch, ConnectError>> + Send + 'a>>;

/// Leads to the hosts of one target.
pub trait Road: fmt::Debug + Send + Sync + 'static {
    /// Connects to one of them. No byte is sent to it.
    fn go<'a>(&'a self, to: &'a HostPort) -> Going<'a>;
}

/// A connection beside a session's own. When it is dropped, what a socket already has is delivered.
#[derive(Debug)]
pub struct Branch {
    io: Severable,
    severer: Severer,
}

impl Drop for Branch {
    fn drop(&mut self) {
        self.severer.release();
    }
}

impl AsyncRead for Branch {
    fn poll_read(
        self: Pin<&mut Self>,
        cx: &mut Context<'_>,
        into: &mut ReadBuf<'_>,
    ) -> Poll<io::Result<()>> {
        Pin::new(&mut self.get_mut().io).poll_read(cx, into)
    }
}

impl AsyncWrite for Branch {
    fn poll_write(
        self: Pin<&mut Self>,
        cx: &mut Context<'_>,
        bytes: &[u8],
    ) -> Poll<io::Result<usize>> {
        Pin::new(&mut self.get_mut().io).poll_write(cx, bytes)
    }

    fn poll_flush(self: Pin<&mut Self>, cx: &mut Context<'_>) -> Poll<io::Result<()>> {
        Pin::new(&mut self.get_mut().io).poll_flush(cx)
    }

    fn poll_shutdown(self: Pin<&mut Self>, cx: &mut Context<'_>) -> Poll<io::Result<()>> {
        Pin::new(&mut self.get_mut().io).poll_shutdown(cx)
    }
}

/// To a target that is dialled.
#[derive(Debug)]
pub struct Direct;

impl Road for Direct {
    fn go<'a>(&'a self, to: &'a HostPort) -> Going<'a> {
        Box::pin(async move {
            let severer = Severer::default();
            let io = severer.wrap(dial_one_of(2, to).await?);
            let io = io.map_err(ConnectError::Io)?;
            Ok(Branch { io, severer })
        })
    }
}

/// To the address that a session's own connection goes to, whatever its name leads to by then.
#[derive(Debug)]
pub struct Pinned(pub SocketAddr);

impl Road for Pinned {
    fn go<'a>(&'a self, _to: &'a HostPort) -> Going<'a> {
        Box::pin(async move {
            let severer = Severer::default();
            let io = severer.wrap(dial_address(self.0).await?);
            let io = io.map_err(ConnectError::Io)?;
            Ok(Branch { io, severer })
        })
    }
}

/// For whom a road leads through other targets.
#[derive(Debug)]
pub enum Whom {
    /// A session.
    Session(SessionId, Box<Terms>),
    /// Who looks after this target.
    Upkeep(TargetName),
}

/// To a target that others stand in front of.
pub struct Through {
    /// Knows the time, and writes down what is signed.
    pub broker: Broker,
    /// Signs what opens each target on the way.
    pub authority: Authority,
    /// The addresses from which targets see us, where they differ from our sockets' own.
    pub egress: Vec<IpAddr>,
    /// Who travels.
    pub whom: Whom,
    /// The targets in front, the one that is dialled first.
    pub via: Vec<Hop>,
}

impl fmt::Debug for Through {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Through")
            .field("whom", &self.whom)
            .field("via", &self.via)
            .finish_non_exhaustive()
    }
}

/// What somebody goes to a target for who looks after it.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Errand {
    /// So that people can be let in.
    Serve,
    /// To take away what a grant had there: also through targets that are locked or were removed.
    Clean,
}

/// The road to a target that is looked after, through those that stand in front of it.
///
/// # Errors
///
/// When there is no such way.
pub fn upkeep(
    (broker, authority, egress): (&Broker, &Authority, &[IpAddr]),
    target: &TargetName,
    (jump, errand): (Option<&Jump>, Errand),
) -> Result<Box<dyn Road>, Wayless> {
    let via = match errand {
        Errand::Serve => broker.way(jump)?,
        Errand::Clean => broker.way_to_clean(jump)?,
    };
    if via.is_empty() {
        return Ok(Box::new(Direct));
    }
    Ok(Box::new(Through {
        broker: broker.clone(),
        authority: authority.clone(),
        egress: egress.to_vec(),
        whom: Whom::Upkeep(target.clone()),
        via,
    }))
}

impl Through {
    /// Whom the certificates on the way name. What a session left behind is stopped after its grant
    /// has ended too, when none can be made for it.
    fn traveller(&self) -> Traveller<'_> {
        match &self.whom {
            Whom::Session(session, terms) if self.broker.clock().now() < terms.until => {
                Traveller::Session(*session, terms)
            }
            Whom::Session(_ended, terms) => Traveller::Trial(&terms.target.name),
            Whom::Upkeep(target) => Traveller::Trial(target),
        }
    }
}

impl Road for Through {
    fn go<'a>(&'a self, to: &'a HostPort) -> Going<'a> {
        Box::pin(async move {
            let severer = Severer::default();
            let way = Way {
                broker: &self.broker,
                authority: &self.authority,
                egress: &self.egress,
            };
            let gone = way.go((&self.via, to), self.traveller(), &severer);
            let io = gone.await?.io;
            Ok(Branch { io, severer })
        })
    }
}

#[cfg(test)]
mod tests {
    use tokio::io::AsyncReadExt;
    use tokio::net::TcpListener;

    use super::*;

    #[tokio::test]
    async fn what_stops_a_session_goes_to_its_address_whatever_the_name_leads_to() {
        let (here, there) = (
            TcpListener::bind("127.0.0.1:0").await.unwrap(),
            TcpListener::bind("127.0.0.1:0").await.unwrap(),
        );
        let name: HostPort = there.local_addr().unwrap().to_string().parse().unwrap();
        let road = Pinned(here.local_addr().unwrap());
        let gone = road.go(&name).await.unwrap();
        let (mut met, _) = here.accept().await.unwrap();
        drop(gone);
        assert_eq!(met.read(&mut [0]).await.unwrap(), 0);
    }
}
