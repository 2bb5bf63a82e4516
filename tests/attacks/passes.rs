//! What opens a target for one session, in the hands of somebody else: used at the target itself, behind tidegate's
//! back, after its end, from elsewhere, as another account.
//!
//! tidegate hands these keys to nobody and forgets them with the session, so here the world's own authority makes
//! some: by the code that makes those of sessions, from a permit that the shipped policies give.

use std::collections::{BTreeMap, BTreeSet};
use std::fs;
use std::net::{IpAddr, Ipv4Addr, SocketAddr};
use std::sync::Arc;
use std::time::Duration;

use ca::{
    Authority, Intent, Journal, JournalError, Outcome, Pass, PassKey, PassOrder, Passphrase, Serial,
};
use control::entropy;
use jiff::Timestamp;
use jiff::tz::TimeZone;
use policies::{
    Algorithms, Ask, Credential, Endpoint, Entry, Facts, Grant, GrantId, HostKeyPin, HostPort,
    Login, Permit, PolicySet, PostgresEndpoint, Principal, PrincipalKind, PrincipalName, Protocol,
    RequestId, ServerPin, SessionAttrs, SessionId, SshEndpoint, Target, decide, library,
};
use russh::client;
use tests::World;
use tests::ssh::{Trusting, config};
use tokio::net::TcpSocket;
use tokio::runtime::Runtime;

/// Keeps no journal.
struct Nowhere;

impl Journal for Nowhere {
    async fn intend(&self, _: &Intent) -> Result<(), JournalError> {
        Ok(())
    }

    async fn conclude(&self, _: &Serial, _: &Outcome) -> Result<(), JournalError> {
        Ok(())
    }
}

/// Where tidegate and the targets are.
const HERE: IpAddr = IpAddr::V4(Ipv4Addr::LOCALHOST);

/// Another address of this machine.
const ELSEWHERE: IpAddr = IpAddr::V4(Ipv4Addr::new(127, 0, 0, 2));

/// A session whose pass was made so long ago, of a grant that ends so long after that.
#[derive(Clone, Copy)]
struct Made {
    ago: Duration,
    lasts: Duration,
    /// The address from which it is to be used.
    from: IpAddr,
}

/// One that was just made.
const FRESH: Made = Made {
    ago: Duration::ZERO,
    lasts: Duration::from_secs(600),
    from: HERE,
};

/// What opens this target as this account.
fn pass(world: &World, place: (Endpoint, &str), made: Made) -> Pass {
    let passphrase = fs::read_to_string(world.config_dir().join("passphrase"));
    let passphrase = Passphrase::parse(&passphrase.expect("it is there")).expect("it is one");
    let authority = Authority::open(&world.state_dir().join("authority"), &passphrase);
    let authority = authority.expect("the authority opens");
    let now = Timestamp::now().checked_sub(made.ago).expect("a time");
    let permit = permit(place, now, made.lasts);
    let order = PassOrder {
        session: SessionId::new(now, [1; 10]),
        now,
        source_address: Some(made.from),
        rng: &mut entropy::rng(),
    };
    let runtime = Runtime::new().expect("a runtime");
    let made = runtime.block_on(authority.issue_pass(permit, order, &Nowhere));
    made.expect("it is made")
}

/// Alice's permit to go there as this account, at this time, by a grant that lasts so long.
fn permit((endpoint, login): (Endpoint, &str), now: Timestamp, lasts: Duration) -> Permit {
    let alice: PrincipalName = "alice".parse().expect("a name");
    let login: Login = login.parse().expect("an account");
    let protocol = match endpoint {
        Endpoint::Ssh(_) => Protocol::Ssh,
        Endpoint::Postgres(_) => Protocol::Postgres,
    };
    let target = Target {
        name: "there".parse().expect("a name"),
        endpoint,
        logins: [login.clone()].into(),
        labels: BTreeMap::new(),
        owners: None,
        added_at: now,
        namesakes: BTreeSet::new(),
    };
    let grant = Grant {
        id: GrantId::new(now, [1; 10]),
        request: RequestId::new(now, [1; 10]),
        principal: alice.clone(),
        target: target.name.clone(),
        login: login.clone(),
        starts_at: now,
        expires_at: now.checked_add(lasts).expect("a time"),
        ended: None,
    };
    let principal = Principal {
        name: alice.clone(),
        kind: PrincipalKind::Person,
        groups: BTreeSet::new(),
        keys: Vec::new(),
        added_at: now,
    };
    let ask = Ask {
        principal: alice.clone(),
        credential: Credential::Key {
            fingerprint: "SHA256:test".to_owned(),
        },
        source: HERE,
        target: target.name.clone(),
        login,
        database: None,
        protocol,
    };
    let mut facts = Facts::default();
    facts.principals.insert(alice, Arc::new(principal));
    facts.targets.insert(target.name.clone(), Arc::new(target));
    facts.grants.insert(grant.id, Arc::new(grant));
    let shipped = library();
    let policies = PolicySet::load(&shipped.policies, Some(&shipped.quorums), TimeZone::UTC);
    let permit = decide(&policies.expect("they are good"), &facts, &ask, now);
    permit.expect("it is permitted")
}

