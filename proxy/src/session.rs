//! The spine: the life of every session, on one page. The only place where the order of a session's
//! events is written.
//!
//! Nothing here knows a protocol, but for the targets in front of another one (`way`: SSH) and budgets (`bastion`:
//! PostgreSQL), and no protocol knows this order. Bytes reach a target only below
//! a permit, a lease, an open recording and a fresh certificate. Whatever ends a session, its
//! target's socket goes first; the client is told afterwards, if it listens.

use std::sync::{Arc, OnceLock};
use std::time::Duration;

use control::{Admission, Lease};
use jiff::SignedDuration;
use policies::words::{Shown, Words};
use policies::{Denial, Part, SeverReason};
use recorder::Timeline;
use tokio::{select, time};
use tracing::{Instrument, info, info_span, warn};

pub mod bastion;
pub mod closing;
pub(crate) mod countdown;
pub mod dial;
pub mod ending;
pub mod halt_pass;
mod halting;
pub mod incoming;
pub mod meter;
pub mod parting;
pub mod protocol;
pub mod road;
pub mod scope;
pub mod severable;
pub(crate) mod share;
mod stopping;
pub mod way;

use bastion::Bastion;
use ending::Ending;
use halting::Halting;
use incoming::Incoming;
use protocol::{Connected, Front, Halt, Identified, Protocol, Refused};
use scope::Scope;
use severable::Severer;

/// How long a client may take to say who it is, from accept to the end of authentication.
///
/// OpenSSH waits 120 s by default (`LoginGraceTime` in `sshd_config(5)`), PostgreSQL 60 s
/// (`authentication_timeout`). We hold no state worth that much patience.
pub const GREETING_LIMIT: Duration = Duration::from_secs(20);

/// How long a target may take to prove itself and to let us in, once it is reached.
pub const LOGIN_LIMIT: Duration = Duration::from_secs(15);

/// How long a client may take to hear why its session ended before its socket goes.
pub const FAREWELL_LIMIT: Duration = Duration::from_millis(300);

/// How long a client may take to get what was already passed on to it when a session has ended by
/// itself. The lease no longer looks on then, so it cannot be without an end.
pub const LEAVE_LIMIT: Duration = Duration::from_secs(3);

/// How long the stopping of work at the target may take before it is recorded as not seen.
pub const HALT_LIMIT: Duration = Duration::from_secs(2);

/// Runs one session from the accepted connection to the sealed recording.
///
/// # Errors
///
/// When nobody was let in. Once somebody was, every ending is in the recording and the ledger.
pub async fn run<P: Protocol>(
    protocol: &P,
    client: Incoming,
    bastion: &Bastion,
) -> Result<(), Refused> {
    let (client_side, target_side) = (Severer::default(), Severer::default());
    let (io, newcomer) = client.wrap(&client_side).map_err(Refused::Socket)?;
    let Identified { ask, mut front } = match protocol.greet(io, newcomer).await {
        Ok(identified) => identified,
        Err(refused) => {
            // What it was told, or the end of its connection in order, is still on its way.
            if refused.is_told() {
                client_side.release();
            }
            return Err(refused);
        }
    };

    let admission = match bastion.admit(&ask).await {
        Ok(admission) => admission,
        Err(denial) => {
            let words = denial.words();
            info!(principal = %ask.principal, target = %ask.target, login = %ask.login,
                reason = words.code, "session.denied");
            refuse(&mut front, &client_side, &words).await;
            return Ok(());
        }
    };
    let terms = admission.permit.terms();
    let span = info_span!("session", session = %admission.session, grant = %terms.grant,
        principal = %terms.principal, target = %terms.target.name, login = %terms.login);
    let sides = Sides {
        client: client_side,
        target: target_side,
    };
    // On the heap: thousands of sessions wait here.
    Box::pin(live(protocol, admission, &mut front, sides, bastion))
        .instrument(span)
        .await;
    Ok(())
}

/// Both sockets of a session, each under what can end it.
struct Sides {
    client: Severer,
    target: Severer,
}

/// When it was decided that the target's socket has to go, and when it was gone.
struct Cut(Arc<OnceLock<(Duration, Duration)>>);

impl Cut {
    /// Has the target's socket severed by whoever ends the lease, on their thread, and what runs there
    /// stopped from then on: our thread may be busy with a thousand other sessions or stuck in a disk.
    fn at_the_end_of<H: Halt>(
        lease: &Lease,
        (target, scope): (&Severer, &Scope),
        halting: Halting<H>,
    ) -> Self {
        let stamps = Arc::new(OnceLock::new());
        let (stamp, trigger, scope) = (Arc::clone(&stamps), target.trigger(), scope.clone());
        lease.when_over(move || {
            let decided = scope.elapsed();
            scope.cut();
            trigger.pull();
            stamp.get_or_init(|| (decided, scope.elapsed()));
            halting.begin();
        });
        Self(stamps)
    }

