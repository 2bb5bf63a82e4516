//! Why a session was ended by us, or is about to be, in words: `TG201` to `TG219`.

use std::time::Duration;

use jiff::SignedDuration;

use super::{Shown, Words, sentence, time};
use crate::{Login, SeverReason, TargetName, duration};

/// An ending together with what ended: what a user whose session is cut is told.
#[derive(Debug, Clone, Copy)]
pub struct Ending<'a> {
    /// Why.
    pub reason: &'a SeverReason,
    /// Access to what.
    pub target: &'a TargetName,
    /// As whom.
    pub login: &'a Login,
}

impl Shown for Ending<'_> {
    fn words(&self) -> Words {
        let Self {
            reason,
            target,
            login,
        } = self;
        let what = format!("access to `{target}` as `{login}` ended: {}", fact(reason));
        let words = Words::new(code(reason), what);
        match reason {
            SeverReason::Expired { .. } | SeverReason::Revoked { .. } => words.hint(format!(
                "tidegate request {target} --as {login} --for 30m --reason '...'"
            )),
            SeverReason::Killed { .. }
            | SeverReason::Idle { .. }
            | SeverReason::RecordingGrown
            | SeverReason::Stopping => words.hint("tidegate grants ls"),
            // Whoever is locked is told nothing any more by any command.
            SeverReason::Locked => words.hint(
                "ask an administrator, who sees locks in: tidegate user ls, tidegate target ls",
            ),
            SeverReason::PrincipalRemoved
            | SeverReason::TargetRemoved
            | SeverReason::PolicyChanged { .. } => words.hint("tidegate ls"),
            SeverReason::KeyRemoved => words.hint("tidegate login"),
            SeverReason::Blind | SeverReason::RecorderFailed => {
                words.hint("ask an administrator to run: tidegate doctor")
            }
        }
    }
}

/// A session whose grant is almost over: what whoever is in it is told in time to finish.
#[derive(Debug, Clone, Copy)]
pub struct Soon<'a> {
    /// How long the session still has.
    pub left: Duration,
    /// Access to what.
    pub target: &'a TargetName,
    /// As whom.
    pub login: &'a Login,
}

impl Shown for Soon<'_> {
    fn words(&self) -> Words {
        let Self {
            left,
            target,
            login,
        } = self;
        let left = rest(*left);
        Words::new("TG214", format!("this session ends in {left}")).hint(format!(
            "tidegate request {target} --as {login} --for 30m --reason '...'   (for another one)"
        ))
    }
}

/// A session that the server ends before its grant does, because it was told to stop.
#[derive(Debug, Clone, Copy)]
pub struct Stops {
    /// How long the session still has.
    pub left: Duration,
}

impl Shown for Stops {
    fn words(&self) -> Words {
        let left = rest(self.left);
        Words::new(
            "TG215",
            format!("the server is stopping: this session ends in {left}, and nobody new gets in"),
        )
        .hint("tidegate grants ls   (what has not ended by then lets you in again once the server is back)")
    }
}

/// How long there still is. A moment after the minute it is a minute still.
fn rest(left: Duration) -> String {
    let moment = u64::from(left.subsec_nanos() > 0);
    let seconds = left.as_secs().saturating_add(moment);
    match i64::try_from(seconds) {
        Ok(seconds @ ..120) => format!("{seconds}s"),
        seconds => duration::print(SignedDuration::from_secs(seconds.unwrap_or(i64::MAX))),
    }
}

impl Shown for SeverReason {
    fn words(&self) -> Words {
        Words::new(code(self), format!("access ended: {}", fact(self))).hint("tidegate ls")
    }
}

fn code(reason: &SeverReason) -> &'static str {
    match reason {
        SeverReason::Revoked { .. } => "TG201",
        SeverReason::Killed { .. } => "TG202",
        SeverReason::Locked => "TG203",
        SeverReason::Expired { .. } => "TG204",
        SeverReason::PrincipalRemoved => "TG205",
        SeverReason::TargetRemoved => "TG206",
        SeverReason::PolicyChanged { .. } => "TG207",
        SeverReason::Blind => "TG208",
        SeverReason::RecorderFailed => "TG209",
        SeverReason::Idle { .. } => "TG210",
        SeverReason::Stopping => "TG211",
        SeverReason::KeyRemoved => "TG212",
        SeverReason::RecordingGrown => "TG213",
    }
}

fn fact(reason: &SeverReason) -> String {
    match reason {
        SeverReason::Expired { at } => format!("the grant expired at {}", time(*at)),
        SeverReason::Revoked { by, reason } => format!("revoked by {by} ({reason})"),
        SeverReason::Killed { by, reason } => format!("the session was ended by {by} ({reason})"),
        SeverReason::Locked => "a lock keeps you, or everybody, out of it".to_owned(),
        SeverReason::PrincipalRemoved => "you are no longer known here".to_owned(),
        SeverReason::KeyRemoved => "the key that you came with is no longer yours".to_owned(),
        SeverReason::TargetRemoved => {
            "it, the login, or a target that it stands behind was removed".to_owned()
        }
        SeverReason::PolicyChanged { reason } if reason.is_empty() => {
            "the policies no longer allow it".to_owned()
        }
        SeverReason::PolicyChanged { reason } => {
            format!("the policies no longer allow it: {}", sentence(reason))
        }
        SeverReason::Blind => "tidegate lost sight of its log of changes".to_owned(),
        SeverReason::RecorderFailed => "the session can no longer be recorded".to_owned(),
        SeverReason::RecordingGrown => {
            "its recording takes too much of the disk, as the session shows so much".to_owned()
        }
        SeverReason::Idle { limit } => {
            format!("nothing came from you for {}", duration::print(*limit))
        }
        SeverReason::Stopping => "the server is stopping".to_owned(),
    }
}
