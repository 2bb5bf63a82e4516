//! Recordings: which there are, and the file of one.
//!
//! Whether one may have it is asked for each one; the broker writes the asking down. The file's place comes
//! from the session's id, which is a checked type, and never from what was typed.

use axum::Json;
use axum::extract::State;
use axum::http::{HeaderValue, header};
use axum::response::{IntoResponse, Response};
use policies::words::api::ApiRefusal;
use tracing::warn;

use crate::BrokerError;
use crate::api::caller::Known;
use crate::api::extract::{Asked, Named};
use crate::api::problem::Refused;
use crate::api::share::Slot;
use crate::api::wire::{List, ROOT_HEADER, RecordingView};
use crate::api::{Shared, sessions};

pub(crate) async fn list(
    State(house): State<Shared>,
    Known(caller): Known,
    Asked(filter): Asked<sessions::Filter>,
) -> Result<Json<List<RecordingView>>, Refused> {
    let found = house.parts.broker.sessions(&caller, &filter.into()).await?;
    let recorder = house.parts.recorder.clone();
    // Looks at the disk for each, which may take its time.
    let measuring = tokio::task::spawn_blocking(move || {
        let with_size = found.into_iter().filter_map(|session| {
            let bytes = recorder.size_of(session.id)?;
            Some(RecordingView {
                schema: "tidegate.recording/1".into(),
                bytes,
                session: sessions::view(session),
            })
        });
        with_size.collect()
    });
    let views = measuring.await.map_err(|_gone| ApiRefusal::Unavailable)?;
    Ok(Json(List::of(views)))
}

/// Streams a sealed recording as it is on the disk. That of a live session is not found.
pub(crate) async fn file(
    State(house): State<Shared>,
    Known(caller): Known,
    Named(id): Named<String>,
    slot: Slot,
) -> Result<Response, Refused> {
    let broker = &house.parts.broker;
    let id = sessions::find(broker, &caller, (&id, "replay")).await?;
    let session = broker.replayable(&caller, id).await?;
    let place = slot.file().await?;
    let (recorder, id) = (house.parts.recorder.clone(), session.id);
    let opening = tokio::task::spawn_blocking(move || recorder.open_sealed(id));
    let opened = opening.await.map_err(|_gone| ApiRefusal::Unavailable)?;
    let file = opened.map_err(|error| {
        if error.kind() == std::io::ErrorKind::NotFound {
            let what = format!("recording of {id}");
            return Refused::from(BrokerError::NotFound { what });
        }
        warn!(session = %id, reason = %error, "recording.unreadable");
        Refused::from(ApiRefusal::Unavailable)
    })?;
    let file = tokio::fs::File::from_std(file);
    let headers = [(header::CONTENT_TYPE, "application/octet-stream")];
    let mut answer = (headers, place.stream(file)).into_response();
    let root = session.end.as_ref().and_then(|end| end.recording.root());
    if let Some(root) = root.and_then(|root| HeaderValue::from_str(root).ok()) {
        answer.headers_mut().insert(ROOT_HEADER, root);
    }
    Ok(answer)
}
