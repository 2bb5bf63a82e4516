//! What is written down of one message, as the frame for it.
//!
//! Texts without passwords, values as they came. Does not know what an answer belongs to.

use std::borrow::Cow;
use std::ops::Range;

use policies::words::{Words, recordings};
use recorder::{
    Digest, Format, Frame, Omission, Parameter, SqlError, StatementKind, Stream, Value,
};

use super::copy::Carried;
use super::extras::Extras;
use super::parameters::Types;
use super::pipeline::Outcome;
use crate::postgres::statement::redact::{self, Transaction};
use crate::postgres::wire::scan::{Message, Scanner};
use crate::postgres::wire::{self, Named, Violation};

/// Something to be recorded.
#[derive(Debug)]
pub(crate) enum Noted<'a> {
    /// What the client sent.
    Statement(Said<'a>),
    /// A message was longer than its frame holds.
    Omitted {
        /// How many bytes of it are nowhere else.
        bytes: u64,
        /// The SHA-256 of the whole message. None where a password could be tried against it.
        digest: Option<[u8; 32]>,
    },
    /// Copied data, or a part of a message that goes on: it passes before the message is whole and
    /// can be told of. What is recorded of the message then tells of these bytes again.
    Ahead {
        /// How many bytes.
        bytes: u64,
    },
    /// The text of a statement goes on beyond what its own frame will hold. Stands before that.
    Beyond(&'a [u8]),
    /// What a copy carried.
    Copied(Carried),
    /// How a statement went.
    Outcome(Outcome),
    /// What is known besides: what became of several results that ended together (`batch`), what did not run
    /// (`dropped`), perhaps did not (`unsure`) or was not answered (`unanswered`), how texts are read from here on (`setting`), how many values are missing of a statement (`values`), and
    /// what its message carries besides (`formats`, `rows`, `copy-fail`).
    Told(&'static str, String),
    /// What the client is told of a result that is cut off.
    Cut(Words),
}

/// A message of the client, with its text as it will be written down.
#[derive(Debug)]
pub(crate) struct Said<'a> {
    id: u64,
    pub(super) kind: StatementKind,
    name: &'a [u8],
    portal: &'a [u8],
    text: Cow<'a, [u8]>,
    parameters: Vec<Parameter<'a>>,
    /// How many of its values are beyond what is kept of a message.
    missing: usize,
    extras: Extras<'a>,
}

impl Noted<'_> {
    /// The frame for it.
    pub(crate) fn frame(&self) -> Frame<'_> {
        match self {
            Self::Statement(said) => Frame::Statement(recorder::Statement {
                id: said.id,
                kind: said.kind,
                name: said.name,
                portal: said.portal,
                text: &said.text,
                parameters: Cow::Borrowed(&said.parameters),
            }),
            Self::Omitted { bytes, digest } => Frame::Omitted {
                channel: 0,
                stream: Stream::Input,
                bytes: *bytes,
                why: Omission::Bulk,
                digest: digest.map(Digest::Sha256),
            },
            Self::Ahead { bytes } => Frame::Omitted {
                channel: 0,
                stream: Stream::Input,
                bytes: *bytes,
                why: Omission::Bulk,
                digest: None,
            },
            Self::Beyond(bytes) => Frame::Data {
                channel: 0,
                stream: Stream::Input,
                bytes,
            },
            Self::Copied(carried) => carried.frame(),
            Self::Told(code, text) => Frame::Note { code, text },
            Self::Cut(words) => Frame::Note {
                code: words.code,
                text: &words.what,
            },
            Self::Outcome(outcome) => Frame::Outcome(recorder::Outcome {
                id: outcome.id,
                tag: outcome.tag.as_deref(),
                rows: outcome.rows(),
                bytes: outcome.bytes,
                error: outcome.error.as_ref().map(|fault| SqlError {
                    sqlstate: &fault.sqlstate,
                    severity: &fault.severity,
                    message: &fault.message,
                }),
                elapsed: outcome.elapsed,
                transaction: outcome.transaction,
            }),
        }
    }
}

/// Puts what `chunk`, scanned last, has of a text that goes on beyond its frame in front of the rest, but for what is
/// `withheld`.
pub(super) fn put_beyond<'a>(
    scanner: &mut Scanner,
    (chunk, withheld): (&'a [u8], Range<usize>),
    noted: &mut Vec<Noted<'a>>,
) {
    let kept = |range: Range<usize>| {
        let end = if range.end == withheld.end {
            withheld.start
        } else {
            range.end
        };
        chunk
            .get(range.start..end)
            .filter(|bytes| !bytes.is_empty())
    };
    let beyond = scanner.beyond();
    if !beyond.is_empty() {
        noted.splice(0..0, beyond.into_iter().filter_map(kept).map(Noted::Beyond));
    }
}

