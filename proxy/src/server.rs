//! The composition root: builds the house from its configuration, opens the doors, and closes them
//! again so that every session is cut, told and sealed.

use std::fs;
use std::io;
use std::path::PathBuf;
use std::sync::Arc;
use std::time::Duration;

use ca::Authority;
use control::ledger::Witness;
use control::store::{Backend, OpenError};
use control::{Broker, Clock};
use jiff::SignedDuration;
use recorder::{Limits, Recorder};
use tokio::signal::unix::{Signal, SignalKind, signal};
use tokio::task::JoinSet;
use tokio::time;
use tokio_util::task::TaskTracker;
use tracing::{error, info, warn};

use crate::config::{self, Config};
use crate::init;
use crate::session::bastion::Bastion;
use crate::session::chain;
use runtime::ControlRuntime;

mod accounts;
mod api;
mod backup;
mod crowd;
mod doors;
mod exposed;
mod failure;
mod identify;
mod identity;
mod inside;
mod memory;
mod passphrase;
mod probe;
mod ready;
mod recovery;
mod roles;
mod runtime;
mod seal;
mod tls;
mod tracks;
mod upkeep;

pub use backup::{Args as BackupArgs, Backup, backup};
pub use exposed::{Exposed, exposed};
pub use failure::Failure;
pub use ready::check_ready;

/// What `serve` is told.
#[derive(Debug, Clone, clap::Args)]
pub struct Args {
    /// Where `tidegate.toml` is.
    #[arg(
        long,
        env = "TIDEGATE_SERVER_CONFIG_DIR",
        default_value = "/etc/tidegate",
        value_name = "DIR"
    )]
    pub config_dir: PathBuf,
    /// Believe the clock even where it is behind the log, because it was ahead when that was written
    #[arg(long)]
    pub believe_clock: bool,
    /// Believe the log of changes though it is not what was written, because there is no backup (TG712)
    #[arg(long)]
    pub believe_log: bool,
    /// How the log looks.
    #[arg(long, env = "TIDEGATE_LOG_FORMAT", default_value = "text")]
    pub log_format: crate::telemetry::LogFormat,
    /// What is logged, for example `info,proxy=debug`.
    #[arg(long, env = "TIDEGATE_LOG", default_value = "info")]
    pub log: String,
}

/// The file, beside the store, that says how far log and ledger were proven.
const CHECKPOINT: &str = "ledger.checkpoint";

/// How long after the first word to stop another is the same one, said twice: some supervisors tell a process, and
/// then its whole group.
const SAME_WORD: Duration = Duration::from_secs(1);

/// How long sessions get to be told and sealed once they have been cut.
const CLOSING_LIMIT: Duration = Duration::from_secs(10);

/// Reads and checks the configuration.
///
/// # Errors
///
/// Every mistake at once.
pub fn check_config(
    config_dir: &std::path::Path,
    environment: impl IntoIterator<Item = (String, String)>,
) -> Result<Config, Failure> {
    let path = config_dir.join(config::FILE);
    let text = fs::read_to_string(&path).map_err(|source| Failure::Read {
        path: path.clone(),
        source,
    })?;
    Config::read(&path.display().to_string(), &text, config_dir, environment)
        .map_err(Failure::Config)
}

/// Looks whether this version can read the policies in the store. A server that runs has read them, and
/// nobody else can open its store.
///
/// # Errors
///
/// When it cannot.
pub async fn check_policies(config: &Config) -> Result<(), Failure> {
    let path = init::store_path(&config.state_dir);
    if !path.exists() {
        return Ok(());
    }
    let store = match Backend::sqlite(&path).await {
        Ok(store) => store,
        Err(OpenError::Taken { .. }) => return Ok(()),
        Err(other) => return Err(Failure::Store(other)),
    };
    let checked = control::offline::check_policies(&store).await;
    checked.map_err(|source| Failure::Policies {
        state_dir: config.state_dir.clone(),
        source,
    })
}

