//! Logs in at a target with whatever opens it: a certificate, or a key or password that is kept for it.

use std::io;
use std::sync::Arc;

use ca::{PassKey, SigningError};
use policies::Algorithms;
use policies::words::entrance;
use russh::MethodKind;
use russh::client::{AuthResult, Handle, Handler, KeyboardInteractiveAuthResponse as Reply};
use russh::keys::{HashAlg, PrivateKeyWithHashAlg, ssh_key};

use crate::session::protocol::ConnectError;

/// How many times a server may ask before it has asked too often.
const ROUNDS_MAX: usize = 4;

/// Whether the target lets us in, and why not.
///
/// # Errors
///
/// When the connection ends meanwhile.
pub(super) async fn enter<H: Handler>(
    handle: &mut Handle<H>,
    login: &str,
    key: &PassKey,
    algorithms: Algorithms,
) -> Result<Result<(), ConnectError>, russh::Error> {
    let answer = match key {
        PassKey::Ssh { key, certificate } => {
            let mut signer = key;
            handle
                .authenticate_certificate_with(login, certificate.clone(), None, &mut signer)
                .await
                .map_err(unsigned)?
        }
        PassKey::StandingKey { key } => {
            let known = handle.best_supported_rsa_hash().await?;
            let key =
                PrivateKeyWithHashAlg::new(Arc::clone(key), rsa_hash(known.flatten(), algorithms));
            handle.authenticate_publickey(login, key).await?
        }
        PassKey::Password { text } => {
            let answer = handle.authenticate_password(login, text.as_str()).await?;
            let asks = match &answer {
                AuthResult::Failure {
                    remaining_methods, ..
                } => remaining_methods.contains(&MethodKind::KeyboardInteractive),
                AuthResult::Success => false,
            };
            if asks {
                let let_in = asked(handle, login, text).await?;
                return Ok(if let_in { Ok(()) } else { Err(refused()) });
            }
            answer
        }
        PassKey::Own => return Ok(Err(ConnectError::Direct)),
        PassKey::Postgres { .. } => {
            let not_ours = entrance::NOT_FOR_SSH.to_owned();
            return Ok(Err(ConnectError::Violation(not_ours)));
        }
    };
    Ok(judged(&answer))
}

fn unsigned(failed: SigningError) -> russh::Error {
    match failed {
        SigningError::Gone(_sending) => russh::Error::SendError,
        SigningError::Signature => ssh_key::Error::Crypto.into(),
    }
}

/// Without a way that is left russh says the same of a connection that is over; [`Fate`](super::fate::Fate) can tell.
fn judged(answer: &AuthResult) -> Result<(), ConnectError> {
    match answer {
        AuthResult::Success => Ok(()),
        AuthResult::Failure {
            remaining_methods, ..
        } if remaining_methods.is_empty() => {
            Err(ConnectError::Io(io::ErrorKind::UnexpectedEof.into()))
        }
        AuthResult::Failure { .. } => Err(refused()),
    }
}

/// A no.
pub(super) fn refused() -> ConnectError {
    ConnectError::Refused(entrance::REFUSED.to_owned())
}

/// By which digest an RSA key signs, given the best that the server says it knows (RFC 8308, section 3.1). One that
/// says nothing, or names `ssh-rsa` alone, gets SHA-1 where it may be spoken with as old equipment is,
/// and nowhere else.
fn rsa_hash(best: Option<HashAlg>, algorithms: Algorithms) -> Option<HashAlg> {
    match algorithms {
        Algorithms::Modern => best.or(Some(HashAlg::Sha512)),
        Algorithms::Legacy => best,
    }
}

/// Answers one hidden question with the password, and no other.
async fn asked<H: Handler>(
    handle: &mut Handle<H>,
    login: &str,
    password: &str,
) -> Result<bool, russh::Error> {
    let mut reply = handle
        .authenticate_keyboard_interactive_start(login, None)
        .await?;
    let mut answered = false;
    for _round in 0..ROUNDS_MAX {
        let answers = match &reply {
            Reply::Success => return Ok(true),
            Reply::Failure { .. } => return Ok(false),
            Reply::InfoRequest { prompts, .. } => match prompts.as_slice() {
                [] => Vec::new(),
                [only] if !only.echo && !answered => {
                    answered = true;
                    vec![password.to_owned()]
                }
                _other => return Ok(false),
            },
        };
        reply = handle
            .authenticate_keyboard_interactive_respond(answers)
            .await?;
    }
    Ok(matches!(reply, Reply::Success))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn sha_1_signs_at_old_equipment_alone() {
        assert_eq!(rsa_hash(None, Algorithms::Legacy), None);
        let modern = rsa_hash(None, Algorithms::Modern);
        assert_eq!(modern, Some(HashAlg::Sha512));
        for best in [HashAlg::Sha256, HashAlg::Sha512] {
            for algorithms in [Algorithms::Legacy, Algorithms::Modern] {
                assert_eq!(rsa_hash(Some(best), algorithms), Some(best));
            }
        }
    }
}
