//! `ls` and `target`: what one can connect to, and for admins what there is.

use std::collections::BTreeSet;

use clap::{Args, Subcommand, ValueEnum};
use control::api::wire::{AccessState, Check, Ended, Ending, List, TargetView, Trust};
use policies::words::cli::{self, PostgresPlaces, doing, usage};
use policies::words::target as words;
use policies::{Endpoint, Label, Login, MARKER, PostgresEndpoint, Protocol, Reason, TargetName};
use reqwest::Method;

mod add;
mod add_bastion;
mod add_pg;
mod given;
mod place;
mod row;
mod set;

use add::AddVerb;
use set::SetArgs;

use crate::cli::context::Context;
use crate::cli::failure::{Exit, Failure, Outcome};
use crate::cli::path::segment;
use crate::cli::printer::{Format, harmless};
use crate::cli::prompt::Assent;
use crate::cli::scripts;

/// List targets and whether you may go in
#[derive(Debug, Args)]
pub(crate) struct LsArgs {
    /// Only those that speak this
    protocol: Option<Spoken>,
    /// Only those with this label, for example env=prod
    #[arg(long, value_name = "KEY=VALUE", value_parser = label)]
    label: Vec<Label>,
    /// Only those that one holds a grant for
    #[arg(long)]
    mine: bool,
}

/// What a target speaks, as it is typed.
#[derive(Debug, Clone, Copy, PartialEq, Eq, ValueEnum)]
pub(crate) enum Spoken {
    /// SSH
    Ssh,
    /// PostgreSQL
    Pg,
}

impl From<Spoken> for Protocol {
    fn from(spoken: Spoken) -> Self {
        match spoken {
            Spoken::Ssh => Self::Ssh,
            Spoken::Pg => Self::Postgres,
        }
    }
}

/// Manage targets
#[derive(Debug, Subcommand)]
pub(crate) enum TargetVerb {
    /// Add a target
    #[command(subcommand)]
    Add(Box<AddVerb>),
    /// List targets
    Ls,
    /// Show one
    Show {
        /// Which
        name: TargetName,
    },
    /// Remove one and cut its sessions
    Rm {
        /// Which
        name: TargetName,
        #[command(flatten)]
        assent: Assent,
    },
    /// Keep everybody out of one, and of what stands behind it, and cut their sessions
    Lock {
        /// Which
        name: TargetName,
        /// Why
        #[arg(long, value_name = "TEXT")]
        reason: Reason,
    },
    /// Let those in again who hold grants
    Unlock {
        /// Which
        name: TargetName,
    },
    /// Change what one is: its address, host key or certificate, logins, labels, or what it is entered with
    Set(Box<SetArgs>),
    /// See whether one answers and still proves to be the one that was added
    Test {
        /// Which
        name: TargetName,
    },
    /// Call one by a short name as well
    Alias {
        /// Which
        name: TargetName,
        /// The other name
        alias: TargetName,
        /// Not any more
        #[arg(long)]
        remove: bool,
    },
    /// Print what lets tidegate make a role (SQL) or an account (shell) for each grant
    Script {
        /// Which
        name: TargetName,
    },
}

/// Reads a label, and says how one is written where it is none.
fn label(text: &str) -> Result<Label, String> {
    text.parse::<Label>()
        .map_err(|odd| usage::label(text, &odd.to_string()))
}

/// Lists what one may see.
pub(crate) async fn ls(context: &Context, args: LsArgs) -> Outcome {
    let mut list = listed(context).await?;
    list.items.retain(|target| {
        let speaks = args
            .protocol
            .is_none_or(|spoken| target.protocol == spoken.into());
        let labelled = args
            .label
            .iter()
            .all(|label| target.labels.get(&label.key) == Some(&label.value));
        let granted = |target: &TargetView| {
            target
                .access
                .iter()
                .any(|access| access.state == AccessState::Granted)
        };
        speaks && labelled && (!args.mine || granted(target))
    });
    context.printer.list(&list, &list.items)
}

/// The targets that the one who is logged in may see.
pub(crate) async fn listed(context: &Context) -> Result<List<TargetView>, Failure> {
    let doing = doing::LIST_TARGETS;
    context.client(doing)?.get(doing, "/v1/targets").await
}

