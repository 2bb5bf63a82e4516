//! What can be done inside a session: as a set that a permit carries, and as one concrete deed.

use std::collections::BTreeSet;

use serde::{Deserialize, Serialize};

use crate::{DatabaseName, FileDeed, SqlStatement};

/// One kind of thing that a permit may allow. The name is that of the Cedar action.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum Capability {
    /// An interactive shell, with or without a terminal (`shell`).
    Shell,
    /// Commands (`exec`).
    Exec,
    /// Reading files over SFTP (`sftpRead`); where policies are about files, over what carries them
    /// (`readFile`).
    SftpRead,
    /// Writing files over SFTP (`sftpWrite`); where policies are about files, over what carries them
    /// (`writeFile`).
    SftpWrite,
    /// `ssh -L`, `-D`, `-W` to a host and port (`forwardPort`).
    ForwardPort,
    /// `ssh -R` (`reversePort`).
    ReversePort,
    /// `ssh -A` (`forwardAgent`).
    ForwardAgent,
    /// `ssh -X` (`forwardX11`).
    ForwardX11,
    /// Speaking SQL at all (`connect` on a database).
    Sql,
}

/// The capabilities of one permit.
pub type Capabilities = BTreeSet<Capability>;

/// One concrete thing done inside a session, as far as policy looks at it.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Deed {
    /// Begin a session.
    Connect,
    /// Begin it in another database than the one that the target stands for.
    OtherDatabase {
        /// Which.
        database: DatabaseName,
    },
    /// Start a shell.
    Shell,
    /// Run this command. It is what the client sent; bytes that are not UTF-8 are replaced, for the
    /// policy's eyes only.
    Exec {
        /// The command line.
        command: String,
    },
    /// Start this SSH subsystem, for example `sftp`.
    Subsystem {
        /// Its name.
        name: String,
    },
    /// Connect onwards to this host and port.
    ForwardPort {
        /// The host: an address as its family writes it, or a name in lower case; or the path of a
        /// socket.
        host: String,
        /// The port; 0 for a socket.
        port: u16,
    },
    /// Have the target listen.
    ReversePort {
        /// The address to listen on.
        host: String,
        /// The port.
        port: u16,
    },
    /// Lend the client's agent to the target.
    ForwardAgent,
    /// Lend the client's display to the target.
    ForwardX11,
    /// Run this SQL statement.
    Statement(SqlStatement),
    /// Touch this file, where [`FileUse::scrutiny`](crate::FileUse::scrutiny) says that each is asked about.
    File(FileDeed),
}
