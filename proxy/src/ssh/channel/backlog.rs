//! What a client has sent and its target has not taken yet, in order.
//!
//! A client that is slowed to a trickle sends its bytes in pieces of two; they are put together here.
//! How many bytes there may be is the business of `flow`.

use std::collections::VecDeque;
use std::sync::{Mutex, PoisonError};

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
    items: Mutex<VecDeque<Item>>,
    filled: Notify,
}

impl Backlog {
    /// Adds one thing; false when there is too much.
    pub(in crate::ssh) fn push(&self, item: Item) -> bool {
        let mut items = self.items.lock().unwrap_or_else(PoisonError::into_inner);
        let item = match (items.back_mut(), item) {
            (Some(Item::Together(together)), Item::Bytes(data)) if fits(together, &data) => {
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
        items.push_back(item);
        let enough = items.len() < WAITING_MAX;
        drop(items);
        self.filled.notify_one();
        enough
    }

    pub(in crate::ssh) async fn pop(&self) -> Item {
        loop {
            let next = self
                .items
                .lock()
                .unwrap_or_else(PoisonError::into_inner)
                .pop_front();
            match next {
                Some(item) => return item,
                None => self.filled.notified().await,
            }
        }
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
