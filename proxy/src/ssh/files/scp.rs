//! Legacy scp (`scp -O`), understood while it passes: which files went which way, with what result,
//! how many bytes and what their SHA-256 is.
//!
//! Pure: knows no channel and no recording. The protocol is that of `OpenSSH`'s `scp.c`: one side,
//! the source, says what it has in lines (`C` a file, `D` a directory, `E` its end, `T` times) and
//! sends contents behind them; the other, the sink, answers each with a zero byte, or with a one or
//! a two and a complaint. Contents are digested and never kept.
//!
//! The bytes pass as they came. Who loses the thread says so and looks no further; where policy
//! binds files, that is the end.

use bytes::{Bytes, BytesMut};
use policies::words::Words;
use policies::words::files as words;
use policies::words::recordings::not_followed;

use super::operation::{Ended, Operation};
use super::path::Vague;
use file::File;
pub(super) use invocation::cut;
pub use invocation::{Invocation, Role};
use line::{Kind, Record};
use tree::Tree;

mod file;
mod invocation;
mod line;
#[cfg(test)]
mod tests;
mod tree;

/// How many operations are told of before others have their turn. A complaint is two bytes and waits for no answer:
/// a chunk may have very many.
const TOLD_MAX: usize = 32;

/// What a failure is in the recording's numbers (`SSH_FX_FAILURE`).
const FAILURE: u32 = 4;

/// Says whether a file or directory may be touched that is in one of these places, whichever it is;
/// if not, what the client is told.
pub type Judge<'a> = &'a dyn Fn(&[Result<String, Vague>]) -> Result<(), Words>;

/// What a chunk came to.
#[derive(Debug, Default)]
pub struct Followed {
    /// What goes on, in order.
    pub pieces: Vec<Bytes>,
    /// What is to be recorded before it does.
    pub operations: Vec<Operation>,
    /// What follows them and was not looked at: others have their turn first.
    pub rest: Bytes,
    /// Why this is the end of what is followed, if it is.
    pub stop: Option<Stop>,
}

/// Why nothing is followed any more.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Stop {
    /// It cannot be understood.
    Lost(Lost),
    /// It may not be done. What was to be done has not gone on.
    Refused(Words),
}

/// Where the thread was lost.
#[derive(Debug, Clone, Copy, PartialEq, Eq, thiserror::Error)]
pub enum Lost {
    /// A line that is none of scp's.
    #[error("a line that scp does not have")]
    Line,
    /// A line without an end.
    #[error("a line without an end")]
    Long,
    /// Something when it was the other's turn.
    #[error("something out of turn")]
    Turn,
    /// The end of a directory that has not begun, or too many of them in one another.
    #[error("directories that are not in one another")]
    Nested,
}

/// One transfer, both ways.
#[derive(Debug)]
pub struct Scp {
    tree: Tree,
    turn: Turn,
    /// What the source has said of a line whose end has not come.
    line: Vec<u8>,
    /// The same of a complaint of the sink.
    reply: Vec<u8>,
    /// What of the line at hand has not gone on.
    held: BytesMut,
    /// What the next file's times are, as text.
    times: String,
    file: Option<File>,
    /// How many operations there were.
    count: u64,
}

/// Who has to say what.
#[derive(Debug)]
enum Turn {
    /// The sink, how it went with this.
    Sink(Asked),
    /// The source, what comes.
    Record,
    /// The source has so many bytes of contents to send.
    Contents(u64),
    /// The source, whether the contents were whole.
    Verdict,
    /// Nobody: one side has said that this is fatal.
    Nobody,
}

/// What the sink has to answer.
#[derive(Debug)]
enum Asked {
    /// Whether it is ready.
    Start,
    Times,
    Entry {
        operation: Box<Operation>,
        kind: Kind,
        size: u64,
        name: Box<[u8]>,
    },
    End,
    /// Whether it has the whole file.
    Whole,
}

impl Scp {
    /// A transfer that has not begun.
    pub fn new(invocation: Invocation) -> Self {
        Self {
            tree: Tree::new(invocation),
            turn: Turn::Sink(Asked::Start),
            line: Vec::new(),
            reply: Vec::new(),
            held: BytesMut::new(),
            times: String::new(),
            file: None,
            count: 0,
        }
    }

    /// What the target's end does.
    pub fn role(&self) -> Role {
        self.tree.role()
    }

    /// Takes what the source sent. Where there is a judge, a line goes on when it is whole and
    /// allowed.
    pub fn source(&mut self, mut chunk: Bytes, judge: Option<Judge<'_>>) -> Followed {
        let mut followed = Followed::default();
        // Up to where nothing is left half said.
        let (mut at, mut whole) = (0, 0);
        while let Some(rest) = chunk.get(at..)
            && !rest.is_empty()
            && followed.stop.is_none()
            && followed.operations.len() < TOLD_MAX
        {
            match self.said(rest, judge, &mut followed.operations) {
                Ok(taken) => at = at.saturating_add(taken),
                Err(stop) => followed.stop = Some(stop),
            }
            if followed.stop.is_none() && self.line.is_empty() {
                whole = at;
            }
        }
        if followed.stop.is_none() {
            followed.rest = chunk.split_off(at.min(chunk.len()));
        }
        let stays = match judge {
            None => Bytes::new(),
            Some(_) => chunk.split_off(whole),
        };
        if !self.held.is_empty() && (judge.is_none() || !chunk.is_empty()) {
            followed.pieces.push(self.held.split().freeze());
        }
        if !chunk.is_empty() {
            followed.pieces.push(chunk);
        }
        // What may not go on is dropped.
        if followed.stop.is_none() {
            self.held.extend_from_slice(&stays);
        }
        followed
    }

