//! A listener at the target's end (`ssh -R`): asked for, begun and ended.
//!
//! The target's own sshd listens, never the bastion, and on its loopback address alone. Who comes to it
//! is [`inward`](super::inward)'s business.

use std::pin::pin;
use std::sync::Arc;
use std::time::Duration;

use policies::words::forward::{Deaf, ForwardSaying};
use policies::words::ssh::SshSaying;
use policies::words::{Shown, Words};
use policies::{Capability, Deed};
use recorder::{AppendError, ChannelEvent, Frame};
use tokio::time;

use super::place::Place;
use crate::ssh::client::arrival::{Forwarding, Listen};
use crate::ssh::relay::Link;

/// How long a target may take to say whether it listens. Shorter than the client is kept waiting.
const LISTEN_LIMIT: Duration = Duration::from_secs(10);

/// A listener that is to begin or to end.
#[derive(Debug)]
pub struct Listening {
    link: Arc<Link>,
    number: u32,
}

impl Listening {
    /// One under this number in the recording.
    pub fn new(link: Arc<Link>, number: u32) -> Self {
        Self { link, number }
    }

    /// Has the target listen, or says why not.
    ///
    /// # Errors
    ///
    /// When it cannot be recorded; then nothing may go on in this session.
    pub async fn begin(self, listen: Listen) -> Result<(), AppendError> {
        // An answer that is dropped is a no.
        let Listen { at, answer } = listen;
        let at = match at {
            Ok(at) => at,
            Err(said) => {
                let words = ForwardSaying::NotLoopback.words();
                let what = format!("{}: {said}", Forwarding::ReversePort.as_str());
                return self.refuse(&words, &what).await;
            }
        };
        self.listens(&at)?;
        self.link.scope.take_turn().await;
        if let Err(words) = self.may(&at) {
            return self.refuse(&words, &at.to_string()).await;
        }
        if !self.link.gate.expect(&at) {
            return self.miss(&at, Deaf::Taken).await;
        }
        let mut listening = pin!(self.link.back.listen(&at));
        let in_time = time::timeout(LISTEN_LIMIT, &mut listening).await;
        let is_late = in_time.is_err();
        let bound = in_time.ok().and_then(Result::ok).flatten();
        self.link.gate.settle(&at, bound.as_ref());
        let Some(bound) = bound else {
            // By our hand: the spine ends this relay then, and says why.
            if self.link.scope.is_cut() {
                return std::future::pending().await;
            }
            // It is a no, and the client's other channels wait for it.
            drop(answer);
            let missed = self.miss(&at, Deaf::Refused).await;
            // The target would listen for as long as the session lasts.
            if is_late && let Ok(Some(bound)) = listening.await {
                self.take_back(&bound).await;
            }
            return missed;
        };
        if bound != at {
            self.listens(&bound)?;
        }
        // The target took its time: the rules may be others now.
        if let Err(words) = self.may(&at) {
            self.take_back(&bound).await;
            return self.refuse(&words, &at.to_string()).await;
        }
        if answer.send(bound.port()).is_err() {
            // The client has gone, or was told no because it took so long.
            self.take_back(&bound).await;
        }
        Ok(())
    }

    /// Ends a listener of which the client has heard nothing.
    async fn take_back(&self, bound: &Place) {
        self.link.gate.forget(bound);
        drop(time::timeout(LISTEN_LIMIT, self.link.back.unlisten(bound)).await);
    }

    /// Has the target listen no more. Connections that came in go on, as they do without us.
    ///
    /// # Errors
    ///
    /// When it cannot be recorded; then nothing may go on in this session.
    pub async fn end(self, listen: Listen) -> Result<(), AppendError> {
        let Listen { at, answer } = listen;
        let Some(at) = at.ok().filter(|at| self.link.gate.forget(at)) else {
            return Ok(());
        };
        self.event(ChannelEvent::Unlisten {
            host: at.host(),
            port: u32::from(at.port()),
        })?;
        let unlistening = time::timeout(LISTEN_LIMIT, self.link.back.unlisten(&at)).await;
        if unlistening.is_ok_and(|ended| ended.is_ok()) {
            let _client_gone = answer.send(at.port());
        }
        Ok(())
    }

    fn listens(&self, at: &Place) -> Result<(), AppendError> {
        self.event(ChannelEvent::Listen {
            host: at.host(),
            port: u32::from(at.port()),
        })
    }

    /// Asks policy, as things stand now.
    fn may(&self, at: &Place) -> Result<(), Words> {
        let (host, port) = (at.host().to_owned(), at.port());
        let asked = self.link.scope.may(&Deed::ReversePort { host, port });
        asked.map_err(|denial| {
            if !self.link.names(Capability::ReversePort) {
                let what = Forwarding::ReversePort.as_str();
                return SshSaying::NotInPermit { what }.words();
            }
            let (at, why) = (at.to_string(), denial.words().what);
            let why = Deaf::Denied(&why);
            ForwardSaying::NotListening { at: &at, why }.words()
        })
    }

    async fn miss(&self, at: &Place, why: Deaf<'_>) -> Result<(), AppendError> {
        let at = at.to_string();
        let words = ForwardSaying::NotListening { at: &at, why }.words();
        self.refuse(&words, &at).await
    }

    /// Writes a no down, and says it where somebody listens: the protocol has no words for it.
    async fn refuse(&self, words: &Words, what: &str) -> Result<(), AppendError> {
        let code = words.code;
        self.event(ChannelEvent::Refused { code, what })?;
        self.link.voices.say_some_time(words).await;
        Ok(())
    }

    fn event(&self, event: ChannelEvent<'_>) -> Result<(), AppendError> {
        self.link.scope.record(&Frame::Channel {
            channel: self.number,
            event,
        })
    }
}
