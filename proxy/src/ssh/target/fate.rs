//! How the connection to a target ended, as far as the target had a part in it.

use std::sync::{Arc, OnceLock};

use policies::words::{entrance, offence};
use russh::client::DisconnectReason;

use super::entry;
use super::hop::is_drowned;
use crate::session::protocol::ConnectError;

/// How one connection ended, once it has. A clone shares it.
#[derive(Debug, Clone, Default)]
pub(super) struct Fate {
    ended: Arc<OnceLock<Ended>>,
}

/// How a connection ended.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(in crate::ssh) enum Ended {
    /// The target took its leave.
    Left,
    /// It broke off.
    Broken,
    /// The target let us in by no means.
    NoMethod,
    /// It sent text that is not UTF-8.
    Unreadable,
    /// It did not keep to the protocol.
    Violation,
    /// It is behind a host, and too much waited to go through that.
    Drowned,
}

impl Ended {
    /// What the target did that its connection was ended for, if anything.
    pub(in crate::ssh) fn offence(self) -> Option<&'static str> {
        match self {
            Self::Left | Self::Broken | Self::NoMethod | Self::Drowned => None,
            Self::Unreadable => Some(offence::TARGET_UNREADABLE),
            Self::Violation => Some(offence::TARGET_RULES),
        }
    }
}

impl Fate {
    /// The connection is over.
    pub(super) fn ends(&self, how: &DisconnectReason<russh::Error>) {
        let ended = match how {
            DisconnectReason::ReceivedDisconnect(told) => {
                let message = begun(&told.message);
                tracing::info!(reason = ?message, "target.left");
                Ended::Left
            }
            DisconnectReason::Error(failed) => of(failed),
        };
        if let (Some(_offence), DisconnectReason::Error(failed)) = (ended.offence(), how) {
            tracing::info!(reason = %failed, "target.left_alone");
        }
        self.ended.get_or_init(|| ended);
    }

    /// Why nobody was let in, where the connection ended meanwhile: some say no in that way.
    pub(super) fn explains(&self, failed: ConnectError) -> ConnectError {
        match (failed, self.ended()) {
            (_, Some(Ended::Unreadable)) => ConnectError::Unreadable,
            (ConnectError::Io(_), Some(Ended::Left | Ended::NoMethod)) => entry::refused(),
            (
                ConnectError::Io(_),
                Some(Ended::Broken | Ended::Violation | Ended::Drowned) | None,
            ) => {
                let ended = entrance::ENDED.to_owned();
                ConnectError::Violation(ended)
            }
            (failed, _) => failed,
        }
    }

    /// How it ended, if it has.
    pub(super) fn ended(&self) -> Option<Ended> {
        self.ended.get().copied()
    }
}

/// How much of a target's goodbye is in the log, in characters: it may send as much as a packet holds, in each session.
const MESSAGE_MAX: usize = 200;

/// The beginning of a goodbye.
fn begun(message: &str) -> &str {
    let end = message.char_indices().nth(MESSAGE_MAX);
    end.and_then(|(end, _next)| message.get(..end))
        .unwrap_or(message)
}

#[expect(
    clippy::wildcard_enum_match_arm,
    reason = "russh has an error for each way not to keep to the protocol"
)]
fn of(failed: &russh::Error) -> Ended {
    use russh::Error as Russh;
    match failed {
        Russh::IO(failed) if is_drowned(failed) => Ended::Drowned,
        Russh::IO(_) | Russh::Disconnect | Russh::HUP | Russh::SendError => Ended::Broken,
        Russh::NoAuthMethod => Ended::NoMethod,
        Russh::SshEncoding(_) | Russh::Utf8(_) => Ended::Unreadable,
        _ => Ended::Violation,
    }
}

/// What broke a connection before anybody was let in.
#[expect(
    clippy::wildcard_enum_match_arm,
    reason = "only one of russh's errors is told apart"
)]
pub(super) fn broken(failed: russh::Error) -> ConnectError {
    match failed {
        russh::Error::IO(source) => ConnectError::Io(source),
        other => ConnectError::Violation(other.to_string()),
    }
}

#[cfg(test)]
mod tests {
    use std::io;
    use std::pin::Pin;
    use std::task::{Context, Poll};
    use std::time::Duration;

    use russh::keys::ssh_key::private::Ed25519Keypair;
    use russh::keys::{PrivateKey, PublicKeyOrCertificate};
    use russh::server::Auth;
    use russh::{client, server};
    use tokio::io::{AsyncRead, AsyncWrite, DuplexStream, ReadBuf};
    use tokio_util::sync::{CancellationToken, WaitForCancellationFutureOwned};

    use super::*;
    use crate::ssh::target::hop;

    /// A connection through a hop that is given up once it is told so.
    struct Through {
        io: DuplexStream,
        told: Pin<Box<WaitForCancellationFutureOwned>>,
    }

