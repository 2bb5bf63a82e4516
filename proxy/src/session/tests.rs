//! The order of a session, where it is held up at what the bastion does by itself.

use std::collections::{BTreeMap, BTreeSet};
use std::net::{IpAddr, Ipv4Addr};
use std::sync::Mutex;
use std::sync::atomic::{AtomicUsize, Ordering};

use ca::{Authority, Pass, Passphrase};
use control::bootstrap::bootstrap;
use control::broker::Petition;
use control::change::{PolicyText, PolicyTexts};
use control::store::{Backend, MemoryStore};
use control::{Broker, Caller, Clock, Settings, entropy};
use policies::{
    Ask, Credential, Endpoint, GroupName, HostKeyPin, HostPort, Login, Principal, PrincipalKind,
    PrincipalName, Reason, RegisteredKey, SshEndpoint, Target, TargetName,
};
use recorder::{Limits, Recorder, Seal};
use tempfile::TempDir;
use tokio::io::{AsyncReadExt as _, duplex};
use tokio::net::TcpListener;
use tokio::runtime::Handle;

use super::incoming::Newcomer;
use super::protocol::{Closed, ConnectError, Halted};
use super::severable::Severable;
use super::way::Dialled;
use super::*;

struct NoSeal;

impl Seal for NoSeal {
    fn sign(&self, _message: &[u8]) -> Vec<u8> {
        vec![0; 64]
    }

    fn key(&self) -> [u8; 32] {
        [0; 32]
    }
}

/// What was said to the client, and how often a target was logged in at.
#[derive(Clone, Default)]
struct Seen {
    said: Arc<Mutex<Vec<&'static str>>>,
    logins: Arc<AtomicUsize>,
}

/// Lets alice in as she asks, and says what became of her.
struct Scripted {
    ask: Ask,
    seen: Seen,
}

struct Ear(Seen);

impl Front for Ear {
    async fn refuse(&mut self, words: &Words) {
        self.0.said.lock().unwrap().push(words.code);
    }

    async fn farewell(&mut self, words: &Words) {
        self.0.said.lock().unwrap().push(words.code);
    }

    async fn leave(&mut self) {}
}

struct Nothing;

impl Halt for Nothing {
    fn is_needed(&self) -> bool {
        false
    }

    async fn halt<F: Future<Output = Option<Pass>> + Send + 'static>(
        self,
        _pass: impl Fn() -> F + Send + Sync + 'static,
    ) -> Halted {
        Halted::Confirmed
    }
}

impl Protocol for Scripted {
    type Front = Ear;
    type Back = ();
    type Halt = Nothing;

    async fn greet(&self, _io: Severable, _newcomer: Newcomer) -> Result<Identified<Ear>, Refused> {
        Ok(Identified {
            ask: self.ask.clone(),
            front: Ear(self.seen.clone()),
        })
    }

    async fn connect(
        &self,
        _front: &mut Ear,
        _dialled: Dialled,
        _pass: Pass,
        _scope: &Scope,
    ) -> Result<Connected<Self>, ConnectError> {
        self.seen.logins.fetch_add(1, Ordering::SeqCst);
        Ok(Connected {
            back: (),
            halt: Nothing,
        })
    }

    async fn relay(&self, _front: &mut Ear, (): (), _scope: &Scope) -> Closed {
        Closed::Complete
    }
}

fn name(text: &str) -> PrincipalName {
    PrincipalName::parse(text).unwrap()
}

fn person(called: &str, group: &str, clock: &Clock) -> Principal {
    let (line, fingerprint) = (format!("ssh-ed25519 {called}"), format!("SHA256:{called}"));
    Principal {
        name: name(called),
        kind: PrincipalKind::Person,
        groups: BTreeSet::from([GroupName::parse(group).unwrap()]),
        keys: vec![RegisteredKey::new(line, fingerprint)],
        added_at: clock.now(),
    }
}

fn caller(called: &str) -> Caller {
    Caller {
        principal: name(called),
        source: IpAddr::V4(Ipv4Addr::LOCALHOST),
    }
}

