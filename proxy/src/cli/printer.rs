//! The only file that writes to standard output.
//!
//! Data goes to standard output; talk goes to standard error. A closed pipe is not an error:
//! `tidegate ls | head -1` ends quietly. What is printed may come from a server that has not proven
//! itself: all but what is printed as it is passes through [`harmless`].

use std::io::{Write, stderr, stdout};
use std::process::ExitCode;

use clap::ValueEnum;
use policies::words::cli::{self, Trouble, prompts};
use policies::{Diagnosis, HeldStatement, Severity};
use serde::Serialize;

use crate::cli::failure::{Exit, Failure, Outcome};
pub(crate) use crate::harmless;

/// How results are printed.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default, ValueEnum)]
pub(crate) enum Format {
    /// Columns for people.
    #[default]
    Table,
    /// All columns for people.
    Wide,
    /// One JSON document.
    Json,
    /// One JSON object a line.
    Jsonl,
    /// Names or ids, one a line.
    Name,
}

/// Prints what verbs find.
#[derive(Debug, Clone, Copy)]
pub(crate) struct Printer {
    /// How.
    pub format: Format,
    /// Only data and warnings, no talk.
    pub quiet: bool,
    /// Whether tables have a first line that names the columns.
    pub headers: bool,
}

/// How one kind of thing is laid out in columns. The first column is its name.
pub(crate) trait Row: Serialize {
    /// The columns' names, and how many of them are shown unless all are asked for.
    const COLUMNS: (&'static [&'static str], usize);
    /// The cells, one per column.
    fn cells(&self) -> Vec<String>;
}

/// A trouble as scripts read it. Fields are only ever added.
#[derive(Debug, Serialize)]
struct Complaint<'a> {
    schema: &'static str,
    code: &'a str,
    message: &'a str,
    why: &'a str,
    hint: &'a str,
    exit: u8,
    #[serde(skip_serializing_if = "Vec::is_empty")]
    mistakes: Vec<Mistake<'a>>,
}

/// One mistake in one file.
#[derive(Debug, Serialize)]
struct Mistake<'a> {
    file: &'a str,
    line: Option<usize>,
    column: Option<usize>,
    warning: bool,
    message: &'a str,
    hint: Option<&'a str>,
}

impl<'a> Complaint<'a> {
    fn of(exit: Exit, trouble: &'a Trouble) -> Self {
        let place = |mistake: &Diagnosis| mistake.place.as_ref().map(|at| (at.line, at.column));
        let mistake = |mistake: &'a Diagnosis| Mistake {
            file: &mistake.document,
            line: place(mistake).map(|(line, _)| line),
            column: place(mistake).map(|(_, column)| column),
            warning: mistake.severity == Severity::Warning,
            message: &mistake.what,
            hint: mistake.advice.as_deref(),
        };
        Self {
            schema: "tidegate.error/1",
            code: trouble.code.as_deref().unwrap_or(exit.word()),
            message: &trouble.what,
            why: &trouble.why,
            hint: &trouble.advice,
            exit: exit.code(),
            mistakes: trouble.mistakes.iter().map(mistake).collect(),
        }
    }
}

impl Printer {
    /// Prints a list: `whole` is the document for `-o json`.
    pub(crate) fn list<T: Row>(self, whole: &impl Serialize, rows: &[T]) -> Outcome {
        match self.format {
            Format::Json => self.json(whole),
            Format::Jsonl => rows.iter().try_for_each(|row| self.line(row)),
            Format::Name => {
                let names: Vec<String> = rows
                    .iter()
                    .filter_map(|row| cells(row).into_iter().next())
                    .collect();
                self.lines(&names)
            }
            Format::Table | Format::Wide => self.table(rows),
        }
    }

