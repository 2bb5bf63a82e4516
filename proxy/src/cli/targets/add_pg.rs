//! `target add pg`: what is told of a database and its hosts, and what the bastion finds out by itself.

use std::collections::{BTreeMap, BTreeSet};
use std::path::{Path, PathBuf};

use clap::Args;
use control::api::wire::{Probed, TargetOrder};
use policies::words::cli::{self, PostgresPlaces, usage};
use policies::words::target;
use policies::{
    Algorithms, Endpoint, Entry, HostPort, Jump, Login, MARKER, PostgresEndpoint, PostgresHost,
    PrincipalName, Privilege, Protocol, RoleElevation, RolePrivilege, ServerPin, SessionAttrs,
};

use super::FROM;
use super::add::{Before, Common, add, jump, odd_probe, probe, try_at_once, unused};
use super::given::{Given, GivenPassword};
use crate::cli::context::Context;
use crate::cli::failure::{Exit, Failure, Outcome};

/// A PostgreSQL database.
#[derive(Debug, Args)]
pub(crate) struct AddPg {
    #[command(flatten)]
    common: Common,
    /// Where it is, as the bastion reaches it; several hosts of one database with commas between them
    #[arg(long, value_name = "HOST:PORT", value_delimiter = ',', required = true)]
    addr: Vec<HostPort>,
    /// Which of several hosts a session may have: any, read-write, read-only, primary, standby or
    /// prefer-standby, as in libpq
    #[arg(long, value_name = "WHICH", default_value_t)]
    target_session_attrs: SessionAttrs,
    /// The database to connect to
    #[arg(long)]
    dbname: String,
    /// A role that may be asked for
    #[arg(long, required = true)]
    role: Vec<Login>,
    /// The role as which tidegate makes a role for each grant there, instead of logging in as --role
    #[arg(long, value_name = "ROLE")]
    admin_role: Option<Login>,
    /// What a grant's own role may do, instead of all that ROLE may, for example
    /// `app_ro: SELECT ON sales.orders(id,total)`
    #[arg(long, value_name = "ROLE: RIGHTS ON PLACE", requires = "admin_role")]
    privilege: Vec<RolePrivilege>,
    /// That people come as roles of their own, which exist there and are members of ROLE only while their grant
    /// holds, for example `app_admin: alice=alice,bob=bob_db`
    #[arg(long, value_name = "ROLE: PERSON=ROLE,…", requires = "admin_role")]
    elevate: Vec<RoleElevation>,
    /// The SSH target in front of it, through which it is reached
    #[arg(
        long,
        alias = "via",
        value_name = "[LOGIN+]TARGET",
        conflicts_with = "target_session_attrs"
    )]
    jump: Option<Before>,
    /// The SHA-256 of its certificate, instead of reading it; one for each host
    #[arg(long, value_name = "HEX", value_delimiter = ',')]
    server_cert_sha256: Vec<String>,
    /// The CA of its certificate, instead of the certificate itself
    #[arg(long, value_name = "FILE", conflicts_with = "server_cert_sha256")]
    server_ca: Option<PathBuf>,
    /// The name in its certificate, with --server-ca; else the host of --addr
    #[arg(long, value_name = "NAME", requires = "server_ca")]
    server_name: Option<String>,
    #[command(flatten)]
    given: GivenPassword,
    /// Where the bastion comes from, as `pg_hba.conf` writes it, for the line that is printed
    #[arg(long, value_name = "CIDR", default_value = FROM)]
    from: String,
}

/// How each host proves itself: as was given, or by what it shows now.
async fn pinned(
    context: &Context,
    args: &AddPg,
    jump: Option<&Jump>,
) -> Result<Vec<PostgresHost>, Failure> {
    let authority = match &args.server_ca {
        None => None,
        Some(path) => Some(authorities(path)?),
    };
    let given = args.server_cert_sha256.len();
    if given > 0 && given != args.addr.len() {
        let trouble = usage::one_certificate_each(args.addr.len(), given);
        return Err(Failure::new(Exit::Usage, trouble));
    }
    let mut hosts = Vec::new();
    for (number, addr) in args.addr.iter().enumerate() {
        let server = match (&authority, args.server_cert_sha256.get(number)) {
            (Some(pem), _) => ServerPin::Authority {
                pem: pem.clone(),
                host: args
                    .server_name
                    .clone()
                    .unwrap_or_else(|| addr.host.clone()),
            },
            (None, Some(sha256)) => ServerPin::Certificate {
                sha256: sha256.to_ascii_lowercase(),
            },
            (None, None) => seen_certificate(context, addr, jump).await?,
        };
        hosts.push(PostgresHost {
            addr: addr.clone(),
            server,
        });
    }
    Ok(hosts)
}

