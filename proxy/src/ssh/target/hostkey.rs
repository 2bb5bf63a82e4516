//! Whether a target is the one we know: by its pinned key, or by a host certificate of its CA. There
//! is no third way, and no first use.

use jiff::Timestamp;
use policies::words::host_key::HostKeyFault;
use policies::{Algorithms, HostKeyPin, SshEndpoint};
use russh::keys::PublicKeyOrCertificate;
use russh::keys::ssh_key::certificate::CertType;
use russh::keys::ssh_key::public::KeyData;
use russh::keys::{Algorithm, Certificate, HashAlg, PublicKey};

use crate::ssh::algorithms::{HOST_SIGNATURES, host_signatures};

/// What signs with RSA and SHA-1 is called.
const OLD_RSA: &str = "ssh-rsa";

/// What is in the name of every algorithm by which a host proves itself with a certificate (PROTOCOL.certkeys of OpenSSH).
const CERTIFIED: &str = "-cert-v01@openssh.com";

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
    pub fn read(endpoint: &SshEndpoint) -> Result<Self, HostKeyFault> {
        let read =
            |text: &String| PublicKey::from_openssh(text).map_err(|_not_a_key| HostKeyFault::Pin);
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
    ) -> Result<(), HostKeyFault> {
        match (self, shown) {
            (Self::Keys(pinned), PublicKeyOrCertificate::PublicKey { key, .. }) => {
                if is_weak(key.key_data()) {
                    return Err(HostKeyFault::Weak);
                }
                if pinned.iter().any(|pin| pin.key_data() == key.key_data()) {
                    return Ok(());
                }
                let fingerprint = key.fingerprint(HashAlg::Sha256).to_string();
                Err(HostKeyFault::OtherKey { fingerprint })
            }
            (Self::Authority { key, name }, PublicKeyOrCertificate::Certificate(certificate)) => {
                judge_certificate(certificate, key, name, now)
            }
            (Self::Keys(_), PublicKeyOrCertificate::Certificate(_)) => Err(HostKeyFault::Certified),
            (Self::Authority { .. }, PublicKeyOrCertificate::PublicKey { .. }) => {
                Err(HostKeyFault::Plain)
            }
        }
    }

    /// What is wrong with a server that proves itself by none of the algorithms that were offered, of which it has
    /// these. None where it may be the one that is known, and it is the algorithm that is not taken.
    pub(super) fn unmatched(&self, theirs: &[String]) -> Option<HostKeyFault> {
        match self {
            Self::Authority { .. } => {
                let certified = theirs.iter().any(|name| name.contains(CERTIFIED));
                (!certified).then_some(HostKeyFault::Plain)
            }
            Self::Keys(keys) => {
                let is_rsa = keys.iter().any(|key| key.algorithm().is_rsa());
                let may_be = is_rsa && theirs.iter().any(|name| name == OLD_RSA);
                (!may_be).then_some(HostKeyFault::OtherKinds)
            }
        }
    }
}

impl Pin {
    /// Judges the key that a target shows to somebody else's client, as it stands in their key exchange, and
    /// gives its fingerprint. That the target holds the key is for that client to verify: the signature
    /// covers a secret that only those two have (RFC 4253, section 8). A certificate counts as the key that
    /// it is about.
    pub(in crate::ssh) fn judge_in_passing(&self, shown: &[u8]) -> Result<String, HostKeyFault> {
        let Self::Keys(pinned) = self else {
            return Err(HostKeyFault::Plain);
        };
        let bare = match Certificate::from_bytes(shown) {
            Ok(certificate) => PublicKey::from(certificate.public_key().clone()),
            Err(_no_certificate) => {
                PublicKey::from_bytes(shown).map_err(|_odd| HostKeyFault::OtherKinds)?
            }
        };
        if is_weak(bare.key_data()) {
            return Err(HostKeyFault::Weak);
        }
        let fingerprint = bare.fingerprint(HashAlg::Sha256).to_string();
        if pinned.iter().any(|pin| pin.key_data() == bare.key_data()) {
            return Ok(fingerprint);
        }
        Err(HostKeyFault::OtherKey { fingerprint })
    }
}

