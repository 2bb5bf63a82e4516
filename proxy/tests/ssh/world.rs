//! A world of one room: the SSH front and back with a real sshd behind them, real clients before
//! them, and a spine that lets everybody in who may. It decides nothing; what decides has tests of
//! its own.

use std::future::Future;
use std::io::Write;
use std::net::{IpAddr, Ipv4Addr, SocketAddr};
use std::path::{Path, PathBuf};
use std::pin::Pin;
use std::process::{Command, Output, Stdio};
use std::sync::atomic::{AtomicU8, Ordering};
use std::sync::{Arc, Mutex};
use std::time::Duration;

use ca::{HostIdentity, Pass, PassKey, Serial, SessionKey};
use control::onetime::Verifier;
use control::{BrokerError, Clock};
use jiff::Timestamp;
use policies::words::Shown;
use policies::words::broker::Conflict;
use policies::words::secret::SecretSaying;
use policies::{
    Algorithms, Ask, Capabilities, Capability, Credential, Deed, Denial, Endpoint, Entry, GrantId,
    HostKeyPin, HostPort, InputRecording, Login, Obligations, PrincipalName, Protocol as Spoken,
    Scrutiny, SecretId, SessionId, SeverReason, SshEndpoint, Target, TargetName, Terms,
};
use proxy::demo::{Signals, Sshd, SshdOptions};
use proxy::session::incoming::{Incoming, Newcomer};
use proxy::session::protocol::{Closed, Front, Identified, Identify, Noting, Protocol, Redeeming};
use proxy::session::scope::{Judge, Reach, Scope};
use proxy::session::severable::Severer;
use proxy::session::way::Dialled;
use proxy::ssh::Ssh;
use proxy::ssh::jump::{Inside, Standing, Within};
use proxy::ssh::transit::Transit;
use recorder::{End, Heading, Limits, Reader, Recorder, Seal, Timeline};
use russh::keys::ssh_key::LineEnding;
use russh::keys::ssh_key::certificate::{Builder, CertType};
use russh::keys::ssh_key::private::Ed25519Keypair;
use russh::keys::{
    Certificate, PrivateKey, PrivateKeyWithHashAlg, PublicKey, PublicKeyOrCertificate,
};
use russh::{Channel, client};
use tokio::net::{TcpListener, TcpStream};
use tokio::sync::{Semaphore, watch};

/// Everything of one test. Ends with it.
pub(crate) struct World {
    pub(crate) dir: PathBuf,
    pub(crate) room: Arc<Room>,
    pub(crate) port: u16,
    pub(crate) runtime: tokio::runtime::Runtime,
    ssh: Arc<Ssh>,
    target_port: u16,
    /// Where the target is a real one.
    _sshd: Option<Sshd>,
}

/// What sessions share.
pub(crate) struct Room {
    keys: Keys,
    target: Arc<Target>,
    recorder: Recorder,
    clock: Clock,
    identify: Arc<People>,
    capabilities: Capabilities,
    cut: watch::Sender<bool>,
    /// How each session ended, in order.
    pub(crate) closed: Mutex<Vec<String>>,
    sessions: AtomicU8,
    /// Who is connected to the bastion itself: all are one person here.
    standing: Arc<Semaphore>,
    session: Mutex<Option<SessionId>>,
    pub(crate) denied: Mutex<Vec<String>>,
}

/// The authorities of the world.
struct Keys {
    targets: PrivateKey,
    people: PrivateKey,
    hosts: PrivateKey,
}

impl Keys {
    fn new() -> Self {
        Self {
            targets: key(1),
            people: key(2),
            hosts: key(3),
        }
    }
}

/// An empty directory for one test.
fn empty(name: &str) -> PathBuf {
    let dir = std::env::temp_dir().join(format!("tidegate-ssh-{name}-{}", std::process::id()));
    drop(std::fs::remove_dir_all(&dir));
    std::fs::create_dir_all(dir.join("sshd")).unwrap();
    dir
}

pub(crate) fn key(seed: u8) -> PrivateKey {
    PrivateKey::from(Ed25519Keypair::from_seed(&[seed; 32]))
}

/// How many connections to the bastion itself there may be.
pub(crate) const STANDING_MAX: usize = 2;

