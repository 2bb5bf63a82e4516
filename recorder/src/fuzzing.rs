//! What must hold of every recording that is read, whatever its bytes are.
//!
//! Each target is one function: it panics where a property is broken that its documentation states.
//! Built for tests, which replay the corpora, and for `tests/fuzz`; no part of the product.

#![expect(clippy::panic, reason = "a property that is broken ends the run")]

use std::io::{self, Read};
use std::time::Duration;

use crate::chain::Chain;
use crate::codec::{self, kind};
use crate::segment::{self, Container, Unpacked};
use crate::{
    Channels, Checkpoint, Form, Reader, Sanitiser, Transcript, export, note_key, seal_key,
};

/// A target's name, which is that of its corpus, and what it does with an input.
pub type Target = (&'static str, fn(&[u8]));

/// All of this crate.
pub const TARGETS: [Target; 5] = [
    ("frames", frames),
    ("recordings", recordings),
    ("exports", exports),
    ("checkpoints", checkpoints),
    ("terminal", terminal),
];

/// One frame has one encoding: whatever is read is written as the same bytes. How a session ended is
/// JSON, of which there is more than one form; it says the same again.
fn frames(input: &[u8]) {
    let Some((kind, payload)) = input.split_first() else {
        return;
    };
    let mut again = Vec::new();
    if *kind == kind::HEADING {
        if let Ok(heading) = codec::decode_heading(payload) {
            assert!(codec::encode_heading(&heading, &mut again).is_ok());
            assert_eq!(codec::decode_heading(&again), Ok(heading));
        }
        return;
    }
    let Ok(frame) = codec::decode(*kind, payload) else {
        return;
    };
    assert_eq!(codec::encode(&frame, &mut again), Ok(*kind));
    if *kind == kind::CLOSE {
        let read = codec::decode(*kind, &again).map(|frame| format!("{frame:?}"));
        assert_eq!(read, Ok(format!("{frame:?}")));
    } else {
        assert_eq!(again, payload, "another form of {frame:?}");
    }
}

/// What a file holds does not depend on how it is read; its frames are numbered from the first on,
/// and none is earlier than that before it.
fn recordings(file: &[u8]) {
    let whole = read(file);
    assert_eq!(read(Slowly(file)), whole);
    let numbers = whole.0.iter().map(|(number, _, _)| *number);
    assert!(numbers.zip(1..).all(|(number, want)| number == want));
    assert!(whole.0.is_sorted_by_key(|(_, at, _)| *at), "back in time");
}

/// Frames with number and time, and how reading ended.
type Told = (Vec<(u64, Duration, String)>, Result<Option<String>, String>);

fn read(input: impl Read) -> Told {
    let mut frames = Vec::new();
    let end = Reader::new(input).and_then(|mut reader| {
        while let Some(stamped) = reader.next_frame()? {
            let said = format!("{:?}", stamped.frame);
            frames.push((stamped.sequence, stamped.at, said));
        }
        Ok(reader.note().map(str::to_owned))
    });
    (frames, end.map_err(|broken| format!("{broken:?}")))
}

/// Reads byte by byte.
struct Slowly<'a>(&'a [u8]);

impl Read for Slowly<'_> {
    fn read(&mut self, to: &mut [u8]) -> io::Result<usize> {
        let (Some((byte, rest)), Some(place)) = (self.0.split_first(), to.first_mut()) else {
            return Ok(0);
        };
        (*place, self.0) = (*byte, rest);
        Ok(1)
    }
}

/// However hostile what was recorded is: it is packed and read back as it was, and what is exported
/// holds nothing that a terminal obeys. The input is frames: each a kind, a length of two bytes and a
/// payload.
fn exports(input: &[u8]) {
    let (mut chain, mut frames, mut pushed) = (Chain::start(), Vec::new(), 0_u32);
    let mut rest = input;
    let opened = chain.push(Duration::ZERO, &mut frames, |to| {
        to.extend_from_slice(HEADING);
        Ok(kind::HEADING)
    });
    assert_eq!(opened, Ok(()));
    while let Some((&[number, low, high], behind)) = rest.split_first_chunk::<3>() {
        let length = usize::from(u16::from_le_bytes([low, high])).min(behind.len());
        let (payload, behind) = behind.split_at_checked(length).unwrap_or((behind, &[]));
        rest = behind;
        pushed = pushed.saturating_add(1);
        let at = Duration::from_millis(u64::from(pushed));
        let done = chain.push(at, &mut frames, |to| {
            to.extend_from_slice(payload);
            Ok(number)
        });
        assert_eq!(done, Ok(()));
    }
    let whole = Unpacked {
        first: 0,
        frames: pushed.saturating_add(1),
        at_us: 0,
        bytes: &frames,
    };
    let mut file = segment::opening();
    let packed = segment::pack(whole, &mut Container::start(), |bytes| {
        file.extend_from_slice(bytes);
        Ok(())
    });
    assert!(packed.is_ok(), "not packed: {packed:?}");
    let (told, end) = read(file.as_slice());
    if end.is_ok() {
        assert_eq!(told.len(), usize::try_from(pushed).unwrap_or_default());
    }
    for form in [Form::CastV2, Form::CastV3, Form::Text, Form::JsonLines] {
        let reader = || Reader::new(file.as_slice());
        let (Ok(mut first), Ok(mut reader)) = (reader(), reader()) else {
            panic!("the heading is good");
        };
        let (mut out, shown) = (Vec::new(), Channels::read(&mut first).shown(None));
        let _stopped = export(&mut reader, (form, shown), None, &mut out);
        harmless(&out);
    }
}

