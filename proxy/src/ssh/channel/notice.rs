//! Telling whoever sits at a terminal that the session is about to end, where that is in nobody's way.
//!
//! At a terminal that shows nothing just now a line is written. Where a program has the whole picture for itself, the
//! title of the window says it and the bell rings; the line comes once the program has gone.

use std::pin::Pin;
use std::sync::Arc;
use std::sync::atomic::{AtomicU64, Ordering};
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

/// When something last passed at one terminal, either way, in milliseconds since the session's beginning: what passes beside
/// it in the same connection is in nobody's way there.
#[derive(Debug, Clone, Default)]
pub(super) struct Stirred {
    at: Arc<AtomicU64>,
}

impl Stirred {
    /// Something passes.
    pub(super) fn stirs(&self, at: Duration) {
        let at = u64::try_from(at.as_millis()).unwrap_or(u64::MAX);
        self.at.store(at, Ordering::Relaxed);
    }

    /// How long nothing has.
    fn idle(&self, at: Duration) -> Duration {
        at.saturating_sub(Duration::from_millis(self.at.load(Ordering::Relaxed)))
    }
}

/// What is to be told, and how.
#[derive(Debug)]
pub(super) enum Notice {
    /// On lines of its own.
    Line(Words),
    /// In the title of the window.
    Title(Words),
}

/// A line that waits.
#[derive(Debug, Clone, Copy)]
struct Waiting {
    /// Since when, counted from the session's beginning.
    since: Duration,
    /// The title says it.
    is_titled: bool,
}

/// What is still to be told at one terminal.
#[derive(Debug)]
pub(super) struct Notices {
    countdown: Countdown,
    picture: Picture,
    stirred: Stirred,
    waits: Option<Waiting>,
    timer: Pin<Box<Sleep>>,
}

impl Notices {
    /// Of a session that goes on from now.
    pub(super) fn new(countdown: Countdown, stirred: Stirred) -> Self {
        stirred.stirs(countdown.scope().elapsed());
        let mut notices = Self {
            countdown,
            picture: Picture::default(),
            stirred,
            waits: None,
            timer: Box::pin(sleep(NEVER)),
        };
        notices.rest();
        notices
    }

    /// Takes what is shown.
    pub(super) fn shown(&mut self, bytes: &[u8]) {
        self.stirred.stirs(self.countdown.scope().elapsed());
        let was_full = self.picture.is_full();
        self.picture.shown(bytes);
        if was_full && !self.picture.is_full() && self.waits.is_some() {
            self.sleep(QUIET);
        }
    }

    /// Returns when something is to be told. Cancel safe.
    pub(super) async fn next(&mut self) -> Notice {
        loop {
            tokio::select! {
                () = self.timer.as_mut() => {}
                () = self.countdown.news() => {}
            }
            let at = self.countdown.scope().elapsed();
            if self.countdown.is_due(at) {
                self.waits = Some(Waiting {
                    since: at,
                    is_titled: false,
                });
            }
            let words = self.countdown.words(at);
            let Some((waiting, words)) = self.waits.as_mut().zip(words) else {
                self.rest();
                continue;
            };
            let since = waiting.since;
            if self.picture.is_full() {
                let is_told = std::mem::replace(&mut waiting.is_titled, true);
                self.rest();
                if !is_told {
                    return Notice::Title(words);
                }
                continue;
            }
            let stirred = QUIET.saturating_sub(self.stirred.idle(at));
            if !stirred.is_zero() && at.saturating_sub(since) < PATIENCE {
                self.sleep(stirred);
                continue;
            }
            self.waits = None;
            self.rest();
            return Notice::Line(words);
        }
    }

    /// It could not be told: the client has no room. Once more in a moment, whatever passes then.
    pub(super) fn retry(&mut self) {
        self.waits = Some(Waiting {
            since: Duration::ZERO,
            is_titled: false,
        });
        self.sleep(QUIET);
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
