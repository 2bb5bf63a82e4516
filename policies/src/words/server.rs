//! What is said to whoever sets up and starts a server: `TG701` to `TG719`.

use super::broker::Invalid;
use super::{Shown, Words};
use crate::PrincipalName;

/// Where a server's configuration is unless another directory is named.
pub const CONFIG_DIR: &str = "/etc/tidegate";

/// Why a server cannot be made or started.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Unstartable {
    /// `init` found a server.
    Initialised {
        /// What is there already.
        path: String,
    },
    /// The configuration has mistakes. They were shown one by one.
    Config {
        /// How many.
        mistakes: usize,
    },
    /// A port is in use.
    Taken {
        /// The address and port.
        address: String,
    },
    /// A port is reserved for root.
    Privileged {
        /// The address and port.
        address: String,
    },
    /// A file is not there.
    Missing {
        /// Which.
        path: String,
    },
    /// A file of a server that is there is gone, empty or damaged.
    Lost {
        /// Which.
        path: String,
    },
    /// Everybody on the machine may touch the file of the passphrase.
    Exposed {
        /// Which.
        path: String,
        /// Its permission bits.
        mode: u32,
    },
    /// A private key was given where a public one is wanted.
    PrivateKey {
        /// Which file.
        path: String,
    },
    /// The store cannot be used.
    Store {
        /// Why not.
        fault: StoreFault,
        /// What the operator needs to know.
        detail: String,
        /// The directory that it is in.
        dir: String,
    },
    /// The authority's keys cannot be used.
    Authority {
        /// What the operator needs to know.
        detail: String,
    },
    /// The authority's keys are somebody else's to read than the server's user.
    Unowned {
        /// What the operator needs to know.
        detail: String,
        /// The directory of the server's state.
        state_dir: String,
    },
    /// The policies in the store cannot be read by this version.
    Policies {
        /// What is wrong with them.
        invalid: Invalid,
        /// The directory of the server's state.
        state_dir: String,
    },
    /// The log of changes is not what the ledger says.
    Altered {
        /// What differs.
        detail: String,
        /// The directory of the server's state.
        state_dir: String,
    },
    /// The log of changes or the ledger cannot be read.
    Unread {
        /// What the operator needs to know.
        detail: String,
        /// The directory of the server's state.
        state_dir: String,
    },
    /// Something that has to be on disk cannot be read or written.
    Disk {
        /// What, and what the system said.
        detail: String,
    },
    /// Something else.
    Other {
        /// What the operator needs to know.
        detail: String,
    },
}

/// What is wrong with a store.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum StoreFault {
    /// Another process has it open.
    Taken,
    /// The system does not let us at it.
    Shut,
    /// A newer program wrote it.
    Newer,
    /// Somebody changed how it is made.
    Altered,
    /// It cannot be read, or is no store.
    Damaged,
}

fn keys_unused(detail: &str) -> Words {
    let what = format!("the authority's keys cannot be used: {detail}");
    Words::new("TG707", what)
}

impl Shown for Unstartable {
    fn words(&self) -> Words {
        match self {
            Self::Initialised { path } => Words::new(
                "TG701",
                format!("there is a server here already: `{path}` exists"),
            )
            .hint("tidegate serve"),
            Self::Config { mistakes } => {
                let what = match mistakes {
                    1 => "the configuration has a mistake".to_owned(),
                    many => format!("the configuration has {many} mistakes"),
                };
                Words::new("TG702", what).hint("tidegate check-config")
            }
            Self::Taken { address } => {
                Words::new("TG703", format!("somebody else listens on {address}"))
                    .hint(format!("ss -ltnp 'sport = :{}'", port(address)))
            }
            Self::Privileged { address } => {
                Words::new("TG704", format!("only root may listen on {address}")).hint(
                    "choose a port above 1023 in tidegate.toml; systemd allows lower ones by AmbientCapabilities=CAP_NET_BIND_SERVICE",
                )
            }
            Self::Missing { path } => {
                Words::new("TG705", format!("`{path}` is not there")).hint("tidegate init --help")
            }
            Self::Store { fault, detail, dir } => {
                Words::new("TG706", format!("the store cannot be used: {detail}"))
                    .hint(to_use(*fault, dir))
            }
            Self::Authority { detail } => keys_unused(detail).hint(
                "see [authority] in tidegate.toml; passphrase and keys belong together: restore both from one \
                 backup, and do not run init, whose new keys no target trusts",
            ),
            Self::Unowned { detail, state_dir } => keys_unused(detail).hint(format!(
                "give them to the user that the server runs as, with all that was restored beside them:  chown -R USER: {state_dir}"
            )),
            Self::PrivateKey { path } => {
                Words::new("TG710", format!("`{path}` is not a public key")).hint(format!(
                    "name the public half, often:  tidegate init --admin NAME --admin-key {path}.pub"
                ))
            }
            Self::Lost { path } => {
                Words::new("TG709", format!("`{path}` is gone, empty or damaged")).hint(format!(
                    "restore `{path}` from your backup, and do not run init, whose new keys no target trusts"
                ))
            }
            Self::Exposed { path, mode } => exposed(path, *mode),
            Self::Policies { invalid, state_dir } => unreadable(invalid, state_dir),
            Self::Altered { detail, state_dir } => altered(detail, state_dir),
            Self::Unread { detail, state_dir } => unread(detail, state_dir),
            Self::Disk { detail } => in_the_way(
                detail,
                "see that what it names is there, belongs to the user that the server runs as, and has room: ls -ld, df -h and df -i",
            ),
            Self::Other { detail } => in_the_way(detail, "tidegate serve --log debug   (says more)"),
        }
    }
}

