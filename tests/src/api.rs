//! One warm HTTPS connection to the API, for programs that measure from the moment a request leaves.
//!
//! Speaks just enough HTTP/1.1 for one small JSON question at a time; see RFC 9112.

use std::io;
use std::net::SocketAddr;
use std::path::Path;
use std::sync::Arc;
use std::time::Instant;

use rustls::pki_types::ServerName;
use tokio::io::{AsyncBufReadExt, AsyncReadExt, AsyncWriteExt, BufStream};
use tokio::net::TcpStream;
use tokio_rustls::TlsConnector;
use tokio_rustls::client::TlsStream;

use crate::pg;

/// A connection of one person's to the API.
#[derive(Debug)]
pub struct Api {
    stream: BufStream<TlsStream<TcpStream>>,
}

impl Api {
    /// Connects as whoever is logged in there.
    pub async fn connect(addr: SocketAddr, state_dir: &Path) -> io::Result<Self> {
        let stream = TcpStream::connect(addr).await?;
        stream.set_nodelay(true)?;
        let name = ServerName::try_from("localhost").map_err(io::Error::other)?;
        let connector = TlsConnector::from(Arc::clone(&pg::tls(state_dir)));
        Ok(Self {
            stream: BufStream::new(connector.connect(name, stream).await?),
        })
    }

    /// Posts JSON. Gives back the moment before it left, and the answer.
    pub async fn post(&mut self, path: &str, body: &str) -> io::Result<(Instant, String)> {
        let request = format!(
            "POST {path} HTTP/1.1\r\nhost: localhost\r\ncontent-type: application/json\r\ncontent-length: {}\r\n\r\n{body}",
            body.len()
        );
        let left = Instant::now();
        self.stream.write_all(request.as_bytes()).await?;
        self.stream.flush().await?;
        let mut status = String::new();
        self.stream.read_line(&mut status).await?;
        let mut length = 0_usize;
        loop {
            let mut line = String::new();
            self.stream.read_line(&mut line).await?;
            let line = line.trim_end().to_ascii_lowercase();
            if let Some(text) = line.strip_prefix("content-length:") {
                length = text.trim().parse().map_err(io::Error::other)?;
            }
            if line.is_empty() {
                break;
            }
        }
        let mut answer = vec![0; length];
        self.stream.read_exact(&mut answer).await?;
        let answer = String::from_utf8_lossy(&answer).into_owned();
        if status.contains(" 200 ") || status.contains(" 201 ") || status.contains(" 204 ") {
            return Ok((left, answer));
        }
        Err(io::Error::other(format!("{} {answer}", status.trim())))
    }
}
