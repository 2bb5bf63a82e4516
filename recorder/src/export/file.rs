//! What was done to files as lines for people and for programs.

use std::collections::BTreeMap;
use std::fmt::Write as _;
use std::time::Duration;

use policies::hex;
use policies::words::recordings::MORE_UNANSWERED;
use serde_json::{Value, json};

use super::sql::{TEXT_MAX, clock, in_one_line};
use crate::frame::{FileOperation, FileOutcome, FileResult, Frame, Transfer};

/// How much is kept of what has no answer yet, in bytes. A server has less than that under way in one session, but for
/// very long names.
const ASKED_MAX: usize = 8 * 1024 * 1024;

/// What was asked for and has no answer. A server that was killed, or could write no more, has told no end of it.
#[derive(Debug, Default)]
pub(super) struct Asked {
    /// By channel and number, what is told of each.
    texts: BTreeMap<(u32, u64), String>,
    bytes: usize,
    /// Whether there was more than is kept.
    is_more: bool,
}

impl Asked {
    /// Takes note of a frame. Behind the last of them, the lines about what has no answer.
    pub(super) fn note(&mut self, at: Duration, frame: &Frame<'_>) -> Vec<String> {
        if let Frame::File(operation) = frame {
            self.take(operation);
        } else if let Frame::Close { .. } = frame {
            return self.left(at);
        }
        Vec::new()
    }

    fn take(&mut self, operation: &FileOperation<'_>) {
        let key = (operation.channel, operation.id);
        if operation.outcome.is_some() {
            let text = self.texts.remove(&key);
            let bytes = text.map_or(0, |text| text.len());
            self.bytes = self.bytes.saturating_sub(bytes);
            return;
        }
        let outcome = FileOutcome {
            result: FileResult::Unanswered,
            read: Transfer::default(),
            written: Transfer::default(),
        };
        let unanswered = FileOperation {
            outcome: Some(outcome),
            ..*operation
        };
        let Some(text) = text(&unanswered) else {
            return;
        };
        let bytes = self.bytes.saturating_add(text.len());
        if bytes > ASKED_MAX {
            self.is_more = true;
        } else {
            self.bytes = bytes;
            let before = self.texts.insert(key, text);
            let before = before.map_or(0, |before| before.len());
            self.bytes = self.bytes.saturating_sub(before);
        }
    }

    fn left(&mut self, at: Duration) -> Vec<String> {
        let texts = std::mem::take(&mut self.texts).into_values();
        let more = self.is_more.then(|| MORE_UNANSWERED.to_owned());
        let lines = texts.chain(more);
        lines
            .map(|text| format!("[{} {text}]\n", clock(at)))
            .collect()
    }
}

/// What a person should read of an operation, safe to print, in one line: how it went, and of those without an answer
/// yet, nothing.
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
        let detail = in_one_line(operation.detail.as_bytes());
        write!(out, " ({detail})").ok();
    }
    let (before, said) = match outcome.result {
        FileResult::Done => ("", ""),
        FileResult::Failed { message: "", .. } => (": failed", ""),
        FileResult::Failed { message, .. } => (": failed, ", message),
        FileResult::Refused => (": refused", ""),
        FileResult::Unanswered => (": no answer", ""),
    };
    out.push_str(before);
    out.push_str(&in_one_line(said.as_bytes()));
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

/// A path, in quotes where it could be read as more than one. In quotes everything is an escape that is not seen, and
/// each backslash is two: it is not to be escaped once more. Of a very long one, the beginning.
fn name(path: &[u8]) -> String {
    let shown = path.get(..TEXT_MAX).unwrap_or(path);
    let more = path.len().saturating_sub(shown.len());
    let path = String::from_utf8_lossy(shown);
    let plain = |c: char| c.is_alphanumeric() || "/._-+@%~=".contains(c);
    let mut out = if path.chars().all(plain) {
        path.into_owned()
    } else {
        format!("{path:?}")
    };
    if more > 0 {
        write!(out, "[{more} bytes more]").ok();
    }
    out
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

#[cfg(test)]
mod tests {
    use std::time::Duration;

    use super::*;
    use crate::frame::Frame;

    #[test]
    fn nothing_in_a_line_is_escaped_twice() {
        for (path, detail, want) in [
            (&b"/a\x1bb"[..], "", r#"channel 0 open "/a\u{1b}b""#),
            (br"/a\u{1b}b", "", r#"channel 0 open "/a\\u{1b}b""#),
            (
                "/at 9.41\u{202f}AM".as_bytes(),
                "",
                r#"channel 0 open "/at 9.41\u{202f}AM""#,
            ),
            (b"/a", "\x1b", r"channel 0 open /a (\u{1b})"),
            (b"/a", r"\u{1b}", r"channel 0 open /a (\\u{1b})"),
        ] {
            let outcome = FileOutcome {
                result: FileResult::Done,
                read: Transfer::default(),
                written: Transfer::default(),
            };
            let operation = FileOperation {
                channel: 0,
                id: 1,
                action: "open",
                path,
                to: b"",
                detail,
                outcome: Some(outcome),
            };
            let frame = Frame::File(operation);
            let shown = crate::export::plain::line(Duration::ZERO, &frame).unwrap();
            assert_eq!(shown, format!("[0:00:00.000 {want}]\n"));
        }
    }
}
