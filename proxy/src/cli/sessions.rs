//! `sessions`: what is live and what was, and ending one. Watching is in `sessions/watch.rs`.

mod watch;

use clap::{Args, Subcommand};
use control::api::wire::{Ended, Ending, List, SessionView};
use control::ledger::{Cause, SESSIONS_PAGE_MAX};
use policies::words::cli::{doing, outcome};
use policies::words::{Shown, cli};
use policies::{PrincipalName, Reason, TargetName};

use crate::cli::context::Context;
use crate::cli::failure::{Failure, Outcome};
use crate::cli::path::segment;
use crate::cli::printer::Row;
use crate::cli::when;

/// How many are listed where past ones are among them and nobody says how many.
pub(crate) const PAST: u32 = 200;

/// Whose sessions.
#[derive(Debug, Args)]
pub(crate) struct Whose {
    /// Only this person's
    #[arg(long)]
    user: Option<PrincipalName>,
    /// Only those to this target
    #[arg(long)]
    target: Option<TargetName>,
}

/// Which sessions.
#[derive(Debug, Args)]
pub(crate) struct Which {
    /// Past ones too
    #[arg(long)]
    all: bool,
    #[command(flatten)]
    whose: Whose,
    /// The newest so many; without it every live one, and with --all the newest 200
    #[arg(long, value_parser = clap::value_parser!(u32).range(1..))]
    limit: Option<u32>,
}

/// Of which times.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Times {
    /// Those that go on.
    Live,
    /// Past ones too.
    Any,
}

/// Look at sessions, and end them
#[derive(Debug, Subcommand)]
pub(crate) enum SessionsVerb {
    /// List live sessions
    Ls(Which),
    /// Show one, with the times of its ending
    Show {
        /// Which: an id, its beginning, or `last`
        id: String,
    },
    /// Print sessions as they begin and end, until Ctrl-C
    Watch(Whose),
    /// End one session; its grant stays
    Kill {
        /// Which: an id, its beginning, or `last`: of the live ones that you may end, the newest
        id: String,
        /// Why
        #[arg(long, value_name = "TEXT", default_value = outcome::KILLED_BY_HAND)]
        reason: Reason,
    },
}

impl Row for SessionView {
    const COLUMNS: (&'static [&'static str], usize) = (
        &[
            "ID",
            "WHO",
            "TARGET",
            "AS",
            "PROTOCOL",
            "SINCE",
            "END",
            "FROM",
            "UNTIL",
            "GRANT",
            "ENDED",
            "DECIDED",
            "TARGET CLOSED",
            "HALT CONFIRMED",
            "CLIENT CLOSED",
            "RECORDING",
        ],
        7,
    );

    fn cells(&self) -> Vec<String> {
        let session = &self.session;
        let end = session.end.as_ref();
        let step = |of: fn(&control::ledger::Timeline) -> Option<jiff::SignedDuration>| {
            end.and_then(|end| of(&end.timeline))
                .map(|at| format!("+{at:#}"))
                .unwrap_or_default()
        };
        vec![
            session.id.to_string(),
            session.principal.to_string(),
            session.target.to_string(),
            session.login.to_string(),
            session.protocol.as_str().to_owned(),
            when::stamp(session.opened_at),
            ending(end.map(|end| &end.cause)),
            session.source.to_string(),
            when::stamp(session.until),
            session.grant.to_string(),
            end.map(|end| when::stamp(end.at)).unwrap_or_default(),
            step(|timeline| timeline.decided),
            step(|timeline| timeline.target_closed),
            match end {
                Some(end) if end.timeline.halt_unconfirmed => unhalted(),
                _ => step(|timeline| timeline.halt_confirmed),
            },
            step(|timeline| timeline.client_closed),
            end.map(|end| recording(&end.recording)).unwrap_or_default(),
        ]
    }
}

/// That a session's work was not seen to stop, and what to do.
fn unhalted() -> String {
    let words = policies::words::session::unhalted();
    let hint = words.hint.map(|hint| format!("; {hint}"));
    format!(
        "{} ({}){}",
        words.what,
        words.code,
        hint.unwrap_or_default()
    )
}