/// Whether the world's host lets somebody in who comes from there as this account.
fn host_opens(world: &World, made: Made, (from, account): (IpAddr, &str)) -> bool {
    let endpoint = Endpoint::Ssh(SshEndpoint {
        addr: HostPort {
            host: HERE.to_string(),
            port: world.sshd().port(),
        },
        host_key: HostKeyPin::Keys {
            keys: vec![world.sshd().host_key().to_owned()],
        },
        jump: None,
        entry: Entry::Certificate,
        algorithms: Algorithms::Modern,
        keeper: None,
    });
    let pass = pass(world, (endpoint, &world.login()), made);
    let shown = match pass.key {
        PassKey::Ssh { key, certificate } => Some((key, certificate)),
        PassKey::Postgres { .. }
        | PassKey::StandingKey { .. }
        | PassKey::Password { .. }
        | PassKey::Own => None,
    };
    let (key, certificate) = shown.expect("it is for a host");
    let entering = async {
        let socket = TcpSocket::new_v4().expect("a socket");
        let from = SocketAddr::from((from, 0));
        socket.bind(from).expect("an address of this machine");
        let stream = socket
            .connect(world.sshd().addr())
            .await
            .expect("it listens");
        let mut handle = client::connect_stream(config(), stream, Trusting)
            .await
            .expect("keys are agreed on");
        let entered = handle
            .authenticate_certificate_with(account, certificate, None, &mut &key)
            .await;
        entered.expect("an answer").success()
    };
    Runtime::new().expect("a runtime").block_on(entering)
}

/// Whether the world's database lets somebody in as this role.
fn database_opens(world: &World, made: Made, role: &str) -> bool {
    let database = world.postgres();
    let endpoint = Endpoint::Postgres(PostgresEndpoint {
        addr: HostPort {
            host: HERE.to_string(),
            port: database.port(),
        },
        dbname: "orders".to_owned(),
        server: ServerPin::Certificate {
            sha256: "0".repeat(64),
        },
        others: Vec::new(),
        session: SessionAttrs::default(),
        entry: Entry::Certificate,
        admin: None,
        privileges: BTreeMap::new(),
        elevations: BTreeMap::new(),
        jump: None,
    });
    let pass = pass(world, (endpoint, proxy::demo::ROLE), made);
    let shown = match pass.key {
        PassKey::Postgres { chain_der, key_der } => Some((chain_der, key_der)),
        PassKey::Ssh { .. }
        | PassKey::StandingKey { .. }
        | PassKey::Password { .. }
        | PassKey::Own => None,
    };
    let (chain_der, key_der) = shown.expect("it is for a database");
    let dir = world.dir().join("pass");
    fs::create_dir_all(&dir).expect("a directory");
    let at = dir.display();
    fs::write(
        dir.join("crt.der"),
        chain_der.first().expect("a certificate"),
    )
    .expect("it is written");
    fs::write(dir.join("key.der"), &key_der).expect("it is written");
    let line = format!(
        "cd '{at}' && openssl x509 -inform der -in crt.der -out crt.pem && \
         openssl pkey -inform der -in key.der -out key.pem && chmod 600 key.pem && \
         psql -X -At 'host=127.0.0.1 port={} dbname=orders user={role} sslmode=require \
         sslcert=crt.pem sslkey=key.pem sslrootcert={}' -c \"select 'in'\"",
        database.port(),
        database.certificate_path().display()
    );
    let ran = world.alice().output(&["sh", "-c", &line]).expect("sh runs");
    let said = proxy::demo::said(&ran);
    assert_eq!(ran.status.success(), ran.stdout == b"in\n", "{said}");
    assert!(
        ran.status.success() || said.contains("FATAL") || said.contains("alert"),
        "{said}"
    );
    ran.status.success()
}

/// One that was made before its grant ended, a moment ago.
fn of_a_grant_that_is_over() -> Made {
    Made {
        ago: Duration::from_secs(30),
        lasts: Duration::from_secs(28),
        ..FRESH
    }
}

/// One whose grant goes on, that was to open one connection five minutes ago.
fn old() -> Made {
    Made {
        ago: Duration::from_secs(302),
        ..FRESH
    }
}

#[test]
fn what_opens_a_host_for_a_session_opens_it_from_there_in_time_as_that_account_alone() {
    let world = World::new();
    let login = world.login();
    let as_itself = (HERE, login.as_str());
    assert!(
        host_opens(&world, FRESH, as_itself),
        "this is what it is for"
    );
    assert!(!host_opens(&world, of_a_grant_that_is_over(), as_itself));
    assert!(!host_opens(&world, old(), as_itself));
    assert!(!host_opens(&world, FRESH, (ELSEWHERE, &login)));
    let elsewhere = Made {
        from: ELSEWHERE,
        ..FRESH
    };
    assert!(!host_opens(&world, elsewhere, as_itself));
    assert!(host_opens(&world, elsewhere, (ELSEWHERE, &login)));
    for account in ["nobody", "daemon", "alice"] {
        assert!(!host_opens(&world, FRESH, (HERE, account)), "{account}");
    }
}

#[test]
fn what_opens_a_database_for_a_session_opens_it_in_time_as_that_role_alone() {
    let world = World::new();
    world.sql("create role other login");
    let role = proxy::demo::ROLE;
    assert!(
        database_opens(&world, FRESH, role),
        "this is what it is for"
    );
    assert!(!database_opens(&world, of_a_grant_that_is_over(), role));
    assert!(!database_opens(&world, old(), role));
    for role in ["other", "postgres"] {
        assert!(!database_opens(&world, FRESH, role), "{role}");
    }
}
