//! Signatures made by an SSH key over a text (SSHSIG): how a person proves a key to the login
//! endpoint, as `ssh-keygen -Y sign` makes them.
//!
//! Source: `PROTOCOL.sshsig` of OpenSSH. Decides nothing about who the key belongs to.

use russh::keys::ssh_key::{self, LineEnding, Signature, SshSig};
use russh::keys::{Algorithm, HashAlg, PrivateKey, PublicKey};

use crate::{fingerprint, strength};

/// What a login's signature is made for. A signature made for anything else proves nothing here.
pub const LOGIN_NAMESPACE: &str = "tidegate-login-2";

/// What it was made for by older clients, which signed the challenge alone. Proves nothing any more
/// (decision 42).
pub const LOGIN_NAMESPACE_1: &str = "tidegate-login";

/// What every envelope begins with.
const MAGIC: &[u8] = b"SSHSIG";

/// What every challenge begins with.
const CHALLENGE: &str = "tidegate login ";

/// The longest armoured signature we look at, in bytes. One by an RSA key of 16384 bits has fewer
/// than 6000.
pub const ARMOURED_MAX: usize = 8192;

/// The key did not sign this, or not in a way that we believe.
#[derive(Debug, Clone, Copy, PartialEq, Eq, thiserror::Error)]
pub enum SignatureRefused {
    /// It is longer than any good one.
    #[error("the signature is longer than {ARMOURED_MAX} bytes")]
    Long,
    /// It is not an armoured SSH signature.
    #[error("the signature cannot be read")]
    Unreadable,
    /// The key's kind or size, or the digest signed, is too weak to prove anything.
    #[error("the key or its signature is of a kind that is not accepted")]
    Weak,
    /// It is not this key's signature of this message for this namespace.
    #[error("the signature is not by this key over this message")]
    Wrong,
}