/// Gives a target another name, or takes it.
async fn call(
    context: &Context,
    (name, alias): (&TargetName, &TargetName),
    remove: bool,
) -> Outcome {
    let doing = doing::call(&name, &alias);
    let (of, called) = (segment(name.as_str()), segment(alias.as_str()));
    let path = format!("/v1/targets/{of}/aliases/{called}");
    let method = if remove { Method::DELETE } else { Method::PUT };
    let client = context.client(&doing)?;
    let nothing = serde_json::json!({});
    let view: TargetView = client.send(&doing, method, &path, &nothing).await?;
    let said = if remove {
        cli::alias_taken(name.as_str(), alias.as_str())
    } else {
        cli::alias_given(name.as_str(), alias.as_str())
    };
    context.printer.done(&view, name.as_str(), &said)
}

/// `target …`.
pub(crate) async fn target(context: &Context, verb: TargetVerb) -> Outcome {
    match verb {
        TargetVerb::Add(verb) => match *verb {
            AddVerb::Ssh(args) => add::ssh(context, args).await,
            AddVerb::Pg(args) => add_pg::pg(context, args).await,
            AddVerb::Bastion(args) => add_bastion::bastion(context, args).await,
        },
        TargetVerb::Ls => {
            let list = listed(context).await?;
            context.printer.list(&list, &list.items)
        }
        TargetVerb::Show { name } => {
            let doing = doing::show(&name);
            let path = format!("/v1/targets/{}", segment(name.as_str()));
            let client = context.client(&doing)?;
            let target: TargetView = client.get(&doing, &path).await?;
            context.printer.one(&target)?;
            set_up(context, &target, &client.get(&doing, "/v1/trust").await?)
        }
        TargetVerb::Rm { name, assent } => {
            let doing = doing::remove(&name);
            let path = format!("/v1/targets/{}", segment(name.as_str()));
            let client = context.client(&doing)?;
            // Nobody is asked about what is not there.
            let there: TargetView = client.get(&doing, &path).await?;
            let stranded = behind(&listed(context).await?.items, &there.name);
            let question = words::removal_question(name.as_str(), &stranded);
            assent
                .confirmed(&context.surroundings, &question, &doing)
                .await?;
            let ended: Ended = client
                .send(&doing, Method::DELETE, &path, &serde_json::json!({}))
                .await?;
            context.printer.done(
                &ended,
                name.as_str(),
                &words::removed(name.as_str(), &stranded),
            )
        }
        TargetVerb::Alias {
            name,
            alias,
            remove,
        } => call(context, (&name, &alias), remove).await,
        TargetVerb::Lock { name, reason } => lock(context, &name, reason).await,
        TargetVerb::Unlock { name } => unlock(context, &name).await,
        TargetVerb::Set(args) => set::set(context, *args).await,
        TargetVerb::Script { name } => scripts::script(context, &name).await,
        TargetVerb::Test { name } => test(context, &name).await,
    }
}

/// Keeps everybody out. Never asks: it is for emergencies.
async fn lock(context: &Context, name: &TargetName, reason: Reason) -> Outcome {
    let doing = doing::lock_target(&name);
    let path = format!("/v1/targets/{}/lock", segment(name.as_str()));
    let client = context.client(&doing)?;
    let ended: Ended = client.post(&doing, &path, &Ending { reason }).await?;
    let said = cli::target_locked(&ended.subject, ended.sessions.len());
    context.printer.done(&ended, name.as_str(), &said)
}

async fn unlock(context: &Context, name: &TargetName) -> Outcome {
    let doing = doing::unlock_target(&name);
    let path = format!("/v1/targets/{}/unlock", segment(name.as_str()));
    let client = context.client(&doing)?;
    let nothing = serde_json::json!({});
    let view: TargetView = client.post(&doing, &path, &nothing).await?;
    let front = view.locked.as_ref().map(|lock| lock.target.as_str());
    let said = cli::target_unlocked(view.name.as_str(), front);
    context.printer.done(&view, name.as_str(), &said)
}

