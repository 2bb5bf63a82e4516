//! `target add`: what is told of a target, and what the bastion finds out by itself.

use std::str::FromStr;
use std::time::Duration;

use clap::{Args, Subcommand};
use control::api::wire::{Check, ProbeOrder, Probed, TargetOrder, TargetView, Trust};
use policies::words::cli::doing;
use policies::words::{cli, target};
use policies::{
    Algorithms, Endpoint, Entry, GroupName, HostKeyPin, HostPort, Jump, Keeper, KeeperCommand,
    Label, Login, Protocol, SshEndpoint, TargetName,
};
use tokio::time;

use super::add_bastion::AddBastion;
use super::add_pg::AddPg;
use super::given::Given;
use super::label;
use crate::cli::context::Context;
use crate::cli::failure::{Exit, Failure, Outcome};
use crate::cli::path::segment;
use crate::cli::printer::harmless;

/// What to add.
#[derive(Debug, Subcommand)]
pub(crate) enum AddVerb {
    /// An SSH server; the bastion reads its host keys and pins them
    Ssh(AddSsh),
    /// A PostgreSQL database; the bastion reads its certificate and pins it
    Pg(AddPg),
    /// A tidegate behind this one, which people go through: 'ssh -J BASTION,NAME LOGIN@TARGET'
    Bastion(AddBastion),
}

/// What every target has.
#[derive(Debug, Args)]
pub(super) struct Common {
    /// What to call it
    pub(super) name: TargetName,
    /// A label, for example env=dev
    #[arg(long, value_name = "KEY=VALUE", value_parser = label)]
    pub(super) label: Vec<Label>,
    /// The group that owns it
    #[arg(long, value_name = "GROUP")]
    pub(super) owners: Option<GroupName>,
}

/// An SSH server.
#[derive(Debug, Args)]
pub(crate) struct AddSsh {
    #[command(flatten)]
    common: Common,
    /// Where it is, as the bastion reaches it
    #[arg(long, value_name = "HOST:PORT")]
    addr: HostPort,
    /// An account that may be asked for
    #[arg(long, required = true)]
    login: Vec<Login>,
    /// Its host key, instead of reading it: 'ssh-ed25519 AAAA…'
    #[arg(long, value_name = "KEY", value_parser = public_key)]
    host_key: Vec<String>,
    /// The CA of its host certificates, instead of its host keys
    #[arg(long, value_name = "KEY", value_parser = public_key, conflicts_with = "host_key")]
    host_ca: Option<String>,
    /// The SSH target in front of it, through which it is reached
    #[arg(long, value_name = "[LOGIN+]TARGET")]
    jump: Option<Before>,
    #[command(flatten)]
    given: Given,
    /// The account as which tidegate makes an account for each grant there, with --login as its group
    #[arg(long, value_name = "ADMIN")]
    accounts: Option<Login>,
    /// What makes accounts there, instead of the script that 'target script' prints
    #[arg(long, value_name = "COMMAND", requires = "accounts")]
    accounts_command: Option<KeeperCommand>,
    /// Old algorithms besides, for equipment that knows no others: SHA-1 and CBC
    #[arg(long)]
    legacy_algorithms: bool,
}

/// A target that stands in front of another one, as it is typed.
#[derive(Debug, Clone)]
pub(super) struct Before {
    login: Option<Login>,
    target: TargetName,
}

impl FromStr for Before {
    type Err = String;

    fn from_str(text: &str) -> Result<Self, String> {
        let (login, target) = match text.rsplit_once(['+', '@']) {
            Some((login, target)) => {
                let login = login.parse::<Login>().map_err(|odd| odd.to_string())?;
                (Some(login), target)
            }
            None => (None, text),
        };
        let target = target
            .parse::<TargetName>()
            .map_err(|odd| odd.to_string())?;
        Ok(Self { login, target })
    }
}

/// A key of a host or of a CA, as it stands in a `.pub` file.
pub(super) fn public_key(text: &str) -> Result<String, String> {
    let line = text.trim();
    match ca::pin::host_key(line) {
        Ok(()) => Ok(line.to_owned()),
        Err(fault) => Err(fault.to_string()),
    }
}

/// The target in front of the one that is added, with the login there: its only one, where none is
/// named.
pub(super) async fn jump(context: &Context, before: Before) -> Result<Jump, Failure> {
    let Before { login, target } = before;
    if let Some(login) = login {
        return Ok(Jump { target, login });
    }
    let doing = doing::go_through(&target);
    let path = format!("/v1/targets/{}", segment(target.as_str()));
    let view: TargetView = context.client(&doing)?.get(&doing, &path).await?;
    let logins: Vec<Login> = view.logins.unwrap_or_default().into_iter().collect();
    match logins.as_slice() {
        [only] => Ok(Jump {
            target,
            login: only.clone(),
        }),
        several => {
            let several: Vec<&str> = several.iter().map(Login::as_str).collect();
            let trouble = cli::jump_login_needed(target.as_str(), &several);
            Err(Failure::new(Exit::Usage, trouble))
        }
    }
}

pub(super) async fn probe(
    context: &Context,
    protocol: Protocol,
    addr: &HostPort,
    (jump, algorithms): (Option<&Jump>, Algorithms),
) -> Result<Probed, Failure> {
    let doing = doing::look_at(&addr);
    let order = ProbeOrder {
        protocol,
        addr: addr.clone(),
        jump: jump.cloned(),
        algorithms,
    };
    context
        .client(&doing)?
        .post(&doing, "/v1/targets/probe", &order)
        .await
}

