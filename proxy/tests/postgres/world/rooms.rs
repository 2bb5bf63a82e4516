//! The spine of a world: lets in everybody who comes with a certificate.

use std::convert::Infallible;
use std::fs;
use std::net::IpAddr;
use std::path::Path;
use std::sync::atomic::{AtomicU64, Ordering};
use std::sync::{Arc, Mutex};
use std::time::Duration;

use ca::applicant::Applicant;
use ca::rand_core::{TryCryptoRng, TryRng};
use ca::{
    Authority, HostOrder, Intent, Journal, JournalError, LoginOrder, Outcome, Pass, PassOrder,
    Sealer, Serial,
};
use control::onetime::Verifier;
use control::{BrokerError, Clock};
use jiff::{SignedDuration, Timestamp};
use policies::words::broker::Conflict;
use policies::words::secret::SecretSaying;
use policies::words::{Shown, Words};
use policies::{
    Ask, Capabilities, Capability, Credential, Deed, Denial, Endpoint, GrantId, HostPort,
    InputRecording, Login, Obligations, PostgresEndpoint, PrincipalName, SecretId, ServerPin,
    SessionId, Target, TargetName, Terms,
};
use proxy::demo::PostgresServer;
use proxy::postgres::probe::probe;
use proxy::postgres::{Postgres, PostgresFront, PostgresHalt};
use proxy::session::HALT_LIMIT;
use proxy::session::incoming::{Incoming, Newcomer};
use proxy::session::protocol::{
    Closed, ConnectError, Front, Halt, Halted, Identified, Identify, Noting, Protocol, Redeeming,
};
use proxy::session::scope::{Judge, Reach, Scope};
use proxy::session::severable::Severer;
use proxy::session::way::Dialled;
use recorder::{End, Heading, Limits, Reader, Recorder, Seal, Timeline};
use tokio::net::{TcpListener, TcpStream};
use tokio::sync::watch;
use tokio::time::timeout;

use super::{Cut, Ended};

/// What sessions share.
pub(super) struct Rooms {
    authority: Authority,
    postgres: Postgres,
    recorder: Recorder,
    targets: [Arc<Target>; 3],
    numbers: AtomicU64,
    ended: Arc<Mutex<Vec<Ended>>>,
}

impl Rooms {
    pub(super) async fn furnish(
        authority: Authority,
        dir: &Path,
        server: &PostgresServer,
        [mute, far]: [u16; 2],
        ended: Arc<Mutex<Vec<Ended>>>,
        dice: &mut Dice,
    ) -> Self {
        let now = Clock::system().now();
        let names = ["localhost".to_owned()];
        let order = HostOrder {
            names: &names,
            now,
            lifetime: SignedDuration::from_hours(1),
            rng: dice,
        };
        let identity = authority.issue_server(order, &NoJournal).await.unwrap();
        let postgres =
            Postgres::new(Arc::new(Anybody), authority.login_anchor(), &identity).unwrap();
        write_login(&authority, dir, dice).await;
        let recorder = Recorder::open_dir(
            &dir.join("recordings"),
            Limits::default(),
            Arc::new(Seals(authority.sealer())),
        )
        .unwrap();
        let addr = HostPort {
            host: "127.0.0.1".to_owned(),
            port: server.port(),
        };
        let pin = probe(&addr).await.unwrap().pin();
        assert!(matches!(&pin, ServerPin::Certificate { sha256 } if sha256.len() == 64));
        let at = |port| HostPort {
            port,
            ..addr.clone()
        };
        let (nowhere, behind) = (at(mute), at(far));
        let target = |name: &str, addr, server| {
            Arc::new(Target {
                name: TargetName::parse(name).unwrap(),
                endpoint: Endpoint::Postgres(PostgresEndpoint::new(addr, "orders", server)),
                logins: [Login::parse("app").unwrap()].into(),
                labels: [].into(),
                owners: None,
                added_at: now,
                namesakes: std::collections::BTreeSet::new(),
            })
        };
        let targets = [
            target("orders", addr, pin.clone()),
            target("mute", nowhere, pin.clone()),
            target("far", behind, pin),
        ];
        Self {
            authority,
            postgres,
            recorder,
            targets,
            numbers: AtomicU64::new(1),
            ended,
        }
    }

    /// Opens to whoever comes.
    pub(super) async fn receive(
        self: Arc<Self>,
        listener: TcpListener,
        cuts: watch::Receiver<Cut>,
    ) {
        loop {
            let (stream, source) = listener.accept().await.unwrap();
            let (rooms, cuts) = (Arc::clone(&self), cuts.clone());
            tokio::spawn(async move {
                Box::pin(rooms.session(stream, source, cuts)).await;
            });
        }
    }

