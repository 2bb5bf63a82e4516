//! `user`: who is known, by which keys, in which groups; locking them out and letting them back in.

use std::path::{Path, PathBuf};

use clap::{ArgGroup, Args, Subcommand};
use control::api::wire::{
    Ended, Ending, GroupsOrder, KeyOrder, KeyView, List, PrincipalOrder, PrincipalView, Trust,
};
use policies::words::cli::{self, doing};
use policies::{GroupName, PrincipalKind, PrincipalName, Reason};
use reqwest::Method;
use serde::Serialize;

use crate::cli::context::Context;
use crate::cli::failure::{Exit, Failure, Outcome};
use crate::cli::path::segment;
use crate::cli::printer::Row;
use crate::cli::prompt::Assent;
use crate::cli::when;

/// Manage people and services
#[derive(Debug, Subcommand)]
pub(crate) enum UserVerb {
    /// Add someone
    Add(AddArgs),
    /// List everyone
    Ls,
    /// Remove someone and cut their sessions
    Rm {
        /// Who
        name: PrincipalName,
        #[command(flatten)]
        assent: Assent,
    },
    /// Put someone into groups, or take them out; grants stay, and sessions that the policies no longer allow are cut
    Set(SetArgs),
    /// Lock someone out and cut their sessions
    Lock {
        /// Who
        name: PrincipalName,
        /// Why
        #[arg(long, value_name = "TEXT")]
        reason: Reason,
    },
    /// Let someone back in
    Unlock {
        /// Who
        name: PrincipalName,
    },
    /// Manage someone's keys
    #[command(subcommand)]
    Key(KeyVerb),
    /// List someone's keys
    Keys {
        /// Whose
        name: PrincipalName,
    },
}

/// Manage someone's keys
#[derive(Debug, Subcommand)]
pub(crate) enum KeyVerb {
    /// Register a further key
    Add {
        /// Whose
        name: PrincipalName,
        /// Its public half's file
        #[arg(long, value_name = "FILE")]
        key: PathBuf,
    },
    /// Remove a key, the certificates that were got by it, and cut their sessions
    Rm {
        /// Whose
        name: PrincipalName,
        /// Which, as `user keys` prints it: SHA256:…
        fingerprint: String,
    },
}

/// A registered key.
#[derive(Debug, Serialize)]
struct KeyRow<'a> {
    #[serde(flatten)]
    key: &'a KeyView,
    principal: &'a PrincipalName,
}

impl Row for KeyRow<'_> {
    const COLUMNS: (&'static [&'static str], usize) =
        (&["FINGERPRINT", "KIND", "COMMENT", "ADDED", "OF"], 4);

    fn cells(&self) -> Vec<String> {
        vec![
            self.key.fingerprint.clone(),
            self.key.kind.clone(),
            self.key.comment.clone(),
            when::stamp(self.key.added_at),
            self.principal.to_string(),
        ]
    }
}

/// Someone new.
#[derive(Debug, Args)]
pub(crate) struct AddArgs {
    /// Their name
    name: PrincipalName,
    /// The public half of a key of theirs
    #[arg(long, value_name = "FILE", required = true)]
    key: Vec<PathBuf>,
    /// A group they are in
    #[arg(long)]
    group: Vec<GroupName>,
    /// It is a CI job, an agent or a service: it never approves
    #[arg(long)]
    machine: bool,
}

/// Other groups.
#[derive(Debug, Args)]
#[command(group(ArgGroup::new("which").required(true).multiple(true).args(["group", "no_group"])))]
pub(crate) struct SetArgs {
    /// Who
    name: PrincipalName,
    /// A group they come into
    #[arg(long)]
    group: Vec<GroupName>,
    /// A group they leave
    #[arg(long, value_name = "GROUP")]
    no_group: Vec<GroupName>,
}

impl Row for PrincipalView {
    const COLUMNS: (&'static [&'static str], usize) =
        (&["NAME", "GROUPS", "KEYS", "LOCKED", "KIND", "ADDED"], 4);

    fn cells(&self) -> Vec<String> {
        let groups: Vec<&str> = self.groups.iter().map(GroupName::as_str).collect();
        vec![
            self.name.to_string(),
            groups.join(","),
            self.keys.join(","),
            if self.lock.is_some() { "locked" } else { "no" }.to_owned(),
            match self.kind {
                PrincipalKind::Person => "person".to_owned(),
                PrincipalKind::Machine => "machine".to_owned(),
            },
            when::stamp(self.added_at),
        ]
    }
}

