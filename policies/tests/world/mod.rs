//! A small company to decide about: five people, a machine, three targets.

#![expect(
    clippy::unwrap_used,
    reason = "a world that cannot be built fails the test"
)]
#![expect(dead_code, reason = "each test binary uses its part of the world")]

use std::net::{IpAddr, Ipv4Addr};
use std::sync::Arc;

use jiff::tz::TimeZone;
use jiff::{SignedDuration, Timestamp};
use policies::{
    Algorithms, Approval, Ask, Credential, Document, Endpoint, Entry, Facts, Filing, Grant,
    GrantId, GroupName, HostKeyPin, Lock, LockId, LockScope, Login, PolicySet, PostgresEndpoint,
    Principal, PrincipalKind, PrincipalName, Protocol, Reason, RegisteredKey, Request, RequestId,
    ServerPin, SshEndpoint, Target, TargetName, library,
};

/// 2026-03-02 14:30 UTC, a Monday.
pub(crate) fn noon() -> Timestamp {
    "2026-03-02T14:30:00Z".parse().unwrap()
}

/// So many minutes after noon; before it, if negative.
pub(crate) fn after(count: i64) -> Timestamp {
    noon().checked_add(minutes(count)).unwrap()
}

pub(crate) fn minutes(count: i64) -> SignedDuration {
    SignedDuration::from_mins(count)
}

pub(crate) fn name(text: &str) -> PrincipalName {
    PrincipalName::parse(text).unwrap()
}

pub(crate) fn target_name(text: &str) -> TargetName {
    TargetName::parse(text).unwrap()
}

pub(crate) fn login(text: &str) -> Login {
    Login::parse(text).unwrap()
}

pub(crate) fn group(text: &str) -> GroupName {
    GroupName::parse(text).unwrap()
}

pub(crate) fn reason(text: &str) -> Reason {
    Reason::parse(text).unwrap()
}

pub(crate) fn here() -> IpAddr {
    IpAddr::V4(Ipv4Addr::LOCALHOST)
}

/// The shipped policies.
pub(crate) fn shipped() -> PolicySet {
    let library = library();
    PolicySet::load(&library.policies, Some(&library.quorums), TimeZone::UTC).unwrap()
}

/// The shipped policies and one more document.
pub(crate) fn shipped_and(text: &str) -> PolicySet {
    let library = library();
    let mut documents = library.policies;
    documents.push(Document::new("more.cedar", text));
    PolicySet::load(&documents, Some(&library.quorums), TimeZone::UTC).unwrap()
}

/// The shipped policies with the examples of forwarding that stand in them as comments.
pub(crate) fn shipped_with_forwarding() -> PolicySet {
    let mut library = library();
    for document in &mut library.policies {
        document.text = uncommented(&document.text, "-through-ssh\")");
    }
    PolicySet::load(&library.policies, Some(&library.quorums), TimeZone::UTC).unwrap()
}

/// A text in which the policies whose `@id` ends like this are no comments any more.
fn uncommented(text: &str, id: &str) -> String {
    let mut inside = false;
    let lines = text.lines().map(|line| {
        let bare = line.strip_prefix("//").map(str::trim_start);
        inside = match bare {
            None | Some("") => false,
            Some(bare) => inside || (bare.starts_with("@id(") && bare.ends_with(id)),
        };
        bare.filter(|_| inside).unwrap_or(line)
    });
    lines.collect::<Vec<_>>().join("\n")
}

pub(crate) fn principal(text: &str, kind: PrincipalKind, groups: &[&str]) -> Principal {
    Principal {
        name: name(text),
        kind,
        groups: groups.iter().map(|group| group.parse().unwrap()).collect(),
        keys: vec![RegisteredKey::new(
            format!("ssh-ed25519 {text}"),
            format!("SHA256:{text}"),
        )],
        added_at: noon(),
    }
}

pub(crate) fn ssh(text: &str, labels: &[(&str, &str)], owners: Option<&str>) -> Target {
    Target {
        name: target_name(text),
        endpoint: Endpoint::Ssh(SshEndpoint {
            addr: format!("{text}.example:22").parse().unwrap(),
            host_key: HostKeyPin::Keys {
                keys: vec!["ssh-ed25519 AAAA".to_owned()],
            },
            jump: None,
            entry: Entry::Certificate,
            algorithms: Algorithms::Modern,
            keeper: None,
        }),
        logins: [login("deploy"), login("root")].into(),
        labels: labels
            .iter()
            .map(|(key, value)| ((*key).to_owned(), (*value).to_owned()))
            .collect(),
        owners: owners.map(|group| group.parse().unwrap()),
        added_at: noon(),
        namesakes: std::collections::BTreeSet::new(),
    }
}