/// How a session ended, in a few words.
pub(crate) fn ending(cause: Option<&Cause>) -> String {
    match cause {
        None => "live".to_owned(),
        Some(Cause::Complete) => "complete".to_owned(),
        Some(Cause::Severed { reason }) => reason.words().what,
        Some(Cause::SeveredAsRecorded { what, .. }) => what.clone(),
        Some(Cause::Failed { code, what }) => outcome::failed(code, what),
        Some(Cause::CutShort) => outcome::CUT_SHORT.to_owned(),
    }
}

fn recording(state: &control::ledger::RecordingState) -> String {
    use control::ledger::RecordingState::{Absent, CutShort, Failed, Sealed};
    match state {
        Sealed { root } => outcome::sealed(root),
        Failed => "failed".to_owned(),
        CutShort { root: Some(root) } => outcome::sealed_short(root),
        CutShort { root: None } => outcome::LOST.to_owned(),
        Absent => "none".to_owned(),
    }
}

/// `sessions …`.
pub(crate) async fn sessions(context: &Context, verb: SessionsVerb) -> Outcome {
    match verb {
        SessionsVerb::Ls(which) => ls(context, &which).await,
        SessionsVerb::Show { id } => context.printer.one(&one(context, &id).await?),
        SessionsVerb::Watch(whose) => watch::watch(context, &whose).await,
        SessionsVerb::Kill { id, reason } => {
            let doing = doing::kill(&id);
            let path = format!("/v1/sessions/{}/kill", segment(&id));
            let ended: Ended = context
                .client(&doing)?
                .post(&doing, &path, &Ending { reason })
                .await?;
            context
                .printer
                .done(&ended, &ended.subject, &cli::killed(&ended.subject))
        }
    }
}

async fn ls(context: &Context, which: &Which) -> Outcome {
    let (times, verb) = if which.all {
        (Times::Any, "sessions ls --all")
    } else {
        (Times::Live, "sessions ls")
    };
    // Whoever pipes the live ones somewhere means all of them.
    let most = which.limit.or(which.all.then_some(PAST));
    let (list, older) = listed(context, &which.whose, times, most).await?;
    context.printer.list(&list, &list.items)?;
    if older {
        tell_older(context, verb, which.limit);
    }
    Ok(())
}

/// Says that there are more than were listed. With `-q` only whoever did not say how many.
pub(crate) fn tell_older(context: &Context, verb: &str, limit: Option<u32>) {
    match limit {
        Some(limit) => context.printer.say(&cli::ledger::older(verb, limit)),
        None => context.printer.warn(&cli::ledger::older(verb, PAST)),
    }
}

/// The newest so many sessions that one may see, and whether there are older ones.
async fn listed(
    context: &Context,
    whose: &Whose,
    times: Times,
    most: Option<u32>,
) -> Result<(List<SessionView>, bool), Failure> {
    let doing = doing::LIST_SESSIONS;
    let mut path = format!("/v1/sessions?limit={}", piece(most));
    if times == Times::Live {
        path.push_str("&live=true");
    }
    if let Some(user) = &whose.user {
        path.push_str("&principal=");
        path.push_str(&segment(user.as_str()));
    }
    if let Some(target) = &whose.target {
        path.push_str("&target=");
        path.push_str(&segment(target.as_str()));
    }
    let name = |view: &SessionView| view.session.id.to_string();
    let client = context.client(doing)?;
    client.newest(doing, &path, name, count(most)).await
}

/// How many to ask for at once, so that it is seen whether there are older ones.
pub(crate) fn piece(most: Option<u32>) -> u32 {
    most.map_or(SESSIONS_PAGE_MAX, |most| {
        most.saturating_add(1).min(SESSIONS_PAGE_MAX)
    })
}

/// So many, or all.
pub(crate) fn count(most: Option<u32>) -> usize {
    most.and_then(|most| usize::try_from(most).ok())
        .unwrap_or(usize::MAX)
}

/// One session, by its id or the beginning of it, or the `last` one that one may see.
pub(crate) async fn one(context: &Context, id: &str) -> Result<SessionView, Failure> {
    let doing = doing::show(&id);
    context
        .client(&doing)?
        .get(&doing, &format!("/v1/sessions/{}", segment(id)))
        .await
}
