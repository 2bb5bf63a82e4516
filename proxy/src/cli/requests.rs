//! `request`, `requests`, `approve`, `deny`, `withdraw`: asking for a grant, and answering.

use std::mem;
use std::time::Duration;

use clap::{Args, Subcommand};
use control::api::wire::{Answer, RequestOrder, RequestView, Standing, TargetView};
use jiff::SignedDuration;
use policies::diagnose::nearest;
use policies::words::cli::{self, Asked, doing, outcome};
use policies::words::request::{shortened, void_approval};
use policies::{Login, PrincipalName, Protocol, Reason, TargetName};
use tokio::time;

use crate::cli::context::Context;
use crate::cli::failure::{Exit, Failure, Outcome};
use crate::cli::path::segment;
use crate::cli::printer::Row;
use crate::cli::state::Bastion;
use crate::cli::{targets, when};

/// How long the server lets one question wait. Its own limit is 30 s.
const POLL: u64 = 25;

/// The same where somebody looks on, so that they see it go on.
const POLL_WATCHED: u64 = 2;

/// Ask for a grant
#[derive(Debug, Args)]
pub(crate) struct RequestArgs {
    /// Which target
    target: TargetName,
    /// As whom; may be left out where the target has one login
    #[arg(long = "as", value_name = "LOGIN")]
    login: Option<Login>,
    /// For how long, for example 15m or 1h30m
    #[arg(long = "for", value_name = "DURATION", default_value = "1h", value_parser = when::duration)]
    duration: Duration,
    /// Why
    #[arg(long, value_name = "TEXT")]
    reason: Reason,
    #[command(flatten)]
    wait: WaitArgs,
}

/// Whether to wait for an answer.
#[derive(Debug, Clone, Copy, Args)]
pub(crate) struct WaitArgs {
    /// Wait for the answer, at most this long
    #[arg(long, value_name = "DURATION", num_args = 0..=1, require_equals = true,
          default_missing_value = "10m", value_parser = when::duration)]
    wait: Option<Duration>,
}

/// Look at requests
#[derive(Debug, Subcommand)]
pub(crate) enum RequestsVerb {
    /// List requests: those that one may answer and one's own
    Ls {
        /// Those that have been answered too
        #[arg(long)]
        all: bool,
        /// Only one's own
        #[arg(long)]
        mine: bool,
    },
    /// Show one
    Show {
        /// Which: an id or its beginning
        id: String,
        #[command(flatten)]
        wait: WaitArgs,
    },
    /// Take back one's own
    #[command(alias = "cancel")]
    Withdraw {
        /// Which: an id or its beginning
        id: String,
    },
}

/// Say yes to a request
#[derive(Debug, Args)]
pub(crate) struct ApproveArgs {
    /// Which: an id or its beginning
    id: String,
    /// What to note beside it
    #[arg(long, value_name = "TEXT")]
    note: Option<Reason>,
    /// For at most this long, where that is less than was asked: of several yeses the shortest holds
    #[arg(long = "for", value_name = "DURATION", value_parser = when::duration)]
    at_most: Option<Duration>,
    /// Only if it is what you were shown: the digest from `requests show -o json`
    #[arg(long, value_name = "HEX")]
    digest: Option<String>,
}

/// Say no to a request
#[derive(Debug, Args)]
pub(crate) struct DenyArgs {
    /// Which: an id or its beginning
    id: String,
    /// Why
    #[arg(long, visible_alias = "reason", value_name = "TEXT")]
    note: Reason,
}

