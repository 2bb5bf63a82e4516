//! Where a target is to be and by what it is to be known there, as `target set` was told: nothing that a server shows
//! is believed unless somebody named it.

use control::api::wire::{HostKeySeen, Probed};
use policies::words::particulars::{self as words, Sighting};
use policies::words::target::known_by_server;
use policies::{
    Algorithms, Endpoint, HostKeyPin, HostPort, Place, PostgresEndpoint, PostgresHost, Protocol,
    ServerPin, SshEndpoint, TargetName,
};

use super::add::{odd_probe, probe};
use super::add_pg::authorities;
use super::set::{GivenKey, SetArgs, known_by};
use crate::cli::context::Context;
use crate::cli::failure::{Exit, Failure};
use crate::cli::printer::harmless;

/// The place that was meant.
pub(super) async fn place(
    context: &Context,
    (name, endpoint): (&TargetName, &Endpoint),
    args: &SetArgs,
) -> Result<Place, Failure> {
    let for_ssh = !args.host_key.is_empty() || args.host_ca.is_some();
    let for_databases = !args.server_cert_sha256.is_empty() || args.server_ca.is_some();
    let other_kind = |protocol| {
        let trouble = words::other_kind(name.as_str(), protocol);
        Err(Failure::new(Exit::Usage, trouble))
    };
    match endpoint {
        Endpoint::Ssh(_) if for_databases || args.addr.len() > 1 => other_kind(Protocol::Ssh),
        Endpoint::Postgres(_) if for_ssh => other_kind(Protocol::Postgres),
        Endpoint::Ssh(ssh) => {
            let addr = args.addr.first().unwrap_or(&ssh.addr).clone();
            let host_key = host_key(context, (name, ssh, &addr), args).await?;
            Ok(Place::Ssh { addr, host_key })
        }
        Endpoint::Postgres(postgres) => {
            let hosts = hosts(context, (name, postgres), args).await?;
            Ok(Place::Postgres { hosts })
        }
    }
}

/// What an SSH server is to be known by.
async fn host_key(
    context: &Context,
    (name, ssh, addr): (&TargetName, &SshEndpoint, &HostPort),
    args: &SetArgs,
) -> Result<HostKeyPin, Failure> {
    if let Some(key) = &args.host_ca {
        return Ok(HostKeyPin::Authority { key: key.clone() });
    }
    let (mut keys, mut prints, mut looks) = (Vec::new(), Vec::new(), false);
    for given in &args.host_key {
        match given {
            GivenKey::Look => looks = true,
            GivenKey::Fingerprint(print) => prints.push(print.as_str()),
            GivenKey::Key(key) => keys.push(key.clone()),
        }
    }
    let is_by_ca = matches!(ssh.host_key, HostKeyPin::Authority { .. });
    if args.host_key.is_empty() && (*addr == ssh.addr || is_by_ca) {
        return Ok(ssh.host_key.clone());
    }
    if prints.is_empty() && !keys.is_empty() && !looks {
        return Ok(HostKeyPin::Keys { keys });
    }
    let how = (ssh.jump.as_ref(), ssh.algorithms);
    let Probed::Ssh { host_keys, .. } = probe(context, Protocol::Ssh, addr, how).await? else {
        return Err(odd_probe());
    };
    let (pinned, shown) = (known_by(&ssh.host_key), host_keys.iter().map(named));
    let shown: Vec<String> = shown.collect();
    let sighting = Sighting {
        name: name.as_str(),
        protocol: Protocol::Ssh,
        pinned: &pinned,
        shown: &shown,
        command: &pinning((name, ssh, addr), &host_keys),
    };
    if prints.is_empty() {
        if !shown.iter().any(|shown| pinned.contains(shown)) {
            return Err(Failure::new(Exit::Unproven, sighting.unconfirmed()));
        }
        if *addr == ssh.addr {
            let trouble = words::shows_what_is_pinned(name.as_str(), &pinned);
            return Err(Failure::new(Exit::Conflict, trouble));
        }
        return Ok(ssh.host_key.clone());
    }
    for print in prints {
        match host_keys.iter().find(|seen| seen.fingerprint == print) {
            Some(seen) => keys.push(seen.openssh.clone()),
            None => return Err(Failure::new(Exit::Unproven, sighting.otherwise(print))),
        }
    }
    Ok(HostKeyPin::Keys { keys })
}

/// The command that pins one of the keys that a server shows: the one that its console is asked for first.
fn pinning(
    (name, ssh, addr): (&TargetName, &SshEndpoint, &HostPort),
    host_keys: &[HostKeySeen],
) -> String {
    let moved: Vec<String> = (*addr != ssh.addr)
        .then(|| addr.to_string())
        .into_iter()
        .collect();
    let best = host_keys.iter().find(|seen| kind(seen) == "ssh-ed25519");
    let print = best.or(host_keys.first()).map(|seen| &seen.fingerprint);
    let print = print.map(|print| harmless::line(print)).unwrap_or_default();
    words::pinning(name.as_str(), &moved, ("--host-key", &print))
}

