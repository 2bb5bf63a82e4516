//! The task that ends leases at their deadline.
//!
//! Each lease knows its deadline too, and the watchman asks the other clocks each second; this one is never
//! busy with anything else, so what is done at the end is done at that instant.

use std::sync::Arc;

use tokio::sync::watch;
use tokio::time::{Instant, sleep_until};

use super::book::LeaseBook;
use crate::clock::Clock;
use crate::feed::LastWord;

/// Ends leases as their deadlines come, until the broker is gone.
pub(crate) async fn run(book: Arc<LeaseBook>, clock: Clock, mut broker: watch::Receiver<()>) {
    let _last_word = LastWord(Arc::clone(&book));
    loop {
        let next = book.next_deadline();
        tokio::select! {
            biased;
            _gone = broker.changed() => return,
            () = book.sooner() => {}
            () = reached(next) => book.expire(clock.instant()),
        }
    }
}

async fn reached(deadline: Option<Instant>) {
    match deadline {
        Some(deadline) => sleep_until(deadline).await,
        None => std::future::pending().await,
    }
}
