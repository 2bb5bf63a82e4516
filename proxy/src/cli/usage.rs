//! Reading the command line, and saying what is wrong with one that cannot be read: in three lines
//! with an example of the verb, or as JSON, like every other trouble.

use std::env;
use std::ffi::OsString;
use std::process::ExitCode;

use clap::error::{ContextKind, ContextValue, ErrorKind};
use clap::{Command, CommandFactory, FromArgMatches, ValueEnum};
use policies::diagnose::nearest;
use policies::words::cli::Trouble;
use policies::words::cli::usage as words;

use super::Cli;
use super::failure::{Exit, Failure};
use super::printer::{Format, Printer};
use super::typed;

/// Reads what was typed, the program's name first.
///
/// # Errors
///
/// The code to exit with: everything has been said, also where only help was asked for.
pub fn read(line: impl IntoIterator<Item = OsString>) -> Result<Cli, ExitCode> {
    let line: Vec<OsString> = line.into_iter().collect();
    let mut command = exemplified(Cli::command(), "");
    let read = command
        .try_get_matches_from_mut(&line)
        .and_then(|found| Cli::from_arg_matches(&found).map_err(|odd| odd.format(&mut command)));
    read.map_err(|error| refused(&command, &line, &error))
}

/// Every verb's help ends in a line that can be pasted.
fn exemplified(command: Command, path: &str) -> Command {
    let command = match words::example(path) {
        Some(line) => command.after_help(format!("For example:  {line}")),
        None => command,
    };
    let names: Vec<String> = command
        .get_subcommands()
        .map(|verb| verb.get_name().to_owned())
        .collect();
    names.iter().fold(command, |command, name| {
        let path = format!("{path} {name}");
        command.mut_subcommand(name, |verb| exemplified(verb, path.trim()))
    })
}

fn refused(command: &Command, line: &[OsString], error: &clap::Error) -> ExitCode {
    let format = asked_format(line);
    let json = matches!(format, Format::Json | Format::Jsonl);
    let help = matches!(
        error.kind(),
        ErrorKind::DisplayHelp | ErrorKind::DisplayVersion
    );
    let helpless = error.kind() == ErrorKind::DisplayHelpOnMissingArgumentOrSubcommand;
    if help || (helpless && !json) {
        drop(error.print());
        return u8::try_from(error.exit_code()).unwrap_or(1).into();
    }
    let printer = Printer {
        format,
        quiet: false,
        headers: true,
    };
    printer.failed(&Failure::new(Exit::Usage, trouble(command, line, error)))
}

fn trouble(command: &Command, line: &[OsString], error: &clap::Error) -> Trouble {
    let (verb, at) = verb(command, line);
    let word = |kind| match error.get(kind) {
        Some(ContextValue::String(text)) => vec![text.clone()],
        Some(ContextValue::Strings(texts)) => texts.clone(),
        _other => Vec::new(),
    };
    #[expect(
        clippy::wildcard_enum_match_arm,
        reason = "clap says the others well enough"
    )]
    match error.kind() {
        ErrorKind::InvalidSubcommand => {
            let typed = word(ContextKind::InvalidSubcommand).concat();
            if verb.is_empty()
                && let Some(full) = below(command, &typed, line.len() > 2)
            {
                return words::verb_below(&typed, &full);
            }
            let known = at.get_subcommands().map(Command::get_name);
            let meant = nearest(&typed, known).map(|name| format!("{verb} {name}"));
            words::no_such_verb(&typed, meant.as_deref().map(str::trim))
        }
        ErrorKind::MissingRequiredArgument => {
            let what: Vec<String> = word(ContextKind::InvalidArg)
                .iter()
                .map(|what| format!("`{what}`"))
                .collect();
            match what.as_slice() {
                [one] if verb == "revoke" && one.starts_with("`--reason ") => {
                    words::reason_missing(&typed::line(line.iter().cloned()))
                }
                _several => words::missing(&verb, &what),
            }
        }
        ErrorKind::UnknownArgument => {
            words::not_taken(&verb, &word(ContextKind::InvalidArg).concat())
        }
        ErrorKind::DisplayHelpOnMissingArgumentOrSubcommand => {
            words::missing(&verb, &["the verb".to_owned()])
        }
        _other => words::because(&verb, &said(error)),
    }
}

/// The verb below another one that has this name: `recordings verify` for `verify ses_1`. Of several, the
/// one that takes something where something was typed, or nothing where nothing was.
fn below(command: &Command, typed: &str, with: bool) -> Option<String> {
    let found: Vec<_> = command
        .get_subcommands()
        .filter_map(|verb| Some((verb.get_name(), verb.find_subcommand(typed)?)))
        .collect();
    let mut fitting = found.iter().filter(|(_verb, below)| {
        found.len() == 1 || below.get_positionals().next().is_some() == with
    });
    let (verb, below) = fitting.next()?;
    fitting
        .next()
        .is_none()
        .then(|| format!("{verb} {}", below.get_name()))
}

