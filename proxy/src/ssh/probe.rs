//! Reads a target's host keys, so that an administrator can look at them and pin them. Nobody is
//! logged in, and nothing is trusted by this.

use std::sync::{Arc, Mutex, PoisonError};
use std::time::Duration;

use policies::HostPort;
use russh::client::{self, Handler};
use russh::keys::PublicKeyOrCertificate;
use russh::keys::{Algorithm, HashAlg, PublicKey};
use tokio::net::TcpStream;
use tokio::time;

use super::algorithms;

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

/// Why no host key could be read.
#[derive(Debug, thiserror::Error)]
pub enum ProbeError {
    /// Nobody answers there.
    #[error("connect to {addr}")]
    Connect {
        /// Where.
        addr: HostPort,
        /// What the system said.
        source: std::io::Error,
    },
    /// Somebody answers, and does not speak SSH in a way that we would.
    #[error("{addr} shows no host key of a kind that is accepted")]
    NoKey {
        /// Where.
        addr: HostPort,
    },
}

/// Reads every host key that the target has, one connection for each kind.
pub async fn host_keys(addr: &HostPort) -> Result<Vec<SeenKey>, ProbeError> {
    let kinds = algorithms::HOST_SIGNATURES
        .iter()
        .filter(|kind| **kind != OLDER_RSA);
    let mut seen = Vec::<SeenKey>::new();
    for kind in kinds {
        let connecting = TcpStream::connect((addr.host.as_str(), addr.port));
        let connected = match time::timeout(LOOK_LIMIT, connecting).await {
            Ok(connected) => connected,
            Err(_elapsed) => Err(std::io::ErrorKind::TimedOut.into()),
        };
        let stream = connected.map_err(|source| ProbeError::Connect {
            addr: addr.clone(),
            source,
        })?;
        if let Some(key) = look(stream, kind.clone()).await {
            seen.push(key);
        }
    }
    if seen.is_empty() {
        Err(ProbeError::NoKey { addr: addr.clone() })
    } else {
        Ok(seen)
    }
}

/// The same key as with SHA-512; one look at it is enough.
const OLDER_RSA: Algorithm = Algorithm::Rsa {
    hash: Some(HashAlg::Sha256),
};

/// The key of this kind, if the target has one.
async fn look(stream: TcpStream, kind: Algorithm) -> Option<SeenKey> {
    let eye = Eye::default();
    let seen = Arc::clone(&eye.seen);
    let config = algorithms::client(vec![kind], Vec::new());
    // It always fails: the key is looked at and then declined.
    let declined = time::timeout(LOOK_LIMIT, client::connect_stream(config, stream, eye)).await;
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
