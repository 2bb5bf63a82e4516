//! PostgreSQL: how it plugs into the spine.
//!
//! Sits on a wire that stock `psql` and every driver speak. Looks at headers, copies aside what is
//! recorded, and forwards the original bytes. Where policies are about statements, each is asked
//! about before it passes; what it may do is decided again by the role at the target.
//!
//! Its rooms, each of which uses only those below it:
//!
//! | Room | What is in it |
//! |---|---|
//! | [`client`] | who is there and what they ask for; their cancel keys |
//! | [`relay`] | the bytes of a session both ways, and what is written down of them |
//! | [`halt`] | what a cut session had running is stopped |
//! | [`roles`] | what belongs to a grant at a database, as it comes and goes |
//! | [`target`] | the way in at a server, and asking it |
//! | [`gate`] | what statements may do, asked before they pass |
//! | [`statement`] | what an SQL text says, and what of it is not written down |
//! | [`tls`] | TLS on both legs |
//! | [`wire`] | messages, bytes to fields and back |

mod client;
#[cfg(any(test, tidegate_fuzzing))]
pub(crate) mod fuzzing;
mod gate;
mod halt;
mod relay;
pub(crate) mod roles;
mod statement;
mod target;
mod tls;
mod wire;

use std::sync::{Arc, PoisonError, RwLock};
use std::time::Duration;
use std::{fmt, io};

use ca::{Pass, ServerIdentity};
use control::onetime::OneTimePasswords;
use policies::words;
use policies::words::entrance;
use policies::words::postgres::Lines;
use policies::{Endpoint, Login, MARKER, PostgresEndpoint, PostgresHost};
use recorder::Frame;
use rustls::pki_types::CertificateDer;
use tokio::{select, time};
use tokio_rustls::client::TlsStream;
use tracing::info;

use crate::listener::Offence;
use crate::session::LOGIN_LIMIT;
use crate::session::countdown::Countdown;
use crate::session::incoming::Newcomer;
use crate::session::protocol::{
    Closed, ConnectError, Connected, Identified, Identify, Protocol, Refused,
};
use crate::session::road::{Pinned, Road};
use crate::session::scope::Scope;
use crate::session::severable::Severable;
use crate::session::way::Dialled;
pub(crate) use statement::classified;

use client::cancel::{Cancels, Issued};
use client::front::{self, Door};
use client::greeting::{self, Wanted};
use client::startup::{self, Startup};
use gate::Gate;
use halt::stopper::Stopper;
use halt::turns::Servers;
use relay::Relay;
use relay::account::Account;
use statement::Known;
use target::back::{Greeting, LoginError, statuses};
use target::hosts::{self, Caller, Entered};
use tls::read_ahead::ReadAhead;
use tls::{Shown, Visitors};
use wire::{BackendKey, message, say};

pub use client::front::PostgresFront;
pub(crate) use client::wildcard;
pub use halt::PostgresHalt;
pub use target::probe;
pub(crate) use target::unasked;
pub use tls::AnchorError;

/// How long the hosts of a target may take together, where there are several.
const SEARCH_LIMIT: Duration = Duration::from_secs(30);

/// PostgreSQL, as the spine knows it.
pub struct Postgres {
    identify: Arc<dyn Identify>,
    visitors: Arc<Visitors>,
    shown: RwLock<Arc<Shown>>,
    names: Vec<String>,
    passwords: OneTimePasswords,
    cancels: Arc<Cancels>,
    /// Whose turn it is to stop work at each server.
    servers: Servers,
    known: Arc<Known>,
}

impl fmt::Debug for Postgres {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Postgres")
            .field("cancels", &self.cancels)
            .finish_non_exhaustive()
    }
}

/// The target's side, ready for the first query.
#[derive(Debug)]
pub struct PostgresBack {
    tls: TlsStream<ReadAhead>,
    /// How what it runs is stopped.
    stopper: Option<Stopper>,
    /// The client's cancel key; it is worthless from the moment this is dropped.
    _key: Option<Issued>,
}