/// The registered key that certificates are said to be got by.
const REGISTERED: &str = "SHA256:d/TNWlT/KVMXSypmI0iYgbDdLFGto+xd61uTyjuiTxk";

/// A certificate that holds for an hour.
fn certify(ca: &PrivateKey, key: &PublicKey, kind: CertType, principals: &[&str]) -> Certificate {
    let now = u64::try_from(Timestamp::now().as_second()).unwrap();
    let subject = key.key_data().clone();
    let key_id = match (kind, principals) {
        (CertType::User, [one, ..]) => format!("login {one} {REGISTERED}"),
        _ => "test".to_owned(),
    };
    let mut builder = Builder::new([7; 32], subject, now - 60, now + 3600).unwrap();
    builder
        .serial(77)
        .unwrap()
        .cert_type(kind)
        .unwrap()
        .key_id(key_id)
        .unwrap();
    for principal in principals {
        builder.valid_principal(*principal).unwrap();
    }
    if kind == CertType::User {
        for extension in [
            "permit-agent-forwarding",
            "permit-port-forwarding",
            "permit-pty",
        ] {
            builder.extension(extension, "").unwrap();
        }
    }
    builder.comment("").unwrap();
    builder.sign(ca).unwrap()
}

struct People {
    registered: String,
}

impl Identify for People {
    fn by_key(&self, openssh: &str) -> Option<(PrincipalName, Credential)> {
        let known = openssh.trim() == self.registered;
        let credential = Credential::Key {
            fingerprint: "SHA256:test".to_owned(),
        };
        known.then(|| (PrincipalName::parse("alice").unwrap(), credential))
    }

    fn admits(&self, principal: &PrincipalName, _: &Credential) -> bool {
        principal.as_str() != "mallory"
    }

    fn verifier(&self, _: SecretId) -> Option<Verifier> {
        None
    }

    fn misproven(&self, _: SecretId, _: IpAddr) -> Noting<'_> {
        Box::pin(std::future::ready(()))
    }

    fn redeem<'a>(
        &'a self,
        _: SecretId,
        _: IpAddr,
        _: (&'a TargetName, &'a Login),
    ) -> Redeeming<'a> {
        let saying = SecretSaying::Wrong;
        Box::pin(async { Err(BrokerError::Conflict(Conflict::Secret(saying))) })
    }

    fn now(&self) -> Timestamp {
        Timestamp::now()
    }
}

/// Refuses one command and one host, so that a refusal can be seen, and what the permit does not name.
struct Judgement;

impl Judge for Judgement {
    fn may(&self, terms: &Terms, deed: &Deed) -> Result<(), Denial> {
        let named = |capability| terms.capabilities.contains(&capability);
        let allowed = match deed {
            Deed::Exec { command } => command != "forbidden",
            Deed::ForwardPort { host, .. } => {
                named(Capability::ForwardPort) && host != "forbidden.example"
            }
            Deed::ReversePort { .. } => named(Capability::ReversePort),
            Deed::ForwardAgent => named(Capability::ForwardAgent),
            Deed::ForwardX11 => named(Capability::ForwardX11),
            Deed::Connect | Deed::OtherDatabase { .. } | Deed::Shell | Deed::Subsystem { .. } => {
                true
            }
            Deed::Statement(_) | Deed::File(_) => false,
        };
        if !allowed {
            return Err(Denial::Forbidden {
                policy: "no-such-thing".to_owned(),
                reason: "not on a test's watch".to_owned(),
            });
        }
        Ok(())
    }

    fn file_scrutiny(&self, _: &Terms) -> Scrutiny {
        Scrutiny::Unread
    }
}

struct NoSeal;

impl Seal for NoSeal {
    fn sign(&self, _: &[u8]) -> Vec<u8> {
        vec![0; 64]
    }

    fn key(&self) -> [u8; 32] {
        [0; 32]
    }
}

impl Inside for Arc2 {
    fn stand(&self, _: &PrincipalName) -> Result<Standing, Denial> {
        match Arc::clone(&self.0.standing).try_acquire_owned() {
            Ok(standing) => Ok(Box::new(standing)),
            Err(_taken) => Err(Denial::Crowded {
                limit: STANDING_MAX,
            }),
        }
    }

