//! From the first byte to a startup packet over TLS.
//!
//! A client may begin with TLS at once (`sslnegotiation=direct`, then ALPN has to say `postgresql`),
//! or ask for it; it may ask for Kerberos once, and is told no. What it sends in clear behind a
//! request for TLS ends the connection (CVE-2021-23214). Does not know who the client is.

use std::future::poll_fn;
use std::io;
use std::pin::Pin;
use std::sync::Arc;
use std::task::{Context, Poll};

use policies::words::offence;
use policies::words::postgres::Complaint;
use policies::words::{Shown, Words};
use rustls::ServerConfig;
use rustls::pki_types::CertificateDer;
use tokio::io::{AsyncRead, AsyncReadExt, AsyncWrite, AsyncWriteExt, ReadBuf};
use tokio_rustls::TlsAcceptor;
use tokio_rustls::server::TlsStream;

use super::startup::{self, Opening, Startup, StartupError};
use crate::postgres::tls::ALPN;
use crate::postgres::tls::read_ahead::ReadAhead;
use crate::postgres::wire::BackendKey;
use crate::postgres::wire::STARTUP_PACKET_MAX;
use crate::postgres::wire::say;
use crate::session::protocol::Refused;
use crate::session::severable::Severable;

/// What every TLS record of a handshake begins with (RFC 8446, section 5.1).
const TLS_HANDSHAKE: u8 = 0x16;

/// A connection over TLS, with the byte that was read to recognise it put back.
pub(crate) type ClientTls = TlsStream<Begun>;

/// What a connection wanted.
pub(crate) enum Wanted {
    /// A session.
    Session(Box<ClientTls>, Startup),
    /// That something be cancelled.
    Cancel(BackendKey, Asker),
}

/// Who asks for something to be cancelled, and waits for us to close: that is how a client knows that its
/// request has been dealt with (libpq's `PQcancel`). Closed earlier, the request might still hit what
/// the client does next.
pub(crate) enum Asker {
    /// In clear, as libpq up to version 16 asks.
    Clear(Severable),
    /// Over TLS.
    Tls(Box<ClientTls>),
}

impl Asker {
    /// The certificates that were shown with it, the leaf first: none in clear.
    pub(crate) fn shown(&self) -> Vec<CertificateDer<'static>> {
        let shown = match self {
            Self::Clear(_) => None,
            Self::Tls(tls) => tls.get_ref().1.peer_certificates(),
        };
        shown.unwrap_or_default().to_vec()
    }

    /// Closes in order; newer clients take anything else for a failure (libpq's `PQcancelPoll`).
    pub(crate) async fn close(self) {
        let _closed_either_way = match self {
            Self::Clear(mut io) => io.shutdown().await,
            Self::Tls(mut tls) => tls.shutdown().await,
        };
    }
}

/// I/O of which the first byte has been read already.
#[derive(Debug)]
pub(crate) struct Begun {
    first: Option<u8>,
    io: ReadAhead,
}

impl AsyncRead for Begun {
    fn poll_read(
        self: Pin<&mut Self>,
        cx: &mut Context<'_>,
        buf: &mut ReadBuf<'_>,
    ) -> Poll<io::Result<()>> {
        let this = self.get_mut();
        match this.first.take() {
            Some(first) if buf.remaining() > 0 => {
                buf.put_slice(&[first]);
                Poll::Ready(Ok(()))
            }
            first => {
                this.first = first;
                Pin::new(&mut this.io).poll_read(cx, buf)
            }
        }
    }
}

impl AsyncWrite for Begun {
    fn poll_write(
        self: Pin<&mut Self>,
        cx: &mut Context<'_>,
        bytes: &[u8],
    ) -> Poll<io::Result<usize>> {
        Pin::new(&mut self.get_mut().io).poll_write(cx, bytes)
    }

