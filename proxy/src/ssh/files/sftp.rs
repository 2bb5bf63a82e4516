//! SFTP, understood while it passes: which files were touched, how, with what result, how many bytes
//! went which way and what their SHA-256 is.
//!
//! Pure: knows no channel, no recording and no policy. The bytes pass as they came; what is refused
//! is taken out whole and answered here. Contents are digested and never kept. What cannot be
//! understood ends the conversation, because two readers who disagree about one packet disagree
//! about every later one.

use std::collections::HashMap;
use std::collections::hash_map::Entry;

use bytes::Bytes;
use policies::words::Words;

mod allowed;
mod files;
mod framer;
mod handshake;
mod packet;
mod refusals;
#[cfg(test)]
mod tests;
mod touch;
mod waiting;

use allowed::allowed;
use files::Files;
use framer::{Fate, Framer, Part, Sender};
use handshake::Handshake;
pub use packet::Unclear;
use packet::{Answer, Request};
use refusals::Refusals;
pub use touch::{Access, Judge, Touch, Warden};
use waiting::{Then, Waiting};

use super::operation::{Ended, Operation};
use super::path;

/// How much memory may be held for what waits for the target's answer, in bytes. Clients that ask for a whole file at
/// once (paramiko) have a read waiting for each 32 KiB of it.
const WAITING_MAX: usize = 4 * 1024 * 1024;

/// How many packets are judged before others have their turn. A chunk may have thousands.
const JUDGED_MAX: usize = 32;

/// What a chunk came to.
#[derive(Debug, Default)]
pub struct Passed {
    /// What goes on, in order.
    pub pieces: Vec<Bytes>,
    /// What is to be recorded before it does.
    pub operations: Vec<Operation>,
    /// What follows them and was not looked at: others have their turn first.
    pub rest: Bytes,
    /// Why `rest` may not pass, nor anything from then on: it cannot be understood, or is not allowed any more.
    pub unclear: Option<Unclear>,
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
    pub fn up(&mut self, mut chunk: Bytes, judge: Option<Judge<'_>>) -> Passed {
        let mut passed = Passed::default();
        let (talk, said) = (&mut self.talk, &mut passed.operations);
        if self.up.is_amid()
            && let Err(shut) = talk.still(Access::Write, judge)
        {
            passed.unclear = Some(shut);
            passed.rest = chunk;
            return passed;
        }
        let most = judge.map_or(usize::MAX, |_judge| JUDGED_MAX);
        let fed = self
            .up
            .feed(&mut chunk, most, &mut passed.pieces, |part| match part {
                Part::Head { kind, fields } => {
                    let (id, request) = packet::request(kind, fields)?;
                    talk.asked(id, request, judge, said)
                }
                Part::Body(bytes) => {
                    talk.write(bytes);
                    Ok(Fate::Pass)
                }
            });
        passed.unclear = fed.err();
        passed.rest = chunk;
        passed
    }

    /// Takes what the target sent. Without a judge everything may pass; with one, contents that were asked for
    /// while they might be read pass for as long as that is so.
    pub fn down(&mut self, mut chunk: Bytes, judge: Option<Judge<'_>>) -> Passed {
        let mut passed = Passed::default();
        let (talk, said) = (&mut self.talk, &mut passed.operations);
        let most = judge.map_or(usize::MAX, |_judge| JUDGED_MAX);
        let fed = self
            .down
            .feed(&mut chunk, most, &mut passed.pieces, |part| match part {
                Part::Head { kind, fields } => {
                    let (id, answer) = packet::answer(kind, fields)?;
                    talk.answered(id, answer, said)?;
                    talk.still(Access::Read, judge)?;
                    Ok(Fate::Pass)
                }
                Part::Body(bytes) => {
                    talk.read(bytes);
                    Ok(Fate::Pass)
                }
            });
        passed.unclear = fed.err();
        passed.rest = chunk;
        if passed.unclear.is_none() && passed.rest.is_empty() {
            passed.pieces.append(&mut self.answers());
        }
        passed
    }

    /// Our own answers whose turn it is: between two packets of the target.
    pub fn answers(&mut self) -> Vec<Bytes> {
        if self.down.is_between() {
            self.talk.refusals.take()
        } else {
            Vec::new()
        }
    }

    /// How much memory is held for what is asked and open, about, in bytes.
    pub fn weight(&self) -> usize {
        self.talk.weight.saturating_add(self.talk.files.weight())
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
    refusals: Refusals,
}

impl Talk {
    /// The client asks for something.
    fn asked(
        &mut self,
        id: u32,
        request: Request<'_>,
        judge: Option<Judge<'_>>,
        said: &mut Vec<Operation>,
    ) -> Result<Fate, Unclear> {
        self.writing = Box::default();
        if self.handshake.asks(id, &request)? {
            return Ok(Fate::Pass);
        }
        if self.waiting.contains_key(&id) {
            return Err(Unclear::Number(id));
        }
        if let Some(judge) = judge
            && let Err(words) = self.judge(&request, judge, said)?
        {
            return self.refusals.deny(id, &words).map(|()| Fate::Drop);
        }
        if let Request::Unknown { name, fields } = &request
            && let Some(version) = packet::selected(name, fields)
        {
            return Err(Unclear::Version(version));
        }
        let mut waiting = self.waits(request)?;
        let weight = self.weight.saturating_add(waiting.weight());
        if weight > WAITING_MAX {
            return Err(Unclear::Flood);
        }
        match &mut waiting {
            Waiting::Operation { operation, then } => {
                if let Then::Closes(handle) = then {
                    self.files.closing(handle)?;
                }
                operation.number = self.number();
                said.push(Operation::clone(operation));
            }
            Waiting::Write {
                handle,
                offset,
                length,
            } => {
                self.files.get(handle)?.written.begin(*offset, *length);
                self.writing.clone_from(handle);
            }
            Waiting::Read { .. } | Waiting::Names { .. } => {}
        }
        self.weight = weight;
        self.waiting.insert(id, waiting);
        Ok(Fate::Pass)
    }

