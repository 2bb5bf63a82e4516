//! Sessions whose task is gone before they were over.

use std::net::{IpAddr, Ipv4Addr};
use std::pin::pin;
use std::sync::Mutex;

use control::ledger::Session;
use control::store::{Backend, Store as _};
use control::{Clock, Settings};
use jiff::Timestamp;
use policies::{
    Algorithms, Capabilities, Capability, Credential, Deed, Denial, Endpoint, Entry, GrantId,
    HostKeyPin, HostPort, InputRecording, Login, Obligations, PrincipalName, Protocol, SeverReason,
    SshEndpoint, Target, TargetName, Terms,
};
use recorder::{Heading, Limits, Recorder, Seal};
use tempfile::TempDir;
use tracing::subscriber::DefaultGuard;
use tracing::{Event, Level, Subscriber};
use tracing_subscriber::Layer;
use tracing_subscriber::layer::SubscriberExt as _;
use tracing_subscriber::registry::LookupSpan;

use ca::Pass;

use super::*;
use crate::session::halting::Halting;
use crate::session::protocol::{Halt, Halted};
use crate::session::scope::{Judge, Reach};

struct NoSeal;

impl Seal for NoSeal {
    fn sign(&self, _message: &[u8]) -> Vec<u8> {
        vec![0; 64]
    }

    fn key(&self) -> [u8; 32] {
        [0; 32]
    }
}

struct Yes;

impl Judge for Yes {
    fn may(&self, _terms: &Terms, _deed: &Deed) -> Result<(), Denial> {
        Ok(())
    }
}

fn moment() -> Timestamp {
    Timestamp::from_second(1_800_000_000).unwrap()
}

fn terms() -> Terms {
    let now = moment();
    let endpoint = SshEndpoint {
        addr: HostPort {
            host: "127.0.0.1".to_owned(),
            port: 22,
        },
        host_key: HostKeyPin::Keys { keys: Vec::new() },
        jump: None,
        entry: Entry::Certificate,
        algorithms: Algorithms::Modern,
        keeper: None,
    };
    Terms {
        principal: PrincipalName::parse("alice").unwrap(),
        credential: Credential::Key {
            fingerprint: "SHA256:test".to_owned(),
        },
        source: IpAddr::V4(Ipv4Addr::LOCALHOST),
        target: Arc::new(Target {
            name: TargetName::parse("web1").unwrap(),
            endpoint: Endpoint::Ssh(endpoint),
            logins: [Login::parse("root").unwrap()].into(),
            labels: std::collections::BTreeMap::new(),
            owners: None,
            added_at: now,
            namesakes: std::collections::BTreeSet::new(),
        }),
        login: Login::parse("root").unwrap(),
        database: None,
        via: Vec::new(),
        protocol: Protocol::Ssh,
        grant: GrantId::new(now, [1; 10]),
        until: Timestamp::from_second(1_800_000_900).unwrap(),
        capabilities: Capabilities::from([Capability::Shell]),
        obligations: Obligations {
            input: InputRecording::Counted,
        },
    }
}

struct House {
    dir: TempDir,
    store: Backend,
    closer: Closer,
    recorder: Recorder,
}

impl House {
    async fn new() -> Self {
        let (dir, store) = (tempfile::tempdir().unwrap(), Backend::memory());
        let limits = Limits {
            reserve_bytes: 0,
            ..Limits::default()
        };
        let broker = Broker::start(store.clone(), Clock::system(), Settings::default()).await;
        Self {
            recorder: Recorder::open_dir(dir.path(), limits, Arc::new(NoSeal)).unwrap(),
            closer: Closer::new(broker.unwrap()),
            dir,
            store,
        }
    }