/// The verb that was typed, as far as there is one, and where its flags are described.
fn verb<'a>(command: &'a Command, line: &[OsString]) -> (String, &'a Command) {
    let mut at = command;
    let mut words = Vec::new();
    for word in line.iter().skip(1).filter_map(|word| word.to_str()) {
        if let Some(next) = at.find_subcommand(word) {
            at = next;
            words.push(next.get_name());
        }
    }
    (words.join(" "), at)
}

/// The first paragraph of what clap says, in one line.
fn said(error: &clap::Error) -> String {
    let text = error.render().to_string();
    let first = text.split("\n\n").next().unwrap_or_default();
    let words: Vec<&str> = first.split_whitespace().collect();
    words.join(" ").trim_start_matches("error: ").to_owned()
}

/// How results were to be printed, from a line that could not be read.
fn asked_format(line: &[OsString]) -> Format {
    let mut words = line
        .iter()
        .filter_map(|word| word.to_str())
        .take_while(|word| *word != "--");
    let mut asked = None;
    while let Some(word) = words.next() {
        let value = match word {
            "-o" | "--output" => words.next(),
            other => other.strip_prefix("--output=").or_else(|| {
                other
                    .strip_prefix("-o")
                    .filter(|_| !other.starts_with("--"))
            }),
        };
        asked = value
            .map(|value| value.trim_start_matches('=').to_owned())
            .or(asked);
    }
    let asked = asked.or_else(|| env::var_os("TIDEGATE_OUTPUT")?.into_string().ok());
    let format = asked.and_then(|text| Format::from_str(&text, false).ok());
    format.unwrap_or_default()
}

#[cfg(test)]
mod tests {
    use super::*;

    fn line(text: &str) -> Vec<OsString> {
        text.split(' ').map(OsString::from).collect()
    }

    /// The verbs that have no verbs below them.
    fn leaves(command: &Command, path: &str, found: &mut Vec<String>) {
        for verb in command.get_subcommands() {
            let path = format!("{path} {}", verb.get_name()).trim().to_owned();
            if verb.has_subcommands() {
                leaves(verb, &path, found);
            } else {
                found.push(path);
            }
        }
    }

    #[test]
    fn every_verb_has_an_example_that_is_understood() {
        let mut verbs = Vec::new();
        leaves(&Cli::command(), "", &mut verbs);
        assert!(verbs.len() > 40, "{verbs:?}");
        for verb in verbs {
            let example = words::example(&verb).unwrap_or_else(|| panic!("`{verb}` has none"));
            // What is quoted counts as one word.
            let mut typed = String::new();
            let mut quoted = false;
            for c in example.chars() {
                quoted ^= c == '\'';
                typed.push(if quoted && c == ' ' { '_' } else { c });
            }
            let read = Cli::command().try_get_matches_from(line(&typed));
            assert!(read.is_ok(), "{example}: {}", read.unwrap_err());
            assert!(
                example.starts_with(&format!("tidegate {verb}")),
                "{example}"
            );
        }
    }

    #[track_caller]
    fn check(typed: &str, why: &str, advice: &str) {
        let mut command = Cli::command();
        let error = command.try_get_matches_from_mut(line(typed)).unwrap_err();
        let trouble = trouble(&command, &line(typed), &error);
        assert_eq!(
            (trouble.why.as_str(), trouble.advice.as_str()),
            (why, advice)
        );
    }

    #[test]
    fn a_line_that_is_not_understood_is_answered_with_one_that_is() {
        let ask = "tidegate request web1 --as deploy --for 1h --reason 'INC-7' --wait";
        check("tidegate request web1", "`--reason <TEXT>` is missing", ask);
        check(
            "tidegate requst web1",
            "tidegate knows no `requst` there",
            ask,
        );
        check(
            "tidegate verify ses_1",
            "tidegate knows no `verify` there; did you mean `recordings verify`?",
            "tidegate recordings verify ses_…",
        );
        check(
            "tidegate verify",
            "tidegate knows no `verify` there; did you mean `audit verify`?",
            "tidegate audit verify",
        );
        check(
            "tidegate target rn web1",
            "tidegate knows no `rn` there",
            "tidegate target rm web1",
        );
        check(
            "tidegate withdraw req_1 --force",
            "`tidegate withdraw` takes no `--force`",
            "tidegate withdraw req_…",
        );
    }

    #[test]
    fn whoever_named_a_grant_to_revoke_is_not_told_to_revoke_more() {
        for typed in ["tidegate revoke grt_1", "tidegate revoke --session ses_1"] {
            let again = format!("{typed} --reason '…'");
            check(typed, "`--reason <TEXT>` is missing", &again);
        }
    }

    #[test]
    fn the_format_is_known_though_the_line_is_not() {
        let json = |typed: &str| asked_format(&line(typed)) == Format::Json;
        assert!(json("tidegate -o json requst") && json("tidegate requst --output=json"));
        assert!(json("tidegate requst -ojson") && json("tidegate -o=json requst"));
        assert!(!json("tidegate requst") && !json("tidegate requst -- -o json"));
    }
}
