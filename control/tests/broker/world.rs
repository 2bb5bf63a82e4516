//! A broker with a store in memory, a clock that is moved by hand, and a few people.
//!
//! alice asks (sre), bob approves (approvers), carol audits (auditors), root runs it (admins), eve
//! is nobody. `web1` needs an approval, `sand` does not.

use std::collections::{BTreeMap, BTreeSet};
use std::net::{IpAddr, Ipv4Addr};
use std::sync::Arc;
use std::sync::atomic::{AtomicU64, Ordering};
use std::time::Duration;

use control::bootstrap::bootstrap;
use control::broker::{Asking, Petition};
use control::change::{PolicyText, PolicyTexts};
use control::store::{Backend, MemoryStore};
use control::{Admission, Broker, BrokerError, Caller, Clock, Lease, Settings};
use jiff::{SignedDuration, Timestamp};
use policies::{
    Algorithms, Ask, Credential, Denial, Endpoint, Entry, GrantId, GroupName, HostKeyPin, Login,
    Particulars, Place, Principal, PrincipalKind, PrincipalName, Protocol, Reason, RegisteredKey,
    SessionId, SeverReason, SshEndpoint, Target, TargetName,
};
use tracing::span::{Attributes, Id, Record};
use tracing::subscriber::DefaultGuard;
use tracing::{Event, Level, Metadata, Subscriber};

/// Everything a test needs. Fails the test when anything was logged as an error.
pub struct World {
    pub broker: Broker,
    pub clock: Clock,
    pub store: MemoryStore,
    errors: Arc<AtomicU64>,
    _logs: DefaultGuard,
}

impl World {
    pub async fn new() -> Self {
        let (errors, logs) = count_errors();
        let clock = Clock::anchored("2026-01-05T09:00:00Z".parse().unwrap());
        let store = MemoryStore::default();
        let backend = Backend::Memory(store.clone());
        bootstrap(
            &backend,
            principal("root", "admins", &clock),
            library(),
            &clock,
        )
        .await
        .unwrap();
        // As many as a test wants.
        let settings = Settings {
            per_principal: 2_000,
            ..Settings::default()
        };
        let broker = Broker::start(backend, clock.clone(), settings)
            .await
            .unwrap();
        let world = Self {
            broker,
            clock,
            store,
            errors,
            _logs: logs,
        };
        for (name, group) in [
            ("alice", "sre"),
            ("amy", "sre"),
            ("bob", "approvers"),
            ("carol", "auditors"),
        ] {
            let person = principal(name, group, &world.clock);
            world
                .broker
                .add_principal(&caller("root"), person)
                .await
                .unwrap();
        }
        for (name, env) in [("web1", "dev"), ("web2", "dev"), ("sand", "sandbox")] {
            let target = target(name, env, &world.clock);
            world
                .broker
                .add_target(&caller("root"), target)
                .await
                .unwrap();
        }
        world
    }

    /// Says that errors are what this test is about.
    pub fn errors_are_expected(&self) {
        self.errors.store(u64::MAX / 2, Ordering::SeqCst);
    }

    /// A grant for someone on a target, asked for and approved by bob.
    pub async fn granted(&self, who: &str, target: &str, minutes: i64) -> GrantId {
        let asked = self.ask_for(who, target, minutes).await.unwrap();
        if let Some(grant) = asked.grant {
            return grant.id;
        }
        let id = asked.request.id;
        let approved = self
            .broker
            .approve(&caller("bob"), id, None, None)
            .await
            .unwrap();
        approved.grant.unwrap().id
    }

    pub async fn ask_for(
        &self,
        who: &str,
        target: &str,
        minutes: i64,
    ) -> Result<Asking, BrokerError> {
        let petition = Petition {
            target: TargetName::parse(target).unwrap(),
            login: Login::parse("deploy").unwrap(),
            duration: SignedDuration::from_mins(minutes),
            reason: reason("INC-7"),
        };
        self.broker.request(&caller(who), petition).await
    }

    pub async fn admit(&self, who: &str, target: &str) -> Result<Admission, Denial> {
        self.broker.admit(&ask(who, target)).await
    }

    pub async fn revoke(&self, grant: GrantId) {
        self.broker
            .revoke(&caller("bob"), grant, reason("done"))
            .await
            .unwrap();
    }

    /// Root describes a target otherwise. Gives back the sessions that ended.
    pub async fn changed(
        &self,
        name: &str,
        change: impl FnOnce(&mut Particulars),
    ) -> Result<Vec<SessionId>, BrokerError> {
        let name = TargetName::parse(name).unwrap();
        let was = self.broker.target(&name).unwrap().particulars();
        let mut becomes = was.clone();
        change(&mut becomes);
        let (root, change) = (caller("root"), (&was, &becomes));
        self.broker.change_target(&root, &name, change, None).await
    }

