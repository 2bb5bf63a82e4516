//! Why the server cannot be made or started, and what to do about it.

use std::io;
use std::net::SocketAddr;
use std::path::{Path, PathBuf};

use control::store::OpenError;
use control::{BrokerError, StartError};
use policies::Diagnosis;
use policies::words::broker::Invalid;
use policies::words::server::{StoreFault, Unstartable};
use policies::words::{Shown, Words};

use crate::session::chain;

/// Why the server cannot be made or started.
#[derive(Debug, thiserror::Error)]
pub enum Failure {
    /// There is a server here already.
    #[error("`{}` exists", path.display())]
    Initialised {
        /// What is there.
        path: PathBuf,
    },
    /// A file cannot be read.
    #[error("read `{}`", path.display())]
    Read {
        /// Which.
        path: PathBuf,
        /// What the system said.
        source: io::Error,
    },
    /// A file or directory cannot be written.
    #[error("write `{}`", path.display())]
    Write {
        /// Which.
        path: PathBuf,
        /// What the system said.
        source: io::Error,
    },
    /// A file cannot be copied.
    #[error("copy `{}` to `{}`", from.display(), to.display())]
    Copy {
        /// Which.
        from: PathBuf,
        /// Where to.
        to: PathBuf,
        /// What the system said.
        source: io::Error,
    },
    /// What was copied cannot be read to prove it.
    #[error("prove `{}`", path.display())]
    Unproven {
        /// Which store.
        path: PathBuf,
        /// Why.
        source: control::store::StoreError,
    },
    /// A file without which the authority's keys cannot be opened is not there.
    #[error("read `{}`", path.display())]
    Lost {
        /// Which.
        path: PathBuf,
    },
    /// Everybody on the machine may touch the file of the passphrase.
    #[error("`{}` is open to everybody (mode {mode:04o})", path.display())]
    Exposed {
        /// Which.
        path: PathBuf,
        /// Its permission bits.
        mode: u32,
    },
    /// The private half was given where the public one is wanted.
    #[error("`{}` is a private key", path.display())]
    PrivateKey {
        /// Which.
        path: PathBuf,
    },
    /// The administrator's key is none.
    #[error("read the administrator's key")]
    Key(Invalid),
    /// The configuration has mistakes.
    #[error("the configuration has mistakes")]
    Config(Vec<Diagnosis>),
    /// The shipped policies are broken.
    #[error("the shipped policies are broken")]
    Library,
    /// The passphrase of the authority's keys cannot be got.
    #[error("get the passphrase of the authority's keys: {0}")]
    Passphrase(String),
    /// The authority's keys cannot be made.
    #[error("make the authority's keys")]
    CreateAuthority(#[source] ca::CreateError),
    /// The authority's keys cannot be opened.
    #[error("open the authority's keys")]
    OpenAuthority(#[source] ca::OpenError),
    /// A certificate for the server itself cannot be made.
    #[error("make the server's own certificate")]
    Identity(#[source] ca::IssueError),
    /// The store cannot be opened.
    #[error("open the store")]
    Store(#[source] OpenError),
    /// The first entry of the log cannot be written.
    #[error("write the first administrator and the policies")]
    Bootstrap(#[source] BrokerError),
    /// The broker does not start with what is in the store.
    #[error("use what is in `{}`", state_dir.display())]
    Stored {
        /// The directory of the server's state.
        state_dir: PathBuf,
        /// What is wrong.
        source: StartError,
    },
    /// The policies in the store cannot be used.
    #[error("check the policies in `{}`", state_dir.display())]
    Policies {
        /// The directory of the server's state.
        state_dir: PathBuf,
        /// What is wrong.
        source: BrokerError,
    },
    /// The recordings' directory cannot be used.
    #[error("open the recordings")]
    Recorder(#[source] recorder::DirError),
    /// What the last run left cannot be sealed.
    #[error("seal the recordings that the last run left")]
    Recover(#[source] io::Error),
    /// An address cannot be listened on.
    #[error("listen on {address} for {protocol}")]
    Listen {
        /// Where.
        address: SocketAddr,
        /// For what.
        protocol: &'static str,
        /// What the system said.
        source: io::Error,
    },
    /// TLS cannot be set up.
    #[error("set up TLS")]
    Tls(#[source] rustls::Error),
    /// Clients' certificates cannot be verified.
    #[error("set up the check of clients' certificates")]
    Verifier(#[source] rustls::server::VerifierBuilderError),
    /// PostgreSQL's TLS cannot be set up.
    #[error("set up TLS for PostgreSQL")]
    Anchor(#[source] crate::postgres::AnchorError),
    /// Something that has to go on beside the sessions has ended.
    #[error("something that has to go on beside the sessions has ended")]
    Upkeep,
    /// The control plane gets no threads.
    #[error("start the threads of the control plane")]
    Threads(#[source] io::Error),
    /// Signals cannot be waited for.
    #[error("wait for signals")]
    Signal(#[source] io::Error),
}

impl Failure {
    /// What the user reads. The configuration's mistakes are shown by themselves, before.
    pub fn words(&self) -> Words {
        let detail = chain(self);
        match self {
            Self::Initialised { path } => Unstartable::Initialised {
                path: path.display().to_string(),
            },
            Self::Config(mistakes) => Unstartable::Config {
                mistakes: mistakes.len(),
            },
            Self::Key(invalid) => return invalid.words(),
            Self::PrivateKey { path } => Unstartable::PrivateKey {
                path: path.display().to_string(),
            },
            Self::Exposed { path, mode } => Unstartable::Exposed {
                path: path.display().to_string(),
                mode: *mode,
            },
            Self::Lost { path } => Unstartable::Lost {
                path: path.display().to_string(),
            },
            Self::OpenAuthority(source) => unopened(source, detail),
            Self::Listen {
                address, source, ..
            } => deaf(address.to_string(), source, detail),
            Self::Read { path, source } if source.kind() == io::ErrorKind::NotFound => {
                Unstartable::Missing {
                    path: path.display().to_string(),
                }
            }
            Self::Store(source) => unusable(source, detail),
            Self::Stored { state_dir, source } => stored(state_dir, source, detail),
            Self::Policies { state_dir, source } => policies(state_dir, source, detail),
            Self::Passphrase(_) => Unstartable::Authority { detail },
            Self::Read { .. }
            | Self::Write { .. }
            | Self::Copy { .. }
            | Self::CreateAuthority(_)
            | Self::Recorder(_)
            | Self::Recover(_) => Unstartable::Disk { detail },
            Self::Unproven { .. }
            | Self::Library
            | Self::Identity(_)
            | Self::Bootstrap(_)
            | Self::Tls(_)
            | Self::Verifier(_)
            | Self::Anchor(_)
            | Self::Upkeep
            | Self::Threads(_)
            | Self::Signal(_) => Unstartable::Other { detail },
        }
        .words()
    }

    /// The mistakes of the configuration, if that is what is wrong.
    pub fn mistakes(&self) -> &[Diagnosis] {
        if let Self::Config(mistakes) = self {
            return mistakes;
        }
        &[]
    }
}

/// Why the authority's keys cannot be opened.
fn unopened(source: &ca::OpenError, detail: String) -> Unstartable {
    match source {
        ca::OpenError::Format { path } => Unstartable::Lost {
            path: path.display().to_string(),
        },
        ca::OpenError::Read { path, source } if source.kind() == io::ErrorKind::NotFound => {
            Unstartable::Lost {
                path: path.display().to_string(),
            }
        }
        ca::OpenError::Read { path, source }
            if source.kind() == io::ErrorKind::PermissionDenied =>
        {
            let state_dir = path.ancestors().nth(2).unwrap_or(path);
            Unstartable::Unowned {
                detail,
                state_dir: state_dir.display().to_string(),
            }
        }
        ca::OpenError::Read { .. }
        | ca::OpenError::Exposed { .. }
        | ca::OpenError::Plain { .. }
        | ca::OpenError::Passphrase { .. }
        | ca::OpenError::Kind { .. }
        | ca::OpenError::Certificate { .. } => Unstartable::Authority { detail },
    }
}

/// Why an address cannot be listened on.
fn deaf(address: String, source: &io::Error, detail: String) -> Unstartable {
    if source.kind() == io::ErrorKind::AddrInUse {
        return Unstartable::Taken { address };
    }
    if source.kind() == io::ErrorKind::PermissionDenied {
        return Unstartable::Privileged { address };
    }
    Unstartable::Other { detail }
}

fn stored(state_dir: &Path, source: &StartError, detail: String) -> Unstartable {
    let state_dir = state_dir.display().to_string();
    match source {
        StartError::Policies(invalid) => Unstartable::Policies {
            invalid: invalid.clone(),
            state_dir,
        },
        StartError::Altered(fault) => Unstartable::Altered {
            detail: fault.to_string(),
            state_dir,
        },
        StartError::Log(_) | StartError::Ledger(_) | StartError::Ahead(_) => {
            Unstartable::Unread { detail, state_dir }
        }
    }
}

fn policies(state_dir: &Path, source: &BrokerError, detail: String) -> Unstartable {
    let state_dir = state_dir.display().to_string();
    if let BrokerError::Invalid(invalid) = source {
        let invalid = invalid.clone();
        return Unstartable::Policies { invalid, state_dir };
    }
    Unstartable::Unread { detail, state_dir }
}

/// Why the store cannot be opened.
fn unusable(source: &OpenError, detail: String) -> Unstartable {
    let (fault, path) = match source {
        OpenError::Taken { path } => (StoreFault::Taken, path),
        OpenError::File { path, .. } => (StoreFault::Shut, path),
        OpenError::Newer { path, .. } => (StoreFault::Newer, path),
        OpenError::Altered { path, .. } => (StoreFault::Altered, path),
        OpenError::Database { path, .. } | OpenError::Tip { path, .. } => {
            (StoreFault::Damaged, path)
        }
    };
    let dir = path.parent().unwrap_or(path).display().to_string();
    Unstartable::Store { fault, detail, dir }
}

#[cfg(test)]
mod tests {
    use control::store::StoreError;

    use super::*;

    #[test]
    fn keys_of_somebody_else_are_given_to_the_servers_user() {
        let read = |kind: io::ErrorKind| {
            let path = PathBuf::from("/srv/tg/authority/user_ca");
            let source = kind.into();
            Failure::OpenAuthority(ca::OpenError::Read { path, source }).words()
        };
        let unowned = read(io::ErrorKind::PermissionDenied);
        assert_eq!(unowned.code, "TG707");
        assert!(unowned.hint.unwrap().ends_with("chown -R USER: /srv/tg"));
        assert!(
            read(io::ErrorKind::Other)
                .hint
                .unwrap()
                .contains("restore both")
        );
    }

    #[test]
    fn what_to_do_about_a_store_is_about_what_is_wrong_with_it() {
        let path = || PathBuf::from("/srv/tg/store.sqlite");
        let what = "trigger `t`".to_owned();
        let source = || io::ErrorKind::PermissionDenied.into();
        let cases = [
            (OpenError::Taken { path: path() }, "pgrep"),
            (
                OpenError::File {
                    path: path(),
                    source: source(),
                },
                "ls -la /srv/tg`",
            ),
            (
                OpenError::Newer {
                    path: path(),
                    found: 2,
                },
                "install the tidegate",
            ),
            (
                OpenError::Altered { path: path(), what },
                "keep a copy of /srv/tg,",
            ),
            (
                OpenError::Tip {
                    path: path(),
                    source: StoreError::Silent,
                },
                "dmesg",
            ),
        ];
        for (refused, sign) in cases {
            let words = Failure::Store(refused).words();
            let hint = words.hint.unwrap();
            assert_eq!(words.code, "TG706");
            assert!(hint.contains(sign), "{hint}");
            let server = hint.contains("pgrep");
            assert_eq!(server, sign == "pgrep", "{hint}");
        }
    }
}
