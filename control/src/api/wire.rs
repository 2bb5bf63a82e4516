//! What goes over the wire between the command line and the API: JSON objects in snake case with
//! times in RFC 3339, each with its `schema`.
//!
//! The same types are printed by `-o json`, so a field is only ever added. Nothing here decides.

mod ending;
mod onetime;
mod policy;
mod problem;
mod request;
mod standing;

use std::collections::{BTreeMap, BTreeSet};

use jiff::Timestamp;
use policies::{
    Algorithms, Endpoint, GrantId, GroupName, HostPort, Jump, Label, LockId, Login, PrincipalKind,
    PrincipalName, Protocol, Reason, RequestId, TargetName,
};
use serde::{Deserialize, Serialize};

use crate::ledger::chain::{self, Stored};
use crate::ledger::{Line, Session};

pub use self::ending::{Ended, Ending};
pub use self::onetime::{OneTimeOrder, OneTimeView};
pub use self::policy::{PolicyApplied, PolicyView};
pub use self::problem::Problem;
pub use self::request::{RequestView, Standing};
pub use self::standing::{SecretOrder, StandingView};

/// Several things of one kind.
#[derive(Debug, Clone, Serialize, Deserialize)]
pub struct List<T> {
    /// Always `tidegate.list/1`.
    pub schema: String,
    /// The things, in the order they are to be shown.
    pub items: Vec<T>,
}

impl<T> List<T> {
    /// Wraps `items`.
    pub fn of(items: Vec<T>) -> Self {
        Self {
            schema: "tidegate.list/1".into(),
            items,
        }
    }
}

/// What anyone may know: whom to trust and where to go.
#[derive(Debug, Clone, Serialize, Deserialize)]
pub struct Trust {
    /// Always `tidegate.trust/1`.
    pub schema: String,
    /// The fingerprint of the login CA's certificate, `SHA256:…`.
    pub fingerprint: String,
    /// The CA of login certificates and of the bastion's own TLS certificate, PEM.
    pub x509_login_ca: String,
    /// The CA that PostgreSQL targets trust, PEM.
    pub x509_target_ca: String,
    /// The CA that SSH targets trust, one line.
    pub ssh_user_ca: String,
    /// The CA of people's SSH certificates, one line.
    pub ssh_login_ca: String,
    /// The CA of host certificates, one line.
    pub ssh_host_ca: String,
    /// The host key that it certifies, one line.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub ssh_host: Option<String>,
    /// The key that seals recordings, as the recorder prints it.
    pub seal: String,
    /// Where SSH is spoken, as people reach it.
    pub ssh: Option<HostPort>,
    /// Where PostgreSQL is spoken, as people reach it.
    pub postgres: Option<HostPort>,
}

/// Asks for a challenge.
#[derive(Debug, Clone, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct ChallengeOrder {
    /// The key that will be proven, one line.
    pub public_key: String,
}

/// What has to be signed.
#[derive(Debug, Clone, Serialize, Deserialize)]
pub struct Challenge {
    /// Always `tidegate.challenge/1`.
    pub schema: String,
    /// The text to sign, good once and for 60 s.
    pub challenge: String,
    /// The SSHSIG namespace to sign it for.
    pub namespace: String,
}

/// Proves a key and asks for certificates.
#[derive(Debug, Clone, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct LoginOrder {
    /// The registered key, one line.
    pub public_key: String,
    /// The challenge that was signed.
    pub challenge: String,
    /// Its armoured SSH signature.
    pub signature: String,
    /// The fresh SSH key to certify, one line.
    pub ssh_public_key: String,
    /// The signing request for the fresh TLS key, PEM.
    pub csr: String,
    /// For how long, in seconds; the server's most when absent.
    pub ttl_seconds: Option<u64>,
}

/// What a login gave.
#[derive(Debug, Clone, Serialize, Deserialize)]
pub struct LoggedIn {
    /// Always `tidegate.login/1`.
    pub schema: String,
    /// Who they are.
    pub principal: PrincipalName,
    /// The SSH certificate, one line.
    pub ssh_certificate: String,
    /// The X.509 certificate and what is above it, PEM.
    pub x509_chain: String,
    /// When both end.
    pub expires_at: Timestamp,
    /// Whom to trust and where to go.
    pub trust: Trust,
}

