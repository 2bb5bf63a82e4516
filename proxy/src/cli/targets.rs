//! `ls` and `target`: what one can connect to, and for admins what there is.

use std::collections::BTreeSet;
use std::path::PathBuf;

use clap::{Args, Subcommand, ValueEnum};
use control::api::wire::{
    AccessState, Check, Ended, List, ProbeOrder, Probed, TargetOrder, TargetView, Trust,
};
use policies::words::cli::{self, PostgresPlaces, usage};
use policies::{
    Endpoint, GroupName, HostKeyPin, HostPort, Label, Login, PostgresEndpoint, Protocol, ServerPin,
    SshEndpoint, TargetName,
};
use reqwest::Method;

use crate::cli::context::Context;
use crate::cli::failure::{Exit, Failure, Outcome};
use crate::cli::path::segment;
use crate::cli::printer::{Format, Row, harmless};
use crate::cli::prompt::Assent;
use crate::cli::{scripts, when};

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
    /// See whether one answers and still proves to be the one that was added
    Test {
        /// Which
        name: TargetName,
    },
    /// Print the SQL that lets tidegate make a role for each grant at a database
    Script {
        /// Which
        name: TargetName,
    },
}

/// What to add.
#[derive(Debug, Subcommand)]
pub(crate) enum AddVerb {
    /// An SSH server; the bastion reads its host keys and pins them
    Ssh(AddSsh),
    /// A PostgreSQL database; the bastion reads its certificate and pins it
    Pg(AddPg),
}

/// What every target has.
#[derive(Debug, Args)]
pub(crate) struct Common {
    /// What to call it
    name: TargetName,
    /// Where it is, as the bastion reaches it
    #[arg(long, value_name = "HOST:PORT")]
    addr: HostPort,
    /// A label, for example env=dev
    #[arg(long, value_name = "KEY=VALUE", value_parser = label)]
    label: Vec<Label>,
    /// The group that owns it
    #[arg(long, value_name = "GROUP")]
    owners: Option<GroupName>,
}

/// An SSH server.
#[derive(Debug, Args)]
pub(crate) struct AddSsh {
    #[command(flatten)]
    common: Common,
    /// An account that may be asked for
    #[arg(long, required = true)]
    login: Vec<Login>,
    /// Its host key, instead of reading it: 'ssh-ed25519 AAAA…'
    #[arg(long, value_name = "KEY")]
    host_key: Vec<String>,
    /// The CA of its host certificates, instead of its host keys
    #[arg(long, value_name = "KEY", conflicts_with = "host_key")]
    host_ca: Option<String>,
}

/// A PostgreSQL database.
#[derive(Debug, Args)]
pub(crate) struct AddPg {
    #[command(flatten)]
    common: Common,
    /// The database to connect to
    #[arg(long)]
    dbname: String,
    /// A role that may be asked for
    #[arg(long, required = true)]
    role: Vec<Login>,
    /// The role as which tidegate makes a role for each grant there, instead of logging in as --role
    #[arg(long, value_name = "ROLE")]
    admin_role: Option<Login>,
    /// The SHA-256 of its certificate, instead of reading it
    #[arg(long, value_name = "HEX")]
    server_cert_sha256: Option<String>,
    /// The CA of its certificate, instead of the certificate itself
    #[arg(long, value_name = "FILE", conflicts_with = "server_cert_sha256")]
    server_ca: Option<PathBuf>,
    /// The name in its certificate, with --server-ca; else the host of --addr
    #[arg(long, value_name = "NAME", requires = "server_ca")]
    server_name: Option<String>,
    /// Where the bastion comes from, as `pg_hba.conf` writes it, for the line that is printed
    #[arg(long, value_name = "CIDR", default_value = FROM)]
    from: String,
}

impl Row for TargetView {
    const COLUMNS: (&'static [&'static str], usize) = (
        &[
            "TARGET", "PROTOCOL", "LABELS", "LOGINS", "ACCESS", "ENDS", "OWNERS", "ADDRESS",
            "PINNED",
        ],
        6,
    );

    fn cells(&self) -> Vec<String> {
        let joined = |parts: Vec<String>| parts.join(",");
        let labels = self
            .labels
            .iter()
            .map(|(key, value)| format!("{key}={value}"));
        let best = self.access.iter().min_by_key(|access| rank(access.state));
        let state = |access: &control::api::wire::Access| match access.state {
            AccessState::Granted => format!("granted as {}", access.login),
            AccessState::Pending => format!("pending as {}", access.login),
            AccessState::Ask => "ask".to_owned(),
        };
        let (address, pinned) = self.endpoint.as_ref().map(place).unwrap_or_default();
        vec![
            self.name.to_string(),
            self.protocol.as_str().to_owned(),
            joined(labels.collect()),
            joined(match &self.logins {
                Some(logins) => logins.iter().map(ToString::to_string).collect(),
                None => self
                    .access
                    .iter()
                    .map(|access| access.login.to_string())
                    .collect(),
            }),
            best.map(state).unwrap_or_default(),
            best.and_then(|access| access.until)
                .map(when::stamp)
                .unwrap_or_default(),
            self.owners
                .as_ref()
                .map(ToString::to_string)
                .unwrap_or_default(),
            address,
            pinned,
        ]
    }
}

