//! The keys of an authority and where they lie on disk.
//!
//! Each key is one file in OpenSSH's own encrypted format, so it can be inspected and backed up
//! with stock tools (`ssh-keygen -y -f ssh-user-ca-1`), beside its public half. The number in a
//! file's name is the key's generation: a second one of any key can be laid beside the first.
//! There is one generation so far.
//!
//! Keys never leave this module as bytes: it signs, and shows public halves.

mod ed25519;
mod file;
mod p256;
mod session;
mod ssh;

use std::fmt;
use std::fs;
use std::io;
use std::os::unix::fs::DirBuilderExt;
use std::path::{Path, PathBuf};

use jiff::Timestamp;
use russh::keys::ssh_key::public::{EcdsaPublicKey, KeyData};
use russh::keys::{Algorithm, PrivateKey};
use serde::{Serialize, Serializer};
use zeroize::Zeroizing;

pub(crate) use ed25519::Ed25519Key;
pub(crate) use p256::P256Key;
pub use session::{SessionKey, SigningError};
pub(crate) use ssh::SshCaKey;

use crate::Passphrase;
use crate::anchor::Anchor;
use crate::rand_core::CryptoRng;
use crate::serial::draw_octets;

/// The generation that is made and used.
const GENERATION: u32 = 1;

/// Which key.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub enum KeyName {
    /// SSH targets trust it: it signs the passes of sessions.
    SshUserCa,
    /// The bastion trusts it: it signs people's own SSH certificates. No target does.
    SshLoginCa,
    /// People's `known_hosts` trust it: it signs what the bastion shows to ssh.
    SshHostCa,
    /// What the bastion shows to ssh, certified by the host CA. It signs no certificates; clients that
    /// know none know the bastion by it.
    SshHost,
    /// PostgreSQL targets trust it: it signs the passes of sessions.
    X509TargetCa,
    /// The bastion and its clients trust it: it signs people's own client certificates and the
    /// bastion's server certificate. No target does.
    X509LoginCa,
    /// Auditors trust it: it signs the checkpoints of recordings.
    RecordingSeal,
}

impl KeyName {
    /// Its name in file names and in the journal.
    pub fn as_str(self) -> &'static str {
        match self {
            Self::SshUserCa => "ssh-user-ca",
            Self::SshLoginCa => "ssh-login-ca",
            Self::SshHostCa => "ssh-host-ca",
            Self::SshHost => "ssh-host",
            Self::X509TargetCa => "x509-target-ca",
            Self::X509LoginCa => "x509-login-ca",
            Self::RecordingSeal => "recording-seal",
        }
    }

    const ALL: [Self; 7] = [
        Self::SshUserCa,
        Self::SshLoginCa,
        Self::SshHostCa,
        Self::SshHost,
        Self::X509TargetCa,
        Self::X509LoginCa,
        Self::RecordingSeal,
    ];

    /// Whether its files in `dir` are as they have to be, as far as that stands in clear in them.
    fn looks_good(self, dir: &Path) -> Result<(), OpenError> {
        let path = self.path(dir);
        let sealed = match file::sealed(dir, self) {
            // An authority that was made before there was one has none.
            Err(OpenError::Read { source, .. })
                if self == Self::SshHost && source.kind() == io::ErrorKind::NotFound =>
            {
                return Ok(());
            }
            other => other?,
        };
        let key = sealed.public_key().key_data();
        match self {
            Self::SshHost | Self::RecordingSeal if key.is_ed25519() => Ok(()),
            // An authority that was made with Ed25519 keys keeps them.
            Self::SshUserCa | Self::SshLoginCa | Self::SshHostCa
                if point(key).is_some() || key.is_ed25519() =>
            {
                Ok(())
            }
            Self::X509TargetCa | Self::X509LoginCa => {
                let point = point(key).ok_or(OpenError::Kind { path })?;
                let path = certificate_path(dir, self);
                let pem = certificate(&path)?;
                let is_its = Anchor::is_about(&pem, point);
                is_its.then_some(()).ok_or(OpenError::Certificate { path })
            }
            Self::SshHost
            | Self::RecordingSeal
            | Self::SshUserCa
            | Self::SshLoginCa
            | Self::SshHostCa => Err(OpenError::Kind { path }),
        }
    }

    /// What is written behind a public key as its comment, and into a CA's name.
    fn comment(self) -> String {
        format!("tidegate {}", self.as_str())
    }

    fn path(self, dir: &Path) -> PathBuf {
        dir.join(format!("{}-{GENERATION}", self.as_str()))
    }
}

impl fmt::Display for KeyName {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(self.as_str())
    }
}

impl Serialize for KeyName {
    fn serialize<S: Serializer>(&self, serializer: S) -> Result<S::Ok, S::Error> {
        serializer.serialize_str(self.as_str())
    }
}

