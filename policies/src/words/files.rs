//! What is said about files that may not be touched: `TG621` to `TG626`.

use super::{Shown, Words, named, sentence};
use crate::FileAccess;

/// Something about files that somebody has to hear.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum FileSaying<'a> {
    /// Policy does not allow it.
    Denied {
        /// What for.
        access: FileAccess,
        /// The file, as policy sees it.
        path: &'a str,
        /// The policy's `@id`; empty where none allows it.
        policy: &'a str,
        /// The policy's `@reason`, or what is missing.
        reason: &'a str,
    },
    /// Nobody can tell which file is meant.
    Vague {
        /// What was said: a noun.
        why: &'a str,
    },
    /// rsync may touch other files than those that are named.
    Option {
        /// By which option.
        option: &'a str,
    },
    /// rsync cannot be kept to some files where it reads.
    Sender,
    /// rsync would tell, by checksums, of files that may only be written.
    Receiver,
    /// A command is longer, or names more, than is asked about.
    Much,
}

impl Shown for FileSaying<'_> {
    fn words(&self) -> Words {
        match self {
            Self::Denied {
                access,
                path,
                policy,
                reason,
            } => {
                let verb = match access {
                    FileAccess::Read => "read",
                    FileAccess::Write => "write",
                };
                let (reason, policy) = (sentence(reason), named(policy));
                let hint = match access {
                    // A name that is a directory there is taken for a file's, and asked about as one.
                    FileAccess::Write if !path.ends_with('/') => {
                        "where that is a directory, end it with /. as in  scp -O notes.txt LOGIN+TARGET@BASTION:/srv/in/.   else: tidegate whoami"
                    }
                    FileAccess::Read | FileAccess::Write => "tidegate whoami",
                };
                Words::new("TG621", format!("you may not {verb} `{path}`: {reason}{policy}"))
                    .hint(hint)
            }
            Self::Vague { why } => Words::new(
                "TG622",
                format!(
                    "files are limited here, and it cannot be told which one is meant by {why}"
                ),
            )
            .hint("name it from the root and as it is, as in  sftp> get /var/log/shop/app.log"),
            Self::Option { option } => Words::new(
                "TG623",
                format!("files are limited here, and rsync could leave them by `{option}`"),
            )
            .hint("rsync -rtO notes/ LOGIN+TARGET@BASTION:/srv/in/"),
            Self::Sender => Words::new(
                "TG624",
                "files are limited here, and rsync cannot be kept to some of them when it reads",
            )
            .hint("scp -r LOGIN+TARGET@BASTION:/var/log/shop ."),
            Self::Receiver => Words::new(
                "TG625",
                "you may write files there and not read them, and rsync would tell you what is there",
            )
            .hint("scp -r notes LOGIN+TARGET@BASTION:/srv/in/"),
            Self::Much => Words::new(
                "TG626",
                "files are limited here, and no command is looked at that is longer than 16 KiB, \
                 and no rsync that writes more than sixteen paths",
            )
            .hint("name fewer at a time, or use  sftp LOGIN+TARGET@BASTION"),
        }
    }
}

/// Behind a file of scp whose name is none: it could lead out of its directory.
pub const LEADS_ELSEWHERE: &str = ", a name that leads elsewhere";

/// Behind a file of scp that the command does not name.
pub const NOT_ASKED_FOR: &str = ", not what was asked for";

/// Which part of a file is copied within the target, and where to in the other.
pub fn copied(start: u64, bytes: u64, to: u64) -> String {
    match bytes {
        0 => format!("from {start} to its end, to {to}"),
        bytes => format!("from {start}, {bytes} bytes, to {to}"),
    }
}

/// How many names of a directory passed.
pub fn names(count: u64) -> String {
    format!("{count} names")
}

/// How much of a file the target did not take.
pub fn untaken(bytes: u64) -> String {
    format!("{bytes} bytes refused by the target")
}

/// How much of a file the target never said that it has.
pub fn unanswered(bytes: u64) -> String {
    format!("{bytes} bytes without an answer of the target")
}

/// How much passed of a piece of a file that was cut off before its end, so that none of it was written.
pub fn unfinished(bytes: u64) -> String {
    format!("{bytes} bytes of a write that was cut off")
}

/// The digest of what passed, where that is not all of a file.
pub fn as_passed(way: &str, digest: &str) -> String {
    format!("{way}, as it passed: sha256 {digest}")
}
