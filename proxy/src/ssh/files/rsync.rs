//! rsync, as far as its command line tells: which way it carries, with which options, and where. What
//! passes is counted and digested as a stream; the files inside are not told apart.
//!
//! Pure: knows no channel and no recording. What rsync says inside its stream depends on its
//! version, its options and what both ends have already, and may be compressed; a reader that is
//! not rsync would guess.

use bytes::Bytes;

use super::command::{Clear, Word};
use super::operation::{Ended, Operation};
use super::path::{self, Vague};
use super::sum::Stream;

/// Options of one letter by which a receiver touches nothing but what is named and what is in it
/// (`rsync.1`). Not those that make links, by which it could be led out again (`l`, `D`, `K`, `R`), nor
/// those for which the client may send rules that rsync reads from files (`m`).
const SHORT: &[u8] = b"vqcrutpogdnIOJUNSWxhizE8b";

/// More of them for a sender, which needs all files to be open to the client anyway.
const SHORT_SENDER: &[u8] = b"lLkDHAXRKmC";

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
        let begun = Self {
            up: Stream::default(),
            down: Stream::default(),
            status: None,
            invocation,
        };
        let operation = begun.operation();
        (begun, operation)
    }

    /// The client sent this.
    pub fn up(&mut self, bytes: &Bytes) {
        self.up.take(bytes);
    }

    /// The target sent this.
    pub fn down(&mut self, bytes: &Bytes) {
        self.down.take(bytes);
    }

    /// The command has ended.
    pub fn exited(&mut self, status: u32) {
        self.status = Some(status);
    }

    /// How it went.
    pub fn finish(&mut self) -> Operation {
        let ended = match self.status {
            None => Ended::Unanswered,
            Some(0) => Ended::Done,
            Some(code) => Ended::Failed {
                code,
                message: format!("exit status {code}"),
            },
        };
        let mut operation = self.operation().ended(ended);
        let (up, down) = (std::mem::take(&mut self.up), std::mem::take(&mut self.down));
        let note = "its streams, not its files".to_owned();
        operation.sum_up(down.finish(), up.finish(), &[note]);
        operation
    }

    fn operation(&self) -> Operation {
        let (said, detail) = (self.invocation.said(), self.invocation.detail());
        Operation::new("rsync", &said, &[], detail)
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::ssh::files::command::FileCommand;

    fn invocation(line: &str) -> Invocation {
        match FileCommand::of(line.as_bytes()) {
            Some(FileCommand::Rsync(invocation)) => invocation,
            other => panic!("{other:?}"),
        }
    }

    #[track_caller]
    fn check(line: &str, sends: bool, trees: &[&str], odd: Option<&str>) {
        let wants = invocation(line).wants();
        assert_eq!(wants.sends, sends);
        let got = wants.trees.into_iter().map(Result::unwrap);
        assert_eq!(got.collect::<Vec<_>>(), trees, "{line}");
        assert_eq!(wants.odd.as_deref(), odd, "{line}");
    }

    #[test]
    fn direction_and_paths_are_known() {
        check(
            "rsync --server -vrtOe.LsfxCIvu . /srv/in/",
            false,
            &["/srv/in/"],
            None,
        );
        check(
            "rsync --server --sender -vlogDtpre.iLsfxCIvu . /var/log/a b",
            true,
            &["/", "~"],
            None,
        );
        check("rsync --server -re.LsfxCIvu . ~/a", false, &["~/a"], None);
    }

    /// With `src/` at the client's end, the directory gets what `src` has.
    #[test]
    fn a_directory_that_gets_modes_times_or_owners_is_asked_about_itself() {
        for options in [
            "-rpe.Ls",
            "-rte.Ls",
            "-roe.Ls",
            "-rge.Ls",
            "-rEe.Ls",
            "-rUe.Ls",
            "-rNe.Ls",
            "-rptOe.Ls",
            "-rOUe.Ls",
            "-r -p",
        ] {
            for into in ["/srv/in/", "/srv/in/."] {
                let line = format!("rsync --server {options} . {into}");
                check(&line, false, &["/srv/in"], None);
            }
        }
        // What stands behind `e`, or in a word, is none of them.
        for options in ["-re.Lstp", "-rtOe.Ls", "-re.Ls --partial", "-rcue.Ls"] {
            let line = format!("rsync --server {options} . /srv/in/");
            check(&line, false, &["/srv/in/"], None);
        }
    }

    #[test]
    fn what_touches_other_things_or_makes_links_is_odd() {
        for (options, odd) in [
            ("-rlOte.LsfxCIvu", "-rlOte.LsfxCIvu"),
            ("-rDe.Ls", "-rDe.Ls"),
            ("-rRe.Ls", "-rRe.Ls"),
            ("-rme.Ls", "-rme.Ls"),
            ("-rsfe.Ls", "-rsfe.Ls"),
            ("-re.Ls --log-file=/etc/x", "--log-file=/etc/x"),
            ("-re.Ls --link-dest=/etc", "--link-dest=/etc"),
            ("-re.Ls --delete", "--delete"),
            (
                "-re.Ls --files-from=/etc/passwd",
                "--files-from=/etc/passwd",
            ),
            ("--daemon", "--daemon"),
            // Takes the next word, whatever it is.
            ("-re", "-re"),
            ("-r -", "-"),
        ] {
            check(
                &format!("rsync --server {options} . /srv/in/"),
                false,
                &["/srv/in/"],
                Some(odd),
            );
        }
        let line = "rsync --server --sender -re.Ls --remove-source-files . /srv/in/";
        check(line, true, &["/", "~"], Some("--remove-source-files"));
    }

    #[test]
    fn a_line_that_names_nothing_for_sure_wants_what_nobody_has() {
        for line in [
            "rsync --server -re.Ls . --sender /etc/secret/",
            "rsync --server -r . --log-file=/etc/x -b a",
            "rsync --server -re.Ls . /srv/in; id",
            "rsync --server -re.Ls /srv/in",
            "rsync --server -re.Ls .",
            "rsync --server -re.Ls . /srv/*",
            "/tmp/rsync --server -re.Ls . /srv/in",
            "rsync --server -re.Ls . /srv/in/../..",
        ] {
            let wants = invocation(line).wants();
            assert!(wants.trees.iter().any(Result::is_err), "{line}");
        }
    }

    #[test]
    fn its_streams_are_counted_and_digested() {
        let (mut rsync, _) = Rsync::begin(invocation("rsync --server -re.Ls . /srv/in"));
        rsync.up(&Bytes::from_static(b"ab"));
        rsync.up(&Bytes::from_static(b"c"));
        rsync.down(&Bytes::new());
        rsync.exited(0);
        let outcome = rsync.finish().outcome.unwrap();
        assert_eq!((outcome.written.bytes, outcome.read.bytes), (3, 0));
        // Of `abc`.
        let digest = outcome.written.digest.unwrap();
        assert_eq!(digest[..4], [0xba, 0x78, 0x16, 0xbf]);
        assert_eq!(outcome.read.digest, None, "an empty piece is none");
    }
}
