//! What a client has sent and its target has not taken yet, in order.
//!
//! A client that is slowed to a trickle sends its bytes in pieces of two; they are put together here.
//! How many bytes there may be is the business of `flow`. Signals and sizes need no window (RFC 4254, section 5.2): where
//! bytes wait for one, they may go before them.

use std::collections::VecDeque;
use std::sync::{Mutex, MutexGuard, PoisonError};

use bytes::{Bytes, BytesMut};
use russh::Sig;
use tokio::sync::Notify;

use super::terminal::Cell;

/// Pieces up to this size are put together while they wait, in bytes.
const SMALL: usize = 1024;

/// How large they may grow together, in bytes.
const TOGETHER_MAX: usize = 32 * 1024;

/// How many messages of a client may wait for the target. A client that waits to have more than
/// this read, without data to slow it down by, is not one that we serve.
const WAITING_MAX: usize = 16 * 1024;

/// One thing on its way to the target.
#[derive(Debug)]
pub(in crate::ssh) enum Item {
    Bytes(Bytes),
    Together(BytesMut),
    Resize { columns: u32, rows: u32, cell: Cell },
    Signal(Sig),
    Eof,
    Close,
}

/// What the client has sent and the target has not taken.
#[derive(Debug, Default)]
pub(in crate::ssh) struct Backlog {
    queues: Mutex<Queues>,
    filled: Notify,
    /// Told of what is urgent alone.
    hurried: Notify,
}

/// Things, each with its number in the order in which they came.
type Queue = VecDeque<(u64, Item)>;

#[derive(Debug, Default)]
struct Queues {
    /// What has its turn when it is its turn.
    orderly: Queue,
    /// Signals and sizes.
    urgent: Queue,
    came: u64,
}

impl Backlog {
    /// Adds one thing; false when there is too much.
    pub(in crate::ssh) fn push(&self, item: Item) -> bool {
        let is_urgent = matches!(item, Item::Resize { .. } | Item::Signal(_));
        let mut queues = self.queues();
        let came = queues.came;
        queues.came = came.saturating_add(1);
        // Bytes do not join what a signal came after.
        let hurried = queues.urgent.back().map(|(came, _)| *came);
        let queue = if is_urgent {
            &mut queues.urgent
        } else {
            &mut queues.orderly
        };
        let is_apart = queue.back().is_some_and(|(last, _)| hurried > Some(*last));
        let item = match (queue.back_mut().map(|(_, last)| last), item) {
            (Some(Item::Together(together)), Item::Bytes(data))
                if !is_apart && fits(together, &data) =>
            {
                together.extend_from_slice(&data);
                return true;
            }
            (Some(Item::Bytes(_) | Item::Together(_)), Item::Bytes(data)) if data.len() < SMALL => {
                Item::Together(BytesMut::from(&data[..]))
            }
            (Some(last @ Item::Resize { .. }), next @ Item::Resize { .. }) => {
                *last = next;
                return true;
            }
            (_, item) => item,
        };
        queue.push_back((came, item));
        let enough = queues.len() < WAITING_MAX;
        drop(queues);
        self.filled.notify_one();
        if is_urgent {
            self.hurried.notify_one();
        }
        enough
    }

    /// The next thing, in the order that they came. Cancel safe.
    pub(in crate::ssh) async fn pop(&self) -> Item {
        loop {
            let next = self.queues().next();
            match next {
                Some(item) => return item,
                None => self.filled.notified().await,
            }
        }
    }

    /// The next signal or size, whatever came before it. Cancel safe.
    pub(in crate::ssh) async fn urgent(&self) -> Item {
        loop {
            let next = self.queues().urgent.pop_front();
            match next {
                Some((_, item)) => return item,
                None => self.hurried.notified().await,
            }
        }
    }

    fn queues(&self) -> MutexGuard<'_, Queues> {
        self.queues.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

impl Queues {
    fn len(&self) -> usize {
        self.orderly.len().saturating_add(self.urgent.len())
    }

