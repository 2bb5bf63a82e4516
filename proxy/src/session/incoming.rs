//! A connection that has just come in: a TCP socket, or an SSH channel of somebody who jumps.

use std::fmt;
use std::io;
use std::net::SocketAddr;

use tokio::net::TcpStream;

use super::severable::{Carrier, Severable, Severer};

/// A connection and where it came from.
pub struct Incoming {
    source: SocketAddr,
    kind: Kind,
}

enum Kind {
    Tcp(TcpStream),
    Carrier(Box<dyn Carrier>),
}

impl fmt::Debug for Incoming {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Incoming")
            .field("source", &self.source)
            .finish_non_exhaustive()
    }
}

impl Incoming {
    /// An accepted socket.
    pub fn tcp(stream: TcpStream, source: SocketAddr) -> Self {
        Self {
            source,
            kind: Kind::Tcp(stream),
        }
    }

    /// Something inside another connection, whose source it shares.
    pub fn carried(carrier: impl Carrier, source: SocketAddr) -> Self {
        Self {
            source,
            kind: Kind::Carrier(Box::new(carrier)),
        }
    }

    /// Where it came from.
    pub fn source(&self) -> SocketAddr {
        self.source
    }

    /// Puts it under a severer.
    ///
    /// # Errors
    ///
    /// When no descriptor is left.
    pub fn wrap(self, severer: &Severer) -> io::Result<Severable> {
        match self.kind {
            Kind::Tcp(stream) => severer.wrap(stream),
            Kind::Carrier(carrier) => Ok(severer.wrap_carrier(carrier)),
        }
    }
}
