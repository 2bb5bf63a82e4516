//! What the spine asks of the rest of the house: to admit, to record, to issue, to dial, to close.
//!
//! Not a locator: protocols never see it, and its parts cannot be taken out.

use std::fmt;
use std::net::IpAddr;
use std::sync::Arc;
use std::time::Duration;

use ca::{Authority, IssueError, JournalError, Pass, PassOrder, Traveller, VaultError};
use control::ledger::StandingUse;
use control::{Admission, Broker, Heard, entropy};
use policies::{
    Ask, Deed, Denial, FileUse, HeldStatement, Limit, Permit, Protocol, Scrutiny, SessionId,
    SqlStatement, Terms,
};
use recorder::{End, Heading, Recorder, Recording, Timeline};
use tokio::runtime::Handle;
use tokio::sync::mpsc;
use tokio::time::Instant;
use tracing::info;

use super::closing::{Closer, Closing};
use super::halt_pass::{HaltPasses, Signed};
use super::halting::Halting;
use super::meter::Meter;
use super::parting::Parting;
use super::protocol::{ConnectError, Halt};
use super::road::{Direct, Road, Through, Whom};
use super::scope::{Judge, Reach, Scope};
use super::severable::Severer;
use super::share::Shares;
use super::stopping::Stopping;
use super::way::{Dialled, Way};

/// The house behind the spine.
pub struct Bastion {
    broker: Broker,
    authority: Authority,
    recorder: Recorder,
    /// The addresses from which targets see us, where they differ from our sockets' own.
    egress: Vec<IpAddr>,
    closer: Closer,
    halt_passes: Arc<dyn HaltPasses>,
    /// Where the work of cut sessions is stopped.
    halts: Handle,
    shares: Arc<Shares>,
    stopping: Stopping,
    /// How long nothing may come from the client of a session, if that has a limit.
    idle_limit: Option<Duration>,
}

impl fmt::Debug for Bastion {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Bastion").finish_non_exhaustive()
    }
}

impl Bastion {
    /// Puts the parts together. The work of cut sessions is stopped on the threads of `halts`.
    pub fn new(
        broker: Broker,
        authority: Authority,
        recorder: Recorder,
        egress: Vec<IpAddr>,
        halts: Handle,
    ) -> Self {
        let halt_passes = Arc::new(Signed {
            broker: broker.clone(),
            authority: authority.clone(),
        });
        Self {
            closer: Closer::new(broker.clone()),
            broker,
            authority,
            recorder,
            egress,
            halt_passes,
            halts,
            shares: Arc::default(),
            stopping: Stopping::default(),
            idle_limit: None,
        }
    }

    /// The same, where sessions end from whose clients nothing comes for so long.
    #[must_use]
    pub fn with_idle_limit(self, idle_limit: Option<Duration>) -> Self {
        Self { idle_limit, ..self }
    }

    /// Decides.
    pub async fn admit(&self, ask: &Ask) -> Result<Admission, Denial> {
        self.broker.admit(ask).await
    }

    /// Opens the recording and tells the ledger. Nothing may reach the target before.
    pub async fn open_recording(
        &self,
        session: SessionId,
        terms: &Terms,
    ) -> Result<Recording, Box<dyn std::error::Error + Send + Sync>> {
        let reason = self.broker.reason_of(terms.grant);
        let heading = Heading::of(session, terms, reason, self.broker.clock().now());
        let recording = self.recorder.open(&heading)?;
        if let Err(refused) = self.broker.session_opened(session, terms).await {
            let (now, end) = (self.broker.clock().now(), unopened());
            let sealing = move || recording.seal(Duration::ZERO, now, &end, &Timeline::default());
            drop(tokio::task::spawn_blocking(sealing).await);
            return Err(refused.into());
        }
        Ok(recording)
    }

    /// What the protocol may know of the session, on the thread where it is going to live.
    pub fn scope(&self, session: SessionId, terms: Terms, recording: Recording) -> Scope {
        let judge = Arc::new(BrokerJudge(self.broker.clone()));
        let meter = self.meter(session, &terms);
        let clock = self.broker.clock().clone();
        let road: Arc<dyn Road> = match self.road(session, &terms) {
            Some(road) => Arc::new(road),
            None => Arc::new(Direct),
        };
        let halt_passes = Arc::clone(&self.halt_passes);
        let share = self.shares.of(&terms.principal);
        let reach = Reach {
            meter,
            road,
            halt_passes,
            share,
            idle_limit: self.idle_limit,
            stop: self.stopping.heard(),
        };
        Scope::new(session, terms, judge, (recording, clock), reach)
    }

    /// The way to the target once more, where others stand in front of it.
    fn road(&self, session: SessionId, terms: &Terms) -> Option<Through> {
        (!terms.via.is_empty()).then(|| Through {
            broker: self.broker.clone(),
            authority: self.authority.clone(),
            egress: self.egress.clone(),
            whom: Whom::Session(session, Box::new(terms.clone())),
            via: terms.via.clone(),
        })
    }

