//! The server's own verbs: `init`, `serve`, `check-config`, and the demo. They talk to no server;
//! they are one.

use std::env;
use std::ffi::OsString;
use std::path::{Path, PathBuf};
use std::process::ExitCode;

use control::ledger::chain::{Walk, hex};
use control::ledger::proof::Misfiled;
use policies::words::cli::ledger;
use policies::words::cli::serving as words;
use policies::words::server::{Initialised, naming};
use serde::Serialize;

use super::failure::{Exit, Failure, Outcome};
use super::printer::Printer;
use crate::{demo, init, server};

/// The verbs of the server itself.
#[derive(Debug, clap::Subcommand)]
pub(crate) enum ServingVerb {
    /// Make a server: configuration, keys, store, first administrator
    Init(init::Args),
    /// Run the server
    Serve(server::Args),
    /// Look for mistakes in tidegate.toml, and whether the policies in the store can be read
    CheckConfig {
        /// Where `tidegate.toml` is
        #[arg(
            long,
            env = "TIDEGATE_SERVER_CONFIG_DIR",
            default_value = "/etc/tidegate",
            value_name = "DIR"
        )]
        config_dir: PathBuf,
    },
    /// Copy what the server cannot be made again from, also while it runs
    Backup(server::BackupArgs),
    /// Try it all on throw-away servers
    Demo(demo::Args),
}

impl ServingVerb {
    /// The same with the server's state in `dir`, where `--state-dir` names one: to `init` it says where the
    /// state goes, and the others would be about another server than was meant.
    fn keeping_state_in(mut self, dir: Option<&Path>) -> Result<Self, Failure> {
        match (&mut self, dir) {
            (Self::Init(args), Some(dir)) => dir.clone_into(&mut args.state_dir),
            (Self::Serve(_) | Self::CheckConfig { .. } | Self::Backup(_), Some(_)) => {
                return Err(Failure::new(Exit::Usage, words::state_elsewhere()));
            }
            (_, None) | (Self::Demo(_), _) => {}
        }
        Ok(self)
    }
}

#[derive(Debug, Serialize)]
struct Made<'a> {
    schema: &'static str,
    config: &'a str,
    fingerprint: &'a str,
    bastion: &'a str,
    admin: &'a str,
}

/// Runs one of them.
pub(crate) async fn run(printer: Printer, verb: ServingVerb, state_dir: Option<&Path>) -> ExitCode {
    let verb = match verb.keeping_state_in(state_dir) {
        Ok(verb) => verb,
        Err(failure) => return printer.failed(&failure),
    };
    let outcome = match verb {
        ServingVerb::Init(args) => made(printer, &args).await,
        ServingVerb::Serve(args) => server::serve(&args, environment())
            .await
            .map_err(|failure| told(words::NOT_SERVED, &failure, &args.config_dir)),
        ServingVerb::CheckConfig { config_dir } => checked(printer, &config_dir).await,
        ServingVerb::Backup(args) => backed_up(printer, &args).await,
        ServingVerb::Demo(args) => return shown(args).await,
    };
    match outcome {
        Ok(()) => ExitCode::SUCCESS,
        Err(failure) => printer.failed(&failure),
    }
}

/// The environment. What is no text in it is for other programs, and no reason not to start. A value of ours that is none
/// becomes one with a NUL, which no setting takes: it must not be read as another.
fn environment() -> impl Iterator<Item = (String, String)> {
    let text = |text: OsString, odd: &str| match text.into_string() {
        Ok(text) => text,
        Err(other) => [&other.to_string_lossy(), odd].concat(),
    };
    env::vars_os().map(move |(name, value)| (text(name, ""), text(value, "\0")))
}

async fn made(printer: Printer, args: &init::Args) -> Outcome {
    let made = init::init(args)
        .await
        .map_err(|failure| told(words::NOT_MADE, &failure, &args.config_dir))?;
    let Initialised {
        config,
        fingerprint,
        bastion,
        admin,
        ..
    } = &made;
    let result = Made {
        schema: "tidegate.init/1",
        config,
        fingerprint,
        bastion,
        admin: admin.as_str(),
    };
    printer.done(&result, fingerprint, &made.to_string())
}