/// Who the caller is.
#[derive(Debug, Clone, Serialize, Deserialize)]
pub struct WhoAmI {
    /// Always `tidegate.whoami/1`.
    pub schema: String,
    /// Their name.
    pub principal: PrincipalName,
    /// Their groups.
    pub groups: BTreeSet<GroupName>,
    /// The server's time.
    pub now: Timestamp,
}

/// A target as its viewer sees it.
#[derive(Debug, Clone, Serialize, Deserialize)]
pub struct TargetView {
    /// Always `tidegate.target/1`.
    pub schema: String,
    /// Its name.
    pub name: TargetName,
    /// What it is called besides.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    pub aliases: Vec<TargetName>,
    /// What it speaks.
    pub protocol: Protocol,
    /// Its labels.
    pub labels: BTreeMap<String, String>,
    /// The group that owns it.
    pub owners: Option<GroupName>,
    /// The viewer's way in, one per login.
    pub access: Vec<Access>,
    /// The database's name, for PostgreSQL.
    pub dbname: Option<String>,
    /// Where it is and how it is pinned. Only for those who manage targets.
    pub endpoint: Option<Endpoint>,
    /// The accounts that may be asked for. Only for those who manage targets.
    #[serde(default)]
    pub logins: Option<BTreeSet<Login>>,
    /// That it is entered with a credential that does not end by itself.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub standing: Option<StandingView>,
    /// That it is a bastion, which is gone through (`ssh -J BASTION,NAME LOGIN@TARGET`).
    #[serde(default, skip_serializing_if = "std::ops::Not::not")]
    pub bastion: bool,
}

/// One login of a target and whether the viewer may use it.
#[derive(Debug, Clone, Serialize, Deserialize)]
pub struct Access {
    /// The login.
    pub login: Login,
    /// Where they stand.
    pub state: AccessState,
    /// When it ends, for a grant.
    pub until: Option<Timestamp>,
    /// The grant in force.
    pub grant: Option<GrantId>,
    /// The open request.
    pub request: Option<RequestId>,
}

/// Where someone stands with one login of one target.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum AccessState {
    /// They hold a grant.
    Granted,
    /// They have asked.
    Pending,
    /// They may ask.
    Ask,
}

/// Adds a target.
#[derive(Debug, Clone, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct TargetOrder {
    /// Its name.
    pub name: TargetName,
    /// Where it is and how it proves itself.
    pub endpoint: Endpoint,
    /// The accounts that may be asked for.
    pub logins: BTreeSet<Login>,
    /// Its labels.
    #[serde(default)]
    pub labels: Vec<Label>,
    /// Who owns it.
    #[serde(default)]
    pub owners: Option<GroupName>,
    /// What it is entered with, where its endpoint says that it knows no certificates.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub secret: Option<SecretOrder>,
}

/// Asks the bastion to look at a server that is to become a target.
#[derive(Debug, Clone, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct ProbeOrder {
    /// What it speaks.
    pub protocol: Protocol,
    /// Where it is, as the bastion reaches it.
    pub addr: HostPort,
    /// The target in front of it, as which that reaches it.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub jump: Option<Jump>,
    /// Which algorithms are spoken with it.
    #[serde(default, skip_serializing_if = "Algorithms::is_modern")]
    pub algorithms: Algorithms,
}

/// What a server showed of itself.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "snake_case", tag = "protocol")]
pub enum Probed {
    /// An SSH server's host keys.
    Ssh {
        /// One per kind of key that it has.
        host_keys: Vec<HostKeySeen>,
        /// Whether it calls itself a tidegate.
        #[serde(default)]
        bastion: bool,
    },
    /// A PostgreSQL server's TLS certificate.
    Postgres {
        /// The SHA-256 of its DER encoding, lower-case hexadecimal.
        sha256: String,
        /// Its subject.
        subject: String,
        /// The names it carries.
        names: Vec<String>,
    },
}

/// A host key as a server showed it.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct HostKeySeen {
    /// The key, one line without comment.
    pub openssh: String,
    /// Its fingerprint, `SHA256:…`.
    pub fingerprint: String,
}

/// Whether something is as it should be.
#[derive(Debug, Clone, Serialize, Deserialize)]
pub struct Check {
    /// Always `tidegate.check/1`.
    pub schema: String,
    /// What was looked at, for example `target web1`.
    pub subject: String,
    /// Whether it is well.
    pub ok: bool,
    /// What was found, one sentence.
    pub found: String,
    /// What to do about it.
    pub hint: Option<String>,
}