    /// Takes what the sink sent. It goes on as it came.
    pub fn sink(&mut self, chunk: Bytes) -> Followed {
        let mut followed = Followed::default();
        let mut at = 0;
        while let Some(rest) = chunk.get(at..)
            && !rest.is_empty()
            && followed.stop.is_none()
        {
            match self.answered(rest, &mut followed.operations) {
                Ok(taken) => at = at.saturating_add(taken),
                Err(lost) => followed.stop = Some(Stop::Lost(lost)),
            }
        }
        followed.pieces.push(chunk);
        followed
    }

    /// The transfer is over, or is followed no further: what was not answered, and what is open.
    pub fn finish(&mut self) -> Vec<Operation> {
        let mut left = Vec::new();
        if let Turn::Sink(Asked::Entry { operation, .. }) =
            std::mem::replace(&mut self.turn, Turn::Nobody)
        {
            left.push(operation.ended(Ended::Unanswered));
        }
        if let Some(file) = self.file.take() {
            left.push(self.close(file, Ended::Unanswered, &["still open".to_owned()]));
        }
        left
    }

    /// That nobody follows any more, because of what one side sent.
    pub fn lost(&mut self, who: &str, lost: Lost) -> Operation {
        let (path, to) = self.tree.place(b"");
        self.failed("scp", &path, &to, not_followed(who, &lost.to_string()))
    }

    /// The source says something. How many bytes of it that was.
    fn said(
        &mut self,
        bytes: &[u8],
        judge: Option<Judge<'_>>,
        done: &mut Vec<Operation>,
    ) -> Result<usize, Stop> {
        match self.turn {
            Turn::Contents(left) => {
                let taken = usize::try_from(left).map_or(bytes.len(), |left| left.min(bytes.len()));
                if let Some(file) = &mut self.file {
                    file.take(bytes.get(..taken).unwrap_or(bytes));
                }
                let left = left.saturating_sub(u64::try_from(taken).unwrap_or(left));
                self.turn = if left == 0 {
                    Turn::Verdict
                } else {
                    Turn::Contents(left)
                };
                Ok(taken)
            }
            Turn::Verdict if self.line.is_empty() && bytes.first() == Some(&0) => {
                done.extend(self.closing());
                self.turn = Turn::Sink(Asked::Whole);
                Ok(1)
            }
            Turn::Verdict | Turn::Record => {
                let (taken, line) = line::whole(bytes, &mut self.line).map_err(Stop::Lost)?;
                if let Some(line) = line {
                    self.record(&line, judge, done)?;
                }
                Ok(taken)
            }
            Turn::Sink(_) | Turn::Nobody => Err(Stop::Lost(Lost::Turn)),
        }
    }

    /// The source has said a line.
    fn record(
        &mut self,
        line: &[u8],
        judge: Option<Judge<'_>>,
        done: &mut Vec<Operation>,
    ) -> Result<(), Stop> {
        let record = line::read(line).map_err(Stop::Lost)?;
        if let (Turn::Verdict, Record::Complaint { message, .. }) = (&self.turn, &record) {
            if let Some(file) = &mut self.file {
                file.complaint = Some(message.clone());
            }
            done.extend(self.closing());
            self.turn = Turn::Sink(Asked::Whole);
            return Ok(());
        }
        if matches!(self.turn, Turn::Verdict) {
            return Err(Stop::Lost(Lost::Line));
        }
        match record {
            Record::Entry {
                kind,
                mode,
                size,
                name,
            } => {
                let operation = self.entry(kind, mode, size, name);
                if let Some(judge) = judge
                    && let Err(words) = judge(&self.tree.candidates(kind, name))
                {
                    let mut refused = operation.ended(Ended::Refused);
                    refused.note(&format!("{} {}", words.code, words.what));
                    done.push(refused);
                    return Err(Stop::Refused(words));
                }
                done.push(operation.clone());
                self.turn = Turn::Sink(Asked::Entry {
                    operation: Box::new(operation),
                    kind,
                    size,
                    name: name.into(),
                });
            }
            Record::Times { modified } => {
                self.times = format!(" modified={modified}");
                self.turn = Turn::Sink(Asked::Times);
            }
            Record::End => {
                self.tree.leave().map_err(Stop::Lost)?;
                self.turn = Turn::Sink(Asked::End);
            }
            Record::Complaint { fatal, message } => {
                let (path, to) = self.tree.here();
                done.push(self.failed("open", &path, &to, message));
                if fatal {
                    self.turn = Turn::Nobody;
                }
            }
        }
        Ok(())
    }

