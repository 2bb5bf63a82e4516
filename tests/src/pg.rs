//! A PostgreSQL client that speaks the protocol by hand, so that it can also misbehave.
//!
//! Protocol 3.0 over TLS with a client certificate, as psql does it; see "Frontend/Backend Protocol"
//! in PostgreSQL's manual.

use std::io;
use std::net::{IpAddr, Ipv4Addr, SocketAddr};
use std::path::Path;
use std::sync::Arc;

use rustls::client::danger::{HandshakeSignatureValid, ServerCertVerified, ServerCertVerifier};
use rustls::crypto::{CryptoProvider, verify_tls12_signature, verify_tls13_signature};
use rustls::pki_types::pem::PemObject;
use rustls::pki_types::{CertificateDer, PrivateKeyDer, ServerName, UnixTime};
use rustls::{ClientConfig, DigitallySignedStruct, Error, RootCertStore, SignatureScheme};
use tokio::io::{AsyncBufReadExt as _, AsyncReadExt, AsyncWriteExt, BufReader};
use tokio::net::{TcpSocket, TcpStream};
use tokio_rustls::TlsConnector;
use tokio_rustls::client::TlsStream;

use crate::World;

/// The code of an `SSLRequest`.
pub const SSL_REQUEST: u32 = 80_877_103;

/// Protocol 3.0.
pub const PROTOCOL: u32 = 3 << 16;

/// A connection over TLS.
#[derive(Debug)]
pub struct PgClient {
    stream: TlsStream<TcpStream>,
}

/// One message from the server.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Message {
    /// What it is.
    pub kind: u8,
    /// What is in it.
    pub body: Vec<u8>,
}

impl Message {
    /// The SQLSTATE of an error or a notice; nothing where it is neither.
    pub fn state(&self) -> String {
        self.field(b'C').unwrap_or_default()
    }

    /// A field of an error or a notice: `C` for the SQLSTATE, `M` for the message, `H` for the hint.
    pub fn field(&self, code: u8) -> Option<String> {
        let mut fields = self.body.split(|byte| *byte == 0);
        let text = fields.find_map(|field| field.strip_prefix(&[code]))?;
        Some(String::from_utf8_lossy(text).into_owned())
    }
}

/// What a client shows and believes, from a person's state directory.
///
/// # Panics
///
/// When the person is not logged in.
pub fn tls(state_dir: &Path) -> Arc<ClientConfig> {
    let (chain, key) = (state_dir.join("pg.crt"), state_dir.join("pg.key"));
    let chain: Vec<CertificateDer<'static>> = CertificateDer::pem_file_iter(chain)
        .and_then(Iterator::collect)
        .expect("pg.crt is a certificate");
    let key = PrivateKeyDer::from_pem_file(key).expect("pg.key is a key");
    let config = believing(state_dir).with_client_auth_cert(chain, key);
    Arc::new(config.expect("the key fits the certificate"))
}

/// The same without a certificate of its own.
///
/// # Panics
///
/// When the person is not logged in.
pub fn anonymous_tls(state_dir: &Path) -> Arc<ClientConfig> {
    Arc::new(believing(state_dir).with_no_client_auth())
}

/// Shows nothing, and believes anybody: a server of the tests' own that nothing stands in front of.
///
/// # Panics
///
/// Never: the provider speaks TLS.
pub fn trusting_tls() -> Arc<ClientConfig> {
    let provider = Arc::new(rustls::crypto::aws_lc_rs::default_provider());
    let config = ClientConfig::builder_with_provider(Arc::clone(&provider))
        .with_safe_default_protocol_versions()
        .expect("the provider speaks TLS")
        .dangerous()
        .with_custom_certificate_verifier(Arc::new(Trusting(provider)))
        .with_no_client_auth();
    Arc::new(config)
}

/// Believes any certificate.
#[derive(Debug)]
struct Trusting(Arc<CryptoProvider>);

