//! What of a session waits for a second person, and what one has said yes to.
//!
//! A yes is for one text with one set of values and is used up by it. A text that was prepared once is
//! kept by its name, so that each later Bind can be asked about with the text in sight. What the
//! server will do with a message is not known here: it drops what follows an error up to the next
//! Sync, a Close or a Parse too, and then still has the text that we believe is gone. So a name that
//! once stood for such a text never stands for another. The one without a name is [`Unnamed`](super::unnamed)'s.

use std::time::Duration;

use aws_lc_rs::digest;
use control::ledger::chain::hex;
use policies::{HeldStatement, SqlStatement};

use super::bound;
use super::prepared::kept_as;
use crate::postgres::statement::redact;
use crate::postgres::wire::{self, Bind, HEADER, Header, Named, Side};

/// How many names can stand for texts that need a second person.
const NAMES_MAX: usize = 64;

/// How far behind a Parse its Bind is looked for, in messages.
const LOOK_MAX: usize = 4;

/// The longest Describe that is looked past, in bytes.
const DESCRIBE_MAX: usize = 1024;

/// How long a yes is good for once it was given.
const PASS_MAX: Duration = Duration::from_secs(60);

/// A statement that has to wait.
#[derive(Debug, PartialEq, Eq)]
pub(crate) struct Held {
    /// The exact text.
    pub(crate) text: String,
    /// The values, as they are shown.
    pub(crate) values: Vec<String>,
    /// Everything that it does.
    pub(crate) statements: Vec<SqlStatement>,
    /// The `@id` of the policy that asks for a second person.
    pub(crate) policy: String,
    /// Its `@reason`.
    pub(crate) reason: String,
    pub(super) pass: Pass,
}

impl Held {
    /// SHA-256 over the exact text and values, in hexadecimal.
    pub(crate) fn digest(&self) -> String {
        hex(&self.pass.digest)
    }
}

/// What one yes is good for.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(super) struct Pass {
    /// The type of the message: Query, Parse or Bind.
    pub(super) kind: u8,
    /// The prepared statement's name; empty with a query.
    pub(super) name: Vec<u8>,
    /// SHA-256 over text and values.
    pub(super) digest: [u8; 32],
}

/// Why a statement cannot even wait.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Unshowable {
    /// It is too long.
    Long,
    /// Its text is not known any more, or not for certain.
    Unknown,
    /// It has a secret in it, or is no UTF-8.
    Unfit,
}

/// What stands behind a Parse.
#[derive(Debug, PartialEq, Eq)]
pub(super) enum Behind<'a> {
    /// Not yet enough to tell: so many bytes are needed at least.
    More(usize),
    /// No Bind of it: it is only prepared.
    Nothing,
    /// A Bind of it, whole.
    Bind(Bind<'a>),
    /// One that is too long.
    Long,
}

/// A text; none where it is not certain which it is.
type Text = Option<Box<[u8]>>;

/// The texts that a second person has said yes to, and the yes that is still to be used.
#[derive(Debug, Default)]
pub(super) struct Second {
    /// By the name that they were prepared under; without a text where that is not certain.
    texts: Vec<(Box<[u8]>, Text)>,
    pass: Option<(Pass, Duration)>,
    /// What was said yes to may have left such a cursor open.
    cursor: Option<Cursor>,
}

/// A cursor that runs what a second person has said yes to.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord)]
pub(super) enum Cursor {
    /// It is gone with its transaction.
    Passing,
    /// It may be held beyond that.
    Held,
}

impl Second {
    /// Takes a yes.
    pub(super) fn grant(&mut self, pass: Pass, at: Duration) {
        self.pass = Some((pass, at));
    }

    /// Notes that what was said yes to may leave a cursor open.
    pub(super) fn opens_cursor(&mut self, cursor: Cursor) {
        self.cursor = self.cursor.max(Some(cursor));
    }

    /// The cursor that there may be of what a second person has said yes to.
    pub(super) fn cursor(&self) -> Option<Cursor> {
        self.cursor
    }

    /// Notes that no transaction is open any more.
    pub(super) fn transaction_ended(&mut self) {
        self.cursor = self.cursor.filter(|open| *open == Cursor::Held);
    }

    /// Uses up the yes that is good for this, if there is one. With a Parse, its first Bind is still
    /// good.
    pub(super) fn spend(&mut self, wanted: &Pass, at: Duration) -> bool {
        let good = |(pass, since): &(Pass, Duration)| {
            pass == wanted && at.saturating_sub(*since) < PASS_MAX
        };
        if !self.pass.as_ref().is_some_and(good) {
            return false;
        }
        self.pass = (wanted.kind == b'P').then(|| {
            let kind = b'B';
            let bind = Pass {
                kind,
                ..wanted.clone()
            };
            (bind, at)
        });
        true
    }

    /// Takes a Parse that passes: of a text that a second person has said yes to, or of another.
    pub(super) fn prepared(&mut self, name: &[u8], text: Option<&[u8]>) {
        let name = kept_as(name);
        let known = self.texts.iter_mut().find(|(known, _)| **known == *name);
        match (known, text) {
            (Some((_name, known)), text) if known.as_deref() != text => *known = None,
            (None, Some(text)) => self.texts.push((name.into(), Some(text.into()))),
            (Some(_) | None, _) => {}
        }
    }

    /// Takes no text for certain any more.
    pub(super) fn doubt(&mut self) {
        for (_name, text) in &mut self.texts {
            *text = None;
        }
        self.pass = None;
    }

    /// Whether this name has stood for a text that needed a second person.
    pub(super) fn is_hot(&self, name: &[u8]) -> bool {
        let name = kept_as(name);
        self.texts.iter().any(|(known, _)| **known == *name)
    }

