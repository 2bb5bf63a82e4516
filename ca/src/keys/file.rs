//! One key file: written once, encrypted, for its owner alone; and read back strictly.

use std::fs::{File, OpenOptions};
use std::io::{self, Read, Write};
use std::os::unix::fs::{MetadataExt, OpenOptionsExt};
use std::path::Path;

use russh::keys::PrivateKey;
use russh::keys::ssh_key::{Cipher, Kdf, LineEnding};
use zeroize::Zeroizing;

use super::{CreateError, KeyName, OpenError};
use crate::Passphrase;
use crate::rand_core::CryptoRng;

/// How often bcrypt stretches a passphrase that someone may have thought up. `ssh-keygen` of
/// OpenSSH 9.4 and later uses as many.
const ROUNDS: u32 = 24;

/// A generated passphrase has 256 bits of its own: stretching adds nothing.
const ROUNDS_GENERATED: u32 = 1;

/// The largest key file that is read, in bytes. Real ones have about 500.
const FILE_MAX: u64 = 16 * 1024;

/// Writes a key and, beside it, its public half.
pub(super) fn write(
    dir: &Path,
    name: KeyName,
    private: &PrivateKey,
    passphrase: &Passphrase,
    rng: &mut (dyn CryptoRng + Send),
) -> Result<(), CreateError> {
    let mut salt = vec![0; 16];
    rng.fill_bytes(&mut salt);
    let rounds = if passphrase.is_generated() {
        ROUNDS_GENERATED
    } else {
        ROUNDS
    };
    let kdf = Kdf::Bcrypt { salt, rounds };
    // AES-GCM, so that a damaged file and a wrong passphrase are both noticed.
    let text = private
        .encrypt_with(Cipher::Aes256Gcm, kdf, rng.next_u32(), passphrase.expose())
        .and_then(|encrypted| encrypted.to_openssh(LineEnding::LF))
        .map_err(|_refused| CreateError::Key(name))?;
    let path = name.path(dir);
    write_new(&path, text.as_bytes(), 0o600).map_err(|source| CreateError::Write {
        path: path.clone(),
        source,
    })?;
    let mut line = private
        .public_key()
        .to_openssh()
        .map_err(|_refused| CreateError::Key(name))?;
    line.push('\n');
    write_public(&path.with_extension("pub"), &line)
}

/// Writes something that anyone may read.
pub(super) fn write_public(path: &Path, text: &str) -> Result<(), CreateError> {
    write_new(path, text.as_bytes(), 0o644).map_err(|source| CreateError::Write {
        path: path.to_owned(),
        source,
    })
}

fn write_new(path: &Path, bytes: &[u8], mode: u32) -> io::Result<()> {
    let mut file = OpenOptions::new()
        .write(true)
        .create_new(true)
        .mode(mode)
        .open(path)?;
    file.write_all(bytes)?;
    file.sync_all()
}

/// Makes the names in a directory durable.
pub(super) fn sync_directory(dir: &Path) -> io::Result<()> {
    // The parent of a bare relative name is the empty path, which is the current directory.
    let dir = if dir.as_os_str().is_empty() {
        Path::new(".")
    } else {
        dir
    };
    File::open(dir)?.sync_all()
}

/// Reads the key of this name without decrypting it. Its public half stands in clear in front.
pub(super) fn sealed(dir: &Path, name: KeyName) -> Result<PrivateKey, OpenError> {
    let path = name.path(dir);
    let failed = |source| OpenError::Read {
        path: path.clone(),
        source,
    };
    let file = File::open(&path).map_err(failed)?;
    // Asked of the open file, so that it cannot be exchanged in between.
    let mode = file.metadata().map_err(failed)?.mode() & 0o7777;
    if mode & 0o077 != 0 {
        return Err(OpenError::Exposed { path, mode });
    }
    let mut text = Zeroizing::new(String::new());
    file.take(FILE_MAX)
        .read_to_string(&mut text)
        .map_err(failed)?;
    let Ok(encrypted) = PrivateKey::from_openssh(text.as_bytes()) else {
        return Err(OpenError::Format { path });
    };
    if !encrypted.is_encrypted() {
        return Err(OpenError::Plain { path });
    }
    Ok(encrypted)
}

/// Reads and decrypts the key of this name.
pub(super) fn read(
    dir: &Path,
    name: KeyName,
    passphrase: &Passphrase,
) -> Result<PrivateKey, OpenError> {
    let path = name.path(dir);
    let encrypted = sealed(dir, name)?;
    let private = encrypted
        .decrypt(passphrase.expose())
        .map_err(|_refused| OpenError::Passphrase { path: path.clone() })?;
    // The comment is among what is encrypted: a file that was laid under another name is noticed.
    if private.comment().as_bytes() != name.comment().as_bytes() {
        return Err(OpenError::Kind { path });
    }
    Ok(private)
}
