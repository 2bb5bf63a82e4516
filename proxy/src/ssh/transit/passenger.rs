//! The client's side of a connection that is carried to a bastion: how no is said on it, and goodbye.
//!
//! Before its key exchange we can speak in it, in clear. Afterwards it is not ours to speak in; then it is
//! said on the connection that it is inside of, where nothing else is in there that would end with it.

use std::sync::Arc;
use std::time::Duration;

use policies::words::Words;
use russh::server::Handle;
use tokio::io::{AsyncReadExt, AsyncWriteExt};
use tokio::time;

use crate::session::protocol::Front;
use crate::session::severable::Severable;
use crate::ssh::algorithms::NAME;
use crate::ssh::client::visitor::{disconnect, one_line};
use crate::ssh::transit::clear;

/// How long a client may take to hear why its connection ends.
const HEARING_LIMIT: Duration = Duration::from_secs(1);

/// How many are inside a connection to the bastion. Each has one clone.
#[derive(Debug, Clone, Default)]
pub struct Company(Arc<()>);

impl Company {
    /// Whether nobody else is: one clone is that of the connection itself.
    fn is_alone(&self) -> bool {
        Arc::strong_count(&self.0) <= 2
    }
}

/// The connection to this bastion that another one is inside of.
pub struct Outer {
    /// The connection.
    pub handle: Handle,
    /// Who else is in it.
    pub company: Company,
}

impl std::fmt::Debug for Outer {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.debug_struct("Outer")
            .field("company", &self.company)
            .finish_non_exhaustive()
    }
}

/// Whether we can still speak in the connection itself.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Voice {
    /// Nothing was passed on to the client yet.
    Silent,
    /// The bastion's identification was, and whole packets in clear.
    Clear,
    /// What comes next is encrypted.
    Lost,
}

/// Somebody who goes through.
#[derive(Debug)]
pub struct Passenger {
    pub(super) io: Severable,
    pub(super) voice: Voice,
    outer: Arc<Outer>,
}

impl Passenger {
    pub(super) fn new(io: Severable, outer: Arc<Outer>) -> Self {
        Self {
            io,
            voice: Voice::Silent,
            outer,
        }
    }

    /// Says something that ends the connection.
    pub(super) async fn tell(&mut self, words: &Words) {
        let mut said = match self.voice {
            Voice::Silent => format!("{NAME}\r\n").into_bytes(),
            Voice::Clear => Vec::new(),
            Voice::Lost if self.outer.company.is_alone() => {
                return disconnect(&self.outer.handle, words).await;
            }
            Voice::Lost => return tracing::debug!("client.untold"),
        };
        said.extend(clear::goodbye(&one_line(words)));
        let telling = async {
            self.io.write_all(&said).await?;
            self.io.shutdown().await?;
            // A client that still writes would hear of a broken pipe first, and show that.
            let mut unheard = [0; 1024];
            while self.io.read(&mut unheard).await? > 0 {}
            Ok::<(), std::io::Error>(())
        };
        match time::timeout(HEARING_LIMIT, telling).await {
            Ok(Ok(())) => {}
            Ok(Err(_gone)) => tracing::debug!("client.gone"),
            Err(_elapsed) => tracing::debug!("client.lingers"),
        }
    }
}

impl Front for Passenger {
    async fn refuse(&mut self, words: &Words) {
        self.tell(words).await;
    }

    async fn farewell(&mut self, words: &Words) {
        self.tell(words).await;
    }

    /// What was passed on is in the outer connection's hands, and goes before its end.
    async fn leave(&mut self) {
        if self.io.shutdown().await.is_err() {
            tracing::debug!("client.gone");
        }
    }
}
