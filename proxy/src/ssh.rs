//! SSH: stock clients on one side, stock servers on the other, everything between them looked at.
//!
//! Two ways in: `ssh login+target@bastion`, and `ssh -J bastion login@target` ([`client::jump`]). Neither
//! decides anything about access; both end in an [`Ask`] that the spine takes to the broker.

use std::future::Future;
use std::pin::Pin;
use std::sync::atomic::{AtomicBool, Ordering};
use std::sync::{Arc, PoisonError, RwLock};

use ca::{HostIdentity, Pass};
use policies::words::Shown;
use policies::words::offence;
use policies::words::ssh::SshSaying;
use policies::{Ask, Protocol as Spoken};
use russh::keys::PublicKey;
use russh::server;
use tokio::{select, time};

use crate::listener::Offence;
use crate::session::LOGIN_LIMIT;
use crate::session::incoming::{Incoming, Newcomer};
use crate::session::protocol::{
    Closed, ConnectError, Connected, Halt, Halted, Identified, Identify, Protocol, Refused,
};
use crate::session::scope::Scope;
use crate::session::severable::Severable;
use crate::session::way::Dialled;

pub mod algorithms;
pub mod channel;
pub mod client;
pub mod files;
pub mod flow;
pub mod forward;
#[cfg(any(test, tidegate_fuzzing))]
pub(crate) mod fuzzing;
mod pool;
pub mod relay;
pub mod target;
pub mod transit;

use algorithms::Clients;
use channel::exit::EXIT_USAGE;
use channel::voice::Voices;
use client::address::{Address, AddressError};
use client::arrival::Proven;
use client::door::Door;
use client::doorkeeper::Doorkeeper;
use client::jump::{Inside, Within};
use client::stalled_kex::{Watched, Wire, held};
use client::visitor::Visitor;
use flow::Flow;
use flow::leg::Leg;
use target::back::Back;

/// SSH, as the spine runs it.
pub struct Ssh {
    config: RwLock<Arc<server::Config>>,
    clients: Clients,
    login_ca: PublicKey,
    identify: Arc<dyn Identify>,
    inside: Arc<dyn Inside>,
    within: Option<Within>,
}

impl std::fmt::Debug for Ssh {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.debug_struct("Ssh")
            .field("within", &self.within)
            .finish_non_exhaustive()
    }
}

impl Ssh {
    /// SSH with this host key and certificate. `login_ca` signs people's login certificates.
    pub fn new(
        host: &HostIdentity,
        login_ca: PublicKey,
        identify: Arc<dyn Identify>,
        inside: Arc<dyn Inside>,
    ) -> Self {
        Self {
            config: RwLock::new(shown(host, Clients::default())),
            clients: Clients::default(),
            login_ca,
            identify,
            inside,
            within: None,
        }
    }

    /// The same, for clients of this kind.
    #[must_use]
    pub fn with_clients(self, host: &HostIdentity, clients: Clients) -> Self {
        let config = RwLock::new(shown(host, clients));
        Self {
            config,
            clients,
            ..self
        }
    }

    /// Shows another host key and certificate to whoever comes from here on.
    pub fn show(&self, host: &HostIdentity) {
        *self.config.write().unwrap_or_else(PoisonError::into_inner) = shown(host, self.clients);
    }

    /// Answers as the target that somebody jumps to, once their connection is there.
    fn answer_inside(
        &self,
        within: Within,
        client: Pin<Box<dyn Future<Output = Option<Incoming>> + Send>>,
    ) -> impl Future<Output = ()> + Send + use<> {
        let (login_ca, identify) = (self.login_ca.clone(), Arc::clone(&self.identify));
        let (inside, clients) = (Arc::clone(&self.inside), self.clients);
        async move {
            let Some(client) = client.await else {
                return;
            };
            let Some(host) = inside.host(&within).await else {
                return;
            };
            let inner = Self::new(&host, login_ca, identify, Arc::clone(&inside));
            let mut inner = inner.with_clients(&host, clients);
            inner.within = Some(within);
            inside.enter(inner, client).await;
        }
    }

