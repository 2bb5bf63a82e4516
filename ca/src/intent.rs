//! Everything that will be in a certificate, before it exists; and the steps from there to one.
//!
//! The steps are types, so none can be left out or taken twice: [`Prepared`] is checked and has its
//! serial number; writing it to the journal turns it into [`Recorded`]; signing consumes that.
//! Neither can be cloned or made outside this file.

use std::collections::BTreeSet;
use std::fmt;
use std::net::IpAddr;

use jiff::Timestamp;
use serde::Serialize;

use crate::keys::{KeyName, Keys};
use crate::profile::Profile;
use crate::window::Window;
use crate::{IssueError, Journal, KeyId, Outcome, Serial};

/// What a certificate is for. It fixes which CA signs, how long it may live and what it may carry.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize)]
#[serde(rename_all = "snake_case")]
pub enum Purpose {
    /// One connection to one SSH target.
    SshPass,
    /// One connection to one PostgreSQL target.
    PostgresPass,
    /// Looking, after a cut, whether the backend at a PostgreSQL target is gone.
    Halt,
    /// One connection through an SSH target to another behind it.
    SshHop,
    /// Making or removing the roles of grants at a PostgreSQL target.
    Roles,
    /// Making or removing the account of a grant at an SSH target.
    Accounts,
    /// Looking whether an SSH target lets us in.
    SshTrial,
    /// Looking whether a PostgreSQL target lets us in.
    PostgresTrial,
    /// A person's way into the bastion by ssh.
    SshLogin,
    /// A person's way into the bastion by psql and the API.
    X509Login,
    /// What the bastion shows to ssh.
    Host,
    /// What the bastion shows to psql and the API.
    Server,
}

/// Everything that is going to be in one certificate.
#[derive(Debug, Clone, PartialEq, Eq, Serialize)]
pub struct Intent {
    /// What it is for.
    pub purpose: Purpose,
    /// Which key signs it.
    pub signer: KeyName,
    /// Its number.
    pub serial: Serial,
    /// In words what it is for. Part of an SSH certificate.
    pub key_id: KeyId,
    /// `SHA256:…` of the key it certifies.
    pub fingerprint: String,
    /// The first instant at which it holds, a whole second.
    pub valid_from: Timestamp,
    /// The first instant at which it no longer holds, a whole second.
    pub expires_at: Timestamp,
    /// What it says besides.
    pub contents: Contents,
}

/// What a certificate says besides its number, its key and its time.
#[derive(Debug, Clone, PartialEq, Eq, Serialize)]
#[serde(rename_all = "snake_case", tag = "kind")]
pub enum Contents {
    /// An SSH certificate, for a user or a host as its purpose says.
    Ssh {
        /// The accounts or host names it is good for. Never empty, which would mean "any".
        principals: Vec<String>,
        /// The only address it works from.
        source_address: Option<IpAddr>,
        /// The only command that is run by it, whatever is asked for.
        force_command: Option<String>,
        /// What it permits.
        extensions: BTreeSet<Extension>,
    },
    /// An X.509 certificate, for a client or a server as its purpose says.
    X509 {
        /// `CN`: the role, the principal or the first name of the server.
        common_name: String,
        /// `OU`: the session and the grant, so that the log of a PostgreSQL target names them; for a
        /// login, the fingerprint of the registered key by which it was got.
        unit: Option<String>,
        /// `UID`: the principal, where the common name is the role.
        user_id: Option<String>,
        /// Subject alternative names: host names and IP addresses.
        names: Vec<String>,
    },
}

/// An extension of an SSH user certificate that sshd knows (`PROTOCOL.certkeys`).
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize)]
#[serde(rename_all = "snake_case")]
pub enum Extension {
    /// `permit-X11-forwarding`.
    PermitX11Forwarding,
    /// `permit-agent-forwarding`.
    PermitAgentForwarding,
    /// `permit-port-forwarding`.
    PermitPortForwarding,
    /// `permit-pty`.
    PermitPty,
}