impl Row for RequestView {
    const COLUMNS: (&'static [&'static str], usize) = (
        &[
            "ID", "WHO", "TARGET", "AS", "FOR", "STATE", "REASON", "FILED", "APPROVED", "GRANT",
            "UNTIL", "NOTE", "OPENS", "LAPSES",
        ],
        7,
    );

    fn cells(&self) -> Vec<String> {
        let approved: Vec<String> = self
            .approved_by
            .iter()
            .map(|by| approval(self, by))
            .collect();
        vec![
            self.id.to_string(),
            self.principal.to_string(),
            self.target.to_string(),
            self.login.to_string(),
            when::length(self.duration_seconds),
            self.state.as_str().to_owned(),
            match &self.statement {
                Some(held) => cli::runs(&held.text),
                None => self.reason.to_string(),
            },
            when::stamp(self.filed_at),
            approved.join(","),
            self.grant
                .map(|grant| grant.to_string())
                .unwrap_or_default(),
            self.until.map(when::stamp).unwrap_or_default(),
            self.note
                .as_ref()
                .map(ToString::to_string)
                .unwrap_or_default(),
            self.opens.join("; "),
            match self.state {
                Standing::Pending => when::stamp(self.lapses_at),
                Standing::Approved | Standing::Denied | Standing::Withdrawn | Standing::Lapsed => {
                    String::new()
                }
            },
        ]
    }
}

/// Who approved: for how long, where that is less than was asked, and why it does not count, where it does not.
fn approval(request: &RequestView, by: &PrincipalName) -> String {
    let less = request.shortened.iter().find(|less| less.by == *by);
    let said = less.map_or_else(
        || by.to_string(),
        |less| shortened(by.as_str(), &typed_length(less.seconds)),
    );
    let void = request.void.iter().find(|void| void.by == *by);
    match void {
        Some(void) => void_approval(&said, &void.why),
        None => said,
    }
}

/// Files a request and, where asked, waits for its answer.
pub(crate) async fn request(context: &Context, args: RequestArgs) -> Outcome {
    let doing = doing::ask_for(&args.target);
    let order = RequestOrder {
        target: args.target,
        login: args.login,
        duration_seconds: args.duration.as_secs(),
        reason: args.reason,
    };
    let client = context.client(&doing)?;
    let asked = client.post(&doing, "/v1/requests", &order);
    let filed: RequestView = match asked.await {
        Err(failure) if failure.exit == Exit::NotFound => {
            return Err(meant(context, failure, &order).await);
        }
        answered => answered?,
    };
    match (filed.state, args.wait.wait) {
        (Standing::Pending, Some(limit)) => {
            patience(context, &waited(context, filed, limit).await?)
        }
        _asked => told(context, &filed),
    }
}

/// The same failure, or what is wrong with the login where the target is one that is listed for
/// whoever asks, or the name of a listed target that may have been meant.
async fn meant(context: &Context, mut failure: Failure, order: &RequestOrder) -> Failure {
    let Ok(known) = targets::listed(context).await else {
        return failure;
    };
    let typed = order.target.as_str();
    let same = known
        .items
        .iter()
        .find(|target| target.name == order.target);
    if let (Some(target), Some(login)) = (same, &order.login) {
        let logins: Vec<&str> = target.access.iter().map(|to| to.login.as_str()).collect();
        let duration = typed_length(i64::try_from(order.duration_seconds).unwrap_or(i64::MAX));
        let asked = Asked {
            target: typed,
            login: login.as_str(),
            duration: &duration,
        };
        let trouble = cli::no_such_login(&asked, &logins);
        // The server's code: to it, this is a thing that one may not see.
        let code = failure.trouble.and_then(|said| said.code);
        let trouble = match code {
            Some(code) => trouble.coded(code),
            None => trouble,
        };
        return Failure::new(Exit::NotFound, trouble);
    }
    let names = known.items.iter().map(|target| target.name.as_str());
    // One that is listed and may not be asked for was meant as it was typed.
    let names = names.filter(|_name| same.is_none());
    if let (Some(trouble), Some(name)) = (&mut failure.trouble, nearest(typed, names)) {
        trouble.advice = cli::meant(name);
    }
    failure
}

/// A length of time as it can be typed, whole.
fn typed_length(seconds: i64) -> String {
    policies::duration::print(SignedDuration::from_secs(seconds))
}

