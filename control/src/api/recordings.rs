//! Recordings: which there are, and the file of one.
//!
//! Whether one may have it is asked for each one; the broker writes the asking down. The file's place comes
//! from the session's id, which is a checked type, and never from what was typed.

use axum::Json;
use axum::extract::State;
use axum::http::{HeaderMap, HeaderValue, header};
use axum::response::{IntoResponse, Response};
use policies::SessionId;
use policies::words::api::ApiRefusal;
use recorder::Recorder;
use tracing::{error, warn};

use crate::BrokerError;
use crate::api::caller::Known;
use crate::api::extract::{Asked, Named};
use crate::api::problem::Refused;
use crate::api::share::Slot;
use crate::api::wire::{LEDGER_HEADER, List, ROOT_HEADER, RecordingView, UNHEARD};
use crate::api::{Shared, sessions};
use crate::ledger::{Recorded, RecordingState, Session, SessionFilter, chain};

pub(crate) async fn list(
    State(house): State<Shared>,
    Known(caller): Known,
    Asked(filter): Asked<sessions::Filter>,
) -> Result<Json<List<RecordingView>>, Refused> {
    let mut filter = SessionFilter::from(filter.named(&house.parts.broker));
    let most = usize::try_from(filter.page()).unwrap_or(usize::MAX);
    let mut views = Vec::new();
    // Not every session has one. A piece that has fewer than it may would pass for the last.
    while views.len() < most {
        let found = house.parts.broker.sessions(&caller, &filter).await?;
        let Some(oldest) = found.last() else { break };
        filter.before = Some(oldest.id);
        views.extend(measured(house.parts.recorder.clone(), found).await?);
    }
    views.truncate(most);
    Ok(Json(List::of(views)))
}

/// Those of these sessions that have a recording, or should have.
async fn measured(
    recorder: Recorder,
    found: Vec<Session>,
) -> Result<Vec<RecordingView>, ApiRefusal> {
    // Looks at the disk for each, which may take its time.
    let measuring = tokio::task::spawn_blocking(move || {
        let with_size = found.into_iter().filter_map(|session| {
            // While one is sealed it has one name, then both, then the other: between two looks it may seem gone.
            let size = || recorder.size_of(session.id);
            let bytes = size().or_else(size);
            (bytes.is_some() || was_recorded(&session)).then(|| RecordingView {
                schema: "tidegate.recording/1".into(),
                bytes: bytes.unwrap_or_default(),
                missing: bytes.is_none(),
                session: sessions::view(session),
            })
        });
        with_size.collect()
    });
    measuring.await.map_err(|_gone| ApiRefusal::Unavailable)
}

/// Whether there has to be a recording of this session, or what a disk has left of one.
fn was_recorded(session: &Session) -> bool {
    let state = session.end.as_ref().map(|end| &end.recording);
    !matches!(
        state,
        Some(RecordingState::Absent | RecordingState::CutShort { root: None })
    )
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
    let in_ledger = broker.recorded(session.id).await?;
    tell_apart(&session, in_ledger);
    let place = slot.file().await?;
    let (recorder, id) = (house.parts.recorder.clone(), session.id);
    let opening = tokio::task::spawn_blocking(move || recorder.open_sealed(id));
    let opened = opening.await.map_err(|_gone| ApiRefusal::Unavailable)?;
    let file = opened.map_err(|error| {
        use std::io::ErrorKind::{InvalidData, NotFound, UnexpectedEof};
        let kind = error.kind();
        if kind == NotFound {
            return absent(id, in_ledger);
        }
        if kind == InvalidData || kind == UnexpectedEof {
            error!(session = %id, "recording.spoiled");
            let session = id.to_string();
            return ApiRefusal::RecordingSpoiled { session }.into();
        }
        warn!(session = %id, reason = %error, "recording.unreadable");
        Refused::from(ApiRefusal::Unavailable)
    })?;
    let file = tokio::fs::File::from_std(file);
    let headers = [(header::CONTENT_TYPE, "application/octet-stream")];
    let mut answer = (headers, place.stream(file)).into_response();
    told(answer.headers_mut(), in_ledger);
    Ok(answer)
}

/// Whoever changed the table of sessions is found where somebody looks.
fn tell_apart(session: &Session, recorded: Recorded) {
    let listed = session.end.as_ref().and_then(|end| end.recording.root());
    let differs = match (listed, recorded) {
        (Some(listed), Recorded::Sealed(root)) => listed != chain::hex(&root),
        (Some(_), Recorded::Unsealed) | (_, Recorded::Unheard) => true,
        // That it was recovered since is in the ledger alone.
        (None, Recorded::Sealed(_) | Recorded::Unsealed) | (_, Recorded::Unproven { .. }) => false,
    };
    if differs {
        let session = session.id;
        error!(%session, ?recorded, "session.differs");
    }
}

/// What is answered where there is no file.
fn absent(session: SessionId, recorded: Recorded) -> Refused {
    match recorded {
        Recorded::Sealed(root) => {
            let root = chain::hex(&root);
            error!(%session, root, "recording.missing");
            let session = session.to_string();
            ApiRefusal::RecordingGone { session, root }.into()
        }
        Recorded::Unsealed | Recorded::Unheard | Recorded::Unproven { .. } => {
            let what = format!("recording of {session}");
            BrokerError::NotFound { what }.into()
        }
    }
}

/// Says what the ledger has, for whoever compares the seal with it.
fn told(headers: &mut HeaderMap, recorded: Recorded) {
    let (name, value) = match recorded {
        Recorded::Sealed(root) => (ROOT_HEADER, HeaderValue::from_str(&chain::hex(&root)).ok()),
        Recorded::Unsealed => return,
        Recorded::Unheard => (LEDGER_HEADER, Some(HeaderValue::from_static(UNHEARD))),
        Recorded::Unproven { seq } => (LEDGER_HEADER, Some(seq.into())),
    };
    headers.extend(value.map(|value| (header::HeaderName::from_static(name), value)));
}
