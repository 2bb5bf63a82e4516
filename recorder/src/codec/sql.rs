//! Statements and outcomes as bytes and back.

use std::borrow::Cow;
use std::time::Duration;

use super::Malformed;
use super::cursor::{Cursor, put};
use crate::frame::{Format, Outcome, Parameter, SqlError, Statement, StatementKind, Value};

/// The most values that one `Bind` can carry: its count has 16 bits (PostgreSQL 55.7).
const PARAMETERS_MAX: usize = 65_535;

/// The kinds of statement; the place in the list is the number in the file.
const KINDS: [StatementKind; 9] = [
    StatementKind::Simple,
    StatementKind::Parse,
    StatementKind::Bind,
    StatementKind::Execute,
    StatementKind::Describe,
    StatementKind::Close,
    StatementKind::CopyIn,
    StatementKind::CopyOut,
    StatementKind::Cancel,
];

pub(super) fn encode_statement(statement: &Statement<'_>, to: &mut Vec<u8>) {
    to.extend_from_slice(&statement.id.to_le_bytes());
    let number = KINDS.iter().position(|kind| *kind == statement.kind);
    to.push(
        number
            .and_then(|number| u8::try_from(number).ok())
            .unwrap_or(u8::MAX),
    );
    put(to, statement.name);
    put(to, statement.portal);
    put(to, statement.text);
    let count = u32::try_from(statement.parameters.len()).unwrap_or(u32::MAX);
    to.extend_from_slice(&count.to_le_bytes());
    for parameter in statement.parameters.iter() {
        encode_parameter(parameter, to);
    }
}

fn encode_parameter(parameter: &Parameter<'_>, to: &mut Vec<u8>) {
    to.extend_from_slice(&parameter.oid.to_le_bytes());
    to.push(match parameter.format {
        Format::Text => 0,
        Format::Binary => 1,
    });
    match parameter.value {
        Value::Null => to.push(0),
        Value::Kept(bytes) => {
            to.push(1);
            put(to, bytes);
        }
        Value::Masked { bytes } => {
            to.push(2);
            to.extend_from_slice(&bytes.to_le_bytes());
        }
    }
}

pub(super) fn decode_statement<'a>(from: &mut Cursor<'a>) -> Result<Statement<'a>, Malformed> {
    let id = from.u64()?;
    let number = from.u8()?;
    let kind = KINDS.get(usize::from(number)).copied();
    let kind = kind.ok_or(Malformed::Choice {
        field: "kind of statement",
        value: number,
    })?;
    let (name, portal, text) = (from.bytes()?, from.bytes()?, from.bytes()?);
    let count = usize::try_from(from.u32()?).map_err(|_wider| Malformed::Short)?;
    if count > PARAMETERS_MAX || count > from.left() {
        return Err(Malformed::Short);
    }
    let parameters = (0..count)
        .map(|_| decode_parameter(from))
        .collect::<Result<Vec<_>, _>>()?;
    Ok(Statement {
        id,
        kind,
        name,
        portal,
        text,
        parameters: Cow::Owned(parameters),
    })
}

fn decode_parameter<'a>(from: &mut Cursor<'a>) -> Result<Parameter<'a>, Malformed> {
    Ok(Parameter {
        oid: from.u32()?,
        format: if from.flag("format of a value")? {
            Format::Binary
        } else {
            Format::Text
        },
        value: match from.u8()? {
            0 => Value::Null,
            1 => Value::Kept(from.bytes()?),
            2 => Value::Masked { bytes: from.u64()? },
            value => {
                return Err(Malformed::Choice {
                    field: "kind of value",
                    value,
                });
            }
        },
    })
}

pub(super) fn encode_outcome(outcome: &Outcome<'_>, to: &mut Vec<u8>) {
    to.extend_from_slice(&outcome.id.to_le_bytes());
    to.extend_from_slice(&outcome.rows.to_le_bytes());
    to.extend_from_slice(&outcome.bytes.to_le_bytes());
    to.extend_from_slice(&micros(outcome.elapsed).to_le_bytes());
    to.push(outcome.transaction);
    to.push(u8::from(outcome.tag.is_some()));
    if let Some(tag) = outcome.tag {
        put(to, tag.as_bytes());
    }
    to.push(u8::from(outcome.error.is_some()));
    if let Some(error) = outcome.error {
        put(to, error.sqlstate.as_bytes());
        put(to, error.severity.as_bytes());
        put(to, error.message.as_bytes());
    }
}

pub(super) fn decode_outcome<'a>(from: &mut Cursor<'a>) -> Result<Outcome<'a>, Malformed> {
    let (id, rows, bytes, elapsed) = (from.u64()?, from.u64()?, from.u64()?, from.u64()?);
    let transaction = from.u8()?;
    let tag = from.flag("tag")?.then(|| from.text()).transpose()?;
    let error = from
        .flag("error")?
        .then(|| decode_error(from))
        .transpose()?;
    Ok(Outcome {
        id,
        tag,
        rows,
        bytes,
        error,
        elapsed: Duration::from_micros(elapsed),
        transaction,
    })
}

fn decode_error<'a>(from: &mut Cursor<'a>) -> Result<SqlError<'a>, Malformed> {
    Ok(SqlError {
        sqlstate: from.text()?,
        severity: from.text()?,
        message: from.text()?,
    })
}

fn micros(time: Duration) -> u64 {
    u64::try_from(time.as_micros()).unwrap_or(u64::MAX)
}
