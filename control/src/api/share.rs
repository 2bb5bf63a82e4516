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
use policies::words::api::ApiRefusal;
use policies::{Part, PrincipalName};
use tokio::sync::{OwnedSemaphorePermit, Semaphore};
use tokio::time::timeout;

use super::Shared;
use super::caller::Holder;
use super::problem::Refused;
use super::unsent::{self, Parcel, Unsent};
use crate::BrokerError;

/// How many requests of one principal are worked on at once.
const SLOTS_MAX: usize = 8;

/// How many requests of one principal wait for an answer of somebody's at once. Waiting costs little.
const WAITS_MAX: usize = 32;

/// How many files are sent to one principal at once. Each holds a descriptor.
const FILES_MAX: usize = 8;

/// How much that was said to one principal and is not yet taken is kept, in KiB. An answer that is larger than
/// that is the only one.
const ROOM_MAX: u32 = 16 * 1024;

/// Answers up to this length are kept whatever else is: as many as there are streams.
const SMALL: usize = 16 * 1024;

/// How many people's shares are kept. Beyond that, those are forgotten of which nothing is in use.
const PEOPLE_MAX: usize = 4096;

/// Everybody's shares.
#[derive(Debug, Default)]
pub(super) struct Shares(DashMap<PrincipalName, Arc<Share>>);

/// What one principal has under way.
#[derive(Debug)]
pub(super) struct Share {
    slots: Arc<Semaphore>,
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
            slots: places(SLOTS_MAX),
            endings: places(SLOTS_MAX),
            waits: places(WAITS_MAX),
            files: places(FILES_MAX),
            room: places(usize::try_from(ROOM_MAX).unwrap_or(usize::MAX)),
        }
    }
}

/// Whether somebody has something of it, or waits for that. An answer on its way holds its room alone.
fn is_in_use(share: &Arc<Share>) -> bool {
    let parts = [
        &share.slots,
        &share.endings,
        &share.waits,
        &share.files,
        &share.room,
    ];
    Arc::strong_count(share) > 1 || parts.iter().any(|part| Arc::strong_count(part) > 1)
}

