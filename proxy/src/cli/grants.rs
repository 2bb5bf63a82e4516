//! `grants`, `revoke`: looking at what is in force, and ending it.

use clap::{ArgGroup, Args, Subcommand};
use control::Amounts;
use control::api::wire::{Ended, Ending, GrantView, List, SessionView, TargetView};
use policies::words::cli::doing;
use policies::words::{budget, cli};
use policies::{Measure, PrincipalName, Reason, TargetName};

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
            "REQUEST", "SPENT",
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
            match (self.in_force, self.lock) {
                (true, Some(_)) => "locked",
                (true, None) => "yes",
                (false, _) => "no",
            }
            .to_owned(),
            when::stamp(self.expires_at),
            text(self.ended_by.as_ref().map(ToString::to_string)),
            text(self.end_reason.as_ref().map(ToString::to_string)),
            when::stamp(self.starts_at),
            self.request.to_string(),
            text(self.spent.map(spent)),
        ]
    }
}

/// What was spent of a budget.
fn spent(amounts: Amounts) -> String {
    let Amounts {
        rows,
        bytes,
        statements,
    } = amounts;
    budget::spent(&[
        (Measure::Rows, rows),
        (Measure::Bytes, bytes),
        (Measure::Statements, statements),
    ])
}

/// `grants …`.
pub(crate) async fn grants(context: &Context, verb: GrantsVerb) -> Outcome {
    match verb {
        GrantsVerb::Ls { all } => {
            let which = if all {
                "in_force=false"
            } else {
                "in_force=true"
            };
            let list = in_sight(context, doing::LIST_GRANTS, which).await?;
            context.printer.list(&list, &list.items)
        }
        GrantsVerb::Show { id } => {
            let doing = doing::show(&id);
            let path = format!("/v1/grants/{}", segment(&id));
            let grant: GrantView = context.client(&doing)?.get(&doing, &path).await?;
            context.printer.one(&grant)
        }
    }
}

async fn in_sight(context: &Context, doing: &str, which: &str) -> Result<List<GrantView>, Failure> {
    let path = format!("/v1/grants?{which}");
    let name = |grant: &GrantView| grant.id.to_string();
    context.client(doing)?.all(doing, &path, name).await
}

/// Ends one grant, or every grant of a person or a target.
pub(crate) async fn revoke(context: &Context, args: RevokeArgs) -> Outcome {
    let doing = doing::REVOKE;
    let ids = meant(context, doing, &args).await?;
    if ids.is_empty() {
        return Err(Failure::new(Exit::NotFound, cli::nothing_to_revoke()));
    }
    let mut tally = Tally::of(Wish::Named);
    if args.user.is_some() || args.target.is_some() {
        tally = Tally::of(Wish::Over);
        let question = cli::revoke_question(ids.len());
        args.assent
            .confirmed(&context.surroundings, &question, doing::REVOKE_THEM)
            .await?;
    }
    let client = context.client(doing)?;
    let ending = Ending {
        reason: args.reason,
    };
    for id in &ids {
        let path = format!("/v1/grants/{}/revoke", segment(id));
        let answer = client.post(&doing::revoke(&id), &path, &ending).await;
        // The first failure is told by whoever ends the program.
        let further = tally.count(answer);
        if let Some((exit, trouble)) = further.and_then(|one| Some((one.exit, one.trouble?))) {
            context.printer.trouble(exit, &trouble);
        }
    }
    let Tally { ended, failure, .. } = tally;
    if !ended.is_empty() || failure.is_none() {
        let names: Vec<String> = ended.iter().map(|one| one.subject.clone()).collect();
        let cut: usize = ended.iter().map(|one| one.sessions.len()).sum();
        context.printer.done(
            &List::of(ended),
            &names.join("\n"),
            &cli::revoked(&names, cut),
        )?;
    }
    failure.map_or(Ok(()), Err)
}

