//! How we speak inside a session: on a channel's side stream (`stderr`), never in the stream that
//! may be a file, each line with our name before it.

use std::sync::{Arc, Mutex, PoisonError};
use std::time::Duration;

use bytes::Bytes;
use policies::acts;
use policies::words::Words;
use russh::server::Msg;
use russh::{ChannelId, ChannelWriteHalf};
use tokio::task::JoinSet;
use tokio::time;

/// The extended data type of `stderr` (RFC 4254, section 5.2).
pub const STDERR: u32 = 1;

/// How long we wait for a client that does not take what we say.
const SAYING_LIMIT: Duration = Duration::from_millis(150);

/// The client's side of a channel, to write to.
pub type Writer = Arc<ChannelWriteHalf<Msg>>;

/// Whether there is a terminal, which needs carriage returns.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Screen {
    /// A terminal.
    Terminal,
    /// A pipe or a file.
    Plain,
}

/// How a channel stands between its output and us, who speak beside it.
#[derive(Debug, Clone, Default)]
pub(super) struct Standing {
    inner: Arc<tokio::sync::Mutex<State>>,
}

#[derive(Debug, Default)]
struct State {
    /// The client has heard that there is no more. OpenSSH ends the whole connection of whoever goes on speaking
    /// (`channel_input_extended_data` in its `channels.c`).
    is_over: bool,
    /// The window has a title of ours, and its own below it.
    is_titled: bool,
    /// What was begun and waits for the connection. It is not given up before the channel's end: its bytes are off the
    /// window, which the client gives back only for what it gets.
    under_way: JoinSet<()>,
}

impl State {
    /// Whether something is still under way.
    fn is_busy(&mut self) -> bool {
        while self.under_way.try_join_next().is_some() {}
        !self.under_way.is_empty()
    }
}

/// One channel on which we can be heard.
#[derive(Debug, Clone)]
pub struct Voice {
    writer: Writer,
    screen: Screen,
    standing: Standing,
}

impl Voice {
    /// Speaks on this channel.
    pub(super) fn new(writer: Writer, screen: Screen, standing: Standing) -> Self {
        Self {
            writer,
            screen,
            standing,
        }
    }

    /// Says something. The client has a moment to take it; then that goes on by itself. Where it has not taken what was
    /// said before by then, this is not said.
    pub async fn say(&self, words: &Words) {
        self.say_text(&words.to_string()).await;
    }

    /// Says something and ends the channel with this exit status. A client shows everything that it
    /// was sent before a channel ended; what comes just before a disconnect may be lost in it.
    pub async fn say_and_end(&self, words: &Words, status: u32) {
        let ending = async {
            let mut state = self.standing.inner.lock().await;
            let was_over = std::mem::replace(&mut state.is_over, true);
            state.under_way.shutdown().await;
            if !was_over {
                let said = [own_title(&state), &lines(&words.to_string(), self.screen)];
                self.writer
                    .extended_data_bytes(STDERR, Bytes::from(said.concat()))
                    .await?;
            }
            self.writer.exit_status(status).await?;
            if !was_over {
                self.writer.eof().await?;
            }
            self.writer.close().await
        };
        if time::timeout(SAYING_LIMIT, ending).await.is_err() {
            tracing::debug!("words.unheard");
        }
    }

    /// Says something that nobody asked for, on lines of its own, wherever the cursor stands. The window has its own
    /// title again. Whether it need not be tried again: it is sent, or waits to be. `told` is called once it is sent.
    pub(super) async fn break_in(
        &self,
        words: &Words,
        told: impl FnOnce() + Send + 'static,
    ) -> bool {
        let said = lines(&words.to_string(), self.screen);
        let said = |state: &State| Bytes::from([own_title(state), b"\r\n", &said].concat());
        self.interject((said, false), told).await
    }

    /// Says something in the title of the window, and rings the bell: what is shown stays as it is. The window's own
    /// title is kept below (xterm's control sequences, `OSC 2` and `CSI 22 ; 2 t`). The same of `told`, and of whether it
    /// need not be tried again.
    pub(super) async fn entitle(
        &self,
        words: &Words,
        told: impl FnOnce() + Send + 'static,
    ) -> bool {
        let title: String = words.what.chars().map(mark).collect();
        let said = |state: &State| {
            let keep = if state.is_titled { "" } else { "\x1b[22;2t" };
            Bytes::from(format!("{keep}\x1b]2;tidegate: {title}\x1b\\\x07"))
        };
        self.interject((said, true), told).await
    }

