//! A command line that starts rsync, and what passes behind it.

use crate::fuzzing::{cut, turns};
use crate::ssh::files::command::{FileCommand, Line, Word};
use crate::ssh::files::operation::Operation;
use crate::ssh::files::rsync::{Invocation, Rsync, WEIGHT_MAX};

/// Options by which a receiver writes, reads or removes what is not below the paths it is given
/// (`rsync.1`), each with the dashes and up to its value.
const ELSEWHERE: [&str; 18] = [
    "--daemon",
    "--delete",
    "--remove-",
    "--files-from",
    "--exclude-from",
    "--include-from",
    "--filter",
    "--password-file",
    "--log-file",
    "--link-dest",
    "--copy-dest",
    "--compare-dest",
    "--backup-dir",
    "--temp-dir",
    "--partial-dir",
    "--write-batch",
    "--read-batch",
    "--config",
];

/// Letters of a receiver that make links, that take the next word, or that give what was there another name.
const LED: &[u8] = b"lDKRkLTBfMsb";

/// A line and, behind its line break, what the client sends. What is plain says the same however it is
/// quoted. What may start names whole places and has no option that leads elsewhere. What passes is
/// counted and digested alike wherever it is cut.
pub(super) fn rsync(input: &[u8]) {
    let mut parts = input.splitn(2, |byte| *byte == b'\n');
    let command = parts.next().unwrap_or_default();
    quoted(command);
    let Some(FileCommand::Rsync(invocation)) = FileCommand::of(command) else {
        return;
    };
    let wants = invocation.wants();
    if wants.odd.is_none() && wants.trees.iter().all(Result::is_ok) {
        assert!(invocation.clear.plain, "a line that is not plain may start");
        for tree in wants.trees.iter().flatten() {
            assert!(tree.starts_with(['/', '~']), "{tree:?}");
            assert!(tree.split('/').all(|part| part != ".."), "{tree:?}");
        }
        if !wants.sends {
            receives(command);
        }
    }
    if let Some((stream, pieces)) = parts.next().and_then(cut) {
        let whole = passed(&invocation, [stream].into_iter());
        assert_eq!(passed(&invocation, pieces), whole);
    }
}

/// A plain line says the same where every word of it stands in quotes.
fn quoted(command: &[u8]) {
    let line = Line::parse(command);
    if !line.plain {
        return;
    }
    let words: Vec<Vec<u8>> = line.words.iter().map(quote).collect();
    let again = Line::parse(&words.join(&b' '));
    assert_eq!(again, line);
}

/// With a quote right behind it, a tilde is no home.
fn quote(word: &Word) -> Vec<u8> {
    let (home, rest): (&[u8], &[u8]) = match word.text.strip_prefix(b"~/") {
        Some(rest) if word.home => (b"~/", rest),
        None if word.home => return word.text.clone(),
        _ => (b"", &word.text),
    };
    [home, b"\"", rest, b"\""].concat()
}

/// Nothing that is handed to a receiver leads it elsewhere.
fn receives(command: &[u8]) {
    let words = Line::parse(command).words;
    let before = words.iter().take_while(|word| word.text != b".");
    for word in before.skip(1) {
        let text = String::from_utf8_lossy(&word.text);
        let leads = ELSEWHERE.iter().any(|option| text.starts_with(option));
        assert!(!leads, "{text}");
        if let Some(letters) = word.text.strip_prefix(b"-")
            && !letters.starts_with(b"-")
        {
            let mut letters = letters.iter().take_while(|letter| **letter != b'e');
            assert!(!letters.any(|letter| LED.contains(letter)), "{text}");
        }
    }
}

/// How the streams of a transfer are told of whose client sent this. What is told of its files is another target's.
fn passed<'a>(invocation: &Invocation, pieces: impl Iterator<Item = &'a [u8]>) -> [Operation; 2] {
    let (mut rsync, begun) = Rsync::begin(invocation.clone());
    for piece in pieces {
        for from_client in [true, false] {
            let mut rest = piece;
            while !rest.is_empty() {
                let (taken, _told) = rsync.take(from_client, rest);
                rest = rest.get(taken..).unwrap_or_default();
            }
        }
    }
    rsync.exited(0);
    let whole = rsync.finish().pop();
    [begun.clone(), whole.unwrap_or(begun)]
}

/// A line and, behind its line break, what both ends say. What is told does not depend on where that is cut, but for how
/// often others have their turn; little is told at once, and no more is held than is promised.
pub(super) fn rsync_stream(input: &[u8]) {
    let mut parts = input.splitn(2, |byte| *byte == b'\n');
    let command = parts.next().unwrap_or_default();
    let (Some(FileCommand::Rsync(invocation)), Some(stream)) =
        (FileCommand::of(command), parts.next())
    else {
        return;
    };
    let turns = turns(stream);
    let pieces = turns.iter().flat_map(|turn| {
        let pieces = turn.pieces.iter();
        pieces.map(|piece| (turn.from_client, piece.to_vec()))
    });
    let whole = turns.iter().map(|turn| (turn.from_client, turn.whole()));
    assert_eq!(told(&invocation, pieces), told(&invocation, whole));
}

/// What is told of a conversation.
fn told(invocation: &Invocation, pieces: impl Iterator<Item = (bool, Vec<u8>)>) -> Vec<Operation> {
    let (mut rsync, begun) = Rsync::begin(invocation.clone());
    let mut told = vec![begun];
    for (from_client, piece) in pieces {
        let mut rest = piece.as_slice();
        while !rest.is_empty() {
            let (taken, more) = rsync.take(from_client, rest);
            assert!(taken > 0, "nothing is looked at");
            assert!(more.len() < 1024, "{} at once", more.len());
            let weight = rsync.weight();
            assert!(weight <= WEIGHT_MAX, "{weight} bytes held");
            told.extend(more);
            rest = rest.get(taken..).unwrap_or_default();
        }
    }
    rsync.exited(0);
    told.extend(rsync.finish());
    told
}
