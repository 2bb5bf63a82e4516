//! One TLS connection of the API, from its first request to its last.

use std::future::pending;
use std::net::IpAddr;
use std::pin::pin;
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, AtomicU32, Ordering};
use std::time::Duration;

use axum::extract::Request;
use axum::http::{HeaderValue, Version, header};
use axum::middleware::Next;
use axum::response::Response;
use axum::{Extension, Router};
use hyper_util::rt::{TokioExecutor, TokioIo, TokioTimer};
use hyper_util::server::conn::auto;
use hyper_util::service::TowerToHyperService;
use tokio::io::{AsyncRead, AsyncWrite};
use tokio::sync::Notify;
use tokio::time::sleep;
use tracing::debug;

use super::socket::{Heard, Socket};
use super::unsent::Unsent;

/// How long a request's head may take, and how long a connection may rest before the first request and between two.
const HEAD_LIMIT: Duration = Duration::from_secs(15);

/// How many requests one HTTP/2 connection may have under way.
const STREAMS_MAX: u32 = 8;

/// How much of bodies that nobody has read yet one HTTP/2 connection may send ahead, in bytes.
const UNREAD_MAX: u32 = 128 * 1024;

/// How much of one body, in bytes: those of all streams together leave none without room.
const UNREAD_EACH: u32 = UNREAD_MAX / STREAMS_MAX;

/// How much of one answer HTTP/2 keeps that is not on the wire, in bytes.
const UNSENT_MAX: usize = 32 * 1024;

/// The largest head of a request, in bytes.
const HEAD_MAX: usize = 16 * 1024;

/// How many requests of strangers one connection may make: a login takes two, and each has a signature
/// looked at, with a key that a stranger chooses. Who wants more opens another connection, which is counted.
const LOGINS_MAX: u32 = 8;

/// How many requests of strangers one connection has made.
#[derive(Debug, Clone, Default)]
struct Logins(Arc<Made>);

#[derive(Debug, Default)]
struct Made {
    count: AtomicU32,
    enough: Notify,
}

/// Counts a request of a stranger. With the last one the connection ends, once that is answered.
pub(super) async fn count_login(request: Request, next: Next) -> Response {
    let mut last = false;
    if let Some(Logins(made)) = request.extensions().get::<Logins>() {
        let before = made.count.fetch_add(1, Ordering::SeqCst);
        last = before.saturating_add(1) >= LOGINS_MAX;
        if last {
            made.enough.notify_one();
        }
    }
    let in_turn = request.version() < Version::HTTP_2;
    let mut response = next.run(request).await;
    if last && in_turn {
        // Whoever sends the next ones without waiting has more of them answered otherwise.
        let close = HeaderValue::from_static("close");
        response.headers_mut().insert(header::CONNECTION, close);
    }
    response
}

/// The leaf certificate that a client showed, DER. Its chain has been verified.
#[derive(Debug, Clone)]
pub struct PeerCertificate(pub Vec<u8>);

/// Who is at the other end of a connection.
#[derive(Debug, Clone)]
pub struct Peer {
    /// Their certificate, if they showed one.
    pub certificate: Option<PeerCertificate>,
    /// From where.
    pub source: IpAddr,
    /// What they show to log in.
    pub showing: Showing,
}

/// What is shown on one connection to log in. Clones share it.
#[derive(Debug, Clone, Default)]
pub struct Showing {
    wrong: Arc<AtomicBool>,
}

impl Showing {
    /// Whether the last that was shown proves nothing.
    pub fn is_wrong(&self) -> bool {
        self.wrong.load(Ordering::SeqCst)
    }

    pub(super) fn was_wrong(&self) {
        self.wrong.store(true, Ordering::SeqCst);
    }

    pub(super) fn was_right(&self) {
        self.wrong.store(false, Ordering::SeqCst);
    }
}

/// Where a request comes from.
#[derive(Debug, Clone, Copy)]
pub(crate) struct Source(pub(crate) IpAddr);

/// Serves one connection, HTTP/1.1 or 2, until it ends. What goes wrong on it concerns nobody else.
pub async fn serve<Io>(io: Io, router: Router, peer: Peer)
where
    Io: AsyncRead + AsyncWrite + Unpin + Send + 'static,
{
    let router = match peer.certificate {
        Some(certificate) => router.layer(Extension(certificate)),
        None => router,
    };
    let logins = Logins::default();
    let unsent = Unsent::default();
    let router = router
        .layer(Extension(logins.clone()))
        .layer(Extension(peer.showing))
        .layer(Extension(unsent.clone()));
    let service = TowerToHyperService::new(router.layer(Extension(Source(peer.source))));
    let mut server = auto::Builder::new(TokioExecutor::new());
    server
        .http1()
        .timer(TokioTimer::new())
        .header_read_timeout(HEAD_LIMIT)
        .max_buf_size(HEAD_MAX);
    server
        .http2()
        .timer(TokioTimer::new())
        .keep_alive_interval(HEAD_LIMIT)
        .keep_alive_timeout(HEAD_LIMIT)
        .max_concurrent_streams(STREAMS_MAX)
        .initial_connection_window_size(UNREAD_MAX)
        .initial_stream_window_size(UNREAD_EACH)
        .max_send_buf_size(UNSENT_MAX)
        .max_header_list_size(u32::try_from(HEAD_MAX).unwrap_or(u32::MAX));
    let heard = Heard::default();
    let socket = Socket::of(io, unsent.clone(), heard.clone());
    let mut connection = pin!(server.serve_connection(TokioIo::new(socket), service));
    let serving = async {
        tokio::select! {
            ended = connection.as_mut() => ended,
            () = logins.0.enough.notified() => {
                connection.as_mut().graceful_shutdown();
                connection.await
            }
        }
    };
    tokio::select! {
        ended = serving => if let Err(error) = ended {
            debug!(source = %peer.source, reason = %error, "api.connection_failed");
        },
        () = unsent.stuck() => {
            debug!(source = %peer.source, reason = "an answer is not taken", "api.connection_failed");
        }
        () = mute(&heard) => {
            debug!(source = %peer.source, reason = "nothing is asked", "api.connection_failed");
        }
    }
}

/// Returns when somebody has taken too long to begin: which version they speak is waited for without a limit.
async fn mute(heard: &Heard) {
    sleep(HEAD_LIMIT).await;
    if heard.is_enough() {
        pending::<()>().await;
    }
}
