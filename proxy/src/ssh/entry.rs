//! Logs in at a target with whatever opens it: a certificate, or a key or password that is kept for it.

use std::sync::Arc;

use ca::PassKey;
use russh::MethodKind;
use russh::client::{AuthResult, Handle, Handler, KeyboardInteractiveAuthResponse as Reply};
use russh::keys::{HashAlg, PrivateKeyWithHashAlg};

/// How many times a server may ask before it has asked too often.
const ROUNDS_MAX: usize = 4;

/// Whether the target lets us in. None where the key is of another protocol.
///
/// # Errors
///
/// When the connection ends meanwhile.
pub(super) async fn enter<H: Handler>(
    handle: &mut Handle<H>,
    login: &str,
    key: &PassKey,
) -> Result<Option<bool>, russh::Error> {
    let answer = match key {
        PassKey::Ssh { key, certificate } => {
            handle
                .authenticate_openssh_cert(login, Arc::clone(key), certificate.clone())
                .await?
        }
        PassKey::StandingKey { key } => {
            // A server that does not say which it knows is older than all but the first.
            let hash = handle.best_supported_rsa_hash().await?;
            let hash = hash.unwrap_or(Some(HashAlg::Sha512));
            let key = PrivateKeyWithHashAlg::new(Arc::clone(key), hash);
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
                return asked(handle, login, text).await.map(Some);
            }
            answer
        }
        PassKey::Postgres { .. } => return Ok(None),
    };
    Ok(Some(matches!(answer, AuthResult::Success)))
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
