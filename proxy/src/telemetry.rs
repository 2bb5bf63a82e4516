//! Where the log goes, and how much of it. The fields have fixed names: `session principal login
//! target grant lock node protocol reason`. No secrets, no query text, no terminal bytes.

use tracing_subscriber::filter::{LevelFilter, Targets};
use tracing_subscriber::layer::SubscriberExt as _;
use tracing_subscriber::util::SubscriberInitExt as _;

/// How the log looks.
#[derive(Debug, Clone, Copy, PartialEq, Eq, clap::ValueEnum)]
pub enum LogFormat {
    /// One line an event, for people.
    Text,
    /// One JSON object an event, for machines.
    Json,
}

/// Sends the log to standard error. `filter` is in the form of `RUST_LOG`, for example
/// `info,proxy=debug`; what cannot be read counts as `info`.
///
/// Filters by module and level alone: a filter that looks at spans would be asked each time a session
/// does anything.
pub fn start(format: LogFormat, filter: &str) {
    let usual = |_unreadable| Targets::new().with_default(LevelFilter::INFO);
    let filter: Targets = filter.parse().unwrap_or_else(usual);
    let lines = tracing_subscriber::fmt::layer()
        .with_writer(std::io::stderr)
        .with_target(false);
    let log = tracing_subscriber::registry().with(filter);
    let started = match format {
        LogFormat::Text => log.with(lines.with_ansi(false)).try_init(),
        LogFormat::Json => log.with(lines.json()).try_init(),
    };
    if started.is_err() {
        tracing::debug!("log.started_twice");
    }
}
