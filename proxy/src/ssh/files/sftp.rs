//! SFTP, understood while it passes: which files were touched, how, with what result, how many bytes
//! went which way and what their SHA-256 is.
//!
//! Pure: knows no channel, no recording and no policy. The bytes pass as they came; what is refused
//! is taken out whole and answered here. Contents are digested and never kept. What cannot be
//! understood ends the conversation, because two readers who disagree about one packet disagree
//! about every later one.

use std::collections::HashMap;

use bytes::Bytes;
use policies::words::Words;

mod allowed;
mod files;
mod framer;
mod packet;
#[cfg(test)]
mod tests;
mod touch;

use allowed::allowed;
use files::Files;
use framer::{Fate, Framer, Part, Sender};
pub use packet::Unclear;
use packet::{Answer, Request};
pub use touch::{Access, Judge, Touch, Warden};

use super::operation::{Ended, Operation};
use super::path;
use crate::ssh::forward::answers::Bulk;

/// How much may wait for the target's answer: what the requests say, and a little for each.
const WAITING_MAX: usize = 4 * 1024 * 1024;

/// What a request takes besides its text, in bytes, rounded up.
const REQUEST_SIZE: usize = 128;

/// How much of an extension's request is written down as it came that we do not know, in bytes.
const UNKNOWN_MAX: usize = 256;

/// How many answers of our own may wait for their turn.
const ANSWERS_MAX: usize = 1024;

/// What a chunk came to.
#[derive(Debug, Default)]
pub struct Passed {
    /// What goes on, in order.
    pub pieces: Vec<Bytes>,
    /// What is to be recorded before it does.
    pub operations: Vec<Operation>,
}

/// One conversation, both ways.
#[derive(Debug)]
pub struct Sftp {
    up: Framer,
    down: Framer,
    talk: Talk,
}

impl Default for Sftp {
    fn default() -> Self {
        Self {
            up: Framer::new(Sender::Client),
            down: Framer::new(Sender::Target),
            talk: Talk::default(),
        }
    }
}

impl Sftp {
    /// Takes what the client sent. Without a judge everything may pass.
    ///
    /// # Errors
    ///
    /// When it cannot be understood. Nothing may be passed on from then on.
    pub fn up(&mut self, chunk: Bytes, judge: Option<Judge<'_>>) -> Result<Passed, Unclear> {
        let mut passed = Passed::default();
        let (talk, said) = (&mut self.talk, &mut passed.operations);
        self.up.feed(chunk, &mut passed.pieces, |part| match part {
            Part::Head { kind, fields } => {
                let (id, request) = packet::request(kind, fields)?;
                talk.asked(id, request, judge, said)
            }
            Part::Body(bytes) => {
                talk.write(bytes);
                Ok(Fate::Pass)
            }
        })?;
        Ok(passed)
    }

    /// Takes what the target sent.
    ///
    /// # Errors
    ///
    /// As [`up`](Self::up).
    pub fn down(&mut self, chunk: Bytes) -> Result<Passed, Unclear> {
        let mut passed = Passed::default();
        let (talk, said) = (&mut self.talk, &mut passed.operations);
        self.down
            .feed(chunk, &mut passed.pieces, |part| match part {
                Part::Head { kind, fields } => {
                    let (id, answer) = packet::answer(kind, fields)?;
                    talk.answered(id, answer, said)?;
                    Ok(Fate::Pass)
                }
                Part::Body(bytes) => {
                    talk.read(bytes);
                    Ok(Fate::Pass)
                }
            })?;
        passed.pieces.append(&mut self.answers());
        Ok(passed)
    }

    /// Our own answers whose turn it is: between two packets of the target.
    pub fn answers(&mut self) -> Vec<Bytes> {
        if self.down.is_between() {
            std::mem::take(&mut self.talk.answers)
        } else {
            Vec::new()
        }
    }

    /// The conversation is over: what was not answered, and what is still open.
    pub fn finish(&mut self) -> Vec<Operation> {
        self.talk.finish()
    }
}

/// Who asked what, and what is open.
#[derive(Debug, Default)]
struct Talk {
    handshake: Handshake,
    waiting: HashMap<u32, Waiting>,
    /// How much memory that takes, about.
    weight: usize,
    files: Files,
    /// Where names begin that do not begin with a slash, once the target has said so.
    home: Option<String>,
    /// How many operations there were.
    count: u64,
    /// Whose contents come from the client.
    writing: Box<[u8]>,
    /// Whose contents come from the target.
    reading: Box<[u8]>,
    answers: Vec<Bytes>,
}

#[derive(Debug, Clone, Copy, PartialEq, Eq, Default)]
enum Handshake {
    #[default]
    Nothing,
    Sent,
    Answered,
}

/// A request that was not answered.
#[derive(Debug)]
enum Waiting {
    Operation {
        operation: Box<Operation>,
        then: Then,
    },
    Read {
        handle: Box<[u8]>,
        offset: u64,
    },
    Write {
        handle: Box<[u8]>,
        length: u32,
    },
    Names {
        handle: Box<[u8]>,
    },
}

