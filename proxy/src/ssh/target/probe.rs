//! Looks at a target for an administrator: which host keys it has, to be pinned, and whether one that
//! was pinned lets us in. Nothing is trusted by this, and nothing is run there.

use std::sync::{Arc, Mutex, PoisonError};
use std::time::Duration;

use ca::PassKey;
use jiff::Timestamp;
use policies::words::api::Unseen;
use policies::words::pin::PinFault;
use policies::{Algorithms, Login, SshEndpoint};
use russh::client::{self, Handler};
use russh::keys::PublicKeyOrCertificate;
use russh::keys::{Algorithm, HashAlg, PublicKey};
use tokio::io::{AsyncRead, AsyncWrite};
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

/// What a look at a target came to.
#[derive(Debug)]
pub(crate) enum Looked {
    /// It has a key of this kind.
    Seen(SeenKey),
    /// It speaks SSH, and has none, or nothing else that is spoken here.
    Unspoken,
    /// It speaks something else.
    Other,
    /// It said nothing in time, or not enough.
    Silent,
    /// It closed before it had said anything.
    Closed,
}

/// Looks for a key of this kind.
pub(crate) async fn look<Io>(io: Io, kind: Algorithm, spoken: Algorithms) -> Looked
where
    Io: AsyncRead + AsyncWrite + Unpin + Send + 'static,
{
    let eye = Eye::default();
    let seen = Arc::clone(&eye.seen);
    let config = algorithms::client((vec![kind], Vec::new()), spoken);
    let (io, heard) = Overheard::new(io);
    // It always fails: the key is looked at and then declined.
    let declined = time::timeout(LOOK_LIMIT, client::connect_stream(config, io, eye)).await;
    tracing::debug!(ended = declined.is_ok(), "target.looked_at");
    let key = seen.lock().unwrap_or_else(PoisonError::into_inner).take();
    let Some(key) = key else {
        return match declined {
            Err(_elapsed) => Looked::Silent,
            Ok(Err(russh::Error::NoCommonAlgo { .. })) => Looked::Unspoken,
            Ok(_ended) if heard.is_nothing() => Looked::Closed,
            Ok(_ended) => Looked::Other,
        };
    };
    let bare = PublicKey::from(key.key_data().clone());
    let Ok(openssh) = bare.to_openssh() else {
        return Looked::Other;
    };
    Looked::Seen(SeenKey {
        openssh,
        fingerprint: bare.fingerprint(HashAlg::Sha256).to_string(),
        is_tidegate: heard
            .line()
            .is_some_and(|line| algorithms::is_tidegate(&line)),
    })
}

/// What the looks at one server came to together.
#[derive(Debug, Default)]
pub(crate) struct Sightings {
    keys: Vec<SeenKey>,
    unbelieved: Option<PinFault>,
    is_unspoken: bool,
}

impl Sightings {
    /// Takes what one look came to. A key by which nobody would be believed is left out: it would have nothing
    /// pinned of a server that has others.
    ///
    /// # Errors
    ///
    /// What it would take as long to find out for each kind.
    pub(crate) fn take(&mut self, looked: Looked) -> Result<(), Unseen> {
        let is_first = self.keys.is_empty() && self.unbelieved.is_none();
        match looked {
            Looked::Seen(seen) => match ca::pin::host_key(&seen.openssh) {
                Ok(()) => self.keys.push(seen),
                Err(fault) => self.unbelieved = Some(fault),
            },
            Looked::Silent if is_first => return Err(Unseen::Silent),
            Looked::Closed if is_first => return Err(Unseen::Closed),
            Looked::Unspoken => self.is_unspoken = true,
            Looked::Silent | Looked::Closed | Looked::Other => {}
        }
        Ok(())
    }