    fn host<'a>(
        &'a self,
        within: &'a Within,
    ) -> Pin<Box<dyn Future<Output = Option<HostIdentity>> + Send + 'a>> {
        Box::pin(async move { Some(self.0.host_identity(within.target.as_str())) })
    }

    fn enter(&self, protocol: Ssh, client: Incoming) -> Pin<Box<dyn Future<Output = ()> + Send>> {
        let room = Arc::clone(&self.0);
        Box::pin(async move { Box::pin(room.run(&protocol, client)).await })
    }

    fn leads_through(&self, _: &Ask) -> bool {
        false
    }

    fn go_through(&self, _: Transit, _: Incoming) -> Pin<Box<dyn Future<Output = ()> + Send>> {
        Box::pin(async {})
    }
}

/// Believes every host.
pub(crate) struct Anybody;

impl client::Handler for Anybody {
    type Error = russh::Error;

    async fn check_server_key(&mut self, _: &PublicKeyOrCertificate) -> Result<bool, russh::Error> {
        Ok(true)
    }
}

/// A room that can be handed out.
struct Arc2(Arc<Room>);

impl Room {
    fn host_identity(&self, name: &str) -> HostIdentity {
        let host = key(40);
        let certificate = certify(&self.keys.hosts, host.public_key(), CertType::Host, &[name]);
        let serial = Serial::Ssh(1);
        let expires_at = Timestamp::now() + Duration::from_secs(3600);
        HostIdentity {
            key: Arc::new(host),
            certificate,
            serial,
            expires_at,
        }
    }

    fn terms(&self, login: Login, principal: PrincipalName) -> Terms {
        let now = Timestamp::now();
        Terms {
            principal,
            credential: Credential::Key {
                fingerprint: "SHA256:test".to_owned(),
            },
            source: IpAddr::V4(Ipv4Addr::LOCALHOST),
            target: Arc::clone(&self.target),
            login,
            database: None,
            via: Vec::new(),
            protocol: Spoken::Ssh,
            grant: GrantId::new(now, [1; 10]),
            until: now + Duration::from_secs(900),
            capabilities: self.capabilities.clone(),
            obligations: Obligations {
                input: InputRecording::Counted,
                idle_limit: None,
            },
        }
    }

    /// The spine, without deciding.
    async fn run(&self, ssh: &Ssh, client: Incoming) {
        let (client_side, target_side) = (Severer::default(), Severer::default());
        let (io, newcomer) = client.wrap(&client_side).unwrap();
        let Ok(Identified { ask, mut front }) = ssh.greet(io, newcomer).await else {
            return;
        };
        if ask.target != self.target.name || ask.login.as_str() == "nobody" {
            let denial = Denial::NoGrant {
                target: ask.target,
                login: ask.login,
            };
            self.denied
                .lock()
                .unwrap()
                .push(denial.words().code.to_owned());
            front.refuse(&denial.words()).await;
            client_side.release();
            return;
        }
        let number = self.sessions.fetch_add(1, Ordering::Relaxed);
        let session = SessionId::new(Timestamp::now(), [number; 10]);
        *self.session.lock().unwrap() = Some(session);
        let terms = self.terms(ask.login.clone(), ask.principal);
        let heading = Heading::of(session, &terms, None, self.clock.now());
        let recording = self.recorder.open(&heading).unwrap();
        let pass_key = SessionKey::fresh().unwrap();
        let certificate = certify(
            &self.keys.targets,
            pass_key.public_key(),
            CertType::User,
            &[ask.login.as_str()],
        );
        let pass = Pass {
            terms: terms.clone(),
            session,
            serial: Some(Serial::Ssh(77)),
            expires_at: Timestamp::now() + Duration::from_secs(300),
            key: PassKey::Ssh {
                key: pass_key,
                certificate,
            },
        };
        let scope = Scope::new(
            session,
            terms,
            Arc::new(Judgement),
            (recording, self.clock.clone()),
            Reach::default(),
        );
        let mut cut = self.cut.subscribe();
        let work = async {
            let Endpoint::Ssh(endpoint) = &self.target.endpoint else {
                panic!("an SSH target")
            };
            let stream = TcpStream::connect((endpoint.addr.host.as_str(), endpoint.addr.port));
            let io = target_side.wrap(stream.await.unwrap()).unwrap();
            let connected = ssh
                .connect(
                    &mut front,
                    Dialled {
                        io,
                        host: 0,
                        source: None,
                    },
                    pass,
                    &scope,
                )
                .await?;
            Ok::<Closed, proxy::session::protocol::ConnectError>(
                ssh.relay(&mut front, connected.back, &scope).await,
            )
        };
        let ended = tokio::select! {
            biased;
            _ = cut.wait_for(|cut| *cut) => None,
            done = work => Some(done),
        };
        target_side.sever();
        let said = format!("{ended:?}");
        if let Some(Ok(_)) = ended {
            front.leave().await;
        } else {
            let reason = SeverReason::Killed {
                by: PrincipalName::parse("carol").unwrap(),
                reason: policies::Reason::parse("test").unwrap(),
            };
            let words = reason.words();
            let farewell = front.farewell(&words);
            drop(tokio::time::timeout(Duration::from_millis(300), farewell).await);
        }
        client_side.release();
        let (at, end) = (scope.elapsed(), End::Complete);
        let recording = scope.recording().clone();
        tokio::task::spawn_blocking(move || {
            recording
                .seal(at, Timestamp::now(), &end, &Timeline::default())
                .unwrap()
        })
        .await
        .unwrap();
        self.closed.lock().unwrap().push(said);
    }
}

