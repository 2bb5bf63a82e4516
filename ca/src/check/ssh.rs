//! Reads an SSH certificate byte by byte (`PROTOCOL.certkeys` of OpenSSH).

use std::net::IpAddr;

use russh::keys::PublicKey;
use russh::keys::signature::Verifier;
use russh::keys::ssh_key::Signature;
use russh::keys::ssh_key::public::{EcdsaPublicKey, KeyData};

use super::{same, unix};
use crate::intent::{Contents, Intent, Purpose};
use crate::ssh::{FORCE_COMMAND, SOURCE_ADDRESS, only};
use crate::{IssueError, Serial, ecdsa, fingerprint};

/// The fewest bytes of a nonce.
const NONCE_MIN: usize = 16;

/// Compares every field of the certificate with the intent and verifies its signature by `signer`.
/// Returns its SHA-256.
pub(crate) fn ssh(blob: &[u8], intent: &Intent, signer: &PublicKey) -> Result<String, IssueError> {
    let (
        Contents::Ssh {
            principals,
            source_address,
            force_command,
            extensions,
        },
        Serial::Ssh(serial),
    ) = (&intent.contents, intent.serial)
    else {
        return Err(IssueError::Mixed);
    };
    let mut rest = Reader(blob);
    let (plain, fields) = kind(rest.text()?)?;
    same(rest.string()?.len() >= NONCE_MIN, "nonce")?;
    let mut key = string(plain.as_bytes());
    for _field in 0..fields {
        key.extend(string(rest.string()?));
    }
    same(fingerprint::of(&key) == intent.fingerprint, "key")?;
    same(rest.u64()? == serial, "serial")?;
    let cert_type = if intent.purpose == Purpose::Host {
        2
    } else {
        1
    };
    same(rest.u32()? == cert_type, "type")?;
    same(rest.text()? == intent.key_id.as_str(), "key id")?;
    same(
        texts(rest.string()?)? == *principals && !principals.is_empty(),
        "principals",
    )?;
    same(rest.u64()? == unix(intent.valid_from)?, "start")?;
    same(rest.u64()? == unix(intent.expires_at)?, "end")?;
    same(
        rest.string()? == options(force_command.as_deref(), *source_address),
        "critical options",
    )?;
    let permits = extensions
        .iter()
        .flat_map(|one| [string(one.as_str().as_bytes()), string(b"")]);
    same(
        rest.string()? == permits.collect::<Vec<_>>().concat(),
        "extensions",
    )?;
    same(rest.string()?.is_empty(), "reserved field")?;
    same(rest.string()? == signer.to_bytes()?, "signing key")?;
    let length = blob.len().saturating_sub(rest.0.len());
    let body = blob.get(..length).ok_or(IssueError::Differs("length"))?;
    let signature = rest.string()?;
    same(rest.0.is_empty(), "length")?;
    verify(body, signature, signer)?;
    Ok(fingerprint::sha256_hex(blob))
}

/// The critical options as they have to be written.
fn options(force_command: Option<&str>, source_address: Option<IpAddr>) -> Vec<u8> {
    let option = |name: &str, value: &str| {
        let value = string(&string(value.as_bytes()));
        [string(name.as_bytes()), value].concat()
    };
    let command = force_command.map(|command| option(FORCE_COMMAND, command));
    let address = source_address.map(|address| option(SOURCE_ADDRESS, &only(address)));
    [command, address].into_iter().flatten().flatten().collect()
}

fn verify(body: &[u8], signature: &[u8], signer: &PublicKey) -> Result<(), IssueError> {
    let mut rest = Reader(signature);
    let own = signer.algorithm();
    same(rest.text()? == own.as_str(), "signature's kind")?;
    let signature = Signature::new(own, rest.string()?)?;
    same(rest.0.is_empty(), "signature's length")?;
    let key = signer.key_data();
    // Not by ssh-key, which takes several times as long, for each session (decision 25).
    let is_right = if let KeyData::Ecdsa(EcdsaPublicKey::NistP256(point)) = key {
        ecdsa::verify(point.as_bytes(), body, &signature)
    } else {
        key.verify(body, &signature).is_ok()
    };
    same(is_right, "signature")
}

/// The plain key's name and how many fields it has, each written like a string.
///
/// Source: RFC 4253 section 6.6, RFC 5656 section 3.1, RFC 8709 section 4, `PROTOCOL.u2f`.
fn kind(name: &str) -> Result<(&str, usize), IssueError> {
    let differs = IssueError::Differs("kind of key");
    let (plain, suffix) = match name.strip_suffix("-cert-v01@openssh.com") {
        Some(plain) if plain.starts_with("sk-") => (plain, "@openssh.com"),
        Some(plain) => (plain, ""),
        None => return Err(differs),
    };
    match (plain, suffix) {
        ("ssh-ed25519", "") => Ok(("ssh-ed25519", 1)),
        ("ssh-rsa", "") => Ok(("ssh-rsa", 2)),
        ("ecdsa-sha2-nistp256" | "ecdsa-sha2-nistp384" | "ecdsa-sha2-nistp521", "") => {
            Ok((plain, 2))
        }
        ("sk-ssh-ed25519", _) => Ok(("sk-ssh-ed25519@openssh.com", 2)),
        ("sk-ecdsa-sha2-nistp256", _) => Ok(("sk-ecdsa-sha2-nistp256@openssh.com", 3)),
        _unknown => Err(differs),
    }
}

fn texts(bytes: &[u8]) -> Result<Vec<&str>, IssueError> {
    let mut rest = Reader(bytes);
    let mut found = Vec::new();
    while !rest.0.is_empty() {
        found.push(rest.text()?);
    }
    Ok(found)
}

/// Bytes as they are written behind their length.
fn string(bytes: &[u8]) -> Vec<u8> {
    let length = u32::try_from(bytes.len()).unwrap_or(u32::MAX);
    [&length.to_be_bytes(), bytes].concat()
}

/// What is left to read (RFC 4251 section 5).
struct Reader<'a>(&'a [u8]);

impl<'a> Reader<'a> {
    fn array<const N: usize>(&mut self) -> Result<[u8; N], IssueError> {
        let (head, tail) = self
            .0
            .split_first_chunk()
            .ok_or(IssueError::Differs("length"))?;
        self.0 = tail;
        Ok(*head)
    }

    fn u32(&mut self) -> Result<u32, IssueError> {
        self.array().map(u32::from_be_bytes)
    }

    fn u64(&mut self) -> Result<u64, IssueError> {
        self.array().map(u64::from_be_bytes)
    }

    fn string(&mut self) -> Result<&'a [u8], IssueError> {
        let length =
            usize::try_from(self.u32()?).map_err(|_narrow| IssueError::Differs("length"))?;
        let (head, tail) = self
            .0
            .split_at_checked(length)
            .ok_or(IssueError::Differs("length"))?;
        self.0 = tail;
        Ok(head)
    }

    fn text(&mut self) -> Result<&'a str, IssueError> {
        str::from_utf8(self.string()?).map_err(|_odd| IssueError::Differs("text"))
    }
}
