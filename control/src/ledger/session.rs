//! Sessions, as they are put together from their events, and which of them to list.

use std::net::IpAddr;

use jiff::{SignedDuration, Timestamp};
use policies::{
    Credential, GrantId, Login, PrincipalName, Protocol, SessionId, SeverReason, TargetName, Terms,
};
use serde::{Deserialize, Serialize};

/// One client connection to one target.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct Session {
    /// Its name, and that of its recording.
    pub id: SessionId,
    /// By which grant.
    pub grant: GrantId,
    /// Who.
    pub principal: PrincipalName,
    /// What they showed.
    pub credential: Credential,
    /// From where.
    pub source: IpAddr,
    /// To what.
    pub target: TargetName,
    /// As whom.
    pub login: Login,
    /// How.
    pub protocol: Protocol,
    /// Since when.
    pub opened_at: Timestamp,
    /// Until when at the latest, exclusive.
    pub until: Timestamp,
    /// How it ended, once it has.
    #[serde(default)]
    pub end: Option<SessionEnd>,
}

impl Session {
    /// A session as it begins.
    pub fn opened(id: SessionId, terms: &Terms, now: Timestamp) -> Self {
        Self {
            id,
            grant: terms.grant,
            principal: terms.principal.clone(),
            credential: terms.credential.clone(),
            source: terms.source,
            target: terms.target.name.clone(),
            login: terms.login.clone(),
            protocol: terms.protocol,
            opened_at: now,
            until: terms.until,
            end: None,
        }
    }

    /// Whether it has not ended yet.
    pub fn is_live(&self) -> bool {
        self.end.is_none()
    }

    /// Whether it is over and its recording could not be sealed.
    pub fn is_unsealed(&self) -> bool {
        let state = self.end.as_ref().map(|end| &end.recording);
        state == Some(&RecordingState::Failed)
    }
}

/// How a session ended.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct SessionEnd {
    /// When.
    pub at: Timestamp,
    /// Why.
    pub cause: Cause,
    /// When each step of the ending happened.
    pub timeline: Timeline,
    /// What passed.
    pub counters: Counters,
    /// What became of its recording.
    pub recording: RecordingState,
}

/// Why a session ended.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "snake_case", tag = "cause")]
pub enum Cause {
    /// The client or the target ended it.
    Complete,
    /// We ended it.
    Severed {
        /// Why.
        reason: SeverReason,
    },
    /// We ended it, and the server stopped before it wrote that down: why is told by the recording.
    SeveredAsRecorded {
        /// A stable code, `TG` and three digits.
        code: String,
        /// What happened, as the user was told.
        what: String,
    },
    /// It could not go on, or never got as far as the target.
    Failed {
        /// A stable code, `TG` and three digits.
        code: String,
        /// What happened, as the user was told.
        what: String,
    },
    /// The server stopped without ending it.
    CutShort,
}

/// When each step of an ending happened, counted from the session's start.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq, Serialize, Deserialize)]
pub struct Timeline {
    /// Its end was decided.
    pub decided: Option<SignedDuration>,
    /// The target's socket was closed.
    pub target_closed: Option<SignedDuration>,
    /// The target confirmed that nothing of it runs any more.
    pub halt_confirmed: Option<SignedDuration>,
    /// The client's socket was closed.
    pub client_closed: Option<SignedDuration>,
    /// Work was under way at the target, and was not seen to stop before the end was written down.
    #[serde(default, skip_serializing_if = "std::ops::Not::not")]
    pub halt_unconfirmed: bool,
}

/// What passed in a session.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq, Serialize, Deserialize)]
pub struct Counters {
    /// Bytes of payload to the target.
    pub to_target: u64,
    /// Bytes of payload to the client.
    pub to_client: u64,
    /// SSH channels opened.
    pub channels: u64,
    /// SQL statements sent.
    pub statements: u64,
}

/// What became of a recording.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "snake_case", tag = "is")]
pub enum RecordingState {
    /// Sealed and signed.
    Sealed {
        /// The root of its chain, in hexadecimal.
        root: String,
    },
    /// Sealed at the next start, as far as it goes.
    CutShort {
        /// The root of its chain, in hexadecimal. Nothing where there was nothing to seal.
        #[serde(default, skip_serializing_if = "Option::is_none")]
        root: Option<String>,
    },
    /// It could not be kept or sealed. What is there can still be read.
    Failed,
    /// Nothing was recorded, because the session never got that far.
    Absent,
}

impl RecordingState {
    /// The root of its chain in hexadecimal, if it is known.
    pub fn root(&self) -> Option<&str> {
        match self {
            Self::Sealed { root } => Some(root),
            Self::CutShort { root } => root.as_deref(),
            Self::Failed | Self::Absent => None,
        }
    }
}

/// Which sessions to list: newest first.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct SessionFilter {
    /// Only live ones, or only past ones.
    pub live: Option<bool>,
    /// Only those whose recording could not be sealed when they ended, nor since.
    pub unsealed: bool,
    /// Only those of this principal.
    pub principal: Option<PrincipalName>,
    /// Only those to this target.
    pub target: Option<TargetName>,
    /// Only those by this grant.
    pub grant: Option<GrantId>,
    /// Only those before this one, for paging.
    pub before: Option<SessionId>,
    /// Only those whose id begins like this.
    pub prefix: Option<String>,
    /// At most so many; 0 means [`SESSIONS_PAGE_MAX`], which is also the most.
    pub limit: u32,
}

/// How many sessions are listed at once at most.
pub const SESSIONS_PAGE_MAX: u32 = 1_000;

impl SessionFilter {
    /// Whether this session is to be listed.
    pub fn fits(&self, session: &Session) -> bool {
        self.live.is_none_or(|live| live == session.is_live())
            && (!self.unsealed || session.is_unsealed())
            && self
                .principal
                .as_ref()
                .is_none_or(|name| *name == session.principal)
            && self
                .target
                .as_ref()
                .is_none_or(|name| *name == session.target)
            && self.grant.is_none_or(|grant| grant == session.grant)
            && self.before.is_none_or(|before| session.id < before)
            && self
                .prefix
                .as_ref()
                .is_none_or(|start| session.id.to_string().starts_with(start))
    }

    /// How many to list at most.
    pub fn page(&self) -> u32 {
        match self.limit {
            0 => SESSIONS_PAGE_MAX,
            limit => limit.min(SESSIONS_PAGE_MAX),
        }
    }
}