    /// Prints one thing: as JSON where asked, else its fields under each other.
    pub(crate) fn one<T: Row>(self, thing: &T) -> Outcome {
        match self.format {
            Format::Json => self.json(thing),
            Format::Jsonl => self.line(thing),
            Format::Name => self.lines(&cells(thing).into_iter().take(1).collect::<Vec<_>>()),
            Format::Table | Format::Wide => {
                let cells = cells(thing);
                let width = T::COLUMNS
                    .0
                    .iter()
                    .map(|name| name.len())
                    .max()
                    .unwrap_or(0);
                let lines: Vec<String> = T::COLUMNS
                    .0
                    .iter()
                    .zip(&cells)
                    .filter(|(_, cell)| !cell.is_empty())
                    .map(|(name, cell)| format!("{:width$}  {cell}", name.to_lowercase()))
                    .collect();
                self.lines(&lines)
            }
        }
    }

    /// The result of a deed: JSON where asked, else `said`, which `-q` silences.
    pub(crate) fn done(self, result: &impl Serialize, name: &str, said: &str) -> Outcome {
        match self.format {
            Format::Table | Format::Wide if self.quiet => Ok(()),
            Format::Table | Format::Wide | Format::Json | Format::Jsonl | Format::Name => {
                self.shown(result, name, said)
            }
        }
    }

    /// A text that was asked for: JSON where asked, else itself, whether or not anything else is to be said.
    pub(crate) fn shown(self, result: &impl Serialize, name: &str, text: &str) -> Outcome {
        match self.format {
            Format::Json => self.json(result),
            Format::Jsonl => self.line(result),
            Format::Name => self.lines(&[harmless::text(name)]),
            Format::Table | Format::Wide => self.text(&format!("{}\n", harmless::text(text))),
        }
    }

    /// Prints a statement that waits, line by line behind a bar, so that none can pass for ours, and
    /// what can be typed.
    pub(crate) fn statement(self, held: &HeldStatement, hint: Option<&str>) -> Outcome {
        if !matches!(self.format, Format::Table | Format::Wide) {
            return Ok(());
        }
        let mut lines = vec![String::new()];
        let barred = |text: &str| format!("  | {}", harmless::statement(text));
        lines.extend(held.text.split('\n').map(barred));
        let values = held.values.iter().enumerate();
        lines.extend(values.map(|(at, value)| {
            format!(
                "  ${} = {}",
                at.saturating_add(1),
                harmless::statement(value)
            )
        }));
        if let Some(database) = &held.database {
            let database = harmless::statement(database.as_str());
            lines.push(cli::statement_database(&database));
        }
        if held.brief {
            lines.push(cli::statement_brief().to_owned());
        }
        lines.push(format!("sha256 {}", harmless::line(&held.digest)));
        let policy = format!("{} ({})", held.why, held.policy);
        lines.push(harmless::line(&policy));
        lines.extend(hint.map(harmless::text));
        self.lines(&lines)
    }

    /// Prints text as it is.
    #[expect(clippy::unused_self, reason = "printing goes through the printer")]
    pub(crate) fn text(self, text: &str) -> Outcome {
        let mut out = stdout().lock();
        write(out.write_all(text.as_bytes()).and_then(|()| out.flush()))
    }

    /// Prints bytes as they are.
    #[expect(clippy::unused_self, reason = "printing goes through the printer")]
    pub(crate) fn bytes(self, bytes: &[u8]) -> Outcome {
        let mut out = stdout().lock();
        write(out.write_all(bytes).and_then(|()| out.flush()))
    }

    /// Whether there is talk on standard error: not with `-q`, and not where JSON is read from it.
    fn talks(self) -> bool {
        !self.quiet && !matches!(self.format, Format::Json | Format::Jsonl)
    }

    /// Says something to the person, on standard error.
    pub(crate) fn say(self, text: &str) {
        if self.talks() {
            drop(writeln!(stderr().lock(), "{}", harmless::text(text)));
        }
    }

    /// Warns the person, on standard error, with `-q` too.
    pub(crate) fn warn(self, text: &str) {
        Self {
            quiet: false,
            ..self
        }
        .say(text);
    }

    /// Says something in the place of what was said in this line before.
    pub(crate) fn again(self, text: &str) {
        if self.talks() {
            let (mut out, text) = (stderr().lock(), harmless::text(text));
            drop(write!(out, "\r\x1b[K{text}").and_then(|()| out.flush()));
        }
    }