/// The grants that were meant.
async fn meant(context: &Context, doing: &str, args: &RevokeArgs) -> Result<Vec<String>, Failure> {
    match (&args.id, &args.session) {
        (Some(id), _) => Ok(vec![id.clone()]),
        (None, Some(session)) => {
            let SessionView { session, .. } = sessions::one(context, session).await?;
            Ok(vec![session.grant.to_string()])
        }
        (None, None) => {
            // Not only what the server's wall says is in force: it may be wrong, and sessions run.
            let list = in_sight(context, doing, "to_end=true").await?;
            let target = match &args.target {
                Some(target) => Some(called(context, doing, target).await?),
                None => None,
            };
            let wanted = |grant: &GrantView| {
                args.user
                    .as_ref()
                    .is_none_or(|user| grant.principal == *user)
                    && target.as_ref().is_none_or(|target| grant.target == *target)
            };
            let ids = list.items.iter().filter(|grant| wanted(grant));
            Ok(ids.map(|grant| grant.id.to_string()).collect())
        }
    }
}

/// The name of the target that is called so. One that is gone, or that one may not see, is called as was typed.
async fn called(context: &Context, doing: &str, typed: &TargetName) -> Result<TargetName, Failure> {
    let path = format!("/v1/targets/{}", segment(typed.as_str()));
    match context.client(doing)?.get::<TargetView>(doing, &path).await {
        Ok(target) => Ok(target.name),
        Err(unseen) if unseen.exit == Exit::NotFound => Ok(typed.clone()),
        Err(failure) => Err(failure),
    }
}

/// What was asked for.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Wish {
    /// That one grant ends: that it is over already is worth knowing.
    Named,
    /// That grants are over, whoever ended them.
    Over,
}

/// What became of revocations, one after the other. None holds up those after it.
#[derive(Debug)]
struct Tally {
    wish: Wish,
    ended: Vec<Ended>,
    /// The first that failed.
    failure: Option<Failure>,
}

impl Tally {
    fn of(wish: Wish) -> Self {
        Self {
            wish,
            ended: Vec::new(),
            failure: None,
        }
    }

    /// Counts one answer. Gives back a failure that is not the first.
    fn count(&mut self, answer: Result<Ended, Failure>) -> Option<Failure> {
        match answer {
            Ok(one) => self.ended.push(one),
            Err(over) if over.exit == Exit::Conflict && self.wish == Wish::Over => {}
            Err(failure) if self.failure.is_some() => return Some(failure),
            Err(failure) => self.failure = Some(failure),
        }
        None
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn counted(wish: Wish, answers: impl IntoIterator<Item = Result<&'static str, Exit>>) -> Tally {
        let mut tally = Tally::of(wish);
        for answer in answers {
            let answer = answer
                .map(|grant| Ended::of(grant.to_owned(), Vec::new()))
                .map_err(Failure::told);
            drop(tally.count(answer));
        }
        tally
    }

    #[track_caller]
    fn check(tally: &Tally, ended: &[&str], exit: Option<Exit>) {
        let names: Vec<&str> = tally.ended.iter().map(|one| one.subject.as_str()).collect();
        assert_eq!(names, ended);
        assert_eq!(tally.failure.as_ref().map(|failure| failure.exit), exit);
    }

    #[test]
    fn a_failure_leaves_no_other_grant_in_force() {
        let answers = [
            Ok("grt_1"),
            Err(Exit::Denied),
            Ok("grt_2"),
            Err(Exit::Unreachable),
            Ok("grt_3"),
        ];
        let tally = counted(Wish::Over, answers);
        check(&tally, &["grt_1", "grt_2", "grt_3"], Some(Exit::Denied));
    }

    #[test]
    fn a_grant_that_is_over_already_fails_only_who_named_it() {
        let answers = [Err(Exit::Conflict), Ok("grt_1")];
        check(&counted(Wish::Over, answers), &["grt_1"], None);
        check(
            &counted(Wish::Named, [Err(Exit::Conflict)]),
            &[],
            Some(Exit::Conflict),
        );
    }
}
