//! A small world for the tests: a broker in memory, an authority in a temporary directory, three
//! people, one target.

use std::collections::{BTreeMap, BTreeSet};
use std::path::PathBuf;
use std::sync::Arc;

use axum::Router;
use ca::applicant::Applicant;
use ca::{Authority, LoginOrder, Passphrase};
use jiff::SignedDuration;
use policies::words::api::Unseen;
use policies::words::cli::doctor::Unentered;
use policies::{
    Algorithms, Endpoint, Entry, HostKeyPin, HostPort, Jump, Login, Principal, PrincipalKind,
    PrincipalName, Protocol, SshEndpoint, Target,
};
use recorder::{Limits, Recorder, Seal};
use tokio::io::{AsyncReadExt, AsyncWriteExt, DuplexStream};
use tokio::task::JoinHandle;

use crate::api::wire::{Challenge, RequestView};
use crate::api::{
    Entering, Entrances, Owning, Parts, Peer, PeerCertificate, Probe, Seeing, Showing, Unasking,
    Weighing, router, serve,
};
use crate::bootstrap::bootstrap;
use crate::change::{PolicyText, PolicyTexts};
use crate::identity::registered_key;
use crate::ledger::Happening;
use crate::store::Backend;
use crate::{Broker, Caller, Clock, Settings, entropy};

pub(super) struct World {
    authority: Authority,
    pub(super) broker: Broker,
    pub(super) recorder: Recorder,
    router: Router,
    dir: PathBuf,
    pub(super) alice_key: String,
    pub(super) alice: Applicant,
    /// What was shown on its connections.
    pub(super) showing: Showing,
}

impl Drop for World {
    fn drop(&mut self) {
        drop(std::fs::remove_dir_all(&self.dir));
    }
}

#[derive(Debug)]
pub(super) struct Blind;

impl Probe for Blind {
    fn look<'a>(
        &'a self,
        _protocol: Protocol,
        _addr: &'a HostPort,
        _how: (Option<&'a Jump>, Algorithms),
    ) -> Seeing<'a> {
        Box::pin(async { Err(Unseen::Silent) })
    }

    fn enter<'a>(&'a self, _target: &'a Target, _login: &'a Login) -> Entering<'a> {
        Box::pin(async { Err(Unentered::Down) })
    }

    fn unasked<'a>(&'a self, _target: &'a Target) -> Unasking<'a> {
        Box::pin(async { BTreeSet::new() })
    }

    fn powers<'a>(&'a self, _target: &'a Target) -> Weighing<'a> {
        Box::pin(async { BTreeMap::new() })
    }

    fn own_roles<'a>(&'a self, _target: &'a Target) -> Owning<'a> {
        Box::pin(async { None })
    }
}

struct NoSeal;

impl Seal for NoSeal {
    fn sign(&self, _message: &[u8]) -> Vec<u8> {
        vec![0; 64]
    }

    fn key(&self) -> [u8; 32] {
        [0; 32]
    }
}

pub(super) fn key() -> String {
    Applicant::create().unwrap().ssh_public().unwrap()
}

pub(super) fn principal(name: &str, group: Option<&str>, key: &str, clock: &Clock) -> Principal {
    Principal {
        name: name.parse().unwrap(),
        kind: PrincipalKind::Person,
        groups: group
            .into_iter()
            .map(|group| group.parse().unwrap())
            .collect(),
        keys: vec![registered_key(key).unwrap()],
        added_at: clock.now(),
    }
}

fn shipped() -> PolicyTexts {
    let library = policies::library();
    let text = |document: &policies::Document| PolicyText {
        name: document.name.clone(),
        text: document.text.clone(),
    };
    PolicyTexts {
        documents: library.policies.iter().map(text).collect(),
        quorums: Some(text(&library.quorums)),
        zone: "UTC".to_owned(),
    }
}

impl World {
    pub(super) async fn build() -> Self {
        Self::with(Clock::system(), Settings::default()).await
    }

    /// The same by this clock, with these settings.
    pub(super) async fn with(clock: Clock, settings: Settings) -> Self {
        let how = (Limits::default(), Backend::memory());
        Self::made(clock, settings, how, Arc::new(Blind)).await
    }

    /// The same over this store, in which nothing is yet.
    pub(super) async fn over(store: Backend) -> Self {
        let how = (Limits::default(), store);
        Self::made(Clock::system(), Settings::default(), how, Arc::new(Blind)).await
    }

    /// The same by this clock, with these limits of the recorder and this way of looking at servers.
    pub(super) async fn looking(clock: Clock, limits: Limits, probe: Arc<dyn Probe>) -> Self {
        let how = (limits, Backend::memory());
        Self::made(clock, Settings::default(), how, probe).await
    }

