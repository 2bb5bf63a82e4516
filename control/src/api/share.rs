//! How much of the API one principal may use at the same time: so many requests that are worked on, so many
//! that wait for an answer of somebody's, so much of what is said to them and not yet taken.
//!
//! Whoever has more under way waits for their own, and nobody else does. What ends something has places of its
//! own: no reading stands before it, not even one's own. How many connections somebody may have is not counted here.

use std::sync::{Arc, Mutex, PoisonError};
use std::time::Duration;

use axum::extract::{FromRequestParts, Request, State};
use axum::http::request::Parts;
use axum::middleware::Next;
use axum::response::Response;
use dashmap::DashMap;
use policies::PrincipalName;
use policies::words::api::ApiRefusal;
use tokio::sync::{OwnedSemaphorePermit, Semaphore};
use tokio::time::timeout;

use super::Shared;
use super::caller::Holder;
use super::outbox::{self, Outbox, Place};
use super::problem::Refused;

/// How many requests of one principal are worked on at once.
const TURNS_MAX: usize = 8;

/// How many requests of one principal wait for an answer of somebody's at once. Waiting costs little.
const WAITS_MAX: usize = 32;

/// How many files are sent to one principal at once. Each holds a descriptor.
const FILES_MAX: usize = 8;

/// How much that was said to one principal and is not yet taken is kept, in KiB. An answer that is larger than
/// that is the only one.
const ROOM_MAX: u32 = 16 * 1024;

/// Answers up to this length are kept whatever else is: as many as there are streams.
const SMALL: usize = 16 * 1024;

/// How many people's shares are kept. Beyond that, those of nobody who is here are forgotten.
const PEOPLE_MAX: usize = 4096;

/// Everybody's shares.
#[derive(Debug, Default)]
pub(super) struct Shares(DashMap<PrincipalName, Arc<Share>>);

/// What one principal has under way.
#[derive(Debug)]
pub(super) struct Share {
    turns: Arc<Semaphore>,
    endings: Arc<Semaphore>,
    waits: Arc<Semaphore>,
    files: Arc<Semaphore>,
    /// In KiB.
    room: Arc<Semaphore>,
}

impl Default for Share {
    fn default() -> Self {
        let places = |count| Arc::new(Semaphore::new(count));
        Self {
            turns: places(TURNS_MAX),
            endings: places(TURNS_MAX),
            waits: places(WAITS_MAX),
            files: places(FILES_MAX),
            room: places(usize::try_from(ROOM_MAX).unwrap_or(usize::MAX)),
        }
    }
}

impl Shares {
    fn of(&self, who: &PrincipalName) -> Arc<Share> {
        if self.0.len() >= PEOPLE_MAX {
            self.0.retain(|_who, share| Arc::strong_count(share) > 1);
        }
        Arc::clone(&self.0.entry(who.clone()).or_default())
    }
}

/// What a request is about, as far as it decides what it waits for.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Kind {
    /// Reading, asking, giving.
    Other,
    /// Taking something away.
    Ending,
}

/// A request's turn: its right to be worked on.
#[derive(Debug, Clone)]
pub(super) struct Turn {
    share: Arc<Share>,
    outbox: Outbox,
    held: Arc<Mutex<Option<OwnedSemaphorePermit>>>,
}

/// Waits for one's turn.
pub(super) async fn in_turn(
    State(house): State<Shared>,
    request: Request,
    next: Next,
) -> Result<Response, Refused> {
    serve(&house, Kind::Other, request, next).await
}

/// The same for what ends something.
pub(super) async fn ending(
    State(house): State<Shared>,
    request: Request,
    next: Next,
) -> Result<Response, Refused> {
    serve(&house, Kind::Ending, request, next).await
}

async fn serve(
    house: &Shared,
    kind: Kind,
    request: Request,
    next: Next,
) -> Result<Response, Refused> {
    let (mut parts, body) = request.into_parts();
    let holder = Holder::proven(&mut parts, house).await?;
    let share = house.shares.of(&holder.caller.principal);
    let places = match kind {
        Kind::Other => &share.turns,
        Kind::Ending => &share.endings,
    };
    let (held, holder) = match Arc::clone(places).try_acquire_owned() {
        Ok(held) => (held, holder),
        Err(_none_free) => {
            let held = place(places, 1).await?;
            // Whoever has waited may have lost their login meanwhile.
            (held, Holder::proven(&mut parts, house).await?)
        }
    };
    let outbox = parts.extensions.get::<Outbox>().cloned();
    let turn = Turn {
        share,
        outbox: outbox.unwrap_or_default(),
        held: Arc::new(Mutex::new(Some(held))),
    };
    parts.extensions.insert(holder);
    parts.extensions.insert(turn.clone());
    let response = next.run(Request::from_parts(parts, body)).await;
    let sent = turn.send(kind, response).await;
    turn.rest();
    sent
}

