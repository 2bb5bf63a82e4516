//! A command line that starts rsync, and what passes behind it.

use bytes::Bytes;

use crate::fuzzing::cut;
use crate::ssh::files::command::{FileCommand, Line, Word};
use crate::ssh::files::operation::Operation;
use crate::ssh::files::rsync::{Invocation, Rsync};

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

/// Letters of a receiver that make links, or that take the next word.
const LED: &[u8] = b"lDKRkLTBfMs";

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

fn quote(word: &Word) -> Vec<u8> {
    let (tilde, rest): (&[u8], &[u8]) = match word.text.strip_prefix(b"~") {
        Some(rest) if word.home => (b"~", rest),
        _ => (b"", &word.text),
    };
    [tilde, b"\"", rest, b"\""].concat()
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

/// How a transfer is told of whose client sent this.
fn passed<'a>(invocation: &Invocation, pieces: impl Iterator<Item = &'a [u8]>) -> [Operation; 2] {
    let (mut rsync, begun) = Rsync::begin(invocation.clone());
    for piece in pieces {
        let piece = Bytes::copy_from_slice(piece);
        rsync.up(&piece);
        rsync.down(&piece);
    }
    rsync.exited(0);
    [begun, rsync.finish()]
}
