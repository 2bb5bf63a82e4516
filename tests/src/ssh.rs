//! An SSH client inside the test's own process, for what OpenSSH does not do: a thousand at once,
//! one that does not read, one that misbehaves.

use std::net::SocketAddr;
use std::path::Path;
use std::sync::Arc;

use russh::client::{self, Handle};
use russh::keys::signature::Signer as _;
use russh::keys::{
    Certificate, PrivateKey, PublicKeyOrCertificate, load_openssh_certificate, load_secret_key,
};
use russh::{Channel, ChannelMsg};

/// A connection.
pub type SshClient = Handle<Trusting>;

/// Believes any host key: the tests' servers are on the loopback address, and whether stock clients
/// believe them is a story of its own.
#[derive(Debug, Clone, Copy)]
pub struct Trusting;

impl client::Handler for Trusting {
    type Error = russh::Error;

    async fn check_server_key(
        &mut self,
        _key: &PublicKeyOrCertificate,
    ) -> Result<bool, Self::Error> {
        Ok(true)
    }
}

/// What someone shows to log in.
#[derive(Debug, Clone)]
pub struct Identity {
    key: Arc<PrivateKey>,
    certificate: Certificate,
}

impl Identity {
    /// The login of a person, from the state directory.
    ///
    /// # Panics
    ///
    /// When the person is not logged in.
    pub fn of(state_dir: &Path) -> Self {
        let key = load_secret_key(state_dir.join("ssh-key"), None).expect("ssh-key is a key");
        let certificate = load_openssh_certificate(state_dir.join("ssh-key-cert.pub"))
            .expect("ssh-key-cert.pub is a certificate");
        Self {
            key: Arc::new(key),
            certificate,
        }
    }

    /// The certificate as it is sent.
    ///
    /// # Panics
    ///
    /// When it cannot be encoded.
    pub fn certificate_bytes(&self) -> Vec<u8> {
        self.certificate.to_bytes().expect("a certificate")
    }

    /// What the certificate's kind is called (`PROTOCOL.certkeys` of OpenSSH).
    pub fn certificate_kind(&self) -> String {
        self.certificate.algorithm().to_certificate_type()
    }

    /// A signature by the key, as it is sent (RFC 4253, section 6.6).
    ///
    /// # Panics
    ///
    /// When the key cannot sign.
    pub fn sign(&self, message: &[u8]) -> Vec<u8> {
        let signature = self.key.as_ref().try_sign(message);
        let signature = signature.expect("a key that signs");
        Vec::try_from(signature).expect("a signature")
    }

    /// Logs in with the certificate as `user`. Gives back the connection and whether it was let in.
    pub async fn login(
        &self,
        addr: SocketAddr,
        user: &str,
    ) -> Result<(SshClient, bool), russh::Error> {
        let mut handle = client::connect(config(), addr, Trusting).await?;
        let answer = handle
            .authenticate_openssh_cert(user, Arc::clone(&self.key), self.certificate.clone())
            .await?;
        Ok((handle, answer.success()))
    }
}

/// A client's settings: a window of 2 MiB, and one key exchange that costs little.
pub fn config() -> Arc<client::Config> {
    let mut config = client::Config {
        nodelay: true,
        inactivity_timeout: None,
        ..client::Config::default()
    };
    config.preferred.kex = vec![russh::kex::CURVE25519].into();
    Arc::new(config)
}

/// What a command answered.
#[derive(Debug, Default, Clone, PartialEq, Eq)]
pub struct Answer {
    /// What it wrote to its output.
    pub out: Vec<u8>,
    /// What it wrote beside it.
    pub err: Vec<u8>,
    /// Its exit status.
    pub status: Option<u32>,
}

/// Runs a command to its end.
pub async fn exec(handle: &SshClient, command: &str) -> Result<Answer, russh::Error> {
    let channel = handle.channel_open_session().await?;
    channel.exec(true, command).await?;
    Ok(answer(channel).await)
}

/// Reads a channel to its end.
pub async fn answer(mut channel: Channel<client::Msg>) -> Answer {
    let mut answer = Answer::default();
    while let Some(message) = channel.wait().await {
        #[expect(
            clippy::wildcard_enum_match_arm,
            reason = "the rest is none of an answer"
        )]
        match message {
            ChannelMsg::Data { data } => answer.out.extend_from_slice(&data),
            ChannelMsg::ExtendedData { data, .. } => answer.err.extend_from_slice(&data),
            ChannelMsg::ExitStatus { exit_status } => answer.status = Some(exit_status),
            _ => {}
        }
    }
    answer
}
