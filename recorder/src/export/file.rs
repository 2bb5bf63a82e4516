//! What was done to files as lines for people and for programs.

use std::fmt::Write as _;

use policies::hex;
use serde_json::{Value, json};

use crate::frame::{FileOperation, FileOutcome, FileResult, Transfer};

/// What a person should read of an operation: how it went, and of those without an answer yet,
/// nothing.
pub(super) fn text(operation: &FileOperation<'_>) -> Option<String> {
    let outcome = operation.outcome.as_ref()?;
    // Until an extension was told as one, a client could make up an action.
    let action = name(operation.action.as_bytes());
    let mut out = format!("channel {} {action}", operation.channel);
    for path in [operation.path, operation.to] {
        if !path.is_empty() {
            out.push(' ');
            out.push_str(&name(path));
        }
    }
    if !operation.detail.is_empty() {
        write!(out, " ({})", operation.detail).ok();
    }
    let (before, said) = match outcome.result {
        FileResult::Done => ("", ""),
        FileResult::Failed { message: "", .. } => (": failed", ""),
        FileResult::Failed { message, .. } => (": failed, ", message),
        FileResult::Refused => (": refused", ""),
        FileResult::Unanswered => (": no answer", ""),
    };
    out.push_str(before);
    out.push_str(said);
    for (way, transfer) in [("read", outcome.read), ("written", outcome.written)] {
        if transfer.bytes > 0 {
            write!(out, ", {} bytes {way}", transfer.bytes).ok();
            if transfer.start > 0 {
                write!(out, " from {}", transfer.start).ok();
            }
        }
        if let Some(digest) = transfer.digest {
            write!(out, " sha256 {}", hex(&digest)).ok();
        }
    }
    Some(out)
}

/// A path, in quotes where it could be read as more than one.
fn name(path: &[u8]) -> String {
    let path = String::from_utf8_lossy(path);
    let plain = |c: char| c.is_alphanumeric() || "/._-+@%~=".contains(c);
    if path.chars().all(plain) {
        path.into_owned()
    } else {
        format!("{path:?}")
    }
}

/// The operation as JSON, without its paths.
pub(super) fn value(operation: &FileOperation<'_>) -> Value {
    json!({
        "type": "file", "channel": operation.channel, "id": operation.id, "action": operation.action,
        "detail": (!operation.detail.is_empty()).then_some(operation.detail),
        "outcome": operation.outcome.as_ref().map(outcome),
    })
}

fn outcome(outcome: &FileOutcome<'_>) -> Value {
    let (result, code, message) = match outcome.result {
        FileResult::Done => ("done", None, None),
        FileResult::Failed { code, message } => ("failed", Some(code), Some(message)),
        FileResult::Refused => ("refused", None, None),
        FileResult::Unanswered => ("unanswered", None, None),
    };
    json!({
        "result": result, "code": code, "message": message,
        "read": transfer(outcome.read), "written": transfer(outcome.written),
    })
}

fn transfer(transfer: Transfer) -> Option<Value> {
    (transfer != Transfer::default()).then(|| {
        json!({
            "bytes": transfer.bytes, "start": transfer.start,
            "sha256": transfer.digest.map(|digest| hex(&digest)),
        })
    })
}
