//! What is told of a transfer: operations on files, as they are known from its stream.

use policies::words::rsync::{self as words, Lost};

use super::listing::{Entry, Kind};
use super::{FAILURE, Invocation};
use crate::ssh::files::operation::{Ended, Operation};
use crate::ssh::files::scp::cut;
use crate::ssh::files::sum::Stream;

/// How much of the command's path is told with each file, in bytes.
const SAID_MAX: usize = 256;

/// How much may be told for each byte that passed, and for nothing, in bytes.
const TOLD_EACH: usize = 16;
const TOLD_FREE: usize = 1024 * 1024;

/// What one operation takes in the recording besides its texts, in bytes, about.
const TOLD_COST: usize = 32;

/// How much of a message is told, in bytes.
const MESSAGE_MAX: usize = 1024;

/// How many messages and deleted names are told of one transfer that no list has: a name costs its end five bytes.
const SAID_OFTEN: u32 = 100_000;

/// What of an item says that something of it changes (`rsync.h`: `SIGNIFICANT_ITEM_FLAGS`).
const SIGNIFICANT: u16 = !(LOCAL_CHANGE | BASIS | NAMED);
/// It is made or linked, not sent.
pub(super) const LOCAL_CHANGE: u16 = 1 << 14;
/// What it is compared with follows.
pub(super) const BASIS: u16 = 1 << 11;
/// The name of what it is linked to or compared with follows.
pub(super) const NAMED: u16 = 1 << 12;
/// There was none.
const IS_NEW: u16 = 1 << 13;

/// Whose names are told, and how.
#[derive(Debug)]
pub(super) struct Telling {
    /// What stands before each name, where that is known.
    before: Vec<u8>,
    /// Whether the target takes: a name is below what the command says.
    takes: bool,
    /// Whether only the target knows if that is a directory.
    is_vague: bool,
    /// What was told and not taken away.
    pub(super) told: Vec<Operation>,
    number: u64,
    /// How many files have passed.
    pub(super) files: u64,
    said: u32,
    /// How many of what was told are counted.
    pub(super) counted: usize,
    /// How many bytes passed, and how many were told of them, about.
    passed: usize,
    size: usize,
}

/// The contents of a file, on their way.
#[derive(Debug)]
pub(super) struct Going {
    operation: Operation,
    /// What of it passed as it is, or compressed.
    pub(super) passed: Stream,
    /// How many blocks the other end has that may be named.
    pub(super) blocks: i32,
    /// How many of them were.
    pub(super) kept: u64,
    /// How it passes, besides as it is.
    pub(super) manner: Manner,
}

/// How contents pass.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Manner {
    Plain,
    /// Compressed, by this.
    Compressed(&'static str),
    /// Only what stands behind what the other end has.
    Appended,
}

impl Telling {
    pub(super) fn new(invocation: &Invocation) -> Self {
        let takes = !invocation.sends;
        let relative = invocation.letters().any(|letter| letter == b'R');
        let only = match invocation.paths.as_slice() {
            [only] if invocation.clear.plain => Some(only.text.as_slice()),
            _ => None,
        };
        let before = match only {
            _ if takes => cut(&invocation.said(), SAID_MAX),
            Some(path) if !relative && !path.ends_with(b"..") => {
                let end = path.iter().rposition(|byte| *byte == b'/');
                let folder = path.get(..end.map_or(0, |end| end.saturating_add(1)));
                let mut before = cut(folder.unwrap_or_default(), SAID_MAX);
                if !before.is_empty() && !before.ends_with(b"/") {
                    before.push(b'/');
                }
                before
            }
            _ => Vec::new(),
        };
        let is_vague = takes && !(only.is_some() && before.ends_with(b"/"));
        Self {
            before,
            takes,
            is_vague,
            told: Vec::new(),
            number: 0,
            files: 0,
            said: 0,
            counted: 0,
            passed: 0,
            size: 0,
        }
    }