impl Shares {
    fn of(&self, who: &PrincipalName) -> Arc<Share> {
        if self.0.len() >= PEOPLE_MAX {
            self.0.retain(|_who, share| is_in_use(share));
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

/// A request's slot: its right to be worked on.
#[derive(Debug, Clone)]
pub(super) struct Slot {
    share: Arc<Share>,
    unsent: Unsent,
    held: Arc<Mutex<Option<OwnedSemaphorePermit>>>,
}

/// Waits for a slot.
pub(super) async fn in_slot(
    State(house): State<Shared>,
    request: Request,
    next: Next,
) -> Result<Response, Refused> {
    admit(&house, Kind::Other, request, next).await
}

/// The same for what ends something.
pub(super) async fn in_ending_slot(
    State(house): State<Shared>,
    request: Request,
    next: Next,
) -> Result<Response, Refused> {
    admit(&house, Kind::Ending, request, next).await
}

async fn admit(
    house: &Shared,
    kind: Kind,
    request: Request,
    next: Next,
) -> Result<Response, Refused> {
    let (mut parts, body) = request.into_parts();
    let holder = Holder::proven(&mut parts, house).await?;
    let share = house.shares.of(&holder.caller.principal);
    let places = match kind {
        Kind::Other => &share.slots,
        Kind::Ending => &share.endings,
    };
    let (held, holder) = match Arc::clone(places).try_acquire_owned() {
        Ok(held) => (held, holder),
        Err(_none_free) => {
            let held = acquire(places, 1).await?;
            // Whoever has waited may have lost their login meanwhile.
            (held, Holder::proven(&mut parts, house).await?)
        }
    };
    let unsent = parts.extensions.get::<Unsent>().cloned();
    let slot = Slot {
        share,
        unsent: unsent.unwrap_or_default(),
        held: Arc::new(Mutex::new(Some(held))),
    };
    parts.extensions.insert(holder);
    parts.extensions.insert(slot.clone());
    let running = next.run(Request::from_parts(parts, body));
    let response = match kind {
        Kind::Other => running.await,
        // Its sessions are cut before it is in the log, so it gets there though whoever asked goes away meanwhile.
        Kind::Ending => tokio::spawn(running).await.map_err(|panicked| {
            tracing::error!(reason = %panicked, "request.panicked");
            BrokerError::Unavailable { part: Part::Server }
        })?,
    };
    let sent = slot.send(kind, response).await;
    slot.rest();
    sent
}

async fn acquire(places: &Arc<Semaphore>, count: u32) -> Result<OwnedSemaphorePermit, Refused> {
    let held = Arc::clone(places).acquire_many_owned(count).await;
    held.map_err(|_closed| ApiRefusal::Unavailable.into())
}

impl Slot {
    /// Gives the slot back before the request is answered: it goes on to wait for something.
    fn rest(&self) {
        let held = self.held.lock();
        drop(held.unwrap_or_else(PoisonError::into_inner).take());
    }

    /// Waits beside one's slot, and for one again. Whoever waits for much at once waits in vain for some of it.
    pub(super) async fn beside<T>(
        &self,
        limit: Duration,
        waiting: impl Future<Output = T>,
    ) -> Result<Option<T>, Refused> {
        self.rest();
        let waited = timeout(limit, async {
            let _place = acquire(&self.share.waits, 1).await?;
            Ok(waiting.await)
        });
        let waited = waited.await.ok().transpose();
        let slot = acquire(&self.share.slots, 1).await?;
        let held = self.held.lock();
        *held.unwrap_or_else(PoisonError::into_inner) = Some(slot);
        waited
    }

    /// A place for a file that is sent as it is read.
    pub(super) async fn file(&self) -> Result<Parcel, Refused> {
        self.rest();
        let place = acquire(&self.share.files, 1).await?;
        Ok(self.unsent.parcel(Some(place)))
    }

    /// Hands an answer over to be sent, once there is room for it. What is a stream has its place.
    async fn send(&self, kind: Kind, response: Response) -> Result<Response, Refused> {
        let Some(length) = unsent::length(&response) else {
            return Ok(response);
        };
        let room = match kind {
            Kind::Other if length > SMALL => {
                let kib = u32::try_from(length.div_ceil(1024)).unwrap_or(ROOM_MAX);
                Some(acquire(&self.share.room, kib.min(ROOM_MAX)).await?)
            }
            // An ending is over by now, and says little.
            Kind::Other | Kind::Ending => None,
        };
        Ok(self.unsent.send(response, room).await)
    }
}

impl FromRequestParts<Shared> for Slot {
    type Rejection = Refused;

    async fn from_request_parts(parts: &mut Parts, _house: &Shared) -> Result<Self, Refused> {
        let slot = parts.extensions.get::<Self>().cloned();
        slot.ok_or_else(|| ApiRefusal::Unavailable.into())
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[tokio::test(start_paused = true)]
    async fn what_is_not_taken_yet_has_a_limit_and_endings_are_told_beside_it() {
        let share = Shares::default().of(&PrincipalName::parse("eve").unwrap());
        let slot = Slot {
            share: Arc::clone(&share),
            unsent: Unsent::default(),
            held: Arc::default(),
        };
        let send = |kind, kib: usize| {
            let answer = Response::new(axum::body::Body::from(vec![0; kib * 1024]));
            let (slot, soon) = (slot.clone(), Duration::from_secs(1));
            async move { timeout(soon, slot.send(kind, answer)).await.ok() }
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
        drop(slot);
        assert!(is_in_use(&share) && Arc::strong_count(&share) == 1);
        drop(large);
        assert!(!is_in_use(&share));
    }
}