    fn poll_write_vectored(
        self: Pin<&mut Self>,
        cx: &mut Context<'_>,
        slices: &[io::IoSlice<'_>],
    ) -> Poll<io::Result<usize>> {
        Pin::new(&mut self.get_mut().io).poll_write_vectored(cx, slices)
    }

    fn is_write_vectored(&self) -> bool {
        self.io.is_write_vectored()
    }

    fn poll_flush(self: Pin<&mut Self>, cx: &mut Context<'_>) -> Poll<io::Result<()>> {
        Pin::new(&mut self.get_mut().io).poll_flush(cx)
    }

    fn poll_shutdown(self: Pin<&mut Self>, cx: &mut Context<'_>) -> Poll<io::Result<()>> {
        Pin::new(&mut self.get_mut().io).poll_shutdown(cx)
    }
}

/// Listens until it is clear what the client wants. The caller sets the limit on how long.
pub(crate) async fn hear(mut io: Severable, config: &Arc<ServerConfig>) -> Result<Wanted, Refused> {
    let (mut asked_tls, mut asked_gss) = (false, false);
    loop {
        let first = io.read_u8().await.map_err(Refused::Greeting)?;
        if first == TLS_HANDSHAKE {
            let direct = !asked_tls;
            return secured(
                Begun {
                    first: Some(first),
                    io: ReadAhead::new(io),
                },
                config,
                direct,
            )
            .await;
        }
        if asked_tls {
            return Err(Refused::Violation(offence::NO_TLS_AFTER_ASKING));
        }
        match opening(first, &mut io).await? {
            Ok(Opening::Tls) => {
                nothing_behind(&mut io).await?;
                io.write_all(b"S").await.map_err(Refused::Greeting)?;
                io.flush().await.map_err(Refused::Greeting)?;
                asked_tls = true;
            }
            Ok(Opening::Gss) if !asked_gss => {
                nothing_behind(&mut io).await?;
                io.write_all(b"N").await.map_err(Refused::Greeting)?;
                io.flush().await.map_err(Refused::Greeting)?;
                asked_gss = true;
            }
            Ok(Opening::Gss) => return Err(Refused::Violation(offence::KERBEROS_TWICE)),
            Ok(Opening::Cancel(key)) => return Ok(Wanted::Cancel(key, Asker::Clear(io))),
            Ok(Opening::Session(_)) => {
                farewell(&mut io, &Complaint::Plaintext.words(), say::NOT_AUTHORIZED).await;
                return Err(Refused::Answered);
            }
            Err(refused) => return Err(startup_refused(&mut io, &refused).await),
        }
    }
}

async fn secured(io: Begun, config: &Arc<ServerConfig>, direct: bool) -> Result<Wanted, Refused> {
    let mut tls = TlsAcceptor::from(Arc::clone(config))
        .accept(io)
        .await
        .map_err(Refused::Greeting)?;
    if direct && tls.get_ref().1.alpn_protocol() != Some(ALPN) {
        return Err(Refused::Violation(offence::DIRECT_WITHOUT_ALPN));
    }
    let first = tls.read_u8().await.map_err(Refused::Greeting)?;
    match opening(first, &mut tls).await? {
        Ok(Opening::Session(startup)) => Ok(Wanted::Session(Box::new(tls), startup)),
        Ok(Opening::Cancel(key)) => Ok(Wanted::Cancel(key, Asker::Tls(Box::new(tls)))),
        Ok(Opening::Tls | Opening::Gss) => Err(Refused::Violation(offence::ENCRYPTED_TWICE)),
        Err(refused) => Err(startup_refused(&mut tls, &refused).await),
    }
}

/// Reads the rest of a first packet, after its first byte. Not cancel safe.
async fn opening<I>(first: u8, io: &mut I) -> Result<Result<Opening, StartupError>, Refused>
where
    I: AsyncRead + Unpin,
{
    let mut rest = [0; 3];
    io.read_exact(&mut rest).await.map_err(Refused::Greeting)?;
    let [b, c, d] = rest;
    let length = usize::try_from(u32::from_be_bytes([first, b, c, d])).unwrap_or(usize::MAX);
    let body = length
        .checked_sub(4)
        .filter(|body| *body >= 4 && length <= STARTUP_PACKET_MAX);
    let mut body = vec![0; body.ok_or(Refused::Violation(offence::FIRST_LENGTH))?];
    io.read_exact(&mut body).await.map_err(Refused::Greeting)?;
    Ok(startup::opening(&body))
}

/// That the client waits for our answer, as it has to: what it said in clear must never be taken
/// for something said over TLS.
async fn nothing_behind(io: &mut Severable) -> Result<(), Refused> {
    let mut byte = [0; 1];
    let early = poll_fn(|cx| {
        let mut buffer = ReadBuf::new(&mut byte);
        Poll::Ready(Pin::new(&mut *io).poll_read(cx, &mut buffer).is_ready())
    })
    .await;
    if early {
        Err(Refused::Violation(offence::BYTES_BEHIND))
    } else {
        Ok(())
    }
}

async fn startup_refused<I: AsyncWrite + Unpin>(io: &mut I, refused: &StartupError) -> Refused {
    let (complaint, sqlstate) = match refused {
        StartupError::Replication => (Complaint::Replication, "42501"),
        StartupError::Parameter(name) => (Complaint::Parameter { name: name.clone() }, "42501"),
        StartupError::Version { .. } => (
            Complaint::Startup {
                what: refused.to_string(),
            },
            say::NOT_SUPPORTED,
        ),
        StartupError::NoUser => (
            Complaint::Startup {
                what: refused.to_string(),
            },
            say::NOT_AUTHORIZED,
        ),
        StartupError::Layout | StartupError::Encoding | StartupError::Twice(_) => (
            Complaint::Startup {
                what: refused.to_string(),
            },
            say::PROTOCOL_VIOLATION,
        ),
    };
    farewell(io, &complaint.words(), sqlstate).await;
    Refused::Answered
}

/// Says why not, and closes.
pub(crate) async fn farewell<I: AsyncWrite + Unpin>(io: &mut I, words: &Words, sqlstate: &str) {
    let mut out = Vec::new();
    say::fatal(&mut out, sqlstate, words);
    part(io, &out).await;
}

/// Says the last of it, and closes. Whether it is heard makes no difference.
pub(super) async fn part<I: AsyncWrite + Unpin>(io: &mut I, last: &[u8]) {
    if io.write_all(last).await.is_ok() && io.flush().await.is_ok() {
        let _closed_either_way = io.shutdown().await;
    }
}
