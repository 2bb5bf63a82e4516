//! A target as a row of a list: what it is, how its viewer stands to it, and what keeps everybody out.

use control::api::wire::{AccessState, LockedView, StandingView, TargetView};
use jiff::SignedDuration;
use policies::words::{cli, target as words, transit};
use policies::{Endpoint, HostPort, Jump, TargetName};

use crate::cli::printer::Row;
use crate::cli::when;

impl Row for TargetView {
    const COLUMNS: (&'static [&'static str], usize) = (
        &[
            "TARGET", "PROTOCOL", "LABELS", "LOGINS", "ACCESS", "ENDS", "OWNERS", "ADDRESS",
            "PINNED", "LOCKED",
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
            AccessState::Granted => words::granted_as(access.login.as_str()),
            AccessState::Pending => words::pending_as(access.login.as_str()),
            AccessState::Ask => askable(self),
        };
        let (address, pinned) = self.endpoint.as_ref().map(place).unwrap_or_default();
        vec![
            self.name.to_string(),
            self.protocol.as_str().to_owned(),
            joined(labels.collect()),
            standing(
                (self.standing.as_ref(), self.bastion),
                joined(match &self.logins {
                    Some(logins) => logins.iter().map(ToString::to_string).collect(),
                    None => self
                        .access
                        .iter()
                        .map(|access| access.login.to_string())
                        .collect(),
                }),
            ),
            match (&self.locked, best.map(state)) {
                (None, how) => how.unwrap_or_default(),
                (Some(_), how) => words::kept_out(how.as_deref()),
            },
            best.and_then(|access| access.until)
                .map(when::stamp)
                .unwrap_or_default(),
            self.owners
                .as_ref()
                .map(ToString::to_string)
                .unwrap_or_default(),
            address,
            pinned,
            self.locked
                .as_ref()
                .map(|lock| locked(&self.name, lock))
                .unwrap_or_default(),
        ]
    }
}

/// That one may ask, and for how long.
fn askable(target: &TargetView) -> String {
    let open = target.access.iter();
    let open = open.filter(|access| access.state == AccessState::Ask);
    let each = open.map(|access| {
        let longest = access.longest_seconds.map(SignedDuration::from_secs);
        (access.login.as_str(), longest)
    });
    words::askable(&each.collect::<Vec<_>>())
}

/// Logins, with a mark where what opens them does not end by itself.
fn standing(how: (Option<&StandingView>, bool), logins: String) -> String {
    match how {
        (_, true) => transit::marked(&logins),
        (Some(_), false) => words::standing(&logins),
        (None, false) => logins,
    }
}

/// By whom, since when and why, and what, where that is another one.
fn locked(name: &TargetName, lock: &LockedView) -> String {
    let said = cli::doctor::locked((&lock.by, &lock.reason, lock.at));
    if lock.target == *name {
        said
    } else {
        words::locked_in_front(lock.target.as_str(), &said)
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
            let address = reached(ssh.addr.to_string(), ssh.jump.as_ref());
            (address, words::known_by_host(&ssh.host_key))
        }
        Endpoint::Postgres(postgres) => {
            let hosts = postgres.hosts();
            let pinned = hosts.iter();
            let pinned = pinned.map(|host| words::known_by_server(&host.server));
            let pinned: Vec<String> = pinned.collect();
            let addrs: Vec<HostPort> = hosts.iter().map(|host| host.addr.clone()).collect();
            let addrs = words::hosts(&addrs, postgres.session);
            let address = format!("{addrs}/{}", postgres.dbname);
            let address = reached(address, postgres.jump.as_ref());
            (address, pinned.join(", "))
        }
    }
}

/// An address, with what stands in front of it.
fn reached(addr: String, jump: Option<&Jump>) -> String {
    match jump {
        Some(jump) => words::reached_through(&addr, jump),
        None => addr,
    }
}
