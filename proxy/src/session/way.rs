//! The way to a target: a socket, and where other targets stand in front of it, a connection inside a
//! connection through each of them.
//!
//! One socket carries all of it, so severing that severs everything.

use std::net::IpAddr;

use ca::{Authority, HopOrder, Traveller};
use control::{Broker, entropy};
use policies::{Endpoint, Hop, HostPort};
use tokio::time;

use super::LOGIN_LIMIT;
use super::dial::{DialError, dial, dial_one_of, seen_from};
use super::protocol::ConnectError;
use super::severable::{Severable, Severer};
use crate::ssh;
use crate::ssh::target::hop::Writer;

/// What is needed to go through targets.
#[derive(Debug, Clone, Copy)]
pub struct Way<'a> {
    /// Knows the time, and writes down what is signed.
    pub broker: &'a Broker,
    /// Signs what opens each target on the way.
    pub authority: &'a Authority,
    /// The addresses from which targets see us, where they differ from our sockets' own.
    pub egress: &'a [IpAddr],
}

/// A connection to the target, and the address from which the target sees us.
#[derive(Debug)]
pub struct Dialled {
    /// The connection, under the severer of its socket.
    pub io: Severable,
    /// Which of the target's hosts it is to, counted from 0.
    pub host: usize,
    /// Our side of it; unknown behind another target.
    pub source: Option<IpAddr>,
}

impl Way<'_> {
    /// Goes to `to`, through `via`. Sends nothing to where it ends.
    ///
    /// # Errors
    ///
    /// When one of them cannot be reached, or does not let us through.
    pub async fn go(
        self,
        (via, to): (&[Hop], &HostPort),
        traveller: Traveller<'_>,
        severer: &Severer,
    ) -> Result<Dialled, ConnectError> {
        let first = via.first().map_or(to, |hop| hop.target.addr());
        let dialled = dial(first).await.map_err(ConnectError::from);
        let stream = dialled.map_err(|refused| behind(via.first(), refused))?;
        let own = stream.local_addr().map_err(ConnectError::Io)?.ip();
        let mut source = Some(seen_from(self.egress, own));
        let mut io = severer.wrap(stream).map_err(ConnectError::Io)?;
        for (number, hop) in via.iter().enumerate() {
            let after = via.get(number.saturating_add(1));
            let next = after.map_or(to, |hop| hop.target.addr());
            let writer = match after {
                None => inside(traveller),
                Some(_hop) => Writer::Restless,
            };
            let tunnel = self
                .through(io, (hop, next, writer), traveller, source)
                .await;
            let tunnel = tunnel.map_err(|refused| behind(Some(hop), refused))?;
            io = severer.wrap_inner(tunnel);
            source = None;
        }
        Ok(Dialled {
            io,
            host: 0,
            source,
        })
    }

    /// Goes to the first of these hosts that answers. There is at least one. Sends nothing.
    ///
    /// # Errors
    ///
    /// When none answers: what the last one said.
    pub async fn go_to_one_of(
        self,
        hosts: &[HostPort],
        severer: &Severer,
    ) -> Result<Dialled, ConnectError> {
        let mut refused = None;
        for (host, at) in hosts.iter().enumerate() {
            match dial_one_of(hosts.len(), at).await {
                Ok(stream) => {
                    let own = stream.local_addr().map_err(ConnectError::Io)?.ip();
                    let source = Some(seen_from(self.egress, own));
                    let io = severer.wrap(stream).map_err(ConnectError::Io)?;
                    return Ok(Dialled { io, host, source });
                }
                Err(unreached) => refused = Some(summed(refused, unreached)),
            }
        }
        Err(refused.map_or(
            ConnectError::Io(std::io::ErrorKind::NotFound.into()),
            ConnectError::from,
        ))
    }

    async fn through(
        self,
        io: Severable,
        (hop, next, writer): (&Hop, &HostPort, Writer),
        traveller: Traveller<'_>,
        source_address: Option<IpAddr>,
    ) -> Result<ssh::target::hop::HopStream, ConnectError> {
        let now = self.broker.clock().now();
        let key = {
            let mut rng = entropy::rng();
            let order = HopOrder {
                hop,
                traveller,
                now,
                source_address,
                rng: &mut rng,
            };
            self.authority
                .issue_hop(order, self.broker.journal())
                .await?
        };
        let going = ssh::target::hop::through(io, (hop, &key), (next, writer), now);
        match time::timeout(LOGIN_LIMIT, going).await {
            Ok(gone) => gone,
            Err(_elapsed) => Err(ConnectError::Io(std::io::ErrorKind::TimedOut.into())),
        }
    }
}

/// Who writes to the target itself: an SSH connection has to be read while it writes. What goes to a bastion is only
/// carried, and a database is written to and read from each by itself.
fn inside(traveller: Traveller<'_>) -> Writer {
    match traveller {
        Traveller::Session(_session, terms) => match terms.target.endpoint {
            Endpoint::Postgres(_) => Writer::Patient,
            Endpoint::Ssh(_) if terms.target.is_bastion() => Writer::Patient,
            Endpoint::Ssh(_) => Writer::Restless,
        },
        Traveller::Trial(_) => Writer::Restless,
    }
}

/// What came of two hosts: every address that was tried, where any was.
fn summed(before: Option<DialError>, then: DialError) -> DialError {
    match (before, then) {
        (
            Some(DialError::Unreached { at, mut tried }),
            DialError::Unreached {
                tried: mut later, ..
            },
        ) => {
            tried.append(&mut later);
            DialError::Unreached { at, tried }
        }
        (Some(tried @ DialError::Unreached { .. }), DialError::Unresolved { .. }) => tried,
        (_, then) => then,
    }
}

/// What failed in front of the target, named.
fn behind(hop: Option<&Hop>, refused: ConnectError) -> ConnectError {
    match hop {
        Some(hop) => ConnectError::Hop {
            name: hop.target.name.clone(),
            source: Box::new(refused),
        },
        None => refused,
    }
}
