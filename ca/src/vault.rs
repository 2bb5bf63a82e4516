//! Keys and passwords for targets that know no certificates: sealed where they are kept, open only in the
//! memory of the server, and handed out for a spent permit alone.
//!
//! What seals them is derived from the key that SSH targets trust (HKDF-SHA256, RFC 5869), which lies
//! encrypted on disk: whoever can open one can open the other, and nobody else. A sealed secret is bound
//! to its target: the name, where that is, how it proves itself and as whom it is entered. So it cannot be laid
//! under another's name, and whoever can write to the log cannot have it sent to another machine.

use std::fmt::{self, Write as _};
use std::sync::Arc;

use aws_lc_rs::aead::{AES_256_GCM, Aad, LessSafeKey, Nonce, UnboundKey};
use policies::{Endpoint, HostKeyPin, Permit, ServerPin, SessionId, Target, Terms, hex, unhex};
use russh::keys::PrivateKey;
use russh::keys::ssh_key::HashAlg;
use zeroize::Zeroizing;

use crate::rand_core::CryptoRng;
use crate::{Authority, Pass, PassKey};

/// What a sealed secret begins with: the way in which it is sealed.
const FORM: &str = "v2.";

/// What one begins with that was sealed for its target's name alone. It is opened all the same; the next
/// one that is kept for the target is sealed in the other way.
const FORM_BY_NAME: &str = "v1.";

/// How long a secret may be, in bytes.
const SECRET_MAX: usize = 64 * 1024;

/// How many bytes the nonce has, in front of what is sealed.
const NONCE: usize = 12;

/// A key or a password that does not end by itself. Prints as `(..)` and is zeroed on drop.
#[derive(Clone)]
pub struct Secret(Kind);

#[derive(Clone)]
enum Kind {
    Key(Arc<PrivateKey>, Zeroizing<String>),
    Password(Zeroizing<String>),
}

impl fmt::Debug for Secret {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("Secret(..)")
    }
}

/// Why a secret is not taken in, or not given out.
#[derive(Debug, Clone, Copy, PartialEq, Eq, thiserror::Error)]
pub enum VaultError {
    /// It is not an OpenSSH private key without a passphrase.
    #[error("it is not a private key in OpenSSH's form without a passphrase")]
    Key,
    /// It is empty, too long, or not one line.
    #[error("it is empty, not one line, or longer than 1024 bytes")]
    Password,
    /// It could not be sealed.
    #[error("seal it")]
    Seal,
    /// It was sealed by another authority, for another target or one that was elsewhere, or is damaged.
    #[error("open what is kept for it as it is described, so it has to be given again")]
    Open,
}

impl Secret {
    /// Reads a private key: OpenSSH's form, no passphrase.
    pub fn key(text: &str) -> Result<Self, VaultError> {
        let key = PrivateKey::from_openssh(text.as_bytes()).map_err(|_odd| VaultError::Key)?;
        if key.is_encrypted() || text.len() > SECRET_MAX {
            return Err(VaultError::Key);
        }
        let text = Zeroizing::new(text.to_owned());
        Ok(Self(Kind::Key(Arc::new(key), text)))
    }

    /// Takes a password. One line break at the end is not part of it.
    pub fn password(text: &str) -> Result<Self, VaultError> {
        let line = text.strip_suffix('\n').unwrap_or(text);
        let line = line.strip_suffix('\r').unwrap_or(line);
        let long = line.len() > 1024;
        if line.is_empty() || long || line.chars().any(char::is_control) {
            return Err(VaultError::Password);
        }
        Ok(Self(Kind::Password(Zeroizing::new(line.to_owned()))))
    }

    /// `SHA256:…` of a key; none of a password, which would tell it to whoever guesses.
    pub fn fingerprint(&self) -> Option<String> {
        match &self.0 {
            Kind::Key(key, _) => Some(key.public_key().fingerprint(HashAlg::Sha256).to_string()),
            Kind::Password(_) => None,
        }
    }

