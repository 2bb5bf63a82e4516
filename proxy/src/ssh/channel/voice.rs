//! How we speak inside a session: on a channel's side stream (`stderr`), never in the stream that
//! may be a file, each line with our name before it.

use std::sync::{Arc, Mutex, PoisonError};
use std::time::Duration;

use bytes::Bytes;
use policies::acts;
use policies::words::Words;
use russh::server::Msg;
use russh::{ChannelId, ChannelWriteHalf};
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

/// One channel on which we can be heard.
#[derive(Debug, Clone)]
pub struct Voice {
    writer: Writer,
    screen: Screen,
}

impl Voice {
    /// Speaks on this channel.
    pub fn new(writer: Writer, screen: Screen) -> Self {
        Self { writer, screen }
    }

    /// Says something, if the client takes it in time.
    pub async fn say(&self, words: &Words) {
        self.say_text(&words.to_string()).await;
    }

    /// Says something and ends the channel with this exit status. A client shows everything that it
    /// was sent before a channel ended; what comes just before a disconnect may be lost in it.
    pub async fn say_and_end(&self, words: &Words, status: u32) {
        let ending = async {
            self.writer
                .extended_data_bytes(STDERR, lines(&words.to_string(), self.screen))
                .await?;
            self.writer.exit_status(status).await?;
            self.writer.eof().await?;
            self.writer.close().await
        };
        if time::timeout(SAYING_LIMIT, ending).await.is_err() {
            tracing::debug!("words.unheard");
        }
    }

    /// Says something that nobody asked for, on lines of its own, wherever the cursor stands.
    pub(super) async fn break_in(&self, words: &Words) {
        let said = lines(&words.to_string(), self.screen);
        let fresh = [b"\r\n".as_slice(), &said].concat();
        self.send(Bytes::from(fresh)).await;
    }

    /// Says something in the title of the window, and rings the bell: what is shown stays as it is (xterm's control
    /// sequences, `OSC 2`).
    pub(super) async fn entitle(&self, words: &Words) {
        let title: String = words.what.chars().map(mark).collect();
        let sequence = format!("\x1b]2;tidegate: {title}\x1b\\\x07");
        self.send(Bytes::from(sequence)).await;
    }

    /// Says one or more lines.
    pub async fn say_text(&self, text: &str) {
        self.send(lines(text, self.screen)).await;
    }

    async fn send(&self, said: Bytes) {
        let saying = self.writer.extended_data_bytes(STDERR, said);
        if time::timeout(SAYING_LIMIT, saying).await.is_err() {
            tracing::debug!("words.unheard");
        }
    }
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
        let mut saying = tokio::task::JoinSet::new();
        for (_, voice) in voices {
            let words = words.clone();
            saying.spawn(async move { voice.say(&words).await });
        }
        saying.join_all().await;
    }

    /// Says something on every channel and ends it with this exit status.
    pub async fn say_and_end(&self, words: &Words, status: u32) {
        let voices = self.with(|inner| inner.voices.clone());
        let mut saying = tokio::task::JoinSet::new();
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
    use super::*;

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
