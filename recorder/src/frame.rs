//! The unit of a recording: one thing that happened.
//!
//! Says nothing about bytes on disk; `codec` does.

use std::borrow::Cow;
use std::time::Duration;

use policies::words::Shown as _;
use policies::words::ssh::SshSaying;

use crate::{Digest, End, Timeline};

/// One thing that happened in a session. Borrowed both ways: from the relay when it is written,
/// from the reader's buffer when it is read.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Frame<'a> {
    /// Bytes passed.
    Data {
        /// Which channel; 0 where the protocol has only one.
        channel: u32,
        /// Which way.
        stream: Stream,
        /// What.
        bytes: &'a [u8],
    },
    /// Bytes passed that are counted, not kept. A gap is never silent.
    Omitted {
        /// Which channel.
        channel: u32,
        /// Which way.
        stream: Stream,
        /// How many.
        bytes: u64,
        /// Why they are not here.
        why: Omission,
        /// The digest of them, where it was worth the time.
        digest: Option<Digest>,
    },
    /// Something happened to an SSH channel.
    Channel {
        /// Which.
        channel: u32,
        /// What.
        event: ChannelEvent<'a>,
    },
    /// The client sent something for a database to do.
    Statement(Statement<'a>),
    /// The database said how it went.
    Outcome(Outcome<'a>),
    /// Something worth telling: a notice that was shown, a refusal, a decision.
    Note {
        /// A stable code.
        code: &'a str,
        /// A sentence.
        text: &'a str,
    },
    /// Something was done to a file at the target, over SFTP; or a copy of a database's data has passed.
    File(FileOperation<'a>),
    /// The last frame. Only [`Recording::seal`](crate::Recording::seal) and recovery write it.
    Close {
        /// How the session ended.
        end: End,
        /// When each step of that happened.
        timeline: Timeline,
    },
}

/// Channels from this number up carry a connection of somebody else's through the session: a forwarded
/// port, an agent, a display. A terminal never shows what passes them.
pub const CARRIED: u32 = 1 << 31;

/// Which way bytes went.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub enum Stream {
    /// From the person to the target.
    Input,
    /// From the target to the person.
    Output,
    /// From the target to the person, on the side (`stderr`).
    ErrorOutput,
}

/// Why bytes are counted and not kept.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub enum Omission {
    /// The policy says so: what people type may be a password.
    ByPolicy,
    /// Bulk data, a file or a COPY, of which the policy keeps only the size.
    Bulk,
}

/// What happens to an SSH channel.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum ChannelEvent<'a> {
    /// It was opened.
    Opened {
        /// The type, for example `session` (RFC 4254, 5.1).
        kind: &'a str,
    },
    /// A terminal was asked for (RFC 4254, 6.2).
    Pty {
        /// The value of `TERM`.
        term: &'a str,
        /// Its width in characters.
        columns: u32,
        /// Its height in characters.
        rows: u32,
    },
    /// An environment variable was passed on.
    Environment {
        /// Its name.
        name: &'a str,
        /// Its value.
        value: &'a str,
    },
    /// A shell was started.
    Shell,
    /// A command was started.
    Exec {
        /// The command line, as the client sent it.
        command: &'a [u8],
    },
    /// A subsystem was started.
    Subsystem {
        /// Its name, for example `sftp`.
        name: &'a str,
    },
    /// The window changed.
    Resize {
        /// Its width in characters.
        columns: u32,
        /// Its height in characters.
        rows: u32,
    },
    /// The client sent a signal.
    Signal {
        /// Its name without `SIG`.
        name: &'a str,
    },
    /// A side will send no more.
    Eof {
        /// On which stream.
        stream: Stream,
    },
    /// The command ended.
    ExitStatus {
        /// With this status.
        status: u32,
    },
    /// The command was killed.
    ExitSignal {
        /// By this signal, without `SIG`.
        name: &'a str,
        /// What the target said about it.
        message: &'a str,
    },
    /// A connection is carried: what the channel is for, said before it is opened at the other side.
    Forward {
        /// The host that is connected to, or the path of the socket.
        host: &'a str,
        /// The port; 0 for a socket in the file system.
        port: u32,
        /// Where the connection is said to come from; empty for a socket.
        originator: &'a str,
        /// From which port.
        originator_port: u32,
    },
    /// The target is to listen, or says where it does.
    Listen {
        /// The address, or the path of the socket.
        host: &'a str,
        /// The port; 0 for a socket, and where the target is to choose.
        port: u32,
    },
    /// The target is to listen no more.
    Unlisten {
        /// The address, or the path of the socket.
        host: &'a str,
        /// The port; 0 for a socket.
        port: u32,
    },
    /// The client's agent is lent to the target, or is asked for something by it.
    Agent {
        /// `lend`, `list`, `sign` or `extension`.
        wish: &'a str,
        /// The fingerprint of the key that is to sign; empty for everything else.
        key: &'a str,
    },
    /// It was closed.
    Closed,
    /// Something was asked for and refused.
    Refused {
        /// The code that the client was shown.
        code: &'a str,
        /// What was asked for.
        what: &'a str,
    },
}

impl ChannelEvent<'_> {
    /// Whether the target has refused the terminal that was asked for: what runs has none.
    pub(crate) fn is_refused_terminal(&self) -> bool {
        matches!(self, Self::Refused { code, .. } if *code == SshSaying::NoTerminal.words().code)
    }
}