    fn parts(&self) -> (&'static str, &str) {
        match &self.0 {
            Kind::Key(_, text) => ("key", text),
            Kind::Password(text) => ("password", text),
        }
    }

    /// What opens a connection with it.
    fn pass_key(&self) -> PassKey {
        match &self.0 {
            Kind::Key(key, _) => PassKey::StandingKey {
                key: Arc::clone(key),
            },
            Kind::Password(text) => PassKey::Password { text: text.clone() },
        }
    }
}

impl Authority {
    /// Seals a secret for a target.
    pub fn seal_secret(
        &self,
        target: &Target,
        secret: &Secret,
        rng: &mut (dyn CryptoRng + Send),
    ) -> Result<String, VaultError> {
        let (kind, text) = secret.parts();
        let mut nonce = [0; NONCE];
        rng.fill_bytes(&mut nonce);
        let mut bytes = Zeroizing::new(kind.as_bytes().to_vec());
        bytes.push(b'\n');
        bytes.extend_from_slice(text.as_bytes());
        let tag = self
            .vault_key()?
            .seal_in_place_separate_tag(
                Nonce::assume_unique_for_key(nonce),
                Aad::from(binding(target)),
                &mut bytes,
            )
            .map_err(|_refused| VaultError::Seal)?;
        let sealed = [nonce.as_slice(), bytes.as_slice(), tag.as_ref()].concat();
        Ok(format!("{FORM}{}", hex(&sealed)))
    }

    /// Opens what was sealed for a target.
    pub fn open_secret(&self, target: &Target, sealed: &str) -> Result<Secret, VaultError> {
        let (digits, bound_to) = match sealed.strip_prefix(FORM) {
            Some(digits) => (digits, binding(target)),
            None => (
                sealed.strip_prefix(FORM_BY_NAME).ok_or(VaultError::Open)?,
                format!("tidegate standing credential 1 {}", target.name),
            ),
        };
        let mut bytes = Zeroizing::new(unhex(digits).ok_or(VaultError::Open)?);
        let (nonce, rest) = bytes
            .split_first_chunk_mut::<NONCE>()
            .ok_or(VaultError::Open)?;
        let text = self
            .vault_key()?
            .open_in_place(
                Nonce::assume_unique_for_key(*nonce),
                Aad::from(bound_to),
                rest,
            )
            .map_err(|_refused| VaultError::Open)?;
        let text = std::str::from_utf8(text).map_err(|_odd| VaultError::Open)?;
        match text.split_once('\n') {
            Some(("key", text)) => Secret::key(text),
            Some(("password", text)) => Secret::password(text),
            _other => Err(VaultError::Open),
        }
    }

    /// Spends a permit on a secret that is kept.
    pub fn standing_pass(
        &self,
        permit: Permit,
        session: SessionId,
        sealed: &str,
    ) -> Result<Pass, VaultError> {
        let terms = permit.spend();
        let secret = self.open_secret(&terms.target, sealed)?;
        Ok(Pass {
            expires_at: terms.until,
            terms,
            session,
            serial: None,
            key: secret.pass_key(),
        })
    }

    /// The same for a look at a database after a session there was cut. No permit is spent: nobody gets
    /// in by it.
    pub fn standing_halt(
        &self,
        terms: &Terms,
        session: SessionId,
        sealed: &str,
    ) -> Result<Pass, VaultError> {
        let secret = self.open_secret(&terms.target, sealed)?;
        Ok(Pass {
            expires_at: terms.until,
            terms: terms.clone(),
            session,
            serial: None,
            key: secret.pass_key(),
        })
    }

    /// The same for a look at the target, by those who manage it.
    pub fn standing_trial(&self, target: &Target, sealed: &str) -> Result<PassKey, VaultError> {
        Ok(self.open_secret(target, sealed)?.pass_key())
    }

