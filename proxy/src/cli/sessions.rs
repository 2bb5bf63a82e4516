//! `sessions`: what is live and what was, watching it, and ending one.

use std::time::Duration;

use clap::{Args, Subcommand};
use control::api::wire::{Ended, Ending, List, SessionView};
use control::ledger::Cause;
use policies::words::{Shown, cli};
use policies::{PrincipalName, Reason, TargetName};

use crate::cli::context::Context;
use crate::cli::failure::{Failure, Outcome};
use crate::cli::path::segment;
use crate::cli::printer::Row;
use crate::cli::when;

/// How often `watch` looks.
const WATCH_EVERY: Duration = Duration::from_secs(1);

/// Which sessions.
#[derive(Debug, Clone, Default, Args)]
pub(crate) struct Which {
    /// Past ones too
    #[arg(long)]
    all: bool,
    /// Only this person's
    #[arg(long)]
    user: Option<PrincipalName>,
    /// Only those to this target
    #[arg(long)]
    target: Option<TargetName>,
    /// At most so many
    #[arg(long, default_value_t = 200)]
    limit: u32,
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
    Watch(Which),
    /// End one session; its grant stays
    Kill {
        /// Which: an id or its beginning
        id: String,
        /// Why
        #[arg(long, value_name = "TEXT", default_value = "killed by hand")]
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
            step(|timeline| timeline.halt_confirmed),
            step(|timeline| timeline.client_closed),
            end.map(|end| recording(&end.recording)).unwrap_or_default(),
        ]
    }
}

/// How a session ended, in a few words.
pub(crate) fn ending(cause: Option<&Cause>) -> String {
    match cause {
        None => "live".to_owned(),
        Some(Cause::Complete) => "complete".to_owned(),
        Some(Cause::Severed { reason }) => reason.words().what,
        Some(Cause::SeveredAsRecorded { what, .. }) => what.clone(),
        Some(Cause::Failed { code, what }) => format!("failed: {code} {what}"),
        Some(Cause::CutShort) => "cut short: the server stopped".to_owned(),
    }
}

fn recording(state: &control::ledger::RecordingState) -> String {
    use control::ledger::RecordingState::{Absent, CutShort, Failed, Sealed};
    match state {
        Sealed { root } => format!("sealed {root}"),
        Failed => "failed".to_owned(),
        CutShort { root: Some(root) } => format!("sealed {root}, cut short"),
        CutShort { root: None } => "lost, cut short".to_owned(),
        Absent => "none".to_owned(),
    }
}

/// `sessions …`.
pub(crate) async fn sessions(context: &Context, verb: SessionsVerb) -> Outcome {
    match verb {
        SessionsVerb::Ls(which) => {
            let list = listed(context, &which).await?;
            context.printer.list(&list, &list.items)
        }
        SessionsVerb::Show { id } => context.printer.one(&one(context, &id).await?),
        SessionsVerb::Watch(which) => watch(context, &which).await,
        SessionsVerb::Kill { id, reason } => {
            let doing = format!("kill {id}");
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

/// The sessions that one may see.
pub(crate) async fn listed(context: &Context, which: &Which) -> Result<List<SessionView>, Failure> {
    let doing = "list sessions";
    let mut path = format!("/v1/sessions?limit={}", which.limit);
    if !which.all {
        path.push_str("&live=true");
    }
    if let Some(user) = &which.user {
        path.push_str("&principal=");
        path.push_str(&segment(user.as_str()));
    }
    if let Some(target) = &which.target {
        path.push_str("&target=");
        path.push_str(&segment(target.as_str()));
    }
    context.client(doing)?.get(doing, &path).await
}

/// One session, by its id or the beginning of it, or the `last` one that one may see.
pub(crate) async fn one(context: &Context, id: &str) -> Result<SessionView, Failure> {
    let doing = format!("show {id}");
    context
        .client(&doing)?
        .get(&doing, &format!("/v1/sessions/{}", segment(id)))
        .await
}

/// Prints what is live, and then every beginning and end, as long as it is let.
async fn watch(context: &Context, which: &Which) -> Outcome {
    let which = Which {
        all: true,
        ..which.clone()
    };
    let mut shown: Vec<(String, String)> = Vec::new();
    loop {
        let list = listed(context, &which).await?;
        for view in list.items.iter().rev() {
            let end = ending(view.session.end.as_ref().map(|end| &end.cause));
            let id = view.session.id.to_string();
            let begun = shown.iter_mut().find(|(known, _)| *known == id);
            match begun {
                Some((_, before)) if *before == end => continue,
                Some((_, before)) => before.clone_from(&end),
                None => shown.push((id, end.clone())),
            }
            if view.session.is_live() || context.now().duration_since(last_change(view)) < RECENT {
                line(context, view, &end)?;
            }
        }
        tokio::time::sleep(WATCH_EVERY).await;
    }
}

/// What ended longer ago than this is not news to somebody who begins to watch.
const RECENT: jiff::SignedDuration = jiff::SignedDuration::from_secs(60);

fn last_change(view: &SessionView) -> jiff::Timestamp {
    view.session
        .end
        .as_ref()
        .map_or(view.session.opened_at, |end| end.at)
}

fn line(context: &Context, view: &SessionView, end: &str) -> Outcome {
    use crate::cli::printer::{Format, harmless};
    if matches!(context.printer.format, Format::Json | Format::Jsonl) {
        return context.printer.record(view);
    }
    let session = &view.session;
    let at = when::instant(last_change(view), context.now());
    let (id, who, login, target) = (
        session.id,
        &session.principal,
        &session.login,
        &session.target,
    );
    let text = harmless::line(&format!("{at}  {id}  {who}  {login}@{target}  {end}"));
    context.printer.text(&format!("{text}\n"))
}