pub(crate) fn postgres(text: &str, labels: &[(&str, &str)], owners: Option<&str>) -> Target {
    Target {
        endpoint: Endpoint::Postgres(PostgresEndpoint::new(
            "db.example:5432".parse().unwrap(),
            text,
            ServerPin::Certificate {
                sha256: "ab".repeat(32),
            },
        )),
        logins: [login("app_ro"), login("app_rw")].into(),
        ..ssh(text, labels, owners)
    }
}

/// alice and erin are sre, dan is dba, bob approves, carol audits, ada administers, oscar owns
/// `orders`, ci is a machine in sre.
pub(crate) fn facts() -> Facts {
    use PrincipalKind::{Machine, Person};
    let people = [
        principal("ada", Person, &["admins"]),
        principal("alice", Person, &["sre"]),
        principal("bob", Person, &["approvers"]),
        principal("carol", Person, &["auditors"]),
        principal("ci", Machine, &["sre"]),
        principal("dan", Person, &["dba"]),
        principal("erin", Person, &["sre", "approvers"]),
        principal("mallory", Person, &[]),
        principal("oscar", Person, &["shop"]),
    ];
    let targets = [
        ssh("web1", &[("env", "prod")], None),
        ssh("play1", &[("env", "sandbox")], None),
        postgres(
            "orders",
            &[("env", "prod"), ("data", "restricted")],
            Some("shop"),
        ),
    ];
    Facts {
        principals: people.map(|one| (one.name.clone(), Arc::new(one))).into(),
        targets: targets.map(|one| (one.name.clone(), Arc::new(one))).into(),
        ..Facts::default()
    }
}

/// The usual facts, and a grant of alice's.
pub(crate) fn granted() -> Facts {
    facts().with_grant(grant(1, "alice", "web1", "deploy"))
}

pub(crate) fn request_id(number: u8) -> RequestId {
    RequestId::new(noon(), [number; 10])
}

pub(crate) fn grant_id(number: u8) -> GrantId {
    GrantId::new(noon(), [number; 10])
}

pub(crate) fn filing(who: &str, target: &str, as_whom: &str, duration: SignedDuration) -> Filing {
    Filing {
        id: request_id(1),
        principal: name(who),
        target: target_name(target),
        login: login(as_whom),
        duration,
        reason: reason("INC-7"),
    }
}

pub(crate) fn request(who: &str, target: &str, as_whom: &str) -> Request {
    Request::file(filing(who, target, as_whom, minutes(60)), noon()).unwrap()
}

pub(crate) fn approval(by: &str, request: &Request) -> Approval {
    Approval {
        by: name(by),
        at: noon(),
        note: None,
        digest: request.digest(),
        source: Some(here()),
        at_most: None,
    }
}

pub(crate) fn grant(number: u8, who: &str, target: &str, as_whom: &str) -> Grant {
    let request = request(who, target, as_whom);
    let agreed = request.duration;
    let (_approved, grant) = request.grant(grant_id(number), agreed, noon()).unwrap();
    grant
}

pub(crate) fn ask(who: &str, target: &str, as_whom: &str, protocol: Protocol) -> Ask {
    Ask {
        principal: name(who),
        credential: Credential::Key {
            fingerprint: format!("SHA256:{who}"),
        },
        source: here(),
        target: target_name(target),
        login: login(as_whom),
        database: None,
        protocol,
    }
}

pub(crate) fn lock(number: u8, scope: LockScope) -> Lock {
    Lock {
        id: LockId::new(noon(), [number; 10]),
        scope,
        by: name("ada"),
        reason: reason("gone"),
        at: noon(),
    }
}

/// Small changes to facts, chained.
pub(crate) trait With {
    fn with_grant(self, grant: Grant) -> Self;
    fn with_request(self, request: Request) -> Self;
    fn with_lock(self, scope: LockScope) -> Self;
    fn with_principal(self, principal: Principal) -> Self;
    fn with_target(self, target: Target) -> Self;
}

impl With for Facts {
    fn with_grant(mut self, grant: Grant) -> Self {
        self.grants.insert(grant.id, Arc::new(grant));
        self
    }

    fn with_request(mut self, request: Request) -> Self {
        self.requests.insert(request.id, Arc::new(request));
        self
    }

    fn with_lock(mut self, scope: LockScope) -> Self {
        let lock = lock(u8::try_from(self.locks.len()).unwrap(), scope);
        self.locks.insert(lock.id, Arc::new(lock));
        self
    }

    fn with_principal(mut self, principal: Principal) -> Self {
        self.principals
            .insert(principal.name.clone(), Arc::new(principal));
        self
    }

    fn with_target(mut self, target: Target) -> Self {
        self.targets.insert(target.name.clone(), Arc::new(target));
        self
    }
}
