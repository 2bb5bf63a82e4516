//! rsync: what its command line tells (which way it carries, with which options, and where), and what both ends say
//! while it passes: which files, and how much of each.
//!
//! Pure: knows no channel and no recording. The bytes pass as they came; they are counted and digested as two streams
//! besides. Where the files inside cannot be told apart, that is said once, and the streams are all that is told.

use policies::words::rsync::{self as words, Lost};

use super::command::{Clear, Word};
use super::operation::{Ended, Operation};
use super::path::{self, Vague};
use super::sum::Stream;
use stream::Streams;

mod entry;
mod frames;
mod greeting;
mod listing;
mod options;
mod scene;
mod sink;
mod source;
mod stream;
mod telling;
#[cfg(test)]
mod tests;
mod wire;

/// How much is looked at before what is told of it is counted, in bytes: an item is three of them.
const PIECE: usize = 2 * 1024;

/// How much work is done before others have their turn, in bytes that are looked at.
const WORK_MAX: usize = 64 * 1024;

/// How many operations are told of before others have their turn, but for those of one piece.
const TOLD_MAX: usize = 64;

/// How much is held for one transfer at most, in bytes: the lists of files, and of each direction what is not whole.
pub const WEIGHT_MAX: usize = listing::HELD_MAX + 4 * stream::THING_MAX;

/// What a failure is in the recording's numbers (`SSH_FX_FAILURE`).
const FAILURE: u32 = 4;

/// Options of one letter by which a receiver touches nothing but what is named and what is in it
/// (`rsync.1`). Not those that make links, by which it could be led out again (`l`, `D`, `K`, `R`), nor
/// those for which the client may send rules that rsync reads from files (`m`), nor the one by which what was there
/// gets another name (`b`), which stands beside what is named.
const SHORT: &[u8] = b"vqcrutpogdnIOJUNSWxhizE8";

/// More of them for a sender, which needs all files to be open to the client anyway.
const SHORT_SENDER: &[u8] = b"lLkDHAXRKmCb";

/// Options by which a receiver gives a directory that is named the modes, times and owners of the client's,
/// and not only what is in it.
const ATTRIBUTES: &[u8] = b"ptogEAXUN";

/// By this one it leaves the times of directories alone.
const OMIT_TIMES: u8 = b'O';

/// As [`SHORT`], those that are words, with what stands before their value.
const LONG: [&str; 32] = [
    "server",
    "sender",
    "bwlimit=",
    "checksum-choice=",
    "checksum-seed=",
    "compress-choice=",
    "compress-level=",
    "existing",
    "force",
    "fsync",
    "ignore-existing",
    "ignore-times",
    "inplace",
    "append",
    "partial",
    "log-format=",
    "max-size=",
    "min-size=",
    "modify-window=",
    "new-compress",
    "old-compress",
    "no-W",
    "no-r",
    "numeric-ids",
    "preallocate",
    "size-only",
    "skip-compress=",
    "stats",
    "timeout=",
    "one-file-system",
    "block-size=",
    "protocol=",
];

/// A command line of rsync, as a client has it started at the other end.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Invocation {
    /// Whether the target sends: the client reads.
    pub sends: bool,
    options: Vec<Vec<u8>>,
    paths: Vec<Word>,
    /// Which of the line every shell reads in this way.
    pub clear: Clear,
}

/// What has to be open to the client before the command may start.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Wants {
    /// Whether the target sends.
    pub sends: bool,
    /// The files, each with whatever is below it. A sender wants all there are: whoever is not rsync
    /// can have it read any file as rules, and hear of those that are none.
    pub trees: Vec<Result<String, Vague>>,
    /// An option that may touch something else, if there is one.
    pub odd: Option<String>,
}

/// One transfer, both ways.
#[derive(Debug)]
pub struct Rsync {
    invocation: Invocation,
    up: Stream,
    down: Stream,
    /// None where its files are not told apart, or not any more.
    files: Option<Box<Streams>>,
    /// How much work is not counted, in bytes that were looked at.
    work: usize,
    /// What is said of the files at the end.
    notes: Vec<String>,
    status: Option<u32>,
}