    /// Moves the clock on, a quarter of a second at a time, so that every timer gets its turn.
    pub async fn pass(&self, time: Duration) {
        let end = self.clock.instant() + time;
        while self.clock.instant() < end {
            let left = end - self.clock.instant();
            tokio::time::advance(left.min(Duration::from_millis(250))).await;
            settle().await;
        }
    }
}

impl Drop for World {
    fn drop(&mut self) {
        let errors = self.errors.load(Ordering::SeqCst);
        if !std::thread::panicking() {
            assert!(
                errors == 0 || errors >= u64::MAX / 2,
                "{errors} errors were logged"
            );
        }
    }
}

/// Lets every task run that can.
pub async fn settle() {
    for _ in 0..50 {
        tokio::task::yield_now().await;
    }
}

/// Why this lease is over, if it is.
pub async fn over(lease: &mut Lease) -> Option<SeverReason> {
    tokio::select! {
        biased;
        reason = lease.severed() => Some(reason),
        () = settle() => None,
    }
}

pub fn caller(name: &str) -> Caller {
    Caller {
        principal: PrincipalName::parse(name).unwrap(),
        source: source(),
    }
}

pub fn reason(text: &str) -> Reason {
    Reason::parse(text).unwrap()
}

pub fn source() -> IpAddr {
    IpAddr::V4(Ipv4Addr::new(192, 0, 2, 7))
}

pub fn ask(who: &str, target: &str) -> Ask {
    Ask {
        principal: PrincipalName::parse(who).unwrap(),
        credential: Credential::Key {
            fingerprint: format!("SHA256:{who}"),
        },
        source: source(),
        target: TargetName::parse(target).unwrap(),
        login: Login::parse("deploy").unwrap(),
        database: None,
        protocol: Protocol::Ssh,
    }
}

pub fn principal(name: &str, group: &str, clock: &Clock) -> Principal {
    let fingerprint = format!("SHA256:{name}");
    Principal {
        name: PrincipalName::parse(name).unwrap(),
        kind: PrincipalKind::Person,
        groups: BTreeSet::from([GroupName::parse(group).unwrap()]),
        keys: vec![RegisteredKey::new(
            format!("ssh-ed25519 {name}"),
            fingerprint,
        )],
        added_at: clock.now(),
    }
}

/// An SSH server at this address, with this key.
pub fn at_place(addr: &str, key: &str) -> Place {
    Place::Ssh {
        addr: addr.parse().unwrap(),
        host_key: HostKeyPin::Keys {
            keys: vec![format!("ssh-ed25519 {key}")],
        },
    }
}

pub fn target(name: &str, env: &str, clock: &Clock) -> Target {
    let keys = vec!["ssh-ed25519 AAAA".to_owned()];
    let addr = "127.0.0.1:2201".parse().unwrap();
    Target {
        name: TargetName::parse(name).unwrap(),
        endpoint: Endpoint::Ssh(SshEndpoint {
            addr,
            host_key: HostKeyPin::Keys { keys },
            jump: None,
            entry: Entry::Certificate,
            algorithms: Algorithms::Modern,
            keeper: None,
        }),
        logins: BTreeSet::from([Login::parse("deploy").unwrap()]),
        labels: BTreeMap::from([("env".to_owned(), env.to_owned())]),
        owners: None,
        added_at: clock.now(),
        namesakes: BTreeSet::new(),
    }
}

/// The policies that ship.
pub fn library() -> PolicyTexts {
    let library = policies::library();
    let text = |document: policies::Document| PolicyText {
        name: document.name,
        text: document.text,
    };
    PolicyTexts {
        documents: library.policies.into_iter().map(text).collect(),
        quorums: Some(text(library.quorums)),
        zone: "UTC".to_owned(),
    }
}

pub fn seconds(seconds: u64) -> Duration {
    Duration::from_secs(seconds)
}

pub fn at(text: &str) -> Timestamp {
    text.parse().unwrap()
}

struct Errors(Arc<AtomicU64>);

fn count_errors() -> (Arc<AtomicU64>, DefaultGuard) {
    let errors = Arc::new(AtomicU64::new(0));
    let guard = tracing::subscriber::set_default(Errors(Arc::clone(&errors)));
    (errors, guard)
}

impl Subscriber for Errors {
    fn enabled(&self, metadata: &Metadata<'_>) -> bool {
        *metadata.level() == Level::ERROR
    }

    fn new_span(&self, _span: &Attributes<'_>) -> Id {
        Id::from_u64(1)
    }

    fn record(&self, _span: &Id, _values: &Record<'_>) {}

    fn record_follows_from(&self, _span: &Id, _follows: &Id) {}

    fn event(&self, _event: &Event<'_>) {
        self.0.fetch_add(1, Ordering::SeqCst);
    }

    fn enter(&self, _span: &Id) {}

    fn exit(&self, _span: &Id) {}
}