/// Why an authority could not be made.
#[derive(Debug, thiserror::Error)]
pub enum CreateError {
    /// There is something already; an authority is never overwritten.
    #[error("make certificate authority in `{}`: there is something already", path.display())]
    Exists {
        /// Where.
        path: PathBuf,
    },
    /// A directory or file could not be written.
    #[error("write `{}`", path.display())]
    Write {
        /// Which.
        path: PathBuf,
        /// What the system said.
        source: io::Error,
    },
    /// A key could not be drawn or encrypted.
    #[error("make the key `{0}`")]
    Key(KeyName),
    /// A CA's own certificate could not be made.
    #[error("make the certificate of `{0}`")]
    Certificate(KeyName),
    /// What was written could not be opened again.
    #[error("open what was just written")]
    ReadBack(#[from] OpenError),
}

/// Why an authority could not be opened.
#[derive(Debug, thiserror::Error)]
pub enum OpenError {
    /// A file could not be read.
    #[error("read `{}`", path.display())]
    Read {
        /// Which.
        path: PathBuf,
        /// What the system said.
        source: io::Error,
    },
    /// A key file can be read by others than its owner.
    #[error("`{}` can be read by others (mode {mode:04o}); chmod 0600 it", path.display())]
    Exposed {
        /// Which.
        path: PathBuf,
        /// Its permission bits.
        mode: u32,
    },
    /// A key file is not one.
    #[error("`{}` is not an OpenSSH private key", path.display())]
    Format {
        /// Which.
        path: PathBuf,
    },
    /// A key file is not encrypted.
    #[error("`{}` is not encrypted", path.display())]
    Plain {
        /// Which.
        path: PathBuf,
    },
    /// The passphrase does not open a key file, or the file is damaged.
    #[error("the passphrase does not open `{}`", path.display())]
    Passphrase {
        /// Which.
        path: PathBuf,
    },
    /// A key is another than its name says, or of another kind.
    #[error("the key in `{}` is not the one of that name", path.display())]
    Kind {
        /// Which.
        path: PathBuf,
    },
    /// A CA certificate is not one, or not one of the key beside it.
    #[error("`{}` is not the certificate of the key beside it", path.display())]
    Certificate {
        /// Which.
        path: PathBuf,
    },
}

/// All keys, ready to sign.
#[derive(Debug)]
pub(crate) struct Keys {
    pub(crate) ssh_user_ca: SshCaKey,
    pub(crate) ssh_login_ca: SshCaKey,
    pub(crate) ssh_host_ca: SshCaKey,
    /// An authority that was made before there was one has none.
    pub(crate) ssh_host: Option<PrivateKey>,
    pub(crate) recording_seal: Ed25519Key,
    pub(crate) x509_target_ca: Anchor,
    pub(crate) x509_login_ca: Anchor,
}

impl Keys {
    /// Makes all keys in `dir`, which must not exist or be empty.
    ///
    /// They are written beside it and moved there at the end: after a crash there is no half of an
    /// authority.
    pub(crate) fn create(
        dir: &Path,
        passphrase: &Passphrase,
        now: Timestamp,
        rng: &mut (dyn CryptoRng + Send),
    ) -> Result<(), CreateError> {
        let taken = fs::read_dir(dir).is_ok_and(|mut entries| entries.next().is_some());
        if taken || dir.is_file() {
            return Err(CreateError::Exists {
                path: dir.to_owned(),
            });
        }
        let aside = aside(dir);
        let failed = |path: &Path| {
            let path = path.to_owned();
            move |source| CreateError::Write { path, source }
        };
        if let Some(parent) = dir.parent() {
            fs::create_dir_all(parent).map_err(failed(parent))?;
        }
        fs::DirBuilder::new()
            .mode(0o700)
            .create(&aside)
            .map_err(failed(&aside))?;
        let made = Self::fill(&aside, passphrase, now, rng)
            .and_then(|()| fs::rename(&aside, dir).map_err(failed(dir)));
        if made.is_err() {
            // It would be in the way of the next attempt. What cannot be removed, that one names.
            drop(fs::remove_dir_all(&aside));
        }
        made?;
        dir.parent().map_or(Ok(()), |parent| {
            file::sync_directory(parent).map_err(failed(parent))
        })
    }

    /// Makes all keys in a directory of their own.
    fn fill(
        aside: &Path,
        passphrase: &Passphrase,
        now: Timestamp,
        rng: &mut (dyn CryptoRng + Send),
    ) -> Result<(), CreateError> {
        for name in [KeyName::RecordingSeal, KeyName::SshHost] {
            let private = Ed25519Key::generate(rng, &name.comment())
                .map_err(|_refused| CreateError::Key(name))?;
            file::write(aside, name, &private, passphrase, rng)?;
        }
        for name in [KeyName::SshUserCa, KeyName::SshLoginCa, KeyName::SshHostCa] {
            let private =
                P256Key::generate(&name.comment()).map_err(|_refused| CreateError::Key(name))?;
            file::write(aside, name, &private, passphrase, rng)?;
        }
        for name in [KeyName::X509TargetCa, KeyName::X509LoginCa] {
            let private =
                P256Key::generate(&name.comment()).map_err(|_refused| CreateError::Key(name))?;
            file::write(aside, name, &private, passphrase, rng)?;
            let key = P256Key::from_private(&private).ok_or(CreateError::Key(name))?;
            let serial = draw_octets(rng);
            let certificate = Anchor::self_signed(&key, &name.comment(), serial, now)
                .map_err(|_refused| CreateError::Certificate(name))?;
            file::write_public(&certificate_path(aside, name), &certificate)?;
        }
        file::sync_directory(aside).map_err(|source| CreateError::Write {
            path: aside.to_owned(),
            source,
        })
    }

