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
use policies::words::recordings::BESIDES_FILES;

mod allowed;
mod called;
mod files;
mod framer;
mod handshake;
mod packet;
mod refusals;
#[cfg(test)]
mod tests;
mod touch;
mod turn;
mod waiting;
mod writing;

use allowed::allowed;
use files::Files;
use framer::{Fate, Framer, Part, Sender};
use handshake::Handshake;
pub use packet::Unclear;
use packet::{Answer, Request};
use refusals::Refusals;
pub use touch::{Access, Judge, Touch, Warden};
use turn::Turn;
use waiting::{Then, Waiting};
use writing::Writing;

use super::operation::{Ended, Operation};
use super::path;
use super::sum::Stream;
use crate::ssh::forward::answers::Bulk;

/// How much memory may be held for what waits for the target's answer, in bytes. Clients that ask for a whole file at
/// once (paramiko) have a read waiting for each 32 KiB of it.
const WAITING_MAX: usize = 4 * 1024 * 1024;

/// What a chunk came to.
#[derive(Debug, Default)]
pub struct Passed {
    /// What goes on, in order.
    pub pieces: Vec<Bytes>,
    /// What is to be recorded before it does.
    pub operations: Vec<Operation>,
    /// What follows them and was not looked at: others have their turn first.
    pub rest: Bytes,
    /// Others have their turn first also where nothing follows.
    pub is_spent: bool,
    /// Why `rest` may not pass, nor anything from then on: it cannot be understood, or is not allowed any more.
    pub unclear: Option<Unclear>,
}

/// One conversation, both ways.
#[derive(Debug)]
pub struct Sftp {
    up: Framer,
    down: Framer,
    talk: Talk,
    besides: Besides,
    /// How many questions were asked in this turn.
    asked: usize,
}

/// What has passed up and down that is in no file's digest, so that nothing passes that is in none: what packets say
/// besides contents, and what stands in them where nobody looks.
#[derive(Debug, Default)]
struct Besides {
    up: Stream,
    down: Stream,
}

impl Default for Sftp {
    fn default() -> Self {
        Self {
            up: Framer::new(Sender::Client),
            down: Framer::new(Sender::Target),
            talk: Talk::default(),
            besides: Besides::default(),
            asked: 0,
        }
    }
}

impl Sftp {
    /// Takes what the client sent. Without a judge everything may pass.
    pub fn up(&mut self, mut chunk: Bytes, judge: Option<Judge<'_>>) -> Passed {
        let mut passed = Passed::default();
        let turn = Turn::go_on(judge, self.asked);
        let (talk, said) = (&mut self.talk, &mut passed.operations);
        if self.up.is_amid()
            && let Err(shut) = talk.still(Access::Write, judge)
        {
            passed.unclear = Some(shut);
            passed.rest = chunk;
            return passed;
        }
        let is_over = |packets| turn.is_over(packets);
        let besides = &mut self.besides.up;
        let fed = self
            .up
            .feed(&mut chunk, is_over, &mut passed.pieces, |part| match part {
                Part::Head { kind, fields, head } => {
                    let (id, request, more) = packet::request(kind, fields)?;
                    let fate = talk.asked(id, (request, more), judge, said)?;
                    if fate == Fate::Pass {
                        besides.take(head);
                    }
                    Ok(fate)
                }
                Part::Body(bytes) => {
                    talk.write(bytes);
                    Ok(Fate::Pass)
                }
            });
        passed.unclear = fed.err();
        passed.rest = chunk;
        passed.is_spent = turn.is_over(0);
        self.asked = turn.end();
        passed
    }

