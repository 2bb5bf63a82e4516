//! What a target takes too long for: nobody waits any more for a channel that it opens late, which is closed there, nor for
//! one that it does not take the end of.

use std::pin::Pin;
use std::sync::Arc;
use std::sync::atomic::Ordering;
use std::time::Duration;

use russh::client::Msg;
use russh::{Channel, ChannelWriteHalf};
use tokio::{select, time};

use super::intake::Intake;
use super::passing::Ended;
use crate::ssh::flow::Tally;
use crate::ssh::relay::Link;

/// How long a target may take to open a channel, or to refuse it.
const OPEN_LIMIT: Duration = Duration::from_secs(10);

/// How long a target may take to take the end of a channel, before nobody waits for that any more.
const CLOSE_LIMIT: Duration = Duration::from_secs(3);

type Opened = Result<(Channel<Msg>, Arc<Tally>), russh::Error>;

type Closing = Pin<Box<dyn Future<Output = ()> + Send + Sync>>;

/// How many channels of one connection the target may owe something for that nobody waits for any more. Then it is
/// asked for no other.
const LATE_MAX: usize = 8;

/// What the target still has to take, until a channel is closed there.
pub(super) struct Late {
    link: Arc<Link>,
    closing: Closing,
}

/// Why there is no channel.
pub(super) enum Unopened {
    /// The target refused it, or took too long.
    Refused,
    /// The client's side of it has ended meanwhile.
    Ended(Ended),
}

/// Has the target open a channel, until that takes too long or the client's side has ended. What comes of it then is
/// `late`.
pub(super) async fn open(
    link: &Arc<Link>,
    late: &mut Option<Late>,
    (client_ends, intake): (impl Future<Output = Ended>, &Intake),
) -> Result<(Channel<Msg>, Arc<Tally>), Unopened> {
    if link.back.is_worn() || link.late.load(Ordering::Relaxed) >= LATE_MAX {
        return Err(Unopened::Refused);
    }
    let back = Arc::clone(link);
    let mut opening: Pin<Box<dyn Future<Output = Opened> + Send + Sync>> =
        Box::pin(async move { back.back.open().await });
    let unopened = select! {
        opened = &mut opening => {
            return opened.map_err(|refused| {
                tracing::debug!(reason = %refused, "target.channel_refused");
                Unopened::Refused
            });
        }
        // Whoever has closed it meanwhile is not refused anything.
        () = time::sleep(OPEN_LIMIT) => if intake.is_closed() {
            Unopened::Ended(Ended::Closed)
        } else {
            Unopened::Refused
        },
        ended = client_ends => Unopened::Ended(ended),
    };
    let back = Arc::clone(link);
    let closing = async move {
        if let Ok((channel, _tally)) = opening.await {
            drop(channel.close().await);
            back.back.forget(channel.id());
        }
    };
    *late = Some(Late::new(link, Box::pin(closing)));
    Err(unopened)
}

/// Closes a channel at the target. Where that takes too long, the rest of it is `late`.
pub(super) async fn close(
    link: &Arc<Link>,
    late: &mut Option<Late>,
    write: Arc<ChannelWriteHalf<Msg>>,
) {
    let back = Arc::clone(link);
    let mut closing: Closing = Box::pin(async move {
        // The target may not be there any more; then there is nothing to close.
        drop(write.close().await);
        back.back.forget(write.id());
    });
    if time::timeout(CLOSE_LIMIT, &mut closing).await.is_err() {
        tracing::debug!("target.channel_unclosed");
        *late = Some(Late::new(link, closing));
    }
}

impl Late {
    fn new(link: &Arc<Link>, closing: Closing) -> Self {
        let link = Arc::clone(link);
        link.late.fetch_add(1, Ordering::Relaxed);
        Self { link, closing }
    }

    /// Waits for the target: it would keep the channel for as long as the session lasts, and count it.
    pub(super) async fn close(mut self) {
        self.closing.as_mut().await;
    }
}

impl Drop for Late {
    fn drop(&mut self) {
        self.link.late.fetch_sub(1, Ordering::Relaxed);
    }
}