    fn vault_key(&self) -> Result<LessSafeKey, VaultError> {
        let bytes = self.keys().vault_key();
        UnboundKey::new(&AES_256_GCM, bytes.as_ref())
            .map(LessSafeKey::new)
            .map_err(|_refused| VaultError::Seal)
    }
}

/// Whether a secret was sealed for its target's name alone, as it was done once.
pub fn is_sealed_by_name(sealed: &str) -> bool {
    sealed.starts_with(FORM_BY_NAME)
}

/// What a sealed secret belongs to: every part with its length, so that no two targets are written alike.
fn binding(target: &Target) -> String {
    let mut parts = vec![target.name.to_string()];
    match &target.endpoint {
        Endpoint::Ssh(ssh) => {
            parts.extend(["ssh".to_owned(), ssh.addr.to_string()]);
            match &ssh.host_key {
                HostKeyPin::Keys { keys } => {
                    parts.push("keys".to_owned());
                    parts.push(keys.len().to_string());
                    parts.extend(keys.iter().cloned());
                }
                HostKeyPin::Authority { key } => {
                    parts.extend(["authority".to_owned(), key.clone()]);
                }
            }
        }
        Endpoint::Postgres(postgres) => {
            parts.push("postgres".to_owned());
            let hosts = postgres.hosts();
            parts.push(hosts.len().to_string());
            for host in hosts {
                parts.push(host.addr.to_string());
                match host.server {
                    ServerPin::Certificate { sha256 } => {
                        parts.extend(["certificate".to_owned(), sha256]);
                    }
                    ServerPin::Authority { pem, host } => {
                        parts.extend(["authority".to_owned(), pem, host]);
                    }
                }
            }
        }
    }
    parts.push(target.jump().map(ToString::to_string).unwrap_or_default());
    parts.extend(target.logins.iter().map(ToString::to_string));
    let mut bound = "tidegate standing credential 2 ".to_owned();
    for part in parts {
        // Writing to a String cannot fail.
        let _written = write!(bound, "{}:{part},", part.len());
    }
    bound
}

#[cfg(test)]
mod tests {
    use policies::{Capabilities, Jump, Login, Protocol, SshEndpoint, TargetName};

    use super::*;
    use crate::fixtures::{self, Bench, Dice};

    fn target(name: &str) -> Target {
        let terms = fixtures::terms(Protocol::Ssh, Capabilities::default());
        Target {
            name: TargetName::parse(name).unwrap(),
            ..terms.target.as_ref().clone()
        }
    }

    #[track_caller]
    fn stays_shut(authority: &Authority, target: &Target, sealed: &str) {
        let opened = authority.open_secret(target, sealed);
        assert_eq!(opened.unwrap_err(), VaultError::Open);
    }

    #[test]
    fn what_is_sealed_for_a_target_opens_for_it_alone() {
        let bench = Bench::new();
        let authority = &bench.authority;
        let secret = Secret::password("correct horse\n").unwrap();
        let mut dice = Dice::new(7);
        let switch = target("switch1");
        let sealed = authority.seal_secret(&switch, &secret, &mut dice).unwrap();
        assert!(!sealed.contains("horse") && sealed.starts_with(FORM));
        let opened = authority.open_secret(&switch, &sealed).unwrap();
        assert_eq!(opened.parts(), ("password", "correct horse"));
        stays_shut(authority, &target("switch2"), &sealed);
        let again = authority.seal_secret(&switch, &secret, &mut dice).unwrap();
        assert_ne!(sealed, again, "each is sealed anew");
        for at in [3, 40, sealed.len() - 1] {
            let mut broken = sealed.clone().into_bytes();
            broken[at] = if broken[at] == b'0' { b'1' } else { b'0' };
            stays_shut(authority, &switch, &String::from_utf8(broken).unwrap());
        }
    }