impl ServerCertVerifier for Trusting {
    fn verify_server_cert(
        &self,
        _leaf: &CertificateDer<'_>,
        _others: &[CertificateDer<'_>],
        _name: &ServerName<'_>,
        _ocsp: &[u8],
        _now: UnixTime,
    ) -> Result<ServerCertVerified, Error> {
        Ok(ServerCertVerified::assertion())
    }

    fn verify_tls12_signature(
        &self,
        message: &[u8],
        leaf: &CertificateDer<'_>,
        signed: &DigitallySignedStruct,
    ) -> Result<HandshakeSignatureValid, Error> {
        let algorithms = &self.0.signature_verification_algorithms;
        verify_tls12_signature(message, leaf, signed, algorithms)
    }

    fn verify_tls13_signature(
        &self,
        message: &[u8],
        leaf: &CertificateDer<'_>,
        signed: &DigitallySignedStruct,
    ) -> Result<HandshakeSignatureValid, Error> {
        let algorithms = &self.0.signature_verification_algorithms;
        verify_tls13_signature(message, leaf, signed, algorithms)
    }

    fn supported_verify_schemes(&self) -> Vec<SignatureScheme> {
        self.0.signature_verification_algorithms.supported_schemes()
    }
}

fn believing(
    state_dir: &Path,
) -> rustls::ConfigBuilder<ClientConfig, rustls::client::WantsClientCert> {
    let mut roots = RootCertStore::empty();
    let ca =
        CertificateDer::from_pem_file(state_dir.join("ca.pem")).expect("ca.pem is a certificate");
    roots.add(ca).expect("the CA can be believed");
    let provider = Arc::new(rustls::crypto::aws_lc_rs::default_provider());
    ClientConfig::builder_with_provider(provider)
        .with_safe_default_protocol_versions()
        .expect("the provider speaks TLS")
        .with_root_certificates(roots)
}

/// A startup message with these parameters.
pub fn startup(parameters: &[(&str, &str)]) -> Vec<u8> {
    let mut body = PROTOCOL.to_be_bytes().to_vec();
    for (name, value) in parameters {
        for text in [name, value] {
            body.extend_from_slice(text.as_bytes());
            body.push(0);
        }
    }
    body.push(0);
    sized(&body)
}

/// A startup message of another protocol version, for example 3.2 (`3 << 16 | 2`).
pub fn startup_of(version: u32, parameters: &[(&str, &str)]) -> Vec<u8> {
    let mut message = startup(parameters);
    for (to, from) in message.iter_mut().skip(4).zip(version.to_be_bytes()) {
        *to = from;
    }
    message
}

/// `Parse`, without types.
pub fn parse(name: &str, sql: &str) -> Vec<u8> {
    message(
        b'P',
        &[name.as_bytes(), b"\0", sql.as_bytes(), b"\0\0\0"].concat(),
    )
}

/// `Bind`, without values.
pub fn bind(portal: &str, name: &str) -> Vec<u8> {
    let names = [portal.as_bytes(), b"\0", name.as_bytes(), b"\0"].concat();
    message(b'B', &[&names[..], &[0; 6]].concat())
}

/// `Execute`, of so many rows at most; 0 for all.
pub fn execute(portal: &str, rows: u32) -> Vec<u8> {
    message(
        b'E',
        &[portal.as_bytes(), b"\0", &rows.to_be_bytes()].concat(),
    )
}

/// `Sync`.
pub fn sync() -> Vec<u8> {
    message(b'S', &[])
}

/// What kinds of messages these are, as a word.
pub fn kinds(messages: &[Message]) -> String {
    messages
        .iter()
        .map(|message| char::from(message.kind))
        .collect()
}

/// A message of this kind.
pub fn message(kind: u8, body: &[u8]) -> Vec<u8> {
    let mut message = vec![kind];
    message.extend(sized(body));
    message
}

/// A simple query.
pub fn query(sql: &str) -> Vec<u8> {
    let mut body = sql.as_bytes().to_vec();
    body.push(0);
    message(b'Q', &body)
}

/// A body behind its length.
pub fn sized(body: &[u8]) -> Vec<u8> {
    let length = u32::try_from(body.len().saturating_add(4)).unwrap_or(u32::MAX);
    let mut message = length.to_be_bytes().to_vec();
    message.extend_from_slice(body);
    message
}

impl World {
    /// Where PostgreSQL is spoken with tidegate, and how alice shows herself there.
    pub fn pg_door(&self) -> (SocketAddr, Arc<ClientConfig>) {
        let addr = (Ipv4Addr::LOCALHOST, self.doors().postgres).into();
        (addr, tls(&self.alice().state_dir()))
    }