/// Asks for a grant.
#[derive(Debug, Clone, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct RequestOrder {
    /// For which target.
    pub target: TargetName,
    /// As whom; the target's only login when absent.
    pub login: Option<Login>,
    /// For how long, in seconds.
    pub duration_seconds: u64,
    /// Why.
    pub reason: Reason,
}

/// Answers a request.
#[derive(Debug, Clone, Default, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Answer {
    /// What to note beside it. A denial needs one.
    pub note: Option<Reason>,
    /// The digest of what the approver was shown. When it is not the request's, nothing happens.
    pub digest: Option<String>,
}

/// A grant as it is shown.
#[derive(Debug, Clone, Serialize, Deserialize)]
pub struct GrantView {
    /// Always `tidegate.grant/1`.
    pub schema: String,
    /// Its name.
    pub id: GrantId,
    /// The request it came from.
    pub request: RequestId,
    /// Who may.
    pub principal: PrincipalName,
    /// Where.
    pub target: TargetName,
    /// What that speaks; absent when the target is gone.
    pub protocol: Option<Protocol>,
    /// As whom.
    pub login: Login,
    /// The first instant at which it holds.
    pub starts_at: Timestamp,
    /// The first instant at which it no longer holds.
    pub expires_at: Timestamp,
    /// Whether it holds at the server's present.
    pub in_force: bool,
    /// Who ended it early.
    pub ended_by: Option<PrincipalName>,
    /// Why.
    pub end_reason: Option<Reason>,
    /// When.
    pub ended_at: Option<Timestamp>,
}

/// A session as it is shown.
#[derive(Debug, Clone, Serialize, Deserialize)]
pub struct SessionView {
    /// Always `tidegate.session/1`.
    pub schema: String,
    /// The session.
    #[serde(flatten)]
    pub session: Session,
}

/// The header that comes with the file of a recording and has the root of its chain as the ledger has
/// it, in hexadecimal. Missing where the ledger has none.
pub const ROOT_HEADER: &str = "tidegate-root";

/// A recording as it is listed.
#[derive(Debug, Clone, Serialize, Deserialize)]
pub struct RecordingView {
    /// Always `tidegate.recording/1`.
    pub schema: String,
    /// The session it is of.
    pub session: SessionView,
    /// Its size in bytes.
    pub bytes: u64,
}

/// A person or service as it is shown.
#[derive(Debug, Clone, Serialize, Deserialize)]
pub struct PrincipalView {
    /// Always `tidegate.principal/1`.
    pub schema: String,
    /// Its name.
    pub name: PrincipalName,
    /// Person or machine.
    pub kind: PrincipalKind,
    /// Its groups.
    pub groups: BTreeSet<GroupName>,
    /// The fingerprints of its keys.
    pub keys: Vec<String>,
    /// The lock on it, if there is one.
    pub lock: Option<LockId>,
    /// When it was added.
    pub added_at: Timestamp,
}

/// Adds a principal.
#[derive(Debug, Clone, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct PrincipalOrder {
    /// Its name.
    pub name: PrincipalName,
    /// Person or machine.
    pub kind: PrincipalKind,
    /// Its groups.
    pub groups: BTreeSet<GroupName>,
    /// Its keys, one line each.
    pub keys: Vec<String>,
}

/// Registers a further key.
#[derive(Debug, Clone, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct KeyOrder {
    /// The key, one line.
    pub key: String,
}

/// One line of the audit log as it was written: what its digest is of.
#[derive(Debug, Clone, Serialize, Deserialize)]
pub struct RawLine {
    /// Its place, from 1.
    pub seq: u64,
    /// JSON, as text.
    pub body: String,
    /// The digest of this line and all before it, in hexadecimal.
    pub digest: String,
}

impl RawLine {
    /// As it lies in the store. A digest that is none fits no line.
    pub fn stored(self) -> Stored {
        Stored {
            seq: self.seq,
            digest: chain::unhex(&self.digest).unwrap_or(chain::GENESIS),
            body: self.body,
        }
    }
}

/// One line of the audit log.
#[derive(Debug, Clone, Serialize, Deserialize)]
pub struct AuditView {
    /// Always `tidegate.audit/1`.
    pub schema: String,
    /// The line.
    #[serde(flatten)]
    pub line: Line,
}