    /// So many bytes have passed, with what was told since. Not if that is far more than all that passed.
    pub(super) fn passes(&mut self, bytes: usize) -> Result<(), Lost> {
        self.passed = self.passed.saturating_add(bytes);
        let new = self.told.get(self.counted..).unwrap_or_default();
        let sizes = new.iter().map(|one| one.size().saturating_add(TOLD_COST));
        self.size = sizes.fold(self.size, usize::saturating_add);
        self.counted = self.told.len();
        let most = self.passed.saturating_mul(TOLD_EACH);
        if self.size > most.saturating_add(TOLD_FREE) {
            return Err(Lost::Told);
        }
        Ok(())
    }

    /// The contents of a file begin to pass.
    pub(super) fn begins(&mut self, entry: &Entry, blocks: i32, manner: Manner) -> Going {
        let mut detail = self.way(entry);
        if entry.sent {
            detail.push_str(words::AGAIN);
        }
        let operation = self.operation("transfer", &entry.name(), detail);
        self.told.push(operation.clone());
        self.files = self.files.saturating_add(1);
        Going {
            operation,
            passed: Stream::default(),
            blocks,
            kept: 0,
            manner,
        }
    }

    /// They have passed, or will not any more.
    pub(super) fn ends(&mut self, going: Going, ended: Ended) {
        let is_whole = going.kept == 0 && going.manner == Manner::Plain && ended == Ended::Done;
        let mut passed = going.passed;
        // An empty file has a digest too.
        passed.open();
        let mut passed = passed.finish();
        passed.digest = passed.digest.filter(|_| is_whole);
        let mut operation = going.operation.ended(ended);
        let mut notes = Vec::new();
        match going.manner {
            Manner::Plain => {}
            Manner::Compressed(name) => {
                notes.push(words::compressed(name));
            }
            Manner::Appended => notes.push(words::APPENDED.to_owned()),
        }
        if going.kept > 0 {
            notes.push(words::kept(going.kept));
        }
        let none = recorder::Transfer::default();
        if self.takes {
            operation.sum_up(none, passed, &notes);
        } else {
            operation.sum_up(passed, none, &notes);
        }
        self.told.push(operation);
    }

    /// Something about a file that does not pass.
    pub(super) fn item(&mut self, entry: &Entry, flags: u16, linked: &[u8]) {
        if flags & SIGNIFICANT == 0 && flags & LOCAL_CHANGE == 0 {
            return;
        }
        let made = flags & (IS_NEW | LOCAL_CHANGE) != 0;
        let action = match (entry.kind, self.takes) {
            _ if flags & NAMED != 0 && flags & LOCAL_CHANGE != 0 => "link",
            (_, _) if !made => {
                if self.takes {
                    "setstat"
                } else {
                    "stat"
                }
            }
            (Kind::Directory, true) => "mkdir",
            (Kind::Directory, false) => "opendir",
            (Kind::Link, true) => "symlink",
            (Kind::Link, false) => "readlink",
            (Kind::Device | Kind::Special, true) => "mknod",
            (Kind::File | Kind::Missing, true) => "setstat",
            (Kind::Device | Kind::Special | Kind::File | Kind::Missing, false) => "stat",
        };
        let name = entry.name();
        let detail = format!("{}{}", self.way(entry), changes(flags));
        let mut operation = self.operation(action, &name, detail);
        let to: &[u8] = if action == "link" {
            linked
        } else {
            &entry.link
        };
        if !to.is_empty() {
            operation.note(&words::to(&String::from_utf8_lossy(to)));
        }
        // A receiver says that it makes a directory, or changes something, before it does. What the client's makes of
        // anything, nobody else sees.
        let ended = if !self.takes || matches!(action, "mkdir" | "setstat") {
            Ended::Unanswered
        } else {
            Ended::Done
        };
        self.told.push(operation.ended(ended));
    }

    /// A file that could not be sent.
    pub(super) fn unsent(&mut self, entry: &Entry) {
        let detail = self.way(entry);
        let operation = self.operation("transfer", &entry.name(), detail);
        self.told.push(failed(operation, words::UNSENT.to_owned()));
    }