impl World {
    pub(crate) fn new(name: &str) -> Self {
        Self::with(name, &[])
    }

    /// A world whose permits name more than a shell and commands.
    pub(crate) fn with(name: &str, more: &[Capability]) -> Self {
        let (dir, keys) = (empty(name), Keys::new());
        let user_ca = keys.targets.public_key().to_openssh().unwrap();
        let sshd = Sshd::start(&SshdOptions {
            dir: &dir.join("sshd"),
            user_ca: Some(&user_ca),
            extra: "AcceptEnv GIT_PROTOCOL COLORTERM\n",
            signals: Signals::Shared,
        })
        .unwrap();
        let target = (sshd.port(), sshd.host_key().to_owned());
        Self::before(dir, more, target, Some(sshd))
    }

    /// A world whose target listens at this port of the loopback address, and has this key.
    pub(crate) fn against(name: &str, more: &[Capability], target: (u16, String)) -> Self {
        Self::before(empty(name), more, target, None)
    }

    fn before(
        dir: PathBuf,
        more: &[Capability],
        target: (u16, String),
        sshd: Option<Sshd>,
    ) -> Self {
        let (target_port, host_key) = target;
        let keys = Keys::new();
        write_client(&dir, &keys);
        let runtime = tokio::runtime::Builder::new_multi_thread()
            .enable_all()
            .worker_threads(2)
            .build();
        let runtime = runtime.unwrap();
        let target = Target {
            name: TargetName::parse("web1").unwrap(),
            endpoint: Endpoint::Ssh(SshEndpoint {
                addr: HostPort {
                    host: "127.0.0.1".to_owned(),
                    port: target_port,
                },
                host_key: HostKeyPin::Keys {
                    keys: vec![host_key],
                },
                jump: None,
                entry: Entry::Certificate,
                algorithms: Algorithms::Modern,
                keeper: None,
            }),
            logins: [Login::parse("root").unwrap()].into(),
            labels: std::collections::BTreeMap::new(),
            owners: None,
            added_at: Timestamp::now(),
        };
        let limits = Limits {
            reserve_bytes: 4096,
            stream_max: 1024 * 1024,
            ..Limits::default()
        };
        let recordings = dir.join("recordings");
        std::fs::create_dir_all(&recordings).unwrap();
        let registered = key(31).public_key().to_openssh().unwrap();
        let room = Arc::new(Room {
            target: Arc::new(target),
            recorder: Recorder::open_dir(&recordings, limits, Arc::new(NoSeal)).unwrap(),
            clock: runtime.block_on(async { Clock::system() }),
            identify: Arc::new(People { registered }),
            capabilities: [Capability::Shell, Capability::Exec]
                .into_iter()
                .chain(more.iter().copied())
                .collect(),
            cut: watch::Sender::new(false),
            closed: Mutex::default(),
            denied: Mutex::default(),
            sessions: AtomicU8::new(0),
            standing: Arc::new(Semaphore::new(STANDING_MAX)),
            session: Mutex::default(),
            keys,
        });
        let (port, ssh) = runtime.block_on(open_door(Arc::clone(&room)));
        Self {
            dir,
            room,
            port,
            runtime,
            ssh,
            target_port,
            _sshd: sshd,
        }
    }