fn in_the_way(detail: &str, hint: &str) -> Words {
    Words::new("TG708", detail).hint(hint)
}

fn exposed(path: &str, mode: u32) -> Words {
    let what = format!(
        "everybody on this machine can touch `{path}` (mode {mode:04o}), which opens the authority's keys"
    );
    Words::new("TG713", what).hint(format!("chmod o= {path}"))
}

fn unread(detail: &str, state_dir: &str) -> Words {
    Words::new("TG714", detail).hint(format!(
        "look at the disk: `df {state_dir}`; then `tidegate audit verify --server-state-dir {state_dir}`"
    ))
}

/// The time zone stays what it is unless one is given: another moves every rule about hours and weekdays.
fn unreadable(invalid: &Invalid, state_dir: &str) -> Words {
    let detail = invalid.words().what;
    let what = format!("this version cannot read the policies that are in force: {detail}");
    let zone = if let Invalid::Zone { .. } = invalid {
        " --zone ZONE"
    } else {
        ""
    };
    let apply = format!("tidegate policy apply DIR{zone} --server-state-dir {state_dir}");
    Words::new("TG711", what).hint(apply)
}

fn to_use(fault: StoreFault, dir: &str) -> String {
    match fault {
        StoreFault::Taken => {
            "one server at a time: see which one runs with `pgrep -a tidegate`".to_owned()
        }
        StoreFault::Shut => {
            format!("see whose it is and whether there is room: `ls -la {dir}`, `df {dir}`")
        }
        StoreFault::Newer => {
            "install the tidegate that wrote it; going back to this one is a restore of a backup that it made".to_owned()
        }
        StoreFault::Altered => format!(
            "keep a copy of {dir}, look at who can write there, and restore all of it from your backup"
        ),
        StoreFault::Damaged => format!(
            "look at the disk: `df {dir}`, `dmesg`; if the file is damaged, keep a copy of {dir} and restore all of it \
             from your backup"
        ),
    }
}

fn altered(detail: &str, state_dir: &str) -> Words {
    let what = format!("the log of changes was altered beside the ledger: {detail}");
    Words::new("TG712", what).hint(format!(
        "keep a copy of {state_dir}; see `tidegate audit verify --server-state-dir {state_dir}`; restore all of it \
         from your backup, or, if you have none, `tidegate serve --believe-log`, once, and look at who may do what"
    ))
}

/// The same, with the directory of the configuration in each command of the server that it names: typed without
/// it, a command is about the server in `/etc/tidegate`.
#[must_use]
pub fn naming(config_dir: &str, advice: &str) -> String {
    if config_dir == CONFIG_DIR {
        return advice.to_owned();
    }
    let mut advice = advice.to_owned();
    for verb in ["tidegate serve", "tidegate check-config"] {
        let mut parts = advice.split(verb);
        let mut named = parts.next().unwrap_or_default().to_owned();
        for rest in parts {
            named.push_str(verb);
            if !rest.starts_with(" --config-dir") {
                named.push_str(" --config-dir ");
                named.push_str(config_dir);
            }
            named.push_str(rest);
        }
        advice = named;
    }
    advice
}

fn port(address: &str) -> &str {
    address.rsplit_once(':').map_or(address, |(_, port)| port)
}

