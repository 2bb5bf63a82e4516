//! A conversation over SFTP.

use bytes::Bytes;
use recorder::{FileResult, Frame};

use policies::words::Shown;
use policies::words::Words;
use policies::words::ssh::SshSaying;

use crate::fuzzing::{Turn, turns};
use crate::ssh::files::operation::Operation;
use crate::ssh::files::sftp::{Access, Judge, Sftp, Touch, Unclear, Warden};

/// The most that may be held of one direction: a packet's head (`OPERATION_MAX` of the framer).
const HEAD_MAX: usize = 64 * 1024 + 4;

/// What a conversation comes to does not depend on where it is cut. Where all is allowed, every byte
/// passes as it came, at once but for the head of the last packet. Where not, what is refused is taken
/// out whole, is told of, and is answered exactly once, between two packets of the target.
pub(super) fn sftp(input: &[u8]) {
    let turns = turns(input);
    if is_answer(&said(&turns, false)) {
        return;
    }
    let (cut, whole) = (Cut::AsItCame, Cut::Nowhere);
    let allowed = Heard::of(&turns, cut, None);
    assert_eq!(allowed, Heard::of(&turns, whole, None));
    assert_eq!(allowed.answers, 0);
    for (passed, said) in [
        (&allowed.up, said(&turns, true)),
        (&allowed.down, said(&turns, false)),
    ] {
        assert!(said.starts_with(passed), "other bytes passed than came");
        let held = said.len().saturating_sub(passed.len());
        assert!(allowed.unclear.is_some() || held <= HEAD_MAX, "{held} held");
    }
    let judge: Option<Judge<'_>> = Some(&Strict);
    let judged = Heard::of(&turns, cut, judge);
    let refused = Heard::of(&turns, whole, judge);
    // Our own answers may stand elsewhere among the target's.
    assert_eq!(judged.without_answers(), refused.without_answers());
    if judged.unclear.is_none() {
        judged.taken_out_whole(&said(&turns, true));
    }
}

/// Allows what can be told, has no `x` in it and, where it is changed, no `r`.
struct Strict;

impl Warden for Strict {
    fn allows(&self, touch: &Touch) -> Result<(), Words> {
        match &touch.place {
            Ok(place) if place.contains('x') => {}
            Ok(place) if touch.access == Access::Write && place.contains('r') => {}
            Ok(_) => return Ok(()),
            Err(_vague) => {}
        }
        Err(SshSaying::NoTerminal.words())
    }

    fn reads_nothing(&self) -> bool {
        false
    }

    fn asked(&self) -> usize {
        0
    }
}

/// How the turns are cut.
#[derive(Debug, Clone, Copy)]
enum Cut {
    AsItCame,
    Nowhere,
}

/// Everything that one side said.
fn said(turns: &[Turn<'_>], from_client: bool) -> Vec<u8> {
    let turns = turns.iter().filter(|turn| turn.from_client == from_client);
    turns.map(Turn::whole).collect::<Vec<_>>().concat()
}

/// What became of a conversation.
#[derive(Debug, Default, PartialEq)]
struct Heard {
    up: Vec<u8>,
    /// Without our own answers.
    down: Vec<u8>,
    answers: usize,
    operations: Vec<Operation>,
    unclear: Option<Unclear>,
}

impl Heard {
    fn of(turns: &[Turn<'_>], cut: Cut, judge: Option<Judge<'_>>) -> Self {
        let (mut sftp, mut heard) = (Sftp::default(), Self::default());
        for turn in turns {
            let pieces = match cut {
                Cut::AsItCame => turn.pieces.iter().map(|piece| piece.to_vec()).collect(),
                Cut::Nowhere => vec![turn.whole()],
            };
            for piece in pieces {
                heard.take(&mut sftp, turn.from_client, piece, judge);
            }
            heard.answers(&sftp.answers());
            if heard.unclear.is_some() {
                break;
            }
        }
        heard.operations.extend(sftp.finish());
        assert_eq!(sftp.finish(), [], "told twice");
        heard
    }

    /// Takes what one side sent, in as many turns as it takes.
    fn take(
        &mut self,
        sftp: &mut Sftp,
        from_client: bool,
        piece: Vec<u8>,
        judge: Option<Judge<'_>>,
    ) {
        let (came, mut rest) = (piece.len(), Bytes::from(piece));
        let mut pieces = Vec::new();
        while !rest.is_empty() && self.unclear.is_none() {
            let passed = if from_client {
                sftp.up(rest, judge)
            } else {
                sftp.down(rest, judge)
            };
            pieces.extend(passed.pieces);
            self.operations.extend(passed.operations);
            self.unclear = passed.unclear;
            rest = passed.rest;
        }
        if from_client {
            self.up.extend(pieces.concat());
            return;
        }
        // Behind what the target sent stand the answers.
        let answers = pieces.iter().rev().take_while(|one| is_answer(one)).count();
        let (theirs, ours) = pieces
            .split_at_checked(pieces.len().saturating_sub(answers))
            .unwrap_or((&pieces, &[]));
        self.down.extend(theirs.concat());
        assert!(theirs.concat().len() <= came.saturating_add(HEAD_MAX));
        self.answers(ours);
    }

    fn answers(&mut self, answers: &[Bytes]) {
        assert!(answers.iter().all(|one| is_answer(one)));
        self.answers = self.answers.saturating_add(answers.len());
    }

    fn without_answers(&self) -> (&[u8], &[u8], &[Operation], &Option<Unclear>) {
        (&self.up, &self.down, &self.operations, &self.unclear)
    }

    /// What passed upwards is what came, without some packets: as many as are told of as refused, and
    /// no fewer than were answered.
    fn taken_out_whole(&self, said: &[u8]) {
        let mut passed = packets(&self.up).into_iter().peekable();
        let mut missing: usize = 0;
        for packet in packets(said) {
            if passed.peek() == Some(&packet) {
                passed.next();
            } else {
                missing = missing.saturating_add(1);
            }
        }
        assert_eq!(passed.next(), None, "something else passed");
        let refused = self.operations.iter().filter(|one| is_refused(one)).count();
        assert_eq!(missing, refused, "taken out and not told of");
        assert!(self.answers <= refused, "answered more than once");
    }
}

/// Whether these are words of our own answers.
fn is_answer(piece: &[u8]) -> bool {
    piece.windows(9).any(|part| part == b"tidegate:")
}

fn is_refused(operation: &Operation) -> bool {
    let Frame::File(operation) = operation.frame(0) else {
        return false;
    };
    let result = operation.outcome.map(|outcome| outcome.result);
    matches!(result, Some(FileResult::Refused))
}

/// The whole packets, and what follows the last.
fn packets(mut stream: &[u8]) -> Vec<&[u8]> {
    let mut packets = Vec::new();
    while let Some(length) = stream.first_chunk::<4>() {
        let length = usize::try_from(u32::from_be_bytes(*length)).unwrap_or(usize::MAX);
        let Some((packet, rest)) = stream.split_at_checked(length.saturating_add(4)) else {
            break;
        };
        packets.push(packet);
        stream = rest;
    }
    packets
}
