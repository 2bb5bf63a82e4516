//! The keys that can prove who someone is: those in an agent, and key files.
//!
//! Private keys are read to sign one login and are kept nowhere.

use std::path::{Path, PathBuf};
use std::time::Duration;

use ca::sshsig::{self, LOGIN_NAMESPACE};
use policies::words::cli::{self, doing};
use russh::keys::agent::AgentIdentity;
use russh::keys::agent::client::AgentClient;
use russh::keys::{HashAlg, PrivateKey, PublicKey};
use tokio::net::UnixStream;
use tokio::time::timeout;
use zeroize::Zeroizing;

use crate::cli::client::chain;
use crate::cli::failure::{Exit, Failure};
use crate::cli::prompt;
use crate::cli::surroundings::Surroundings;

/// How many keys are tried before giving up, as `MaxAuthTries` of `sshd_config(5)` has it.
pub(crate) const TRIES_MAX: usize = 6;

/// The key files that are tried when none is named, in this order.
const USUAL_FILES: [&str; 3] = ["id_ed25519", "id_ecdsa", "id_rsa"];

/// A key that can be asked to sign.
#[derive(Debug, Clone)]
pub(crate) enum Candidate {
    /// In the agent.
    Agent {
        /// Its public half.
        key: PublicKey,
        /// The agent's socket.
        socket: PathBuf,
    },
    /// In a file.
    File {
        /// Where.
        path: PathBuf,
    },
}

/// A candidate, opened.
#[derive(Debug)]
pub(crate) enum Signer {
    /// The agent signs.
    Agent {
        /// The public half.
        key: PublicKey,
        /// The agent's socket.
        socket: PathBuf,
    },
    /// We sign.
    File {
        /// The key.
        key: Box<PrivateKey>,
    },
}

/// The keys to try. A named file is the only one; else the agent's come first.
pub(crate) async fn candidates(
    surroundings: &Surroundings,
    named: Option<&Path>,
) -> Result<Vec<Candidate>, Failure> {
    if let Some(path) = named {
        return Ok(vec![Candidate::File {
            path: path.to_path_buf(),
        }]);
    }
    let mut all = match &surroundings.agent {
        Some(socket) => agent_keys(socket).await,
        None => Vec::new(),
    };
    let dir = surroundings.home.join(".ssh");
    let files = USUAL_FILES
        .iter()
        .map(|name| dir.join(name))
        .filter(|path| path.is_file());
    all.extend(files.map(|path| Candidate::File { path }));
    all.truncate(TRIES_MAX);
    if all.is_empty() {
        return Err(Failure::new(Exit::NotLoggedIn, cli::no_key_found()));
    }
    Ok(all)
}

/// How long an agent may take to say which keys it has. One that is lent from a machine that is gone takes for ever; to
/// sign with one it may well ask somebody.
const AGENT_LIMIT: Duration = Duration::from_secs(5);

/// An agent that does not answer has no keys.
async fn agent_keys(socket: &Path) -> Vec<Candidate> {
    let listed = async {
        let mut agent = AgentClient::connect(UnixStream::connect(socket).await.ok()?);
        agent.request_identities().await.ok()
    };
    let plain = |identity| match identity {
        AgentIdentity::PublicKey { key, .. } => Some(Candidate::Agent {
            key,
            socket: socket.to_path_buf(),
        }),
        AgentIdentity::Certificate { .. } => None,
    };
    let listed = timeout(AGENT_LIMIT, listed).await;
    listed
        .ok()
        .flatten()
        .unwrap_or_default()
        .into_iter()
        .filter_map(plain)
        .collect()
}

impl Candidate {
    /// Gets it ready to sign; asks for a passphrase where there is one and somebody to ask.
    pub(crate) async fn open(self, surroundings: &Surroundings) -> Result<Signer, Failure> {
        let path = match self {
            Self::Agent { key, socket } => return Ok(Signer::Agent { key, socket }),
            Self::File { path } => path,
        };
        let shown = path.to_string_lossy().into_owned();
        let odd =
            |found: &str| Failure::new(Exit::Error, cli::file(doing::READ_KEY, &shown, found));
        let text = std::fs::read_to_string(&path).map_err(|error| odd(&error.to_string()))?;
        let text = Zeroizing::new(text);
        let key = PrivateKey::from_openssh(text.as_bytes())
            .map_err(|_odd| Failure::new(Exit::Error, cli::not_a_private_key(&shown)))?;
        if !key.is_encrypted() {
            return Ok(Signer::File { key: Box::new(key) });
        }
        let passphrase = prompt::passphrase(surroundings, &shown).await?;
        let key = key
            .decrypt(passphrase.as_bytes())
            .map_err(|_wrong| Failure::new(Exit::Error, cli::wrong_passphrase(&shown)))?;
        Ok(Signer::File { key: Box::new(key) })
    }
}

impl Signer {
    /// The public half, one line without comment.
    pub(crate) fn public(&self) -> Result<String, Failure> {
        let mut key = match self {
            Self::Agent { key, .. } => key.clone(),
            Self::File { key } => key.public_key().clone(),
        };
        key.set_comment("");
        key.to_openssh().map_err(|odd| unsigned(&chain(&odd)))
    }

    /// Signs what logs in ([`sshsig::login_text`]). The result is armoured.
    pub(crate) async fn sign(&self, text: &str) -> Result<String, Failure> {
        match self {
            Self::File { key } => sshsig::sign(key, LOGIN_NAMESPACE, text.as_bytes())
                .map_err(|odd| unsigned(&chain(&odd))),
            Self::Agent { key, socket } => by_agent(key, socket, text).await,
        }
    }
}

async fn by_agent(key: &PublicKey, socket: &Path, text: &str) -> Result<String, Failure> {
    let odd = |error: &dyn std::error::Error| unsigned(&chain(error));
    let bytes = sshsig::enveloped(LOGIN_NAMESPACE, text.as_bytes()).map_err(|error| odd(&error))?;
    let stream = UnixStream::connect(socket)
        .await
        .map_err(|error| odd(&error))?;
    let hash = key.algorithm().is_rsa().then_some(HashAlg::Sha512);
    let signature = AgentClient::connect(stream)
        .sign_request_signature(key, hash, &bytes)
        .await
        .map_err(|error| odd(&error))?;
    sshsig::armour(key, LOGIN_NAMESPACE, signature).map_err(|error| odd(&error))
}

fn unsigned(found: &str) -> Failure {
    Failure::new(Exit::Error, cli::refused(doing::SIGN, found, None))
}