/// As `sshkey_cert_check_host` in OpenSSH's `sshkey.c` does. Other than that of OpenSSH before 10.3 it takes no
/// certificate without names for one of every host, which such a certificate would be wherever it is copied to. Names are names
/// and no patterns, as for OpenSSH when it does not say otherwise.
fn judge_certificate(
    certificate: &Certificate,
    authority: &PublicKey,
    name: &str,
    now: Timestamp,
) -> Result<(), HostKeyFault> {
    if certificate.signature_key() != authority.key_data() {
        let by = certificate.signature_key().fingerprint(HashAlg::Sha256);
        return Err(HostKeyFault::OtherAuthority {
            fingerprint: by.to_string(),
        });
    }
    if is_weak(certificate.public_key()) || is_weak(authority.key_data()) {
        return Err(HostKeyFault::Weak);
    }
    // OpenSSH has no `ssh-rsa` among its `CASignatureAlgorithms` either: whoever has the CA sign something may have made
    // it so that the signature is good for something else.
    if certificate.signature().algorithm() == (Algorithm::Rsa { hash: None }) {
        return Err(HostKeyFault::Sha1);
    }
    // Before what it says of itself is told as what is wrong with it: a forged one may say anything.
    if !is_signed(certificate, authority) {
        return Err(HostKeyFault::Forged);
    }
    if certificate.cert_type() != CertType::Host {
        return Err(HostKeyFault::Users);
    }
    holds(certificate, authority, now)?;
    if !certificate.critical_options().is_empty() {
        return Err(HostKeyFault::Option);
    }
    let (names, name) = (certificate.valid_principals(), name.to_owned());
    if names.is_empty() {
        return Err(HostKeyFault::Nameless { name });
    }
    if names.iter().any(|own| own.eq_ignore_ascii_case(&name)) {
        return Ok(());
    }
    Err(HostKeyFault::OtherName { name })
}

/// Whether its CA signed it, judged at an instant at which it holds, if there is one.
fn is_signed(certificate: &Certificate, authority: &PublicKey) -> bool {
    let fingerprint = authority.fingerprint(HashAlg::Sha256);
    certificate
        .validate_at(certificate.valid_after(), [&fingerprint])
        .is_ok()
}

/// Whether it is by its CA, and holds now.
fn holds(
    certificate: &Certificate,
    authority: &PublicKey,
    now: Timestamp,
) -> Result<(), HostKeyFault> {
    let second = u64::try_from(now.as_second()).unwrap_or(0);
    let fingerprint = authority.fingerprint(HashAlg::Sha256);
    if certificate.validate_at(second, [&fingerprint]).is_ok() {
        return Ok(());
    }
    let at = |second: u64| Timestamp::from_second(i64::try_from(second).ok()?).ok();
    let (begins, ends) = (certificate.valid_after(), certificate.valid_before());
    Err(if second < begins {
        HostKeyFault::Early { at: at(begins) }
    } else if second >= ends {
        HostKeyFault::Ended { at: at(ends) }
    } else {
        HostKeyFault::Forged
    })
}

fn is_of_kind(key: &PublicKey, algorithm: &Algorithm) -> bool {
    match (key.algorithm(), algorithm) {
        (Algorithm::Rsa { .. }, Algorithm::Rsa { .. }) => true,
        (own, other) => own == *other,
    }
}

fn is_weak(key: &KeyData) -> bool {
    ca::pin::of_host(key).is_err()
}

#[cfg(test)]
mod tests {
    use russh::keys::PrivateKey;
    use russh::keys::ssh_key::certificate::Builder;
    use russh::keys::ssh_key::private::Ed25519Keypair;

    use super::*;

    /// When the certificates of these tests begin and end, in seconds since 1970.
    const BEGINS: u64 = 1_000_000_000;
    const ENDS: u64 = 1_000_000_060;

    fn key(seed: u8) -> PrivateKey {
        PrivateKey::from(Ed25519Keypair::from_seed(&[seed; 32]))
    }

    fn builder(names: &[&str]) -> Builder {
        let host = key(1).public_key().key_data().clone();
        let mut builder = Builder::new(vec![7; 16], host, BEGINS, ENDS).unwrap();
        builder.cert_type(CertType::Host).unwrap();
        for name in names {
            builder.valid_principal(*name).unwrap();
        }
        builder
    }

    /// What a certificate by the CA, key 2, comes to for the host `name`.
    fn judged(certificate: &Certificate, name: &str, now: u64) -> Result<(), HostKeyFault> {
        let now = Timestamp::from_second(i64::try_from(now).unwrap()).unwrap();
        judge_certificate(certificate, key(2).public_key(), name, now)
    }

    #[test]
    fn a_host_certificate_holds_from_its_first_second_to_the_last_before_its_end() {
        let certificate = builder(&["web1"]).sign(&key(2)).unwrap();
        let at = |second: u64| Timestamp::from_second(i64::try_from(second).unwrap()).ok();
        let check = |now, want| assert_eq!(judged(&certificate, "web1", now), want, "{now}");
        check(BEGINS - 1, Err(HostKeyFault::Early { at: at(BEGINS) }));
        check(BEGINS, Ok(()));
        check(ENDS - 1, Ok(()));
        check(ENDS, Err(HostKeyFault::Ended { at: at(ENDS) }));
    }

