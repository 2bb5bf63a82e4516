//! The rows: what is tried with each client.

/// One thing that people do over SSH.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Case {
    Exec,
    Signal,
    Input,
    Bulk,
    Terminal,
    Environment,
    Sessions,
    Files,
    Link,
    Directory,
    OddName,
    Keepalive,
    Rekey,
    Local,
    LocalSocket,
    Dynamic,
    Reverse,
    ReverseSocket,
    Netcat,
    Agent,
    Display,
    NoMore,
}

/// What a case is.
#[derive(Debug, Clone, Copy)]
pub(super) struct Told {
    /// Its name for scripts, `$CASE`.
    pub(super) word: &'static str,
    /// Its name for people.
    pub(super) title: &'static str,
    /// What is run at the target, `$REMOTE`, where something is.
    pub(super) remote: &'static str,
    /// What the direct run has to write to its output, or comparing would prove nothing.
    pub(super) proof: &'static str,
}

/// Every case, in the order of the table in `docs/clients.md`.
pub(super) const CASES: &[(Case, Told)] = &[
    (
        Case::Exec,
        Told {
            word: "exec",
            title: "a command: output, errors apart, exit status",
            remote: "echo here; echo aside >&2; exit 3",
            proof: "here\n",
        },
    ),
    (
        Case::Signal,
        Told {
            word: "signal",
            title: "a command that a signal ends",
            remote: "echo before; kill -TERM $$",
            proof: "before\n",
        },
    ),
    (
        Case::Input,
        Told {
            word: "input",
            title: "input that ends while output goes on",
            remote: "cat; sleep 0.2; echo end",
            proof: "one\ntwo\nend\n",
        },
    ),
    (
        Case::Bulk,
        Told {
            word: "bulk",
            title: "8 MiB of anything, there and back",
            remote: "cat",
            proof: "whole\n",
        },
    ),
    (
        Case::Terminal,
        Told {
            word: "terminal",
            title: "a terminal and its changes of size",
            remote: "stty size; trap 'stty size; exit 5' WINCH; touch $FAR/ready; \
                     while :; do sleep 0.05; done",
            proof: "33 99\r\n44 111\r\n",
        },
    ),
    (
        Case::Environment,
        Told {
            word: "environment",
            title: "environment (`LANG`, `LC_*`)",
            remote: "echo \"[$LC_MATRIX]\"",
            proof: "[passes]\n",
        },
    ),
    (
        Case::Sessions,
        Told {
            word: "sessions",
            title: "many sessions in one connection",
            remote: "echo",
            proof: "30 of 30\n",
        },
    ),
    (
        Case::Files,
        Told {
            word: "files",
            title: "files: put, get, list, rename, directory",
            remote: "",
            proof: "renamed",
        },
    ),
    (
        Case::Link,
        Told {
            word: "link",
            title: "a symbolic link",
            remote: "",
            proof: "renamed",
        },
    ),
    (
        Case::Directory,
        Told {
            word: "directory",
            title: "2,000 files in a directory",
            remote: "",
            proof: "2000\n",
        },
    ),
    (
        Case::OddName,
        Told {
            word: "oddname",
            title: "a file with an odd name",
            remote: "",
            proof: "whole\n",
        },
    ),
    (
        Case::Keepalive,
        Told {
            word: "keepalive",
            title: "keepalives while nothing happens",
            remote: "sleep 6; echo alive",
            proof: "alive\n",
        },
    ),
    (
        Case::Rekey,
        Told {
            word: "rekey",
            title: "new keys every few hundred KiB",
            remote: "cat",
            proof: "whole\n",
        },
    ),
    (
        Case::Local,
        Told {
            word: "local",
            title: "`-L`, where policy permits",
            remote: "",
            proof: "welcome\nhello\n",
        },
    ),
    (
        Case::LocalSocket,
        Told {
            word: "localsocket",
            title: "`-L` to a Unix socket, where policy permits",
            remote: "",
            proof: "welcome\nhello\n",
        },
    ),
    (
        Case::Dynamic,
        Told {
            word: "dynamic",
            title: "`-D`, where policy permits",
            remote: "",
            proof: "a page\n",
        },
    ),
    (
        Case::Reverse,
        Told {
            word: "reverse",
            title: "`-R`, where policy permits",
            remote: "",
            proof: "welcome\nhello\n",
        },
    ),
    (
        Case::ReverseSocket,
        Told {
            word: "reversesocket",
            title: "`-R` of a Unix socket, where policy permits",
            remote: "",
            proof: "a page\n",
        },
    ),
    (
        Case::Netcat,
        Told {
            word: "netcat",
            title: "`-W`, where policy permits",
            remote: "",
            proof: "welcome\nhello\n",
        },
    ),
    (
        Case::Agent,
        Told {
            word: "agent",
            title: "agent, where policy permits",
            remote: "ssh-add -l",
            proof: "SHA256:",
        },
    ),
    (
        Case::Display,
        Told {
            word: "display",
            title: "X11, where policy permits",
            remote: "bash $TOOLS/draw",
            proof: "greeting\n",
        },
    ),
    (
        Case::NoMore,
        Told {
            word: "nomore",
            title: "`no-more-sessions`, and one more",
            remote: "echo first",
            proof: "first\n",
        },
    ),
];

impl Case {
    /// What it is.
    pub(super) fn told(self) -> &'static Told {
        let found = CASES.iter().find(|(case, _)| *case == self);
        &found.expect("every case is told").1
    }
}