    /// Sends all of it, or nothing where the client has no room: of half a control sequence a terminal takes the
    /// program's output for the other half. Where the connection takes nothing, it goes as soon as that does. Whether it
    /// need not be tried again.
    async fn interject(
        &self,
        (said, is_titled): (impl FnOnce(&State) -> Bytes, bool),
        told: impl FnOnce() + Send + 'static,
    ) -> bool {
        let mut state = self.standing.inner.lock().await;
        if state.is_over {
            return true;
        }
        let said = said(&state);
        if state.is_busy() || self.writer.writable_packet_size().await < said.len() {
            return false;
        }
        let writer = Arc::clone(&self.writer);
        let sending = async move {
            // Fails only where the client has gone.
            if writer.extended_data_bytes(STDERR, said).await.is_ok() {
                told();
            }
        };
        state.under_way.spawn(sending);
        state.is_titled = is_titled;
        let sent = time::timeout(SAYING_LIMIT, state.under_way.join_next()).await;
        if sent.is_err() {
            tracing::debug!("words.wait");
        }
        true
    }

    /// Says one or more lines.
    pub async fn say_text(&self, text: &str) {
        let (writer, said) = (Arc::clone(&self.writer), lines(text, self.screen));
        let saying = async {
            let mut state = self.standing.inner.lock().await;
            if state.is_over {
                return;
            }
            // One after the other, and none by halves: it would be off the window all the same.
            while state.under_way.join_next().await.is_some() {}
            // Fails only where the client has gone.
            let sending = async move { drop(writer.extended_data_bytes(STDERR, said).await) };
            state.under_way.spawn(sending);
            state.under_way.join_next().await;
        };
        if time::timeout(SAYING_LIMIT, saying).await.is_err() {
            tracing::debug!("words.unheard");
        }
    }

    /// Says nothing any more: the channel's output ends. Only then may the client be told so.
    pub(super) async fn falls_silent(&self) {
        let mut state = self.standing.inner.lock().await;
        let last = Bytes::from_static(own_title(&state));
        // Behind the end nothing may come.
        state.under_way.shutdown().await;
        if !std::mem::replace(&mut state.is_over, true) && !last.is_empty() {
            let saying = self.writer.extended_data_bytes(STDERR, last);
            if time::timeout(SAYING_LIMIT, saying).await.is_err() {
                tracing::debug!("words.unheard");
            }
        }
    }
}

/// What gives the window its own title again, where it has one of ours (`CSI 23 ; 2 t`).
fn own_title(state: &State) -> &'static [u8] {
    if state.is_titled { b"\x1b[23;2t" } else { b"" }
}

/// All channels on which we can be heard.
#[derive(Debug, Clone, Default)]
pub struct Voices {
    inner: Arc<Mutex<Inner>>,
}

#[derive(Debug, Default)]
struct Inner {
    voices: Vec<(ChannelId, Voice)>,
    /// What was said when nobody could hear it.
    unheard: Vec<Words>,
}

/// How many sentences are kept for the first who can hear them.
const UNHEARD_MAX: usize = 4;

impl Voices {
    /// One more channel. The first one hears what was said when there was none.
    pub async fn add(&self, voice: Voice) {
        let unheard = self.with(|inner| {
            inner.voices.push((voice.writer.id(), voice.clone()));
            std::mem::take(&mut inner.unheard)
        });
        for words in unheard {
            voice.say(&words).await;
        }
    }

    /// One channel less.
    pub fn remove(&self, id: ChannelId) {
        self.with(|inner| inner.voices.retain(|(known, _)| *known != id));
    }

    /// Whether nobody can hear us.
    pub fn is_empty(&self) -> bool {
        self.with(|inner| inner.voices.is_empty())
    }

    /// Says something on every channel, to all at the same time.
    pub async fn say(&self, words: &Words) {
        let voices = self.with(|inner| inner.voices.clone());
        let mut saying = JoinSet::new();
        for (_, voice) in voices {
            let words = words.clone();
            saying.spawn(async move { voice.say(&words).await });
        }
        saying.join_all().await;
    }

    /// Says something on every channel and ends it with this exit status.
    pub async fn say_and_end(&self, words: &Words, status: u32) {
        let voices = self.with(|inner| inner.voices.clone());
        let mut saying = JoinSet::new();
        for (_, voice) in voices {
            let words = words.clone();
            saying.spawn(async move { voice.say_and_end(&words, status).await });
        }
        saying.join_all().await;
    }

    /// Says something on every channel, or on the first that comes.
    pub async fn say_some_time(&self, words: &Words) {
        let kept = self.with(|inner| {
            let keep = inner.voices.is_empty() && inner.unheard.len() < UNHEARD_MAX;
            if keep {
                inner.unheard.push(words.clone());
            }
            keep
        });
        if !kept {
            self.say(words).await;
        }
    }

    fn with<T>(&self, then: impl FnOnce(&mut Inner) -> T) -> T {
        then(&mut self.inner.lock().unwrap_or_else(PoisonError::into_inner))
    }
}

/// The text as it goes over the wire.
fn lines(text: &str, screen: Screen) -> Bytes {
    let end = match screen {
        Screen::Terminal => "\r\n",
        Screen::Plain => "\n",
    };
    let mut out = String::new();
    for line in text.lines() {
        out.push_str("tidegate: ");
        out.extend(line.chars().map(mark));
        out.push_str(end);
    }
    Bytes::from(out)
}

