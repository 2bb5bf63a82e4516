//! One connection that a client has carried to somewhere behind the target (`ssh -L`, `-D`, `-W`), from
//! the question whether it may to its end.
//!
//! The target connects, never the bastion: it sees what the target sees, and what the target's own
//! `sshd_config` forbids stays forbidden. It is in the recording before the target hears of it.

use std::sync::Arc;

use policies::words::forward::ForwardSaying;
use policies::words::ssh::SshSaying;
use policies::words::{Shown, Words};
use policies::{Capability, Deed};
use recorder::{AppendError, ChannelEvent};
use russh::ChannelOpenFailure;
use russh::server::ChannelOpenHandle;

use super::conduit::{Conduit, Near};
use super::look::Look;
use crate::ssh::channel::pump::Far;
use crate::ssh::channel::tap::Tap;
use crate::ssh::client::arrival::{ForwardOpen, Forwarding, Route, Visit};
use crate::ssh::client::visitor::one_line;
use crate::ssh::relay::Link;

/// The protocol's code for what is not allowed (RFC 4254, section 5.1).
const PROHIBITED: u32 = 1;

/// A connection to be carried.
pub struct Onward {
    link: Arc<Link>,
    open: ForwardOpen,
    tap: Arc<Tap>,
}

impl std::fmt::Debug for Onward {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.debug_struct("Onward")
            .field("open", &self.open)
            .finish_non_exhaustive()
    }
}

impl Onward {
    /// One that is wanted, under this number in the recording.
    pub fn new(link: Arc<Link>, open: ForwardOpen, number: u32) -> Self {
        let tap = Arc::new(Tap::new(link.scope.clone(), number));
        link.taps.add(Arc::clone(&tap));
        Self { link, open, tap }
    }

    /// Carries it to its end, or says why not.
    ///
    /// # Errors
    ///
    /// When it cannot be recorded; then nothing may go on in this session.
    pub async fn carry(self) -> Result<(), AppendError> {
        let Self { link, open, tap } = self;
        let tally = Arc::clone(&open.visit.tally);
        let carried = run(&link, open, &tap).await;
        tally.end();
        carried?;
        tap.finish()?;
        link.taps.remove(&tap);
        Ok(())
    }
}

async fn run(link: &Link, open: ForwardOpen, tap: &Tap) -> Result<(), AppendError> {
    let ForwardOpen {
        visit,
        reply,
        route,
    } = open;
    let route = match route {
        Ok(route) => route,
        Err(said) => {
            let what = format!("{}: {said}", Forwarding::Port.as_str());
            let words = ForwardSaying::NoPlace { to: &said }.words();
            return refuse(tap, reply, &words, &what).await;
        }
    };
    let to = route.to.to_string();
    record(tap, &route)?;
    link.scope.take_turn().await;
    if let Err(words) = may(link, &route) {
        return refuse(tap, reply, &words, &to).await;
    }
    if link.back.is_worn() {
        return refuse(tap, reply, &SshSaying::Worn.words(), &to).await;
    }
    // The target takes as long to connect as it takes: only the client waits, and for a place of its own.
    let (channel, far_tally) = match link.back.open_onward(&route).await {
        Ok(opened) => opened,
        // By our hand: the spine ends this relay then, and says why.
        Err(_cut) if tap.is_cut() => return std::future::pending().await,
        Err(refused) => return miss(tap, reply, refused, &to).await,
    };
    if let Err(words) = may(link, &route) {
        // It took its time, and the rules are others now. Nothing has passed.
        let refused = refuse(tap, reply, &words, &to).await;
        drop(channel.close().await);
        link.back.forget(channel.id());
        return refused;
    }
    visit.tally.course().opens();
    reply.accept().await;
    let id = channel.id();
    let (read, write) = channel.split();
    let far = Far {
        read,
        write: Arc::new(write),
        tally: far_tally,
    };
    let carried = between(link, tap, (visit, far), &to).await;
    link.back.forget(id);
    carried
}

/// Moves the bytes between two ends that are open.
async fn between(
    link: &Link,
    tap: &Tap,
    (visit, far): (Visit, Far),
    to: &str,
) -> Result<(), AppendError> {
    let (read, write) = visit.channel.split();
    let near = Near {
        read,
        write,
        tally: visit.tally,
    };
    let conduit = Conduit {
        link,
        tap,
        near,
        far,
        to,
        looks: Look::strangers(),
    };
    conduit.carry().await
}

fn record(tap: &Tap, route: &Route) -> Result<(), AppendError> {
    let kind = if route.to.is_socket() {
        "direct-streamlocal@openssh.com"
    } else {
        "direct-tcpip"
    };
    tap.event(ChannelEvent::Opened { kind })?;
    tap.forward(&route.to, route.from)
}

/// Asks policy, as things stand now.
fn may(link: &Link, route: &Route) -> Result<(), Words> {
    let (host, port) = (route.to.host().to_owned(), route.to.port());
    let deed = Deed::ForwardPort { host, port };
    link.scope.may(&deed).map_err(|denial| {
        if !link.names(Capability::ForwardPort) {
            let what = Forwarding::Port.as_str();
            return SshSaying::NotInPermit { what }.words();
        }
        let (to, why) = (route.to.to_string(), denial.words().what);
        ForwardSaying::NotForwarded { to: &to, why: &why }.words()
    })
}

/// Writes a no down, and gives it as the answer, which is where clients show it.
async fn refuse(
    tap: &Tap,
    reply: ChannelOpenHandle,
    words: &Words,
    what: &str,
) -> Result<(), AppendError> {
    let code = words.code;
    tap.event(ChannelEvent::Refused { code, what })?;
    let reason = one_line(words);
    let code = PROHIBITED;
    reply
        .reject(ChannelOpenFailure::Other { code, reason })
        .await;
    Ok(())
}

/// The target did not connect: writes that down, and passes its reason on.
#[expect(
    clippy::wildcard_enum_match_arm,
    reason = "only one of russh's errors has a reason to pass on"
)]
async fn miss(
    tap: &Tap,
    reply: ChannelOpenHandle,
    refused: russh::Error,
    to: &str,
) -> Result<(), AppendError> {
    let words = ForwardSaying::NotConnected { to }.words();
    let code = words.code;
    tap.event(ChannelEvent::Refused { code, what: to })?;
    let reason = one_line(&words);
    let code = match refused {
        russh::Error::ChannelOpenFailure(failure) => failure.code(),
        _ => ChannelOpenFailure::ConnectFailed.code(),
    };
    reply
        .reject(ChannelOpenFailure::Other { code, reason })
        .await;
    Ok(())
}
