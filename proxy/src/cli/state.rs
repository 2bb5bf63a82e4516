//! What one person's login leaves on their machine: keys, certificates, whom to trust.
//!
//! One directory, mode 0700, every file 0600 and written whole or not at all. `ssh` and `psql` read
//! these files by themselves; that is all they need.

use std::fs::{self, DirBuilder, File, OpenOptions};
use std::io::{self, Write};
use std::os::unix::fs::{DirBuilderExt, OpenOptionsExt};
use std::path::{Path, PathBuf};

use jiff::Timestamp;
use policies::words::cli;
use policies::{HostPort, PrincipalName};
use serde::de::DeserializeOwned;
use serde::{Deserialize, Serialize};

use crate::cli::failure::{Exit, Failure};

/// The private key for `ssh`.
pub(crate) const SSH_KEY: &str = "ssh-key";
/// Its public half.
pub(crate) const SSH_PUBLIC: &str = "ssh-key.pub";
/// Its certificate; OpenSSH looks for it beside the key under this name.
pub(crate) const SSH_CERTIFICATE: &str = "ssh-key-cert.pub";
/// The private key for `psql` and the API.
pub(crate) const TLS_KEY: &str = "pg.key";
/// The same key in DER, PKCS#8: Java reads no other form.
pub(crate) const TLS_KEY_DER: &str = "pg.pk8";
/// Its certificate and what is above it.
pub(crate) const TLS_CERTIFICATE: &str = "pg.crt";
/// The CA of the bastion's own certificate.
pub(crate) const CA: &str = "ca.pem";
/// The CA of the bastion's host certificates.
pub(crate) const KNOWN_HOSTS: &str = "known_hosts";
/// Where the bastion is and until when the login holds.
const BASTION: &str = "bastion.json";
/// Where the bastion was that was logged out of.
const LAST: &str = "last.json";

/// The bastion that this machine is logged in at.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub(crate) struct Bastion {
    /// Its API, `https://HOST:PORT`.
    pub url: String,
    /// Who is logged in.
    pub principal: PrincipalName,
    /// When the certificates end.
    pub expires_at: Timestamp,
    /// The fingerprint of its CA.
    pub fingerprint: String,
    /// Where it speaks SSH.
    pub ssh: Option<HostPort>,
    /// Where it speaks PostgreSQL.
    pub postgres: Option<HostPort>,
}

/// The bastion that this machine was logged in at last. Nothing of it is secret.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub(crate) struct LastBastion {
    /// Its API.
    pub url: String,
    /// The fingerprint of its CA.
    pub fingerprint: String,
}

impl Bastion {
    /// Whether the login still holds. It is over at `expires_at`.
    pub(crate) fn valid(&self, now: Timestamp) -> bool {
        now < self.expires_at
    }
}

/// The state directory.
#[derive(Debug, Clone)]
pub(crate) struct State {
    dir: PathBuf,
}

impl State {
    /// Names it; nothing is touched yet.
    pub(crate) fn at(dir: &Path) -> Self {
        Self {
            dir: dir.to_path_buf(),
        }
    }

    /// Where a file of it is.
    pub(crate) fn path(&self, name: &str) -> PathBuf {
        self.dir.join(name)
    }

    /// The bastion of this machine's login, if there is one.
    pub(crate) fn bastion(&self) -> Result<Option<Bastion>, Failure> {
        self.parsed(BASTION)
    }

    /// The bastion that was logged out of, if nobody has logged in since.
    pub(crate) fn last(&self) -> Result<Option<LastBastion>, Failure> {
        self.parsed(LAST)
    }

    fn parsed<T: DeserializeOwned>(&self, name: &str) -> Result<Option<T>, Failure> {
        match fs::read(self.path(name)) {
            Err(error) if error.kind() == io::ErrorKind::NotFound => Ok(None),
            Err(error) => Err(self.failure("read", name, &error)),
            Ok(bytes) => serde_json::from_slice(&bytes)
                .map(Some)
                .map_err(|odd| self.failure("read", name, &io::Error::other(odd))),
        }
    }