    /// What the session may spend of its grant's budget, where there is one.
    fn meter(&self, session: SessionId, terms: &Terms) -> Option<Meter> {
        if terms.protocol != Protocol::Postgres {
            return None;
        }
        let (broker, grant) = (self.broker.clone(), terms.grant);
        let reached = move |limit: &Limit, tenths: u64| {
            let (broker, limit) = (broker.clone(), limit.clone());
            // It ends once it is written or cannot be; there are at most eleven for a limit.
            tokio::spawn(async move {
                let of = (session, grant);
                broker.write_spent(of, Some((limit, tenths))).await;
            });
        };
        let limits = self.broker.budget(terms);
        if limits.is_empty() {
            return None;
        }
        Meter::new(grant, limits, self.broker.spent(grant), Box::new(reached))
    }

    /// Sees to it that the session has an account at its target, where that is one that only the
    /// grant has.
    pub async fn equip(&self, session: SessionId, terms: &Terms) -> Result<(), ConnectError> {
        let role = self.broker.need_role(session, terms).await;
        role.map_err(ConnectError::Role)
    }

    /// Spends the permit on a certificate. Where a bastion is gone through, on nothing that opens it.
    pub async fn issue(
        &self,
        session: SessionId,
        permit: Permit,
        source: Option<IpAddr>,
    ) -> Result<Pass, IssueError> {
        let target = &permit.terms().target;
        if target.is_bastion() {
            // No certificate comes after the line of their admission, whose own line would wait for it.
            let settled = self.broker.settled().await;
            settled.map_err(|refused| IssueError::Journal(JournalError::new(refused)))?;
            return Ok(Pass::without_key(permit, session));
        }
        if !target.entry().is_certificate() {
            let kept = self.broker.kept(&target.name).ok_or(VaultError::Open)?;
            let terms = permit.terms();
            let noted = self
                .broker
                .standing_used(session, terms, StandingUse::Session);
            noted
                .await
                .map_err(|refused| IssueError::Journal(JournalError::new(refused)))?;
            info!(entry = target.entry().as_str(), "credential.used");
            let pass = self
                .authority
                .standing_pass(permit, session, &kept.sealed.0)?;
            return Ok(pass);
        }
        let mut rng = entropy::rng();
        let order = PassOrder {
            session,
            now: self.broker.clock().now(),
            source_address: source,
            rng: &mut rng,
        };
        self.authority
            .issue_pass(permit, order, self.broker.journal())
            .await
    }

    /// What stops the session's work at its target when it ends, on threads that carry no session.
    pub(crate) fn halting<H: Halt>(&self, scope: &Scope) -> Halting<H> {
        Halting::of(scope, &self.halts)
    }

    /// Connects to the target, through those that stand in front of it. No byte is sent to it.
    pub async fn dial(
        &self,
        session: SessionId,
        terms: &Terms,
        severer: &Severer,
    ) -> Result<Dialled, ConnectError> {
        let way = Way {
            broker: &self.broker,
            authority: &self.authority,
            egress: &self.egress,
        };
        let addrs = terms.target.addrs();
        if addrs.len() > 1 && terms.via.is_empty() {
            return way.go_to_one_of(&addrs, severer).await;
        }
        let traveller = Traveller::Session(session, terms);
        way.go((&terms.via, terms.target.addr()), traveller, severer)
            .await
    }

    /// The server was told to stop: who is in a session that lasts until `end` is told when it ends.
    pub(crate) fn stops_at(&self, end: Instant) {
        self.stopping.tell(end);
    }

    /// Somebody is being told goodbye, until the answer is dropped.
    pub fn parting(&self) -> Parting<'_> {
        self.closer.partings.begin()
    }

    /// Returns when no end of a session is being written down any more. For the stop, once no session goes on.
    pub async fn all_closed(&self) {
        self.closer.all_closed().await;
    }

    /// Holds the end of the session: it is written down whatever becomes of the task that runs it.
    pub fn closing(&self, scope: &Scope) -> Closing {
        self.closer.hold(scope)
    }
}

/// The end of a recording whose session the store did not take.
fn unopened() -> End {
    let words = policies::words::session::abandoned();
    End::Failed {
        code: words.code.to_owned(),
        why: words.what,
    }
}

#[derive(Debug)]
struct BrokerJudge(Broker);

impl Judge for BrokerJudge {
    fn may(&self, terms: &Terms, deed: &Deed) -> Result<(), Denial> {
        self.0.may(terms, deed)
    }

    fn edition(&self) -> u64 {
        self.0.edition()
    }

    fn scrutiny(&self, terms: &Terms) -> Scrutiny {
        self.0.scrutiny(terms)
    }

    fn can_be_seconded(&self, terms: &Terms, statement: &SqlStatement) -> bool {
        self.0.can_be_seconded(terms, statement)
    }

    fn second(
        &self,
        terms: &Terms,
        held: HeldStatement,
        statements: Vec<SqlStatement>,
    ) -> mpsc::Receiver<Heard> {
        self.0.second(terms, held, statements)
    }

    fn files(&self, terms: &Terms) -> FileUse {
        self.0.files(terms)
    }
}