async fn place(places: &Arc<Semaphore>, count: u32) -> Result<OwnedSemaphorePermit, Refused> {
    let held = Arc::clone(places).acquire_many_owned(count).await;
    held.map_err(|_closed| ApiRefusal::Unavailable.into())
}

impl Turn {
    /// Gives the turn back before the request is answered: it goes on to wait for something.
    fn rest(&self) {
        let held = self.held.lock();
        drop(held.unwrap_or_else(PoisonError::into_inner).take());
    }

    /// Waits beside one's turn, and for it again. Whoever waits for much at once waits in vain for some of it.
    pub(super) async fn beside<T>(
        &self,
        limit: Duration,
        waiting: impl Future<Output = T>,
    ) -> Result<Option<T>, Refused> {
        self.rest();
        let waited = timeout(limit, async {
            let _place = place(&self.share.waits, 1).await?;
            Ok(waiting.await)
        });
        let waited = waited.await.ok().transpose();
        let turn = place(&self.share.turns, 1).await?;
        let held = self.held.lock();
        *held.unwrap_or_else(PoisonError::into_inner) = Some(turn);
        waited
    }

    /// A place for a file that is sent as it is read.
    pub(super) async fn file(&self) -> Result<Place, Refused> {
        self.rest();
        let place = place(&self.share.files, 1).await?;
        Ok(self.outbox.place(Some(place)))
    }

    /// Hands an answer over to be sent, once there is room for it. What is a stream has its place.
    async fn send(&self, kind: Kind, response: Response) -> Result<Response, Refused> {
        let Some(length) = outbox::length(&response) else {
            return Ok(response);
        };
        let room = match kind {
            Kind::Other if length > SMALL => {
                let kib = u32::try_from(length.div_ceil(1024)).unwrap_or(ROOM_MAX);
                Some(place(&self.share.room, kib.min(ROOM_MAX)).await?)
            }
            // An ending is over by now, and says little.
            Kind::Other | Kind::Ending => None,
        };
        Ok(self.outbox.send(response, room).await)
    }
}

impl FromRequestParts<Shared> for Turn {
    type Rejection = Refused;

    async fn from_request_parts(parts: &mut Parts, _house: &Shared) -> Result<Self, Refused> {
        let turn = parts.extensions.get::<Self>().cloned();
        turn.ok_or_else(|| ApiRefusal::Unavailable.into())
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[tokio::test(start_paused = true)]
    async fn what_is_not_taken_yet_has_a_limit_and_endings_are_told_beside_it() {
        let share = Shares::default().of(&PrincipalName::parse("eve").unwrap());
        let turn = Turn {
            share: Arc::clone(&share),
            outbox: Outbox::default(),
            held: Arc::default(),
        };
        let send = |kind, kib: usize| {
            let answer = Response::new(axum::body::Body::from(vec![0; kib * 1024]));
            let (turn, soon) = (turn.clone(), Duration::from_secs(1));
            async move { timeout(soon, turn.send(kind, answer)).await.ok() }
        };
        let mut kept = Vec::new();
        while let Some(answer) = send(Kind::Other, 1024).await {
            kept.push(answer.unwrap());
            assert!(kept.len() <= 16, "there is no end");
        }
        assert_eq!(kept.len(), 16);
        assert!(send(Kind::Other, 15).await.is_some());
        assert!(send(Kind::Ending, 1024).await.is_some());
        kept.pop();
        kept.push(send(Kind::Other, 1024).await.unwrap().unwrap());
        kept.clear();
        // What is larger than all the room there is is the only one.
        let large = send(Kind::Other, 64 * 1024).await.unwrap();
        assert!(send(Kind::Other, 17).await.is_none());
        drop(large);
        assert!(send(Kind::Other, 17).await.is_some());
    }
}
