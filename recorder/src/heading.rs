//! What a recording says about itself before anything happens in it.

use std::net::IpAddr;

use jiff::Timestamp;
use policies::{
    Credential, GrantId, InputRecording, Login, PrincipalName, Protocol, Reason, SessionId,
    TargetName, Terms,
};
use serde::{Deserialize, Serialize};

/// Who did what to what, by which right: enough to judge a recording without any other file.
///
/// It is the first frame of every recording, so the chain covers it.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Heading {
    /// The session, which also names the recording.
    pub session: SessionId,
    /// The grant that allowed it.
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
    /// Why, in the words of the request, where they are known.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub reason: Option<Reason>,
    /// Whether what the person typed is in here, or only counted.
    pub input: InputRecording,
    /// The wall clock at offset zero. Every frame's time is an offset from here, by a clock that
    /// is never set.
    pub started_at: Timestamp,
}

impl Heading {
    /// Takes everything from the terms of the permit that let the session in.
    pub fn of(session: SessionId, terms: &Terms, reason: Option<Reason>, now: Timestamp) -> Self {
        Self {
            session,
            grant: terms.grant,
            principal: terms.principal.clone(),
            credential: terms.credential.clone(),
            source: terms.source,
            target: terms.target.name.clone(),
            login: terms.login.clone(),
            protocol: terms.protocol,
            reason,
            input: terms.obligations.input,
            started_at: now,
        }
    }
}