    /// A client of alice's that is in `orders` as `app`.
    ///
    /// # Panics
    ///
    /// When she is not let in.
    pub async fn pg_client(&self) -> PgClient {
        self.pg_client_as("app").await
    }

    /// The same as another role.
    ///
    /// # Panics
    ///
    /// When she is not let in.
    pub async fn pg_client_as(&self, role: &str) -> PgClient {
        let (addr, tls) = self.pg_door();
        let login = PgClient::login(addr, &tls, role, "orders").await;
        let (client, answers) = login.expect("TLS is spoken");
        assert!(kinds(&answers).ends_with('Z'), "alice is in: {answers:?}");
        client
    }
}

impl PgClient {
    /// Asks for TLS and gets it.
    pub async fn encrypt(addr: SocketAddr, tls: &Arc<ClientConfig>) -> io::Result<Self> {
        Self::asking(TcpStream::connect(addr).await?, tls).await
    }

    /// The same from an address of this machine.
    pub async fn encrypt_from(
        from: IpAddr,
        addr: SocketAddr,
        tls: &Arc<ClientConfig>,
    ) -> io::Result<Self> {
        let socket = TcpSocket::new_v4()?;
        socket.bind(SocketAddr::new(from, 0))?;
        Self::asking(socket.connect(addr).await?, tls).await
    }

    async fn asking(mut stream: TcpStream, tls: &Arc<ClientConfig>) -> io::Result<Self> {
        stream.set_nodelay(true)?;
        stream.write_all(&sized(&SSL_REQUEST.to_be_bytes())).await?;
        let mut answer = [0];
        stream.read_exact(&mut answer).await?;
        if answer != *b"S" {
            return Err(io::Error::other(format!(
                "TLS was answered with {answer:?}"
            )));
        }
        Self::handshake(stream, tls).await
    }

    /// Begins with TLS at once (`sslnegotiation=direct`), and says `alpn` in it.
    pub async fn direct(
        addr: SocketAddr,
        tls: &Arc<ClientConfig>,
        alpn: Option<&[u8]>,
    ) -> io::Result<Self> {
        let stream = TcpStream::connect(addr).await?;
        stream.set_nodelay(true)?;
        let mut config = ClientConfig::clone(tls);
        config.alpn_protocols = alpn.map(<[u8]>::to_vec).into_iter().collect();
        Self::handshake(stream, &Arc::new(config)).await
    }

    async fn handshake(stream: TcpStream, tls: &Arc<ClientConfig>) -> io::Result<Self> {
        let name = ServerName::try_from("localhost").map_err(io::Error::other)?;
        let stream = TlsConnector::from(Arc::clone(tls))
            .connect(name, stream)
            .await?;
        Ok(Self { stream })
    }

    /// What was agreed on in ALPN.
    pub fn alpn(&self) -> Option<&[u8]> {
        self.stream.get_ref().1.alpn_protocol()
    }

    /// Logs in, and returns when the server is ready or has said no. The answers come along.
    pub async fn login(
        addr: SocketAddr,
        tls: &Arc<ClientConfig>,
        user: &str,
        database: &str,
    ) -> io::Result<(Self, Vec<Message>)> {
        let mut client = Self::encrypt(addr, tls).await?;
        client
            .send(&startup(&[("user", user), ("database", database)]))
            .await?;
        let answers = client.until_ready().await?;
        Ok((client, answers))
    }