    /// Everything up to the question, and the answer, which is yes for the targets there are.
    async fn session(
        self: Arc<Self>,
        stream: TcpStream,
        source: std::net::SocketAddr,
        cuts: watch::Receiver<Cut>,
    ) {
        let client_side = Severer::default();
        let (io, newcomer) = Incoming::tcp(stream, Newcomer::new(source, None))
            .wrap(&client_side)
            .unwrap();
        let Ok(Identified { ask, mut front }) = self.postgres.greet(io, newcomer).await else {
            return;
        };
        let target = self.targets.iter().find(|target| target.name == ask.target);
        if let Some(target) = target {
            let scope = self.scope(ask, target);
            Box::pin(Arc::clone(&self).admitted(scope, front, &client_side, cuts)).await;
        } else {
            let (target, login) = (ask.target, ask.login);
            front
                .refuse(&Denial::NoGrant { target, login }.words())
                .await;
            client_side.release();
        }
    }

    /// The rest of the spine.
    async fn admitted(
        self: Arc<Self>,
        scope: Scope,
        mut front: PostgresFront,
        client_side: &Severer,
        mut cuts: watch::Receiver<Cut>,
    ) {
        let (target_side, mut halt) = (Severer::default(), None);
        cuts.mark_unchanged();
        let closed = {
            let work = async {
                let Endpoint::Postgres(at) = &scope.terms().target.endpoint else {
                    panic!("the target is a database")
                };
                let addr = (at.addr.host.as_str(), at.addr.port);
                let io = target_side
                    .wrap(TcpStream::connect(addr).await.unwrap())
                    .unwrap();
                let pass = self.pass(&scope).await;
                let dialled = Dialled {
                    io,
                    host: 0,
                    source: None,
                };
                let connected = self
                    .postgres
                    .connect(&mut front, dialled, pass, &scope)
                    .await?;
                halt = Some(connected.halt);
                Ok(self
                    .postgres
                    .relay(&mut front, connected.back, &scope)
                    .await)
            };
            let name = scope.terms().target.name.as_str();
            tokio::select! {
                biased;
                () = cut_at(name, &mut cuts) => None,
                done = work => Some(done),
            }
        };
        let decided = scope.elapsed();
        target_side.sever();
        let stopping = Arc::clone(&self).stopped(&scope, halt);
        let (halted, ()) = tokio::join!(stopping, part(&mut front, closed.as_ref(), client_side));
        let halted_after = scope.elapsed().saturating_sub(decided);
        let ended = Ended {
            target: scope.terms().target.name.to_string(),
            why: format!("{closed:?}"),
            halted,
            halted_after,
            counters: scope.counters(),
            frames: self.sealed(&scope),
        };
        self.ended.lock().unwrap().push(ended);
    }

    /// What became of the work that was under way, if any was.
    async fn stopped(self: Arc<Self>, scope: &Scope, halt: Option<PostgresHalt>) -> Option<Halted> {
        let halt = halt.filter(Halt::is_needed)?;
        let of = scope.clone();
        let pass = move || {
            let (rooms, of) = (Arc::clone(&self), of.clone());
            async move { Some(rooms.pass(&of).await) }
        };
        let halted = timeout(HALT_LIMIT, halt.halt(pass)).await;
        Some(halted.unwrap_or(Halted::Unconfirmed))
    }

    /// Seals the recording and reads it.
    fn sealed(&self, scope: &Scope) -> Vec<String> {
        let (now, end) = (Clock::system().now(), End::Complete);
        let timeline = Timeline::default();
        let recording = scope.recording();
        recording
            .seal(scope.elapsed(), now, &end, &timeline)
            .unwrap();
        let mut reader = Reader::open(&self.recorder.path_of(scope.session())).unwrap();
        let mut frames = Vec::new();
        while let Some(stamped) = reader.next_frame().unwrap() {
            frames.push(format!("{:?}", stamped.frame));
        }
        frames
    }

    fn scope(&self, ask: Ask, target: &Arc<Target>) -> Scope {
        let (number, now) = (
            self.numbers.fetch_add(1, Ordering::Relaxed),
            Clock::system().now(),
        );
        let mut unique = [0; 10];
        unique[..8].copy_from_slice(&number.to_be_bytes());
        let session = SessionId::new(now, unique);
        let terms = Terms {
            principal: ask.principal,
            credential: ask.credential,
            source: ask.source,
            target: Arc::clone(target),
            login: ask.login,
            database: None,
            via: Vec::new(),
            protocol: ask.protocol,
            grant: GrantId::new(now, [0; 10]),
            until: now.checked_add(SignedDuration::from_hours(1)).unwrap(),
            capabilities: Capabilities::from([Capability::Sql]),
            obligations: Obligations {
                input: InputRecording::Counted,
            },
        };
        let heading = Heading::of(session, &terms, None, now);
        let recording = self.recorder.open(&heading).unwrap();
        Scope::new(
            session,
            terms,
            Arc::new(Anything),
            (recording, Clock::system()),
            Reach::default(),
        )
    }

