//! What a person's certificate is worth when it comes in.
//!
//! russh checks of a certificate that it is in date, that its own CA key signed it and that the
//! client holds its key; rustls checks chain, time and usage. Everything else of what OpenSSH's
//! sshd checks (`auth2-pubkey.c`, `auth-options.c`, `sshkey_cert_check_authority`) is here.
//! Whether the principal is known or locked is not asked here.

mod ssh;
mod x509;

use jiff::Timestamp;
use policies::{Credential, PrincipalName};

use russh::keys::Certificate;

use crate::{Extension, WeakKey};

pub use ssh::check_login_certificate;
pub use x509::check_login_x509;

/// How much later than ours the clock of whoever signed may be. There is none at the end: what is
/// over is over.
pub const SKEW_MAX: jiff::SignedDuration = jiff::SignedDuration::from_secs(60);

/// What a good certificate says.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct LoginProof {
    /// Who it is.
    pub principal: PrincipalName,
    /// The certificate's serial number, in decimal for SSH and in hexadecimal for X.509.
    pub serial: String,
    /// `SHA256:…` of the key it certifies.
    pub fingerprint: String,
    /// `SHA256:…` of the registered key that was shown to get it. Whether that is still theirs is
    /// for whoever knows to say.
    pub by_key: String,
    /// The first instant at which it no longer holds.
    pub expires_at: Timestamp,
}

impl LoginProof {
    /// The proof as decisions and audit know it.
    pub fn credential(&self) -> Credential {
        Credential::Certificate {
            serial: self.serial.clone(),
            fingerprint: self.fingerprint.clone(),
            by_key: self.by_key.clone(),
        }
    }
}

/// Reads one line of `…-cert.pub`, strictly: nothing may follow the certificate inside the base64.
pub fn read_certificate(line: &str) -> Result<Certificate, CertificateRefusal> {
    Certificate::from_openssh(line).map_err(|_odd| CertificateRefusal::Unreadable)
}

/// Why a person's certificate is refused. For the log; whoever shows it learns nothing.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
pub enum CertificateRefusal {
    /// It cannot be read, or something follows it.
    #[error("it cannot be read")]
    Unreadable,
    /// It is for hosts.
    #[error("it is a host certificate")]
    Host,
    /// Another CA signed it.
    #[error("another CA signed it")]
    Authority,
    /// The CA's key is not a plain key of a kind that we believe.
    #[error("its CA key is refused")]
    AuthorityKey(#[source] WeakKey),
    /// The signature is of a kind that we do not believe: SHA-1, or not of the CA key's kind.
    #[error("its signature is of a kind that is not accepted")]
    SignatureKind,
    /// The signature is wrong.
    #[error("its signature is wrong")]
    Signature,
    /// The key that it certifies is not one that we believe.
    #[error("its key is refused")]
    Key(#[source] WeakKey),
    /// The key that it certifies is not on P-256.
    #[error("its key is not on P-256")]
    KeyKind,
    /// It begins later.
    #[error("it is not valid yet")]
    NotYet,
    /// It is over.
    #[error("it is no longer valid")]
    Expired,
    /// It names nobody, which sshd would take for anybody.
    #[error("it names nobody")]
    Nobody,
    /// It names several.
    #[error("it names {0}, not one")]
    Several(usize),
    /// What it names is not a principal's name.
    #[error("what it names is not a principal")]
    Principal,
    /// It does not name the registered key by which it was got.
    #[error("it does not name the key that it rests on")]
    Rootless,
    /// It does not permit what every login does, so whoever made it meant less than a login.
    #[error("it does not carry `{0}`")]
    Narrower(Extension),
    /// It may only be used to run one command, and we would have to run it.
    #[error("it is bound to a command")]
    ForceCommand,
    /// It wants its user verified at each use, which cannot be seen here.
    #[error("it asks for verification that cannot be seen here")]
    VerifyRequired,
    /// It holds a critical option that is not known.
    #[error("it holds the critical option `{0}`")]
    CriticalOption(String),
    /// Its list of addresses is not one.
    #[error("its list of addresses cannot be read")]
    SourceList,
    /// It may not be used from there.
    #[error("it may not be used from there")]
    Source,
    /// It is not for a client, or for more than a client.
    #[error("it is not for a client alone")]
    Usage,
    /// It may sign others.
    #[error("it is one of a CA")]
    CertificateAuthority,
    /// It holds a critical extension that is not known.
    #[error("it holds a critical extension that is not known")]
    CriticalExtension,
}

#[cfg(test)]
mod tests;