fn kind(seen: &HostKeySeen) -> &str {
    seen.openssh.split(' ').next().unwrap_or_default()
}

fn named(seen: &HostKeySeen) -> String {
    harmless::line(&format!("{} {}", kind(seen), seen.fingerprint))
}

/// The hosts of a database, and what each is to be known by.
async fn hosts(
    context: &Context,
    (name, postgres): (&TargetName, &PostgresEndpoint),
    args: &SetArgs,
) -> Result<Vec<PostgresHost>, Failure> {
    let known = postgres.hosts();
    let addrs: Vec<HostPort> = if args.addr.is_empty() {
        known.iter().map(|host| host.addr.clone()).collect()
    } else {
        args.addr.clone()
    };
    if let Some(path) = &args.server_ca {
        let pem = authorities(path)?;
        let by_ca = |addr: &HostPort| PostgresHost {
            addr: addr.clone(),
            server: ServerPin::Authority {
                pem: pem.clone(),
                host: args.server_name.as_ref().unwrap_or(&addr.host).clone(),
            },
        };
        return Ok(addrs.iter().map(by_ca).collect());
    }
    let given = args.server_cert_sha256.iter();
    let given: Vec<&String> = given.filter(|hex| !hex.is_empty()).collect();
    if given.is_empty() {
        return met(context, (name, postgres, &addrs), args).await;
    }
    if given.len() != addrs.len() {
        let trouble = words::one_each(name.as_str(), addrs.len(), given.len());
        return Err(Failure::new(Exit::Usage, trouble));
    }
    let each = addrs.into_iter().zip(given);
    let each = each.map(|(addr, hex)| PostgresHost {
        addr,
        server: certificate(hex),
    });
    Ok(each.collect())
}

fn certificate(hex: &str) -> ServerPin {
    ServerPin::Certificate {
        sha256: hex.to_ascii_lowercase(),
    }
}

/// The hosts at these addresses, where nobody has named their certificates: those that are known stay so, and a new one
/// is one of them if it shows what one of them is known by.
async fn met(
    context: &Context,
    (name, postgres, addrs): (&TargetName, &PostgresEndpoint, &[HostPort]),
    args: &SetArgs,
) -> Result<Vec<PostgresHost>, Failure> {
    let looks = !args.server_cert_sha256.is_empty();
    let known = postgres.hosts();
    let (mut hosts, mut shown, mut is_confirmed) = (Vec::new(), Vec::new(), true);
    for addr in addrs {
        let before = known.iter().find(|host| host.addr == *addr);
        let server = match (before, looks) {
            (Some(host), false) => host.server.clone(),
            (before, _) => {
                let pins: Vec<&PostgresHost> =
                    before.map_or_else(|| known.iter().collect(), |host| vec![host]);
                let by_ca = pins.first().map(|host| &host.server);
                if let (Some(ServerPin::Authority { pem, .. }), false) = (by_ca, looks) {
                    let (pem, host) = (pem.clone(), addr.host.clone());
                    ServerPin::Authority { pem, host }
                } else {
                    let seen = seen(context, addr, postgres).await?;
                    is_confirmed &= pins.iter().any(|host| host.server == seen);
                    seen
                }
            }
        };
        let line = format!("{addr} {}", known_by_server(&server));
        shown.push(harmless::line(&line));
        let addr = addr.clone();
        hosts.push(PostgresHost { addr, server });
    }
    if is_confirmed {
        return if looks && hosts == known {
            let trouble = words::shows_what_is_pinned(name.as_str(), &shown);
            Err(Failure::new(Exit::Conflict, trouble))
        } else {
            Ok(hosts)
        };
    }
    let pinned = known
        .iter()
        .map(|host| format!("{} {}", host.addr, known_by_server(&host.server)));
    let sighting = Sighting {
        name: name.as_str(),
        protocol: Protocol::Postgres,
        pinned: &pinned.collect::<Vec<_>>(),
        shown: &shown,
        command: &command(name, args, &hosts),
    };
    Err(Failure::new(Exit::Unproven, sighting.unconfirmed()))
}

/// What pins the certificates of these hosts.
fn command(name: &TargetName, args: &SetArgs, hosts: &[PostgresHost]) -> String {
    let addrs: Vec<String> = args.addr.iter().map(ToString::to_string).collect();
    let prints = hosts.iter().map(|host| match &host.server {
        ServerPin::Certificate { sha256 } => harmless::line(sha256),
        ServerPin::Authority { .. } => "HEX".to_owned(),
    });
    let prints = prints.collect::<Vec<_>>().join(",");
    words::pinning(name.as_str(), &addrs, ("--server-cert-sha256", &prints))
}

/// The certificate that a host shows to the bastion.
async fn seen(
    context: &Context,
    addr: &HostPort,
    postgres: &PostgresEndpoint,
) -> Result<ServerPin, Failure> {
    let how = (postgres.jump.as_ref(), Algorithms::Modern);
    match probe(context, Protocol::Postgres, addr, how).await? {
        Probed::Postgres { sha256, .. } => Ok(certificate(&sha256)),
        Probed::Ssh { .. } => Err(odd_probe()),
    }
}
