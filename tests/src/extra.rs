//! A target that lets everybody in and runs nothing: for thousands of sessions, where a real sshd would
//! need three processes for each. What it cannot show is left to real ones.

use std::net::SocketAddr;
use std::sync::Arc;

use russh::keys::{Certificate, PrivateKey, load_secret_key};
use russh::server::{self, Auth, ChannelOpenHandle, Msg, Session, VerifiedPublicKey};
use russh::{Channel, ChannelId};
use tokio::net::TcpListener;

/// One connection to it.
struct Extra;

impl server::Handler for Extra {
    type Error = russh::Error;

    async fn auth_publickey(
        &mut self,
        _user: &str,
        _key: VerifiedPublicKey<'_>,
    ) -> Result<Auth, Self::Error> {
        Ok(Auth::Accept)
    }

    async fn auth_openssh_certificate(
        &mut self,
        _user: &str,
        _certificate: &Certificate,
    ) -> Result<Auth, Self::Error> {
        Ok(Auth::Accept)
    }

    async fn channel_open_session(
        &mut self,
        _channel: Channel<Msg>,
        reply: ChannelOpenHandle,
        _session: &mut Session,
    ) -> Result<(), Self::Error> {
        reply.accept().await;
        Ok(())
    }

    async fn exec_request(
        &mut self,
        channel: ChannelId,
        _command: &[u8],
        session: &mut Session,
    ) -> Result<(), Self::Error> {
        session.channel_success(channel)?;
        session.data(channel, b"up\n".to_vec())
    }
}

/// Lets everybody in, on a free port of the loopback address, for as long as the runtime lives. `key` is a
/// file with its host key.
///
/// # Panics
///
/// When there is no port, or the file holds no key.
pub async fn lets_everybody_in(key: &std::path::Path) -> SocketAddr {
    let key: PrivateKey = load_secret_key(key, None).expect("a host key");
    let mut config = server::Config {
        keys: vec![key],
        nodelay: true,
        inactivity_timeout: None,
        ..server::Config::default()
    };
    config.preferred.kex = vec![russh::kex::CURVE25519].into();
    let config = Arc::new(config);
    let listener = TcpListener::bind(("127.0.0.1", 0)).await.expect("a port");
    let addr = listener
        .local_addr()
        .expect("a bound socket has an address");
    tokio::spawn(async move {
        while let Ok((socket, _)) = listener.accept().await {
            let config = Arc::clone(&config);
            tokio::spawn(async move {
                if let Ok(running) = server::run_stream(config, socket, Extra).await {
                    // It ends when the other side goes, however it does.
                    drop(running.await);
                }
            });
        }
    });
    addr
}
