//! The fuzz targets of the PostgreSQL path.

#![expect(clippy::panic, reason = "a property that is broken ends the run")]

use std::sync::LazyLock;

use policies::SqlKind;

use super::client::startup::{self, Opening};
use super::statement::redact;
use super::statement::{self, Known, Reading, TEXT_MAX};
use super::target::back::put_startup;
use super::wire::HEADER;
use crate::fuzzing::Target;

mod exchange;
mod messages;
pub(super) mod scram;

/// All of them.
pub(crate) const TARGETS: [Target; 6] = [
    ("startup", startup),
    ("messages", messages::messages),
    ("exchange", exchange::exchange),
    ("statements", statements),
    ("redactor", redactor),
    ("scram", scram::scram),
];

/// A first packet that is understood means what we would send for it: a session's wishes come back
/// from their own bytes, and a cancel key has one form.
fn startup(body: &[u8]) {
    match startup::opening(body) {
        Ok(Opening::Tls | Opening::Gss) => assert_eq!(body.len(), 4),
        Ok(Opening::Cancel(key)) => {
            let again = [&80_877_102_u32.to_be_bytes()[..], &key.pid.to_be_bytes()];
            assert_eq!([again.concat(), key.secret].concat(), body);
        }
        Ok(Opening::Session(asked)) => {
            let mut onwards = Vec::new();
            put_startup(
                &mut onwards,
                &asked.user,
                &asked.database,
                &asked.parameters,
            );
            let Ok(Opening::Session(read)) = startup::opening(&onwards) else {
                panic!("not understood behind us: {asked:?}");
            };
            assert_eq!(
                (&read.user, &read.database, &read.parameters),
                (&asked.user, &asked.database, &asked.parameters)
            );
            assert_eq!((read.minor, &read.unknown), (0, &None));
            if let Some(unknown) = &asked.unknown {
                let mut answer = Vec::new();
                startup::put_negotiation(&mut answer, unknown);
                let longest = body.len().saturating_add(HEADER).saturating_add(8);
                assert!(answer.len() <= longest, "more is answered than was asked");
            }
        }
        Err(refused) => {
            // The words go to the client as they are.
            assert!(refused.to_string().len() <= body.len().saturating_add(100));
        }
    }
}

/// What a text would do does not depend on white space, comments or the case of key words around it, nor on
/// what was read before, and two texts do what each of them does.
fn statements(input: &[u8]) {
    static KNOWN: LazyLock<Known> = LazyLock::new(Known::default);
    let mut parts = input.splitn(2, |byte| *byte == 0);
    let (first, second) = (parts.next().unwrap_or_default(), parts.next());
    let read = statement::read(first);
    // A NUL ends a text where it is read from a message.
    assert_eq!(*KNOWN.read(first), read);
    let around = [b"/* a /* b */ */\n", first, b"\n-- c\n\t"].concat();
    if around.len() > TEXT_MAX {
        return;
    }
    assert_eq!(statement::read(&around), read);
    let Some(second) = second.filter(|_second| is_known(&read)) else {
        return;
    };
    let (other, both) = (statement::read(second), [first, b"\n;", second].concat());
    if !is_known(&other) || both.len() > TEXT_MAX {
        return;
    }
    let both = statement::read(&both);
    if !is_known(&both) {
        // Together they are too much.
        return;
    }
    let mut each = read.statements;
    for one in other.statements {
        if !each.contains(&one) {
            each.push(one);
        }
    }
    assert_eq!(both.statements, each);
    assert!(
        both.prepares.is_superset(&read.prepares) && both.prepares.is_superset(&other.prepares)
    );
    assert!(
        both.executes.is_superset(&read.executes) && both.executes.is_superset(&other.executes)
    );
}

/// Whether it is clear what everything in it does.
fn is_known(reading: &Reading) -> bool {
    let unknown = |one: &policies::SqlStatement| one.kind == SqlKind::Unknown;
    !reading.fingerprint.is_empty() && !reading.statements.iter().any(unknown)
}

/// Only passwords are taken out, and only whole constants: what stands around them stays as it was,
/// in order, and the text has the same tokens for the one who reads statements.
fn redactor(text: &[u8]) {
    let clean = redact::passwords(text, redact::Transaction::None);
    if contains(text, REDACTED) {
        return;
    }
    let (mut left, mut told) = (text, &*clean);
    while let Some(at) = place(told, REDACTED) {
        let (kept, rest) = told.split_at_checked(at).unwrap_or((told, &[]));
        let Some((digits, rest)) = place(rest, b" bytes)'").and_then(|end| {
            let digits = rest.get(REDACTED.len()..end)?;
            Some((digits, rest.get(end.checked_add(8)?..)?))
        }) else {
            panic!("half a note about a password");
        };
        let taken = std::str::from_utf8(digits)
            .ok()
            .and_then(|text| text.parse().ok());
        let Some((constant, behind)) = left
            .strip_prefix(kept)
            .and_then(|from| from.split_at_checked(taken.unwrap_or(usize::MAX)))
        else {
            panic!("something else was taken out");
        };
        assert!(
            contains(constant, b"'") || contains(constant, b"$"),
            "no constant"
        );
        (left, told) = (behind, rest);
    }
    assert_eq!(left, told, "something else was changed");
    if text.len() <= TEXT_MAX && clean.len() <= TEXT_MAX {
        let (with, without) = (statement::read(text), statement::read(&clean));
        assert!(
            with.fingerprint.is_empty() || with == without,
            "read differently"
        );
    }
}

/// What stands where a password was begins so.
const REDACTED: &[u8] = b"'(redacted: ";

fn place(text: &[u8], part: &[u8]) -> Option<usize> {
    text.windows(part.len()).position(|window| window == part)
}

fn contains(text: &[u8], part: &[u8]) -> bool {
    place(text, part).is_some()
}
