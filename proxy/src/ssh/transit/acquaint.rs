//! Looks on while a client and a bastion get acquainted: that it is a tidegate, and that the host key which
//! it shows is the one that is pinned. Nothing encrypted passes before.
//!
//! Whether the bastion holds that key is for the client to find out: only it and the bastion know the secret
//! that the signature covers. A client that does not look can be deceived about it; then it and somebody who
//! took the bastion's address speak with each other, and nobody else.

use policies::words::Shown;
use policies::words::clear as odd;
use policies::words::entrance;
use policies::words::transit::Carried;
use policies::{Endpoint, Target};
use recorder::{AppendError, Frame, Stream};
use tokio::io::{AsyncReadExt, AsyncWriteExt};
use tokio::select;

use super::passenger::{Passenger, Voice};
use crate::session::protocol::ConnectError;
use crate::session::scope::Scope;
use crate::session::severable::Severable;
use crate::ssh::algorithms::is_tidegate;
use crate::ssh::channel::tap::Tap;
use crate::ssh::target::hostkey::Pin;
use crate::ssh::transit::clear::{Clear, Odd, Unit};

/// How much is read at a time, in bytes.
const PIECE: usize = 4096;

/// Both directions, as far as they have been read.
#[derive(Debug, Default)]
pub(super) struct Acquainted {
    /// From the client.
    pub(super) up: Clear,
    /// From the bastion.
    pub(super) down: Clear,
}

/// Passes on what the two say up to the bastion's host key. Its identification comes first: the client's
/// goes to no other server.
///
/// # Errors
///
/// When it is not the bastion that is pinned, or one of them does not speak SSH.
pub(super) async fn acquaint(
    (front, io): (&mut Passenger, &mut Severable),
    tap: &Tap,
    scope: &Scope,
) -> Result<Acquainted, ConnectError> {
    let mut meeting = Meeting {
        pin: pin(&scope.terms().target)?,
        both: Acquainted::default(),
        tap,
        client: String::new(),
    };
    let (mut from_client, mut from_bastion) = ([0; PIECE], [0; PIECE]);
    let at = reached(scope, io);
    loop {
        // The client is not read before we know whom it speaks with.
        let named = front.voice != Voice::Silent;
        select! {
            biased;
            came = io.read(&mut from_bastion) => {
                let came = heard(&from_bastion, came.map_err(ConnectError::Io)?);
                let came = came.ok_or(ConnectError::Io(std::io::ErrorKind::UnexpectedEof.into()))?;
                if let Some(host_key) = meeting.down(came, front).await? {
                    note(scope, (&at, &host_key, &meeting.client)).map_err(ConnectError::Recorder)?;
                    front.voice = Voice::Lost;
                    return Ok(meeting.both);
                }
            }
            came = front.io.read(&mut from_client), if named => {
                let came = came.map_err(|_gone| ConnectError::ClientGone)?;
                let came = heard(&from_client, came).ok_or(ConnectError::ClientGone)?;
                meeting.up(came, io).await?;
            }
        }
    }
}

/// What is kept in mind meanwhile.
struct Meeting<'a> {
    pin: Pin,
    both: Acquainted,
    tap: &'a Tap,
    /// How the client calls itself.
    client: String,
}

impl Meeting<'_> {
    /// Passes on what the bastion said. Gives the fingerprint of its host key once that was passed on, and
    /// holds what came behind it.
    async fn down(
        &mut self,
        came: &[u8],
        front: &mut Passenger,
    ) -> Result<Option<String>, ConnectError> {
        self.both.down.take(came);
        while let Some(unit) = self.both.down.next().map_err(other_server)? {
            if let Unit::Sealed(_) = unit {
                return Err(other_server(Odd(odd::NO_HOST_KEY)));
            }
            if let Some(name) = unit.name()
                && !is_tidegate(name.as_bytes())
            {
                return Err(ConnectError::Impostor(entrance::NO_TIDEGATE.to_owned()));
            }
            let judged = unit.host_key().map(|key| self.pin.judge_in_passing(key));
            let judged = judged.transpose();
            let judged = judged.map_err(ConnectError::Unproven)?;
            self.pass(Stream::Output, &unit)?;
            let sent = front.io.write_all(unit.bytes()).await;
            sent.map_err(|_gone| ConnectError::ClientGone)?;
            front.voice = Voice::Clear;
            if judged.is_some() {
                return Ok(judged);
            }
        }
        Ok(None)
    }

    /// Passes on what the client said.
    async fn up(&mut self, came: &[u8], io: &mut Severable) -> Result<(), ConnectError> {
        self.both.up.take(came);
        while let Some(unit) = self.both.up.next().map_err(misused)? {
            if let Unit::Sealed(_) = unit {
                return Err(ConnectError::Misused(odd::EARLY));
            }
            if let Some(name) = unit.name() {
                name.clone_into(&mut self.client);
            }
            self.pass(Stream::Input, &unit)?;
            io.write_all(unit.bytes()).await.map_err(ConnectError::Io)?;
        }
        Ok(())
    }

    /// Records what is about to pass.
    fn pass(&self, stream: Stream, unit: &Unit) -> Result<(), ConnectError> {
        let recorded = self.tap.bytes(stream, unit.bytes());
        recorded.map_err(ConnectError::Recorder)
    }
}

/// What was read; none at its end.
fn heard(buffer: &[u8], length: usize) -> Option<&[u8]> {
    buffer.get(..length).filter(|came| !came.is_empty())
}

fn misused(Odd(why): Odd) -> ConnectError {
    ConnectError::Misused(why)
}

/// It does not even begin as a tidegate does.
fn other_server(Odd(why): Odd) -> ConnectError {
    ConnectError::Impostor(odd::sends(why))
}

fn pin(target: &Target) -> Result<Pin, ConnectError> {
    let Endpoint::Ssh(endpoint) = &target.endpoint else {
        return Err(ConnectError::Violation(entrance::OTHER_PROTOCOL.to_owned()));
    };
    Pin::read(endpoint).map_err(ConnectError::Unproven)
}

/// Where the bastion is: as it is registered, and the address that answered, where we dialled it ourselves.
fn reached(scope: &Scope, io: &Severable) -> String {
    let at = scope.terms().target.addr();
    match io.peer() {
        Some(peer) if peer.to_string() != at.to_string() => format!("{at} ({peer})"),
        Some(_) | None => at.to_string(),
    }
}

/// Records who goes through to what, for whoever reads that the rest is encrypted.
fn note(scope: &Scope, (at, host_key, client): (&str, &str, &str)) -> Result<(), AppendError> {
    let bastion = &scope.terms().target.name;
    let words = Carried {
        bastion,
        at,
        host_key,
        client,
    };
    let words = words.words();
    scope.record(&Frame::Note {
        code: words.code,
        text: &words.what,
    })
}