    /// Takes what the target sent. Without a judge everything may pass; with one, contents that were asked for
    /// while they might be read pass for as long as that is so.
    pub fn down(&mut self, mut chunk: Bytes, judge: Option<Judge<'_>>) -> Passed {
        let mut passed = Passed::default();
        let (talk, said) = (&mut self.talk, &mut passed.operations);
        let turn = Turn::go_on(judge, self.asked);
        if self.down.is_amid()
            && let Err(shut) = talk.still(Access::Read, judge)
        {
            passed.unclear = Some(shut);
            passed.rest = chunk;
            return passed;
        }
        let is_over = |packets| turn.is_over(packets);
        let besides = &mut self.besides.down;
        let fed = self
            .down
            .feed(&mut chunk, is_over, &mut passed.pieces, |part| match part {
                Part::Head { kind, fields, head } => {
                    let (id, answer) = packet::answer(kind, fields)?;
                    talk.answered(id, answer, said)?;
                    talk.still(Access::Read, judge)?;
                    besides.take(head);
                    Ok(Fate::Pass)
                }
                Part::Body(bytes) => {
                    if !talk.read(bytes, said) {
                        besides.take(bytes);
                    }
                    Ok(Fate::Pass)
                }
            });
        passed.unclear = fed.err();
        passed.rest = chunk;
        passed.is_spent = turn.is_over(0);
        self.asked = turn.end();
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

    /// The conversation is over: what was not answered, what is still open, and what has passed besides.
    pub fn finish(&mut self) -> Vec<Operation> {
        let mut left = self.talk.finish();
        let Besides { up, down } = std::mem::take(&mut self.besides);
        if !up.is_empty() || !down.is_empty() {
            let besides = BESIDES_FILES.to_owned();
            let mut whole = Operation::new("sftp", &[], &[], besides).ended(Ended::Done);
            whole.number = self.talk.number();
            whole.sum_up(down.finish(), up.finish(), &[]);
            left.push(whole);
        }
        left
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
    /// The write whose contents come from the client.
    writing: Option<Writing>,
    /// The same of the target, and how many bytes of them are to come.
    reading: Option<(u64, usize)>,
    refusals: Refusals,
}

impl Talk {
    /// The client asks for something.
    fn asked(
        &mut self,
        id: u32,
        (request, more): (Request<'_>, &[u8]),
        judge: Option<Judge<'_>>,
        said: &mut Vec<Operation>,
    ) -> Result<Fate, Unclear> {
        self.writing = None;
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
        let mut waiting = self.waits(&request)?;
        if let Waiting::Operation { operation, .. } = &mut waiting
            && !more.is_empty()
        {
            operation.note(&format!("and {}", Bulk::of(more)));
        }
        let weight = self.weight.saturating_add(waiting.weight());
        if weight > WAITING_MAX {
            return Err(Unclear::Flood);
        }
        match &mut waiting {
            Waiting::Operation { operation, .. } => {
                self.tears(&request);
                if let Request::Close { handle } = request {
                    self.files.closing(handle);
                }
                operation.number = self.number();
                said.push(Operation::clone(operation));
            }
            Waiting::Write { of, offset, length } => {
                if let Some(file) = self.files.asks(*of) {
                    file.written.begin(*offset, *length);
                }
                self.writing = Some(Writing::new(id, *of, *length));
            }
            Waiting::Read { of, .. } | Waiting::Names { of } => {
                self.files.asks(*of);
            }
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
    fn waits(&self, request: &Request<'_>) -> Result<Waiting, Unclear> {
        Ok(match *request {
            Request::Read { handle, offset } => {
                let of = self.files.number(handle)?;
                Waiting::Read { of, offset }
            }
            Request::Write {
                handle,
                offset,
                length,
            } => {
                let of = self.files.number(handle)?;
                Waiting::Write { of, offset, length }
            }
            Request::ReadDirectory { handle } => {
                let of = self.files.number(handle)?;
                Waiting::Names { of }
            }
            _ => {
                let (operation, then) = self.operation(request)?;
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

    /// The target answers.
    fn answered(
        &mut self,
        id: u32,
        answer: Answer<'_>,
        said: &mut Vec<Operation>,
    ) -> Result<(), Unclear> {
        self.reading = None;
        if answer == Answer::Version {
            return self.handshake.is_answered();
        }
        if self.is_cut(id) {
            return Err(Unclear::Number(id));
        }
        let Entry::Occupied(waiting) = self.waiting.entry(id) else {
            return Err(Unclear::Number(id));
        };
        // What does not fit answers nothing, so that what was asked stays without an answer.
        waiting.get().fits(id, answer)?;
        let waiting = waiting.remove();
        self.weight = self.weight.saturating_sub(waiting.weight());
        let of = match (waiting, answer) {
            (Waiting::Operation { operation, then }, answer) => {
                return self.settle(*operation, then, answer, said);
            }
            (Waiting::Read { of, offset }, Answer::Data { length }) => {
                // Contents of no file would be in no sum.
                let file = self.files.asked(of).ok_or(Unclear::Handle)?;
                file.read.begin(offset, length);
                if length > 0 {
                    let length = usize::try_from(length).map_err(|_wider| Unclear::Short)?;
                    self.reading = Some((of, length));
                    return Ok(());
                }
                of
            }
            (Waiting::Write { of, length, .. }, Answer::Status { code, .. }) if code != 0 => {
                if let Some(file) = self.files.asked(of) {
                    file.written.refuse(length);
                }
                of
            }
            (Waiting::Names { of }, Answer::Names { count, .. }) => {
                if let Some(directory) = self.files.asked(of) {
                    directory.names = directory.names.saturating_add(u64::from(count));
                }
                of
            }
            (Waiting::Read { of, .. } | Waiting::Write { of, .. } | Waiting::Names { of }, _) => of,
        };
        said.extend(self.files.answered(of));
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
        let operation = operation.ended(ended);
        if let Then::Closes(of) = then {
            said.extend(self.files.close(of, operation));
            return Ok(());
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
        let of = if access == Access::Write {
            self.writing.map(|write| write.of)
        } else {
            self.reading.map(|(of, _left)| of)
        };
        let file = of.and_then(|of| self.files.asked(of));
        let Some((file, judge)) = file.zip(judge) else {
            return Ok(());
        };
        allowed::still(access, &file.path, self.home.as_deref(), judge)
            .map_err(|words| Unclear::Shut(Box::new(words)))
    }

    /// More of what is read, unless it is no file's contents that come.
    fn read(&mut self, bytes: &[u8], said: &mut Vec<Operation>) -> bool {
        let Some((of, left)) = self.reading else {
            return false;
        };
        if let Some(file) = self.files.asked(of) {
            file.read.take(bytes);
        }
        let left = left.saturating_sub(bytes.len());
        self.reading = (left > 0).then_some((of, left));
        if left == 0 {
            said.extend(self.files.answered(of));
        }
        true
    }

    fn finish(&mut self) -> Vec<Operation> {
        self.doubt();
        let mut left = Vec::new();
        for (_, waiting) in self.waiting.drain() {
            if let Waiting::Operation { operation, then } = waiting {
                let operation = operation.ended(Ended::Unanswered);
                left.push(match then {
                    Then::Closes(of) => self.files.end(of, operation),
                    Then::Nothing | Then::Opens => operation,
                });
            }
        }
        left.extend(self.files.end_closed());
        left.sort_by_key(|operation| operation.number);
        for shut in self.files.end_all() {
            let open = Operation::new("close", &shut.path, &[], "still open".to_owned());
            let mut operation = open.ended(Ended::Unanswered);
            operation.number = self.number();
            shut.sum_up(&mut operation);
            left.push(operation);
        }
        left
    }
}