    /// `ssh` with everything it needs, up to where it goes.
    pub(crate) fn ssh(&self, user: &str) -> Command {
        let mut ssh = self.client("ssh");
        ssh.arg(format!("{user}@localhost"));
        ssh
    }

    /// A client of the OpenSSH family with its configuration, and nothing on its input.
    pub(crate) fn client(&self, program: &str) -> Command {
        let mut client = Command::new(program);
        client.arg("-F").arg(self.config());
        client.stdin(Stdio::null());
        client
    }

    pub(crate) fn config(&self) -> PathBuf {
        self.config_of("alice")
    }

    /// A client's configuration with the key of this name, and its certificate where there is one.
    pub(crate) fn config_of(&self, name: &str) -> PathBuf {
        let path = self.dir.join(format!("config-{name}"));
        let text = format!(
            "Host localhost\n  Port {port}\nHost *\n  IdentityFile {dir}/{name}\n  \
             IdentitiesOnly yes\n  IdentityAgent none\n  UserKnownHostsFile {dir}/known_hosts\n  \
             GlobalKnownHostsFile none\n  StrictHostKeyChecking yes\n  BatchMode yes\n",
            port = self.port,
            dir = self.dir.display(),
        );
        std::fs::write(&path, text).unwrap();
        path
    }

    /// The port of the target itself, past us.
    pub(crate) fn target_port(&self) -> u16 {
        self.target_port
    }

    /// Every frame of the one recording, as text, once the session has ended.
    pub(crate) fn frames(&self) -> Vec<String> {
        assert_eq!(self.closed(1).len(), 1);
        let session = self.room.session.lock().unwrap().unwrap();
        let mut reader = Reader::open(&self.room.recorder.path_of(session)).unwrap();
        let mut frames = Vec::new();
        while let Some(stamped) = reader.next_frame().unwrap() {
            frames.push(format!("{:?}", stamped.frame));
        }
        frames
    }

    /// Proves itself by a certificate for this name from here on.
    pub(crate) fn show(&self, name: &str) {
        self.ssh.show(&self.room.host_identity(name));
    }

    /// Does what stock clients do not: speaks as alice by a client of our own, on a channel that was
    /// just opened. None when the door takes so long that it hangs.
    pub(crate) fn abuse<T, F>(&self, with: impl FnOnce(Channel<client::Msg>) -> F) -> Option<T>
    where
        F: Future<Output = T>,
    {
        self.speak(async |client| with(client.channel_open_session().await.unwrap()).await)
    }

    /// The same on a connection.
    pub(crate) fn speak<T>(
        &self,
        with: impl AsyncFnOnce(client::Handle<Anybody>) -> T,
    ) -> Option<T> {
        let abusing = async { with(self.connect("root+web1").await).await };
        let limited = async { tokio::time::timeout(Duration::from_secs(20), abusing).await };
        self.runtime.block_on(limited).ok()
    }

    /// A connection as alice by a client of our own, with this user name.
    pub(crate) async fn connect(&self, user: &str) -> client::Handle<Anybody> {
        let config = Arc::new(client::Config::default());
        let address = ("127.0.0.1", self.port);
        let mut client = client::connect(config, address, Anybody).await.unwrap();
        let key = PrivateKeyWithHashAlg::new(Arc::new(key(31)), None);
        let proven = client.authenticate_publickey(user, key).await;
        assert!(proven.unwrap().success());
        client
    }

    /// Ends every session from outside.
    pub(crate) fn cut(&self) {
        self.room.cut.send_replace(true);
    }

    /// How much memory this process uses, in bytes.
    pub(crate) fn resident() -> usize {
        let text = std::fs::read_to_string("/proc/self/statm").unwrap();
        let pages = text
            .split_whitespace()
            .nth(1)
            .unwrap()
            .parse::<usize>()
            .unwrap();
        pages * 4096
    }

    /// What sessions said when they ended, once there are this many.
    pub(crate) fn closed(&self, count: usize) -> Vec<String> {
        for _ in 0..500 {
            let closed = self.room.closed.lock().unwrap().clone();
            if closed.len() >= count {
                return closed;
            }
            std::thread::sleep(Duration::from_millis(20));
        }
        panic!(
            "sessions have not ended: {:?}",
            self.room.closed.lock().unwrap()
        );
    }
}