/// Polls until the request is answered or `limit` has passed. Says so at once, and at a terminal
/// goes on saying how long it has been.
async fn waited(
    context: &Context,
    mut request: RequestView,
    limit: Duration,
) -> Result<RequestView, Failure> {
    let doing = doing::wait_for(&request.id);
    let client = context.client(&doing)?;
    let (start, mut is_told) = (context.now(), false);
    let shown = |seconds: u64| when::length(i64::try_from(seconds).unwrap_or(i64::MAX));
    let at_most = shown(limit.as_secs());
    let printer = context.printer;
    printer.say(&cli::waiting(&request.id.to_string(), &at_most));
    let poll = if context.surroundings.interactive {
        POLL_WATCHED
    } else {
        POLL
    };
    loop {
        let passed = context.now().duration_since(start).as_secs();
        if context.surroundings.interactive {
            printer.again(&cli::still_waiting(&shown(passed.unsigned_abs()), &at_most));
        }
        let left = limit
            .as_secs()
            .saturating_sub(passed.unsigned_abs())
            .min(poll);
        let path = format!("/v1/requests/{}?wait={left}", request.id);
        request = match client.get(&doing, &path).await {
            // Who is started anew is back in a moment, and the request stands.
            Err(failure) if failure.exit == Exit::Unreachable && left > 0 => {
                if !mem::replace(&mut is_told, true) {
                    printer.warn(&cli::unanswered(context.surroundings.interactive));
                }
                time::sleep(Duration::from_secs(POLL_WATCHED)).await;
                continue;
            }
            answered => answered?,
        };
        if request.state != Standing::Pending || left == 0 {
            if context.surroundings.interactive {
                printer.again("");
            }
            return Ok(request);
        }
    }
}

/// Says where a request stands, to the one who asked.
fn told(context: &Context, request: &RequestView) -> Outcome {
    let id = request.id.to_string();
    match request.state {
        Standing::Approved => {
            let by = request.approved_by.iter().map(|by| approval(request, by));
            let who = cli::approved_by(&by.collect::<Vec<_>>());
            let until = request.until.map(|until| when::ahead(until, context.now()));
            let said = cli::granted(
                &who,
                request.login.as_str(),
                request.target.as_str(),
                &until.unwrap_or_default(),
                &way_in(context, request)?,
            );
            context.printer.done(request, &id, &said)
        }
        Standing::Pending => {
            let said = cli::filed(&id, request.login.as_str(), request.target.as_str());
            context.printer.done(request, &id, &said)
        }
        Standing::Denied | Standing::Withdrawn | Standing::Lapsed => {
            context
                .printer
                .done(request, &id, &cli::came_to(&id, request.state.as_str()))?;
            let how = match (&request.denied_by, &request.note) {
                (Some(by), Some(note)) => outcome::denied(by, note),
                _unanswered => request.state.as_str().to_owned(),
            };
            let asked = Asked {
                target: request.target.as_str(),
                login: request.login.as_str(),
                duration: &typed_length(request.duration_seconds),
            };
            let trouble = cli::not_granted(&id, &how, &asked);
            Err(Failure::new(Exit::Denied, trouble))
        }
    }
}

/// What a request came to for somebody who waited for it: still pending is no success then, and that it was filed
/// has been said before the wait.
fn patience(context: &Context, request: &RequestView) -> Outcome {
    if request.state != Standing::Pending {
        return told(context, request);
    }
    let id = request.id.to_string();
    let said = cli::came_to(&id, request.state.as_str());
    context.printer.done(request, &id, &said)?;
    Err(Failure::new(Exit::Pending, cli::still_pending(&id)))
}

/// The command that goes in as the role or account that was granted, as it can be pasted.
fn way_in(context: &Context, request: &RequestView) -> Result<String, Failure> {
    let bastion = context.login(doing::SAY_HOW)?;
    let (login, name) = (&request.login, &request.target);
    Ok(match request.protocol {
        Some(Protocol::Postgres) => psql(login, name),
        _other => ssh(&bastion, login, name),
    })
}

/// The command that goes in to a target that is listed.
pub(crate) fn command(bastion: &Bastion, target: &TargetView, login: &Login) -> String {
    match target.protocol {
        Protocol::Postgres => psql(login, &target.name),
        Protocol::Ssh => ssh(bastion, login, &target.name),
    }
}

