//! What handlers take: JSON bodies, and ids and queries from the address. Whatever does not parse is
//! a problem document too.

use std::time::Duration;

use axum::extract::{FromRequest, FromRequestParts, Path, Query, Request};
use axum::http::header;
use axum::http::request::Parts;
use policies::words::api::{self as words, ApiRefusal};
use serde::de::DeserializeOwned;

use crate::api::problem::Refused;

/// How long the body of a stranger may take. A login is 32 KiB at most, and whoever sends one holds a
/// seat of which there are few for each source.
const STRANGER_LIMIT: Duration = Duration::from_secs(5);

/// A JSON body.
#[derive(Debug)]
pub(crate) struct Body<T>(pub(crate) T);

impl<T: DeserializeOwned, S: Send + Sync> FromRequest<S> for Body<T> {
    type Rejection = Refused;

    async fn from_request(request: Request, _state: &S) -> Result<Self, Refused> {
        Unread(request).read().await.map(Self)
    }
}

/// The JSON body of somebody who has not proven who they are.
#[derive(Debug)]
pub(crate) struct StrangerBody<T>(pub(crate) T);

impl<T: DeserializeOwned, S: Send + Sync> FromRequest<S> for StrangerBody<T> {
    type Rejection = Refused;

    async fn from_request(request: Request, _state: &S) -> Result<Self, Refused> {
        let reading = tokio::time::timeout(STRANGER_LIMIT, Unread(request).read());
        let read = reading.await.map_err(|_elapsed| ApiRefusal::TooSlow)?;
        read.map(Self)
    }
}

/// A JSON body that is not looked at before it is known that the caller may send it: what a body has
/// to look like is nobody else's business.
#[derive(Debug)]
pub(crate) struct Unread(Request);

impl<S: Send + Sync> FromRequest<S> for Unread {
    type Rejection = Refused;

    async fn from_request(request: Request, _state: &S) -> Result<Self, Refused> {
        Ok(Self(request))
    }
}

impl Unread {
    /// Reads and parses it.
    ///
    /// # Errors
    ///
    /// What is wrong with it.
    pub(crate) async fn read<T: DeserializeOwned>(self) -> Result<T, Refused> {
        let Self(request) = self;
        let kind = request
            .headers()
            .get(header::CONTENT_TYPE)
            .and_then(|kind| kind.to_str().ok());
        if kind.is_none_or(|kind| kind.split(';').next() != Some("application/json")) {
            return Err(not_understood(words::NO_JSON));
        }
        let bytes = axum::body::Bytes::from_request(request, &())
            .await
            .map_err(|_cut| not_understood(words::CUT_BODY))?;
        serde_json::from_slice(&bytes).map_err(|odd| not_understood(&odd.to_string()))
    }
}

/// One segment of the path.
#[derive(Debug)]
pub(crate) struct Named<T>(pub(crate) T);

impl<T: DeserializeOwned + Send, S: Send + Sync> FromRequestParts<S> for Named<T> {
    type Rejection = Refused;

    async fn from_request_parts(parts: &mut Parts, state: &S) -> Result<Self, Refused> {
        let found = Path::<T>::from_request_parts(parts, state).await;
        found
            .map(|Path(name)| Self(name))
            .map_err(|_odd| ApiRefusal::NoSuchPlace.into())
    }
}

/// The query.
#[derive(Debug)]
pub(crate) struct Asked<T>(pub(crate) T);

impl<T: DeserializeOwned, S: Send + Sync> FromRequestParts<S> for Asked<T> {
    type Rejection = Refused;

    async fn from_request_parts(parts: &mut Parts, state: &S) -> Result<Self, Refused> {
        let found = Query::<T>::from_request_parts(parts, state).await;
        found
            .map(|Query(query)| Self(query))
            .map_err(|odd| not_understood(&odd.body_text()))
    }
}

pub(super) fn not_understood(why: &str) -> Refused {
    ApiRefusal::Body {
        why: why.to_owned(),
    }
    .into()
}
