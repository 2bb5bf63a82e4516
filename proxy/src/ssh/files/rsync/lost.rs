//! Where the thread of rsync's stream is lost.

/// Why the files of a transfer are told apart no further.
#[derive(Debug, Clone, Copy, PartialEq, Eq, thiserror::Error)]
pub(super) enum Lost {
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