    fn next(&mut self) -> Option<Item> {
        let first = |queue: &Queue| queue.front().map(|(came, _)| *came);
        let is_urgent = match (first(&self.orderly), first(&self.urgent)) {
            (Some(orderly), Some(urgent)) => urgent < orderly,
            (orderly, _) => orderly.is_none(),
        };
        let queue = if is_urgent {
            &mut self.urgent
        } else {
            &mut self.orderly
        };
        queue.pop_front().map(|(_, item)| item)
    }
}

fn fits(together: &BytesMut, data: &Bytes) -> bool {
    data.len() < SMALL && together.len().saturating_add(data.len()) <= TOGETHER_MAX
}

#[cfg(test)]
mod tests {
    use super::*;

    #[tokio::test]
    async fn small_pieces_that_wait_become_one_and_order_is_kept() {
        let backlog = Backlog::default();
        for piece in [&b"ab"[..], b"cd", b"ef"] {
            assert!(backlog.push(Item::Bytes(Bytes::from_static(piece))));
        }
        backlog.push(Item::Eof);
        let first = backlog.pop().await;
        assert!(matches!(first, Item::Bytes(bytes) if bytes == "ab"));
        let second = backlog.pop().await;
        assert!(matches!(second, Item::Together(bytes) if bytes.as_ref() == b"cdef"));
        assert!(matches!(backlog.pop().await, Item::Eof));
    }

    #[tokio::test]
    async fn signals_and_sizes_go_before_bytes_where_they_are_asked_for_and_in_order_else() {
        let backlog = Backlog::default();
        let fill = || {
            backlog.push(Item::Bytes(Bytes::from_static(b"one")));
            backlog.push(Item::Signal(Sig::HUP));
            backlog.push(Item::Bytes(Bytes::from_static(b"two")));
            backlog.push(Item::Signal(Sig::TERM));
            backlog.push(Item::Bytes(Bytes::from_static(b"three")));
            backlog.push(Item::Eof);
        };
        fill();
        assert!(matches!(backlog.urgent().await, Item::Signal(Sig::HUP)));
        assert!(matches!(backlog.pop().await, Item::Bytes(bytes) if bytes == "one"));
        assert!(matches!(backlog.pop().await, Item::Together(bytes) if bytes.as_ref() == b"two"));
        assert!(matches!(backlog.urgent().await, Item::Signal(Sig::TERM)));
        assert!(matches!(backlog.pop().await, Item::Together(bytes) if bytes.as_ref() == b"three"));
        assert!(matches!(backlog.pop().await, Item::Eof));
        assert!(is_pending(backlog.urgent()).await);
        fill();
        assert!(matches!(backlog.pop().await, Item::Bytes(_)));
        assert!(matches!(backlog.pop().await, Item::Signal(Sig::HUP)));
        assert!(matches!(backlog.pop().await, Item::Together(bytes) if bytes.as_ref() == b"two"));
        assert!(matches!(backlog.pop().await, Item::Signal(Sig::TERM)));
        assert!(matches!(backlog.pop().await, Item::Together(_)));
        assert!(matches!(backlog.pop().await, Item::Eof));
        assert!(is_pending(backlog.pop()).await);
    }

    async fn is_pending(waits: impl Future<Output = Item>) -> bool {
        tokio::time::timeout(std::time::Duration::from_millis(1), waits)
            .await
            .is_err()
    }

    #[tokio::test]
    async fn of_many_sizes_that_wait_the_last_counts() {
        let backlog = Backlog::default();
        for columns in 0..100 {
            backlog.push(Item::Resize {
                columns,
                rows: 1,
                cell: Cell::default(),
            });
        }
        assert!(matches!(
            backlog.pop().await,
            Item::Resize { columns: 99, .. }
        ));
    }

    #[test]
    fn a_flood_is_noticed() {
        let backlog = Backlog::default();
        let enough = |_: &usize| backlog.push(Item::Signal(Sig::HUP));
        assert_eq!(
            (0..2 * WAITING_MAX).take_while(enough).count(),
            WAITING_MAX - 1
        );
    }
}