async fn checked(printer: Printer, config_dir: &Path) -> Outcome {
    let refused = |failure| told(words::NOT_CHECKED, &failure, config_dir);
    let config = server::check_config(config_dir, environment()).map_err(refused)?;
    let unproven = server::check_ready(config_dir, &config, environment()).map_err(refused)?;
    server::check_policies(&config).await.map_err(refused)?;
    if let Some(unproven) = unproven {
        printer.warn(&unproven);
    }
    for (path, mode) in server::exposed(config_dir, &config) {
        printer.warn(&words::writable(&path.display().to_string(), mode));
    }
    let shown = config_dir.join(crate::config::FILE).display().to_string();
    printer.done(
        &serde_json::json!({ "schema": "tidegate.check-config/1", "good": true }),
        "good",
        &words::good(&shown, &config_dir.display().to_string()),
    )
}

/// Copies, and says what was proven of the copy.
async fn backed_up(printer: Printer, args: &server::BackupArgs) -> Outcome {
    let refused = |failure| {
        if let server::Failure::Initialised { path } = failure {
            let there = words::there_already(&path.display().to_string());
            return Failure::new(Exit::Conflict, there);
        }
        told(words::NOT_BACKED_UP, &failure, &args.config_dir)
    };
    let backup = server::backup(args, environment()).await.map_err(refused)?;
    let unsound = |found| {
        let trouble = words::unsound(&backup.told.dir, &found);
        Failure::new(Exit::Unproven, trouble)
    };
    if let Some(fault) = backup.proof.log {
        return Err(unsound(ledger::altered(&fault.to_string())));
    }
    let (last, head) = match &backup.proof.chain {
        Walk::Whole { last, head } => (*last, hex(head)),
        Walk::Broken { seq } => return Err(unsound(ledger::broken(*seq))),
    };
    // Last: whoever edits the ledger can edit a row as well, and that would be the smaller of the two.
    if let Some(Misfiled { session, seq }) = backup.proof.session {
        let listed = ledger::listed_otherwise(&session.to_string(), seq);
        return Err(unsound(listed));
    }
    let result = serde_json::json!({
        "schema": "tidegate.backup/1", "dir": &backup.told.dir, "last": last, "digest": head,
    });
    printer.done(&result, &backup.told.dir, &backup.told.said(last, &head))
}

/// The demo starts servers and waits for them in the old way, so it gets a thread of its own.
async fn shown(args: demo::Args) -> ExitCode {
    let run = move || std::thread::spawn(move || demo::run(&args)).join();
    match tokio::task::spawn_blocking(run).await {
        Ok(Ok(code)) => code,
        Ok(Err(_)) | Err(_) => Exit::Error.into(),
    }
}

/// A configuration's mistakes one by one, then what went wrong.
fn told(what: &str, failure: &server::Failure, config_dir: &Path) -> Failure {
    let dir = config_dir.display().to_string();
    let (exit, advice) = if let server::Failure::Initialised { path } = failure {
        let whole = config_dir.join(crate::config::FILE).exists();
        let left = || words::left_over(&path.display().to_string(), &dir);
        let advice = if whole { words::run_it(&dir) } else { left() };
        (Exit::Conflict, Some(advice))
    } else if let server::Failure::Config(_) = failure {
        let advice = if what == words::NOT_MADE {
            words::SAY_OTHERWISE.to_owned()
        } else {
            words::mend_it(&dir)
        };
        (Exit::Usage, Some(advice))
    } else {
        let hint = failure.words().hint;
        (Exit::Error, hint.map(|hint| naming(&dir, &hint)))
    };
    let trouble = words::trouble(what, &failure.words(), advice);
    Failure::new(exit, trouble.shown(failure.mistakes().to_vec()))
}
