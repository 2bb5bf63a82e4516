//! What was done to files as bytes and back.

use super::Malformed;
use super::cursor::{Cursor, put};
use crate::frame::{FileOperation, FileOutcome, FileResult, Transfer};

const DONE: u8 = 0;
const FAILED: u8 = 1;
const REFUSED: u8 = 2;
const UNANSWERED: u8 = 3;

pub(super) fn encode(operation: &FileOperation<'_>, to: &mut Vec<u8>) {
    to.extend_from_slice(&operation.channel.to_le_bytes());
    to.extend_from_slice(&operation.id.to_le_bytes());
    put(to, operation.action.as_bytes());
    put(to, operation.path);
    put(to, operation.to);
    put(to, operation.detail.as_bytes());
    to.push(u8::from(operation.outcome.is_some()));
    if let Some(outcome) = &operation.outcome {
        match outcome.result {
            FileResult::Done => to.push(DONE),
            FileResult::Failed { code, message } => {
                to.push(FAILED);
                to.extend_from_slice(&code.to_le_bytes());
                put(to, message.as_bytes());
            }
            FileResult::Refused => to.push(REFUSED),
            FileResult::Unanswered => to.push(UNANSWERED),
        }
        for transfer in [&outcome.read, &outcome.written] {
            to.extend_from_slice(&transfer.bytes.to_le_bytes());
            to.extend_from_slice(&transfer.start.to_le_bytes());
            super::encode_digest(transfer.digest.as_ref(), to);
        }
    }
}

pub(super) fn decode<'a>(from: &mut Cursor<'a>) -> Result<FileOperation<'a>, Malformed> {
    Ok(FileOperation {
        channel: from.u32()?,
        id: from.u64()?,
        action: from.text()?,
        path: from.bytes()?,
        to: from.bytes()?,
        detail: from.text()?,
        outcome: from
            .flag("outcome")?
            .then(|| decode_outcome(from))
            .transpose()?,
    })
}

fn decode_outcome<'a>(from: &mut Cursor<'a>) -> Result<FileOutcome<'a>, Malformed> {
    let result = match from.u8()? {
        DONE => FileResult::Done,
        FAILED => FileResult::Failed {
            code: from.u32()?,
            message: from.text()?,
        },
        REFUSED => FileResult::Refused,
        UNANSWERED => FileResult::Unanswered,
        value => {
            return Err(Malformed::Choice {
                field: "result",
                value,
            });
        }
    };
    Ok(FileOutcome {
        result,
        read: decode_transfer(from)?,
        written: decode_transfer(from)?,
    })
}

fn decode_transfer(from: &mut Cursor<'_>) -> Result<Transfer, Malformed> {
    Ok(Transfer {
        bytes: from.u64()?,
        start: from.u64()?,
        digest: from
            .flag("digest")?
            .then(|| from.array::<32>())
            .transpose()?,
    })
}