/// A server was made.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Initialised {
    /// The configuration file.
    pub config: String,
    /// The directory it is in.
    pub config_dir: String,
    /// The fingerprint of the CA that signs the server's own certificate.
    pub fingerprint: String,
    /// Where people log in.
    pub bastion: String,
    /// The first administrator.
    pub admin: PrincipalName,
    /// The passphrase of the authority's keys.
    pub passphrase: String,
}

impl std::fmt::Display for Initialised {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        let Self {
            config,
            config_dir,
            fingerprint,
            bastion,
            admin,
            passphrase,
        } = self;
        writeln!(f, "made a server: {config}; {admin} administers it")?;
        writeln!(
            f,
            "back it up, also while it runs, and the passphrase somewhere else:"
        )?;
        writeln!(f, "  {}", naming_backup(config_dir))?;
        writeln!(f, "  passphrase: {passphrase}")?;
        writeln!(f, "its fingerprint: {fingerprint}")?;
        writeln!(f, "start it:")?;
        writeln!(f, "  tidegate serve --config-dir {config_dir}")?;
        writeln!(f, "then, as {admin}:")?;
        writeln!(
            f,
            "  tidegate login --bastion {bastion} --ca-fingerprint {fingerprint}"
        )?;
        write!(
            f,
            "  tidegate target add ssh web1 --addr 192.0.2.7:22 --login deploy --label env=dev"
        )
    }
}

fn naming_backup(config_dir: &str) -> String {
    if config_dir == CONFIG_DIR {
        return "tidegate backup DIR".to_owned();
    }
    format!("tidegate backup DIR --config-dir {config_dir}")
}

/// A server was backed up.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct BackedUp {
    /// Where the backup is.
    pub dir: String,
    /// The directory of the server's state.
    pub state_dir: String,
    /// Where its recordings are.
    pub recordings: String,
    /// Where the passphrase of the authority's keys comes from.
    pub passphrase: String,
}

impl BackedUp {
    /// What is said of it. `last` and `head` are the end of the audit log in it.
    pub fn said(&self, last: u64, head: &str) -> String {
        let Self {
            dir,
            state_dir,
            recordings,
            passphrase,
        } = self;
        format!(
            "backed up to {dir}: store, authority, configuration; the audit log in it is what was written, to line {last}:{head}\n\
             not in it, to be kept elsewhere:\n  \
             passphrase  {passphrase}\n  \
             recordings  {recordings}/ses_*.rec, each of which never changes again\n\
             to restore it: stop the server, move all of {state_dir} away, put the backup in its place, then\n  \
             tidegate audit verify --server-state-dir {state_dir}"
        )
    }
}

/// There is no directory of credentials.
pub fn no_credentials(variable: &str, name: &str) -> String {
    format!("${variable} is not set: systemd sets it where LoadCredential={name} is")
}

/// What a command did that should have printed a passphrase.
pub fn of_command(command: &str, why: &str) -> String {
    format!("`{command}` {why}")
}

/// It gave up.
pub fn ended_with(status: &dyn std::fmt::Display) -> String {
    format!("ended with {status}")
}

/// Bytes.
pub const PRINTED_NO_TEXT: &str = "printed something that is no text";

/// Recordings begin in a directory that was bare.
pub fn made_anew(dir: &dyn std::fmt::Display) -> String {
    format!("{dir} was empty or not there, and there were sessions before: is its disk mounted?")
}

/// No setting is read again.
pub const NO_RELOAD: &str =
    "no setting is read again while it runs: tidegate check-config, then restart it";

/// A passphrase that a command prints.
pub fn printed_by(command: &str) -> String {
    format!("what `{command}` prints")
}

/// A passphrase that systemd hands over.
pub fn credential(name: &str) -> String {
    format!("the systemd credential {name}")
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_zone_is_asked_for_only_where_the_one_in_force_cannot_be_read() {
        let hint = |invalid| {
            let state_dir = "/var/lib/tidegate".to_owned();
            let words = Unstartable::Policies { invalid, state_dir }.words();
            words.hint.unwrap()
        };
        let mistakes = vec!["access.cedar:1:1: no".to_owned()];
        assert_eq!(
            hint(Invalid::Policies { mistakes }),
            "tidegate policy apply DIR --server-state-dir /var/lib/tidegate"
        );
        let name = "Europe/Nowhere".to_owned();
        assert_eq!(
            hint(Invalid::Zone { name }),
            "tidegate policy apply DIR --zone ZONE --server-state-dir /var/lib/tidegate"
        );
    }
}