fn rank(state: AccessState) -> u8 {
    match state {
        AccessState::Granted => 0,
        AccessState::Pending => 1,
        AccessState::Ask => 2,
    }
}

fn place(endpoint: &Endpoint) -> (String, String) {
    match endpoint {
        Endpoint::Ssh(ssh) => {
            let pinned = match &ssh.host_key {
                HostKeyPin::Keys { keys } => keys.join(", "),
                HostKeyPin::Authority { key } => format!("CA {key}"),
            };
            (ssh.addr.to_string(), pinned)
        }
        Endpoint::Postgres(postgres) => {
            let pinned = match &postgres.server {
                ServerPin::Certificate { sha256 } => format!("certificate {sha256}"),
                ServerPin::Authority { host, .. } => format!("CA, for {host}"),
            };
            (format!("{}/{}", postgres.addr, postgres.dbname), pinned)
        }
    }
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
    let doing = "list targets";
    context.client(doing)?.get(doing, "/v1/targets").await
}

/// `target …`.
pub(crate) async fn target(context: &Context, verb: TargetVerb) -> Outcome {
    match verb {
        TargetVerb::Add(verb) => match *verb {
            AddVerb::Ssh(args) => add_ssh(context, args).await,
            AddVerb::Pg(args) => add_pg(context, args).await,
        },
        TargetVerb::Ls => {
            let list = listed(context).await?;
            context.printer.list(&list, &list.items)
        }
        TargetVerb::Show { name } => {
            let doing = format!("show {name}");
            let path = format!("/v1/targets/{}", segment(name.as_str()));
            let client = context.client(&doing)?;
            let target: TargetView = client.get(&doing, &path).await?;
            context.printer.one(&target)?;
            set_up(context, &target, &client.get(&doing, "/v1/trust").await?)
        }
        TargetVerb::Rm { name, assent } => {
            let doing = format!("remove {name}");
            let question = cli::target_question(name.as_str());
            assent
                .confirmed(&context.surroundings, &question, &doing)
                .await?;
            let path = format!("/v1/targets/{}", segment(name.as_str()));
            let client = context.client(&doing)?;
            let ended: Ended = client
                .send(&doing, Method::DELETE, &path, &serde_json::json!({}))
                .await?;
            context
                .printer
                .done(&ended, name.as_str(), &cli::target_removed(name.as_str()))
        }
        TargetVerb::Script { name } => scripts::script(context, &name).await,
        TargetVerb::Test { name } => {
            let doing = format!("test {name}");
            let path = format!("/v1/targets/{}/test", segment(name.as_str()));
            let client = context.client(&doing)?;
            let check: Check = client.post(&doing, &path, &serde_json::json!({})).await?;
            // People read what is wrong once, as the error.
            if check.ok || !for_people(context) {
                context.printer.one(&check)?;
            }
            if check.ok {
                return Ok(());
            }
            let (found, hint) = (harmless::line(&check.found), check.hint.as_deref());
            let hint = hint.map(harmless::line);
            let trouble = cli::doctor::untested(&check.subject, &found, hint.as_deref());
            Err(Failure::new(Exit::Error, trouble))
        }
    }
}

/// Whether people read what is printed.
fn for_people(context: &Context) -> bool {
    matches!(context.printer.format, Format::Table | Format::Wide)
}

/// What has to stand on the target itself, for those who manage targets and read tables.
fn set_up(context: &Context, target: &TargetView, trust: &Trust) -> Outcome {
    let (Some(endpoint), Some(logins), true) =
        (&target.endpoint, &target.logins, for_people(context))
    else {
        return Ok(());
    };
    let roles: Vec<String> = logins.iter().map(ToString::to_string).collect();
    let lines = match endpoint {
        Endpoint::Ssh(_) => cli::ssh_lines(trust.ssh_user_ca.trim()),
        Endpoint::Postgres(postgres) => cli::postgres_lines(&PostgresPlaces {
            target: target.name.as_str(),
            dbname: &postgres.dbname,
            roles: &roles,
            from: FROM,
            target_ca: &trust.x509_target_ca,
            admin: postgres.admin.as_ref().map(Login::as_str),
        }),
    };
    let lines = harmless::text(&lines);
    context.printer.text(&format!("\n{lines}\n"))
}