/// The targets that are reached through this one, directly or through others that are.
fn behind(all: &[TargetView], name: &TargetName) -> Vec<String> {
    let mut front = BTreeSet::from([name]);
    loop {
        let more = all.iter().filter(|seen| {
            let jump = seen.endpoint.as_ref().and_then(Endpoint::jump);
            jump.is_some_and(|jump| front.contains(&jump.target))
        });
        let found: BTreeSet<&TargetName> = more.map(|seen| &seen.name).collect();
        let before = front.len();
        front.extend(found);
        if front.len() == before {
            break;
        }
    }
    front.remove(name);
    front.into_iter().map(ToString::to_string).collect()
}

/// Tries a target as a session would.
async fn test(context: &Context, name: &TargetName) -> Outcome {
    let doing = doing::test(&name);
    let path = format!("/v1/targets/{}/test", segment(name.as_str()));
    let client = context.client(&doing)?;
    let check: Check = client.post(&doing, &path, &serde_json::json!({})).await?;
    // People read what is wrong once, as the error or the warning.
    let is_well = check.ok && !check.warning;
    if is_well || !for_people(context) {
        context.printer.one(&check)?;
    }
    if is_well {
        return Ok(());
    }
    let (found, hint) = (harmless::line(&check.found), check.hint.as_deref());
    let hint = hint.map(harmless::line);
    if check.warning {
        let said = words::ready_with_warning(&check.subject, &found, hint.as_deref());
        context.printer.warn(&said);
        return Ok(());
    }
    let trouble = cli::doctor::untested(&check.subject, &found, hint.as_deref());
    Err(Failure::new(Exit::Error, trouble))
}

/// Whether people read what is printed.
fn for_people(context: &Context) -> bool {
    matches!(context.printer.format, Format::Table | Format::Wide)
}

/// The existing roles that sessions come as, each once.
fn elevated(endpoint: &PostgresEndpoint) -> Vec<String> {
    let each: BTreeSet<&Login> = endpoint.elevated().collect();
    each.into_iter().map(ToString::to_string).collect()
}

/// What has to stand on the target itself, for those who manage targets and read tables.
fn set_up(context: &Context, target: &TargetView, trust: &Trust) -> Outcome {
    let (Some(endpoint), Some(logins), true) =
        (&target.endpoint, &target.logins, for_people(context))
    else {
        return Ok(());
    };
    let mut roles: Vec<String> = logins.iter().map(ToString::to_string).collect();
    if let Endpoint::Postgres(postgres) = endpoint
        && !postgres.privileges.is_empty()
    {
        roles.push(MARKER.to_owned());
    }
    let lines = match endpoint {
        Endpoint::Ssh(_) if target.bastion => return Ok(()),
        Endpoint::Ssh(ssh) if !ssh.entry.is_certificate() => {
            cli::standing_lines(target.name.as_str(), ssh.entry)
        }
        Endpoint::Ssh(ssh) => {
            let has_accounts = ssh.keeper.is_some();
            let lines = cli::ssh_lines(trust.ssh_user_ca.trim(), &roles, has_accounts);
            match &ssh.keeper {
                None => lines,
                Some(keeper) => {
                    let more = cli::account_lines(target.name.as_str(), keeper.admin.as_str());
                    format!("{lines}\n\n{more}")
                }
            }
        }
        Endpoint::Postgres(postgres) if !postgres.entry.is_certificate() => {
            let standing = cli::standing_lines(target.name.as_str(), postgres.entry);
            let lines = words::password_lines(&postgres.dbname, &roles, FROM);
            format!("{standing}\n\n{lines}")
        }
        Endpoint::Postgres(postgres) => cli::postgres_lines(&PostgresPlaces {
            target: target.name.as_str(),
            dbname: &postgres.dbname,
            roles: &roles,
            from: FROM,
            target_ca: &trust.x509_target_ca,
            admin: postgres.admin.as_ref().map(Login::as_str),
            accounts: &elevated(postgres),
        }),
    };
    let lines = harmless::text(&lines);
    context.printer.text(&format!("\n{lines}\n"))
}

/// Where the bastion comes from, as far as this side knows.
const FROM: &str = "127.0.0.1/32";
