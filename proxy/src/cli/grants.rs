//! `grants`, `revoke`: looking at what is in force, and ending it.

use clap::{ArgGroup, Args, Subcommand};
use control::api::wire::{Ended, Ending, GrantView, List, SessionView};
use policies::words::cli;
use policies::{PrincipalName, Reason, TargetName};

use crate::cli::context::Context;
use crate::cli::failure::{Exit, Failure, Outcome};
use crate::cli::path::segment;
use crate::cli::printer::Row;
use crate::cli::prompt::Assent;
use crate::cli::{sessions, when};

/// Look at grants
#[derive(Debug, Subcommand)]
pub(crate) enum GrantsVerb {
    /// List grants
    Ls {
        /// Those that are over too
        #[arg(long)]
        all: bool,
    },
    /// Show one
    Show {
        /// Which: an id or its beginning
        id: String,
    },
}

/// End grants and cut their sessions
#[derive(Debug, Args)]
#[group(skip)]
#[command(group(ArgGroup::new("which").required(true).args(["id", "user", "target", "session"])))]
pub(crate) struct RevokeArgs {
    /// Which grant: an id or its beginning
    id: Option<String>,
    /// Every grant of this person
    #[arg(long)]
    user: Option<PrincipalName>,
    /// Every grant for this target
    #[arg(long)]
    target: Option<TargetName>,
    /// The grant of this session
    #[arg(long)]
    session: Option<String>,
    /// Why
    #[arg(long, value_name = "TEXT")]
    reason: Reason,
    #[command(flatten)]
    assent: Assent,
}

impl Row for GrantView {
    const COLUMNS: (&'static [&'static str], usize) = (
        &[
            "ID", "WHO", "TARGET", "AS", "IN FORCE", "UNTIL", "ENDED BY", "REASON", "STARTS",
            "REQUEST",
        ],
        6,
    );

    fn cells(&self) -> Vec<String> {
        let text = |what: Option<String>| what.unwrap_or_default();
        vec![
            self.id.to_string(),
            self.principal.to_string(),
            self.target.to_string(),
            self.login.to_string(),
            if self.in_force { "yes" } else { "no" }.to_owned(),
            when::stamp(self.expires_at),
            text(self.ended_by.as_ref().map(ToString::to_string)),
            text(self.end_reason.as_ref().map(ToString::to_string)),
            when::stamp(self.starts_at),
            self.request.to_string(),
        ]
    }
}

/// `grants …`.
pub(crate) async fn grants(context: &Context, verb: GrantsVerb) -> Outcome {
    match verb {
        GrantsVerb::Ls { all } => {
            let list = in_sight(context, "list grants", !all).await?;
            context.printer.list(&list, &list.items)
        }
        GrantsVerb::Show { id } => {
            let doing = format!("show {id}");
            let path = format!("/v1/grants/{}", segment(&id));
            let grant: GrantView = context.client(&doing)?.get(&doing, &path).await?;
            context.printer.one(&grant)
        }
    }
}

async fn in_sight(
    context: &Context,
    doing: &str,
    in_force: bool,
) -> Result<List<GrantView>, Failure> {
    let path = format!("/v1/grants?in_force={in_force}");
    context.client(doing)?.get(doing, &path).await
}

/// Ends one grant, or every grant of a person or a target.
pub(crate) async fn revoke(context: &Context, args: RevokeArgs) -> Outcome {
    let doing = "revoke";
    let ids = match (&args.id, &args.session) {
        (Some(id), _) => vec![id.clone()],
        (None, Some(session)) => {
            let SessionView { session, .. } = sessions::one(context, session).await?;
            vec![session.grant.to_string()]
        }
        (None, None) => {
            let list = in_sight(context, doing, true).await?;
            let wanted = |grant: &GrantView| {
                args.user
                    .as_ref()
                    .is_none_or(|user| grant.principal == *user)
                    && args
                        .target
                        .as_ref()
                        .is_none_or(|target| grant.target == *target)
            };
            list.items
                .iter()
                .filter(|grant| wanted(grant))
                .map(|grant| grant.id.to_string())
                .collect()
        }
    };
    if ids.is_empty() {
        return Err(Failure::new(Exit::NotFound, cli::nothing_to_revoke()));
    }
    if args.user.is_some() || args.target.is_some() {
        let question = cli::revoke_question(ids.len());
        args.assent
            .confirmed(&context.surroundings, &question, "revoke them")?;
    }
    let client = context.client(doing)?;
    let ending = Ending {
        reason: args.reason,
    };
    let mut ended = Vec::with_capacity(ids.len());
    for id in &ids {
        let path = format!("/v1/grants/{}/revoke", segment(id));
        let one: Ended = client.post(&format!("revoke {id}"), &path, &ending).await?;
        ended.push(one);
    }
    let names: Vec<String> = ended.iter().map(|one| one.subject.clone()).collect();
    let cut: usize = ended.iter().map(|one| one.sessions.len()).sum();
    context.printer.done(
        &List::of(ended),
        &names.join("\n"),
        &cli::revoked(&names, cut),
    )
}