impl Invocation {
    /// Reads what stands behind the program's name. None where it is not the other end of a client.
    pub fn parse(words: &[Word], mut clear: Clear) -> Option<Self> {
        let mut words = words.iter();
        if words.next()?.text != b"--server" {
            return None;
        }
        let mut options = Vec::new();
        let mut paths = Vec::new();
        let mut dot = false;
        for word in words.by_ref() {
            if word.text == b"." {
                // It stands between the options and the paths.
                dot = true;
                break;
            }
            options.push(word.text.clone());
        }
        paths.extend(words.cloned());
        let sends = options.iter().any(|option| option == b"--sender");
        // rsync takes options behind paths too; its own clients write `./-x` where that is meant.
        let named =
            dot && !paths.is_empty() && !paths.iter().any(|path| path.text.starts_with(b"-"));
        (clear.plain, clear.single) = (clear.plain && named, clear.single && named);
        Some(Self {
            sends,
            options,
            paths,
            clear,
        })
    }

    /// Whether it is a daemon, which runs what its configuration says, with our client at its input.
    pub(super) fn is_daemon(&self) -> bool {
        self.options.iter().any(|option| option == b"--daemon")
    }

    /// What has to be open to the client before the command may start.
    pub fn wants(&self) -> Wants {
        let trees = match (self.clear.plain, self.sends) {
            (false, _) => vec![Err(Vague::Nameless)],
            (true, false) => {
                let itself = self.changes_directories();
                let paths = self.paths.iter();
                paths.map(|path| tree(path, itself)).collect()
            }
            (true, true) => ["/", "~"].map(|all| Ok(all.to_owned())).into(),
        };
        let odd = self.options.iter().find(|option| !self.is_known(option));
        Wants {
            sends: self.sends,
            trees,
            odd: odd.map(|option| String::from_utf8_lossy(option).into_owned()),
        }
    }

    /// Whether an option makes rsync touch nothing but what is named and what is in it. A receiver
    /// that makes links could be led by them out of it.
    fn is_known(&self, option: &[u8]) -> bool {
        if let Some(name) = option.strip_prefix(b"--") {
            let Ok(name) = std::str::from_utf8(name) else {
                return false;
            };
            return LONG.iter().any(|known| {
                if known.ends_with('=') {
                    name.starts_with(known)
                } else {
                    name == *known
                }
            });
        }
        let Some(letters) = option.strip_prefix(b"-") else {
            return false;
        };
        // A dash alone is a path, and `e` with nothing behind it takes the next word.
        if matches!(letters.last(), None | Some(b'e')) {
            return false;
        }
        // Behind `e` both ends say what they know of the protocol.
        let end = letters.iter().position(|letter| *letter == b'e');
        let (letters, ability) = letters.split_at(end.unwrap_or(letters.len()));
        let ability = ability.iter().skip(1);
        let sends = self.sends;
        letters
            .iter()
            .all(|letter| SHORT.contains(letter) || (sends && SHORT_SENDER.contains(letter)))
            && ability
                .copied()
                .all(|each| each.is_ascii_alphanumeric() || each == b'.')
    }

    /// Whether a directory that is named is changed itself, and not only what is in it.
    fn changes_directories(&self) -> bool {
        let omits = self.letters().any(|letter| letter == OMIT_TIMES);
        self.letters()
            .filter(|letter| !(omits && *letter == b't'))
            .any(|letter| ATTRIBUTES.contains(&letter))
    }

    /// The options of one letter. What is behind `e` is about the protocol.
    fn letters(&self) -> impl Iterator<Item = u8> {
        let options = self.options.iter();
        let short = options.filter(|option| !option.starts_with(b"--"));
        short.flat_map(|option| option.iter().copied().take_while(|each| *each != b'e'))
    }

    fn said(&self) -> Vec<u8> {
        let texts = self.paths.iter().map(|word| word.text.as_slice());
        texts.collect::<Vec<_>>().join(&b' ')
    }

    fn detail(&self) -> String {
        let way = if self.sends { "read" } else { "write" };
        let options = self.options.join(&b' ');
        format!("{way} {}", String::from_utf8_lossy(&options))
    }
}