/// The policies that ship.
fn library() -> PolicyTexts {
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

/// A bastion in memory, with a target that alice may ask for and get.
struct House {
    _dir: TempDir,
    store: MemoryStore,
    broker: Broker,
    bastion: Bastion,
}

impl House {
    async fn new(target: HostPort) -> Self {
        let (dir, clock) = (tempfile::tempdir().unwrap(), Clock::system());
        let store = MemoryStore::default();
        let backend = Backend::Memory(store.clone());
        let root = person("root", "admins", &clock);
        bootstrap(&backend, root, library(), &clock).await.unwrap();
        let broker = Broker::start(backend, clock.clone(), Settings::default());
        let (broker, root) = (broker.await.unwrap(), caller("root"));
        let alice = person("alice", "sre", &clock);
        broker.add_principal(&root, alice).await.unwrap();
        let keys = vec!["ssh-ed25519 AAAA".to_owned()];
        let target = Target {
            name: TargetName::parse("sand").unwrap(),
            endpoint: Endpoint::Ssh(SshEndpoint::new(target, HostKeyPin::Keys { keys })),
            logins: [Login::parse("deploy").unwrap()].into(),
            labels: BTreeMap::from([("env".to_owned(), "sandbox".to_owned())]),
            owners: None,
            added_at: clock.now(),
            namesakes: BTreeSet::new(),
        };
        broker.add_target(&root, target).await.unwrap();
        let mut rng = entropy::rng();
        let passphrase = Passphrase::generate(&mut rng);
        let keys = dir.path().join("authority");
        let authority = Authority::create(&keys, &passphrase, clock.now(), &mut rng).unwrap();
        let limits = Limits {
            reserve_bytes: 0,
            ..Limits::default()
        };
        let recordings = dir.path().join("recordings");
        std::fs::create_dir_all(&recordings).unwrap();
        let recorder = Recorder::open_dir(&recordings, limits, Arc::new(NoSeal)).unwrap();
        let parts = (broker.clone(), authority, recorder);
        let bastion = Bastion::new(parts.0, parts.1, parts.2, Vec::new(), Handle::current());
        Self {
            _dir: dir,
            store,
            broker,
            bastion,
        }
    }

    /// A session of alice's, whose grant is revoked while its certificate is about to be signed, or is not. How many
    /// bytes came to the target, how often it was logged in at, and what alice heard.
    async fn session(&self, listener: &TcpListener, revoked: bool) -> (usize, usize, Vec<&str>) {
        let petition = Petition {
            target: TargetName::parse("sand").unwrap(),
            login: Login::parse("deploy").unwrap(),
            duration: SignedDuration::from_mins(10),
            reason: Reason::parse("INC-7").unwrap(),
        };
        let asked = self.broker.request(&caller("alice"), petition).await;
        let grant = asked.unwrap().grant.unwrap().id;
        let seen = Seen::default();
        let protocol = Scripted {
            ask: Ask {
                principal: name("alice"),
                credential: Credential::Key {
                    fingerprint: "SHA256:alice".to_owned(),
                },
                source: IpAddr::V4(Ipv4Addr::LOCALHOST),
                target: TargetName::parse("sand").unwrap(),
                login: Login::parse("deploy").unwrap(),
                database: None,
                protocol: policies::Protocol::Ssh,
            },
            seen: seen.clone(),
        };
        let (near, _far) = duplex(64);
        let from = "127.0.0.1:7".parse().unwrap();
        let client = Incoming::carried(near, from, None);
        self.store.hold_signing(true);
        let meddling = async {
            self.store.is_signing().await;
            assert_eq!(seen.logins.load(Ordering::SeqCst), 0);
            if revoked {
                let why = Reason::parse("enough").unwrap();
                let root = caller("root");
                self.broker.revoke(&root, grant, why).await.unwrap();
            }
            self.store.hold_signing(false);
        };
        let running = run(&protocol, client, &self.bastion);
        let target = async {
            let (mut stream, _from) = listener.accept().await.unwrap();
            let mut came = Vec::new();
            // It is gone, whether in order or not.
            let _end = stream.read_to_end(&mut came).await;
            came.len()
        };
        let (ran, (), came) = tokio::join!(running, meddling, target);
        ran.unwrap();
        let said = seen.said.lock().unwrap().clone();
        (came, seen.logins.load(Ordering::SeqCst), said)
    }
}

/// A grant that is revoked while the certificate for its session is signed: nobody logs in with that.
#[tokio::test]
async fn a_session_of_a_grant_that_is_revoked_while_its_certificate_is_signed_does_not_open() {
    let listener = TcpListener::bind(("127.0.0.1", 0)).await.unwrap();
    let at = listener.local_addr().unwrap().to_string();
    let house = House::new(at.parse().unwrap()).await;
    let opened = house.session(&listener, false).await;
    assert_eq!(opened, (0, 1, vec![]), "nobody revokes anything");
    let other = TcpListener::bind(("127.0.0.1", 0)).await.unwrap();
    let at = other.local_addr().unwrap().to_string();
    let house = House::new(at.parse().unwrap()).await;
    let revoked = house.session(&other, true).await;
    assert_eq!(revoked, (0, 0, vec!["TG201"]));
}