/// Where the bastion comes from, as far as this side knows.
const FROM: &str = "127.0.0.1/32";

async fn probe(context: &Context, protocol: Protocol, addr: &HostPort) -> Result<Probed, Failure> {
    let doing = format!("look at {addr}");
    let order = ProbeOrder {
        protocol,
        addr: addr.clone(),
    };
    context
        .client(&doing)?
        .post(&doing, "/v1/targets/probe", &order)
        .await
}

async fn add(context: &Context, order: &TargetOrder) -> Result<(TargetView, Trust), Failure> {
    let doing = format!("add target {}", order.name);
    let client = context.client(&doing)?;
    let added = client.post(&doing, "/v1/targets", order).await?;
    Ok((added, client.get(&doing, "/v1/trust").await?))
}

async fn add_ssh(context: &Context, args: AddSsh) -> Outcome {
    let host_key = match (args.host_ca, args.host_key) {
        (Some(key), _) => HostKeyPin::Authority { key },
        (None, keys) if !keys.is_empty() => HostKeyPin::Keys { keys },
        (None, _) => match probe(context, Protocol::Ssh, &args.common.addr).await? {
            Probed::Ssh { host_keys } => {
                for seen in &host_keys {
                    let kind = seen.openssh.split(' ').next().unwrap_or_default();
                    context
                        .printer
                        .say(&cli::host_key_seen(kind, &seen.fingerprint));
                }
                HostKeyPin::Keys {
                    keys: host_keys.into_iter().map(|seen| seen.openssh).collect(),
                }
            }
            Probed::Postgres { .. } => return Err(odd_probe()),
        },
    };
    let login = args
        .login
        .first()
        .map(ToString::to_string)
        .unwrap_or_default();
    let order = TargetOrder {
        name: args.common.name,
        endpoint: Endpoint::Ssh(SshEndpoint {
            addr: args.common.addr,
            host_key,
        }),
        logins: args.login.into_iter().collect(),
        labels: args.common.label,
        owners: args.common.owners,
    };
    let (added, trust) = add(context, &order).await?;
    let name = added.name.to_string();
    let said = cli::ssh_target_added(&name, &login, trust.ssh_user_ca.trim());
    context.printer.done(&added, &name, &said)
}

async fn add_pg(context: &Context, args: AddPg) -> Outcome {
    let addr = args.common.addr;
    let server = match (args.server_ca, args.server_cert_sha256) {
        (Some(path), _) => {
            let pem = std::fs::read_to_string(&path)
                .map_err(|error| Failure::unread(&path.to_string_lossy(), &error))?;
            ServerPin::Authority {
                pem,
                host: args.server_name.unwrap_or_else(|| addr.host.clone()),
            }
        }
        (None, Some(sha256)) => ServerPin::Certificate {
            sha256: sha256.to_ascii_lowercase(),
        },
        (None, None) => match probe(context, Protocol::Postgres, &addr).await? {
            Probed::Postgres {
                sha256,
                subject,
                names,
            } => {
                context
                    .printer
                    .say(&cli::certificate_seen(&subject, &names, &sha256));
                ServerPin::Certificate { sha256 }
            }
            Probed::Ssh { .. } => return Err(odd_probe()),
        },
    };
    let roles: BTreeSet<Login> = args.role.into_iter().collect();
    let order = TargetOrder {
        name: args.common.name,
        endpoint: Endpoint::Postgres(PostgresEndpoint {
            addr,
            dbname: args.dbname.clone(),
            server,
            admin: args.admin_role.clone(),
        }),
        logins: roles.clone(),
        labels: args.common.label,
        owners: args.common.owners,
    };
    let (added, trust) = add(context, &order).await?;
    let roles: Vec<String> = roles.iter().map(ToString::to_string).collect();
    let name = added.name.to_string();
    let said = cli::postgres_target_added(&PostgresPlaces {
        target: &name,
        dbname: &args.dbname,
        roles: &roles,
        from: &args.from,
        target_ca: &trust.x509_target_ca,
        admin: args.admin_role.as_ref().map(Login::as_str),
    });
    context.printer.done(&added, &name, &said)
}

fn odd_probe() -> Failure {
    Failure::new(
        Exit::Error,
        cli::odd_answer("it looked with another protocol"),
    )
}
