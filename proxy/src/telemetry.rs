//! Where the log goes, and how much of it. The fields have fixed names: `session principal login
//! target grant lock node protocol reason`. No secrets, no query text, no terminal bytes.

use std::fmt::Result as Written;

use tracing::Subscriber;
use tracing_subscriber::field::RecordFields;
use tracing_subscriber::filter::{LevelFilter, Targets};
use tracing_subscriber::fmt::format::{DefaultFields, Writer};
use tracing_subscriber::fmt::{self, FormatFields, MakeWriter};
use tracing_subscriber::layer::{Layer, SubscriberExt as _};
use tracing_subscriber::registry::LookupSpan;
use tracing_subscriber::util::SubscriberInitExt as _;

use crate::harmless;

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
    let log = tracing_subscriber::registry().with(chosen(filter));
    let started = match format {
        LogFormat::Text => log.with(text(std::io::stderr)).try_init(),
        LogFormat::Json => log.with(json(std::io::stderr)).try_init(),
    };
    if started.is_err() {
        tracing::debug!("log.started_twice");
    }
    if read(filter).is_none() {
        tracing::warn!(filter, "log.filter_unread");
    }
}

/// The log for people. What others make up is in its values, so nothing in them begins a line or moves a
/// cursor, whoever logs it and by whatever sigil.
fn text<S, W>(writer: W) -> impl Layer<S>
where
    S: Subscriber + for<'a> LookupSpan<'a>,
    W: for<'w> MakeWriter<'w> + 'static,
{
    fmt::layer()
        .with_writer(writer)
        .with_target(false)
        .with_ansi(false)
        .fmt_fields(OneLine)
}

/// The log for machines.
fn json<S, W>(writer: W) -> impl Layer<S>
where
    S: Subscriber + for<'a> LookupSpan<'a>,
    W: for<'w> MakeWriter<'w> + 'static,
{
    fmt::layer().with_writer(writer).with_target(false).json()
}

/// Fields as they usually look, with what a terminal or a line-based reader obeys as visible escapes.
struct OneLine;

impl<'w> FormatFields<'w> for OneLine {
    fn format_fields<R: RecordFields>(&self, mut writer: Writer<'w>, fields: R) -> Written {
        let mut usual = String::new();
        DefaultFields::new().format_fields(Writer::new(&mut usual), fields)?;
        writer.write_str(&harmless::line(&usual))
    }
}

/// What of all that happens is in the log. Of russh nothing, unless that is asked for: it writes down what peers
/// say, as they say it, line breaks and all, and as often.
fn chosen(filter: &str) -> Targets {
    let usual = || Targets::new().with_default(LevelFilter::INFO);
    let chosen = read(filter).unwrap_or_else(usual);
    if chosen
        .iter()
        .any(|(target, _level)| target.starts_with("russh"))
    {
        chosen
    } else {
        chosen.with_target("russh", LevelFilter::OFF)
    }
}

/// What a filter asks for, where it can be read. A word alone is a level: one that is none would be taken for a module,
/// and of all others nothing would be in the log, not even what a person must look at.
fn read(filter: &str) -> Option<Targets> {
    let is_clear = |part: &str| {
        part.contains('=') || (!part.is_empty() && part.parse::<LevelFilter>().is_ok())
    };
    let is_clear = filter.split(',').map(str::trim).all(is_clear);
    filter.parse().ok().filter(|_targets| is_clear)
}

#[cfg(test)]
mod tests {
    use tracing::Level;

    use std::sync::Arc;

    use super::*;

    /// What the log is when `happens`.
    fn logged(format: LogFormat, happens: impl FnOnce()) -> String {
        let file = tempfile::NamedTempFile::new().unwrap();
        let written = Arc::new(file.reopen().unwrap());
        let log = tracing_subscriber::registry();
        match format {
            LogFormat::Text => {
                let log = log.with(text(Arc::clone(&written)));
                tracing::subscriber::with_default(log, happens);
            }
            LogFormat::Json => {
                let log = log.with(json(Arc::clone(&written)));
                tracing::subscriber::with_default(log, happens);
            }
        }
        std::fs::read_to_string(file.path()).unwrap()
    }

    /// A server's complaint, as it came.
    const FORGED: &str = "no\n2026-01-05T09:00:00Z  INFO login.issued principal=alice\r\x1b[1A\u{9b}2J\u{202e}\u{2028}";

    fn complains() {
        let session = tracing::info_span!("session", principal = %"al\nice", login = "a\nb");
        session.in_scope(|| {
            tracing::error!(target = %"orders", reason = %FORGED, quoted = "x\ny", count = 3, "role.failed");
            tracing::warn!("{FORGED}");
        });
    }

    #[test]
    fn nothing_that_others_make_up_begins_a_line_of_the_log() {
        let log = logged(LogFormat::Text, complains);
        let lines: Vec<&str> = log.lines().collect();
        assert_eq!(lines.len(), 2, "{log}");
        assert!(
            !log.contains(|c: char| c != '\n' && c.is_control()),
            "{log:?}"
        );
        assert!(!log.contains(['\u{202e}', '\u{2028}']), "{log:?}");
        let (_at, first) = lines[0].split_once(' ').unwrap();
        let want = r#"ERROR session{principal=al\u{a}ice login="a\nb"}: role.failed target=orders reason=no\u{a}2026-01-05T09:00:00Z  INFO login.issued principal=alice\u{d}\u{1b}[1A\u{9b}2J\u{202e}\u{2028} quoted="x\ny" count=3"#;
        assert_eq!(first, want);
    }

    /// What holds nothing of that looks as it always did, letters of all scripts too.
    #[test]
    fn what_is_harmless_looks_as_it_is() {
        let happens =
            || tracing::info!(reason = %"grüße: \"漢字\" 🦀", path = ?"a b", "server.ready");
        let log = logged(LogFormat::Text, happens);
        let want = " INFO server.ready reason=grüße: \"漢字\" 🦀 path=\"a b\"\n";
        assert!(log.ends_with(want), "{log}");
    }

    #[test]
    fn the_log_for_machines_has_what_was_said_byte_for_byte() {
        let log = logged(LogFormat::Json, complains);
        let first: serde_json::Value = serde_json::from_str(log.lines().next().unwrap()).unwrap();
        assert_eq!(first["fields"]["reason"], FORGED);
        assert_eq!(first["fields"]["message"], "role.failed");
        assert_eq!(first["span"]["principal"], "al\nice");
    }

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
        for misspelt in ["inof", "", "debug,inof", "proxy"] {
            check(misspelt, "proxy::session", Level::INFO, true);
            check(misspelt, "control::broker", Level::ERROR, true);
            check(misspelt, "proxy::session", Level::DEBUG, false);
        }
        check("info,russh=debug", deep, Level::DEBUG, true);
        check("info,russh::server=warn", deep, Level::WARN, true);
        check("warn", "proxy::session", Level::INFO, false);
    }
}