    async fn pass(&self, scope: &Scope) -> Pass {
        let order = PassOrder {
            session: scope.session(),
            now: Clock::system().now(),
            source_address: None,
            rng: &mut Dice(self.numbers.fetch_add(1, Ordering::Relaxed)),
        };
        self.authority
            .issue_halt(scope.terms(), order, &NoJournal)
            .await
            .unwrap()
    }
}

/// Returns when the sessions at this target are cut.
async fn cut_at(name: &str, cuts: &mut watch::Receiver<Cut>) {
    while cuts.changed().await.is_ok() {
        let at = cuts.borrow_and_update().1;
        if at.is_none_or(|at| at == name) {
            return;
        }
    }
}

/// Tells the client, as the spine does.
async fn part(
    front: &mut PostgresFront,
    closed: Option<&Result<Closed, ConnectError>>,
    client_side: &Severer,
) {
    let ended = "access to `orders` as `app` ended: bob revoked the grant";
    let words = match closed {
        Some(Ok(_closed)) => {
            front.leave().await;
            return client_side.release();
        }
        Some(Err(_unreachable)) => Words::new("TG401", "`orders` does not answer"),
        None => Words::new("TG201", ended).hint("ask again"),
    };
    let _heard_or_not = timeout(Duration::from_millis(300), front.farewell(&words)).await;
    client_side.release();
}

async fn write_login(authority: &Authority, dir: &Path, dice: &mut Dice) {
    use std::os::unix::fs::PermissionsExt;
    let applicant = Applicant::create().unwrap();
    let principal = PrincipalName::parse("alice").unwrap();
    let (ssh, csr) = (
        applicant.ssh_public().unwrap(),
        applicant.signing_request().unwrap(),
    );
    let order = LoginOrder {
        principal: &principal,
        by_key: "SHA256:d/TNWlT/KVMXSypmI0iYgbDdLFGto+xd61uTyjuiTxk",
        ssh_public_key: &ssh,
        csr_pem: &csr,
        lifetime: SignedDuration::from_hours(1),
        now: Clock::system().now(),
        rng: dice,
    };
    let made = authority.issue_login(order, &NoJournal).await.unwrap();
    fs::write(dir.join("pg.crt"), made.x509_chain_pem).unwrap();
    fs::write(dir.join("pg.key"), applicant.tls_private().as_bytes()).unwrap();
    fs::set_permissions(dir.join("pg.key"), fs::Permissions::from_mode(0o600)).unwrap();
    fs::write(dir.join("ca.pem"), authority.trust_bundle().x509_login_ca).unwrap();
}

/// Numbers that are the same in every run (`SplitMix64`).
pub(super) struct Dice(pub(super) u64);

impl TryRng for Dice {
    type Error = Infallible;

    fn try_next_u32(&mut self) -> Result<u32, Infallible> {
        Ok(u32::try_from(self.try_next_u64()? >> 32).unwrap_or(0))
    }

    fn try_next_u64(&mut self) -> Result<u64, Infallible> {
        self.0 = self.0.wrapping_add(0x9e37_79b9_7f4a_7c15);
        let mut z = self.0;
        z = (z ^ (z >> 30)).wrapping_mul(0xbf58_476d_1ce4_e5b9);
        z = (z ^ (z >> 27)).wrapping_mul(0x94d0_49bb_1331_11eb);
        Ok(z ^ (z >> 31))
    }

    fn try_fill_bytes(&mut self, bytes: &mut [u8]) -> Result<(), Infallible> {
        for byte in bytes {
            *byte = self.try_next_u64()?.to_le_bytes()[0];
        }
        Ok(())
    }
}

impl TryCryptoRng for Dice {}

struct NoJournal;

impl Journal for NoJournal {
    async fn intend(&self, _intent: &Intent) -> Result<(), JournalError> {
        Ok(())
    }

    async fn conclude(&self, _serial: &Serial, _outcome: &Outcome) -> Result<(), JournalError> {
        Ok(())
    }
}

struct Seals(Sealer);

impl Seal for Seals {
    fn sign(&self, message: &[u8]) -> Vec<u8> {
        self.0.sign(message).to_vec()
    }

    fn key(&self) -> [u8; 32] {
        self.0.public_key()
    }
}

struct Anybody;

impl Identify for Anybody {
    fn by_key(&self, _openssh: &str) -> Option<(PrincipalName, Credential)> {
        None
    }

    fn admits(&self, _: &PrincipalName, _: &Credential) -> bool {
        true
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
        Clock::system().now()
    }
}

struct Anything;

impl Judge for Anything {
    fn may(&self, _terms: &Terms, _deed: &Deed) -> Result<(), Denial> {
        Ok(())
    }
}