    /// A file that has arrived, so that its source removes it.
    pub(super) fn arrived(&mut self, entry: &Entry) {
        let action = if self.takes { "close" } else { "remove" };
        let detail = words::ARRIVED.to_owned();
        let operation = self.operation(action, &entry.name(), detail);
        let ended = if self.takes {
            Ended::Done
        } else {
            Ended::Unanswered
        };
        self.told.push(operation.ended(ended));
    }

    /// A name that the target has deleted. A directory has a zero behind it.
    pub(super) fn deleted(&mut self, name: &[u8]) {
        if self.has_said_enough() {
            return;
        }
        let (action, name) = match name.strip_suffix(&[0]) {
            Some(name) => ("rmdir", name),
            None => ("remove", name),
        };
        let operation = self.operation(action, name, String::new());
        self.told.push(operation.ended(Ended::Done));
    }

    /// What one end complains of.
    pub(super) fn complaint(&mut self, who: &str, text: &[u8]) {
        if self.has_said_enough() {
            return;
        }
        let text = String::from_utf8_lossy(&cut(text.trim_ascii(), MESSAGE_MAX)).into_owned();
        let mut operation = Operation::new("message", &[], &[], words::of(who));
        operation.number = self.number();
        self.told.push(failed(operation, text));
    }

    /// That the files are told apart no further.
    pub(super) fn lost(&mut self, why: String) {
        let mut operation = Operation::new("rsync", &[], &[], String::new());
        operation.number = self.number();
        self.told.push(failed(operation, why));
    }

    /// What is told of messages and deleted names that were too many.
    pub(super) fn unsaid(&self) -> Option<String> {
        let more = self.said.checked_sub(SAID_OFTEN).filter(|more| *more > 0)?;
        Some(words::unsaid(more))
    }

    fn has_said_enough(&mut self) -> bool {
        self.said = self.said.saturating_add(1);
        self.said > SAID_OFTEN
    }

    fn way(&self, entry: &Entry) -> String {
        let way = if self.takes { "write" } else { "read" };
        let (size, mode) = (entry.size, entry.mode & 0o7777);
        match entry.kind {
            Kind::File => format!("{way} mode={mode:o} size={size}"),
            Kind::Directory | Kind::Link | Kind::Device | Kind::Special | Kind::Missing => {
                format!("{way} mode={mode:o}")
            }
        }
    }

    /// Where a name is: below what the command says, or that itself.
    fn operation(&mut self, action: &'static str, name: &[u8], detail: String) -> Operation {
        let name = if name == b"." { &[] } else { name };
        let mut operation = if self.is_vague {
            Operation::new(action, &self.before, name, detail)
        } else {
            let name = match name {
                [b'/', rest @ ..] if self.takes => rest,
                name => name,
            };
            let path = [&self.before, name].concat();
            let path = if path.is_empty() { b".".to_vec() } else { path };
            Operation::new(action, &path, &[], detail)
        };
        operation.number = self.number();
        operation
    }

    fn number(&mut self) -> u64 {
        // The transfer itself is 0.
        self.number = self.number.saturating_add(1);
        self.number
    }
}

fn failed(operation: Operation, message: String) -> Operation {
    let code = FAILURE;
    operation.ended(Ended::Failed { code, message })
}

/// What of a file changes, by the bits that rsync's own `--itemize-changes` shows.
fn changes(flags: u16) -> String {
    let names = [
        (1, "contents"),
        (2, "size"),
        (3, "time"),
        (4, "mode"),
        (5, "owner"),
        (6, "group"),
        (7, "acl"),
        (8, "xattr"),
        (13, "new"),
    ];
    let set = names
        .iter()
        .filter(|(bit, _)| flags & (1 << bit) != 0)
        .map(|(_, name)| *name);
    let said = set.collect::<Vec<_>>().join("+");
    if said.is_empty() {
        said
    } else {
        format!(" changes={said}")
    }
}