    async fn made(
        clock: Clock,
        settings: Settings,
        (limits, store): (Limits, Backend),
        probe: Arc<dyn Probe>,
    ) -> Self {
        let mark = entropy::bytes::<8>().unwrap();
        let dir = std::env::temp_dir().join(format!("tidegate-api-{:x}", u64::from_ne_bytes(mark)));
        let mut rng = entropy::rng();
        let passphrase = Passphrase::generate(&mut rng);
        let ca_dir = dir.join("authority");
        std::fs::create_dir_all(&dir).unwrap();
        let authority = Authority::create(&ca_dir, &passphrase, clock.now(), &mut rng).unwrap();
        let recordings = dir.join("recordings");
        std::fs::create_dir_all(&recordings).unwrap();
        let recorder = Recorder::open_dir(&recordings, limits, Arc::new(NoSeal)).unwrap();

        let root = principal("root", Some("admins"), &key(), &clock);
        bootstrap(&store, root, shipped(), &clock).await.unwrap();
        let broker = Broker::start(store, clock.clone(), settings).await.unwrap();
        let admin = caller("root");
        let alice = Applicant::create().unwrap();
        let alice_key = alice.ssh_public().unwrap();
        let person = principal("alice", Some("sre"), &alice_key, &clock);
        broker.add_principal(&admin, person).await.unwrap();
        broker
            .add_principal(&admin, principal("mallory", None, &key(), &clock))
            .await
            .unwrap();
        broker.add_target(&admin, web1(&clock)).await.unwrap();

        let router = router(Parts {
            broker: broker.clone(),
            authority: authority.clone(),
            recorder: recorder.clone(),
            probe,
            entrances: Entrances::default(),
        });
        Self {
            authority,
            broker,
            recorder,
            router,
            dir,
            alice_key,
            alice,
            showing: Showing::default(),
        }
    }

    /// Some CA of servers' certificates, in PEM.
    pub(super) fn authority(&self) -> String {
        self.authority.trust_bundle().x509_login_ca
    }

    /// The fingerprint of the login CA.
    pub(super) fn ca(&self) -> String {
        self.authority.trust_bundle().fingerprint()
    }

    /// The DER of a login certificate for somebody.
    pub(super) async fn certificate(&self, name: &str) -> Vec<u8> {
        let applicant = Applicant::create().unwrap();
        let principal: PrincipalName = name.parse().unwrap();
        let everyone = self.broker.principals(&caller("root")).unwrap();
        let mut known = everyone.iter().filter(|one| one.name == principal);
        let by_key = &known.next().unwrap().keys[0].fingerprint;
        let order = LoginOrder {
            principal: &principal,
            by_key,
            ssh_public_key: &applicant.ssh_public().unwrap(),
            csr_pem: &applicant.signing_request().unwrap(),
            lifetime: SignedDuration::from_hours(1),
            now: self.broker.clock().now(),
            rng: &mut entropy::rng(),
        };
        let issued = self
            .authority
            .issue_login(order, self.broker.journal())
            .await
            .unwrap();
        der(&issued.x509_chain_pem)
    }

    /// Files a request as alice and gives its id.
    pub(super) async fn asked_by_alice(&self) -> String {
        let alice = self.certificate("alice").await;
        let order = r#"{"target":"web1","duration_seconds":900,"reason":"INC-7"}"#;
        let (status, body) = self.call(Some(&alice), "POST", "/v1/requests", order).await;
        assert_eq!(status, 200, "{body}");
        serde_json::from_str::<RequestView>(&body)
            .unwrap()
            .id
            .to_string()
    }

    /// Tries to log in with a key and a signature that is none.
    pub(super) async fn login_with(&self, public_key: &str) -> (u16, String) {
        let order = Self::login_order(public_key, &self.challenge(public_key).await);
        self.call(None, "POST", "/v1/login", &order).await
    }

    /// A challenge for this key.
    pub(super) async fn challenge(&self, public_key: &str) -> String {
        let order = serde_json::json!({"public_key": public_key}).to_string();
        let (_status, body) = self.call(None, "POST", "/v1/login/challenge", &order).await;
        let given: Challenge = serde_json::from_str(&body).unwrap();
        given.challenge
    }

    /// A login with a signature that is none.
    pub(super) fn login_order(public_key: &str, challenge: &str) -> String {
        let order = serde_json::json!({
            "public_key": public_key,
            "challenge": challenge,
            "signature": "not a signature",
            "ssh_public_key": key(),
            "csr": "",
        });
        order.to_string()
    }

    /// The failed logins in the ledger.
    pub(super) async fn failed_logins(&self) -> Vec<Happening> {
        let lines = self.broker.audit(&caller("root"), 0, 1_000).await.unwrap();
        let happenings = lines.into_iter().map(|line| line.event.happening);
        happenings
            .filter(|happening| matches!(happening, Happening::Unproven { .. }))
            .collect()
    }

    /// What the ledger says that somebody was refused.
    pub(super) async fn refused(&self, who: &str) -> Vec<(String, String)> {
        let lines = self.broker.audit(&caller("root"), 0, 1_000).await.unwrap();
        let happenings = lines.into_iter().map(|line| line.event.happening);
        let refused = happenings.filter_map(|happening| {
            let Happening::Disallowed {
                principal,
                source,
                deed,
                object,
                ..
            } = happening
            else {
                return None;
            };
            assert!(source.is_loopback());
            (principal.as_str() == who).then_some((deed, object))
        });
        refused.collect()
    }

