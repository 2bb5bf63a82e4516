//! Libraries, each through a small program that is beside this file.

use super::cases::Case;
use super::cell::{Client, Way};
use super::field::Road;
use Way::{Differs, Same};

/// OpenSSH's sftp-server reads the two paths of a link in the wrong order, for ever. These libraries
/// write them so for servers that call themselves OpenSSH, and tidegate does not.
const ORDER: &str = "the link and what it points to are swapped";

/// The packages are there, or `tests/run --all` has not been run.
const VENV: &str = r#""$CLIENTS/venv/bin/python" -c 'import paramiko, asyncssh, ssh2, mitogen'"#;

const LIBSSH_DOES: Way = Same(r#""$TOOLS/libssh_client""#);

pub(super) const LIBSSH: Client = Client {
    name: "libssh",
    prepare: r#"cc -o "$TOOLS/libssh_client" "$SCRIPTS/libssh_client.c" -lssh"#,
    prelude: "",
    roads: &[Road::Plus],
    cells: &[
        (Case::Exec, LIBSSH_DOES),
        (Case::Signal, LIBSSH_DOES),
        (Case::Input, LIBSSH_DOES),
        (Case::Bulk, LIBSSH_DOES),
        (Case::Terminal, LIBSSH_DOES),
        (Case::Environment, LIBSSH_DOES),
        (Case::Sessions, LIBSSH_DOES),
        (Case::Files, LIBSSH_DOES),
        (Case::Link, Differs(r#""$TOOLS/libssh_client""#, ORDER)),
        (Case::Directory, LIBSSH_DOES),
        (Case::OddName, LIBSSH_DOES),
        (Case::Keepalive, LIBSSH_DOES),
        (Case::Rekey, LIBSSH_DOES),
        (Case::Local, LIBSSH_DOES),
        (
            Case::LocalSocket,
            Differs(
                r#""$TOOLS/libssh_client""#,
                "it asks no other servers than those called OpenSSH",
            ),
        ),
        (Case::Reverse, LIBSSH_DOES),
        (Case::Agent, LIBSSH_DOES),
        (Case::Display, LIBSSH_DOES),
    ],
};

const LIBSSH2_DOES: Way = Same(r#""$CLIENTS/venv/bin/python" "$SCRIPTS/libssh2_client.py""#);

pub(super) const LIBSSH2: Client = Client {
    name: "libssh2",
    prepare: VENV,
    prelude: "",
    roads: &[Road::Plus],
    cells: &[
        (Case::Exec, LIBSSH2_DOES),
        (Case::Signal, LIBSSH2_DOES),
        (Case::Input, LIBSSH2_DOES),
        (Case::Bulk, LIBSSH2_DOES),
        (Case::Environment, LIBSSH2_DOES),
        (Case::Sessions, LIBSSH2_DOES),
        (Case::Files, LIBSSH2_DOES),
        (Case::Link, LIBSSH2_DOES),
        (Case::Directory, LIBSSH2_DOES),
        (Case::OddName, LIBSSH2_DOES),
        (Case::Keepalive, LIBSSH2_DOES),
        (Case::Local, LIBSSH2_DOES),
        (Case::LocalSocket, LIBSSH2_DOES),
        (Case::Reverse, LIBSSH2_DOES),
    ],
};

const PARAMIKO_DOES: Way = Same(r#""$CLIENTS/venv/bin/python" "$SCRIPTS/paramiko_client.py""#);

pub(super) const PARAMIKO: Client = Client {
    name: "paramiko",
    prepare: VENV,
    prelude: "",
    roads: &[Road::Plus],
    cells: &[
        (Case::Exec, PARAMIKO_DOES),
        (Case::Signal, PARAMIKO_DOES),
        (Case::Input, PARAMIKO_DOES),
        (Case::Bulk, PARAMIKO_DOES),
        (Case::Terminal, PARAMIKO_DOES),
        (Case::Environment, PARAMIKO_DOES),
        (Case::Sessions, PARAMIKO_DOES),
        (Case::Files, PARAMIKO_DOES),
        (Case::Link, PARAMIKO_DOES),
        (Case::Directory, PARAMIKO_DOES),
        (Case::OddName, PARAMIKO_DOES),
        (Case::Keepalive, PARAMIKO_DOES),
        (Case::Rekey, PARAMIKO_DOES),
        (Case::Local, PARAMIKO_DOES),
        (Case::Reverse, PARAMIKO_DOES),
        (Case::Agent, PARAMIKO_DOES),
        (Case::Display, PARAMIKO_DOES),
        (
            Case::NoMore,
            Differs(
                r#""$CLIENTS/venv/bin/python" "$SCRIPTS/paramiko_client.py""#,
                "nobody is held to having said that there will be no more sessions",
            ),
        ),
    ],
};

const ASYNCSSH_DOES: Way = Same(r#""$CLIENTS/venv/bin/python" "$SCRIPTS/asyncssh_client.py""#);

pub(super) const ASYNCSSH: Client = Client {
    name: "asyncssh",
    prepare: VENV,
    prelude: "",
    roads: &[Road::Plus],
    cells: &[
        (Case::Exec, ASYNCSSH_DOES),
        (Case::Signal, ASYNCSSH_DOES),
        (Case::Input, ASYNCSSH_DOES),
        (Case::Bulk, ASYNCSSH_DOES),
        (Case::Terminal, ASYNCSSH_DOES),
        (Case::Environment, ASYNCSSH_DOES),
        (Case::Sessions, ASYNCSSH_DOES),
        (Case::Files, ASYNCSSH_DOES),
        (
            Case::Link,
            Differs(
                r#""$CLIENTS/venv/bin/python" "$SCRIPTS/asyncssh_client.py""#,
                ORDER,
            ),
        ),
        (Case::Directory, ASYNCSSH_DOES),
        (Case::OddName, ASYNCSSH_DOES),
        (Case::Keepalive, ASYNCSSH_DOES),
        (Case::Rekey, ASYNCSSH_DOES),
        (Case::Local, ASYNCSSH_DOES),
        (Case::LocalSocket, ASYNCSSH_DOES),
        (Case::Dynamic, ASYNCSSH_DOES),
        (Case::Reverse, ASYNCSSH_DOES),
        (Case::ReverseSocket, ASYNCSSH_DOES),
        (Case::Agent, ASYNCSSH_DOES),
        (Case::Display, ASYNCSSH_DOES),
    ],
};

const SSH2_DOES: Way = Same(r#"node "$SCRIPTS/ssh2_client.js""#);

pub(super) const SSH2: Client = Client {
    name: "ssh2 (npm)",
    prepare: r#"[ -d "$CLIENTS/node_modules/ssh2" ]"#,
    prelude: "",
    roads: &[Road::Plus],
    cells: &[
        (Case::Exec, SSH2_DOES),
        (Case::Signal, SSH2_DOES),
        (Case::Input, SSH2_DOES),
        (Case::Bulk, SSH2_DOES),
        (Case::Terminal, SSH2_DOES),
        (Case::Environment, SSH2_DOES),
        (Case::Sessions, SSH2_DOES),
        (Case::Files, SSH2_DOES),
        (
            Case::Link,
            Differs(r#"node "$SCRIPTS/ssh2_client.js""#, ORDER),
        ),
        (Case::Directory, SSH2_DOES),
        (Case::OddName, SSH2_DOES),
        (Case::Keepalive, SSH2_DOES),
        (Case::Local, SSH2_DOES),
        (Case::LocalSocket, SSH2_DOES),
        (Case::Reverse, SSH2_DOES),
        (Case::ReverseSocket, SSH2_DOES),
        (Case::Agent, SSH2_DOES),
        (Case::Display, SSH2_DOES),
    ],
};
