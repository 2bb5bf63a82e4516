//! Any refusal as an RFC 9457 problem document: code, words, hint.

use axum::http::{StatusCode, header};
use axum::response::{IntoResponse, Response};
use policies::Denial;
use policies::words::api::ApiRefusal;
use policies::words::{Shown, Words};

use crate::BrokerError;
use crate::api::wire::Problem;

/// A refusal on its way out.
#[derive(Debug)]
pub(crate) struct Refused {
    status: StatusCode,
    words: Words,
}

impl From<ApiRefusal> for Refused {
    fn from(refusal: ApiRefusal) -> Self {
        let status = match refusal {
            ApiRefusal::NotLoggedIn | ApiRefusal::NotProven => StatusCode::UNAUTHORIZED,
            ApiRefusal::NoSuchPlace => StatusCode::NOT_FOUND,
            ApiRefusal::RecordingGone { .. } | ApiRefusal::RecordingSpoiled { .. } => {
                StatusCode::GONE
            }
            ApiRefusal::OldClient
            | ApiRefusal::NotCertifiable { .. }
            | ApiRefusal::Body { .. }
            | ApiRefusal::LoginNeeded { .. }
            | ApiRefusal::Unseen(_) => StatusCode::UNPROCESSABLE_ENTITY,
            ApiRefusal::TooSlow | ApiRefusal::Unavailable => StatusCode::SERVICE_UNAVAILABLE,
        };
        Self {
            status,
            words: refusal.words(),
        }
    }
}

impl From<BrokerError> for Refused {
    fn from(error: BrokerError) -> Self {
        let status = match &error {
            BrokerError::Denied(denial) => of_denial(denial),
            BrokerError::NotFound { .. } => StatusCode::NOT_FOUND,
            BrokerError::Conflict(_) => StatusCode::CONFLICT,
            BrokerError::Invalid(_) => StatusCode::UNPROCESSABLE_ENTITY,
            BrokerError::Unkept { .. } | BrokerError::Unavailable { .. } => {
                StatusCode::SERVICE_UNAVAILABLE
            }
        };
        Self {
            status,
            words: error.words(),
        }
    }
}

/// What one may not see is not there: 403 is for what one sees and may not do.
fn of_denial(denial: &Denial) -> StatusCode {
    match denial {
        Denial::NotFound { .. } => StatusCode::NOT_FOUND,
        Denial::NoGrant { .. }
        | Denial::NotYet { .. }
        | Denial::Forbidden { .. }
        | Denial::NotAllowed { .. }
        | Denial::TooLong { .. } => StatusCode::FORBIDDEN,
        Denial::Pending { .. } => StatusCode::CONFLICT,
        Denial::Crowded { .. } | Denial::Filled { .. } => StatusCode::TOO_MANY_REQUESTS,
        Denial::Unavailable { .. } => StatusCode::SERVICE_UNAVAILABLE,
    }
}

impl IntoResponse for Refused {
    fn into_response(self) -> Response {
        let problem = Problem {
            kind: format!("urn:tidegate:{}", self.words.code),
            title: self
                .status
                .canonical_reason()
                .unwrap_or("refused")
                .to_owned(),
            status: self.status.as_u16(),
            detail: self.words.what,
            hint: self.words.hint,
            reference: None,
        };
        let body = serde_json::to_vec(&problem).unwrap_or_default();
        (
            self.status,
            [(header::CONTENT_TYPE, "application/problem+json")],
            body,
        )
            .into_response()
    }
}