/// `user …`.
pub(crate) async fn user(context: &Context, verb: UserVerb) -> Outcome {
    match verb {
        UserVerb::Add(args) => add(context, args).await,
        UserVerb::Ls => {
            let doing = doing::LIST_PEOPLE;
            let list: List<PrincipalView> =
                context.client(doing)?.get(doing, "/v1/principals").await?;
            context.printer.list(&list, &list.items)
        }
        UserVerb::Rm { name, assent } => remove(context, &name, &assent).await,
        UserVerb::Set(args) => set(context, args).await,
        UserVerb::Lock { name, reason } => {
            let doing = doing::lock(&name);
            let client = context.client(&doing)?;
            let ended: Ended = client
                .post(&doing, &at(&name, "/lock"), &Ending { reason })
                .await?;
            context
                .printer
                .done(&ended, name.as_str(), &cli::user_locked(name.as_str()))
        }
        UserVerb::Unlock { name } => {
            let doing = doing::unlock(&name);
            let client = context.client(&doing)?;
            let view: PrincipalView = client
                .post(&doing, &at(&name, "/unlock"), &serde_json::json!({}))
                .await?;
            context
                .printer
                .done(&view, name.as_str(), &cli::user_unlocked(name.as_str()))
        }
        UserVerb::Key(verb) => key(context, verb).await,
        UserVerb::Keys { name } => {
            let doing = doing::list_keys(&name);
            let client = context.client(&doing)?;
            let view: PrincipalView = client.get(&doing, &at(&name, "")).await?;
            let row = |key| KeyRow {
                key,
                principal: &view.name,
            };
            let rows: Vec<KeyRow<'_>> = view.key_details.iter().map(row).collect();
            context.printer.list(&view, &rows)
        }
    }
}

async fn remove(context: &Context, name: &PrincipalName, assent: &Assent) -> Outcome {
    let doing = doing::remove_user(&name);
    let client = context.client(&doing)?;
    let (at, nothing) = (at(name, ""), serde_json::json!({}));
    // Nobody is asked about who is not there.
    let _there: PrincipalView = client.get(&doing, &at).await?;
    let question = cli::user_question(name.as_str());
    assent
        .confirmed(&context.surroundings, &question, &doing)
        .await?;
    let ended: Ended = client.send(&doing, Method::DELETE, &at, &nothing).await?;
    for left in &ended.left {
        context.printer.warn(left);
    }
    context
        .printer
        .done(&ended, name.as_str(), &cli::user_removed(name.as_str()))
}

async fn key(context: &Context, verb: KeyVerb) -> Outcome {
    match verb {
        KeyVerb::Add { name, key } => {
            let doing = doing::add_key(&name);
            let order = KeyOrder {
                key: public_key(&key)?,
            };
            let client = context.client(&doing)?;
            let view: PrincipalView = client.post(&doing, &at(&name, "/keys"), &order).await?;
            context
                .printer
                .done(&view, name.as_str(), &cli::key_added(name.as_str()))
        }
        KeyVerb::Rm { name, fingerprint } => {
            let doing = doing::remove_key(&name);
            let path = at(&name, &format!("/keys/{}", segment(&fingerprint)));
            let client = context.client(&doing)?;
            let ended: Ended = client
                .send(&doing, Method::DELETE, &path, &serde_json::json!({}))
                .await?;
            let said = cli::key_removed(name.as_str(), ended.sessions.len());
            context.printer.done(&ended, &fingerprint, &said)
        }
    }
}

async fn add(context: &Context, args: AddArgs) -> Outcome {
    let doing = doing::add(&args.name);
    let keys: Result<Vec<String>, Failure> = args.key.iter().map(|path| public_key(path)).collect();
    let order = PrincipalOrder {
        name: args.name,
        kind: if args.machine {
            PrincipalKind::Machine
        } else {
            PrincipalKind::Person
        },
        groups: args.group.into_iter().collect(),
        keys: keys?,
    };
    let client = context.client(&doing)?;
    let view: PrincipalView = client.post(&doing, "/v1/principals", &order).await?;
    let trust: Trust = client.get(&doing, "/v1/trust").await?;
    let name = view.name.to_string();
    for warning in &view.warnings {
        context.printer.warn(warning);
    }
    context.printer.done(
        &view,
        &name,
        &cli::user_added(&name, client.url(), &trust.fingerprint),
    )
}

async fn set(context: &Context, args: SetArgs) -> Outcome {
    let name = args.name;
    if let Some(both) = args.group.iter().find(|one| args.no_group.contains(one)) {
        let trouble = cli::usage::both_ways(name.as_str(), both.as_str());
        return Err(Failure::new(Exit::Usage, trouble));
    }
    let doing = doing::change_groups(&name);
    let order = GroupsOrder {
        into: args.group.into_iter().collect(),
        out_of: args.no_group.into_iter().collect(),
    };
    let client = context.client(&doing)?;
    let view: PrincipalView = client.post(&doing, &at(&name, "/groups"), &order).await?;
    for warning in &view.warnings {
        context.printer.warn(warning);
    }
    let groups: Vec<&str> = view.groups.iter().map(GroupName::as_str).collect();
    let said = cli::groups_set(name.as_str(), &groups, view.ends.len());
    context.printer.done(&view, name.as_str(), &said)
}

fn at(name: &PrincipalName, rest: &str) -> String {
    format!("/v1/principals/{}{rest}", segment(name.as_str()))
}

/// Reads a public key. A private one is refused before it leaves this machine.
fn public_key(path: &Path) -> Result<String, Failure> {
    let shown = path.to_string_lossy();
    let text = std::fs::read_to_string(path).map_err(|error| Failure::unread(&shown, &error))?;
    let line = text.trim();
    if line.contains("PRIVATE KEY") || line.lines().count() != 1 {
        return Err(Failure::new(Exit::Usage, cli::not_a_public_key(&shown)));
    }
    Ok(line.to_owned())
}
