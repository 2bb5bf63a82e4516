//! A channel that the target opens too late: nobody waits for it any more, and it is closed there.

use std::pin::Pin;
use std::sync::Arc;
use std::sync::atomic::Ordering;
use std::time::Duration;

use russh::Channel;
use russh::client::Msg;
use tokio::{select, time};

use super::passing::Ended;
use crate::ssh::flow::Tally;
use crate::ssh::relay::Link;

/// How long a target may take to open a channel, or to refuse it.
const OPEN_LIMIT: Duration = Duration::from_secs(10);

type Opened = Result<(Channel<Msg>, Arc<Tally>), russh::Error>;

/// How many channels of one connection the target may owe an answer for that nobody waits for any more. Then it is
/// asked for no other.
const LATE_MAX: usize = 8;

/// What the target still has to open or to refuse.
pub(super) struct Late {
    link: Arc<Link>,
    opening: Pin<Box<dyn Future<Output = Opened> + Send + Sync>>,
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
    client_ends: impl Future<Output = Ended>,
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
        () = time::sleep(OPEN_LIMIT) => Unopened::Refused,
        ended = client_ends => Unopened::Ended(ended),
    };
    let link = Arc::clone(link);
    link.late.fetch_add(1, Ordering::Relaxed);
    *late = Some(Late { link, opening });
    Err(unopened)
}

impl Late {
    /// Waits for the target, and closes what it has opened: it would keep it for as long as the session lasts, and
    /// count it.
    pub(super) async fn close(mut self) {
        if let Ok((channel, _tally)) = self.opening.as_mut().await {
            drop(channel.close().await);
            self.link.back.forget(channel.id());
        }
    }
}

impl Drop for Late {
    fn drop(&mut self) {
        self.link.late.fetch_sub(1, Ordering::Relaxed);
    }
}
