//! Sessions and audit events, past and live: what happened, as opposed to what is so.
//!
//! Everything is an [`Event`], appended once and chained by SHA-256, so that an edit, a cut or a
//! reordering is found by [`verify`](chain::verify). Sessions are read back as [`Session`]s, put
//! together from their events. Decides nothing, and no decision reads it.

pub mod chain;
pub mod position;
pub mod proof;
pub(crate) mod retreat;
mod session;
pub(crate) mod standing;
pub(crate) mod tail;
mod witness;

use std::net::IpAddr;

use jiff::{SignedDuration, Timestamp};
use policies::{
    Ask, Denial, Entry, GrantId, Login, Measure, PrincipalName, Protocol, RequestId, SecretId,
    SessionId, TargetName,
};
use serde::{Deserialize, Serialize};

use crate::change::Revision;
use crate::roles::Removed;

pub use witness::Witness;

pub use session::{
    Cause, Counters, RecordingState, SESSIONS_PAGE_MAX, Session, SessionEnd, SessionFilter,
    Timeline,
};

/// One thing that happened, as written.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct Event {
    /// When.
    pub at: Timestamp,
    /// What.
    #[serde(flatten)]
    pub happening: Happening,
}

/// What can happen. Read for ever once written.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "snake_case", tag = "event")]
pub enum Happening {
    /// The log grew. Its entry's digest is here, so the chain covers the log as well.
    LogAppended {
        /// Its new length.
        revision: Revision,
        /// SHA-256 of the entry as written, in hexadecimal.
        sha256: String,
    },
    /// Someone was let in.
    Admitted {
        /// The session that may begin.
        session: SessionId,
        /// What they asked.
        ask: Ask,
        /// By which grant.
        grant: GrantId,
        /// Until when.
        until: Timestamp,
    },
    /// Someone was not let in.
    Refused {
        /// What they asked.
        ask: Ask,
        /// Why not, as they were told.
        denial: Denial,
    },
    /// Someone was not allowed to do something to a request, a grant or the bastion.
    Disallowed {
        /// Who.
        principal: PrincipalName,
        /// From where.
        source: IpAddr,
        /// What they tried: a stable word like `approve`.
        deed: String,
        /// To what, as they named it.
        object: String,
        /// Why not, as they were told.
        denial: Denial,
    },
    /// Someone showed something that does not prove anything: an unknown key, a bad certificate.
    Unproven {
        /// From where.
        source: IpAddr,
        /// How they came.
        protocol: Option<Protocol>,
        /// What they showed, in words fit for an auditor.
        showed: String,
    },
    /// Somebody had a one-time secret made for one of their grants.
    OneTimeMade {
        /// Its name.
        secret: SecretId,
        /// The grant.
        grant: GrantId,
        /// Whose.
        principal: PrincipalName,
        /// From where they asked.
        source: IpAddr,
        /// How many connections it is good for.
        uses: u16,
        /// Until when.
        expires_at: Timestamp,
    },
    /// Somebody proved that they hold a one-time secret, and it is good for one connection less.
    OneTimeUsed {
        /// Its name.
        secret: SecretId,
        /// The grant.
        grant: GrantId,
        /// Whose.
        principal: PrincipalName,
        /// From where they came.
        source: IpAddr,
        /// How many connections are left.
        left: u16,
    },
    /// Somebody proved that they hold a one-time secret that lets nobody in, or did not prove it of one
    /// that would: the code tells which.
    OneTimeRefused {
        /// Its name.
        secret: SecretId,
        /// The grant.
        grant: GrantId,
        /// Whose.
        principal: PrincipalName,
        /// From where they came.
        source: IpAddr,
        /// The code of what they were told.
        code: String,
    },
    /// The key or password that is kept for a target is about to be used.
    StandingUsed {
        /// Which target.
        target: TargetName,
        /// As whom it is entered.
        login: Login,
        /// What it is: a key or a password.
        entry: Entry,
        /// What for: `session`, `halt` for the end of one, or `trial` for a look by those who manage targets.
        purpose: String,
        /// In which session; none for a trial.
        session: Option<SessionId>,
        /// By which grant; none for a trial.
        grant: Option<GrantId>,
        /// For whom.
        principal: PrincipalName,
    },
    /// A certificate is about to be signed.
    CertificateIntended {
        /// Its serial number.
        serial: String,
        /// The session it is for, if it is for one.
        session: Option<SessionId>,
        /// Everything that will be in it.
        intent: serde_json::Value,
    },
    /// A certificate was signed, or was not.
    CertificateConcluded {
        /// Its serial number.
        serial: String,
        /// What became of it.
        outcome: serde_json::Value,
    },
    /// A session's recording is open.
    SessionOpened {
        /// The session as it begins.
        session: Box<Session>,
    },
    /// A session is over and its recording sealed, or not.
    SessionClosed {
        /// Which.
        session: SessionId,
        /// How.
        end: Box<SessionEnd>,
    },
    /// Someone was handed a recording to play.
    Replayed {
        /// Of which session.
        session: SessionId,
        /// Who.
        by: PrincipalName,
    },
    /// A grant has a role of its own at its database.
    RoleMade {
        /// Whose.
        grant: GrantId,
        /// At which target.
        target: TargetName,
        /// What it is called there.
        role: Login,
        /// From which role it has its privileges.
        group: Login,
    },
    /// A grant's own role is gone from its database.
    RoleRemoved {
        /// Whose it was.
        grant: GrantId,
        /// At which target.
        target: TargetName,
        /// What it was called there.
        role: Login,
        /// What was done about what it left behind.
        removed: Removed,
    },
    /// A grant's own role could not be made or removed. It is tried again.
    RoleFailed {
        /// Whose.
        grant: GrantId,
        /// At which target.
        target: TargetName,
        /// What it is called there.
        role: Login,
        /// What was being done: `make` or `remove`.
        doing: String,
        /// Why it was not done.
        why: String,
    },
    /// The policies let statements through that the grant's role can never do.
    FencesDiffer {
        /// Whose.
        grant: GrantId,
        /// At which target.
        target: TargetName,
        /// Which kinds.
        kinds: Vec<String>,
    },
    /// A statement that needs a second person is held, or has its answer.
    StatementHeld {
        /// In which session.
        session: SessionId,
        /// Under which grant.
        grant: GrantId,
        /// What others answer.
        request: RequestId,
        /// Who wants to run it.
        principal: PrincipalName,
        /// The `@id` of the policy that asks for a second person.
        policy: String,
        /// SHA-256 of the exact text and values, in hexadecimal.
        sha256: String,
        /// `held`, `approved`, `denied`, `withdrawn`, `lapsed`, `given up` or `failed`.
        how: String,
        /// Who answered.
        by: Option<PrincipalName>,
    },
    /// Four fifths of a budget are spent, or all of it.
    BudgetReached {
        /// In which session it was reached.
        session: SessionId,
        /// Under which grant, by all its sessions.
        grant: GrantId,
        /// Of what.
        measure: Measure,
        /// How much there was.
        most: u64,
        /// How much is spent.
        spent: u64,
        /// The `@id` of the policy that says so.
        policy: String,
    },
    /// The wall clock jumped, or is believed again (`by` is zero then).
    ClockStepped {
        /// By how much.
        by: SignedDuration,
    },
    /// A recording that could not be sealed when its session ended was sealed at a start.
    RecordingRecovered {
        /// Of which session.
        session: SessionId,
        /// The root of its chain, in hexadecimal.
        root: String,
    },
    /// The server started.
    Started {
        /// Its version.
        version: String,
        /// The newest time that was believed then: its own, or an earlier run's.
        #[serde(default, skip_serializing_if = "Option::is_none")]
        newest_at: Option<Timestamp>,
    },
    /// So many more times somebody was refused something in one minute; those are not written down one by one.
    RefusalsCounted {
        /// Who.
        principal: PrincipalName,
        /// How often.
        count: u64,
    },
    /// Log or ledger were not what was signed or what the other says of it, and the server started all the
    /// same.
    EvidenceDiffered {
        /// What differed.
        what: String,
    },
    /// It is as late as this: a grant has ended by its time.
    ClockSeen {
        /// The newest time that was believed.
        newest_at: Timestamp,
    },
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
}

#[cfg(test)]
pub(crate) mod tests {
    use policies::{Credential, SeverReason};

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