/// `psql -U app_ro service=orders`. The role is named although the section may: how many roles somebody sees changes
/// with groups, policies and the hour, and the file is as old as it is. libpq takes `-U` before a section's `user`.
fn psql(login: &Login, target: &TargetName) -> String {
    format!("psql -U {login} service={target}")
}

/// `ssh -p 2222 deploy+web1@localhost`.
fn ssh(bastion: &Bastion, login: &Login, target: &TargetName) -> String {
    match &bastion.ssh {
        Some(at) if at.port == 22 => format!("ssh {login}+{target}@{}", at.host),
        Some(at) => format!("ssh -p {} {login}+{target}@{}", at.port, at.host),
        None => format!("ssh {login}+{target}@BASTION"),
    }
}

/// `requests …`.
pub(crate) async fn requests(context: &Context, verb: RequestsVerb) -> Outcome {
    match verb {
        RequestsVerb::Ls { all, mine } => {
            let doing = doing::LIST_REQUESTS;
            let path = format!("/v1/requests?open={}&mine={mine}", !all);
            let name = |request: &RequestView| request.id.to_string();
            let list = context.client(doing)?.all(doing, &path, name).await?;
            context.printer.list(&list, &list.items)
        }
        RequestsVerb::Show { id, wait } => {
            let request = one(context, &id).await?;
            match (request.state, wait.wait) {
                (Standing::Pending, Some(limit)) => {
                    patience(context, &waited(context, request, limit).await?)
                }
                _answered => shown(context, &request),
            }
        }
        RequestsVerb::Withdraw { id } => withdraw(context, &id).await,
    }
}

/// One request; the statement that one is about under it, in full; and how whoever may answers it.
fn shown(context: &Context, request: &RequestView) -> Outcome {
    context.printer.one(request)?;
    let hint = answers(request);
    match (&request.statement, hint) {
        (Some(held), hint) => context.printer.statement(held, hint.as_deref()),
        (None, Some(hint)) => {
            context.printer.say(&hint);
            Ok(())
        }
        (None, None) => Ok(()),
    }
}

/// What whoever may answer a request can type.
fn answers(request: &RequestView) -> Option<String> {
    let id = request.id.to_string();
    request.answerable.then(|| match &request.statement {
        Some(_held) => cli::answer_statement(&id, &request.digest),
        None => cli::answer_request(&id),
    })
}

async fn one(context: &Context, id: &str) -> Result<RequestView, Failure> {
    let doing = doing::show(&id);
    context
        .client(&doing)?
        .get(&doing, &format!("/v1/requests/{}", segment(id)))
        .await
}

/// Says yes.
pub(crate) async fn approve(context: &Context, args: ApproveArgs) -> Outcome {
    let doing = doing::approve(&args.id);
    let answer = Answer {
        note: args.note,
        digest: args.digest,
        at_most_seconds: args.at_most.map(|at_most| at_most.as_secs()),
    };
    let path = format!("/v1/requests/{}/approve", segment(&args.id));
    let request: RequestView = context.client(&doing)?.post(&doing, &path, &answer).await?;
    let id = request.id.to_string();
    let said = match (request.grant, request.until) {
        _statement if request.statement.is_some() => cli::seconded(&id),
        (Some(grant), Some(until)) => {
            cli::approved(&id, &grant.to_string(), &when::ahead(until, context.now()))
        }
        _more => cli::approved_in_part(&id),
    };
    context.printer.done(&request, &id, &said)
}

/// Says no.
pub(crate) async fn deny(context: &Context, args: DenyArgs) -> Outcome {
    let doing = doing::deny(&args.id);
    let answer = Answer {
        note: Some(args.note),
        ..Answer::default()
    };
    let path = format!("/v1/requests/{}/deny", segment(&args.id));
    let request: RequestView = context.client(&doing)?.post(&doing, &path, &answer).await?;
    let id = request.id.to_string();
    context.printer.done(&request, &id, &cli::denied(&id))
}

