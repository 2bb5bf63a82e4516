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
    let filter = chosen(filter);
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

/// What of all that happens is in the log. Of russh nothing, unless that is asked for: it writes down what peers
/// say, as they say it, line breaks and all, and as often.
fn chosen(filter: &str) -> Targets {
    let usual = |_unreadable| Targets::new().with_default(LevelFilter::INFO);
    let chosen: Targets = filter.parse().unwrap_or_else(usual);
    if chosen
        .iter()
        .any(|(target, _level)| target.starts_with("russh"))
    {
        chosen
    } else {
        chosen.with_target("russh", LevelFilter::OFF)
    }
}

#[cfg(test)]
mod tests {
    use tracing::Level;

    use super::*;

    #[track_caller]
    fn check(filter: &str, target: &str, level: Level, want: bool) {
        let told = chosen(filter).would_enable(target, &level);
        assert_eq!(told, want, "{filter} {target} {level}");
    }

    /// russh writes down what peers say, as they say it and as often.
    #[test]
    fn what_peers_make_up_is_not_in_the_log_unless_it_is_asked_for() {
        let deep = "russh::server::encrypted";
        for filter in ["info", "debug", "info,proxy=debug", "=x=y"] {
            check(filter, deep, Level::ERROR, false);
            check(filter, deep, Level::INFO, false);
            check(filter, "proxy::session", Level::INFO, true);
        }
        check("info,russh=debug", deep, Level::DEBUG, true);
        check("info,russh::server=warn", deep, Level::WARN, true);
        check("warn", "proxy::session", Level::INFO, false);
    }
}