/// Runs the server until it is asked to stop.
///
/// # Errors
///
/// When it cannot start. Whatever happens later is logged and survived, or ends the process.
pub async fn serve(
    args: &Args,
    environment: impl IntoIterator<Item = (String, String)>,
) -> Result<(), Failure> {
    let environment: Vec<(String, String)> = environment.into_iter().collect();
    let credentials = passphrase::credentials(&environment);
    let config = check_config(&args.config_dir, environment)?;
    crate::telemetry::start(args.log_format, &args.log);
    // Before there is anything in it to keep.
    if let Err(refused) = memory::keep_to_ourselves() {
        warn!(reason = %refused, "cores.unprevented");
    }
    for (path, mode) in exposed(&args.config_dir, &config) {
        warn!(path = %path.display(), mode = format!("{mode:04o}"), "state.exposed");
    }
    let listeners = doors::Listeners::bind(&config)?;
    let house = build(&config, args, credentials).await?;
    let tracker = TaskTracker::new();
    let mut upkeep = JoinSet::new();
    upkeep.spawn_on(
        upkeep::sync_recordings(house.recorder.clone(), house.broker.clone()),
        house.control.handle(),
    );
    house.broker.lend_hand(Arc::new(roles::Steward {
        broker: house.broker.clone(),
        authority: house.authority.clone(),
        clerk: accounts::Clerk {
            broker: house.broker.clone(),
            authority: house.authority.clone(),
            egress: config.egress.clone(),
            newest: std::sync::Mutex::default(),
        },
    }));
    upkeep.spawn_on(house.broker.clone().keep_roles(), house.control.handle());
    upkeep::of_ledger(&house.broker, &mut upkeep, house.control.handle());
    let doors = doors::Doors::open(&config, &house, &tracker).await?;
    let mut asked = Asked::listen().map_err(Failure::Signal)?;
    doors.accept(&config, &house, listeners, &mut upkeep);
    info!("server.ready");
    let ready = sd_notify::notify(&[sd_notify::NotifyState::Ready]);
    if let Err(refused) = ready {
        warn!(reason = %refused, "server.unnotified");
    }

    // What goes on beside the sessions never ends by itself: if some of it does, so do we.
    let ended = tokio::select! {
        () = asked.again() => Ok(()),
        Some(_) = upkeep.join_next() => Err(Failure::Upkeep),
        () = house.broker.blinded() => Err(Failure::Upkeep),
    };
    if let Err(failure) = &ended {
        error!(reason = %chain(failure), "server.failed");
    }
    info!("server.stopping");
    doors.close();
    house.broker.refuse_newcomers();
    drain(&house, &tracker, config.drain_timeout, &mut asked).await;
    doors.close_api();
    upkeep.shutdown().await;
    house.broker.write_all_counted().await;
    house.broker.sign_ledger().await;
    tell_head(&house.broker).await;
    info!("server.stopped");
    ended
}

/// Says where the ledger ends, for whoever keeps this log elsewhere.
async fn tell_head(broker: &Broker) {
    match broker.ledger_head().await {
        Ok((seq, digest)) => info!(seq, digest, "ledger.ends"),
        Err(refused) => warn!(reason = %refused, "ledger.unread"),
    }
}

/// The parts that everything shares.
pub(crate) struct House {
    pub(crate) broker: Broker,
    pub(crate) authority: Authority,
    pub(crate) recorder: Recorder,
    pub(crate) bastion: Arc<Bastion>,
    control: ControlRuntime,
    /// Apart from `control`, so that no answer stands before an ending.
    api: ControlRuntime,
    /// Apart from both: a thousand sessions that end at once open two thousand connections.
    _halts: ControlRuntime,
}

async fn build(
    config: &Config,
    args: &Args,
    credentials: Option<PathBuf>,
) -> Result<House, Failure> {
    if let Err(refused) = rlimit::increase_nofile_limit(u64::MAX) {
        warn!(reason = %refused, "descriptors.unraised");
    }
    let passphrase = passphrase::read(&config.passphrase, credentials.as_deref()).await?;
    let authority = Authority::open(&init::authority_dir(&config.state_dir), &passphrase)
        .map_err(Failure::OpenAuthority)?;
    let limits = Limits {
        reserve_bytes: config.reserve_bytes,
        stream_max: config.stream_max,
        recording_max: config.recording_max,
        ..Limits::default()
    };
    let was_bare = recovery::is_bare(&config.recordings);
    let recorder = Recorder::open_dir(
        &config.recordings,
        limits,
        Arc::new(seal::AuthoritySeal::new(&authority)),
    )
    .map_err(Failure::Recorder)?;
    let control = ControlRuntime::start("control").map_err(Failure::Threads)?;
    let api = ControlRuntime::start("api").map_err(Failure::Threads)?;
    let halts = ControlRuntime::start("halts").map_err(Failure::Threads)?;
    let broker = control.run(broker(config, args, &authority)).await;
    let broker = broker.map_err(|panicked| Failure::Threads(panicked.into()))??;
    if was_bare {
        recovery::tell_bare(&config.recordings, &broker).await?;
    }
    recovery::recover(&recorder, &broker).await?;
    let bastion = Bastion::new(
        broker.clone(),
        authority.clone(),
        recorder.clone(),
        config.egress.clone(),
        halts.handle().clone(),
    )
    .with_idle_limit(config.idle_limit);
    Ok(House {
        broker,
        authority,
        recorder,
        bastion: Arc::new(bastion),
        control,
        api,
        _halts: halts,
    })
}

