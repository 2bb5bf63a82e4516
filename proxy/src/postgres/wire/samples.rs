//! Messages as peers send them, for tests.

use super::{message, put_text};

/// A message of this kind and body.
pub(in crate::postgres) fn framed(kind: u8, body: &[u8]) -> Vec<u8> {
    let mut out = Vec::new();
    message(&mut out, kind, |to| to.extend_from_slice(body));
    out
}

/// A message of texts, and what is behind them.
pub(in crate::postgres) fn texts(kind: u8, texts: &[&[u8]], rest: &[u8]) -> Vec<u8> {
    let mut out = Vec::new();
    message(&mut out, kind, |body| {
        for text in texts {
            put_text(body, text);
        }
        body.extend_from_slice(rest);
    });
    out
}

/// A simple query.
pub(in crate::postgres) fn query(text: &str) -> Vec<u8> {
    texts(b'Q', &[text.as_bytes()], &[])
}

/// A statement to prepare, without types.
pub(in crate::postgres) fn parse(name: impl AsRef<[u8]>, text: &str) -> Vec<u8> {
    texts(b'P', &[name.as_ref(), text.as_bytes()], &[0, 0])
}

/// These values, as text, for the portal without a name.
pub(in crate::postgres) fn bind(name: impl AsRef<[u8]>, values: &[&str]) -> Vec<u8> {
    let mut rest = vec![0, 0];
    rest.extend(u16::try_from(values.len()).unwrap().to_be_bytes());
    for value in values {
        rest.extend(u32::try_from(value.len()).unwrap().to_be_bytes());
        rest.extend(value.as_bytes());
    }
    rest.extend([0, 0]);
    texts(b'B', &[b"", name.as_ref()], &rest)
}

/// Runs the portal without a name.
pub(in crate::postgres) fn execute() -> Vec<u8> {
    framed(b'E', &[0; 5])
}

/// The end of a batch.
pub(in crate::postgres) fn sync() -> Vec<u8> {
    framed(b'S', b"")
}
