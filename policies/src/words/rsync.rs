//! What is told of rsync, as the lines of its files have it in a recording: where the thread of its streams is lost, and
//! what is said behind a file.

/// Why the files of a transfer are told apart no further.
#[derive(Debug, Clone, Copy, PartialEq, Eq, thiserror::Error)]
pub enum Lost {
    /// Both ends agreed on a protocol that is older than 30, or newer than 32.
    #[error("protocol {0}")]
    Version(i32),
    /// The target chose something that rsync of protocol 32 does not have.
    #[error("flags of a protocol that is not known")]
    Flags,
    /// The ends agreed on nothing, or on something that is not known.
    #[error("no checksum or compression that is known")]
    Choice,
    /// Something when it was the other's turn.
    #[error("something out of turn")]
    Turn,
    /// A message of a kind that no rsync sends to another.
    #[error("a message that rsync does not have")]
    Message,
    /// Something that is longer than rsync sends or takes.
    #[error("something that is longer than rsync has it")]
    Long,
    /// A number of too many bytes.
    #[error("a number that is too large")]
    Number,
    /// An entry of a file list that contradicts itself.
    #[error("an entry that no list of files has")]
    Entry,
    /// A name that is not in its one spelling, so that its place in the order is not known.
    #[error("a name that is not spelled out")]
    Name,
    /// More names than are kept.
    #[error("more names than are kept")]
    Many,
    /// Far less than the recording would have to tell of it.
    #[error("far less than there is to tell of it")]
    Told,
    /// The number of no file that was listed.
    #[error("the number of no file")]
    Index,
    /// The same file more often than any transfer has it.
    #[error("the same file again and again")]
    Repeated,
    /// Checksums of blocks that contradict each other.
    #[error("checksums that no file has")]
    Sums,
    /// A piece of a file that is none.
    #[error("a piece that no file has")]
    Token,
}

/// Who said or did something.
pub fn who(from_client: bool) -> &'static str {
    if from_client {
        "the client"
    } else {
        "the target"
    }
}

/// The files are told apart no further, because of what one end sent.
pub fn no_further(from_client: bool, lost: Lost) -> String {
    let who = who(from_client);
    format!("its files are told apart no further, {who} sent {lost}")
}

/// Where the files are told apart no further, the whole of it is this.
pub const STREAMS: &str = "its streams, not all of its files";

/// The files are not told apart at all, by what stands in the command.
pub fn streams_by(option: &str) -> String {
    format!("its streams, not its files, by `{option}`")
}

/// How many files passed.
pub fn passed(files: u64) -> String {
    format!("{files} files passed")
}

/// What rsync's source says of itself at the end (`IOERR_GENERAL`, `IOERR_VANISHED` and `IOERR_DEL_LIMIT` in its
/// `rsync.h`): the bit, and what it means.
pub const FAULTS: [(i32, &str); 3] = [
    (1, "not everything could be read"),
    (2, "files had vanished"),
    (4, "not everything was deleted"),
];

/// One end gave up.
pub fn ended_with(from_client: bool, code: i32) -> String {
    format!("{} ended with error {code}", who(from_client))
}

/// The same file begins to pass again.
pub const AGAIN: &str = ", once more";

/// What passed of a file was compressed, and not opened.
pub fn compressed(by: &str) -> String {
    format!("counted as it passed, compressed by {by}")
}

/// What passed of a file went behind what was there.
pub const APPENDED: &str = "appended to what was there";

/// Of a file, so many blocks did not pass.
pub fn kept(blocks: u64) -> String {
    format!("{blocks} blocks of what was there")
}

/// Where a link leads.
pub fn to(place: &str) -> String {
    format!("to {place:?}")
}

/// A file that could not be sent.
pub const UNSENT: &str = "it was not sent";

/// A file that has arrived.
pub const ARRIVED: &str = "the receiver has it whole";

/// Whose message it is.
pub fn of(who: &str) -> String {
    format!("of {who}")
}

/// More was said than is told.
pub fn unsaid(more: u32) -> String {
    format!("{more} messages and deleted names more")
}

/// How its command ended.
pub fn exit_status(code: u32) -> String {
    format!("exit status {code}")
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn what_is_told_of_rsync() {
        let said = [
            no_further(true, Lost::Version(33)),
            no_further(false, Lost::Told),
            streams_by("-z"),
            passed(3),
            ended_with(false, 23),
            compressed("zstd"),
            kept(7),
            to("a \"b\""),
            of(who(true)),
            unsaid(12),
            exit_status(23),
        ];
        insta::assert_snapshot!("rsync", said.join("\n"));
    }
}