/// What runs together with a query, in one transaction.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Company {
    /// Nothing that was sent before it; perhaps what a transaction has done that is open.
    None(Transaction),
    /// It does not run: it is dropped behind an error.
    Dropped,
    /// What was sent since the last Sync: it may wait for the commit, which is inside the query, and can read
    /// the query's text then. Or nobody can tell yet, because it may be dropped and may run.
    Batch,
}

impl<'a> Said<'a> {
    /// Reads a message that makes the target do something, or would. Of what runs a password is left out of a query that
    /// has no company only: the server keeps the text of what is prepared, where the session can read it again.
    pub(super) fn read(message: &Message<'a>, company: Company) -> Result<Self, Violation> {
        let (kind, body) = (message.kind, message.body);
        match kind {
            b'Q' => Ok(Self {
                text: shown(query(message)?, message, company),
                ..Self::nothing(StatementKind::Simple)
            }),
            b'P' => prepared(message, company),
            b'B' => bound(message),
            b'E' => wire::limited(body).map(Self::run),
            b'D' => named(StatementKind::Describe, message),
            b'C' => named(StatementKind::Close, message),
            other => Err(Violation::Kind(other)),
        }
    }

    /// Reads all of the body of a Query, Parse, Bind or Execute message that is not forwarded, or its beginning.
    pub(super) fn of_refused(kind: u8, body: &'a [u8]) -> Self {
        match kind {
            b'P' => {
                let parse = wire::parse_beginning(body);
                Self {
                    name: parse.map_or(&[], |parse| parse.name),
                    text: redact::every_password(parse.map_or(&[], |parse| parse.text)),
                    ..Self::nothing(StatementKind::Parse)
                }
            }
            b'B' => {
                let bind = wire::bind_beginning(body).ok();
                Self {
                    name: bind.as_ref().map_or(&[], |bind| bind.statement),
                    portal: bind.as_ref().map_or(&[], |bind| bind.portal),
                    parameters: bind.as_ref().map(parameters).unwrap_or_default(),
                    missing: bind.as_ref().map_or(0, |bind| bind.missing),
                    extras: bind.as_ref().map(formats).unwrap_or_default(),
                    ..Self::nothing(StatementKind::Bind)
                }
            }
            b'E' => Self::run(wire::limited(body).unwrap_or_default()),
            _query => {
                let text = body.split(|byte| *byte == 0).next().unwrap_or_default();
                Self {
                    text: redact::every_password(text),
                    ..Self::nothing(StatementKind::Simple)
                }
            }
        }
    }

    /// Whether a password was taken out of its text.
    pub(super) fn is_redacted(&self) -> bool {
        matches!(self.text, Cow::Owned(_))
    }

    /// Its text; empty where it has none.
    pub(super) fn text(&self) -> &[u8] {
        &self.text
    }

    /// The same, with the types of its values.
    pub(super) fn typed(&mut self, types: &Types) {
        if self.kind == StatementKind::Parse {
            return;
        }
        let known = types.of(self.name);
        for (parameter, oid) in self.parameters.iter_mut().zip(known) {
            parameter.oid = *oid;
        }
    }

    /// What it tells of types.
    pub(super) fn tells(&self, message: &Message<'_>, types: &mut Types) {
        match self.kind {
            StatementKind::Parse if message.digest.is_none() => {
                let declared = wire::declared(message.body).unwrap_or_default();
                types.declared(self.id, self.name, declared);
            }
            StatementKind::Parse => types.declared(self.id, self.name, Vec::new()),
            StatementKind::Describe if message.body.first() == Some(&b'S') => {
                types.asked(self.id, self.name);
            }
            StatementKind::Close if message.body.first() == Some(&b'S') => {
                types.closed(self.name);
            }
            StatementKind::Describe
            | StatementKind::Close
            | StatementKind::Simple
            | StatementKind::Bind
            | StatementKind::Execute
            | StatementKind::CopyIn
            | StatementKind::CopyOut
            | StatementKind::Cancel => {}
        }
    }