    #[test]
    fn it_opens_neither_elsewhere_nor_for_another_key_or_login() {
        fn key() -> String {
            "ssh-ed25519 AAAA".to_owned()
        }
        fn jump() -> Jump {
            Jump {
                target: TargetName::parse("edge1").unwrap(),
                login: Login::parse("deploy").unwrap(),
            }
        }
        let bench = Bench::new();
        let authority = &bench.authority;
        let secret = Secret::password("correct horse").unwrap();
        let switch = target("switch1");
        let sealed = authority.seal_secret(&switch, &secret, &mut Dice::new(7));
        let sealed = sealed.unwrap();
        let moved = |change: fn(&mut SshEndpoint)| {
            let mut moved = switch.clone();
            let Endpoint::Ssh(ssh) = &mut moved.endpoint else {
                panic!("it speaks SSH");
            };
            change(ssh);
            moved
        };
        for other in [
            moved(|ssh| ssh.addr.host = "127.0.0.2".to_owned()),
            moved(|ssh| ssh.addr.port = 23),
            moved(|ssh| ssh.jump = Some(jump())),
            moved(|ssh| ssh.host_key = HostKeyPin::Keys { keys: vec![key()] }),
            moved(|ssh| ssh.host_key = HostKeyPin::Authority { key: key() }),
        ] {
            stays_shut(authority, &other, &sealed);
        }
        let mut more = switch.clone();
        more.logins.insert(Login::parse("root").unwrap());
        stays_shut(authority, &more, &sealed);
        let mut labelled = switch;
        labelled.labels.insert("env".to_owned(), "dev".to_owned());
        authority.open_secret(&labelled, &sealed).unwrap();
    }

    #[test]
    fn no_two_targets_are_written_alike() {
        let keys = |keys: &[&str]| {
            let mut target = target("switch1");
            let Endpoint::Ssh(ssh) = &mut target.endpoint else {
                panic!("it speaks SSH");
            };
            let keys = keys.iter().map(|key| (*key).to_owned()).collect();
            ssh.host_key = HostKeyPin::Keys { keys };
            binding(&target)
        };
        assert_ne!(keys(&["a", "b"]), keys(&["a,1:b"]));
        assert_ne!(keys(&["a", "b"]), keys(&["b", "a"]));
    }

    /// Sealed as it was when the name alone was bound.
    fn sealed_by_name(authority: &Authority, name: &str, secret: &[u8]) -> String {
        let (nonce, mut bytes) = ([9; NONCE], secret.to_vec());
        let tag = authority.vault_key().unwrap().seal_in_place_separate_tag(
            Nonce::assume_unique_for_key(nonce),
            Aad::from(format!("tidegate standing credential 1 {name}")),
            &mut bytes,
        );
        let sealed = [nonce.as_slice(), &bytes, tag.unwrap().as_ref()].concat();
        format!("v1.{}", hex(&sealed))
    }

    #[test]
    fn what_was_sealed_for_a_name_alone_still_opens_and_is_told_apart() {
        let bench = Bench::new();
        let sealed = sealed_by_name(&bench.authority, "switch1", b"password\ncorrect horse");
        let opened = bench.authority.open_secret(&target("switch1"), &sealed);
        assert_eq!(opened.unwrap().parts(), ("password", "correct horse"));
        assert!(is_sealed_by_name(&sealed));
        stays_shut(&bench.authority, &target("switch2"), &sealed);
        // Neither form opens as the other.
        let relabelled = sealed.replace("v1.", "v2.");
        stays_shut(&bench.authority, &target("switch1"), &relabelled);
    }

    #[test]
    fn a_secret_is_never_printed() {
        let secret = Secret::password("correct horse").unwrap();
        assert_eq!(format!("{secret:?}"), "Secret(..)");
    }

    #[test]
    fn what_is_no_key_and_no_line_is_refused() {
        assert_eq!(
            Secret::key("ssh-ed25519 AAAA").unwrap_err(),
            VaultError::Key
        );
        for text in ["", "\n", "two\nlines", "a\0b"] {
            let refused = Secret::password(text).unwrap_err();
            assert_eq!(refused, VaultError::Password, "{text:?}");
        }
    }
}
