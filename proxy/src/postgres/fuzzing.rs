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

/// Only constants behind the word are taken out, none longer than a password may be: what stands around them stays as
/// it was, in order. Of a text that runs they are whole, and it has the same tokens for the one who reads statements.
fn redactor(text: &[u8]) {
    if contains(text, REDACTED) {
        return;
    }
    taken_out(text, &redact::every_password(text));
    let within = redact::passwords(text, redact::Transaction::Open);
    let clean = redact::passwords(text, redact::Transaction::None);
    assert!(
        *within == *text || within == clean,
        "something else is taken out where something may wait"
    );
    for constant in taken_out(text, &clean) {
        let is_whole = constant.ends_with(b"'") || constant.ends_with(b"$");
        assert!(is_whole || text.ends_with(constant), "half a constant");
    }
    if text.len() <= TEXT_MAX && clean.len() <= TEXT_MAX {
        let (with, without) = (statement::read(text), statement::read(&clean));
        assert!(
            with.fingerprint.is_empty() || with == without,
            "read differently"
        );
    }
}

/// What was taken out of `text`, of which `clean` was left: each part of a constant.
fn taken_out<'t>(text: &'t [u8], clean: &[u8]) -> Vec<&'t [u8]> {
    let (mut left, mut told, mut taken) = (text, clean, Vec::new());
    while let Some(at) = place(told, REDACTED) {
        let (kept, rest) = told.split_at_checked(at).unwrap_or((told, &[]));
        let Some((digits, rest)) = place(rest, b" bytes)'").and_then(|end| {
            let digits = rest.get(REDACTED.len()..end)?;
            Some((digits, rest.get(end.checked_add(8)?..)?))
        }) else {
            panic!("half a note about a password");
        };
        let length = std::str::from_utf8(digits)
            .ok()
            .and_then(|text| text.parse().ok());
        let Some((constant, behind)) = left
            .strip_prefix(kept)
            .and_then(|from| from.split_at_checked(length.unwrap_or(usize::MAX)))
        else {
            panic!("something else was taken out");
        };
        assert!(
            contains(constant, b"'") || contains(constant, b"$"),
            "no constant"
        );
        assert!(constant.len() <= redact::PASSWORD_MAX, "no password");
        let so_far = text.len().saturating_sub(left.len());
        let before = text.get(..so_far.saturating_add(kept.len()));
        // It goes on in the next line.
        let goes_on = !taken.is_empty() && is_blank(kept);
        assert!(
            goes_on || is_behind_word(before.unwrap_or_default()),
            "not behind the word"
        );
        taken.push(constant);
        (left, told) = (behind, rest);
    }
    assert_eq!(left, told, "something else was changed");
    taken
}

/// Whether `before` ends with the word, and white space or comments behind it.
fn is_behind_word(before: &[u8]) -> bool {
    const WORD: &[u8] = b"password";
    let windows = before.windows(WORD.len()).enumerate();
    let mut words = windows.filter(|(_at, window)| window.eq_ignore_ascii_case(WORD));
    words.any(|(at, _word)| {
        let behind = before.get(at.saturating_add(WORD.len())..);
        is_blank(behind.unwrap_or_default())
    })
}

/// Whether there is nothing but white space and comments.
fn is_blank(text: &[u8]) -> bool {
    let (mut rest, mut depth) = (text, 0_usize);
    loop {
        (rest, depth) = match (rest, depth) {
            ([], 0) => return true,
            ([], _open) => return false,
            ([b'/', b'*', more @ ..], _any) => (more, depth.saturating_add(1)),
            ([b'*', b'/', more @ ..], 1..) => (more, depth.saturating_sub(1)),
            ([_inside, more @ ..], 1..) => (more, depth),
            ([b'-', b'-', more @ ..], 0) => {
                let end = more.iter().position(|byte| matches!(byte, b'\n' | b'\r'));
                let Some(end) = end else { return false };
                (more.get(end..).unwrap_or_default(), 0)
            }
            ([space, more @ ..], 0) if space.is_ascii_whitespace() || *space == 0x0b => (more, 0),
            (_other, 0) => return false,
        };
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
