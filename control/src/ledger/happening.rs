//! What can happen, and the words for it that stores hold.

use std::net::IpAddr;

use jiff::{SignedDuration, Timestamp};
use policies::{
    Ask, Denial, Entry, GrantId, Login, Measure, PrincipalName, Protocol, RequestId, SecretId,
    SessionId, SqlKind, TargetName,
};
use serde::{Deserialize, Serialize};

use super::{Session, SessionEnd};
use crate::change::Revision;
use crate::roles::Removed;

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
    /// Somebody proved a key of theirs, and their certificates are about to be handed out.
    LoggedIn {
        /// Who.
        principal: PrincipalName,
        /// From where.
        source: IpAddr,
        /// The fingerprint, `SHA256:…`, of the key.
        by_key: String,
        /// The serial number of the certificate for SSH.
        ssh_serial: String,
        /// The serial number of the certificate for the rest.
        x509_serial: String,
        /// Until when they are good.
        expires_at: Timestamp,
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
        /// What for.
        purpose: StandingUse,
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
        /// What was being done.
        doing: RoleWork,
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
        kinds: Vec<SqlKind>,
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
        /// That it is held, or what became of it.
        how: Holding,
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
    /// So many more times somebody was handed a recording in one minute: one that they had been handed in the same
    /// minute, or one of very many of their own.
    ReplaysCounted {
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

/// What a key or password that is kept for a target is used for.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum StandingUse {
    /// A session.
    Session,
    /// Whatever stops what a session has left running.
    Halt,
    /// A look by those who manage targets.
    Trial,
}

/// What is done about a grant's own role.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum RoleWork {
    /// It is made.
    Make,
    /// It is removed.
    Remove,
}

/// That a statement is held for a second person, or what became of it.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum Holding {
    /// It waits.
    Held,
    /// It may run, once.
    Approved,
    /// Somebody said no.
    Denied,
    /// Whoever runs it took it back.
    Withdrawn,
    /// Nobody answered in time.
    Lapsed,
    /// Nobody waits for it any more.
    #[serde(rename = "given up")]
    GivenUp,
    /// The answer could not be had.
    Failed,
}

#[cfg(test)]
mod tests {
    use crate::ledger::Event;

    /// Lines as stores hold them, of each event that says something by a word, and the words.
    const KEPT: [(&str, &[&str]); 5] = [
        (
            r#"{"at":"1970-01-01T00:00:07Z","event":"WORD","principal":"alice","source":"192.0.2.1","by_key":"SHA256:x","ssh_serial":"1","x509_serial":"2","expires_at":"1970-01-01T08:00:07Z"}"#,
            &["logged_in"],
        ),
        (
            r#"{"at":"1970-01-01T00:00:07Z","event":"standing_used","target":"web1","login":"deploy","entry":"key","purpose":"WORD","session":"ses_00000006tr040g2081040g2081","grant":"grt_00000006tr081040g2081040g2","principal":"alice"}"#,
            &["session", "halt", "trial"],
        ),
        (
            r#"{"at":"1970-01-01T00:00:07Z","event":"role_failed","grant":"grt_00000006tr081040g2081040g2","target":"web1","role":"deploy","doing":"WORD","why":"no"}"#,
            &["make", "remove"],
        ),
        (
            r#"{"at":"1970-01-01T00:00:07Z","event":"fences_differ","grant":"grt_00000006tr081040g2081040g2","target":"web1","kinds":["WORD"]}"#,
            &[
                "select", "insert", "update", "delete", "ddl", "copy-out", "copy-in", "admin",
                "other", "unknown",
            ],
        ),
        (
            r#"{"at":"1970-01-01T00:00:07Z","event":"statement_held","session":"ses_00000006tr040g2081040g2081","grant":"grt_00000006tr081040g2081040g2","request":"req_00000006tr0c1g60r30c1g60r3","principal":"alice","policy":"p","sha256":"00","how":"WORD","by":null}"#,
            &[
                "held",
                "approved",
                "denied",
                "withdrawn",
                "lapsed",
                "given up",
                "failed",
            ],
        ),
    ];

    #[test]
    fn what_stores_hold_is_read_and_written_word_for_word() {
        for (line, words) in KEPT {
            for word in words {
                let line = line.replace("WORD", word);
                let event: Event = serde_json::from_str(&line).unwrap();
                assert_eq!(serde_json::to_string(&event).unwrap(), line);
            }
        }
    }
}