/// Opens the store and starts the broker, whose tasks live where this runs.
fn broker(
    config: &Config,
    args: &Args,
    authority: &Authority,
) -> impl Future<Output = Result<Broker, Failure>> + Send + use<> {
    let state_dir = config.state_dir.clone();
    let path = init::store_path(&state_dir);
    let seal = Arc::new(seal::AuthoritySeal::new(authority));
    let witness = Witness::new(state_dir.join(CHECKPOINT), seal);
    let settings = control::Settings {
        blind_limit: config.blind_limit,
        login_lifetime: SignedDuration::try_from(config.login_lifetime)
            .unwrap_or(SignedDuration::MAX),
        per_principal: config.per_principal_max,
        per_database: config.per_database_max,
        one_time_passwords: config.one_time_passwords,
        believe_clock: args.believe_clock,
        believe_log: args.believe_log,
        ..control::Settings::default()
    };
    async move {
        // There is an authority, so there was a store: a new one would know nobody, and have no past.
        let is_lost = match fs::metadata(&path) {
            Ok(found) => found.len() == 0,
            Err(unseen) => unseen.kind() == io::ErrorKind::NotFound,
        };
        if is_lost {
            return Err(Failure::Lost { path });
        }
        let store = Backend::sqlite(&path).await.map_err(Failure::Store)?;
        Broker::start_from(store, Clock::system(), settings, Some(witness))
            .await
            .map_err(|source| Failure::Stored { state_dir, source })
    }
}

/// How the server is asked to stop.
struct Asked {
    term: Signal,
    int: Signal,
    hangup: Signal,
}

impl Asked {
    fn listen() -> io::Result<Self> {
        Ok(Self {
            term: signal(SignalKind::terminate())?,
            int: signal(SignalKind::interrupt())?,
            hangup: signal(SignalKind::hangup())?,
        })
    }

    /// Comes back each time it is.
    async fn again(&mut self) {
        loop {
            tokio::select! {
                _ = self.term.recv() => return,
                _ = self.int.recv() => return,
                // A closed terminal, or somebody who expects a daemon to read its settings again, must not end sessions.
                _ = self.hangup.recv() => warn!(
                    reason = policies::words::server::NO_RELOAD,
                    "server.hangup"
                ),
            }
        }
    }
}

/// Lets sessions run on for as long as the operator allows, or until they ask again; tells who is in them, then cuts
/// them, and waits until every recording is sealed.
async fn drain(house: &House, tracker: &TaskTracker, drain_timeout: Duration, asked: &mut Asked) {
    tracker.close();
    let now = house.broker.clock().instant();
    let end = now.checked_add(drain_timeout).unwrap_or(now);
    // Where they end at once they are told that, and nothing else.
    if !drain_timeout.is_zero() {
        house.bastion.stops_at(end);
    }
    let again = async {
        let not_before = now.checked_add(SAME_WORD).unwrap_or(now);
        loop {
            asked.again().await;
            if house.broker.clock().instant() >= not_before {
                return;
            }
        }
    };
    let are_over = tokio::select! {
        waited = time::timeout_at(end, tracker.wait()) => waited.is_ok(),
        () = again => {
            info!("server.hurried");
            false
        }
    };
    if !are_over {
        house.broker.stop();
    }
    // Of a session whose task is gone the end may still be written down.
    let over = async {
        tracker.wait().await;
        house.bastion.all_closed().await;
    };
    if time::timeout(CLOSING_LIMIT, over).await.is_err() {
        error!(
            reason = "sessions did not end in time; the next start seals their recordings",
            "server.undrained"
        );
    }
}
