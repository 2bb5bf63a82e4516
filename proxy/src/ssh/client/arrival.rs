//! What happens on a client's connection: somebody is known, opens channels, asks for what nobody
//! may have. The door tells; the session listens.

use std::fmt;
use std::net::{IpAddr, SocketAddr};
use std::sync::Arc;

use jiff::Timestamp;
use policies::words::Words;
use policies::words::forward;
use policies::{Credential, Denial, PrincipalName, TargetName};
use russh::Channel;
use russh::server::{ChannelOpenHandle, Msg};
use tokio::sync::oneshot;

use crate::ssh::channel::refused;
use crate::ssh::flow::Tally;
use crate::ssh::forward::place::Place;

/// Someone who has proven who they are.
#[derive(Debug)]
pub struct Proven {
    /// Who.
    pub principal: PrincipalName,
    /// By what.
    pub credential: Credential,
    /// The first instant at which that proves nothing any more; none for a registered key.
    pub until: Option<Timestamp>,
    /// The user name they came with: where they want to go.
    pub user: String,
}

/// What happens on a connection once its client is known.
#[derive(Debug)]
pub enum Arrival {
    /// A session channel was opened.
    Session(Visit),
    /// Somebody jumps: a connection to a target's name is wanted inside this one.
    Jump(Jump),
    /// A connection is to be carried to somewhere behind the target.
    Forward(ForwardOpen),
    /// The target is to listen.
    Listen(Listen),
    /// The target is to listen no more.
    Unlisten(Listen),
    /// Something was refused that belongs to no session channel.
    Refused(Forwarding),
    /// The door itself has opened no channel, and said why.
    Barred(Barred),
}

/// A channel that the door did not open, and said so.
#[derive(Debug)]
pub struct Barred {
    /// What the client was told.
    pub words: Words,
    /// Where it was to lead; none for that of a program.
    pub to: Option<String>,
}

impl Barred {
    /// The same for the ledger, where there is no recording: what they were told, by the code that they report.
    pub fn denial(&self) -> Denial {
        Denial::NotAllowed {
            policy: String::new(),
            reason: format!("{}: {}", self.words.code, self.words.what),
        }
    }
}

/// What no permit names.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Forwarding {
    /// `ssh -L`, `-D`, `-W`.
    Port,
    /// `ssh -R`.
    ReversePort,
    /// `ssh -X`.
    Display,
}

impl Forwarding {
    /// What it is called.
    pub fn as_str(self) -> &'static str {
        match self {
            Self::Port => forward::PORT,
            Self::ReversePort => forward::REVERSE_PORT,
            Self::Display => forward::DISPLAY,
        }
    }
}

/// A connection to a target's name that a client wants inside its own. It is open once `reply` says so;
/// without a word, it is refused.
pub struct Jump {
    /// The channel that will carry it.
    pub visit: Visit,
    /// Where the client waits for an answer.
    pub reply: ChannelOpenHandle,
    /// The target's name.
    pub target: TargetName,
}

impl fmt::Debug for Jump {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Jump")
            .field("target", &self.target)
            .finish_non_exhaustive()
    }
}

/// A connection that a client wants carried. Its channel is open once `reply` says so; without a word,
/// it is refused.
pub struct ForwardOpen {
    /// The channel that will carry it.
    pub visit: Visit,
    /// Where the client waits for an answer.
    pub reply: ChannelOpenHandle,
    /// From where to where; what was said, where that makes no sense.
    pub route: Said<Route>,
}

impl fmt::Debug for ForwardOpen {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("ForwardOpen")
            .field("route", &self.route)
            .finish_non_exhaustive()
    }
}

/// Something, or what was said where that makes no sense.
pub type Said<T> = Result<T, String>;

/// From where to where a connection is carried.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Route {
    /// Where it goes.
    pub to: Place,
    /// The address and port from which the client says that it came; none where it names none, as for what comes
    /// from a socket.
    pub from: Option<SocketAddr>,
}

impl Route {
    /// Reads what was sent (RFC 4254, section 7.2). From where it came is a remark: OpenSSH says nothing for a socket
    /// of its own (`ssh -L SOCKET:HOST:PORT`), others a name or nothing.
    ///
    /// # Errors
    ///
    /// What was said, for the recording.
    pub fn parse(host: &str, port: u32, originator: &str, originator_port: u32) -> Said<Self> {
        let to = Place::parse(host, port).ok_or_else(|| refused::place(host, port))?;
        let from = address(originator, originator_port);
        Ok(Self { to, from })
    }

    /// Reads the path of a socket (`PROTOCOL` of OpenSSH, section 2.4).
    ///
    /// # Errors
    ///
    /// What was said, for the recording.
    pub fn to_socket(path: &str) -> Said<Self> {
        let to = Place::socket(path).ok_or_else(|| refused::socket(path))?;
        Ok(Self { to, from: None })
    }
}

/// An address and a port as they come in messages.
pub(in crate::ssh) fn address(text: &str, port: u32) -> Option<SocketAddr> {
    let address = text.parse::<IpAddr>().ok()?.to_canonical();
    Some(SocketAddr::new(address, u16::try_from(port).ok()?))
}

/// A listener at the target, and where the client waits for the port. Without an answer, it is refused.
#[derive(Debug)]
pub struct Listen {
    /// Where; what was said, where the target may not.
    pub at: Said<Place>,
    /// Takes the port.
    pub answer: oneshot::Sender<u16>,
}

/// A channel that the client opened.
#[derive(Debug)]
pub struct Visit {
    /// The channel.
    pub channel: Channel<Msg>,
    /// How much of what came in over it waits.
    pub tally: Arc<Tally>,
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn from_where_a_connection_came_is_a_remark() {
        for (originator, port) in [("", 0), ("localhost", 9), ("127.0.0.1", 65_536)] {
            let route = Route::parse("db", 5432, originator, port).unwrap();
            assert_eq!((route.to.port(), route.from), (5432, None), "{originator}");
        }
        let route = Route::parse("db", 5432, "192.0.2.1", 9).unwrap();
        assert_eq!(route.from, Some(SocketAddr::from(([192, 0, 2, 1], 9))));
        assert!(Route::parse("", 5432, "192.0.2.1", 9).is_err());
    }
}