    /// Sends bytes as they are.
    pub async fn send(&mut self, bytes: &[u8]) -> io::Result<()> {
        self.stream.write_all(bytes).await?;
        self.stream.flush().await
    }

    /// The next message.
    pub async fn next(&mut self) -> io::Result<Message> {
        let kind = self.stream.read_u8().await?;
        let length = self.stream.read_u32().await?;
        let length = usize::try_from(length)
            .ok()
            .and_then(|length| length.checked_sub(4));
        let length = length.ok_or_else(|| io::Error::other("a length below 4"))?;
        let mut body = vec![0; length];
        self.stream.read_exact(&mut body).await?;
        Ok(Message { kind, body })
    }

    /// Everything up to `ReadyForQuery` or a fatal error, that one included.
    pub async fn until_ready(&mut self) -> io::Result<Vec<Message>> {
        let mut all = Vec::new();
        loop {
            let message = self.next().await?;
            let severity = message.field(b'V');
            let fatal =
                message.kind == b'E' && matches!(severity.as_deref(), Some("FATAL" | "PANIC"));
            let ready = message.kind == b'Z';
            all.push(message);
            if ready || fatal {
                return Ok(all);
            }
        }
    }

    /// Reads up to `ReadyForQuery` and keeps nothing of it. How many bytes that was.
    pub async fn skim(&mut self) -> io::Result<u64> {
        let mut from = BufReader::with_capacity(256 * 1024, &mut self.stream);
        let mut bytes = 0;
        loop {
            let kind = from.read_u8().await?;
            let body = u64::from(from.read_u32().await?).saturating_sub(4);
            let mut left = body;
            while left > 0 {
                let there = from.fill_buf().await?.len();
                let there = there.min(usize::try_from(left).unwrap_or(usize::MAX));
                if there == 0 {
                    return Err(io::ErrorKind::UnexpectedEof.into());
                }
                from.consume(there);
                left = left.saturating_sub(u64::try_from(there).unwrap_or(u64::MAX));
            }
            bytes += body + 5;
            match kind {
                b'Z' => return Ok(bytes),
                b'E' => return Err(io::Error::other("an error was told")),
                _other => {}
            }
        }
    }

    /// Runs a statement with one value in text, which is that many times `x`, without holding it.
    pub async fn send_large_value(&mut self, sql: &str, bytes: u64) -> io::Result<()> {
        self.send(&parse("", sql)).await?;
        let length = u32::try_from(bytes).map_err(io::Error::other)?;
        // No names, no formats, one value; then no formats of results.
        let before = [&[0_u8, 0, 0, 0, 0, 1][..], &length.to_be_bytes()].concat();
        let around = u32::try_from(before.len() + 2 + 4).map_err(io::Error::other)?;
        let mut head = vec![b'B'];
        head.extend_from_slice(&(length + around).to_be_bytes());
        head.extend_from_slice(&before);
        self.stream.write_all(&head).await?;
        let part = vec![b'x'; 256 * 1024];
        let mut left = bytes;
        while left > 0 {
            let now = part.len().min(usize::try_from(left).unwrap_or(usize::MAX));
            self.stream
                .write_all(part.get(..now).unwrap_or_default())
                .await?;
            left = left.saturating_sub(u64::try_from(now).unwrap_or(u64::MAX));
        }
        self.stream.write_all(&[0, 0]).await?;
        self.send(&[execute("", 0), sync()].concat()).await
    }

    /// Runs a simple query to its end.
    pub async fn query(&mut self, sql: &str) -> io::Result<Vec<Message>> {
        self.send(&query(sql)).await?;
        self.until_ready().await
    }

    /// Reads until the server closes, and gives back the last error that it told.
    pub async fn until_closed(&mut self) -> Option<Message> {
        let mut told = None;
        while let Ok(message) = self.next().await {
            if message.kind == b'E' {
                told = Some(message);
            }
        }
        told
    }

    /// The stream itself, for clients that speak another way.
    pub fn into_stream(self) -> TlsStream<TcpStream> {
        self.stream
    }
}