/// What a good answer means.
#[derive(Debug)]
enum Then {
    Nothing,
    Opens,
    Closes(Box<[u8]>),
}

impl Waiting {
    fn weight(&self) -> usize {
        let text = match self {
            Self::Operation { operation, .. } => operation.size(),
            Self::Read { handle, .. } | Self::Write { handle, .. } | Self::Names { handle } => {
                handle.len()
            }
        };
        text.saturating_add(REQUEST_SIZE)
    }
}

/// What an extension asks for that we do not know: as it came, or its beginning and the digest of all of it.
fn unknown(fields: &[u8]) -> String {
    match fields.split_at_checked(UNKNOWN_MAX) {
        Some((begun, rest)) if !rest.is_empty() => {
            format!("{}… {}", begun.escape_ascii(), Bulk::of(fields))
        }
        _ => fields.escape_ascii().to_string(),
    }
}

impl Talk {
    /// The client asks for something.
    #[expect(
        clippy::wildcard_enum_match_arm,
        reason = "what carries contents is told apart; the rest is one operation each"
    )]
    fn asked(
        &mut self,
        id: u32,
        request: Request<'_>,
        judge: Option<Judge<'_>>,
        said: &mut Vec<Operation>,
    ) -> Result<Fate, Unclear> {
        self.writing = Box::default();
        match (&request, self.handshake) {
            (Request::Init, Handshake::Nothing) => {
                self.handshake = Handshake::Sent;
                return Ok(Fate::Pass);
            }
            (Request::Init, _) | (_, Handshake::Nothing) => return Err(Unclear::Turn),
            _ => {}
        }
        if let Some(judge) = judge
            && let Err(words) = self.judge(&request, judge, said)?
        {
            return self.deny(id, &words);
        }
        let waiting = match request {
            Request::Read { handle, offset } => {
                self.files.get(handle)?;
                let handle = handle.into();
                Waiting::Read { handle, offset }
            }
            Request::Write {
                handle,
                offset,
                length,
            } => {
                self.files.get(handle)?.written.begin(offset, length);
                self.writing = handle.into();
                let handle = handle.into();
                Waiting::Write { handle, length }
            }
            Request::ReadDirectory { handle } => {
                self.files.get(handle)?;
                Waiting::Names {
                    handle: handle.into(),
                }
            }
            request => {
                let (mut operation, then) = self.operation(&request)?;
                if let Then::Closes(handle) = &then {
                    self.files.closing(handle)?;
                }
                operation.number = self.number();
                said.push(operation.clone());
                let operation = Box::new(operation);
                Waiting::Operation { operation, then }
            }
        };
        self.weight = self.weight.saturating_add(waiting.weight());
        if self.weight > WAITING_MAX {
            return Err(Unclear::Flood);
        }
        match self.waiting.insert(id, waiting) {
            None => Ok(Fate::Pass),
            Some(_) => Err(Unclear::Number(id)),
        }
    }

    /// Whether the client may ask for this. What it may not is recorded.
    fn judge(
        &mut self,
        request: &Request<'_>,
        judge: Judge<'_>,
        said: &mut Vec<Operation>,
    ) -> Result<Result<(), Words>, Unclear> {
        let (mut operation, _) = self.operation(request)?;
        let allowed = allowed(request, &operation, self.home.as_deref(), judge);
        if let Err(words) = &allowed {
            operation.number = self.number();
            let mut refused = operation.ended(Ended::Refused);
            refused.note(&format!("{} {}", words.code, words.what));
            said.push(refused);
        }
        Ok(allowed)
    }

    fn number(&mut self) -> u64 {
        let number = self.count;
        self.count = number.saturating_add(1);
        number
    }

    fn deny(&mut self, id: u32, words: &Words) -> Result<Fate, Unclear> {
        if self.answers.len() >= ANSWERS_MAX || self.waiting.contains_key(&id) {
            return Err(Unclear::Flood);
        }
        let why = format!("tidegate: {} {}", words.code, words.what);
        self.answers.push(packet::denied(id, &why));
        Ok(Fate::Drop)
    }

    /// What a request is called in the recording.
    fn operation(&mut self, request: &Request<'_>) -> Result<(Operation, Then), Unclear> {
        let mut then = Then::Nothing;
        let operation = match request {
            Request::Open {
                path,
                flags,
                attributes,
            } => {
                then = Then::Opens;
                let mut detail = packet::purpose(*flags);
                if packet::writes(*flags) && !attributes.0.is_empty() {
                    detail.push(' ');
                    detail.push_str(&attributes.0);
                }
                Operation::new("open", path, &[], detail)
            }
            Request::OpenDirectory { path } => {
                then = Then::Opens;
                Operation::new("opendir", path, &[], String::new())
            }
            Request::Close { handle } => {
                then = Then::Closes((*handle).into());
                let path = &self.files.get(handle)?.path;
                Operation::new("close", path, &[], String::new())
            }
            Request::Look { action, path } => Operation::new(*action, path, &[], String::new()),
            Request::Change {
                action,
                path,
                attributes,
            } => Operation::new(*action, path, &[], attributes.0.clone()),
            Request::Link { action, path, to } => Operation::new(*action, path, to, String::new()),
            Request::OnHandle {
                action,
                handle,
                attributes,
            } => {
                let detail = attributes.as_ref().map(|wanted| wanted.0.clone());
                let path = &self.files.get(handle)?.path;
                Operation::new(*action, path, &[], detail.unwrap_or_default())
            }
            Request::Copy { from, to } => {
                let to = self.files.get(to)?.path.clone();
                let path = &self.files.get(from)?.path;
                Operation::new("copy-data", path, &to, String::new())
            }
            Request::Ask { action } => Operation::new(*action, &[], &[], String::new()),
            Request::Unknown { name, fields } => {
                let name = name.escape_ascii().to_string();
                Operation::new(name, &[], &[], unknown(fields))
            }
            Request::Read { handle, .. }
            | Request::Write { handle, .. }
            | Request::ReadDirectory { handle } => {
                let path = &self.files.get(handle)?.path;
                Operation::new(packet::contents(request), path, &[], String::new())
            }
            Request::Init => return Err(Unclear::Turn),
        };
        Ok((operation, then))
    }

    /// The target answers.
    fn answered(
        &mut self,
        id: u32,
        answer: Answer<'_>,
        said: &mut Vec<Operation>,
    ) -> Result<(), Unclear> {
        self.reading = Box::default();
        if answer == Answer::Version {
            let first = std::mem::replace(&mut self.handshake, Handshake::Answered);
            return if first == Handshake::Sent {
                Ok(())
            } else {
                Err(Unclear::Turn)
            };
        }
        let waiting = self.waiting.remove(&id).ok_or(Unclear::Number(id))?;
        self.weight = self.weight.saturating_sub(waiting.weight());
        match (waiting, answer) {
            // Contents that nobody asked for would be in no file's sum.
            (Waiting::Operation { .. }, Answer::Data { .. }) => return Err(Unclear::Number(id)),
            (Waiting::Operation { operation, then }, answer) => {
                said.push(self.settle(*operation, then, answer)?);
            }
            (Waiting::Read { handle, offset }, Answer::Data { length }) => {
                if let Some(file) = self.files.asked(&handle) {
                    file.read.begin(offset, length);
                    self.reading = handle;
                }
            }
            (Waiting::Write { handle, length }, Answer::Status { code, .. }) if code != 0 => {
                if let Some(file) = self.files.asked(&handle) {
                    file.written.refuse(length);
                }
            }
            (Waiting::Names { handle }, Answer::Names { count, .. }) => {
                if let Some(directory) = self.files.asked(&handle) {
                    directory.names = directory.names.saturating_add(u64::from(count));
                }
            }
            (_, Answer::Status { .. }) => {}
            (_, _) => return Err(Unclear::Number(id)),
        }
        Ok(())
    }

    /// How an operation went.
    fn settle(
        &mut self,
        mut operation: Operation,
        then: Then,
        answer: Answer<'_>,
    ) -> Result<Operation, Unclear> {
        let ended = match answer {
            Answer::Status { code: 0, .. } => Ended::Done,
            Answer::Status { code, message } => {
                let message = String::from_utf8_lossy(message).into_owned();
                Ended::Failed { code, message }
            }
            Answer::Names { first, .. } => {
                operation.to = first.into();
                if operation.asks_for_home() && first.starts_with(b"/") {
                    self.home = path::settle(first, None).ok();
                }
                Ended::Done
            }
            Answer::Handle(_) | Answer::Data { .. } | Answer::Version | Answer::Other => {
                Ended::Done
            }
        };
        let done = ended == Ended::Done;
        let mut operation = operation.ended(ended);
        match (then, answer) {
            (Then::Opens, Answer::Handle(handle)) => {
                self.files.open(handle, operation.path.clone())?;
            }
            // A handle that we do not know of must not reach the client.
            (Then::Opens, _) if done => return Err(Unclear::Handle),
            (_, Answer::Handle(_)) => return Err(Unclear::Handle),
            (Then::Closes(handle), _) => {
                if let Some(shut) = self.files.close(&handle) {
                    shut.sum_up(&mut operation);
                }
            }
            (Then::Opens | Then::Nothing, _) => {}
        }
        Ok(operation)
    }

    /// More of what is written.
    fn write(&mut self, bytes: &[u8]) {
        if let Some(file) = self.files.asked(&self.writing) {
            file.written.take(bytes);
        }
    }

    /// More of what is read.
    fn read(&mut self, bytes: &[u8]) {
        if let Some(file) = self.files.asked(&self.reading) {
            file.read.take(bytes);
        }
    }

    fn finish(&mut self) -> Vec<Operation> {
        let mut left = Vec::new();
        for (_, waiting) in self.waiting.drain() {
            if let Waiting::Operation { operation, .. } = waiting {
                left.push(operation.ended(Ended::Unanswered));
            }
        }
        left.sort_by_key(|operation| operation.number);
        for shut in self.files.close_all() {
            let open = Operation::new("close", &shut.path, &[], "still open".to_owned());
            let mut operation = open.ended(Ended::Unanswered);
            operation.number = self.number();
            shut.sum_up(&mut operation);
            left.push(operation);
        }
        left
    }
}