    /// Reads all keys from `dir`.
    pub(crate) fn open(dir: &Path, passphrase: &Passphrase) -> Result<Self, OpenError> {
        let ssh = |name: KeyName| {
            let private = file::read(dir, name, passphrase)?;
            SshCaKey::from_private(&private).ok_or_else(|| OpenError::Kind {
                path: name.path(dir),
            })
        };
        let seal = file::read(dir, KeyName::RecordingSeal, passphrase)?;
        let x509 = |name: KeyName| {
            let private = file::read(dir, name, passphrase)?;
            let key = P256Key::from_private(&private).ok_or_else(|| OpenError::Kind {
                path: name.path(dir),
            })?;
            let path = certificate_path(dir, name);
            let pem = certificate(&path)?;
            Anchor::read(key, &pem).map_err(|_refused| OpenError::Certificate { path })
        };
        let path = KeyName::SshHost.path(dir);
        // What cannot be looked at is not taken for missing: clients would be shown another key.
        let kept = path
            .try_exists()
            .map_err(|source| OpenError::Read { path, source })?;
        let ssh_host = if kept {
            let private = file::read(dir, KeyName::SshHost, passphrase)?;
            let known = private.algorithm() == Algorithm::Ed25519;
            known
                .then_some(private)
                .ok_or_else(|| OpenError::Kind {
                    path: KeyName::SshHost.path(dir),
                })
                .map(Some)?
        } else {
            None
        };
        Ok(Self {
            ssh_user_ca: ssh(KeyName::SshUserCa)?,
            ssh_login_ca: ssh(KeyName::SshLoginCa)?,
            ssh_host_ca: ssh(KeyName::SshHostCa)?,
            ssh_host,
            recording_seal: Ed25519Key::from_private(&seal).ok_or_else(|| OpenError::Kind {
                path: KeyName::RecordingSeal.path(dir),
            })?,
            x509_target_ca: x509(KeyName::X509TargetCa)?,
            x509_login_ca: x509(KeyName::X509LoginCa)?,
        })
    }

    /// What is wrong with the files in `dir` that can be seen without the passphrase.
    pub(crate) fn look(dir: &Path) -> Vec<OpenError> {
        if let Err(source) = fs::read_dir(dir) {
            let path = dir.to_owned();
            return vec![OpenError::Read { path, source }];
        }
        let looked = KeyName::ALL.into_iter().map(|name| name.looks_good(dir));
        looked.filter_map(Result::err).collect()
    }

    /// What standing credentials are sealed with.
    pub(crate) fn vault_key(&self) -> &Zeroizing<[u8; 32]> {
        self.ssh_user_ca.drawn()
    }

    /// The key of this name, if it is an SSH CA.
    pub(crate) fn ssh(&self, name: KeyName) -> Option<&SshCaKey> {
        match name {
            KeyName::SshUserCa => Some(&self.ssh_user_ca),
            KeyName::SshLoginCa => Some(&self.ssh_login_ca),
            KeyName::SshHostCa => Some(&self.ssh_host_ca),
            KeyName::SshHost
            | KeyName::X509TargetCa
            | KeyName::X509LoginCa
            | KeyName::RecordingSeal => None,
        }
    }

    /// The key of this name, if it is an X.509 CA.
    pub(crate) fn x509(&self, name: KeyName) -> Option<&Anchor> {
        match name {
            KeyName::X509TargetCa => Some(&self.x509_target_ca),
            KeyName::X509LoginCa => Some(&self.x509_login_ca),
            KeyName::SshUserCa
            | KeyName::SshLoginCa
            | KeyName::SshHostCa
            | KeyName::SshHost
            | KeyName::RecordingSeal => None,
        }
    }
}

/// A CA's certificate as it lies beside its key.
fn certificate(path: &Path) -> Result<String, OpenError> {
    fs::read_to_string(path).map_err(|source| OpenError::Read {
        path: path.to_owned(),
        source,
    })
}

/// The point of a key of P-256.
fn point(key: &KeyData) -> Option<&[u8]> {
    match key.ecdsa()? {
        EcdsaPublicKey::NistP256(point) => Some(point.as_bytes()),
        EcdsaPublicKey::NistP384(_) | EcdsaPublicKey::NistP521(_) => None,
    }
}

fn certificate_path(dir: &Path, name: KeyName) -> PathBuf {
    name.path(dir).with_extension("crt")
}

/// Where an authority is written before it is moved to `dir`.
fn aside(dir: &Path) -> PathBuf {
    let mut name = dir.file_name().unwrap_or_default().to_owned();
    name.push(".new");
    dir.with_file_name(name)
}

#[cfg(test)]
mod tests;
