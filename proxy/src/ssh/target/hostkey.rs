//! Whether a target is the one we know: by its pinned key, or by a host certificate of its CA. There
//! is no third way, and no first use.

use jiff::Timestamp;
use policies::{Algorithms, HostKeyPin, SshEndpoint};
use russh::keys::PublicKeyOrCertificate;
use russh::keys::ssh_key::certificate::CertType;
use russh::keys::ssh_key::public::KeyData;
use russh::keys::{Algorithm, Certificate, HashAlg, PublicKey};

use crate::ssh::algorithms::{HOST_SIGNATURES, host_signatures};

/// The fewest bits of an RSA host key that are believed.
const RSA_BITS_MIN: u32 = 2048;

/// Why a target is not believed.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
pub enum HostKeyRefusal {
    /// Another key.
    #[error("its host key is {fingerprint}, which is not pinned")]
    OtherKey {
        /// `SHA256:…`
        fingerprint: String,
    },
    /// A plain key where a certificate is expected, or the other way round.
    #[error("it proves itself in another way than it is known by")]
    OtherKind,
    /// Signed by somebody else.
    #[error("its host certificate is by another CA")]
    OtherAuthority,
    /// Not a host certificate, over, not yet valid, or broken.
    #[error("its host certificate does not hold")]
    Invalid,
    /// For other names.
    #[error("its host certificate is not for `{name}`")]
    OtherName {
        /// The name that it should be for.
        name: String,
    },
    /// A key that is too weak.
    #[error("its host key is too weak")]
    Weak,
    /// What we know it by cannot be read.
    #[error("the pin of this target cannot be read")]
    Pin,
}

/// What a target is known by, ready to compare.
#[derive(Debug, Clone)]
pub enum Pin {
    /// One of these keys.
    Keys(Vec<PublicKey>),
    /// A certificate by this CA, for this name.
    Authority {
        /// The CA.
        key: PublicKey,
        /// The host's name.
        name: String,
    },
}

impl Pin {
    /// Reads what the target is known by.
    pub fn read(endpoint: &SshEndpoint) -> Result<Self, HostKeyRefusal> {
        let read =
            |text: &String| PublicKey::from_openssh(text).map_err(|_not_a_key| HostKeyRefusal::Pin);
        match &endpoint.host_key {
            HostKeyPin::Keys { keys } => keys
                .iter()
                .map(read)
                .collect::<Result<_, _>>()
                .map(Self::Keys),
            HostKeyPin::Authority { key } => Ok(Self::Authority {
                key: read(key)?,
                name: endpoint.addr.host.clone(),
            }),
        }
    }

    /// The algorithms to offer, so that the target proves itself with what we know of it: plain
    /// ones, and those of certificates.
    pub fn algorithms(&self, spoken: Algorithms) -> (Vec<Algorithm>, Vec<Algorithm>) {
        match self {
            Self::Authority { .. } => (Vec::new(), HOST_SIGNATURES.to_vec()),
            Self::Keys(keys) => {
                let pinned =
                    |algorithm: &&Algorithm| keys.iter().any(|key| is_of_kind(key, algorithm));
                let known = host_signatures(spoken);
                (known.iter().filter(pinned).cloned().collect(), Vec::new())
            }
        }
    }

    /// Judges what the target showed. The signature over the key exchange has been verified.
    pub fn judge(
        &self,
        shown: &PublicKeyOrCertificate,
        now: Timestamp,
    ) -> Result<(), HostKeyRefusal> {
        match (self, shown) {
            (Self::Keys(pinned), PublicKeyOrCertificate::PublicKey { key, .. }) => {
                if is_weak(key.key_data()) {
                    return Err(HostKeyRefusal::Weak);
                }
                if pinned.iter().any(|pin| pin.key_data() == key.key_data()) {
                    return Ok(());
                }
                let fingerprint = key.fingerprint(HashAlg::Sha256).to_string();
                Err(HostKeyRefusal::OtherKey { fingerprint })
            }
            (Self::Authority { key, name }, PublicKeyOrCertificate::Certificate(certificate)) => {
                judge_certificate(certificate, key, name, now)
            }
            (Self::Keys(_), PublicKeyOrCertificate::Certificate(_))
            | (Self::Authority { .. }, PublicKeyOrCertificate::PublicKey { .. }) => {
                Err(HostKeyRefusal::OtherKind)
            }
        }
    }
}

impl Pin {
    /// Judges the key that a target shows to somebody else's client, as it stands in their key exchange, and
    /// gives its fingerprint. That the target holds the key is for that client to verify: the signature
    /// covers a secret that only those two have (RFC 4253, section 8). A certificate counts as the key that
    /// it is about.
    pub(in crate::ssh) fn judge_in_passing(&self, shown: &[u8]) -> Result<String, HostKeyRefusal> {
        let Self::Keys(pinned) = self else {
            return Err(HostKeyRefusal::OtherKind);
        };
        let bare = match Certificate::from_bytes(shown) {
            Ok(certificate) => PublicKey::from(certificate.public_key().clone()),
            Err(_no_certificate) => {
                PublicKey::from_bytes(shown).map_err(|_odd| HostKeyRefusal::OtherKind)?
            }
        };
        if is_weak(bare.key_data()) {
            return Err(HostKeyRefusal::Weak);
        }
        let fingerprint = bare.fingerprint(HashAlg::Sha256).to_string();
        if pinned.iter().any(|pin| pin.key_data() == bare.key_data()) {
            return Ok(fingerprint);
        }
        Err(HostKeyRefusal::OtherKey { fingerprint })
    }
}

fn judge_certificate(
    certificate: &Certificate,
    authority: &PublicKey,
    name: &str,
    now: Timestamp,
) -> Result<(), HostKeyRefusal> {
    if certificate.signature_key() != authority.key_data() {
        return Err(HostKeyRefusal::OtherAuthority);
    }
    if is_weak(certificate.public_key()) || is_weak(authority.key_data()) {
        return Err(HostKeyRefusal::Weak);
    }
    let second = u64::try_from(now.as_second()).map_err(|_before_1970| HostKeyRefusal::Invalid)?;
    let fingerprint = authority.fingerprint(HashAlg::Sha256);
    let holds = certificate.cert_type() == CertType::Host
        && certificate.critical_options().is_empty()
        && certificate.validate_at(second, [&fingerprint]).is_ok();
    if !holds {
        return Err(HostKeyRefusal::Invalid);
    }
    // No names would mean any name; that is not what we asked for.
    let names = certificate.valid_principals();
    if names.iter().any(|principal| principal == name) {
        return Ok(());
    }
    Err(HostKeyRefusal::OtherName {
        name: name.to_owned(),
    })
}

fn is_of_kind(key: &PublicKey, algorithm: &Algorithm) -> bool {
    match (key.algorithm(), algorithm) {
        (Algorithm::Rsa { .. }, Algorithm::Rsa { .. }) => true,
        (own, other) => own == *other,
    }
}

#[expect(
    clippy::wildcard_enum_match_arm,
    reason = "whatever else there is or will be is not believed"
)]
fn is_weak(key: &KeyData) -> bool {
    match key {
        KeyData::Ed25519(_) | KeyData::Ecdsa(_) => false,
        KeyData::Rsa(rsa) => rsa.key_size() < RSA_BITS_MIN,
        _ => true,
    }
}