    /// Reads a file of it.
    pub(crate) fn read(&self, name: &str) -> Result<Vec<u8>, Failure> {
        fs::read(self.path(name)).map_err(|error| self.failure("read", name, &error))
    }

    /// Keeps a login. `bastion.json` goes first and comes last, so an interrupted login is no
    /// login: not the one before either, whose keys may be gone.
    pub(crate) fn keep(&self, bastion: &Bastion, files: &[(&str, &[u8])]) -> Result<(), Failure> {
        self.ensure_dir()?;
        let _turn = self.turn();
        self.remove(BASTION)?;
        for (name, text) in files {
            self.write(name, text)?;
        }
        self.write_json(BASTION, bastion)?;
        self.remove(LAST)
    }

    /// Waits until nobody else writes here, and holds the place until it is dropped: of two logins at once the key of
    /// one would lie beside the certificate of the other. Where the file system has no locks there is no turn.
    fn turn(&self) -> Option<File> {
        let dir = File::open(&self.dir).ok()?;
        dir.lock().ok().map(|()| dir)
    }

    fn write_json(&self, name: &str, thing: &impl Serialize) -> Result<(), Failure> {
        let text = serde_json::to_vec_pretty(thing)
            .map_err(|odd| self.failure("write", name, &io::Error::other(odd)))?;
        self.write(name, &text)
    }

    /// Forgets the login with its keys and certificates. Which bastion it was stays, and by which CA
    /// it is known again.
    pub(crate) fn forget(&self) -> Result<(), Failure> {
        let _turn = self.turn();
        // One that cannot be read has to go all the same.
        if let Ok(Some(Bastion {
            url, fingerprint, ..
        })) = self.bastion()
        {
            self.write_json(LAST, &LastBastion { url, fingerprint })?;
        }
        let all = [
            BASTION,
            SSH_KEY,
            SSH_PUBLIC,
            SSH_CERTIFICATE,
            TLS_KEY,
            TLS_KEY_DER,
            TLS_CERTIFICATE,
            CA,
            KNOWN_HOSTS,
        ];
        all.into_iter().try_for_each(|name| self.remove(name))
    }

    /// Removes a file of it, if it is there.
    fn remove(&self, name: &str) -> Result<(), Failure> {
        match fs::remove_file(self.path(name)) {
            Err(error) if error.kind() != io::ErrorKind::NotFound => {
                Err(self.failure("remove", name, &error))
            }
            _gone => Ok(()),
        }
    }

    fn ensure_dir(&self) -> Result<(), Failure> {
        let made = DirBuilder::new()
            .recursive(true)
            .mode(0o700)
            .create(&self.dir);
        made.map_err(|error| self.failure("make", "", &error))
    }

    fn write(&self, name: &str, bytes: &[u8]) -> Result<(), Failure> {
        write_whole(&self.path(name), bytes, 0o600)
            .map_err(|error| self.failure("write", name, &error))
    }

    fn failure(&self, doing: &str, name: &str, error: &io::Error) -> Failure {
        let path = self.path(name);
        Failure::new(
            Exit::Error,
            cli::file(doing, &path.to_string_lossy(), &error.to_string()),
        )
    }
}

/// Writes a file so that its readers see the old text or the new one, never a part.
pub(crate) fn write_whole(path: &Path, bytes: &[u8], mode: u32) -> io::Result<()> {
    let mut beside = path.as_os_str().to_owned();
    beside.push(format!(".{}.new", std::process::id()));
    let beside = PathBuf::from(beside);
    let written = OpenOptions::new()
        .write(true)
        .create_new(true)
        .mode(mode)
        .open(&beside)
        .and_then(|mut file| file.write_all(bytes).and_then(|()| file.sync_all()))
        .and_then(|()| fs::rename(&beside, path));
    if written.is_err() {
        drop(fs::remove_file(&beside));
    }
    written
}

#[cfg(test)]
mod tests {
    use std::os::unix::fs::PermissionsExt;

    use super::*;