    /// What is told of it besides its frame: that values are missing, where they are, and what else it carries.
    pub(super) fn besides<'n>(&self) -> impl Iterator<Item = Noted<'n>> + use<'n> {
        let all = self.parameters.len().saturating_add(self.missing);
        let told = || recordings::values_missing(self.id, self.missing, all);
        let missing = (self.missing > 0).then(|| Noted::Told("values", told()));
        missing.into_iter().chain(self.extras.told(self.id))
    }

    /// Whether it prepares the statement without a name.
    pub(super) fn is_unnamed_parse(&self) -> bool {
        self.kind == StatementKind::Parse && self.name.is_empty()
    }

    /// The same, as the statement of this number.
    pub(super) fn numbered(self, id: u64) -> Self {
        Self { id, ..self }
    }

    /// An Execute of this portal, of so many rows.
    fn run((portal, rows): (&'a [u8], i32)) -> Self {
        let extras = Extras {
            rows,
            ..Extras::default()
        };
        Self {
            portal,
            extras,
            ..Self::nothing(StatementKind::Execute)
        }
    }

    fn nothing(kind: StatementKind) -> Self {
        Self {
            id: 0,
            kind,
            name: &[],
            portal: &[],
            text: Cow::Borrowed(&[]),
            parameters: Vec::new(),
            missing: 0,
            extras: Extras::default(),
        }
    }
}

/// The text of a query without passwords, where it is whole: behind its beginning anything may stand.
fn shown<'a>(text: &'a [u8], message: &Message<'_>, company: Company) -> Cow<'a, [u8]> {
    match (message.digest, company) {
        (_, Company::Dropped) => redact::every_password(text),
        (None, Company::None(transaction)) => redact::passwords(text, transaction),
        (Some(_), Company::None(_)) | (_, Company::Batch) => Cow::Borrowed(text),
    }
}

fn query<'a>(message: &Message<'a>) -> Result<&'a [u8], Violation> {
    let body = message.body;
    match message.digest {
        None => wire::query(body),
        Some(_) if body.contains(&0) => Err(Violation::Fields(message.kind)),
        Some(_) => Ok(body),
    }
}

fn prepared<'a>(message: &Message<'a>, company: Company) -> Result<Said<'a>, Violation> {
    let parse = match message.digest {
        None => wire::parse(message.body)?,
        Some(_) => wire::parse_beginning(message.body)?,
    };
    // The server takes types for parameters that the text does not have, and gives them back
    // (`pg_prepared_statements`): what is said with them can be run from there. Of a message that is longer than its
    // frame they stand in what goes on behind it.
    let types = match message.digest {
        None => wire::declared(message.body)?,
        Some(_) => Vec::new(),
    };
    Ok(Said {
        name: parse.name,
        parameters: types.into_iter().map(declared).collect(),
        text: match company {
            Company::Dropped => redact::every_password(parse.text),
            Company::None(_) | Company::Batch => Cow::Borrowed(parse.text),
        },
        ..Said::nothing(StatementKind::Parse)
    })
}

fn bound<'a>(message: &Message<'a>) -> Result<Said<'a>, Violation> {
    let bind = match message.digest {
        None => wire::bind(message.body)?,
        Some(_) => wire::bind_beginning(message.body)?,
    };
    Ok(Said {
        name: bind.statement,
        portal: bind.portal,
        parameters: parameters(&bind),
        missing: bind.missing,
        extras: formats(&bind),
        ..Said::nothing(StatementKind::Bind)
    })
}

/// The formats that a Bind gives.
fn formats<'a>(bind: &wire::Bind<'a>) -> Extras<'a> {
    Extras {
        values: bind.announced,
        results: bind.results,
        ..Extras::default()
    }
}

fn named<'a>(kind: StatementKind, message: &Message<'a>) -> Result<Said<'a>, Violation> {
    let nothing = Said::nothing(kind);
    Ok(match wire::named(message.kind, message.body)? {
        Named::Statement(name) => Said { name, ..nothing },
        Named::Portal(portal) => Said { portal, ..nothing },
    })
}

/// A parameter of this type, without a value.
fn declared(oid: u32) -> Parameter<'static> {
    Parameter {
        oid,
        format: Format::Text,
        value: Value::Null,
    }
}

fn parameters<'a>(bind: &wire::Bind<'a>) -> Vec<Parameter<'a>> {
    let formats = bind.formats.iter().copied().chain(std::iter::repeat(0));
    let each = bind.values.iter().zip(formats);
    each.map(|(value, format)| Parameter {
        oid: 0,
        format: if format == 1 {
            Format::Binary
        } else {
            Format::Text
        },
        value: value.map_or(Value::Null, Value::Kept),
    })
    .collect()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_beginning_of_a_text_hides_nothing() {
        let body = b"alter user a password 'table t' ";
        for (digest, want) in [
            (None, "alter user a password '(redacted: 9 bytes)' "),
            (Some([0; 32]), "alter user a password 'table t' "),
        ] {
            let text = [body.as_slice(), if digest.is_none() { b"\0" } else { b"" }].concat();
            let message = Message {
                kind: b'Q',
                length: 1 << 21,
                body: &text,
                digest,
                data: &[],
            };
            let said = Said::read(&message, Company::None(Transaction::Open)).unwrap();
            assert_eq!(String::from_utf8_lossy(&said.text), want);
        }
    }
}