/// Where a path leads, with a slash behind it where only what is in it is meant, and not `itself`.
fn tree(word: &Word, itself: bool) -> Result<String, Vague> {
    let place = word.place()?;
    let names_contents = word.text.ends_with(b"/") || word.text.ends_with(b"/.");
    Ok(if names_contents && !itself {
        path::inside(&place)
    } else {
        place
    })
}

impl Rsync {
    /// A transfer that begins, and how that is recorded.
    pub fn begin(invocation: Invocation) -> (Self, Operation) {
        let (files, notes) = match Streams::new(&invocation) {
            Ok(streams) => (Some(Box::new(streams)), Vec::new()),
            Err(odd) => (None, vec![words::streams_by(&odd)]),
        };
        let begun = Self {
            up: Stream::default(),
            down: Stream::default(),
            status: None,
            files,
            work: 0,
            notes,
            invocation,
        };
        let operation = begun.operation();
        (begun, operation)
    }

    /// The client, or else the target, has sent this: how much of it was looked at, and what is to be recorded before
    /// that goes on. Others have their turn before the rest.
    pub fn take(&mut self, from_client: bool, bytes: &[u8]) -> (usize, Vec<Operation>) {
        let mut told = Vec::new();
        let (mut taken, mut work): (usize, usize) = (0, 0);
        while let Some(streams) = &mut self.files
            && let Some(rest) = bytes.get(taken..)
            && !rest.is_empty()
            && streams.waiting() < TOLD_MAX
            && work < WORK_MAX
        {
            let piece = rest.get(..PIECE).unwrap_or(rest);
            let looked = streams.take(from_client, piece, WORK_MAX.saturating_sub(work));
            work = work.saturating_add(streams.worked());
            match looked {
                Ok(looked) => taken = taken.saturating_add(looked),
                Err(lost) => told = self.lose(from_client, lost),
            }
        }
        self.work = self.work.saturating_add(work);
        match &mut self.files {
            Some(streams) => told = streams.told(),
            None => taken = bytes.len(),
        }
        let way = if from_client {
            &mut self.up
        } else {
            &mut self.down
        };
        way.take(bytes.get(..taken).unwrap_or(bytes));
        (taken, told)
    }

    /// Follows its files no further, and says so.
    fn lose(&mut self, from_client: bool, lost: Lost) -> Vec<Operation> {
        self.notes = vec![words::STREAMS.to_owned()];
        let Some(mut streams) = self.files.take() else {
            return Vec::new();
        };
        streams.lost(from_client, lost);
        streams.told()
    }

    /// Whether its files are told apart.
    pub fn is_followed(&self) -> bool {
        self.files.is_some()
    }

    /// How much work it was since this was asked, about, in bytes that were looked at.
    pub fn worked(&mut self) -> usize {
        std::mem::take(&mut self.work)
    }

    /// How much is held for it, about, in bytes.
    pub fn weight(&self) -> usize {
        self.files.as_ref().map_or(0, |streams| streams.held())
    }

    /// The command has ended.
    pub fn exited(&mut self, status: u32) {
        self.status = Some(status);
    }

    /// How it went: what had not passed whole, and the whole.
    pub fn finish(&mut self) -> Vec<Operation> {
        let ended = match self.status {
            None => Ended::Unanswered,
            Some(0) => Ended::Done,
            Some(code) => Ended::Failed {
                code,
                message: words::exit_status(code),
            },
        };
        let mut left = Vec::new();
        if let Some(mut streams) = self.files.take() {
            left = streams.finish();
            self.notes = streams.notes();
        }
        let mut operation = self.operation().ended(ended);
        let (up, down) = (std::mem::take(&mut self.up), std::mem::take(&mut self.down));
        operation.sum_up(down.finish(), up.finish(), &self.notes);
        left.push(operation);
        left
    }

    fn operation(&self) -> Operation {
        let (said, detail) = (self.invocation.said(), self.invocation.detail());
        Operation::new("rsync", &said, &[], detail)
    }
}