    /// Tells a trouble, on standard error: three lines, or a line of JSON where that was asked for.
    pub(crate) fn trouble(self, exit: Exit, trouble: &Trouble) {
        let text = match self.format {
            Format::Json | Format::Jsonl => {
                let told = serde_json::to_string(&Complaint::of(exit, trouble));
                harmless::json(&told.unwrap_or_default())
            }
            Format::Table | Format::Wide | Format::Name => harmless::text(&trouble.to_string()),
        };
        drop(writeln!(stderr().lock(), "{text}"));
    }

    /// Tells why a verb did not succeed, and says what to exit with.
    pub(crate) fn failed(self, failure: &Failure) -> ExitCode {
        if let Some(trouble) = &failure.trouble {
            self.trouble(failure.exit, trouble);
        }
        failure.exit.into()
    }

    /// Prints one thing as a line of JSON.
    pub(crate) fn record(self, thing: &impl Serialize) -> Outcome {
        self.line(thing)
    }

    fn json(self, thing: &impl Serialize) -> Outcome {
        let text = serde_json::to_string_pretty(thing).map_err(|odd| unprintable(&odd))?;
        self.text(&format!("{}\n", harmless::json(&text)))
    }

    fn line(self, thing: &impl Serialize) -> Outcome {
        let text = serde_json::to_string(thing).map_err(|odd| unprintable(&odd))?;
        self.text(&format!("{}\n", harmless::json(&text)))
    }

    fn lines(self, lines: &[String]) -> Outcome {
        let mut text = lines.join("\n");
        if !lines.is_empty() {
            text.push('\n');
        }
        self.text(&text)
    }

    fn table<T: Row>(self, rows: &[T]) -> Outcome {
        let (names, usual) = T::COLUMNS;
        let shown = if self.format == Format::Wide {
            names.len()
        } else {
            usual
        };
        let heading: Vec<String> = names.iter().map(|name| (*name).to_owned()).collect();
        let cells: Vec<Vec<String>> = self
            .headers
            .then_some(heading)
            .into_iter()
            .chain(rows.iter().map(cells))
            .map(|cells| cells.into_iter().take(shown).collect())
            .collect();
        self.lines(&aligned(&cells))
    }
}

/// The cells of a row, each safe to print and one line.
fn cells<T: Row>(row: &T) -> Vec<String> {
    let cells = row.cells();
    cells.iter().map(|cell| harmless::line(cell)).collect()
}

/// Pads every column but the last to its widest cell.
fn aligned(rows: &[Vec<String>]) -> Vec<String> {
    let columns = rows.iter().map(Vec::len).max().unwrap_or(0);
    let width = |column: usize| {
        rows.iter()
            .filter_map(|row| row.get(column))
            .map(|cell| cell.chars().count())
            .max()
            .unwrap_or(0)
    };
    let widths: Vec<usize> = (0..columns).map(width).collect();
    rows.iter()
        .map(|row| {
            let line: Vec<String> = row
                .iter()
                .zip(&widths)
                .map(|(cell, &width)| format!("{cell:width$}"))
                .collect();
            line.join("  ").trim_end().to_owned()
        })
        .collect()
}

fn write(written: std::io::Result<()>) -> Outcome {
    written.map_err(|error| {
        if error.kind() == std::io::ErrorKind::BrokenPipe {
            return Failure::told(Exit::Error);
        }
        let trouble = cli::file("write", prompts::STANDARD_OUTPUT, &error.to_string());
        Failure::new(Exit::Error, trouble)
    })
}

fn unprintable(odd: &serde_json::Error) -> Failure {
    Failure::new(Exit::Error, cli::odd_answer(&odd.to_string()))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn columns_are_as_wide_as_their_widest_cell_and_nothing_trails() {
        let row = |cells: [&str; 3]| cells.map(str::to_owned).to_vec();
        let lines = aligned(&[row(["TARGET", "AS", "ACCESS"]), row(["web1", "deploy", ""])]);
        assert_eq!(lines, ["TARGET  AS      ACCESS", "web1    deploy"]);
    }
}
