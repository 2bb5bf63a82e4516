//! What a protocol has to be able to do for the spine, and what it may know of its session.
//!
//! A protocol turns bytes into an [`Ask`] and moves bytes once the spine says so. It has no broker,
//! no store and no authority: it cannot let anybody in.

use std::future::Future;
use std::net::IpAddr;
use std::pin::Pin;

use ca::Pass;
use control::BrokerError;
use control::broker::Acquaintance;
use control::onetime::{OneTimeSecret, Verifier};
use policies::words::Words;
use policies::words::cli::doctor::no_algorithm;
use policies::words::host_key::HostKeyFault;
use policies::words::postgres::TlsFault;
use policies::{
    Algorithms, Ask, Credential, HostPort, Login, PrincipalName, SecretId, SessionAttrs, TargetName,
};
use recorder::AppendError;

use super::dial::DialError;
use super::incoming::Newcomer;
use super::scope::Scope;
use super::severable::Severable;
use super::way::Dialled;

/// One protocol that people speak through tidegate.
pub trait Protocol: Send + Sync + 'static {
    /// The client's side, from the greeting to the farewell.
    type Front: Front;
    /// The target's side, connected and authenticated.
    type Back: Send + 'static;
    /// How work under way at the target is stopped once its socket is gone.
    type Halt: Halt;

    /// Finds out who is there and what they ask for. Enforces the greeting limit itself: until the
    /// client has proven who it is, it has [`GREETING_LIMIT`](super::GREETING_LIMIT); then
    /// [`Newcomer::proven`] gives back the seat that unproven connections take.
    ///
    /// # Errors
    ///
    /// When there is nobody to let in: the client went away, proved nothing, or wanted something
    /// that is no session and has been answered already.
    fn greet(
        &self,
        io: Severable,
        newcomer: Newcomer,
    ) -> impl Future<Output = Result<Identified<Self::Front>, Refused>> + Send;

    /// Logs in at the target, over a socket that is already connected to one of its hosts. Where that
    /// is not one that is wanted, connects to the others, under the same severer.
    ///
    /// # Errors
    ///
    /// When the target is not the one we know, or does not let us in.
    fn connect(
        &self,
        front: &mut Self::Front,
        dialled: Dialled,
        pass: Pass,
        scope: &Scope,
    ) -> impl Future<Output = Result<Connected<Self>, ConnectError>> + Send
    where
        Self: Sized;

    /// Moves bytes both ways until one side ends. Whatever passes is recorded first.
    fn relay(
        &self,
        front: &mut Self::Front,
        back: Self::Back,
        scope: &Scope,
    ) -> impl Future<Output = Closed> + Send;
}

/// A target that let us in.
#[derive(Debug)]
pub struct Connected<P: Protocol> {
    /// The target's side.
    pub back: P::Back,
    /// How to stop work under way there.
    pub halt: P::Halt,
}

/// Someone who proved who they are, and asks for something.
#[derive(Debug)]
pub struct Identified<F> {
    /// The question.
    pub ask: Ask,
    /// Where to answer.
    pub front: F,
}

/// The client's side of a session.
pub trait Front: Send + 'static {
    /// Says no, and why, in the protocol's own way. Returns when it is said or cannot be said.
    fn refuse(&mut self, words: &Words) -> impl Future<Output = ()> + Send;

    /// Says why the session has ended, if the client listens. The caller gives it
    /// [`FAREWELL_LIMIT`](super::FAREWELL_LIMIT) and then cuts the socket in any case.
    fn farewell(&mut self, words: &Words) -> impl Future<Output = ()> + Send;

    /// Ends the client's side where there is nothing to say: what was already passed on is
    /// delivered, then the connection is closed in the protocol's own way. The caller
    /// gives it [`LEAVE_LIMIT`](super::LEAVE_LIMIT) and then cuts the socket.
    fn leave(&mut self) -> impl Future<Output = ()> + Send;
}

/// Stops what the session had under way at the target. Runs after the target's socket is gone.
pub trait Halt: Send + 'static {
    /// Whether anything was under way that needs stopping.
    fn is_needed(&self) -> bool;

    /// Stops it, and looks whether it has stopped, for as long as that is worth trying; whoever waits for it
    /// does so for [`HALT_LIMIT`](super::HALT_LIMIT). `pass` makes what opens a short connection as the same login,
    /// where the protocol needs one to look; nothing that can be done without waits for it.
    fn halt<F: Future<Output = Option<Pass>> + Send + 'static>(
        self,
        pass: impl Fn() -> F + Send + Sync + 'static,
    ) -> impl Future<Output = Halted> + Send + 'static;
}

/// Whether the work under way has been seen to stop.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Halted {
    /// It was seen to have stopped.
    Confirmed,
    /// The target was asked to stop it; whether it did was not seen.
    Unconfirmed,
}