/// The payload of a first frame.
const HEADING: &[u8] = br#"{"session":"ses_01kdy8bs240000000000000001","grant":"grt_01kdy8bs240000000000000002","principal":"alice","credential":{"kind":"key","fingerprint":"SHA256:abc"},"source":"192.0.2.7","target":"web1","login":"deploy","protocol":"ssh","input":"kept","started_at":"2026-01-02T03:04:05Z"}"#;

/// That nothing here is obeyed by a terminal, but for ends of lines and tabs.
#[track_caller]
fn harmless(out: &[u8]) {
    let text = String::from_utf8_lossy(out);
    let obeyed = |c: char| c.is_control() && c != '\n' && c != '\t';
    let found = text
        .chars()
        .find(|c| obeyed(*c) || crate::terminal::reorders(*c));
    assert_eq!(found, None, "in {text:?}");
}

/// A checkpoint that is read has one text, and so has a key.
fn checkpoints(text: &[u8]) {
    let Ok(text) = std::str::from_utf8(text) else {
        return;
    };
    if let Ok(checkpoint) = Checkpoint::parse(text) {
        let body = checkpoint.to_string();
        assert!(text.starts_with(&body), "another text");
        let again = Checkpoint::parse(&format!("{body}\n"));
        assert_eq!(again, Ok(checkpoint));
        assert!(Checkpoint::verify(text, &[7; 32]).is_err());
    }
    if let Some(key) = seal_key(text) {
        assert_eq!(seal_key(&note_key(&key)), Some(key));
    }
}

/// What a terminal is shown does not depend on where it is cut, only draws, and passes a second time
/// as it is; a transcript is text and nothing else. The first byte is the
/// size of the pieces, and the width of the terminal.
fn terminal(input: &[u8]) {
    let Some((size, stream)) = input.split_first() else {
        return;
    };
    let columns = u32::from(*size);
    let size = usize::from(*size).max(1);
    let drawn = |pieces: std::slice::Chunks<'_, u8>| {
        let (mut sanitiser, mut out) = (Sanitiser::default(), String::new());
        pieces.for_each(|piece| sanitiser.feed(piece, &mut out));
        out
    };
    let shown = drawn(stream.chunks(stream.len().max(1)));
    assert_eq!(drawn(stream.chunks(size)), shown);
    let again = shown.as_bytes();
    assert_eq!(
        drawn(again.chunks(again.len().max(1))),
        shown,
        "not only drawing"
    );
    let forbidden = |c: char| matches!(c, '\0'..='\u{7}' | '\u{10}'..='\u{1a}' | '\u{1c}'..='\u{1f}' | '\u{7f}'..='\u{9f}');
    assert_eq!(shown.chars().find(|c| forbidden(*c)), None);
    let written = |pieces: std::slice::Chunks<'_, u8>| {
        let (mut transcript, mut out) = (Transcript::default(), String::new());
        transcript.resize(columns);
        pieces.for_each(|piece| transcript.feed(piece, &mut out));
        transcript.conclude(&mut out);
        out
    };
    let text = written(stream.chunks(stream.len().max(1)));
    assert_eq!(written(stream.chunks(size)), text);
    harmless(text.as_bytes());
}

#[cfg(test)]
mod tests {
    use std::fs;
    use std::path::Path;

    use super::*;

    #[test]
    fn every_input_that_was_ever_odd_is_read_as_it_should_be() {
        let corpora = Path::new(env!("CARGO_MANIFEST_DIR")).join("../tests/fuzz/corpus");
        for (name, target) in TARGETS {
            let corpus = fs::read_dir(corpora.join(name)).expect("each target has a corpus");
            let inputs: Vec<_> = corpus.map(|entry| entry.unwrap().path()).collect();
            assert!(!inputs.is_empty(), "the corpus of {name} is empty");
            for input in inputs {
                target(&fs::read(input).unwrap());
            }
        }
    }
}
