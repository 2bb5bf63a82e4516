//! The server's own verbs: `init`, `serve`, `check-config`, and the demo. They talk to no server;
//! they are one.

use std::env;
use std::path::{Path, PathBuf};
use std::process::ExitCode;

use policies::words::cli::serving as words;
use policies::words::server::Initialised;
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
    /// Try it all on throw-away servers
    Demo(demo::Args),
}

impl ServingVerb {
    /// The same with the server's state in `dir`, where `--state-dir` names one.
    pub(crate) fn keeping_state_in(mut self, dir: Option<&Path>) -> Self {
        if let (Self::Init(args), Some(dir)) = (&mut self, dir) {
            dir.clone_into(&mut args.state_dir);
        }
        self
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
pub(crate) async fn run(printer: Printer, verb: ServingVerb) -> ExitCode {
    let outcome = match verb {
        ServingVerb::Init(args) => made(printer, &args).await,
        ServingVerb::Serve(args) => server::serve(&args, env::vars())
            .await
            .map_err(|failure| told(words::NOT_SERVED, &failure, &args.config_dir)),
        ServingVerb::CheckConfig { config_dir } => checked(printer, &config_dir).await,
        ServingVerb::Demo(args) => return shown(args).await,
    };
    match outcome {
        Ok(()) => ExitCode::SUCCESS,
        Err(failure) => printer.failed(&failure),
    }
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
    let config = server::check_config(config_dir, env::vars()).map_err(refused)?;
    server::check_passphrase(&config).map_err(refused)?;
    server::check_policies(&config).await.map_err(refused)?;
    let shown = config_dir.join(crate::config::FILE).display().to_string();
    printer.done(
        &serde_json::json!({ "schema": "tidegate.check-config/1", "good": true }),
        "good",
        &words::good(&shown),
    )
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
    let (exit, advice) = if let server::Failure::Initialised { .. } = failure {
        (Exit::Conflict, Some(words::run_it(&dir)))
    } else if let server::Failure::Config(_) = failure {
        (Exit::Usage, Some(words::mend_it(&dir)))
    } else {
        (Exit::Error, None)
    };
    let trouble = words::trouble(what, &failure.words(), advice);
    Failure::new(exit, trouble.shown(failure.mistakes().to_vec()))
}