impl PostgresBack {
    fn new(tls: TlsStream<ReadAhead>, stopper: Option<Stopper>, key: Option<Issued>) -> Self {
        Self {
            tls,
            stopper,
            _key: key,
        }
    }
}

impl Postgres {
    /// Shows `shown` to clients and accepts certificates that `anchor`, in DER, has signed
    /// ([`ca::Authority::login_anchor`]).
    ///
    /// # Errors
    ///
    /// When one of them cannot be used.
    pub fn new(
        identify: Arc<dyn Identify>,
        anchor: &CertificateDer<'static>,
        shown: &ServerIdentity,
    ) -> Result<Self, AnchorError> {
        let visitors = Arc::new(Visitors::new(anchor)?);
        let shown = RwLock::new(Arc::new(tls::server(&visitors, shown)?));
        Ok(Self {
            identify,
            visitors,
            shown,
            names: Vec::new(),
            passwords: OneTimePasswords::Offered,
            cancels: Arc::default(),
            servers: Servers::default(),
            known: Arc::default(),
        })
    }

    /// Answers to these names: a host below one of them, `TARGET.pg.NAME`, names a target.
    #[must_use]
    pub fn called(mut self, names: &[String]) -> Self {
        self.names = names.to_vec();
        self
    }

    /// Asks for one-time secrets, or does not.
    #[must_use]
    pub fn with_passwords(mut self, passwords: OneTimePasswords) -> Self {
        self.passwords = passwords;
        self
    }

    /// Shows another identity from the next connection on.
    ///
    /// # Errors
    ///
    /// When it cannot be used; the one before stays.
    pub fn show(&self, identity: &ServerIdentity) -> Result<(), AnchorError> {
        let shown = Arc::new(tls::server(&self.visitors, identity)?);
        *self.shown.write().unwrap_or_else(PoisonError::into_inner) = shown;
        Ok(())
    }

    /// Asks about what the client would begin with, and writes it down, before the target hears of it.
    async fn begin(&self, startup: &Startup, scope: &Scope) -> Result<(), ConnectError> {
        if startup.parameters.is_empty() {
            return Ok(());
        }
        // Before anything is asked: what is refused was asked for all the same.
        let told = words::target::began_with(&startup.parameters);
        note(scope, "startup", &told)?;
        let mut gate = Gate::new(Arc::clone(&self.known)).sharing(scope.share());
        for (name, statement) in &startup.asked {
            let judged = gate.begins_with((name, statement), scope).await;
            judged.map_err(ConnectError::Setting)?;
        }
        Ok(())
    }

    async fn hear(
        &self,
        io: Severable,
        newcomer: &mut Newcomer,
    ) -> Result<Identified<PostgresFront>, Refused> {
        let shown = Arc::clone(&self.shown.read().unwrap_or_else(PoisonError::into_inner));
        let source = newcomer.source().ip();
        let (tls, startup) = match greeting::hear(io, &shown.config).await? {
            Wanted::Session(tls, startup) => (*tls, startup),
            Wanted::Cancel(key, asker) => {
                let shown = asker.shown();
                let who = || {
                    let proof = front::proof(&shown, &self.visitors, self.identify.as_ref());
                    proof.ok().map(|proof| proof.principal)
                };
                self.cancels
                    .request(source, &key, self.identify.now(), who)
                    .await;
                asker.close().await;
                return Err(Refused::Answered);
            }
        };
        let door = Door {
            visitors: &self.visitors,
            binding: shown.end_point.as_deref(),
            names: &self.names,
            passwords: self.passwords,
            identify: self.identify.as_ref(),
        };
        let identified = front::identify(tls, startup, newcomer, door).await?;
        newcomer.proven();
        Ok(identified)
    }
}

impl Protocol for Postgres {
    type Front = PostgresFront;
    type Back = PostgresBack;
    type Halt = PostgresHalt;

