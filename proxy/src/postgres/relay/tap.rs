//! What is written down of the messages that pass.
//!
//! Statements with their texts and values, and how each went. Rows and copied data are counted, not
//! kept. Deliberately blind to meaning: what a statement may do is asked at the gate, and decided
//! again by the role at the target.

use std::borrow::Cow;
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};
use std::time::Duration;

use policies::words::Words;
use policies::{Deed, Denial, HeldStatement, Measure, Scrutiny, SqlStatement};
use recorder::{
    AppendError, Digest, Format, Frame, Omission, Parameter, SqlError, StatementKind, Stream, Value,
};

use super::Hearing;
use super::pipeline::{Outcome, Owed, Pipeline, Statement};
use crate::postgres::gate::{Bench, Held};
use crate::postgres::statement::redact;
use crate::postgres::wire::scan::Message;
use crate::postgres::wire::{self, Named, Violation};
use crate::session::meter::Meter;
use crate::session::scope::Scope;

/// Where what passes is written down.
pub(crate) trait Account {
    /// Notes that something passes, and says how long the session has been going on.
    fn stir(&self) -> Duration;
    /// Counts bytes that are about to pass.
    fn passes(&self, stream: Stream, bytes: usize);
    /// Writes down what is about to pass.
    fn record_all(&self, frames: &[Frame<'_>]) -> Result<(), AppendError>;
    /// Counts what comes from the target against the grant's budget. Says what the client is told where
    /// that is too much.
    fn spends(&self, rows: u64, bytes: u64, statements: u64) -> Option<Words>;
    /// What the client is to be warned of.
    fn warnings(&self) -> Vec<Words>;
}

impl Bench for Scope {
    fn edition(&self) -> u64 {
        Scope::edition(self)
    }

    fn scrutiny(&self) -> Scrutiny {
        Scope::scrutiny(self)
    }

    fn may(&self, deed: &Deed) -> Result<(), Denial> {
        Scope::may(self, deed)
    }

    fn is_metered(&self) -> bool {
        self.meter().is_some()
    }

    fn charge(&self) -> Option<Words> {
        self.meter()?.take(Measure::Statements, 1)
    }

    fn is_over(&self) -> Option<Words> {
        self.meter()?.over()
    }

    fn can_be_seconded(&self, statement: &SqlStatement) -> bool {
        Scope::can_be_seconded(self, statement)
    }

    fn second(&self, held: &Held) -> Hearing {
        let statement = HeldStatement {
            session: self.session(),
            grant: self.terms().grant,
            text: held.text.clone(),
            values: held.values.clone(),
            digest: held.digest(),
            policy: held.policy.clone(),
            why: held.reason.clone(),
        };
        let (heard, cancelled) = Scope::second(self, statement, held.statements.clone());
        Hearing { heard, cancelled }
    }
}

impl Account for Scope {
    fn stir(&self) -> Duration {
        Scope::stir(self)
    }

    fn passes(&self, stream: Stream, bytes: usize) {
        Scope::passes(self, stream, bytes);
    }

    fn record_all(&self, frames: &[Frame<'_>]) -> Result<(), AppendError> {
        Scope::record_uncounted(self, frames)
    }

    fn spends(&self, rows: u64, bytes: u64, statements: u64) -> Option<Words> {
        let meter = self.meter()?;
        meter.spend(Measure::Rows, rows);
        meter.spend(Measure::Bytes, bytes);
        meter.spend(Measure::Statements, statements);
        meter.over()
    }

    fn warnings(&self) -> Vec<Words> {
        self.meter().map(Meter::warnings).unwrap_or_default()
    }
}

/// Follows one session.
#[derive(Debug)]
pub(crate) struct Tap {
    pipeline: Pipeline,
    next: u64,
    notices: u64,
    leaving: bool,
    busy: Arc<AtomicBool>,
}

/// Something to be recorded.
#[derive(Debug)]
pub(crate) enum Noted<'a> {
    /// What the client sent.
    Statement(Said<'a>),
    /// A message was longer than its frame holds.
    Omitted {
        /// How many bytes of it are nowhere else.
        bytes: u64,
        /// The SHA-256 of the whole message.
        digest: [u8; 32],
    },
    /// Copied data, or a part of a message that goes on: it passes before the message is whole and
    /// can be told of. What is recorded of the message then tells of these bytes again.
    Ahead {
        /// How many bytes.
        bytes: u64,
    },
    /// The text of a statement goes on beyond what its own frame will hold. Stands before that.
    Beyond(&'a [u8]),
    /// How a statement went.
    Outcome(Outcome),
}

/// A message of the client, with its text as it will be written down.
#[derive(Debug)]
pub(crate) struct Said<'a> {
    id: u64,
    kind: StatementKind,
    name: &'a [u8],
    portal: &'a [u8],
    text: Cow<'a, [u8]>,
    parameters: Vec<Parameter<'a>>,
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
                digest: Some(Digest::Sha256(*digest)),
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
            Self::Outcome(outcome) => Frame::Outcome(recorder::Outcome {
                id: outcome.id,
                tag: outcome.tag.as_deref(),
                rows: outcome.rows,
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

impl Tap {
    /// A session in which nothing has happened.
    pub(crate) fn new() -> Self {
        Self {
            pipeline: Pipeline::new(),
            next: 1,
            notices: 0,
            leaving: false,
            busy: Arc::default(),
        }
    }

    /// Whether something is under way at the target that closing its socket would not stop at once.
    /// Can be read while the session goes on.
    pub(crate) fn busy(&self) -> Arc<AtomicBool> {
        Arc::clone(&self.busy)
    }

    /// What is owed by the target.
    pub(crate) fn pipeline(&self) -> &Pipeline {
        &self.pipeline
    }

    /// Whether the client has said goodbye.
    pub(crate) fn leaving(&self) -> bool {
        self.leaving
    }

    /// Takes a message of the client, before it is forwarded.
    pub(crate) fn client_sent<'a>(
        &mut self,
        message: &Message<'a>,
        at: Duration,
        noted: &mut Vec<Noted<'a>>,
    ) -> Result<(), Violation> {
        let said = match message.kind {
            b'd' => {
                self.pipeline.copied_in(message.length);
                return Ok(());
            }
            b'X' => {
                self.leaving = true;
                return Ok(());
            }
            b'S' => return self.sent(Owed::Sync),
            b'c' | b'f' => return self.sent(Owed::CopyEnd),
            b'H' => return Ok(()),
            _statement => read(message)?,
        };
        let statement = Statement { id: self.next, at };
        self.next = self.next.saturating_add(1);
        let owed = match said.kind {
            StatementKind::Simple => Owed::Query(statement),
            StatementKind::Parse => Owed::Parse(statement),
            StatementKind::Bind => Owed::Bind(statement),
            StatementKind::Execute => Owed::Execute(statement),
            StatementKind::Describe => Owed::Describe(statement),
            StatementKind::Close => Owed::Close(statement),
            StatementKind::CopyIn | StatementKind::CopyOut | StatementKind::Cancel => {
                return Err(Violation::Kind(message.kind));
            }
        };
        noted.push(Noted::Statement(Said {
            id: statement.id,
            ..said
        }));
        if let Some(digest) = message.digest {
            let kept = u64::try_from(message.body.len()).unwrap_or(u64::MAX);
            let rest = u64::from(message.length).saturating_sub(kept);
            let is_text = matches!(message.kind, b'Q' | b'P');
            noted.push(Noted::Omitted {
                bytes: if is_text { 0 } else { rest },
                digest,
            });
        }
        self.sent(owed)
    }

    /// Takes a Query, Parse, Bind or Execute message of the client that is not forwarded: all of its body or the
    /// beginning. Says which number it got, and what is to be recorded.
    pub(crate) fn refused<'a>(&mut self, kind: u8, body: &'a [u8]) -> (u64, Noted<'a>) {
        let id = self.next;
        self.next = self.next.saturating_add(1);
        let said = if kind == b'P' {
            let parse = wire::parse_beginning(body);
            Said {
                name: parse.map_or(&[], |parse| parse.name),
                text: redact::passwords(parse.map_or(&[], |parse| parse.text)),
                ..Said::nothing(StatementKind::Parse)
            }
        } else if kind == b'B' {
            let bind = wire::bind_beginning(body).ok();
            Said {
                name: bind.as_ref().map_or(&[], |bind| bind.statement),
                portal: bind.as_ref().map_or(&[], |bind| bind.portal),
                parameters: bind.as_ref().map(parameters).unwrap_or_default(),
                ..Said::nothing(StatementKind::Bind)
            }
        } else if kind == b'E' {
            Said {
                portal: wire::execute(body).unwrap_or_default(),
                ..Said::nothing(StatementKind::Execute)
            }
        } else {
            let text = body.split(|byte| *byte == 0).next().unwrap_or_default();
            Said {
                text: redact::passwords(text),
                ..Said::nothing(StatementKind::Simple)
            }
        };
        (id, Noted::Statement(Said { id, ..said }))
    }

    /// How many rows and further results came since this was last asked. A row counts once it is whole.
    pub(crate) fn fresh(&mut self) -> (u64, u64) {
        self.pipeline.fresh()
    }

    /// Takes a Sync that is not the client's.
    pub(crate) fn synced(&mut self) -> Result<(), Violation> {
        self.sent(Owed::Sync)
    }

    /// Notes that what the client sends up to its next Sync is not forwarded.
    pub(crate) fn skip(&mut self) {
        self.pipeline.skip_to_sync();
    }

    /// Takes a message of the target, before it is forwarded.
    pub(crate) fn target_sent(
        &mut self,
        message: &Message<'_>,
        at: Duration,
        noted: &mut Vec<Noted<'_>>,
    ) -> Result<(), Violation> {
        match message.kind {
            b'D' | b'd' => return self.pipeline.row(message.length),
            b'N' => self.notices = self.notices.saturating_add(1),
            b'A' | b'S' | b'c' | b't' | b'H' => {}
            kind => {
                let outcome = self.pipeline.answered(kind, message.body, at)?;
                noted.extend(outcome.map(Noted::Outcome));
                if kind == b'Z' {
                    self.show_busy();
                }
            }
        }
        Ok(())
    }

    /// Writes down what is known of what was under way when the session ended. Says nothing the
    /// second time.
    pub(crate) fn settle(&mut self, account: &impl Account) -> Result<(), AppendError> {
        let known: Vec<_> = self
            .pipeline
            .settle(account.stir())
            .into_iter()
            .flatten()
            .map(Noted::Outcome)
            .collect();
        let notices = match std::mem::take(&mut self.notices) {
            0 => None,
            count => Some(format!("{count} notices were shown")),
        };
        let note = notices.as_deref().map(|text| Frame::Note {
            code: "notices",
            text,
        });
        let frames: Vec<Frame<'_>> = known.iter().map(Noted::frame).chain(note).collect();
        if frames.is_empty() {
            Ok(())
        } else {
            account.record_all(&frames)
        }
    }

    fn sent(&mut self, owed: Owed) -> Result<(), Violation> {
        self.pipeline.sent(owed)?;
        self.show_busy();
        Ok(())
    }

    fn show_busy(&self) {
        let busy = !self.pipeline.idle() || self.pipeline.status() != b'I';
        if self.busy.load(Ordering::Relaxed) != busy {
            self.busy.store(busy, Ordering::Relaxed);
        }
    }
}

/// Reads a message that makes the target do something.
fn read<'a>(message: &Message<'a>) -> Result<Said<'a>, Violation> {
    let (kind, body) = (message.kind, message.body);
    match kind {
        b'Q' => Ok(Said {
            text: redact::passwords(query(message)?),
            ..Said::nothing(StatementKind::Simple)
        }),
        b'P' => prepared(message),
        b'B' => bound(message),
        b'E' => Ok(Said {
            portal: wire::execute(body)?,
            ..Said::nothing(StatementKind::Execute)
        }),
        b'D' => named(StatementKind::Describe, message),
        b'C' => named(StatementKind::Close, message),
        other => Err(Violation::Kind(other)),
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

fn prepared<'a>(message: &Message<'a>) -> Result<Said<'a>, Violation> {
    let parse = match message.digest {
        None => wire::parse(message.body)?,
        Some(_) => wire::parse_beginning(message.body)?,
    };
    Ok(Said {
        name: parse.name,
        text: redact::passwords(parse.text),
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
        ..Said::nothing(StatementKind::Bind)
    })
}

fn named<'a>(kind: StatementKind, message: &Message<'a>) -> Result<Said<'a>, Violation> {
    let nothing = Said::nothing(kind);
    Ok(match wire::named(message.kind, message.body)? {
        Named::Statement(name) => Said { name, ..nothing },
        Named::Portal(portal) => Said { portal, ..nothing },
    })
}

impl Said<'_> {
    fn nothing(kind: StatementKind) -> Self {
        Self {
            id: 0,
            kind,
            name: &[],
            portal: &[],
            text: Cow::Borrowed(&[]),
            parameters: Vec::new(),
        }
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
