//! The main job on throw-away servers: a real `sshd`, a real PostgreSQL, three people.
//!
//! Everything lives in one directory and ends with the process that started it. The servers and the
//! stage are plain types that the tests use as well. Nothing here is used by the server.

use std::path::PathBuf;
use std::process::ExitCode;
use std::thread;
use std::time::Duration;

use policies::words::demo as words;

mod daemon;
mod failure;
mod install;
mod people;
mod postgres;
mod scratch;
mod sshd;
mod stage;
mod stop;
mod story;

pub use daemon::{Daemon, Ending, Signals, StartError, free_port, signal};
pub use failure::DemoError;
pub use people::{Person, said};
pub use postgres::{PostgresOptions, PostgresServer};
pub use scratch::Scratch;
pub use sshd::{Sshd, SshdOptions, current_login};
pub use stage::{Doors, ROLE, Stage, StageOptions};

use stop::Stop;
use story::{Story, say};

/// The exit code of whoever was interrupted.
const INTERRUPTED: u8 = 130;

/// How long to wait between two looks at whether we were asked to end.
const PAUSE: Duration = Duration::from_millis(50);

/// Try the main job on throw-away servers: ask, be granted, go in, be recorded, be cut
#[derive(Debug, Clone, clap::Args)]
pub struct Args {
    /// Install by apt what is missing: openssh-server, openssh-client, postgresql
    #[arg(long)]
    pub install: bool,
    /// Do the whole story, check every step, and exit 0 only if all of them held
    #[arg(long)]
    pub script: bool,
}

/// Runs the demo until it is told or stopped. Blocks, and must not be called inside a runtime.
pub fn run(args: &Args) -> ExitCode {
    match tell(args) {
        Ok(true) => ExitCode::SUCCESS,
        Ok(false) => ExitCode::FAILURE,
        Err(DemoError::Stopped) => {
            say(words::stopped());
            ExitCode::from(INTERRUPTED)
        }
        Err(DemoError::Missing(packages)) => {
            say(&words::missing(&packages));
            ExitCode::FAILURE
        }
        Err(error) => {
            say(&words::trouble(&failure::chain(&error)));
            ExitCode::FAILURE
        }
    }
}

fn tell(args: &Args) -> Result<bool, DemoError> {
    let stop = Stop::listen()?;
    say(words::opening());
    let missing = install::missing();
    if !missing.is_empty() {
        if !args.install {
            return Err(DemoError::Missing(missing));
        }
        say(&words::installing(&missing));
        install::install(&missing)?;
    }
    let binary = std::env::current_exe().map_err(DemoError::io("find our own binary"))?;
    let mut stage = match Stage::set(&options(&binary)) {
        // Whatever else failed, it failed because somebody ended it.
        Err(_ended) if stop.asked() => return Err(DemoError::Stopped),
        set => set?,
    };
    say(&words::setting(&stage.dir().display().to_string()));
    stop.check()?;
    if args.script {
        let held = Story::new(&mut stage, &stop).tell();
        if !matches!(held, Ok(true) | Err(DemoError::Stopped)) {
            stage.keep();
            say(&words::kept(&stage.dir().display().to_string()));
        }
        return held;
    }
    let script = |person: &Person| person.script().display().to_string();
    let (alice, bob, carol) = (
        script(stage.alice()),
        script(stage.bob()),
        script(stage.carol()),
    );
    let address = format!("-p {} {}+web1@localhost", stage.doors().ssh, stage.login());
    say(&words::tour(&words::stops(&alice, &bob, &carol, &address)));
    while !stop.asked() {
        if stage.server().is_none_or(Daemon::has_ended) {
            stage.keep();
            return Err(DemoError::Broken("the server ended by itself".into()));
        }
        thread::sleep(PAUSE);
    }
    say(words::stopping());
    drop(stage);
    Err(DemoError::Stopped)
}

fn options(binary: &PathBuf) -> StageOptions<'_> {
    StageOptions {
        name: "tidegate-demo",
        binary,
        signals: Signals::Shielded,
        sshd: "",
        rules: "",
        postgres: "",
        postgres_bin: None,
        settings: &[],
    }
}