/// Why there is nobody to let in. For the operator; the client has been told what it may be told.
#[derive(Debug, thiserror::Error)]
pub enum Refused {
    /// The client went away or spoke nonsense.
    #[error("greet the client")]
    Greeting(#[source] std::io::Error),
    /// The client proved nothing, or too often something wrong.
    #[error("no proof of who is there")]
    Unproven,
    /// The client proved nothing in time.
    #[error("no proof of who is there in time")]
    Silent,
    /// The client broke the protocol.
    #[error("the client broke the protocol: {0}")]
    Violation(&'static str),
    /// The client wanted no session, and has been answered.
    #[error("no session was asked for")]
    Answered,
    /// The socket could not be held.
    #[error("hold the client's socket")]
    Socket(#[source] std::io::Error),
}

impl Refused {
    /// Whether the client may have been told something last, which a cut of its socket would take back.
    pub(crate) fn is_told(&self) -> bool {
        match self {
            Self::Unproven | Self::Answered => true,
            Self::Greeting(_) | Self::Silent | Self::Violation(_) | Self::Socket(_) => false,
        }
    }
}

/// Why the target did not let us in.
#[derive(Debug, thiserror::Error)]
pub enum ConnectError {
    /// Nobody answers there.
    #[error("reach the target")]
    Unreachable(#[from] DialError),
    /// A target in front of it did not let us through.
    #[error("go through the target `{name}`")]
    Hop {
        /// Which.
        name: TargetName,
        /// Why not.
        source: Box<ConnectError>,
    },
    /// It let us in, and does not connect onward.
    #[error("it does not connect to `{to}`: {why}")]
    Onward {
        /// Where to.
        to: HostPort,
        /// Why not.
        why: &'static str,
    },
    /// It proved to be another one than the one we know.
    #[error("the target did not prove who it is: {0}")]
    Impostor(String),
    /// It is an SSH server that proved to be another one.
    #[error("the target did not prove who it is: {0}")]
    Unproven(HostKeyFault),
    /// It is a database server with which there is no TLS, of which nothing says that it is another one.
    #[error("the target {}", .0.fact())]
    Handshake(TlsFault),
    /// It is an SSH server that speaks none of the algorithms that are spoken with it.
    #[error("{}", no_algorithm(*.spoken))]
    NoAlgorithm {
        /// Which are spoken with it.
        spoken: Algorithms,
    },
    /// It does not accept our certificate.
    #[error("the target refused us: {0}")]
    Refused(String),
    /// It broke the protocol.
    #[error("the target broke the protocol: {0}")]
    Violation(String),
    /// The client would begin with a setting that it may not make, and is told this.
    #[error("{}", .0.what)]
    Setting(Words),
    /// Its hosts answer, and none is such as sessions are for.
    #[error("no host of the target is for `{wanted}` sessions ({tried})")]
    Unsuited {
        /// What is wanted.
        wanted: SessionAttrs,
        /// Each host, and what it is.
        tried: String,
    },
    /// The connection to it ended while we logged in.
    #[error("the connection to the target ended")]
    Io(#[source] std::io::Error),
    /// It sent text that cannot be read while we logged in.
    #[error("the target sent text that is not UTF-8, such as a banner")]
    Unreadable,
    /// There is no certificate to log in with.
    #[error("make a certificate")]
    Issue(#[from] ca::IssueError),
    /// The database has no role for the grant.
    #[error("have a role for the grant")]
    Role(#[source] control::roles::RoleRefusal),
    /// The client went away meanwhile.
    #[error("the client went away while the target was being reached")]
    ClientGone,
    /// It is a bastion, and somebody wants to log in there from here.
    #[error("it is a bastion, at which nobody logs in from here")]
    Direct,
    /// It is a bastion, and what is to be carried there is no SSH connection.
    #[error("what came is no SSH connection: {0}")]
    Misused(&'static str),
    /// What was said could not be recorded.
    #[error("record the session")]
    Recorder(#[source] AppendError),
}

impl ConnectError {
    /// Whether it, or a target in front of it, is another one than the one we know.
    pub(crate) fn is_impostor(&self) -> bool {
        if let Self::Hop { source, .. } = self {
            return source.is_impostor();
        }
        matches!(self, Self::Impostor(_) | Self::Unproven(_))
    }
}

/// Who ended a session that we did not end, or why it could not go on.
#[derive(Debug)]
pub enum Closed {
    /// It came to its natural end.
    Complete,
    /// The client went away.
    Client,
    /// The target went away.
    Target,
    /// The target broke off in the middle of something: what is said of it.
    Broken(Words),
    /// The recording could not go on.
    Recorder(AppendError),
    /// One side broke the protocol, and has been told.
    Violation(&'static str),
}

/// What [`Identify::redeem`] gives.
pub type Redeeming<'a> =
    Pin<Box<dyn Future<Output = Result<OneTimeSecret, BrokerError>> + Send + 'a>>;

/// What [`Identify::misproven`] gives.
pub type Noting<'a> = Pin<Box<dyn Future<Output = ()> + Send + 'a>>;

/// Says who someone is. All that the protocols are given of the control plane while they greet.
pub trait Identify: Send + Sync + 'static {
    /// Whose registered key this is (one-line OpenSSH form), if anybody's. Takes as long for a key
    /// that nobody has.
    fn by_key(&self, openssh: &str) -> Option<(PrincipalName, Credential)>;

    /// Whether this principal may come in at all: known, not locked, and proven by what they showed.
    fn admits(&self, principal: &PrincipalName, credential: &Credential) -> bool;

    /// Whose a key with this fingerprint is that lets nobody in, for the operator.
    fn acquaintance(&self, _fingerprint: &str) -> Option<Acquaintance> {
        None
    }

    /// By what a proof of this one-time secret is checked, if there is one of this name.
    fn verifier(&self, secret: SecretId) -> Option<Verifier>;

    /// Writes down that somebody came with a wrong proof of this one-time secret, where there is one.
    fn misproven(&self, secret: SecretId, source: IpAddr) -> Noting<'_>;

    /// Takes one connection off a one-time secret that has been proven, at this target and as this
    /// login. It may be no good any more, or not there.
    fn redeem<'a>(
        &'a self,
        secret: SecretId,
        source: IpAddr,
        place: (&'a TargetName, &'a Login),
    ) -> Redeeming<'a>;

    /// The time, to judge certificates by.
    fn now(&self) -> jiff::Timestamp;
}