    /// Waits until somebody has proven who they are.
    async fn prove(
        &self,
        io: Severable,
        newcomer: &mut Newcomer,
    ) -> Result<(Proven, Visitor), Refused> {
        let flow = Arc::new(Flow::default());
        pool::EVERYBODY.join(&flow);
        let mistaken = Arc::<AtomicBool>::default();
        let keeper = Doorkeeper {
            mistaken: Arc::clone(&mistaken),
            identify: Arc::clone(&self.identify),
            login_ca: self.login_ca.clone(),
            source: newcomer.source().ip().to_canonical(),
            jumper: self.within.as_ref().map(|within| within.principal.clone()),
        };
        let (door, bell) = Door::new(keeper, Arc::clone(&flow));
        let wire = Arc::<Wire>::default();
        let io = Watched::new(io, Arc::clone(&wire));
        let leg = Leg::client(io, Arc::clone(&flow));
        let config = Arc::clone(&self.config.read().unwrap_or_else(PoisonError::into_inner));
        let running = server::run_stream(config, leg, door).await;
        let running = running.map_err(|failed| Refused::Greeting(std::io::Error::other(failed)))?;
        let Ok(proven) = bell.proven.await else {
            if mistaken.load(Ordering::Relaxed) {
                newcomer.offends(Offence::Wrong);
            }
            return Err(Refused::Unproven);
        };
        newcomer.proven();
        let visitor = Visitor {
            handle: running.handle(),
            running: Some(running),
            arrivals: bell.arrivals,
            gone: bell.gone,
            flow,
            wire,
            voices: Voices::default(),
            opened: bell.opened,
            permitted: bell.permitted,
            parting: SshSaying::TargetGone,
            unheard: bell.unheard,
        };
        Ok((proven, visitor))
    }

    fn address(&self, user: &str) -> Result<Address, AddressError> {
        match &self.within {
            None => Address::parse(user),
            Some(within) => Address::inside(user, &within.target),
        }
    }
}

fn shown(host: &HostIdentity, clients: Clients) -> Arc<server::Config> {
    let (key, certificate) = (host.key.as_ref().clone(), host.certificate.clone());
    Arc::new(algorithms::server(key, certificate, clients))
}

impl Protocol for Ssh {
    type Front = Visitor;
    type Back = Back;
    type Halt = NoHalt;

    async fn greet(
        &self,
        io: Severable,
        mut newcomer: Newcomer,
    ) -> Result<Identified<Visitor>, Refused> {
        let patience = newcomer.greeting();
        let proving = self.prove(io, &mut newcomer);
        let Ok(proven) = time::timeout(patience, proving).await else {
            newcomer.offends(Offence::Silent);
            return Err(Refused::Silent);
        };
        let (proven, mut visitor) = proven?;
        match self.address(&proven.user) {
            Ok(Address::Target { login, target, .. }) => {
                let ask = Ask {
                    principal: proven.principal,
                    credential: proven.credential,
                    source: newcomer.source().ip().to_canonical(),
                    target,
                    login,
                    database: None,
                    protocol: Spoken::Ssh,
                };
                Ok(Identified {
                    ask,
                    front: visitor,
                })
            }
            Ok(Address::Bastion) => {
                client::jump::serve(&mut visitor, &proven, self, newcomer.source()).await;
                Err(Refused::Answered)
            }
            Err(odd) => {
                let why = odd.to_string();
                visitor
                    .turn_away(&SshSaying::BadAddress { why: &why }.words(), EXIT_USAGE)
                    .await;
                Err(Refused::Answered)
            }
        }
    }

    async fn connect(
        &self,
        front: &mut Visitor,
        dialled: Dialled,
        pass: Pass,
        scope: &Scope,
    ) -> Result<Connected<Self>, ConnectError> {
        if scope.terms().target.is_bastion() {
            return Err(ConnectError::Direct);
        }
        let now = scope.clock().now();
        let connecting = Back::connect(dialled.io, pass, &front.flow, now);
        let connected = front
            .gone
            .run_until_cancelled(time::timeout(LOGIN_LIMIT, connecting))
            .await;
        match connected {
            None => Err(ConnectError::ClientGone),
            Some(Err(_elapsed)) => Err(ConnectError::Io(std::io::ErrorKind::TimedOut.into())),
            Some(Ok(Err(refused))) => Err(refused),
            Some(Ok(Ok(back))) => Ok(Connected { back, halt: NoHalt }),
        }
    }

    async fn relay(&self, front: &mut Visitor, back: Back, scope: &Scope) -> Closed {
        let held = held(
            scope.clock(),
            front.handle.clone(),
            Arc::clone(&front.flow),
            Arc::clone(&front.wire),
        );
        let drowned = front.flow.drowned().clone();
        select! {
            biased;
            () = drowned.cancelled() => Closed::Violation(offence::CLIENT_WAITS),
            closed = relay::run(front, back, scope) => closed,
            () = held => Closed::Violation(offence::CLIENT_EXCHANGE),
        }
    }
}

/// Nothing is left to stop once the target's socket is gone: sshd hangs up what it started. What
/// detached itself from the session (`nohup`, `tmux`) stays, as it would behind any SSH client.
#[derive(Debug, Clone, Copy)]
pub struct NoHalt;

impl Halt for NoHalt {
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