    /// A session that is live in recording and ledger.
    async fn session(&self, number: u8) -> (SessionId, Scope) {
        let (terms, broker) = (terms(), &self.closer.broker);
        let session = SessionId::new(moment(), [number; 10]);
        let heading = Heading::of(session, &terms, None, broker.clock().now());
        let recording = self.recorder.open(&heading).unwrap();
        broker.session_opened(session, &terms).await.unwrap();
        let kept = (recording, broker.clock().clone());
        let scope = Scope::new(session, terms, Arc::new(Yes), kept, Reach::default());
        (session, scope)
    }

    async fn listed(&self, session: SessionId) -> Session {
        self.store.session(session).await.unwrap().unwrap()
    }

    /// How it ended, as soon as it has.
    async fn end_of(&self, session: SessionId) -> SessionEnd {
        let ended = async {
            loop {
                if let Some(end) = self.listed(session).await.end {
                    return end;
                }
                tokio::time::sleep(Duration::from_millis(10)).await;
            }
        };
        let end = tokio::time::timeout(Duration::from_secs(20), ended).await;
        let end = end.expect("the session is over in the ledger");
        assert!(matches!(end.recording, RecordingState::Sealed { .. }));
        let name = |ending| self.dir.path().join(format!("{session}.{ending}"));
        assert!(name("rec").exists() && !name("part").exists());
        end
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn a_session_whose_task_panics_or_is_dropped_is_sealed_and_closed() {
    let house = House::new().await;
    let (panicked, scope) = house.session(1).await;
    let closing = house.closer.hold(&scope);
    let task = tokio::spawn(async move {
        let _closing = closing;
        panic!("a defect");
    });
    assert!(task.await.unwrap_err().is_panic());
    let (dropped, scope) = house.session(2).await;
    drop(house.closer.hold(&scope));
    for session in [panicked, dropped] {
        let Cause::Failed { code, .. } = house.end_of(session).await.cause else {
            panic!("it failed");
        };
        assert_eq!(code, "TG418");
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn a_stop_waits_for_the_end_of_a_session_that_nobody_waits_for() {
    let house = House::new().await;
    let (dropped, scope) = house.session(1).await;
    let parting = house.closer.partings.begin();
    drop(house.closer.hold(&scope));
    assert!(house.listed(dropped).await.end.is_none());
    drop(parting);
    house.closer.all_closed().await;
    assert!(house.listed(dropped).await.end.is_some());
}

/// The text of every error that is logged by whoever polls on this thread.
fn logged_errors() -> (Arc<Mutex<Vec<String>>>, DefaultGuard) {
    let errors = Arc::default();
    let log = tracing_subscriber::registry().with(Errors(Arc::clone(&errors)));
    (errors, tracing::subscriber::set_default(log))
}

struct Errors(Arc<Mutex<Vec<String>>>);

impl<S: Subscriber + for<'a> LookupSpan<'a>> Layer<S> for Errors {
    fn on_event(&self, event: &Event<'_>, context: tracing_subscriber::layer::Context<'_, S>) {
        if *event.metadata().level() != Level::ERROR {
            return;
        }
        let span = context.event_span(event).map(|span| span.name());
        let text = format!("{} {event:?}", span.unwrap_or_default());
        self.0.lock().unwrap().push(text);
    }
}

#[tokio::test]
async fn a_defect_in_a_session_is_an_error_under_its_name() {
    let (errors, _guard) = logged_errors();
    let house = House::new().await;
    let (_panicked, scope) = house.session(1).await;
    let span = tracing::info_span!("session");
    let closing = span.in_scope(|| house.closer.hold(&scope));
    let task = tokio::spawn(async move {
        let _closing = closing;
        panic!("a defect");
    });
    assert!(task.await.unwrap_err().is_panic());
    house.closer.all_closed().await;
    let errors = errors.lock().unwrap();
    let said = |error: &String| error.starts_with("session ") && error.contains("session.panicked");
    assert!(errors.iter().any(said), "{errors:?}");
}

#[tokio::test(flavor = "multi_thread")]
async fn a_session_that_was_severed_before_its_task_was_dropped_ends_as_severed_and_once() {
    let house = House::new().await;
    let (session, scope) = house.session(1).await;
    let mut closing = house.closer.hold(&scope);
    closing.ends_as(Ending::Severed(SeverReason::Blind));
    drop(closing);
    let reason = SeverReason::Blind;
    let cause = house.end_of(session).await.cause;
    assert_eq!(cause, Cause::Severed { reason });

    let (session, scope) = house.session(2).await;
    let mut closing = house.closer.hold(&scope);
    closing.ends_as(Ending::Severed(SeverReason::Blind));
    closing.close(Timeline::default()).await;
    assert!(house.listed(session).await.end.is_some());
    let lines = house.store.lines(0, 100).await.unwrap();
    let closed = |session: SessionId| {
        let said = |line: &&control::ledger::chain::Stored| {
            line.body.contains("session_closed") && line.body.contains(&session.to_string())
        };
        lines.iter().filter(said).count()
    };
    assert_eq!(closed(session), 1);
}

#[tokio::test(start_paused = true)]
async fn the_end_of_a_session_is_written_down_once_the_store_takes_it() {
    let house = House::new().await;
    let Backend::Memory(store) = &house.store else {
        panic!("a store in memory");
    };
    let (session, scope) = house.session(1).await;
    let mut closing = house.closer.hold(&scope);
    closing.ends_as(Ending::Severed(SeverReason::Blind));
    store.fail(true);
    let mut closed = pin!(closing.close(Timeline::default()));
    let waits = tokio::time::timeout(Duration::from_secs(100), closed.as_mut()).await;
    assert!(waits.is_err());
    store.fail(false);
    let closed = tokio::time::timeout(Duration::from_secs(3), closed).await;
    closed.expect("it is written down");
    let reason = SeverReason::Blind;
    assert_eq!(house.end_of(session).await.cause, Cause::Severed { reason });
}

/// Work that does not stop while anybody waits for it, and tells when its stopping began.
struct Endless(std::sync::mpsc::Sender<()>);

impl Halt for Endless {
    fn is_needed(&self) -> bool {
        true
    }

    async fn halt<F: Future<Output = Option<Pass>> + Send + 'static>(
        self,
        _pass: impl Fn() -> F + Send + Sync + 'static,
    ) -> Halted {
        self.0.send(()).unwrap();
        std::future::pending().await
    }
}

#[tokio::test]
async fn work_is_stopped_while_the_sessions_track_is_busy_and_is_told_where_it_goes_on() {
    let house = House::new().await;
    let (session, scope) = house.session(1).await;
    let halts = tokio::runtime::Builder::new_multi_thread()
        .worker_threads(1)
        .enable_all()
        .build()
        .unwrap();
    let halting = Halting::of(&scope, halts.handle());
    let (tell, began) = std::sync::mpsc::channel();
    halting.hold(Endless(tell));
    halting.begin();
    // This thread runs nothing meanwhile.
    began.recv_timeout(Duration::from_secs(20)).unwrap();
    let mut closing = house.closer.hold(&scope);
    let halted = halting.outcome().await;
    assert_eq!(halted, Outcome::Unconfirmed);
    closing.halted(halted);
    closing.close(Timeline::default()).await;
    assert!(house.end_of(session).await.timeline.halt_unconfirmed);
    halts.shutdown_background();
}

/// Their disk hangs, say.
#[tokio::test]
async fn threads_that_tell_nothing_hold_up_no_sessions_end() {
    let house = House::new().await;
    let (_session, scope) = house.session(1).await;
    let halts = tokio::runtime::Builder::new_current_thread()
        .build()
        .unwrap();
    // Nobody drives it.
    let halting = Halting::of(&scope, halts.handle());
    let (tell, _began) = std::sync::mpsc::channel();
    halting.hold(Endless(tell));
    halting.begin();
    let told = tokio::time::timeout(Duration::from_secs(10), halting.outcome()).await;
    assert_eq!(told.unwrap(), Outcome::Unconfirmed);
    halts.shutdown_background();
}