    fn bastion() -> Bastion {
        Bastion {
            url: "https://localhost:3443".into(),
            principal: PrincipalName::parse("alice").unwrap(),
            expires_at: Timestamp::from_second(100).unwrap(),
            fingerprint: "SHA256:abc".into(),
            ssh: None,
            postgres: None,
        }
    }

    fn scratch(name: &str) -> State {
        let dir =
            std::env::temp_dir().join(format!("tidegate-state-{name}-{}", std::process::id()));
        drop(fs::remove_dir_all(&dir));
        State::at(&dir)
    }

    #[test]
    fn a_login_is_kept_for_its_owner_alone() {
        let state = scratch("kept");
        state.keep(&bastion(), &[(SSH_KEY, b"secret")]).unwrap();
        let mode = |path: &Path| fs::metadata(path).unwrap().permissions().mode() & 0o777;
        assert_eq!(mode(&state.dir), 0o700);
        assert_eq!(mode(&state.path(SSH_KEY)), 0o600);
        assert_eq!(state.bastion().unwrap(), Some(bastion()));
        fs::remove_dir_all(&state.dir).unwrap();
    }

    #[test]
    fn of_a_login_that_is_forgotten_only_the_bastion_and_its_pin_stay() {
        let state = scratch("forgotten");
        let all = [
            SSH_KEY,
            SSH_PUBLIC,
            SSH_CERTIFICATE,
            TLS_KEY,
            TLS_KEY_DER,
            TLS_CERTIFICATE,
            CA,
            KNOWN_HOSTS,
        ];
        let files: Vec<(&str, &[u8])> = all.iter().map(|name| (*name, &b"secret"[..])).collect();
        state.keep(&bastion(), &files).unwrap();
        let last = LastBastion {
            url: bastion().url,
            fingerprint: bastion().fingerprint,
        };
        // Whoever logs out twice has not forgotten more.
        for _time in 0..2 {
            state.forget().unwrap();
            assert_eq!(state.bastion().unwrap(), None);
            assert_eq!(state.last().unwrap(), Some(last.clone()));
            let left = fs::read_dir(&state.dir).unwrap();
            let left: Vec<_> = left.map(|entry| entry.unwrap().file_name()).collect();
            assert_eq!(left, [LAST]);
        }
        state.keep(&bastion(), &files).unwrap();
        assert_eq!(state.last().unwrap(), None);
        fs::remove_dir_all(&state.dir).unwrap();
    }

    /// In two terminals, both of which were told that the login is over.
    #[test]
    fn of_two_logins_at_once_one_is_kept_whole() {
        let state = scratch("at-once");
        let names = [SSH_KEY, SSH_CERTIFICATE, TLS_KEY, TLS_CERTIFICATE];
        let log_in = |by: &[u8]| {
            let files = names.map(|name| (name, by));
            for _time in 0..20 {
                state.keep(&bastion(), &files).unwrap();
                let _turn = state.turn();
                let kept = names.map(|name| state.read(name).unwrap());
                assert!(kept.iter().all(|one| *one == kept[0]), "{kept:?}");
            }
        };
        std::thread::scope(|scope| {
            let first = scope.spawn(|| log_in(b"first"));
            let second = scope.spawn(|| log_in(b"second"));
            assert!(first.join().is_ok() && second.join().is_ok());
        });
        fs::remove_dir_all(&state.dir).unwrap();
    }

    #[test]
    fn an_interrupted_login_leaves_no_login_behind() {
        let state = scratch("interrupted");
        state.keep(&bastion(), &[(SSH_KEY, b"secret")]).unwrap();
        let again = state.keep(&bastion(), &[(SSH_KEY, b"new"), ("no/dir", b"")]);
        assert!(again.is_err());
        assert_eq!(state.bastion().unwrap(), None);
        fs::remove_dir_all(&state.dir).unwrap();
    }

    #[test]
    fn a_login_is_over_at_the_instant_it_expires() {
        let at = |second| Timestamp::from_second(second).unwrap();
        assert!(bastion().valid(at(99)));
        assert!(!bastion().valid(at(100)));
    }
}
