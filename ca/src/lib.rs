//! Turns a permit into short-lived certificates, and can always say which ones may exist.
//!
//! | Key | Signs | Trusted by |
//! |---|---|---|
//! | `ssh-user-ca` | a session's way into an SSH target | SSH targets |
//! | `x509-target-ca` | a session's way into a PostgreSQL target | PostgreSQL targets |
//! | `ssh-login-ca` | a person's way into the bastion by ssh | the bastion |
//! | `x509-login-ca` | a person's way into the bastion by psql and the API; the bastion's own TLS certificate | the bastion and its clients |
//! | `ssh-host-ca` | what the bastion shows to ssh | people's `known_hosts` |
//! | `ssh-host` | nothing; it is what the bastion shows to ssh | clients that know no certificates |
//! | `recording-seal` | checkpoints of recordings | auditors |
//!
//! No target trusts what signs people's own certificates, so a person who is named like an account
//! has no way around the bastion.
//!
//! This crate is told the time and handed its randomness; only P-256 keys and signatures draw
//! their own, inside aws-lc. It knows nothing of sockets, and of the database only the trait
//! [`Journal`].

pub mod applicant;
pub mod pin;
pub mod sshsig;

mod accounts;
mod anchor;
mod authority;
mod check;
pub mod credential;
mod ecdsa;
mod fingerprint;
mod fresh;
#[cfg(any(test, tidegate_fuzzing))]
pub mod fuzzing;
mod hop;
mod host;
mod intent;
mod issue;
mod journal;
mod keys;
mod login;
mod pass;
mod passphrase;
mod profile;
mod request;
mod seal;
mod serial;
mod source;
mod ssh;
mod strength;
mod trial;
mod trust;
mod vault;
mod window;
mod x509;

pub use accounts::AccountsOrder;
pub use authority::Authority;
pub use credential::{CertificateRefusal, LoginProof, check_login_certificate, check_login_x509};
pub use hop::{HopOrder, Traveller};
pub use host::{HostIdentity, HostOrder, ServerIdentity};
pub use intent::{Contents, Extension, Intent, Purpose};
pub use issue::IssueError;
pub use journal::{Journal, JournalError, Outcome};
pub use keys::{CreateError, KeyName, OpenError, SessionKey, SigningError};
pub use login::{LoginCertificates, LoginOrder};
pub use pass::{Pass, PassKey, PassOrder};
pub use passphrase::{Passphrase, PassphraseError};
pub use profile::{
    HALT_LIFETIME, HOST_LIFETIME_MAX, HOST_NAMES_MAX, LOGIN_LIFETIME_MAX, PASS_LIFETIME_MAX,
    TRIAL_LIFETIME, is_host,
};
pub use request::RequestRefusal;
/// The traits by which randomness is handed in.
pub use russh::keys::ssh_key::rand_core;
pub use seal::Sealer;
pub use serial::{KeyId, Serial};
pub use strength::WeakKey;
pub use trial::{RolesOrder, TrialOrder};
pub use trust::{TrustBundle, certificate_fingerprint};
pub use vault::{Secret, VaultError, is_sealed_by_name};
pub use window::BACKDATING;

#[cfg(test)]
mod fixtures;