    /// What waits for an answer once this has been asked.
    #[expect(
        clippy::wildcard_enum_match_arm,
        reason = "what carries contents is told apart; the rest is one operation each"
    )]
    fn waits(&mut self, request: Request<'_>) -> Result<Waiting, Unclear> {
        Ok(match request {
            Request::Read { handle, offset } => {
                let of = self.files.get(handle)?.number;
                let handle = handle.into();
                Waiting::Read { handle, offset, of }
            }
            Request::Write {
                handle,
                offset,
                length,
            } => {
                self.files.get(handle)?;
                let handle = handle.into();
                Waiting::Write {
                    handle,
                    offset,
                    length,
                }
            }
            Request::ReadDirectory { handle } => {
                self.files.get(handle)?;
                let handle = handle.into();
                Waiting::Names { handle }
            }
            request => {
                let (operation, then) = self.operation(&request)?;
                let operation = Box::new(operation);
                Waiting::Operation { operation, then }
            }
        })
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
            Request::Look { action, path } => Operation::new(action, path, &[], String::new()),
            Request::Change {
                action,
                path,
                attributes,
            } => Operation::new(action, path, &[], attributes.0.clone()),
            Request::Link { action, path, to } => Operation::new(action, path, to, String::new()),
            Request::OnHandle {
                action,
                handle,
                attributes,
            } => {
                let detail = attributes.as_ref().map(|wanted| wanted.0.clone());
                let path = &self.files.get(handle)?.path;
                Operation::new(action, path, &[], detail.unwrap_or_default())
            }
            Request::Copy { from, to } => {
                let to = self.files.get(to)?.path.clone();
                let path = &self.files.get(from)?.path;
                Operation::new("copy-data", path, &to, String::new())
            }
            Request::Ask { action } => Operation::new(action, &[], &[], String::new()),
            // Its name is the client's own, so it is no name of an operation.
            Request::Unknown { name, fields } => {
                Operation::new("extended", &[], &[], packet::unknown(name, fields))
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
            return self.handshake.is_answered();
        }
        let Entry::Occupied(waiting) = self.waiting.entry(id) else {
            return Err(Unclear::Number(id));
        };
        // What does not fit answers nothing, so that what was asked stays without an answer.
        waiting.get().fits(id, answer)?;
        let waiting = waiting.remove();
        self.weight = self.weight.saturating_sub(waiting.weight());
        match (waiting, answer) {
            (Waiting::Operation { operation, then }, answer) => {
                return self.settle(*operation, then, answer, said);
            }
            (Waiting::Read { handle, offset, of }, Answer::Data { length }) => {
                // Contents of a file that is closed, or of another by its handle, would be in no sum, or in the wrong one.
                let file = self.files.asked(&handle).filter(|file| file.number == of);
                let file = file.ok_or(Unclear::Handle)?;
                file.read.begin(offset, length);
                self.reading = handle;
            }
            (Waiting::Write { handle, length, .. }, Answer::Status { code, .. }) if code != 0 => {
                if let Some(file) = self.files.asked(&handle) {
                    file.written.refuse(length);
                }
            }
            (Waiting::Names { handle }, Answer::Names { count, .. }) => {
                if let Some(directory) = self.files.asked(&handle) {
                    directory.names = directory.names.saturating_add(u64::from(count));
                }
            }
            (Waiting::Read { .. } | Waiting::Write { .. } | Waiting::Names { .. }, _) => {}
        }
        Ok(())
    }

    /// How an operation went.
    fn settle(
        &mut self,
        mut operation: Operation,
        then: Then,
        answer: Answer<'_>,
        said: &mut Vec<Operation>,
    ) -> Result<(), Unclear> {
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
        let mut operation = operation.ended(ended);
        if let Then::Closes(handle) = &then
            && let Some(shut) = self.files.close(handle)
        {
            shut.sum_up(&mut operation);
        }
        let path = operation.path.clone();
        said.push(operation);
        match (then, answer) {
            (Then::Opens, Answer::Handle(handle)) => self.files.open(handle, path),
            (Then::Opens | Then::Closes(_) | Then::Nothing, _) => Ok(()),
        }
    }

    /// Whether the contents at hand may still be written, or read, as they were when they were asked for.
    fn still(&mut self, access: Access, judge: Option<Judge<'_>>) -> Result<(), Unclear> {
        let handle = if access == Access::Write {
            &self.writing
        } else {
            &self.reading
        };
        let Some((file, judge)) = self.files.asked(handle).zip(judge) else {
            return Ok(());
        };
        allowed::still(access, &file.path, self.home.as_deref(), judge)
            .map_err(|words| Unclear::Shut(Box::new(words)))
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
            if let Waiting::Operation { operation, then } = waiting {
                let mut operation = operation.ended(Ended::Unanswered);
                if let Then::Closes(handle) = then
                    && let Some(shut) = self.files.close(&handle)
                {
                    shut.sum_up(&mut operation);
                }
                left.push(operation);
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