/// The certificates of CAs in a file.
pub(super) fn authorities(path: &Path) -> Result<String, Failure> {
    let shown = path.to_string_lossy();
    let pem = std::fs::read(path).map_err(|error| Failure::unread(&shown, &error))?;
    // What is no text has no certificate in PEM, or something beside it.
    let pem = String::from_utf8_lossy(&pem).replace(ca::pin::BYTE_ORDER_MARK, "");
    match ca::pin::authorities(&pem) {
        Ok(()) => Ok(pem),
        Err(fault) => Err(Failure::new(Exit::Usage, fault.in_file(&shown))),
    }
}

/// The certificate that the server shows to the bastion, which says so.
async fn seen_certificate(
    context: &Context,
    addr: &HostPort,
    jump: Option<&Jump>,
) -> Result<ServerPin, Failure> {
    let how = (jump, Algorithms::Modern);
    let found = probe(context, Protocol::Postgres, addr, how).await?;
    let Probed::Postgres {
        sha256,
        subject,
        names,
    } = found
    else {
        return Err(odd_probe());
    };
    let seen = cli::certificate_seen(&subject, &names, &sha256);
    context.printer.say(&seen);
    Ok(ServerPin::Certificate { sha256 })
}

fn by_role(declared: Vec<RolePrivilege>) -> BTreeMap<Login, Vec<Privilege>> {
    let mut privileges = BTreeMap::<Login, Vec<Privilege>>::new();
    for RolePrivilege { role, privilege } in declared {
        privileges.entry(role).or_default().push(privilege);
    }
    privileges
}

/// What is said of one role more than once is put together; of one person, what was said last.
fn lent(declared: Vec<RoleElevation>) -> BTreeMap<Login, BTreeMap<PrincipalName, Login>> {
    let mut elevations = BTreeMap::<Login, BTreeMap<PrincipalName, Login>>::new();
    for RoleElevation { role, accounts } in declared {
        elevations.entry(role).or_default().extend(accounts);
    }
    elevations
}

pub(super) async fn pg(context: &Context, mut args: AddPg) -> Outcome {
    unused(context, &args.common.name).await?;
    let given = Given::from(std::mem::take(&mut args.given));
    let name = args.common.name.as_str();
    if given.is_password() && args.server_ca.is_none() && args.server_cert_sha256.is_empty() {
        return Err(Failure::new(Exit::Usage, target::password_to_whom(name)));
    }
    let secret = given.secret(context, name).await?;
    let entry = secret
        .as_ref()
        .map_or(Entry::Certificate, |secret| secret.entry);
    let jump = match args.jump.take() {
        Some(before) => Some(jump(context, before).await?),
        None => None,
    };
    let mut hosts = pinned(context, &args, jump.as_ref()).await?.into_iter();
    let Some(PostgresHost { addr, server }) = hosts.next() else {
        return Err(odd_probe());
    };
    let roles: BTreeSet<Login> = args.role.into_iter().collect();
    let privileges = by_role(args.privilege);
    let marked = !privileges.is_empty();
    let elevations = lent(args.elevate);
    let accounts = accounts(&elevations);
    let order = TargetOrder {
        name: args.common.name,
        endpoint: Endpoint::Postgres(PostgresEndpoint {
            others: hosts.collect(),
            session: args.target_session_attrs,
            entry,
            admin: args.admin_role.clone(),
            privileges,
            elevations,
            jump,
            ..PostgresEndpoint::new(addr, args.dbname.clone(), server)
        }),
        logins: roles.clone(),
        labels: args.common.label,
        owners: args.common.owners,
        secret,
    };
    let (added, trust) = add(context, &order).await?;
    let mut roles: Vec<String> = roles.iter().map(ToString::to_string).collect();
    roles.extend(marked.then(|| MARKER.to_owned()));
    let name = added.name.to_string();
    let places = PostgresPlaces {
        target: &name,
        dbname: &args.dbname,
        roles: &roles,
        from: &args.from,
        target_ca: &trust.x509_target_ca,
        admin: args.admin_role.as_ref().map(Login::as_str),
        accounts: &accounts,
    };
    context
        .printer
        .done(&added, &name, &what_is_next(entry, &places))?;
    try_at_once(context, &added.name).await;
    Ok(())
}

/// The existing roles that are elevated, each once.
fn accounts(elevations: &BTreeMap<Login, BTreeMap<PrincipalName, Login>>) -> Vec<String> {
    let accounts: BTreeSet<&Login> = elevations.values().flat_map(BTreeMap::values).collect();
    accounts.into_iter().map(ToString::to_string).collect()
}

/// What is to be done at the server now.
fn what_is_next(entry: Entry, places: &PostgresPlaces<'_>) -> String {
    if entry.is_certificate() {
        return cli::postgres_target_added(places);
    }
    let role = places.roles.first().map_or("ROLE", String::as_str);
    let lines = target::password_lines(places.dbname, places.roles, places.from);
    let said = cli::standing_target_added(places.target, role, entry);
    format!("{said}\n\n{lines}")
}
