//! Proves or disproves a recording: every frame, every segment, and the signature over them.
//!
//! Needs the file and the public key, nothing else.

use std::fs::File;
use std::io::{BufReader, Read};
use std::path::Path;

use policies::SessionId;

use crate::checkpoint::Checkpoint;
use crate::fault::{Break, Fault};
use crate::frame::Frame;
use crate::heading::Heading;
use crate::read::Reader;
use crate::{End, Timeline};

/// A recording that is, byte for byte, what was sealed.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Verified {
    /// What it says about itself.
    pub heading: Heading,
    /// What was signed.
    pub checkpoint: Checkpoint,
    /// How the session ended.
    pub end: End,
    /// When each step of that happened.
    pub timeline: Timeline,
}

/// What verifying finds: everything holds, or the first place that does not.
pub type Verdict = Result<Verified, Break>;

/// Verifies the file at `path`, which must be of `session` where one is named.
pub fn verify(path: &Path, session: Option<SessionId>, key: &[u8; 32]) -> Verdict {
    judge(Reader::<BufReader<File>>::open(path)?, session, key)
}

/// Verifies what `input` yields, to its end.
pub fn verify_from(input: impl Read, session: Option<SessionId>, key: &[u8; 32]) -> Verdict {
    judge(Reader::new(input)?, session, key)
}

fn judge<R: Read>(mut reader: Reader<R>, session: Option<SessionId>, key: &[u8; 32]) -> Verdict {
    let heading = reader.heading().clone();
    if session.is_some_and(|session| session != heading.session) {
        return Err(reader.walk().broken(Fault::OtherSession(heading.session)));
    }
    let mut ending = None;
    while let Some(stamped) = reader.next_frame()? {
        if let Frame::Close { end, timeline } = stamped.frame {
            ending = Some((end, timeline));
        }
    }
    let walk = reader.walk();
    let note = reader.note().ok_or_else(|| {
        walk.broken(if ending.is_some() {
            Fault::NotSealed
        } else {
            Fault::NoEnd
        })
    })?;
    let (end, timeline) = ending.ok_or_else(|| walk.broken(Fault::NoEnd))?;
    let checkpoint =
        Checkpoint::verify(note, key).map_err(|fault| walk.broken(Fault::Checkpoint(fault)))?;
    let chain = &walk.chain;
    let facts = [
        ("session", checkpoint.session == heading.session),
        ("number of frames", checkpoint.frames == chain.next),
        ("root", checkpoint.root == chain.value),
        ("size", checkpoint.bytes == chain.bytes),
        ("packing", checkpoint.container == walk.container.0),
        ("last time", checkpoint.last_us == chain.last_us),
        ("start", checkpoint.started_at == heading.started_at),
        ("end", checkpoint.end == end.as_str()),
    ];
    match facts.iter().find(|(_, holds)| !holds) {
        Some((what, _)) => Err(walk.broken(Fault::Disagrees(what))),
        None => Ok(Verified {
            heading,
            checkpoint,
            end,
            timeline,
        }),
    }
}