/// Making a signature failed.
#[derive(Debug, thiserror::Error)]
#[error("sign with the SSH key")]
pub struct SignError(#[from] ssh_key::Error);

/// Checks that `key` made the armoured signature over `message` for `namespace`.
///
/// Refused whatever the mathematics say: DSA, RSA under 2048 bits, and RSA with SHA-1.
pub fn verify(
    key: &PublicKey,
    namespace: &str,
    message: &[u8],
    armoured: &str,
) -> Result<(), SignatureRefused> {
    if armoured.len() > ARMOURED_MAX {
        return Err(SignatureRefused::Long);
    }
    let signature = SshSig::from_pem(armoured).map_err(|_odd| SignatureRefused::Unreadable)?;
    if strength::believe(key.key_data()).is_err()
        || matches!(
            signature.algorithm(),
            Algorithm::Dsa | Algorithm::Rsa { hash: None }
        )
    {
        return Err(SignatureRefused::Weak);
    }
    key.verify(namespace, message, &signature)
        .map_err(|_wrong| SignatureRefused::Wrong)?;
    if was_touched(signature.signature()) {
        Ok(())
    } else {
        Err(SignatureRefused::Wrong)
    }
}

/// Whether somebody was there, as far as a key asks: one in a token says whether it was touched, in the
/// first of the flags before its counter (PROTOCOL.u2f of OpenSSH, "SSH U2F signatures").
fn was_touched(signature: &Signature) -> bool {
    let in_token = matches!(
        signature.algorithm(),
        Algorithm::SkEd25519 | Algorithm::SkEcdsaSha2NistP256
    );
    let flags = signature.as_bytes().iter().rev().nth(4);
    !in_token || flags.is_some_and(|flags| flags & 1 == 1)
}

/// As [`verify`], for a key in OpenSSH's one-line form.
pub fn verify_line(
    key: &str,
    namespace: &str,
    message: &[u8],
    armoured: &str,
) -> Result<(), SignatureRefused> {
    let key = PublicKey::from_openssh(key).map_err(|_odd| SignatureRefused::Unreadable)?;
    verify(&key, namespace, message, armoured)
}

/// Signs `message` for `namespace` with a key at hand. The result is armoured.
pub fn sign(key: &PrivateKey, namespace: &str, message: &[u8]) -> Result<String, SignError> {
    let signature = key.sign(namespace, HashAlg::Sha512, message)?;
    Ok(signature.to_pem(LineEnding::LF)?)
}

/// What is signed to log in. The client puts it together itself, so that a signature is good at the
/// bastion that the client believes, and for the keys that the client made, whoever handed out the
/// challenge: its CA's fingerprint, then the digests of the fresh SSH key's line and of the signing
/// request. Nothing where the challenge is not of the form that bastions give: no other text is signed.
pub fn login_text(
    challenge: &str,
    ca_fingerprint: &str,
    ssh_public_key: &str,
    csr: &str,
) -> Option<String> {
    if !is_challenge(challenge) || !fingerprint::is_one(ca_fingerprint) {
        return None;
    }
    let (ssh, csr) = (
        fingerprint::of(ssh_public_key.as_bytes()),
        fingerprint::of(csr.as_bytes()),
    );
    Some(format!(
        "tidegate login 2\n{challenge}\n{ca_fingerprint}\n{ssh}\n{csr}\n"
    ))
}

/// Whether it is a nonce, a time and a mark, in hexadecimal, behind what all begin with.
fn is_challenge(text: &str) -> bool {
    let Some(rest) = text.strip_prefix(CHALLENGE) else {
        return false;
    };
    let parts: Vec<&str> = rest.splitn(4, '.').collect();
    let [nonce, after, mark] = parts.as_slice() else {
        return false;
    };
    let digits = |part: &&str| part.bytes().all(|byte| byte.is_ascii_hexdigit());
    nonce.len() == 32
        && (1..=16).contains(&after.len())
        && mark.len() == 64
        && parts.iter().all(digits)
}

/// Whether an armoured signature says that it was made for this namespace. Proves nothing.
pub fn is_for(armoured: &str, namespace: &str) -> bool {
    armoured.len() <= ARMOURED_MAX
        && SshSig::from_pem(armoured).is_ok_and(|signature| signature.namespace() == namespace)
}

/// Whether these bytes, once signed, could be a login at a tidegate of this version, an older or a
/// later one. A signature covers all of its bytes, and whoever checks one puts together what begins so:
/// nothing can stand before it.
pub fn is_login(signed: &[u8]) -> bool {
    let Some(rest) = signed.strip_prefix(MAGIC) else {
        return false;
    };
    let named = rest.split_first_chunk::<4>().and_then(|(length, rest)| {
        let length = usize::try_from(u32::from_be_bytes(*length)).ok()?;
        rest.get(..length)
    });
    // An envelope whose namespace cannot be read is no signature of anything else either.
    named.is_none_or(|name| name.starts_with(LOGIN_NAMESPACE_1.as_bytes()))
}

/// The bytes that an agent has to sign so that [`armour`] can make a signature of the result.
pub fn enveloped(namespace: &str, message: &[u8]) -> Result<Vec<u8>, SignError> {
    Ok(SshSig::signed_data(namespace, HashAlg::Sha512, message)?)
}

/// Armours what an agent signed.
pub fn armour(key: &PublicKey, namespace: &str, signature: Signature) -> Result<String, SignError> {
    let whole = SshSig::new(
        key.key_data().clone(),
        namespace,
        HashAlg::Sha512,
        signature,
    )?;
    Ok(whole.to_pem(LineEnding::LF)?)
}

#[cfg(test)]
mod tests {
    use super::*;

    fn key(seed: u8) -> PrivateKey {
        ssh_key::private::Ed25519Keypair::from_seed(&[seed; 32]).into()
    }

    #[track_caller]
    fn check(namespace: &str, message: &str, by: u8, want: Result<(), SignatureRefused>) {
        let armoured = sign(&key(by), namespace, message.as_bytes()).unwrap();
        let got = verify(
            key(1).public_key(),
            LOGIN_NAMESPACE,
            b"challenge",
            &armoured,
        );
        assert_eq!(got, want);
    }

    #[test]
    fn a_key_in_a_token_has_to_be_touched() {
        let by = |algorithm, length, flags: u8| {
            let data = [vec![7; length], vec![flags, 0, 0, 0, 9]].concat();
            was_touched(&Signature::new(algorithm, data).unwrap())
        };
        for (flags, want) in [(0, false), (1, true), (4, false), (5, true)] {
            assert_eq!(by(Algorithm::SkEd25519, 64, flags), want, "{flags}");
        }
        let plain = Signature::new(Algorithm::Ed25519, vec![0; 64]).unwrap();
        assert!(was_touched(&plain));
    }

    fn challenge() -> String {
        format!("tidegate login {}.1f.{}", "0".repeat(32), "a".repeat(64))
    }

    #[test]
    fn what_is_signed_to_log_in_names_the_bastion_and_the_fresh_keys() {
        let (one, two) = (fingerprint::of(b"one"), fingerprint::of(b"two"));
        let text = |ca: &str, ssh, csr| login_text(&challenge(), ca, ssh, csr).unwrap();
        let mine = text(&one, "ssh", "csr");
        assert!(mine.starts_with(&format!("tidegate login 2\n{}\n{one}\n", challenge())));
        for other in [
            text(&two, "ssh", "csr"),
            text(&one, "other", "csr"),
            text(&one, "ssh", "other"),
            text(&one, "csr", "ssh"),
        ] {
            assert_ne!(mine, other);
        }
        assert_eq!(login_text(&challenge(), "one", "ssh", "csr"), None);
    }

    #[test]
    fn a_challenge_of_another_form_is_not_signed() {
        let good = challenge();
        for odd in [
            "",
            "tidegate login ",
            "I owe you",
            &good.replace("login", "log in"),
            &good.replace('.', "\n"),
            &format!("{good}\n"),
            &format!("{good}.0"),
            &format!(" {good}"),
            &good.replace('a', "g"),
            &good.replace("1f", ""),
        ] {
            let text = login_text(odd, &fingerprint::of(b"ca"), "ssh", "csr");
            assert_eq!(text, None, "{odd:?}");
        }
    }

    #[test]
    fn what_could_become_a_login_is_told_from_other_signatures() {
        for (namespace, want) in [
            (LOGIN_NAMESPACE, true),
            (LOGIN_NAMESPACE_1, true),
            ("tidegate-login-3", true),
            ("git", false),
            ("file", false),
            ("x-tidegate-login", false),
        ] {
            let bytes = enveloped(namespace, b"x").unwrap();
            assert_eq!(is_login(&bytes), want, "{namespace}");
            let armoured = sign(&key(1), namespace, b"x").unwrap();
            assert!(is_for(&armoured, namespace));
            assert_eq!(is_for(&armoured, "git"), namespace == "git");
        }
        assert!(is_login(b"SSHSIG\0\0"));
        assert!(!is_login(b""));
        assert!(!is_login(b"SSHSI"));
        assert!(!is_login(b"\0\0\0\x20 a session's id"));
    }

    #[test]
    fn a_key_proves_itself_by_signing_the_challenge() {
        check(LOGIN_NAMESPACE, "challenge", 1, Ok(()));
    }

    #[test]
    fn another_key_message_or_namespace_proves_nothing() {
        check(
            LOGIN_NAMESPACE,
            "challenge",
            2,
            Err(SignatureRefused::Wrong),
        );
        check(
            LOGIN_NAMESPACE,
            "another challenge",
            1,
            Err(SignatureRefused::Wrong),
        );
        check("file", "challenge", 1, Err(SignatureRefused::Wrong));
    }

    #[test]
    fn what_an_agent_signs_is_the_same_signature() {
        use russh::keys::signature::Signer;
        let bytes = enveloped(LOGIN_NAMESPACE, b"challenge").unwrap();
        let armoured = armour(
            key(1).public_key(),
            LOGIN_NAMESPACE,
            key(1).try_sign(&bytes).unwrap(),
        )
        .unwrap();
        assert_eq!(
            verify(
                key(1).public_key(),
                LOGIN_NAMESPACE,
                b"challenge",
                &armoured
            ),
            Ok(())
        );
    }

    #[test]
    fn noise_and_too_much_of_it_are_told_apart_from_a_wrong_signature() {
        let refused = |text: &str| verify(key(1).public_key(), LOGIN_NAMESPACE, b"", text);
        assert_eq!(
            refused("not a signature"),
            Err(SignatureRefused::Unreadable)
        );
        assert_eq!(
            refused(&"x".repeat(ARMOURED_MAX + 1)),
            Err(SignatureRefused::Long)
        );
    }
}