    /// The sink says something. How many bytes of it that was.
    fn answered(&mut self, bytes: &[u8], done: &mut Vec<Operation>) -> Result<usize, Lost> {
        if !matches!(self.turn, Turn::Sink(_)) {
            return Err(Lost::Turn);
        }
        if self.reply.is_empty() && bytes.first() == Some(&0) {
            self.settle(None, done)?;
            return Ok(1);
        }
        let (taken, line) = line::whole(bytes, &mut self.reply)?;
        if let Some(line) = line {
            let (kind, rest) = line.split_first().ok_or(Lost::Line)?;
            if !matches!(kind, 1 | 2) {
                return Err(Lost::Line);
            }
            self.settle(Some(line::message(rest)), done)?;
            if *kind == 2 {
                self.turn = Turn::Nobody;
            }
        }
        Ok(taken)
    }

    /// The sink has answered: with a complaint, or that it is well.
    fn settle(&mut self, complaint: Option<String>, done: &mut Vec<Operation>) -> Result<(), Lost> {
        let Turn::Sink(asked) = std::mem::replace(&mut self.turn, Turn::Record) else {
            return Err(Lost::Turn);
        };
        match (asked, complaint) {
            (Asked::Start | Asked::Times | Asked::End, None) => {}
            (Asked::Start | Asked::Times | Asked::End, Some(message)) => {
                let (path, to) = self.tree.here();
                done.push(self.failed("open", &path, &to, message));
            }
            (Asked::Entry { operation, .. }, Some(message)) => {
                let code = FAILURE;
                done.push(operation.ended(Ended::Failed { code, message }));
            }
            (
                Asked::Entry {
                    operation,
                    kind,
                    size,
                    name,
                },
                None,
            ) => match kind {
                Kind::Directory => {
                    done.push(operation.ended(Ended::Done));
                    self.tree.enter(name)?;
                }
                Kind::File => {
                    let (path, to) = (operation.path.clone(), operation.to.clone());
                    done.push(operation.ended(Ended::Done));
                    let number = self.number();
                    self.file = Some(File::new(path, to, number));
                    self.turn = match size {
                        0 => Turn::Verdict,
                        size => Turn::Contents(size),
                    };
                }
            },
            (Asked::Whole, complaint) => {
                if let Some(file) = self.file.take() {
                    let both = [file.complaint.clone(), complaint];
                    let messages = both.into_iter().flatten().collect::<Vec<_>>();
                    let (code, message) = (FAILURE, messages.join("; "));
                    let ended = if messages.is_empty() {
                        Ended::Done
                    } else {
                        Ended::Failed { code, message }
                    };
                    done.push(self.close(file, ended, &[]));
                }
            }
        }
        Ok(())
    }

    /// What is recorded of something that begins.
    fn entry(&mut self, kind: Kind, mode: &str, size: u64, name: &[u8]) -> Operation {
        let times = std::mem::take(&mut self.times);
        let (action, mut detail) = match (kind, self.role()) {
            (Kind::Directory, Role::Sink) => ("mkdir", format!("mode={mode}{times}")),
            (Kind::Directory, Role::Source) => ("opendir", format!("mode={mode}{times}")),
            (Kind::File, Role::Sink) => ("open", format!("write mode={mode} size={size}{times}")),
            (Kind::File, Role::Source) => ("open", format!("read mode={mode} size={size}{times}")),
        };
        let (path, mut to) = self.tree.place(name);
        if !line::is_name(name) {
            detail.push_str(words::LEADS_ELSEWHERE);
        } else if self.tree.is_stray(name) {
            detail.push_str(words::NOT_ASKED_FOR);
            to = name.into();
        }
        let mut operation = Operation::new(action, &path, &to, detail);
        operation.number = self.number();
        operation
    }

    /// The close of the file at hand, before it is answered.
    fn closing(&self) -> Option<Operation> {
        let file = self.file.as_ref()?;
        let mut operation = Operation::new("close", &file.path, &file.to, String::new());
        operation.number = file.number;
        Some(operation)
    }

    fn close(&self, file: File, ended: Ended, notes: &[String]) -> Operation {
        let operation = Operation::new("close", &file.path, &file.to, String::new());
        let mut operation = operation.ended(ended);
        operation.number = file.number;
        let (passed, none) = (file.sum.finish(), recorder::Transfer::default());
        match self.role() {
            Role::Sink => operation.sum_up(none, passed, notes),
            Role::Source => operation.sum_up(passed, none, notes),
        }
        operation
    }

    fn failed(
        &mut self,
        action: &'static str,
        path: &[u8],
        to: &[u8],
        message: String,
    ) -> Operation {
        let mut operation = Operation::new(action, path, to, String::new());
        operation.number = self.number();
        let code = FAILURE;
        operation.ended(Ended::Failed { code, message })
    }

    fn number(&mut self) -> u64 {
        let number = self.count;
        self.count = number.saturating_add(1);
        number
    }
}