    async fn greet(
        &self,
        io: Severable,
        mut newcomer: Newcomer,
    ) -> Result<Identified<PostgresFront>, Refused> {
        match time::timeout(newcomer.greeting(), self.hear(io, &mut newcomer)).await {
            Ok(heard) => heard,
            Err(_elapsed) => {
                newcomer.offends(Offence::Silent);
                Err(Refused::Silent)
            }
        }
    }

    async fn connect(
        &self,
        front: &mut PostgresFront,
        dialled: Dialled,
        pass: Pass,
        scope: &Scope,
    ) -> Result<Connected<Self>, ConnectError> {
        let Endpoint::Postgres(endpoint) = &pass.terms.target.endpoint else {
            return Err(ConnectError::Violation(entrance::NO_DATABASE.to_owned()));
        };
        let account = pass.terms.account();
        self.begin(&front.startup, scope).await?;
        let entered = enter(front, dialled, (endpoint, &account), &pass).await;
        let Entered {
            tls,
            mut greeting,
            host,
            place,
            peer,
        } = match entered {
            Ok(entered) => entered,
            Err(refused) => return Err(told(front, refused, &pass, scope).await),
        };
        write_down(scope, endpoint, &host)?;
        write_down_settings(scope, front, &greeting)?;
        let turns = self.servers.turns(&scope.terms().via, &host.addr);
        let stopper = greeting.key.clone().map(|key| Stopper {
            host,
            road: peer.map_or_else(
                || Arc::clone(scope.road()),
                |peer| -> Arc<dyn Road> { Arc::new(Pinned(peer)) },
            ),
            key,
            place,
        });
        let issue = |stopper: &Stopper| {
            let running = front.tap.running();
            let minor = front.startup.minor;
            self.cancels
                .issue(minor, stopper.clone(), scope.clone(), running)
        };
        let issued = stopper.as_ref().map(issue).transpose();
        let issued = issued.map_err(|refused| ConnectError::Io(io::Error::other(refused)))?;
        let greeted = front.tap.greeted(&mut greeting.notices, scope);
        greeted.map_err(ConnectError::Recorder)?;
        front.scope = Some(scope.clone());
        front
            .down
            .push(&welcome(front, &greeting, issued.as_ref().map(Issued::key)));
        let halt = PostgresHalt {
            busy: front.tap.busy(),
            scope: scope.clone(),
            stopper: stopper.clone(),
            turns,
        };
        Ok(Connected {
            back: PostgresBack::new(tls, stopper, issued),
            halt,
        })
    }

    async fn relay(
        &self,
        front: &mut PostgresFront,
        mut back: PostgresBack,
        scope: &Scope,
    ) -> Closed {
        Relay::new(
            (&mut front.tls, &mut back.tls),
            (&mut front.up, &mut front.down),
            &mut front.tap,
            Gate::new(Arc::clone(&self.known)).sharing(scope.share()),
            scope,
        )
        .with_stopper(back.stopper.clone().map(|stopper| (stopper, scope.clone())))
        .with_countdown(Countdown::of(scope))
        .run()
        .await
    }
}

/// Tells the client why the target did not let us in, where it may know and there is budget left for that.
async fn told(
    front: &mut PostgresFront,
    refused: LoginError,
    pass: &Pass,
    scope: &Scope,
) -> ConnectError {
    let is_affordable = |said: &Vec<u8>| {
        let bytes = u64::try_from(said.len()).unwrap_or(u64::MAX);
        scope.spends(0, bytes, 0).is_none()
    };
    let said = refused.said.filter(|_said| tells(pass, &refused.error));
    if let Some(said) = said.filter(is_affordable) {
        let (target, account) = (&pass.terms.target.name, pass.terms.account());
        let told = say::shut_out(said, (target.as_str(), account.as_str()), lines(pass));
        front.pass_on(&told).await;
    }
    refused.error
}