/// Takes one's own request back.
pub(crate) async fn withdraw(context: &Context, id: &str) -> Outcome {
    let doing = doing::withdraw(&id);
    let path = format!("/v1/requests/{}/withdraw", segment(id));
    let request: RequestView = context
        .client(&doing)?
        .post(&doing, &path, &Answer::default())
        .await?;
    let id = request.id.to_string();
    context.printer.done(&request, &id, &cli::withdrawn(&id))
}

#[cfg(test)]
mod tests {
    use super::*;

    fn shown(answerable: bool, state: &str) -> RequestView {
        let at = "2026-03-02T14:30:00Z";
        serde_json::from_value(serde_json::json!({
            "schema": "tidegate.request/1", "id": "req_01kjqf9ej0040g2081040g2081",
            "principal": "alice", "target": "web1", "protocol": "ssh", "login": "deploy",
            "duration_seconds": 60, "reason": "INC-7", "filed_at": at, "lapses_at": at,
            "state": state, "approved_by": ["bob", "root"], "denied_by": null, "note": null,
            "answerable": answerable, "grant": null, "until": null, "digest": "ab",
        }))
        .unwrap()
    }

    #[test]
    fn whoever_may_answer_is_told_how_and_everybody_until_when() {
        let pending = shown(true, "pending");
        assert_eq!(
            answers(&pending).unwrap(),
            "  tidegate approve req_01kjqf9ej0040g2081040g2081\n  \
             tidegate deny req_01kjqf9ej0040g2081040g2081 --note '…'"
        );
        let lapses = |view: RequestView| view.cells().pop().unwrap();
        assert_eq!(lapses(pending), "2026-03-02 14:30:00 UTC");
        assert_eq!(answers(&shown(false, "pending")), None);
        assert_eq!(lapses(shown(false, "denied")), "");
    }

    #[test]
    fn an_approval_that_is_void_is_shown_as_that() {
        let mut view = shown(false, "pending");
        view.void = serde_json::from_str(r#"[{"by":"bob","why":"gone"}]"#).unwrap();
        assert!(view.cells().contains(&"bob (void: gone),root".to_owned()));
    }

    #[test]
    fn who_gave_less_than_was_asked_is_shown_with_how_much() {
        let mut view = shown(false, "pending");
        view.shortened = serde_json::from_str(r#"[{"by":"root","seconds":1800}]"#).unwrap();
        assert!(
            view.cells()
                .contains(&"bob,root (for at most 30m)".to_owned())
        );
    }

    fn bastion(port: u16) -> Bastion {
        Bastion {
            url: String::new(),
            principal: "alice".parse().unwrap(),
            expires_at: jiff::Timestamp::UNIX_EPOCH,
            fingerprint: String::new(),
            ssh: Some(format!("localhost:{port}").parse().unwrap()),
            postgres: None,
        }
    }

    #[test]
    fn the_next_command_names_the_port_only_where_it_is_unusual() {
        let (login, target) = ("deploy".parse().unwrap(), "web1".parse().unwrap());
        let ssh = |port| ssh(&bastion(port), &login, &target);
        assert_eq!(ssh(2222), "ssh -p 2222 deploy+web1@localhost");
        assert_eq!(ssh(22), "ssh deploy+web1@localhost");
    }

    #[test]
    fn the_next_command_enters_a_database_as_the_role_that_was_granted() {
        let listed = |roles: &[&str]| -> TargetView {
            let access = roles.iter().map(|role| {
                serde_json::json!({"login": role, "state": "ask", "until": null, "grant": null, "request": null})
            });
            serde_json::from_value(serde_json::json!({
                "schema": "tidegate.target/1", "name": "orders", "protocol": "postgres",
                "labels": {}, "owners": null, "access": access.collect::<Vec<_>>(),
            }))
            .unwrap()
        };
        let typed = |roles: &[&str], login: &str| {
            command(&bastion(22), &listed(roles), &login.parse().unwrap())
        };
        // However many are seen now: the service file may have been written when it was another number.
        let want = "psql -U app_rw service=orders";
        assert_eq!(typed(&["app_rw"], "app_rw"), want);
        assert_eq!(typed(&["app_ro", "app_rw"], "app_rw"), want);
    }
}
