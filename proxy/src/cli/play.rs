//! `play`: a recorded terminal in the terminal, or the statements of a database session.
//!
//! With nobody at the terminal it prints everything at once, as text, and never waits. Whatever is
//! shown can only draw: see `recorder::Sanitiser`.

mod beside;
mod deck;
mod keys;

use std::fs::File;
use std::io::{IsTerminal as _, stdin, stdout};
use std::time::Duration;

use clap::Args;
use policies::Protocol;
use policies::words::cli::prompts;
use policies::words::recordings as words;
use recorder::Form;

use crate::cli::client::chain;
use crate::cli::context::Context;
use crate::cli::failure::{Exit, Failure, Outcome};
use crate::cli::printer::Format;
use crate::cli::recordings::{beginning, ended, fetched, proven, written};

/// Play a recorded session
///
/// Keys: space pauses, left and right move 5 s, up and down or + and - change the speed, `.` steps
/// while paused, q quits.
#[derive(Debug, Args)]
pub(crate) struct PlayArgs {
    /// Which: a session, `last`, or a file
    #[arg(value_name = "ID|FILE")]
    which: String,
    /// How many times faster than it was
    #[arg(long, default_value_t = 1.0, value_parser = speed)]
    speed: f64,
    /// Where to begin: 90s, 1m30s, 12:30 or 1:02:03
    #[arg(long, value_name = "TIME", value_parser = point)]
    at: Option<Duration>,
    /// Cut every wait to this, for example 2s or 500ms
    #[arg(long, value_name = "DURATION", value_parser = point)]
    idle_limit: Option<Duration>,
    /// Which channel of an SSH session; without it the first with a terminal
    #[arg(long)]
    channel: Option<u32>,
}

/// `play …`.
pub(crate) async fn play(context: &Context, args: PlayArgs) -> Outcome {
    let fetched = fetched(context, &args.which).await?;
    let wrong = proven(context, &args.which, &fetched).await?;
    let file = fetched.file;
    let protocol = beginning(&args.which, &file)?.heading().protocol;
    let watched = stdin().is_terminal() && stdout().is_terminal();
    let plain = context.printer.format != Format::Table || protocol == Protocol::Postgres;
    if watched && !plain {
        deck::run(context, file, &args).await?;
    } else {
        print(context, &file, &args)?;
    }
    ended(wrong)
}

/// Prints all of it at once.
fn print(context: &Context, file: &File, args: &PlayArgs) -> Outcome {
    let form = match context.printer.format {
        Format::Json | Format::Jsonl => Form::JsonLines,
        Format::Table | Format::Wide | Format::Name => Form::Text,
    };
    let mut reader = beginning(&args.which, file)?;
    let mut out = crate::cli::recordings::buffered(context.printer);
    written(&mut reader, form, args.channel, &mut out).map_err(|found| {
        Failure::new(
            Exit::Unproven,
            words::unreadable(&args.which, &chain(&found)),
        )
    })
}

/// Reads a speed: over 0, at most 1000.
fn speed(text: &str) -> Result<f64, String> {
    let number = text.trim_end_matches('x').parse::<f64>();
    match number {
        Ok(number) if number > 0.0 && number <= 1000.0 => Ok(number),
        _ => Err(prompts::not_a_speed(text)),
    }
}

/// Reads a length of time: `90s`, `1m30s`, `500ms`, `2`, `12:30`, `1:02:03`.
fn point(text: &str) -> Result<Duration, String> {
    let refuse = || prompts::not_a_time(text);
    if let Some(millis) = text.strip_suffix("ms") {
        return millis
            .parse()
            .map(Duration::from_millis)
            .map_err(|_odd| refuse());
    }
    if let Ok(duration) = crate::cli::when::duration(text) {
        return Ok(duration);
    }
    let mut seconds = 0_u64;
    for (place, part) in text.split(':').enumerate() {
        let number: u64 = part.parse().map_err(|_odd| refuse())?;
        if place > 2 || (place > 0 && number > 59) {
            return Err(refuse());
        }
        seconds = seconds
            .checked_mul(60)
            .and_then(|seconds| seconds.checked_add(number))
            .ok_or_else(refuse)?;
    }
    Ok(Duration::from_secs(seconds))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[track_caller]
    fn check(text: &str, want: Option<u64>) {
        assert_eq!(point(text).ok(), want.map(Duration::from_millis), "{text}");
    }

    #[test]
    fn points_in_time_are_clocks_or_durations() {
        check("12:30", Some(750_000));
        check("1:02:03", Some(3_723_000));
        check("90s", Some(90_000));
        check("1m30s", Some(90_000));
        check("500ms", Some(500));
        check("2", Some(2_000));
        check("1:60", None);
        check("1:2:3:4", None);
        check("soon", None);
        check("", None);
    }

    #[test]
    fn a_speed_is_over_nothing() {
        assert_eq!(speed("2"), Ok(2.0));
        assert_eq!(speed("1.5x"), Ok(1.5));
        assert!(speed("0").is_err() && speed("-1").is_err() && speed("inf").is_err());
    }
}