/// One message of a database client that makes the server do something.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Statement<'a> {
    /// Joins it with its [`Outcome`]. Unique in the session.
    pub id: u64,
    /// Which message.
    pub kind: StatementKind,
    /// The name of the prepared statement, where the message has one; empty for the unnamed.
    pub name: &'a [u8],
    /// The name of the portal, where the message has one; empty for the unnamed.
    pub portal: &'a [u8],
    /// The SQL text, for the messages that carry one.
    pub text: &'a [u8],
    /// The values bound, for [`StatementKind::Bind`].
    pub parameters: Cow<'a, [Parameter<'a>]>,
}

/// Which message a [`Statement`] was.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub enum StatementKind {
    /// `Query`: text, run at once.
    Simple,
    /// `Parse`: text, to be run later.
    Parse,
    /// `Bind`: values for a parsed text.
    Bind,
    /// `Execute`: run what was bound.
    Execute,
    /// `Describe`: ask for the shape of the answer.
    Describe,
    /// `Close`: forget a statement or portal.
    Close,
    /// The data of `COPY … FROM STDIN` follows.
    CopyIn,
    /// The data of `COPY … TO STDOUT` follows.
    CopyOut,
    /// The client asked to cancel what runs.
    Cancel,
}

/// One bound value.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Parameter<'a> {
    /// The object id of its type, 0 where the client left it to the server.
    pub oid: u32,
    /// How it is written.
    pub format: Format,
    /// What it is.
    pub value: Value<'a>,
}

/// How a bound value is written.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub enum Format {
    /// As text.
    Text,
    /// In the type's binary form.
    Binary,
}

/// A bound value.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Value<'a> {
    /// `NULL`.
    Null,
    /// As the client sent it.
    Kept(&'a [u8]),
    /// Not kept, by policy.
    Masked {
        /// How long it was.
        bytes: u64,
    },
}

/// How one statement went.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Outcome<'a> {
    /// Of which [`Statement`].
    pub id: u64,
    /// The command tag, for example `INSERT 0 1`, if it got that far.
    pub tag: Option<&'a str>,
    /// How many rows came back.
    pub rows: u64,
    /// How many bytes of rows or COPY data passed.
    pub bytes: u64,
    /// The error, if it failed.
    pub error: Option<SqlError<'a>>,
    /// From the statement to this.
    pub elapsed: Duration,
    /// The transaction status after it: `I`, `T` or `E` as in `ReadyForQuery`; 0 where unknown.
    pub transaction: u8,
}

/// What a database says went wrong.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct SqlError<'a> {
    /// Five characters, PostgreSQL appendix A.
    pub sqlstate: &'a str,
    /// `ERROR`, `FATAL`, `PANIC`.
    pub severity: &'a str,
    /// The primary message.
    pub message: &'a str,
}

/// One operation on a file, as it was asked for and, in a later frame with the same id, as it went. Of a copy of a
/// database's data there is one frame, once it has passed.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct FileOperation<'a> {
    /// On which channel.
    pub channel: u32,
    /// Joins both frames. Unique on the channel.
    pub id: u64,
    /// The operation's name in the protocol, for example `open` or `posix-rename`.
    pub action: &'a str,
    /// The file, as the client wrote it; empty where there is none.
    pub path: &'a [u8],
    /// Where there are two, the second: a new name, what a link says, where a name leads.
    pub to: &'a [u8],
    /// What else was asked for: `write create mode=0644`.
    pub detail: &'a str,
    /// How it went, if it is over.
    pub outcome: Option<FileOutcome<'a>>,
}

impl FileOperation<'_> {
    /// The action of what the client sent for `COPY … FROM STDIN`: the id is the statement's.
    pub const COPY_IN: &'static str = "copy-in";
    /// The action of what the target sent for `COPY … TO STDOUT`: the id is the statement's.
    pub const COPY_OUT: &'static str = "copy-out";
}

/// How an operation on a file went.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct FileOutcome<'a> {
    /// Whether it was done.
    pub result: FileResult<'a>,
    /// What was read of a file that was closed.
    pub read: Transfer,
    /// What was written to it.
    pub written: Transfer,
}

/// Whether an operation on a file was done.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum FileResult<'a> {
    /// It was.
    Done,
    /// The target did not do it.
    Failed {
        /// `SSH_FX_…` (`draft-ietf-secsh-filexfer-02`, section 7).
        code: u32,
        /// What the target said about it.
        message: &'a str,
    },
    /// It was not part of the permit, and the target never heard of it.
    Refused,
    /// The session ended before the answer.
    Unanswered,
}

/// What passed of one file, one way.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default)]
pub struct Transfer {
    /// How many bytes.
    pub bytes: u64,
    /// Where in the file the first of them stands.
    pub start: u64,
    /// Their SHA-256, where each followed the one before.
    pub digest: Option<[u8; 32]>,
}

/// A frame with its place and time.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Stamped<'a> {
    /// Its number; the heading is 0.
    pub sequence: u64,
    /// When, from the heading's `started_at`. Never less than the frame before.
    pub at: Duration,
    /// What.
    pub frame: Frame<'a>,
}