/// A character as it is said. Reasons of people and policies are in our words, and those from before they were looked at
/// too.
fn mark(c: char) -> char {
    if acts(c) {
        char::REPLACEMENT_CHARACTER
    } else {
        c
    }
}

#[cfg(test)]
mod tests {
    use std::sync::atomic::{AtomicUsize, Ordering};

    use policies::words::Shown;
    use policies::words::ssh::SshSaying;
    use russh::keys::ssh_key::private::Ed25519Keypair;
    use russh::keys::{PrivateKey, PublicKeyOrCertificate};
    use russh::server::{Auth, ChannelOpenHandle, Session};
    use russh::{Channel, client, server};
    use tokio::sync::mpsc;

    use super::*;

    /// A client that takes nothing more from the first byte on.
    struct Deaf;

    impl client::Handler for Deaf {
        type Error = russh::Error;

        async fn check_server_key(
            &mut self,
            _: &PublicKeyOrCertificate,
        ) -> Result<bool, russh::Error> {
            Ok(true)
        }

        async fn data(
            &mut self,
            _: ChannelId,
            _: &[u8],
            _: &mut client::Session,
        ) -> Result<(), russh::Error> {
            std::future::pending().await
        }
    }

    /// Hands on what is opened with it.
    struct Opener(mpsc::Sender<Channel<Msg>>);

    impl server::Handler for Opener {
        type Error = russh::Error;

        async fn auth_none(&mut self, _: &str) -> Result<Auth, russh::Error> {
            Ok(Auth::Accept)
        }

        async fn channel_open_session(
            &mut self,
            channel: Channel<Msg>,
            reply: ChannelOpenHandle,
            _: &mut Session,
        ) -> Result<(), russh::Error> {
            reply.accept().await;
            self.0
                .send(channel)
                .await
                .map_err(|_gone| russh::Error::SendError)
        }
    }

    /// What is said to a client whose connection takes nothing: first with `say`, and once more. Gives back how much of the
    /// window that took.
    async fn stuck(say: impl AsyncFn(&Voice)) -> usize {
        let (near, far) = tokio::io::duplex(4096);
        let (opener, mut channels) = mpsc::channel(1);
        let config = server::Config {
            keys: vec![PrivateKey::from(Ed25519Keypair::from_seed(&[7; 32]))],
            ..server::Config::default()
        };
        let serving = server::run_stream(Arc::new(config), near, Opener(opener));
        // Less than a packet may have: what is writable is the window.
        let config = Arc::new(client::Config {
            window_size: 4_000,
            ..client::Config::default()
        });
        let connecting = client::connect_stream(config, far, Deaf);
        let (running, connected) = tokio::join!(serving, connecting);
        let (_running, mut client) = (running.unwrap(), connected.unwrap());
        assert!(client.authenticate_none("alice").await.unwrap().success());
        let _line = client.channel_open_session().await.unwrap();
        let (_read, writer) = channels.recv().await.unwrap().split();
        let writer = Arc::new(writer);
        writer.data_bytes(&b"x"[..]).await.unwrap();
        let stuffing = async { while writer.exit_status(0).await.is_ok() {} };
        let stuffed = time::timeout(Duration::from_millis(500), stuffing).await;
        assert!(stuffed.is_err(), "the connection takes nothing");
        let before = writer.writable_packet_size().await;
        let voice = Voice::new(Arc::clone(&writer), Screen::Terminal, Standing::default());
        say(&voice).await;
        say(&voice).await;
        let after = writer.writable_packet_size().await;
        before.saturating_sub(after)
    }

    #[tokio::test]
    async fn what_the_connection_does_not_take_is_off_the_window_once() {
        let words = SshSaying::HeldUp.words();
        let length = lines(&words.to_string(), Screen::Terminal).len();
        assert_eq!(stuck(async |voice| voice.say(&words).await).await, length);
        let (tried, told) = (AtomicUsize::new(0), Arc::new(AtomicUsize::new(0)));
        let taken = stuck(async |voice| {
            let told = Arc::clone(&told);
            let tells = move || {
                told.fetch_add(1, Ordering::Relaxed);
            };
            let is_done = voice.break_in(&words, tells).await;
            tried.fetch_add(usize::from(is_done), Ordering::Relaxed);
        });
        assert_eq!(taken.await, length.saturating_add("\r\n".len()));
        assert_eq!(tried.into_inner(), 1, "there is no room for another");
        assert_eq!(told.load(Ordering::Relaxed), 0, "it only waits");
    }

    #[test]
    fn each_line_says_who_speaks() {
        assert_eq!(
            lines("one\ntwo", Screen::Plain),
            "tidegate: one\ntidegate: two\n"
        );
        assert_eq!(lines("one", Screen::Terminal), "tidegate: one\r\n");
        let obeyed = lines("a\u{1b}]52;c;eA==\u{7}b\u{61c}", Screen::Plain);
        assert_eq!(obeyed, "tidegate: a\u{fffd}]52;c;eA==\u{fffd}b\u{fffd}\n");
    }
}