    #[test]
    fn names_are_hosts_names_and_no_patterns() {
        let check = |names: &[&str], name: &str, want: bool| {
            let certificate = builder(names).sign(&key(2)).unwrap();
            let judged = judged(&certificate, name, BEGINS);
            assert_eq!(judged.is_ok(), want, "{names:?} for {name}: {judged:?}");
        };
        check(&["a.example", "web1.example"], "web1.example", true);
        check(&["web1.example"], "Web1.EXAMPLE", true);
        check(&["WEB1.example"], "web1.example", true);
        check(&["192.0.2.7"], "192.0.2.7", true);
        check(&["2001:db8::7"], "2001:db8::7", true);
        check(&["web1"], "web1.example", false);
        check(&["web1.example"], "web1", false);
        check(&["*.example"], "web1.example", false);
        check(&["web1.example,web2.example"], "web1.example", false);
    }

    #[test]
    fn what_the_ca_did_not_sign_is_not_believed() {
        let by_another = builder(&["web1"]).sign(&key(3)).unwrap();
        let fingerprint = key(3).public_key().fingerprint(HashAlg::Sha256).to_string();
        let judged_other = judged(&by_another, "web1", BEGINS);
        assert_eq!(
            judged_other,
            Err(HostKeyFault::OtherAuthority { fingerprint })
        );
        // Another end than the CA wrote: the signature is of something else.
        let mut bytes = builder(&["web1"])
            .sign(&key(2))
            .unwrap()
            .to_bytes()
            .unwrap();
        let ends = ENDS.to_be_bytes();
        let at = bytes.windows(8).position(|bytes| bytes == ends).unwrap();
        let end = bytes.iter_mut().skip(at).nth(7).unwrap();
        *end = end.wrapping_add(1);
        let forged = Certificate::from_bytes(&bytes).unwrap();
        // Whatever it says of its own time: that is not the CA's word.
        for now in [BEGINS - 1, BEGINS, ENDS + 9] {
            assert_eq!(judged(&forged, "web1", now), Err(HostKeyFault::Forged));
        }
    }

    #[test]
    fn a_critical_option_is_nothing_that_can_be_passed_over() {
        let mut with = builder(&["web1"]);
        with.critical_option("odd@example.com", "").unwrap();
        let with = with.sign(&key(2)).unwrap();
        assert_eq!(judged(&with, "web1", BEGINS), Err(HostKeyFault::Option));
        let mut with = builder(&["web1"]);
        with.extension("odd@example.com", "").unwrap();
        assert_eq!(judged(&with.sign(&key(2)).unwrap(), "web1", BEGINS), Ok(()));
    }

    #[test]
    fn a_host_of_another_kind_of_key_is_told_from_old_equipment() {
        let pin = |line: &str| Pin::Keys(vec![PublicKey::from_openssh(line).unwrap()]);
        let theirs = |names: &[&str]| {
            names
                .iter()
                .map(|name| (*name).to_owned())
                .collect::<Vec<_>>()
        };
        let ed25519 = Pin::Keys(vec![key(1).public_key().clone()]);
        let rsa = pin(RSA);
        let other = Some(HostKeyFault::OtherKinds);
        assert_eq!(
            ed25519.unmatched(&theirs(&["rsa-sha2-512", "ssh-rsa"])),
            other
        );
        assert_eq!(rsa.unmatched(&theirs(&["ssh-ed25519"])), other);
        assert_eq!(rsa.unmatched(&theirs(&["ssh-dss", "ssh-rsa"])), None);
        let authority = Pin::Authority {
            key: key(2).public_key().clone(),
            name: "web1".to_owned(),
        };
        let plain = Some(HostKeyFault::Plain);
        assert_eq!(authority.unmatched(&theirs(&["ssh-ed25519"])), plain);
    }

    const RSA: &str = "ssh-rsa AAAAB3NzaC1yc2EAAAADAQABAAABAQC8gMtK9Mi9a3b7ueeQ/e1MiecQE6vPzxKR2FAxmTpo7vAO8uY676teOxVeACkrPlm7p0kTNT7TI5+VWR41pV6oSatRmWScMPE+H9Y8AaLVzDby1Gy+2BirRhLCQx2uNCYaMFUTNe9Pb1qzKBBF6LuaOPKibNnOZQQw7XhmFQbKCOPe/JfCIVHs5CBG6LfredWm8o7M8JQgR0R5904FqWaGyuZjIix8x3Uoso/IO/XipD10TPJhAPfGujEuCG0QTQfiteM5CAATHfnZWUEeW5EmKRRnChpJG51Ahku3UpTKoOjSSO7DLiafPWFt7w+leNnKCMX3DqwoViUy8nDMIg6D";
}
