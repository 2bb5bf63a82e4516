//! Sessions and audit events, past and live: what happened, as opposed to what is so.
//!
//! Everything is an [`Event`], appended once and chained by SHA-256, so that an edit, a cut or a
//! reordering is found by [`verify`](chain::verify). Sessions are read back as [`Session`]s, put
//! together from their events. Decides nothing, and no decision reads it.

pub mod chain;
mod happening;
mod listed;
pub mod position;
pub mod proof;
pub(crate) mod retreat;
pub(crate) mod roots;
mod session;
pub mod sought;
pub(crate) mod standing;
pub(crate) mod tail;
mod witness;

use jiff::Timestamp;
use serde::{Deserialize, Serialize};

use crate::change::{Appended, Revision};

pub use happening::{Happening, Holding, RoleWork, StandingUse};
pub use roots::Recorded;
pub use session::{
    Cause, Counters, RecordingState, SESSIONS_PAGE_MAX, Session, SessionEnd, SessionFilter,
    Timeline,
};
pub use witness::Witness;

/// One thing that happened, as written.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct Event {
    /// When.
    pub at: Timestamp,
    /// What.
    #[serde(flatten)]
    pub happening: Happening,
}

impl Event {
    /// That the log grew by an entry with this body.
    pub(crate) fn log_appended(at: Timestamp, revision: Revision, body: &str) -> Self {
        let sha256 = chain::sha256_hex(body.as_bytes());
        let happening = Happening::LogAppended { revision, sha256 };
        Self { at, happening }
    }
}

/// One line of the ledger, as read back.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct Line {
    /// Its place, from 1.
    pub seq: u64,
    /// What happened.
    #[serde(flatten)]
    pub event: Event,
    /// The digest of this line and all before it, in hexadecimal.
    pub digest: String,
    /// What was appended to the log, where this is the line about it. It has its own digest, which is in the
    /// line.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub appended: Option<Appended>,
}

#[cfg(test)]
pub(crate) mod tests {
    use std::net::IpAddr;

    use jiff::SignedDuration;
    use policies::{
        Credential, GrantId, Login, PrincipalName, Protocol, SessionId, SeverReason, TargetName,
    };

    use super::*;

    /// A session of alice's to web1.
    pub(crate) fn session(opened_at: Timestamp) -> Session {
        Session {
            id: SessionId::new(opened_at, [1; 10]),
            grant: GrantId::new(opened_at, [2; 10]),
            principal: PrincipalName::parse("alice").unwrap(),
            credential: Credential::Key {
                fingerprint: "SHA256:x".to_owned(),
            },
            source: IpAddr::from([192, 0, 2, 7]),
            target: TargetName::parse("web1").unwrap(),
            login: Login::parse("deploy").unwrap(),
            protocol: Protocol::Ssh,
            opened_at,
            until: opened_at,
            end: None,
        }
    }

    /// An end by lock.
    pub(crate) fn end(at: Timestamp) -> SessionEnd {
        SessionEnd {
            at,
            cause: Cause::Severed {
                reason: SeverReason::Locked,
            },
            timeline: Timeline {
                decided: Some(SignedDuration::from_millis(1_500)),
                ..Timeline::default()
            },
            counters: Counters::default(),
            recording: RecordingState::Absent,
        }
    }

    #[test]
    fn an_event_is_read_back_as_it_was_written() {
        let at = Timestamp::from_second(7).unwrap();
        let session = Box::new(Session {
            end: Some(end(at)),
            ..session(at)
        });
        let event = Event {
            at,
            happening: Happening::SessionOpened { session },
        };
        let text = serde_json::to_string(&event).unwrap();
        assert_eq!(serde_json::from_str::<Event>(&text).unwrap(), event);
        assert!(text.contains("\"event\":\"session_opened\""), "{text}");
    }
}
