//! Telling whoever sits at a terminal that the session is about to end, where that is in nobody's way.
//!
//! At a terminal that shows nothing just now a line is written. Where a program has the whole picture for itself, the
//! title of the window says it and the bell rings; the line comes once the program has gone.

use std::pin::Pin;
use std::time::Duration;

use policies::words::Words;
use tokio::time::{Sleep, sleep};

use super::picture::Picture;
use crate::session::countdown::Countdown;

/// How long nothing has to pass before a line is written: nobody types, and no sequence is under way.
const QUIET: Duration = Duration::from_millis(300);

/// How long that is waited for.
const PATIENCE: Duration = Duration::from_secs(10);

/// Where nothing more is to be told.
const NEVER: Duration = Duration::from_secs(24 * 60 * 60);

/// What is to be told, and how.
#[derive(Debug)]
pub(super) enum Notice {
    /// On lines of its own.
    Line(Words),
    /// In the title of the window.
    Title(Words),
}

/// What is still to be told at one terminal.
#[derive(Debug)]
pub(super) struct Notices {
    countdown: Countdown,
    picture: Picture,
    /// Since when a line waits, counted from the session's beginning.
    waits: Option<Duration>,
    timer: Pin<Box<Sleep>>,
}

impl Notices {
    /// Of a session that goes on from now.
    pub(super) fn new(countdown: Countdown) -> Self {
        let mut notices = Self {
            countdown,
            picture: Picture::default(),
            waits: None,
            timer: Box::pin(sleep(NEVER)),
        };
        notices.rest();
        notices
    }

    /// Takes what is shown.
    pub(super) fn shown(&mut self, bytes: &[u8]) {
        let was_full = self.picture.is_full();
        self.picture.shown(bytes);
        if was_full && !self.picture.is_full() && self.waits.is_some() {
            self.sleep(QUIET);
        }
    }

    /// Returns when something is to be told. Cancel safe.
    pub(super) async fn next(&mut self) -> Notice {
        loop {
            self.timer.as_mut().await;
            let at = self.countdown.scope().elapsed();
            let is_due = self.countdown.is_due(at);
            if is_due {
                self.waits = Some(at);
            }
            let Some((since, words)) = self.waits.zip(self.countdown.words(at)) else {
                self.rest();
                continue;
            };
            if self.picture.is_full() {
                self.rest();
                if is_due {
                    return Notice::Title(words);
                }
                continue;
            }
            let stirred = QUIET.saturating_sub(self.countdown.scope().idle());
            if !stirred.is_zero() && at.saturating_sub(since) < PATIENCE {
                self.sleep(stirred);
                continue;
            }
            self.waits = None;
            self.rest();
            return Notice::Line(words);
        }
    }

    /// Sleeps until the next mark.
    fn rest(&mut self) {
        let at = self.countdown.scope().elapsed();
        let next = self.countdown.next().map(|next| next.saturating_sub(at));
        self.sleep(next.unwrap_or(NEVER));
    }

    fn sleep(&mut self, length: Duration) {
        let now = self.countdown.scope().clock().instant();
        // No session is so long that no instant is behind it.
        if let Some(then) = now.checked_add(length) {
            self.timer.as_mut().reset(then);
        }
    }
}
