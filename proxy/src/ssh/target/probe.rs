//! Looks at a target for an administrator: which host keys it has, to be pinned, and whether one that
//! was pinned lets us in. Nothing is trusted by this, and nothing is run there.

use std::sync::{Arc, Mutex, PoisonError};
use std::time::Duration;

use ca::PassKey;
use jiff::Timestamp;
use policies::{Algorithms, Login, SshEndpoint};
use russh::client::{self, Handler};
use russh::keys::PublicKeyOrCertificate;
use russh::keys::{Algorithm, HashAlg, PublicKey};
use tokio::time;

use super::back::Back;
use super::overhear::Overheard;
use crate::session::protocol::ConnectError;
use crate::session::severable::Severable;
use crate::ssh::algorithms;

/// How long one look may take.
const LOOK_LIMIT: Duration = Duration::from_secs(5);

/// A host key that a target showed.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct SeenKey {
    /// One-line OpenSSH form, without comment: what is pinned.
    pub openssh: String,
    /// `SHA256:…`: what an administrator compares.
    pub fingerprint: String,
    /// Whether it calls itself a tidegate.
    pub is_tidegate: bool,
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
    let (io, heard) = Overheard::new(io);
    // It always fails: the key is looked at and then declined.
    let declined = time::timeout(LOOK_LIMIT, client::connect_stream(config, io, eye)).await;
    tracing::debug!(ended = declined.is_ok(), "target.looked_at");
    let key = seen.lock().unwrap_or_else(PoisonError::into_inner).take()?;
    let bare = PublicKey::from(key.key_data().clone());
    Some(SeenKey {
        openssh: bare.to_openssh().ok()?,
        fingerprint: bare.fingerprint(HashAlg::Sha256).to_string(),
        is_tidegate: heard
            .line()
            .is_some_and(|line| algorithms::is_tidegate(&line)),
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
        let flow = Arc::default();
        let back = Back::enter(io, (endpoint, login), key, (&flow, now)).await?;
        back.leave().await;
        Ok(())
    };
    let entered = time::timeout(LOOK_LIMIT, entering).await;
    entered.unwrap_or_else(|_elapsed| Err(ConnectError::Io(std::io::ErrorKind::TimedOut.into())))
}
