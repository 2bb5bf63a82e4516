//! The answers of one connection that are on their way.
//!
//! An answer stays in memory until whoever asked has taken it. One that nobody takes any part of for a while ends
//! its connection: HTTP/2 lets a client keep an answer waiting for ever that it has asked for, and answer pings
//! meanwhile.

use std::collections::BTreeMap;
use std::io::Cursor;
use std::pin::Pin;
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};
use std::task::{Context, Poll};
use std::time::Duration;

use axum::body::{Body, HttpBody as _, to_bytes};
use axum::extract::Request;
use axum::http::header;
use axum::middleware::Next;
use axum::response::{IntoResponse, Response};
use policies::words::api::ApiRefusal;
use tokio::io::{AsyncRead, ReadBuf};
use tokio::sync::OwnedSemaphorePermit;
use tokio::time::sleep;
use tokio_util::io::ReaderStream;

use super::problem::Refused;

/// How often it is looked at what has moved.
const ROUND: Duration = Duration::from_secs(15);

/// After how many looks at an answer that has not moved the connection ends: after 105 to 120 seconds. Behind a slow
/// line the kernel's buffer alone may take one.
const ROUNDS_MAX: u32 = 8;

/// How much is handed over at once, in bytes. A copy, so that what a protocol keeps of it keeps no more.
const PIECE: usize = 16 * 1024;

/// What is on its way.
#[derive(Debug, Clone, Default)]
pub(super) struct Unsent(Arc<Mutex<Standstill>>);

#[derive(Debug, Default)]
struct Standstill {
    next: u64,
    /// How often each was looked at since it moved.
    still: BTreeMap<u64, u32>,
    /// How often the socket was looked at since it takes nothing, where it takes nothing.
    socket: Option<u32>,
}

impl Unsent {
    fn standstill(&self) -> MutexGuard<'_, Standstill> {
        self.0.lock().unwrap_or_else(PoisonError::into_inner)
    }

    /// A place for one answer, which gives back `held` once it is sent or nobody wants it any more.
    pub(super) fn parcel(&self, held: Option<OwnedSemaphorePermit>) -> Parcel {
        let mut standstill = self.standstill();
        let number = standstill.next;
        standstill.next = number.wrapping_add(1);
        standstill.still.insert(number, 0);
        drop(standstill);
        Parcel {
            unsent: self.clone(),
            number,
            _held: held,
        }
    }

    /// Puts an answer in that is there as a whole.
    pub(super) async fn send(
        &self,
        response: Response,
        held: Option<OwnedSemaphorePermit>,
    ) -> Response {
        let parcel = self.parcel(held);
        let (mut parts, body) = response.into_parts();
        let Ok(whole) = to_bytes(body, usize::MAX).await else {
            return Refused::from(ApiRefusal::Unavailable).into_response();
        };
        if whole.is_empty() {
            return Response::from_parts(parts, Body::empty());
        }
        let length = whole.len().into();
        parts.headers.insert(header::CONTENT_LENGTH, length);
        Response::from_parts(parts, parcel.stream(Cursor::new(whole)))
    }

    /// Says whether the socket takes nothing.
    pub(super) fn socket_waits(&self, waits: bool) {
        let mut standstill = self.standstill();
        standstill.socket = waits.then(|| standstill.socket.unwrap_or(0));
    }

    /// Returns when something has not moved for too long.
    pub(super) async fn stuck(&self) {
        loop {
            sleep(ROUND).await;
            if self.look() {
                return;
            }
        }
    }

    fn look(&self) -> bool {
        let mut standstill = self.standstill();
        let Standstill { still, socket, .. } = &mut *standstill;
        let mut stuck = false;
        for looks in still.values_mut().chain(socket) {
            *looks = looks.saturating_add(1);
            stuck |= *looks >= ROUNDS_MAX;
        }
        stuck
    }
}

/// Puts in what nobody needed a turn for: what is told to strangers, and what is refused.
pub(super) async fn carry(request: Request, next: Next) -> Response {
    let unsent = request.extensions().get::<Unsent>().cloned();
    let response = next.run(request).await;
    match (unsent, length(&response)) {
        (Some(unsent), Some(_length)) => unsent.send(response, None).await,
        (_none, _stream) => response,
    }
}

/// How long an answer is that is there as a whole; none for one that is read while it is sent.
pub(super) fn length(response: &Response) -> Option<usize> {
    let exact = response.body().size_hint().exact();
    exact.map(|length| usize::try_from(length).unwrap_or(usize::MAX))
}

/// One answer's place.
#[derive(Debug)]
pub(super) struct Parcel {
    unsent: Unsent,
    number: u64,
    _held: Option<OwnedSemaphorePermit>,
}

impl Parcel {
    /// The body that is read from there.
    pub(super) fn stream(self, from: impl AsyncRead + Unpin + Send + 'static) -> Body {
        let answer = Pieces { from, parcel: self };
        Body::from_stream(ReaderStream::with_capacity(answer, PIECE))
    }

    fn moved(&self) {
        if let Some(looks) = self.unsent.standstill().still.get_mut(&self.number) {
            *looks = 0;
        }
    }
}

impl Drop for Parcel {
    fn drop(&mut self) {
        self.unsent.standstill().still.remove(&self.number);
    }
}

/// What is sent, piece by piece. Each piece is asked for once the protocol has taken the one before: HTTP/2 keeps
/// so much of it, HTTP/1 what its socket does not take.
struct Pieces<R> {
    from: R,
    parcel: Parcel,
}

impl<R: AsyncRead + Unpin> AsyncRead for Pieces<R> {
    fn poll_read(
        self: Pin<&mut Self>,
        cx: &mut Context<'_>,
        into: &mut ReadBuf<'_>,
    ) -> Poll<std::io::Result<()>> {
        let answer = self.get_mut();
        answer.parcel.moved();
        Pin::new(&mut answer.from).poll_read(cx, into)
    }
}