impl Drop for World {
    fn drop(&mut self) {
        if !std::thread::panicking() {
            drop(std::fs::remove_dir_all(&self.dir));
        }
    }
}

async fn open_door(room: Arc<Room>) -> (u16, Arc<Ssh>) {
    let listener = TcpListener::bind("127.0.0.1:0").await.unwrap();
    let port = listener.local_addr().unwrap().port();
    let host = room.host_identity("localhost");
    let login_ca = room.keys.people.public_key().clone();
    let identify = Arc::clone(&room.identify) as Arc<dyn Identify>;
    let inside = Arc::new(Arc2(Arc::clone(&room)));
    let ssh = Arc::new(Ssh::new(&host, login_ca, identify, inside));
    let shown = Arc::clone(&ssh);
    tokio::spawn(async move {
        while let Ok((stream, source)) = listener.accept().await {
            let (room, ssh) = (Arc::clone(&room), Arc::clone(&ssh));
            let source: SocketAddr = source;
            tokio::spawn(async move {
                Box::pin(room.run(&ssh, Incoming::tcp(stream, Newcomer::new(source, None)))).await;
            });
        }
    });
    (port, shown)
}

/// The files of a client: alice with a certificate, bob with a registered key, others with less.
fn write_client(dir: &Path, keys: &Keys) {
    let put = |name: &str, key: &PrivateKey, certificate: Option<Certificate>| {
        let text = key.to_openssh(LineEnding::default()).unwrap();
        let path = dir.join(name);
        std::fs::write(&path, text.as_bytes()).unwrap();
        let mut chmod = Command::new("chmod");
        assert!(chmod.arg("600").arg(&path).status().unwrap().success());
        std::fs::write(
            dir.join(format!("{name}.pub")),
            key.public_key().to_openssh().unwrap(),
        )
        .unwrap();
        if let Some(certificate) = certificate {
            std::fs::write(
                dir.join(format!("{name}-cert.pub")),
                certificate.to_openssh().unwrap(),
            )
            .unwrap();
        }
    };
    let user = |seed, ca: &PrivateKey, name: &str| {
        let subject = key(seed);
        let certificate = certify(ca, subject.public_key(), CertType::User, &[name]);
        (subject, Some(certificate))
    };
    let (alice, certificate) = user(30, &keys.people, "alice");
    put("alice", &alice, certificate);
    put("registered", &key(31), None);
    put("stranger", &key(32), None);
    let (forged, certificate) = user(33, &keys.targets, "alice");
    put("forged", &forged, certificate);
    let (mallory, certificate) = user(34, &keys.people, "mallory");
    put("mallory", &mallory, certificate);
    let (bob, certificate) = user(35, &keys.people, "bob");
    put("bob", &bob, certificate);
    let ca = keys.hosts.public_key().to_openssh().unwrap();
    std::fs::write(dir.join("known_hosts"), format!("@cert-authority * {ca}\n")).unwrap();
}

/// What a command printed on its outputs, and how it ended.
pub(crate) fn finish(mut command: Command) -> (Option<i32>, String, String) {
    let Output {
        status,
        stdout,
        stderr,
    } = command.output().unwrap();
    let text = |bytes: Vec<u8>| String::from_utf8_lossy(&bytes).into_owned();
    (status.code(), text(stdout), text(stderr))
}

/// The SHA-256 of a file, as the system's own tool says it.
pub(crate) fn digest(path: &Path) -> String {
    let output = Command::new("sha256sum").arg(path).output().unwrap();
    String::from_utf8(output.stdout)
        .unwrap()
        .split_whitespace()
        .next()
        .unwrap()
        .to_owned()
}

/// A file of this many MiB that does not repeat.
pub(crate) fn noise(path: &Path, mebibytes: usize) {
    let mut file = std::fs::File::create(path).unwrap();
    let mut state = 0x9e37_79b9_7f4a_7c15_u64;
    let mut block = Vec::with_capacity(1024 * 1024);
    for _ in 0..mebibytes {
        block.clear();
        while block.len() < 1024 * 1024 {
            state ^= state << 13;
            state ^= state >> 7;
            state ^= state << 17;
            block.extend_from_slice(&state.to_le_bytes());
        }
        file.write_all(&block).unwrap();
    }
}
