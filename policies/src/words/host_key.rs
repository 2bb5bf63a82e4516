//! Why an SSH server is not believed to be the target that was added: for those who manage targets. Everybody else
//! hears `TG402`.

use std::fmt;

use jiff::Timestamp;

/// What is wrong with how a server proves itself.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum HostKeyFault {
    /// It has another key of a kind that is pinned.
    OtherKey {
        /// `SHA256:…`
        fingerprint: String,
    },
    /// It has no key of the kinds that are pinned.
    OtherKinds,
    /// It shows a certificate where its key is pinned.
    Certified,
    /// It shows a plain key where a certificate of the CA is wanted.
    Plain,
    /// Its certificate is by somebody else.
    OtherAuthority {
        /// The fingerprint of who signed it, `SHA256:…`
        fingerprint: String,
    },
    /// What it shows is the certificate of a person.
    Users,
    /// Its certificate has an option that nobody may pass over who does not know it.
    Option,
    /// Its certificate has ended.
    Ended {
        /// When. None for a time that no calendar has.
        at: Option<Timestamp>,
    },
    /// Its certificate has not begun.
    Early {
        /// When it does. None for a time that no calendar has.
        at: Option<Timestamp>,
    },
    /// Its certificate is signed with SHA-1.
    Sha1,
    /// The signature in its certificate is not the CA's.
    Forged,
    /// Its certificate is for other names.
    OtherName {
        /// The name that it should be for.
        name: String,
    },
    /// Its certificate is for every name.
    Nameless {
        /// The name that it should be for.
        name: String,
    },
    /// Its key, or that of its CA, is too weak.
    Weak,
    /// What it is known by cannot be read.
    Pin,
}

impl HostKeyFault {
    /// Whether the certificate alone is wrong: its CA mends that with another one.
    pub(in crate::words) fn is_mended_by_the_ca(&self) -> bool {
        match self {
            Self::Plain
            | Self::Users
            | Self::Option
            | Self::Ended { .. }
            | Self::Sha1
            | Self::OtherName { .. }
            | Self::Nameless { .. } => true,
            Self::OtherKey { .. }
            | Self::OtherKinds
            | Self::Certified
            | Self::OtherAuthority { .. }
            | Self::Early { .. }
            | Self::Forged
            | Self::Weak
            | Self::Pin => false,
        }
    }
}

impl fmt::Display for HostKeyFault {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::OtherKey { fingerprint } => {
                write!(f, "its host key is {fingerprint}, which is not pinned")
            }
            Self::OtherKinds => f.write_str("it has no host key of a kind that is pinned"),
            Self::Certified => f.write_str("it shows a host certificate, and its key is pinned"),
            Self::Plain => {
                f.write_str("it shows no host certificate, and it is known by the CA of those")
            }
            Self::OtherAuthority { fingerprint } => {
                write!(f, "its host certificate is by another CA: {fingerprint}")
            }
            Self::Users => f.write_str("the certificate that it shows is a person's, not a host's"),
            Self::Option => {
                f.write_str("its host certificate has a critical option, and none is known")
            }
            Self::Ended { at } => {
                write!(f, "its host certificate ended{}", when(*at))
            }
            Self::Early { at } => {
                write!(f, "its host certificate begins only{}", when(*at))
            }
            Self::Sha1 => f.write_str("its host certificate is signed with SHA-1"),
            Self::Forged => {
                f.write_str("the signature in its host certificate is not that of the CA")
            }
            Self::OtherName { name } => write!(
                f,
                "its host certificate is not for `{name}`, as it is called in --addr"
            ),
            Self::Nameless { name } => write!(
                f,
                "its host certificate names no host, and has to name `{name}`, as it is called in --addr"
            ),
            Self::Weak => f.write_str(
                "its host key, or that of its CA, is of a kind or a length that is not believed",
            ),
            Self::Pin => f.write_str("what it is known by is not one public key on one line"),
        }
    }
}

/// An instant in the middle of a sentence.
fn when(at: Option<Timestamp>) -> String {
    at.map(|at| at.strftime(" at %Y-%m-%d %H:%M:%S UTC").to_string())
        .unwrap_or_default()
}