    /// Whether a further name can be kept.
    pub(super) fn has_room(&self, name: &[u8]) -> bool {
        self.is_hot(name) || self.texts.len() < NAMES_MAX
    }

    /// The text that this name stands for, where that is certain.
    pub(super) fn text(&self, name: &[u8]) -> Option<&[u8]> {
        let name = kept_as(name);
        let known = self.texts.iter().find(|(known, _)| **known == *name)?;
        known.1.as_deref()
    }
}

/// What has to wait, as it is shown, if it can be.
pub(super) fn held(
    (kind, name): (u8, &[u8]),
    text: &[u8],
    bind: Option<&Bind<'_>>,
) -> Result<Held, Unshowable> {
    let values = bind.map_or(&[][..], |bind| &bind.values);
    let formats = bind.map_or(&[][..], |bind| &bind.formats);
    let long = values.iter().flatten().map(|value| value.len()).sum();
    let many = values.len() > HeldStatement::VALUE_COUNT_MAX;
    if many || text.len() > HeldStatement::TEXT_MAX || HeldStatement::VALUES_MAX < long {
        return Err(Unshowable::Long);
    }
    // It would stand in the log, for everybody who may approve.
    if redact::has_password(text) {
        return Err(Unshowable::Unfit);
    }
    let shown = String::from_utf8(text.to_vec()).map_err(|_odd| Unshowable::Unfit)?;
    let formats = || formats.iter().copied().chain(std::iter::repeat(0));
    Ok(Held {
        text: shown,
        values: values
            .iter()
            .zip(formats())
            .map(|(value, format)| show(*value, format))
            .collect(),
        statements: Vec::new(),
        policy: String::new(),
        reason: String::new(),
        pass: Pass {
            kind,
            name: name.to_vec(),
            digest: digest_of(text, values.iter().copied().zip(formats())),
        },
    })
}

/// What is approved: this text with these values, and nothing else.
fn digest_of<'a>(text: &[u8], values: impl Iterator<Item = (Option<&'a [u8]>, u16)>) -> [u8; 32] {
    let mut context = digest::Context::new(&digest::SHA256);
    context.update(b"tidegate.statement/1\n");
    context.update(&length(text.len()));
    context.update(text);
    for (value, format) in values {
        context.update(&format.to_be_bytes());
        match value {
            None => context.update(b"null"),
            Some(value) => {
                context.update(b"value");
                context.update(&length(value.len()));
                context.update(value);
            }
        }
    }
    let digest = context.finish();
    digest.as_ref().try_into().unwrap_or_default()
}

fn length(bytes: usize) -> [u8; 8] {
    u64::try_from(bytes).unwrap_or(u64::MAX).to_be_bytes()
}

fn show(value: Option<&[u8]>, format: u16) -> String {
    match (value, format) {
        (None, _) => "NULL".to_owned(),
        (Some(value), 0) => match std::str::from_utf8(value) {
            Ok(text) => format!("'{}'", text.replace('\'', "''")),
            Err(_odd) => bytea(value),
        },
        (Some(value), _binary) => bytea(value),
    }
}

fn bytea(value: &[u8]) -> String {
    format!("\\x{}", hex(value))
}

/// What stands behind a Parse of `name`, of which `rest` is what was read.
pub(super) fn behind<'a>(rest: &'a [u8], name: &[u8]) -> Behind<'a> {
    let mut place = 0_usize;
    for _message in 0..LOOK_MAX {
        let here = rest.get(place..).unwrap_or_default();
        let header = match Header::read(here, Side::Client) {
            Ok(Some(header)) => header,
            Ok(None) => return Behind::More(place.saturating_add(HEADER)),
            // It is seen again, and dealt with, by who forwards it.
            Err(_violation) => return Behind::Nothing,
        };
        let length = usize::try_from(header.body).unwrap_or(usize::MAX);
        match header.kind {
            b'B' if length > HeldStatement::VALUES_MAX.saturating_mul(2) => {
                return long_behind(here, name);
            }
            b'D' if length > DESCRIBE_MAX => return Behind::Nothing,
            b'B' | b'D' => {}
            _other => return Behind::Nothing,
        }
        let end = place.saturating_add(HEADER).saturating_add(length);
        let Some(body) = here.get(HEADER..).unwrap_or_default().get(..length) else {
            return Behind::More(end);
        };
        if header.kind == b'B' {
            return match wire::bind(body) {
                Ok(bind) if bind.statement == name => Behind::Bind(bind),
                _other => Behind::Nothing,
            };
        }
        if !matches!(wire::named(b'D', body), Ok(Named::Statement(described)) if described == name)
        {
            return Behind::Nothing;
        }
        place = end;
    }
    Behind::Nothing
}

/// What a Bind is, at the beginning of `here`, that is too long to be read: one of another statement is none.
fn long_behind<'a>(here: &[u8], name: &[u8]) -> Behind<'a> {
    match bound(here.get(HEADER..).unwrap_or_default()) {
        Some([_portal, other]) if other != name => Behind::Nothing,
        // Where its names did not come with it, it may be of this one.
        Some(_) | None => Behind::Long,
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::postgres::wire::samples;

    #[test]
    fn only_a_long_bind_of_the_same_statement_is_too_long_behind_it() {
        let long = "x".repeat(20_000);
        let of = |name: &str| samples::bind(name, &[long.as_str()]);
        assert_eq!(behind(&of("other"), b"s"), Behind::Nothing);
        assert_eq!(behind(&of("s"), b"s"), Behind::Long);
        assert_eq!(behind(of("s").get(..6).unwrap(), b"s"), Behind::Long);
    }
}
