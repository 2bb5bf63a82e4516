//! What happens on a client's connection: somebody is known, opens channels, asks for what nobody
//! may have. The door tells; the session listens.

use std::sync::Arc;

use policies::{Credential, PrincipalName, TargetName};
use russh::Channel;
use russh::server::Msg;

use super::flow::Tally;

/// Someone who has proven who they are.
#[derive(Debug)]
pub struct Proven {
    /// Who.
    pub principal: PrincipalName,
    /// By what.
    pub credential: Credential,
    /// The user name they came with: where they want to go.
    pub user: String,
}

/// What happens on a connection once its client is known.
#[derive(Debug)]
pub enum Arrival {
    /// A session channel was opened.
    Session(Visit),
    /// Somebody jumps: a connection to a target's name is wanted inside this one.
    Jump {
        /// The channel that carries it.
        visit: Visit,
        /// The target's name.
        target: TargetName,
    },
    /// Something was refused that belongs to no session channel.
    Refused(Forwarding),
}

/// What no permit names.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Forwarding {
    /// `ssh -L`, `-D`, `-W`.
    Port,
    /// `ssh -R`.
    ReversePort,
    /// `ssh -L` to a socket in the file system.
    Socket,
    /// `ssh -R` of a socket in the file system.
    ReverseSocket,
    /// `ssh -X`.
    Display,
}

impl Forwarding {
    /// What it is called.
    pub fn as_str(self) -> &'static str {
        match self {
            Self::Port => "port forwarding",
            Self::ReversePort => "reverse port forwarding",
            Self::Socket => "socket forwarding",
            Self::ReverseSocket => "reverse socket forwarding",
            Self::Display => "X11 forwarding",
        }
    }
}

/// A channel that the client opened.
#[derive(Debug)]
pub struct Visit {
    /// The channel.
    pub channel: Channel<Msg>,
    /// How much of what came in over it waits.
    pub tally: Arc<Tally>,
}
