//! Who someone is, and what they showed to prove it.

use std::collections::BTreeSet;

use jiff::Timestamp;
use serde::{Deserialize, Serialize};

use crate::{GrantId, GroupName, PrincipalName, SecretId};

/// A person or service that tidegate knows.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct Principal {
    /// Its name, unique.
    pub name: PrincipalName,
    /// Whether it is a person or a machine.
    pub kind: PrincipalKind,
    /// The groups it is in.
    pub groups: BTreeSet<GroupName>,
    /// The SSH keys that prove it.
    pub keys: Vec<RegisteredKey>,
    /// When it was added.
    pub added_at: Timestamp,
}

/// People approve; machines never do.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum PrincipalKind {
    /// A human being.
    Person,
    /// A CI job, an agent, a service.
    Machine,
}

/// An SSH public key that belongs to a principal.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct RegisteredKey {
    /// The key in OpenSSH's one-line form, without its comment: `ssh-ed25519 AAAA…`.
    pub openssh: String,
    /// Its SHA-256 fingerprint as OpenSSH prints it: `SHA256:…`.
    pub fingerprint: String,
    /// What its file said of it, often whose and on which machine: so that people can tell keys apart. Proves nothing.
    #[serde(default, skip_serializing_if = "String::is_empty")]
    pub comment: String,
    /// When it was registered, where that was not with its owner or not kept yet.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub added_at: Option<Timestamp>,
}

impl RegisteredKey {
    /// A key of which nothing else is known.
    pub fn new(openssh: String, fingerprint: String) -> Self {
        Self {
            openssh,
            fingerprint,
            comment: String::new(),
            added_at: None,
        }
    }

    /// Its kind, as OpenSSH names it: `ssh-ed25519`.
    pub fn kind(&self) -> &str {
        self.openssh.split(' ').next().unwrap_or_default()
    }
}

/// What a principal showed to prove who it is.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "snake_case", tag = "kind")]
pub enum Credential {
    /// A registered SSH key.
    Key {
        /// `SHA256:…`.
        fingerprint: String,
    },
    /// A certificate that our login CA made.
    Certificate {
        /// Its serial number, in decimal for SSH and hexadecimal for X.509.
        serial: String,
        /// `SHA256:…` of the key it certifies.
        fingerprint: String,
        /// `SHA256:…` of the registered key that was shown to get it. Empty in what was written
        /// down before that was kept.
        #[serde(default)]
        by_key: String,
    },
    /// A one-time secret that its owner had made for one grant, proven by SCRAM.
    Secret {
        /// Its name.
        id: SecretId,
        /// The only grant that it is good for.
        grant: GrantId,
        /// `SHA256:…` of the registered key by which its owner was logged in when it was made.
        by_key: String,
    },
}

impl Credential {
    /// The one grant that this is good for; `None` where it is good for all that its owner has.
    pub fn bound_to(&self) -> Option<GrantId> {
        match self {
            Self::Key { .. } | Self::Certificate { .. } => None,
            Self::Secret { grant, .. } => Some(*grant),
        }
    }

    /// The fingerprint of the registered key that all of it rests on. Where that key is removed, or
    /// becomes another principal's, this proves nobody any more.
    pub fn root(&self) -> &str {
        match self {
            Self::Key { fingerprint } => fingerprint,
            Self::Certificate { by_key, .. } | Self::Secret { by_key, .. } => by_key,
        }
    }
}