    /// One request on a connection of its own.
    pub(super) async fn call(
        &self,
        certificate: Option<&[u8]>,
        method: &str,
        path: &str,
        body: &str,
    ) -> (u16, String) {
        let length = body.len();
        let text = format!("{}{body}", head(method, path, length));
        self.exchange(certificate, &text).await
    }

    /// What a stranger gets whose body never comes.
    pub(super) async fn dawdle(&self, path: &str) -> u16 {
        let (status, _body) = self.exchange(None, &head("POST", path, 9)).await;
        status
    }

    /// How many of so many requests one after the other a stranger's connection has answers for.
    pub(super) async fn answers(&self, path: &str, body: &str, times: usize) -> usize {
        let last = head("POST", path, body.len());
        let head = last.replace("connection: close", "accept: */*");
        let (client, server) = tokio::io::duplex(64 * 1024);
        let peer = Peer {
            certificate: None,
            source: [127, 0, 0, 1].into(),
            showing: self.showing.clone(),
        };
        let serving = tokio::spawn(serve(server, self.router.clone(), peer));
        let (mut reader, mut writer) = tokio::io::split(client);
        let write = async {
            let before = format!("{head}{body}").repeat(times.saturating_sub(1));
            let text = format!("{before}{last}{body}");
            drop(writer.write_all(text.as_bytes()).await);
        };
        let mut answer = Vec::new();
        let (_written, read) = tokio::join!(write, reader.read_to_end(&mut answer));
        read.unwrap();
        serving.await.unwrap();
        let answer = String::from_utf8(answer).unwrap();
        answer.matches("HTTP/1.1 ").count()
    }

    /// A connection, and the task that serves it.
    pub(super) fn connect(
        &self,
        certificate: Option<&[u8]>,
        buffer: usize,
    ) -> (DuplexStream, JoinHandle<()>) {
        let (client, server) = tokio::io::duplex(buffer);
        let peer = Peer {
            certificate: certificate.map(|der| PeerCertificate(der.to_vec())),
            source: [127, 0, 0, 1].into(),
            showing: self.showing.clone(),
        };
        let serving = tokio::spawn(serve(server, self.router.clone(), peer));
        (client, serving)
    }

    async fn exchange(&self, certificate: Option<&[u8]>, text: &str) -> (u16, String) {
        let (client, serving) = self.connect(certificate, 64 * 1024);
        let (mut reader, mut writer) = tokio::io::split(client);
        // A server that has said no may close before it has read everything.
        let write = async { drop(writer.write_all(text.as_bytes()).await) };
        let mut answer = Vec::new();
        let (_written, read) = tokio::join!(write, reader.read_to_end(&mut answer));
        read.unwrap();
        serving.await.unwrap();
        let answer = String::from_utf8(answer).unwrap();
        let (head, body) = answer.split_once("\r\n\r\n").unwrap();
        (
            head.split(' ').nth(1).unwrap().parse().unwrap(),
            body.to_owned(),
        )
    }
}

/// The head of a request with a body of so many bytes.
pub(super) fn head(method: &str, path: &str, length: usize) -> String {
    format!(
        "{method} {path} HTTP/1.1\r\nhost: x\r\nconnection: close\r\n\
         content-type: application/json\r\ncontent-length: {length}\r\n\r\n"
    )
}

pub(super) fn caller(name: &str) -> Caller {
    Caller {
        principal: name.parse().unwrap(),
        source: [127, 0, 0, 1].into(),
    }
}

pub(super) fn web1(clock: &Clock) -> Target {
    Target {
        name: "web1".parse().unwrap(),
        endpoint: Endpoint::Ssh(SshEndpoint {
            addr: "192.0.2.7:22".parse().unwrap(),
            host_key: HostKeyPin::Keys { keys: vec![key()] },
            jump: None,
            entry: Entry::Certificate,
            algorithms: Algorithms::Modern,
            keeper: None,
        }),
        logins: BTreeSet::from(["deploy".parse().unwrap()]),
        labels: BTreeMap::new(),
        owners: None,
        added_at: clock.now(),
        namesakes: BTreeSet::new(),
    }
}

/// The DER of the first PEM block.
#[expect(
    clippy::arithmetic_side_effects,
    reason = "digits are below 64 and at most 14 bits are held"
)]
fn der(pem: &str) -> Vec<u8> {
    let body = pem
        .lines()
        .skip(1)
        .take_while(|line| !line.starts_with("-----"));
    let digits = body.flat_map(str::bytes).filter_map(|byte| match byte {
        b'A'..=b'Z' => Some(byte - b'A'),
        b'a'..=b'z' => Some(byte - b'a' + 26),
        b'0'..=b'9' => Some(byte - b'0' + 52),
        b'+' => Some(62),
        b'/' => Some(63),
        _padding => None,
    });
    let mut out = Vec::new();
    let (mut held, mut bits) = (0_u32, 0);
    for digit in digits {
        held = (held << 6) | u32::from(digit);
        bits += 6;
        if bits >= 8 {
            bits -= 8;
            out.push(u8::try_from((held >> bits) & 0xff).unwrap());
            held &= (1 << bits) - 1;
        }
    }
    out
}
