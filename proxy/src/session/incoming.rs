//! A connection that has just come in: a TCP socket, or an SSH channel of somebody who jumps.

use std::fmt;
use std::io;
use std::net::SocketAddr;
use std::time::Duration;

use tokio::net::TcpStream;
use tokio::sync::OwnedSemaphorePermit;

use super::GREETING_LIMIT;
use super::severable::{Carrier, Severable, Severer};
use crate::listener::{Offence, Seat};

/// A connection, and who is behind it as far as is known: an address.
pub struct Incoming {
    newcomer: Newcomer,
    kind: Kind,
}

enum Kind {
    Tcp(TcpStream),
    Carrier(Box<dyn Carrier>),
}

/// Someone who has proven nothing yet. They take one of the seats that are kept for such, or their turn
/// inside another connection, until [`Newcomer::proven`] gives it back.
#[derive(Debug)]
pub struct Newcomer {
    source: SocketAddr,
    seat: Option<Seat>,
    /// What they take in place of a seat.
    turn: Option<Turn>,
}

/// One of the few that may prove who they are at the same time, inside connections of the same person.
pub type Turn = OwnedSemaphorePermit;

impl Newcomer {
    /// Someone from `source` who takes a seat. Who comes inside a connection that is proven already
    /// needs none.
    ///
    /// An IPv4 address that came through an IPv6 listener is kept as what it is, for policies,
    /// limits and the ledger alike.
    pub fn new(source: SocketAddr, seat: Option<Seat>) -> Self {
        let source = SocketAddr::new(source.ip().to_canonical(), source.port());
        Self {
            source,
            seat,
            turn: None,
        }
    }

    /// Where they come from.
    pub fn source(&self) -> SocketAddr {
        self.source
    }

    /// How long they may take to prove who they are.
    pub fn greeting(&self) -> Duration {
        self.seat.as_ref().map_or(GREETING_LIMIT, Seat::greeting)
    }

    /// They have proven nothing, by their own doing.
    pub fn offends(&self, offence: Offence) {
        if let Some(seat) = &self.seat {
            seat.offends(offence);
        }
    }

    /// They have proven who they are: somebody else may take the seat.
    pub fn proven(&mut self) {
        self.turn = None;
        if let Some(seat) = self.seat.take() {
            seat.proven();
        }
    }
}

impl fmt::Debug for Incoming {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Incoming")
            .field("newcomer", &self.newcomer)
            .finish_non_exhaustive()
    }
}

impl Incoming {
    /// An accepted socket.
    pub fn tcp(stream: TcpStream, newcomer: Newcomer) -> Self {
        Self {
            newcomer,
            kind: Kind::Tcp(stream),
        }
    }

    /// Something inside another connection, whose source it shares.
    pub fn carried(carrier: impl Carrier, source: SocketAddr, turn: Option<Turn>) -> Self {
        let mut newcomer = Newcomer::new(source, None);
        newcomer.turn = turn;
        Self {
            newcomer,
            kind: Kind::Carrier(Box::new(carrier)),
        }
    }

    /// Puts it under a severer.
    ///
    /// # Errors
    ///
    /// When no descriptor is left.
    pub fn wrap(self, severer: &Severer) -> io::Result<(Severable, Newcomer)> {
        let io = match self.kind {
            Kind::Tcp(stream) => severer.wrap(stream)?,
            Kind::Carrier(carrier) => severer.wrap_carrier(carrier),
        };
        Ok((io, self.newcomer))
    }
}