/// Which lines at the server would have let the session in.
fn lines(pass: &Pass) -> Lines {
    let terms = &pass.terms;
    let group = match &terms.target.endpoint {
        Endpoint::Postgres(endpoint) if endpoint.privileges.contains_key(&terms.login) => MARKER,
        Endpoint::Postgres(_) | Endpoint::Ssh(_) => terms.login.as_str(),
    };
    let group = group.to_owned();
    if terms.elevated().is_some() {
        return Lines::Elevated { group };
    }
    match terms.target.admin() {
        Some(_makes_roles) => Lines::OwnRoles { group },
        None => Lines::Its,
    }
}

/// Whether the client is told in the server's words: not where those are about a password that is not its
/// own.
fn tells(pass: &Pass, refused: &ConnectError) -> bool {
    let about_proof = matches!(refused, ConnectError::Refused(said) if said.starts_with("28"));
    pass.terms.target.entry().is_certificate() || !about_proof
}

/// Writes down which database and host it is, where there is a choice.
fn write_down(
    scope: &Scope,
    endpoint: &PostgresEndpoint,
    host: &PostgresHost,
) -> Result<(), ConnectError> {
    if let Some(database) = &scope.terms().database {
        info!(%database, "target.database");
        let text = words::target::other_database(database);
        note(scope, "database", &text)?;
    }
    if endpoint.others.is_empty() {
        return Ok(());
    }
    info!(host = %host.addr, "target.chosen");
    let text = words::target::host_chosen(&host.addr, endpoint.wanted());
    note(scope, "host", &text)
}

/// Writes down the settings of the server that are not as they are mostly: `client_encoding` and
/// `standard_conforming_strings` decide what the statements in the recording mean.
fn write_down_settings(
    scope: &Scope,
    front: &mut PostgresFront,
    greeting: &Greeting,
) -> Result<(), ConnectError> {
    let statuses = [&greeting.before, &greeting.after].map(|said| statuses(said));
    let begun = front.tap.begins_with(statuses.into_iter().flatten(), scope);
    begun.map_err(ConnectError::Recorder)
}

fn note(scope: &Scope, code: &'static str, text: &str) -> Result<(), ConnectError> {
    let note = Frame::Note { code, text };
    scope.record(&note).map_err(ConnectError::Recorder)
}

/// Logs in at the target, for as long as that may take and the client stays.
async fn enter(
    front: &mut PostgresFront,
    dialled: Dialled,
    (endpoint, account): (&PostgresEndpoint, &Login),
    pass: &Pass,
) -> Result<Entered, LoginError> {
    let caller = Caller {
        account,
        key: &pass.key,
        dbname: pass.terms.dbname().unwrap_or(&endpoint.dbname),
        parameters: &front.startup.parameters,
    };
    let limit = match endpoint.others.as_slice() {
        [] => LOGIN_LIMIT,
        _several => SEARCH_LIMIT,
    };
    let entering = hosts::enter(endpoint, dialled, caller);
    select! {
        biased;
        entered = time::timeout(limit, entering) => entered.unwrap_or_else(|_elapsed| {
            Err(ConnectError::Io(io::ErrorKind::TimedOut.into()).into())
        }),
        () = front.up.until_gone(&mut front.tls) => Err(ConnectError::ClientGone.into()),
    }
}

/// What the client is told when it is in: what the target said, with our key in the place of its.
fn welcome(front: &PostgresFront, greeting: &Greeting, key: Option<&BackendKey>) -> Vec<u8> {
    let mut out = Vec::new();
    if let Some(unknown) = &front.startup.unknown {
        startup::put_negotiation(&mut out, unknown);
    }
    out.extend_from_slice(&greeting.before);
    if let Some(key) = key {
        message(&mut out, b'K', |body| {
            body.extend(key.pid.to_be_bytes());
            body.extend_from_slice(&key.secret);
        });
    }
    out.extend_from_slice(&greeting.notices.bytes);
    out.extend_from_slice(&greeting.after);
    out
}
