//! Why a certificate was not issued.

use jiff::SignedDuration;
use russh::keys::ssh_key;

use crate::intent::Extension;
use crate::request::RequestRefusal;
use crate::strength::WeakKey;
use crate::{JournalError, VaultError};

/// Why a certificate was not issued. Nothing was handed out.
#[derive(Debug, thiserror::Error)]
pub enum IssueError {
    /// Less than a second is left of the permit.
    #[error("issue a certificate: the permit ends within this second")]
    NothingLeft,
    /// It would live longer than its kind may.
    #[error("issue a certificate: it may live {max:#} at most")]
    Lifetime {
        /// The ceiling.
        max: SignedDuration,
    },
    /// The time lies where no certificate can.
    #[error("issue a certificate: the time is out of range")]
    Time,
    /// It would permit what its kind may not.
    #[error("issue a certificate: its kind may not carry `{0}`")]
    Extension(Extension),
    /// It would bind a host to an address, which means nothing.
    #[error("issue a certificate: a host has no source address")]
    SourceAddress,
    /// A certificate that should have one command run has none, or one that is more than words; or
    /// one has a command that should have none.
    #[error("the command is not for such a certificate, or a shell reads more in it than words")]
    Command,
    /// Its names are none, too many, or hold what a name may not.
    #[error("issue a certificate: its names are not plain names")]
    Names,
    /// The session does not speak PostgreSQL, so there is no backend to look for.
    #[error("issue a certificate: the session is not one of PostgreSQL")]
    NotPostgres,
    /// The SSH key to certify is not one.
    #[error("read the SSH key to certify")]
    SshKey(#[source] ssh_key::Error),
    /// The SSH key to certify is too weak or of an odd kind.
    #[error("the SSH key to certify is refused")]
    WeakKey(#[from] WeakKey),
    /// The request for an X.509 certificate is not a good one.
    #[error("the request for an X.509 certificate is refused")]
    Request(#[from] RequestRefusal),
    /// The journal could not be written.
    #[error("issue a certificate")]
    Journal(#[from] JournalError),
    /// What is kept for the target cannot be used.
    #[error("use the standing credential of the target")]
    Vault(#[from] VaultError),
    /// No fresh key could be drawn.
    #[error("draw a fresh key")]
    Key,
    /// The parts of an SSH and an X.509 certificate met. A defect of ours.
    #[error("issue a certificate: its parts do not belong together")]
    Mixed,
    /// An SSH certificate could not be signed or written.
    #[error("sign an SSH certificate")]
    Ssh(#[from] ssh_key::Error),
    /// An X.509 certificate could not be signed.
    #[error("sign an X.509 certificate")]
    X509(#[from] rcgen::Error),
    /// What was signed is not what was intended; it was thrown away. A defect of ours.
    #[error("the certificate differs from its intent in its {0}")]
    Differs(&'static str),
}