    impl AsyncRead for Through {
        fn poll_read(
            mut self: Pin<&mut Self>,
            cx: &mut Context<'_>,
            into: &mut ReadBuf<'_>,
        ) -> Poll<io::Result<()>> {
            if self.told.as_mut().poll(cx).is_ready() {
                return Poll::Ready(Err(hop::drowned()));
            }
            Pin::new(&mut self.io).poll_read(cx, into)
        }
    }

    impl AsyncWrite for Through {
        fn poll_write(
            mut self: Pin<&mut Self>,
            cx: &mut Context<'_>,
            bytes: &[u8],
        ) -> Poll<io::Result<usize>> {
            Pin::new(&mut self.io).poll_write(cx, bytes)
        }

        fn poll_flush(mut self: Pin<&mut Self>, cx: &mut Context<'_>) -> Poll<io::Result<()>> {
            Pin::new(&mut self.io).poll_flush(cx)
        }

        fn poll_shutdown(mut self: Pin<&mut Self>, cx: &mut Context<'_>) -> Poll<io::Result<()>> {
            Pin::new(&mut self.io).poll_shutdown(cx)
        }
    }

    /// Lets everybody in.
    struct Open;

    impl server::Handler for Open {
        type Error = russh::Error;

        async fn auth_none(&mut self, _: &str) -> Result<Auth, russh::Error> {
            Ok(Auth::Accept)
        }
    }

    /// Keeps how it ended.
    struct Keeps(Fate, CancellationToken);

    impl client::Handler for Keeps {
        type Error = russh::Error;

        async fn check_server_key(
            &mut self,
            _: &PublicKeyOrCertificate,
        ) -> Result<bool, russh::Error> {
            Ok(true)
        }

        async fn disconnected(
            &mut self,
            how: DisconnectReason<russh::Error>,
        ) -> Result<(), russh::Error> {
            self.0.ends(&how);
            self.1.cancel();
            Ok(())
        }
    }

    #[tokio::test]
    async fn a_connection_whose_hop_is_given_up_has_not_been_ended_by_its_target() {
        let (near, far) = tokio::io::duplex(4096);
        let (fate, token) = (Fate::default(), CancellationToken::new());
        let over = CancellationToken::new();
        let keeps = Keeps(fate.clone(), over.clone());
        let told = Box::pin(token.clone().cancelled_owned());
        let config = Arc::new(server::Config {
            keys: vec![PrivateKey::from(Ed25519Keypair::from_seed(&[7; 32]))],
            ..server::Config::default()
        });
        let serving = server::run_stream(config, near, Open);
        let through = Through { io: far, told };
        let connecting = client::connect_stream(Arc::default(), through, keeps);
        let (running, connected) = tokio::join!(serving, connecting);
        let (_running, mut client) = (running.unwrap(), connected.unwrap());
        assert!(client.authenticate_none("alice").await.unwrap().success());
        assert_eq!(fate.ended(), None);
        token.cancel();
        let limit = Duration::from_secs(10);
        let over = tokio::time::timeout(limit, over.cancelled());
        assert!(over.await.is_ok());
        assert_eq!(fate.ended(), Some(Ended::Drowned));
    }

    #[test]
    fn of_a_goodbye_the_log_has_the_beginning() {
        let long = "ü".repeat(256 * 1024);
        assert_eq!(begun(&long).chars().count(), MESSAGE_MAX);
        assert_eq!(begun("Too many"), "Too many");
    }

    #[test]
    fn a_connection_that_breaks_off_is_no_offence() {
        let ended = |failed| {
            let fate = Fate::default();
            assert_eq!(fate.ended(), None);
            fate.ends(&DisconnectReason::Error(failed));
            fate.ended().unwrap()
        };
        let reset = russh::Error::IO(io::ErrorKind::ConnectionReset.into());
        assert_eq!(ended(reset).offence(), None);
        assert_eq!(ended(russh::Error::NoAuthMethod), Ended::NoMethod);
        assert!(ended(russh::Error::Inconsistent).offence().is_some());
    }

    #[test]
    fn a_login_that_broke_off_was_not_refused() {
        let explained = |ended: Option<Ended>| {
            let fate = Fate::default();
            if let Some(ended) = ended {
                fate.ended.set(ended).unwrap();
            }
            fate.explains(ConnectError::Io(io::ErrorKind::UnexpectedEof.into()))
        };
        for ended in [Ended::Left, Ended::NoMethod] {
            let refused = explained(Some(ended));
            assert!(matches!(refused, ConnectError::Refused(_)), "{ended:?}");
        }
        for ended in [Some(Ended::Broken), Some(Ended::Violation), None] {
            let broke_off = explained(ended);
            assert!(matches!(broke_off, ConnectError::Violation(_)), "{ended:?}");
        }
        let unreadable = explained(Some(Ended::Unreadable));
        assert!(matches!(unreadable, ConnectError::Unreadable));
    }
}