impl Extension {
    /// Every one, in the order in which a certificate lists them: byte by byte.
    pub const ALL: [Self; 4] = [
        Self::PermitX11Forwarding,
        Self::PermitAgentForwarding,
        Self::PermitPortForwarding,
        Self::PermitPty,
    ];

    /// Its name on the wire.
    pub fn as_str(self) -> &'static str {
        match self {
            Self::PermitX11Forwarding => "permit-X11-forwarding",
            Self::PermitAgentForwarding => "permit-agent-forwarding",
            Self::PermitPortForwarding => "permit-port-forwarding",
            Self::PermitPty => "permit-pty",
        }
    }
}

impl fmt::Display for Extension {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(self.as_str())
    }
}

/// The half of a certificate that differs between SSH and X.509: how it is signed, and how it is
/// read back.
pub(crate) trait Form: Send + Sync {
    /// The certificate.
    type Certificate: Send;

    /// `SHA256:…` of the key to certify.
    fn fingerprint(&self) -> Result<String, IssueError>;

    /// Signs what the intent says.
    fn sign(&self, intent: &Intent, keys: &Keys) -> Result<Self::Certificate, IssueError>;

    /// Reads the certificate with code that had no part in making it, and compares every field
    /// with the intent. Returns the SHA-256 of the certificate, in hexadecimal.
    fn read_back(
        &self,
        certificate: &Self::Certificate,
        intent: &Intent,
        keys: &Keys,
    ) -> Result<String, IssueError>;
}

/// A draft: what is wanted, before it was looked at.
#[derive(Debug)]
pub(crate) struct Draft {
    pub(crate) purpose: Purpose,
    pub(crate) serial: Serial,
    pub(crate) key_id: KeyId,
    pub(crate) window: Window,
    pub(crate) contents: Contents,
}

/// Checked against its profile. To be written to the journal once.
#[must_use = "prepared and not issued"]
pub(crate) struct Prepared<F> {
    intent: Intent,
    form: F,
}

/// In the journal. To be signed once.
#[must_use = "recorded and not signed"]
pub(crate) struct Recorded<F>(Prepared<F>);

impl<F: Form> Prepared<F> {
    /// Checks a draft against the profile of its purpose.
    pub(crate) fn new(draft: Draft, form: F) -> Result<Self, IssueError> {
        let profile = Profile::of(draft.purpose);
        profile.allows(&draft.window, &draft.contents)?;
        let intent = Intent {
            purpose: draft.purpose,
            signer: profile.signer,
            serial: draft.serial,
            key_id: draft.key_id,
            fingerprint: form.fingerprint()?,
            valid_from: draft.window.from,
            expires_at: draft.window.until,
            contents: draft.contents,
        };
        Ok(Self { intent, form })
    }

    /// Writes the intent down, signs it, reads the result back and writes down what came of it.
    pub(crate) async fn issue(
        self,
        keys: &Keys,
        journal: &impl Journal,
    ) -> Result<F::Certificate, IssueError> {
        let recorded = self.record(journal).await?;
        let serial = recorded.0.intent.serial;
        match recorded.redeem(keys) {
            Ok((certificate, sha256)) => {
                journal
                    .conclude(&serial, &Outcome::Signed { sha256 })
                    .await?;
                Ok(certificate)
            }
            Err(refused) => {
                journal
                    .conclude(
                        &serial,
                        &Outcome::Failed {
                            why: refused.to_string(),
                        },
                    )
                    .await?;
                Err(refused)
            }
        }
    }

    async fn record(self, journal: &impl Journal) -> Result<Recorded<F>, IssueError> {
        journal.intend(&self.intent).await?;
        Ok(Recorded(self))
    }
}

impl<F: Form> Recorded<F> {
    fn redeem(self, keys: &Keys) -> Result<(F::Certificate, String), IssueError> {
        let Prepared { intent, form } = self.0;
        let certificate = form.sign(&intent, keys)?;
        let sha256 = form.read_back(&certificate, &intent, keys)?;
        Ok((certificate, sha256))
    }
}
