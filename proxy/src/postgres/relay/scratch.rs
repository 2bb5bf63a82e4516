//! The read buffer that all connections of a thread share.
//!
//! Deliberately keeps nothing from one use to the next.

use std::cell::RefCell;
use std::pin::Pin;
use std::task::{Context, Poll};

use tokio::io::{AsyncRead, ReadBuf};

/// The size of the read buffer that all connections of a thread share, in bytes. Four TLS records.
pub(super) const SCRATCH: usize = 64 * 1024;

/// A read of at least this many bytes is likely to have more behind it.
const MORE_EXPECTED: usize = 8 * 1024;

thread_local! {
    static SHARED: RefCell<Vec<u8>> = const { RefCell::new(Vec::new()) };
}

/// Lends out the thread's read buffer.
pub(super) fn with_scratch<T>(work: impl FnOnce(&mut [u8]) -> T) -> T {
    SHARED.with_borrow_mut(|shared| {
        if shared.is_empty() {
            shared.resize(SCRATCH, 0);
        }
        work(shared)
    })
}

/// Reads behind what is `unread`, until the peer has nothing more at the moment or the buffer is
/// nearly full. Says how much there is now; `None` when the peer is gone.
pub(super) fn poll_fill<R: AsyncRead + Unpin>(
    from: &mut R,
    unread: &mut Vec<u8>,
    scratch: &mut [u8],
    cx: &mut Context<'_>,
) -> Poll<Option<usize>> {
    let begun = unread.len();
    let mut end = begun;
    loop {
        let mut buffer = ReadBuf::new(scratch.get_mut(end..).unwrap_or_default());
        let room = buffer.remaining();
        let polled = Pin::new(&mut *from).poll_read(cx, &mut buffer);
        let read = buffer.filled().len();
        match polled {
            Poll::Ready(Ok(())) if read > 0 => end = end.saturating_add(read),
            Poll::Pending if end == begun => return Poll::Pending,
            Poll::Ready(_gone) if end == begun => return Poll::Ready(None),
            // What has been read comes first; the next read says the same again.
            Poll::Pending | Poll::Ready(_) => break,
        }
        if read < MORE_EXPECTED || room.saturating_sub(read) < MORE_EXPECTED {
            break;
        }
    }
    put_back(unread, scratch);
    Poll::Ready(Some(end))
}

/// Moves what is unread to the read buffer.
pub(super) fn put_back(unread: &mut Vec<u8>, scratch: &mut [u8]) -> usize {
    let end = unread.len().min(scratch.len());
    if let (Some(to), Some(from)) = (scratch.get_mut(..end), unread.get(..end)) {
        to.copy_from_slice(from);
    }
    unread.drain(..end);
    end
}