/// Nothing is looked at and no secret asked for, for a name that its user sees in use. Whether it is free
/// the server decides, when the target is added.
pub(super) async fn unused(context: &Context, name: &TargetName) -> Outcome {
    let doing = doing::add_target(&name);
    let path = format!("/v1/targets/{}", segment(name.as_str()));
    let client = context.client(&doing)?;
    match client.get::<TargetView>(&doing, &path).await {
        Ok(_there) => Err(Failure::new(Exit::Conflict, target::exists(name.as_str()))),
        Err(_unseen) => Ok(()),
    }
}

/// How long a look at what was just added may take.
const TRY_LIMIT: Duration = Duration::from_secs(10);

/// Says whether a target that was just added lets tidegate in, and what to do if not.
pub(super) async fn try_at_once(context: &Context, name: &TargetName) {
    let doing = doing::test(&name);
    let Ok(client) = context.client(&doing) else {
        return;
    };
    let path = format!("/v1/targets/{}/test", segment(name.as_str()));
    let nothing = serde_json::json!({});
    let trying = client.post::<Check>(&doing, &path, &nothing);
    // Whatever comes of it, the target is added.
    let Ok(Ok(check)) = time::timeout(TRY_LIMIT, trying).await else {
        return context.printer.warn(&cli::untried(name.as_str()));
    };
    let (found, hint) = (harmless::line(&check.found), check.hint.as_deref());
    let hint = hint.map(harmless::line);
    if check.warning {
        let said = target::ready_with_warning(&check.subject, &found, hint.as_deref());
        context.printer.warn(&said);
    } else if check.ok {
        context.printer.say(&cli::ready_at_once(&found));
    } else {
        let said = cli::not_ready(name.as_str(), &found, hint.as_deref());
        context.printer.warn(&said);
    }
}

pub(super) async fn add(
    context: &Context,
    order: &TargetOrder,
) -> Result<(TargetView, Trust), Failure> {
    let doing = doing::add_target(&order.name);
    let client = context.client(&doing)?;
    let added = client.post(&doing, "/v1/targets", order).await?;
    Ok((added, client.get(&doing, "/v1/trust").await?))
}

pub(super) async fn ssh(context: &Context, args: AddSsh) -> Outcome {
    unused(context, &args.common.name).await?;
    let jump = match args.jump {
        Some(before) => Some(jump(context, before).await?),
        None => None,
    };
    let algorithms = spoken(args.legacy_algorithms);
    if args.given.is_password() && args.host_ca.is_none() && args.host_key.is_empty() {
        let name = args.common.name.as_str();
        return Err(Failure::new(
            Exit::Usage,
            cli::usage::password_to_whom(name),
        ));
    }
    let secret = args
        .given
        .secret(context, args.common.name.as_str())
        .await?;
    let entry = secret
        .as_ref()
        .map_or(Entry::Certificate, |secret| secret.entry);
    let how = (jump.as_ref(), algorithms);
    let given = (args.host_ca, args.host_key);
    let host_key = pin(context, given, (&args.addr, how)).await?;
    let logins: Vec<String> = args.login.iter().map(ToString::to_string).collect();
    let keeper = args.accounts.map(|admin| Keeper {
        admin,
        command: args.accounts_command,
    });
    let admin = keeper.as_ref().map(|keeper| keeper.admin.to_string());
    let order = TargetOrder {
        name: args.common.name,
        endpoint: Endpoint::Ssh(SshEndpoint {
            addr: args.addr,
            host_key,
            jump,
            entry,
            algorithms,
            keeper,
        }),
        logins: args.login.into_iter().collect(),
        labels: args.common.label,
        owners: args.common.owners,
        secret,
    };
    let (added, trust) = add(context, &order).await?;
    let name = added.name.to_string();
    let said = if entry.is_certificate() {
        cli::ssh_target_added(&name, &logins, trust.ssh_user_ca.trim(), admin.as_deref())
    } else {
        cli::standing_target_added(&name, logins.first().map_or("LOGIN", String::as_str), entry)
    };
    context.printer.done(&added, &name, &said)?;
    try_at_once(context, &added.name).await;
    Ok(())
}

/// How the server proves itself: as was given, or by the keys that it shows now.
pub(super) async fn pin(
    context: &Context,
    (host_ca, host_keys): (Option<String>, Vec<String>),
    (addr, how): (&HostPort, (Option<&Jump>, Algorithms)),
) -> Result<HostKeyPin, Failure> {
    match host_ca {
        Some(key) => Ok(HostKeyPin::Authority { key }),
        None if host_keys.is_empty() => looked_at(context, addr, how).await,
        None => Ok(HostKeyPin::Keys { keys: host_keys }),
    }
}

fn spoken(legacy: bool) -> Algorithms {
    if legacy {
        Algorithms::Legacy
    } else {
        Algorithms::Modern
    }
}

/// Reads the host keys that a server shows, says them, and pins them.
async fn looked_at(
    context: &Context,
    addr: &HostPort,
    how: (Option<&Jump>, Algorithms),
) -> Result<HostKeyPin, Failure> {
    match probe(context, Protocol::Ssh, addr, how).await? {
        Probed::Ssh { host_keys, .. } => {
            for seen in &host_keys {
                let kind = seen.openssh.split(' ').next().unwrap_or_default();
                let said = cli::host_key_seen(kind, &seen.fingerprint);
                context.printer.say(&said);
            }
            Ok(HostKeyPin::Keys {
                keys: host_keys.into_iter().map(|seen| seen.openssh).collect(),
            })
        }
        Probed::Postgres { .. } => Err(odd_probe()),
    }
}

pub(super) fn odd_probe() -> Failure {
    Failure::new(Exit::Error, cli::odd_answer(cli::odd::PROBE))
}
