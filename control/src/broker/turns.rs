//! Whose turn it is to change the log.
//!
//! A change is decided on the log's end, so of two that are decided at once only one can be appended. They
//! take turns, in the order in which they came; what only takes away goes before everything else that
//! waits, so that nobody who asks for much can hold up an ending.

use tokio::sync::{Mutex, MutexGuard};

/// The turns of one broker. The locks are fair: whoever waits longest is next.
#[derive(Debug, Default)]
pub(super) struct Turns {
    /// Held by the one ordinary change that may wait for its turn.
    line: Mutex<()>,
    turn: Mutex<()>,
}

/// A turn, until it is dropped.
#[derive(Debug)]
#[must_use = "the turn is over when it is dropped"]
pub(super) struct Turn<'a> {
    _turn: MutexGuard<'a, ()>,
    _line: Option<MutexGuard<'a, ()>>,
}

impl Turns {
    /// A turn at once, if nobody has it.
    pub(super) fn at_once(&self) -> Option<Turn<'_>> {
        let turn = self.turn.try_lock().ok()?;
        Some(Turn {
            _turn: turn,
            _line: None,
        })
    }

    /// A turn after those who came before.
    pub(super) async fn ordinary(&self) -> Turn<'_> {
        let line = self.line.lock().await;
        Turn {
            _turn: self.turn.lock().await,
            _line: Some(line),
        }
    }

    /// A turn before everything that waits and gives somebody something: after one of those at most.
    pub(super) async fn ahead(&self) -> Turn<'_> {
        Turn {
            _turn: self.turn.lock().await,
            _line: None,
        }
    }
}

#[cfg(test)]
mod tests {
    use std::sync::Arc;

    use super::*;

    #[tokio::test]
    async fn what_takes_away_waits_for_one_other_change_at_most() {
        let turns = Arc::new(Turns::default());
        let order = Arc::new(std::sync::Mutex::new(Vec::new()));
        let first = turns.ordinary().await;
        assert!(turns.at_once().is_none());
        let mut waiting = Vec::new();
        for name in ["first", "second", "third", "ahead"] {
            let (turns, order) = (Arc::clone(&turns), Arc::clone(&order));
            waiting.push(tokio::spawn(async move {
                let turn = if name == "ahead" {
                    turns.ahead().await
                } else {
                    turns.ordinary().await
                };
                order.lock().unwrap().push(name);
                drop(turn);
            }));
            tokio::task::yield_now().await;
        }
        drop(first);
        for one in waiting {
            one.await.unwrap();
        }
        let order = order.lock().unwrap();
        let place = order.iter().position(|name| *name == "ahead");
        assert!(place <= Some(1), "{order:?}");
    }
}