    /// The keys by which the server can be known.
    ///
    /// # Errors
    ///
    /// Why there is none.
    pub(crate) fn keys(self, spoken: Algorithms) -> Result<Vec<SeenKey>, Unseen> {
        match self.unbelieved {
            _some if !self.keys.is_empty() => Ok(self.keys),
            Some(fault) => Err(Unseen::Unbelieved(fault)),
            None if self.is_unspoken => Err(Unseen::NoAlgorithm(spoken)),
            None => Err(Unseen::Odd),
        }
    }
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

#[cfg(test)]
mod tests {
    use tokio::io::{AsyncReadExt, AsyncWriteExt};

    use super::*;

    /// What is found where a server says this and then closes, or goes on saying nothing.
    async fn looked(says: &'static [u8], then_closes: bool) -> Looked {
        let (near, mut far) = tokio::io::duplex(4096);
        let server = async move {
            far.write_all(says).await.unwrap();
            if !then_closes {
                return std::future::pending().await;
            }
            if !says.is_empty() {
                // It has heard who asks.
                let _heard = far.read_u8().await;
            }
        };
        let looking = look(near, Algorithm::Ed25519, Algorithms::Modern);
        let server = tokio::spawn(server);
        let looked = looking.await;
        server.abort();
        looked
    }

    #[tokio::test(start_paused = true)]
    async fn a_server_that_hangs_or_closes_is_told_from_one_that_speaks_something_else() {
        assert!(matches!(looked(b"", false).await, Looked::Silent));
        assert!(matches!(looked(b"", true).await, Looked::Closed));
        let other = looked(b"HTTP/1.1 400 Bad Request\r\n\r\n", true).await;
        assert!(matches!(other, Looked::Other), "{other:?}");
        let stops = looked(b"SSH-2.0-OpenSSH_9.2\r\n", false).await;
        assert!(matches!(stops, Looked::Silent), "{stops:?}");
    }

    const RSA_1024: &str = "ssh-rsa AAAAB3NzaC1yc2EAAAADAQABAAAAgQCnzztTzsHUpX+eeknR9ZFrXm63Mv5+ISHZjBP/H92Dg+aSv/zhW/Q7kGfcLOBmAcVGHOTDirh/ppx4n8CLHbi82S1/kq3kyphVGx4I3HwJE2x3ANHQ43UG/zTc96p7Mfjq9k+E7K+Yc/6L12KaT7GLCVVVES8mW1Wufu8koxBZSQ==";

    const ED25519: &str =
        "ssh-ed25519 AAAAC3NzaC1lZDI1NTE5AAAAIAABAgMEBQYHCAkKCwwNDg8QERITFBUWFxgZGhscHR4f";

    #[test]
    fn a_weak_key_is_left_out_where_the_server_has_another() {
        let seen = |line: &str| {
            Looked::Seen(SeenKey {
                openssh: line.to_owned(),
                fingerprint: String::new(),
                is_tidegate: false,
            })
        };
        let found = |looks: Vec<Looked>| {
            let mut found = Sightings::default();
            for looked in looks {
                found.take(looked)?;
            }
            let keys = found.keys(Algorithms::Modern)?;
            Ok(keys.into_iter().map(|key| key.openssh).collect::<Vec<_>>())
        };
        for looks in [
            vec![seen(RSA_1024), seen(ED25519)],
            vec![seen(ED25519), Looked::Unspoken, seen(RSA_1024)],
        ] {
            assert_eq!(found(looks), Ok(vec![ED25519.to_owned()]));
        }
        let short = Err(Unseen::Unbelieved(PinFault::Short { bits: 1024 }));
        assert_eq!(found(vec![Looked::Unspoken, seen(RSA_1024)]), short);
        assert_eq!(found(vec![seen(RSA_1024), Looked::Silent]), short);
        assert_eq!(found(vec![Looked::Silent]), Err(Unseen::Silent));
        let none = Err(Unseen::NoAlgorithm(Algorithms::Modern));
        assert_eq!(found(vec![Looked::Other, Looked::Unspoken]), none);
        assert_eq!(found(vec![Looked::Other]), Err(Unseen::Odd));
    }
}