    /// The two moments; severs now where nobody has.
    fn or_now(&self, target: &Severer, scope: &Scope) -> (Duration, Duration) {
        *self.0.get_or_init(|| {
            let decided = scope.elapsed();
            target.sever();
            (decided, scope.elapsed())
        })
    }
}

/// Somebody was let in: record, reach the target, prove ourselves there, relay until it ends, and
/// wind up, the target's side first.
async fn live<P: Protocol>(
    protocol: &P,
    admission: Admission,
    front: &mut P::Front,
    sides: Sides,
    bastion: &Bastion,
) {
    let Admission {
        session,
        permit,
        mut lease,
    } = admission;
    let terms = permit.terms().clone();
    let recording = match bastion.open_recording(session, &terms).await {
        Ok(recording) => recording,
        Err(refused) => {
            warn!(reason = %chain(refused.as_ref()), "session.unrecordable");
            let denial = Denial::Unavailable {
                part: Part::Recorder,
            };
            return refuse(front, &sides.client, &denial.words()).await;
        }
    };
    let scope = bastion.scope(session, terms, recording);
    let mut closing = bastion.closing(&scope);
    let halting = bastion.halting::<P::Halt>(&scope);
    let cut = Cut::at_the_end_of(&lease, (&sides.target, &scope), halting.clone());
    info!("session.opened");

    let work = async {
        let dialled = bastion.dial(session, scope.terms(), &sides.target).await?;
        bastion.equip(session, scope.terms()).await?;
        let pass = bastion.issue(session, permit, dialled.source).await?;
        let connected = protocol.connect(front, dialled, pass, &scope).await?;
        let Connected { back, halt: stop } = connected;
        halting.hold(stop);
        Ok(protocol.relay(front, back, &scope).await)
    };
    let ending = select! {
        biased;
        reason = lease.severed() => Ending::Severed(reason),
        reason = idle(&scope) => Ending::Severed(reason),
        // Whoever ends a lease cuts the target's socket first, which the relay may see sooner.
        done = work => lease.over().map_or_else(|| Ending::from(done), Ending::Severed),
    };
    let (decided_at, target_closed) = cut.or_now(&sides.target, &scope);
    // Where whoever ended the lease has not: it ended otherwise, or was over before there was anything to stop.
    halting.begin();

    let farewell = ending.farewell(scope.terms());
    closing.ends_as(ending);
    let parting = async {
        let _parting = bastion.parting();
        part(front, &sides.client, farewell.as_ref()).await;
        Some(scope.elapsed())
    };
    let (halted, client_closed) = tokio::join!(halting.outcome(), parting);
    closing.halted(halted);
    let timeline = Timeline {
        decided_at: Some(decided_at),
        target_closed: Some(target_closed),
        halt_confirmed: halted.confirmed(),
        client_closed,
    };
    closing.close(timeline).await;
}

/// Tells the client, for as long as it may take, then lets its socket go: gently where it has heard
/// everything, at once where it does not listen.
async fn part(front: &mut impl Front, side: &Severer, words: Option<&Words>) {
    let Some(words) = words else {
        return match time::timeout(LEAVE_LIMIT, front.leave()).await {
            Ok(()) => side.release(),
            Err(_elapsed) => side.sever(),
        };
    };
    match time::timeout(FAREWELL_LIMIT, front.farewell(words)).await {
        Ok(()) => side.release(),
        Err(_elapsed) => side.sever(),
    }
}

async fn refuse(front: &mut impl Front, side: &Severer, words: &Words) {
    match time::timeout(GREETING_LIMIT, front.refuse(words)).await {
        Ok(()) => side.release(),
        Err(_elapsed) => side.sever(),
    }
}

/// Returns when nothing has come from the client for as long as the server allows; never, where it does not say.
async fn idle(scope: &Scope) -> SeverReason {
    let Some(allowed) = scope.idle_limit() else {
        return std::future::pending().await;
    };
    loop {
        let left = allowed.saturating_sub(scope.unheard());
        if left.is_zero() {
            let limit = SignedDuration::try_from(allowed).unwrap_or(SignedDuration::MAX);
            return SeverReason::Idle { limit };
        }
        time::sleep(left).await;
    }
}

/// An error and all its sources, for the operator.
pub(crate) fn chain(error: &(dyn std::error::Error + 'static)) -> String {
    let mut text = error.to_string();
    let mut next = error.source();
    while let Some(source) = next {
        text.push_str(": ");
        text.push_str(&source.to_string());
        next = source.source();
    }
    text
}

#[cfg(test)]
mod tests;
