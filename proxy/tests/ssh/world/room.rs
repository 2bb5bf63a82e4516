//! The spine of a world: lets in who may, without deciding.

use std::future::Future;
use std::net::{IpAddr, Ipv4Addr, SocketAddr};
use std::pin::Pin;
use std::sync::atomic::{AtomicBool, AtomicU8, Ordering};
use std::sync::{Arc, Mutex};
use std::time::Duration;

use ca::{HostIdentity, Pass, PassKey, Serial, SessionKey};
use control::{Caller, Clock};
use jiff::Timestamp;
use policies::words::Shown;
use policies::{
    Ask, Capabilities, Capability, Credential, Deed, Denial, Endpoint, FileUse, GrantId,
    InputRecording, Login, Obligations, PrincipalName, Protocol as Spoken, SessionId, SeverReason,
    Target, Terms,
};
use proxy::session::incoming::{Incoming, Newcomer};
use proxy::session::protocol::{Closed, Front, Identified, Identify, Protocol};
use proxy::session::scope::{Judge, Reach, Scope};
use proxy::session::severable::Severer;
use proxy::session::way::Dialled;
use proxy::ssh::Ssh;
use proxy::ssh::client::jump::{Inside, Standing, Within};
use proxy::ssh::transit::Transit;
use recorder::{End, Heading, Recorder, Recording, Seal, SealError, Timeline};
use russh::keys::ssh_key::certificate::CertType;
use tokio::net::{TcpListener, TcpStream};
use tokio::sync::{Semaphore, watch};

use super::people::{Keys, People, certify, key};

/// What sessions share.
pub(crate) struct Room {
    pub(super) keys: Keys,
    pub(super) target: Arc<Target>,
    pub(super) recorder: Recorder,
    pub(super) clock: Clock,
    pub(super) identify: Arc<People>,
    pub(super) capabilities: Capabilities,
    pub(super) cut: watch::Sender<bool>,
    /// Whether every rule that permitted something is gone.
    pub(super) withdrawn: Arc<AtomicBool>,
    /// How each session ended, in order.
    pub(crate) closed: Mutex<Vec<String>>,
    pub(super) sessions: AtomicU8,
    /// Who is connected to the bastion itself: all are one person here.
    pub(super) standing: Arc<Semaphore>,
    pub(super) session: Mutex<Option<SessionId>>,
    /// The recording of the session that began last.
    pub(super) recording: Mutex<Option<Recording>>,
    /// Tells when the target has seen its connection end. Where it is there, the target's socket goes only then.
    pub(super) target_over: Mutex<Option<watch::Receiver<bool>>>,
    pub(crate) denied: Mutex<Vec<String>>,
}

/// How many connections to the bastion itself there may be.
pub(crate) const STANDING_MAX: usize = 2;

/// A room that can be handed out.
struct Handed(Arc<Room>);

impl Room {
    pub(super) fn host_identity(&self, name: &str) -> HostIdentity {
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
        *self.recording.lock().unwrap() = Some(recording.clone());
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
            Arc::new(Judgement(Arc::clone(&self.withdrawn))),
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
        self.until_target_is_over(ended.as_ref()).await;
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
        let sealing = tokio::task::spawn_blocking(move || {
            recording.seal(at, Timestamp::now(), &end, &Timeline::default())
        });
        match sealing.await.unwrap() {
            // A test has, in the middle of the session.
            Ok(_) | Err(SealError::Sealed(_)) => {}
            Err(refused) => panic!("{refused}"),
        }
        self.closed.lock().unwrap().push(said);
    }
}

impl Room {
    /// Lets what was queued for the target go out, where a test wants to see that, of a session that ended by itself.
    async fn until_target_is_over<T>(&self, ended: Option<&T>) {
        let over = self.target_over.lock().unwrap().clone();
        if let (Some(mut over), Some(_)) = (over, ended) {
            let waiting = over.wait_for(|over| *over);
            let waited = tokio::time::timeout(Duration::from_secs(20), waiting).await;
            assert!(matches!(waited, Ok(Ok(_))), "the target's connection ends");
        }
    }
}

/// Opens to whoever comes.
pub(super) async fn open_door(room: Arc<Room>) -> (u16, Arc<Ssh>) {
    let listener = TcpListener::bind("127.0.0.1:0").await.unwrap();
    let port = listener.local_addr().unwrap().port();
    let host = room.host_identity("localhost");
    let login_ca = room.keys.people.public_key().clone();
    let identify = Arc::clone(&room.identify) as Arc<dyn Identify>;
    let inside = Arc::new(Handed(Arc::clone(&room)));
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

/// Refuses one command and one host, so that a refusal can be seen, and what the permit does not name; all, once the
/// rules are withdrawn.
struct Judgement(Arc<AtomicBool>);

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
        if !allowed || self.0.load(Ordering::SeqCst) {
            return Err(Denial::Forbidden {
                policy: "no-such-thing".to_owned(),
                reason: "not on a test's watch".to_owned(),
            });
        }
        Ok(())
    }

    fn edition(&self) -> u64 {
        u64::from(self.0.load(Ordering::SeqCst))
    }

    fn files(&self, _: &Terms) -> FileUse {
        FileUse::Free
    }
}

pub(super) struct NoSeal;

impl Seal for NoSeal {
    fn sign(&self, _: &[u8]) -> Vec<u8> {
        vec![0; 64]
    }

    fn key(&self) -> [u8; 32] {
        [0; 32]
    }
}

impl Inside for Handed {
    fn stand(&self, _: &PrincipalName) -> Result<Standing, Denial> {
        match Arc::clone(&self.0.standing).try_acquire_owned() {
            Ok(standing) => Ok(Box::new(standing)),
            Err(_taken) => Err(Denial::Crowded {
                limit: STANDING_MAX,
            }),
        }
    }

    fn refused(
        &self,
        who: Caller,
        to: String,
        denial: Denial,
    ) -> Pin<Box<dyn Future<Output = ()> + Send>> {
        let noted = format!("{} jump {to}: {}", who.principal, denial.words());
        self.0.denied.lock().unwrap().push(noted);
        Box::pin(async {})
    }

    fn turns(&self, _: &PrincipalName) -> Arc<Semaphore> {
        Arc::new(Semaphore::new(STANDING_MAX))
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
