//! Looks at a target for an administrator: which host keys it has, to be pinned, and whether one that
//! was pinned lets us in. Nothing is trusted by this, and nothing is run there.

use std::sync::{Arc, Mutex, PoisonError};
use std::time::Duration;

use ca::PassKey;
use jiff::Timestamp;
use policies::{Algorithms, Login, SshEndpoint};
use russh::Disconnect;
use russh::client::{self, Handler};
use russh::keys::PublicKeyOrCertificate;
use russh::keys::{Algorithm, HashAlg, PublicKey};
use tokio::time;

use super::hostkey::{HostKeyRefusal, Pin};
use super::{algorithms, entry};
use crate::session::protocol::ConnectError;
use crate::session::severable::Severable;

/// How long one look may take.
const LOOK_LIMIT: Duration = Duration::from_secs(5);

/// A host key that a target showed.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct SeenKey {
    /// One-line OpenSSH form, without comment: what is pinned.
    pub openssh: String,
    /// `SHA256:…`: what an administrator compares.
    pub fingerprint: String,
}

/// The kinds of host keys that are looked for, one connection for each.
pub(crate) fn kinds(spoken: Algorithms) -> Vec<Algorithm> {
    let mut kinds = algorithms::host_signatures(spoken);
    kinds.retain(|kind| *kind != OLDER_RSA);
    kinds
}

/// The same key as with SHA-512; one look at it is enough.
const OLDER_RSA: Algorithm = Algorithm::Rsa {
    hash: Some(HashAlg::Sha256),
};

/// The key of this kind, if the target has one.
pub(crate) async fn look(io: Severable, kind: Algorithm, spoken: Algorithms) -> Option<SeenKey> {
    let eye = Eye::default();
    let seen = Arc::clone(&eye.seen);
    let config = algorithms::client((vec![kind], Vec::new()), spoken);
    // It always fails: the key is looked at and then declined.
    let declined = time::timeout(LOOK_LIMIT, client::connect_stream(config, io, eye)).await;
    tracing::debug!(ended = declined.is_ok(), "target.looked_at");
    let key = seen.lock().unwrap_or_else(PoisonError::into_inner).take()?;
    let bare = PublicKey::from(key.key_data().clone());
    Some(SeenKey {
        openssh: bare.to_openssh().ok()?,
        fingerprint: bare.fingerprint(HashAlg::Sha256).to_string(),
    })
}

#[derive(Default)]
struct Eye {
    seen: Arc<Mutex<Option<PublicKey>>>,
}

impl Handler for Eye {
    type Error = russh::Error;

    async fn check_server_key(
        &mut self,
        shown: &PublicKeyOrCertificate,
    ) -> Result<bool, russh::Error> {
        *self.seen.lock().unwrap_or_else(PoisonError::into_inner) = Some(shown.public_key());
        Ok(false)
    }
}

/// Logs in at a target, and out again.
///
/// # Errors
///
/// When it cannot be reached, is not the one we know, or does not accept the certificate.
pub(crate) async fn enter(
    io: Severable,
    endpoint: &SshEndpoint,
    login: &Login,
    key: &PassKey,
    now: Timestamp,
) -> Result<(), ConnectError> {
    let entering = async {
        let impostor = |refused: HostKeyRefusal| ConnectError::Impostor(refused.to_string());
        let pin = Pin::read(endpoint).map_err(impostor)?;
        let (keys, certificates) = pin.algorithms(endpoint.algorithms);
        let config = algorithms::client((keys, certificates), endpoint.algorithms);
        let known = Known {
            pin,
            now,
            refusal: Arc::default(),
        };
        let refusal = Arc::clone(&known.refusal);
        let broken = |failed: russh::Error| {
            let mut refusal = refusal.lock().unwrap_or_else(PoisonError::into_inner);
            refusal.take().map_or_else(
                || ConnectError::Violation(failed.to_string()),
                |refused| ConnectError::Impostor(refused.to_string()),
            )
        };
        let mut handle = client::connect_stream(config, io, known)
            .await
            .map_err(&broken)?;
        let login = login.as_str();
        let answer = entry::enter(&mut handle, login, key)
            .await
            .map_err(&broken)?;
        let parted = handle.disconnect(Disconnect::ByApplication, "", "").await;
        tracing::debug!(ended = parted.is_ok(), "target.entered");
        match answer {
            Some(true) => Ok(()),
            Some(false) => Err(ConnectError::Refused(
                "it does not accept what tidegate showed".to_owned(),
            )),
            None => Err(ConnectError::Violation("the key is not for SSH".to_owned())),
        }
    };
    let entered = time::timeout(LOOK_LIMIT, entering).await;
    entered.unwrap_or_else(|_elapsed| Err(ConnectError::Io(std::io::ErrorKind::TimedOut.into())))
}

/// Believes the target that was pinned.
struct Known {
    pin: Pin,
    now: Timestamp,
    refusal: Arc<Mutex<Option<HostKeyRefusal>>>,
}

impl Handler for Known {
    type Error = russh::Error;

    async fn check_server_key(
        &mut self,
        shown: &PublicKeyOrCertificate,
    ) -> Result<bool, russh::Error> {
        let judged = self.pin.judge(shown, self.now);
        let good = judged.is_ok();
        *self.refusal.lock().unwrap_or_else(PoisonError::into_inner) = judged.err();
        Ok(good)
    }
}
