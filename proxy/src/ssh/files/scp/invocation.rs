//! The command by which scp is started at the target.

use crate::ssh::files::command::{Clear, Word};
use crate::ssh::files::path::{self, Vague};

/// How much of a path is told, in bytes: no more than Linux takes (`PATH_MAX`). The recording has the whole command,
/// once.
const PATH_MAX: usize = 4096;

/// What the scp at the target does.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Role {
    /// It sends (`-f`): the client reads.
    Source,
    /// It takes (`-t`): the client writes.
    Sink,
}

/// A command line of scp, as one end starts it at the other.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Invocation {
    role: Role,
    /// Whether a sink takes nothing where there is no directory.
    directory: bool,
    paths: Vec<Word>,
    /// The paths, as they are told of each file.
    said: Box<[u8]>,
    /// Which of the line every shell reads in this way.
    pub clear: Clear,
}

impl Invocation {
    /// Reads what stands behind the program's name. None where this is not one end of a transfer.
    pub fn parse(words: &[Word], mut clear: Clear) -> Option<Self> {
        let (mut role, mut directory) = (None, false);
        let mut words = words.iter();
        let mut paths = Vec::new();
        for word in words.by_ref() {
            let options = match word.text.as_slice() {
                b"--" => break,
                [b'-', options @ ..] if !options.is_empty() => options,
                _ => {
                    paths.push(word.clone());
                    break;
                }
            };
            for option in options {
                match option {
                    b't' | b'f' => {
                        let said = if *option == b't' {
                            Role::Sink
                        } else {
                            Role::Source
                        };
                        // Which of two counts depends on the program.
                        let same = role.replace(said).is_none_or(|before| before == said);
                        (clear.plain, clear.single) = (clear.plain && same, clear.single && same);
                    }
                    b'd' => directory = true,
                    b'r' | b'p' | b'v' | b'q' => {}
                    // One that takes a value, or does what we do not know of.
                    _ => (clear.plain, clear.single) = (false, false),
                }
            }
        }
        paths.extend(words.cloned());
        // Without a path there is nothing to do; more than one is what a shell made of one.
        clear.plain &= paths.len() == 1;
        clear.single &= !paths.is_empty();
        let texts = paths.iter().map(|word| word.text.as_slice());
        let said = cut(&texts.collect::<Vec<_>>().join(&b' '), PATH_MAX).into();
        Some(Self {
            role: role?,
            directory,
            paths,
            said,
            clear,
        })
    }

    /// All paths, as they were said.
    pub fn said(&self) -> Vec<u8> {
        self.said.to_vec()
    }

    /// The path, if there is one and a shell does nothing with it.
    fn only(&self) -> Option<&Word> {
        match self.paths.as_slice() {
            [only] if self.clear.plain => Some(only),
            _ => None,
        }
    }

    /// Whether the path is a directory for sure. A slash behind it does not say so: scp makes a directory of
    /// that name from the first that it is sent.
    pub fn is_directory(&self) -> bool {
        self.directory
            || self.only().is_some_and(|word| {
                let last = word.text.rsplit(|byte| *byte == b'/').next();
                matches!(last, Some(b"." | b"..")) || matches!(&word.text[..], b"~" | b"~/" | b"/")
            })
    }

    /// Where the path leads.
    pub fn place(&self) -> Result<String, Vague> {
        self.only().ok_or(Vague::Nameless)?.place()
    }

    /// Whether the source was asked for something of this name.
    pub fn asks_for(&self, name: &[u8]) -> bool {
        self.only().is_some_and(|word| {
            let text = word.text.as_slice();
            let end = text.iter().rposition(|byte| *byte != b'/');
            let text = text.get(..=end.unwrap_or(0)).unwrap_or(text);
            let last = text.rsplit(|byte| *byte == b'/').next().unwrap_or(text);
            last == name || matches!(last, b"." | b".." | b"" | b"~")
        })
    }

    /// Whether it is known which path the source reads: not where a shell may have made others of it.
    pub fn is_certain(&self) -> bool {
        self.only().is_some()
    }

    /// What the target's end does.
    pub fn role(&self) -> Role {
        self.role
    }

    /// What has to be open to the client before the command may start, or else what is in it: then
    /// each file is asked about when it comes.
    pub fn wants(&self) -> Result<String, Vague> {
        let place = self.place()?;
        Ok(if self.is_directory() {
            path::inside(&place)
        } else {
            place
        })
    }
}

/// A text, or the beginning of one that is longer than this, and three dots.
pub(in crate::ssh::files) fn cut(text: &[u8], most: usize) -> Vec<u8> {
    match text.get(..most) {
        Some(begin) if text.len() > most => [begin, b"..."].concat(),
        _ => text.to_vec(),
    }
}
