//! What each kind of certificate may be at most: who signs it, how long it lives, what it permits.
//!
//! The ceilings are constants on purpose: no setting makes a certificate live longer than this.

use std::net::IpAddr;

use jiff::SignedDuration;
use policies::is_plain_line;

use crate::IssueError;
use crate::intent::{Contents, Extension, Purpose};
use crate::keys::KeyName;
use crate::window::{BACKDATING, Window};

/// How long a certificate for a target lives at most: long enough to open one connection.
pub const PASS_LIFETIME_MAX: SignedDuration = SignedDuration::from_mins(5);

/// How long the certificate lives with which a cut backend is looked for.
pub const HALT_LIFETIME: SignedDuration = SignedDuration::from_secs(60);

/// How long the certificate lives with which a role is made or removed. It opens a connection to each
/// database in which that role left something.
pub(crate) const ROLES_LIFETIME: SignedDuration = SignedDuration::from_secs(60);

/// How long the certificate lives with which is looked whether a target lets us in.
pub const TRIAL_LIFETIME: SignedDuration = SignedDuration::from_secs(60);

/// How long a person's own certificates live at most.
pub const LOGIN_LIFETIME_MAX: SignedDuration = SignedDuration::from_hours(24);

/// How long the bastion's own certificates live at most.
pub const HOST_LIFETIME_MAX: SignedDuration = SignedDuration::from_hours(24 * 90);

/// What a person's SSH certificate permits: a terminal, and jumping to a target (`ssh -J`).
pub(crate) const LOGIN_EXTENSIONS: [Extension; 2] =
    [Extension::PermitPty, Extension::PermitPortForwarding];

/// How long the command may be that a certificate has run.
const COMMAND_MAX: usize = 512;

/// How many names a certificate of the bastion may carry.
pub const HOST_NAMES_MAX: usize = 64;

/// The ceilings of one purpose.
#[derive(Debug, Clone, Copy)]
pub(crate) struct Profile {
    /// Who signs.
    pub(crate) signer: KeyName,
    /// From now to the end, at most.
    lifetime_max: SignedDuration,
    /// What an SSH certificate may permit.
    extensions: &'static [Extension],
    /// Whether its names are names of hosts, or accounts.
    names: Names,
    /// Whether it has one command run, and nothing else.
    commanded: bool,
}

#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Names {
    Account,
    Hosts,
}

impl Profile {
    /// The profile of a purpose.
    pub(crate) const fn of(purpose: Purpose) -> Self {
        match purpose {
            Purpose::SshPass => Self {
                extensions: &Extension::ALL,
                ..Self::client(KeyName::SshUserCa, PASS_LIFETIME_MAX)
            },
            Purpose::SshHop => Self {
                extensions: &[Extension::PermitPortForwarding],
                ..Self::client(KeyName::SshUserCa, PASS_LIFETIME_MAX)
            },
            Purpose::PostgresPass => Self::client(KeyName::X509TargetCa, PASS_LIFETIME_MAX),
            Purpose::Halt => Self::client(KeyName::X509TargetCa, HALT_LIFETIME),
            Purpose::Roles => Self::client(KeyName::X509TargetCa, ROLES_LIFETIME),
            Purpose::Accounts => Self {
                commanded: true,
                ..Self::client(KeyName::SshUserCa, ROLES_LIFETIME)
            },
            Purpose::SshTrial => Self::client(KeyName::SshUserCa, TRIAL_LIFETIME),
            Purpose::PostgresTrial => Self::client(KeyName::X509TargetCa, TRIAL_LIFETIME),
            Purpose::SshLogin => Self {
                extensions: &LOGIN_EXTENSIONS,
                ..Self::client(KeyName::SshLoginCa, LOGIN_LIFETIME_MAX)
            },
            Purpose::X509Login => Self::client(KeyName::X509LoginCa, LOGIN_LIFETIME_MAX),
            Purpose::Host => Self::own(KeyName::SshHostCa),
            Purpose::Server => Self::own(KeyName::X509LoginCa),
        }
    }

    const fn client(signer: KeyName, lifetime_max: SignedDuration) -> Self {
        Self {
            signer,
            lifetime_max,
            extensions: &[],
            names: Names::Account,
            commanded: false,
        }
    }

    const fn own(signer: KeyName) -> Self {
        Self {
            signer,
            lifetime_max: HOST_LIFETIME_MAX,
            extensions: &[],
            names: Names::Hosts,
            commanded: false,
        }
    }

    /// Whether the profile allows this window and these contents.
    pub(crate) fn allows(&self, window: &Window, contents: &Contents) -> Result<(), IssueError> {
        // A start that was rounded down may add up to a second before `now`, never after it.
        let length_max = self
            .lifetime_max
            .checked_add(BACKDATING)
            .and_then(|longest| longest.checked_add(SignedDuration::from_secs(1)));
        if length_max.is_none_or(|longest| window.length() > longest) {
            return Err(IssueError::Lifetime {
                max: self.lifetime_max,
            });
        }
        match contents {
            Contents::Ssh {
                principals,
                source_address,
                force_command,
                extensions,
            } => {
                self.allows_command(force_command.as_deref())?;
                let odd = extensions.iter().find(|one| !self.extensions.contains(one));
                if let Some(extension) = odd {
                    return Err(IssueError::Extension(*extension));
                }
                let hosts = self.names == Names::Hosts;
                if hosts && source_address.is_some() {
                    return Err(IssueError::SourceAddress);
                }
                self.allows_names(principals)
            }
            Contents::X509 {
                common_name, names, ..
            } => match self.names {
                Names::Account => {
                    names.is_empty().then_some(()).ok_or(IssueError::Names)?;
                    self.allows_names(std::slice::from_ref(common_name))
                }
                Names::Hosts => {
                    let plain = |name: &&String| !is_below_own(name, names);
                    let plain: Vec<String> = names.iter().filter(plain).cloned().collect();
                    // Each of its own names may have one wildcard below it.
                    (names.len() <= plain.len().saturating_mul(2))
                        .then_some(())
                        .ok_or(IssueError::Names)?;
                    self.allows_names(&plain)
                }
            },
        }
    }

    /// What has a command run has exactly one, and a shell reads in it nothing but words; nothing else
    /// has one.
    fn allows_command(&self, command: Option<&str>) -> Result<(), IssueError> {
        let good = match command {
            Some(command) => {
                self.commanded && command.len() <= COMMAND_MAX && is_plain_line(command)
            }
            None => !self.commanded,
        };
        good.then_some(()).ok_or(IssueError::Command)
    }

    /// No principal may be empty, hold a comma (which separates them in `authorized_keys` and in
    /// what people type), a wildcard or anything that is not plain ASCII.
    fn allows_names(&self, names: &[String]) -> Result<(), IssueError> {
        let all_good = match self.names {
            Names::Account => names.len() == 1 && names.iter().all(|name| is_account(name)),
            Names::Hosts => {
                (1..=HOST_NAMES_MAX).contains(&names.len())
                    && names.iter().all(|name| is_host(name))
            }
        };
        all_good.then_some(()).ok_or(IssueError::Names)
    }
}

/// What `policies` lets through as a login or a principal; checked again here because here is
/// where it becomes authority.
fn is_account(name: &str) -> bool {
    let plain = |c: char| c.is_ascii_alphanumeric() || matches!(c, '.' | '_' | '-' | '@' | '$');
    (1..=64).contains(&name.len()) && !name.starts_with('-') && name.chars().all(plain)
}

/// Whether this is `*.pg.NAME`, the names under which clients of PostgreSQL call the targets of a bastion
/// that is called `NAME` by the same certificate. There is no other wildcard.
fn is_below_own(name: &str, names: &[String]) -> bool {
    let own = name.strip_prefix("*.pg.");
    own.is_some_and(|own| {
        own.parse::<IpAddr>().is_err() && is_host(own) && names.iter().any(|name| name == own)
    })
}

/// Whether a certificate of the bastion may carry this name: a host name or an address, without wildcards.
pub fn is_host(name: &str) -> bool {
    let plain = |c: char| c.is_ascii_alphanumeric() || matches!(c, '.' | '_' | '-');
    let named =
        (1..=253).contains(&name.len()) && !name.starts_with(['-', '.']) && name.chars().all(plain);
    named || name.parse::<IpAddr>().is_ok()
}

#[cfg(test)]
mod tests {
    use jiff::Timestamp;

    use super::*;

    fn at(text: &str) -> Timestamp {
        text.parse().unwrap()
    }

    #[test]
    fn every_lifetime_has_a_ceiling() {
        let now = at("2026-01-01T00:00:00.5Z");
        let account = Contents::X509 {
            common_name: "app_ro".into(),
            unit: None,
            user_id: None,
            names: Vec::new(),
        };
        let check = |purpose, seconds, good: bool| {
            let window = Window::new(now, SignedDuration::from_secs(seconds), None).unwrap();
            let allowed = Profile::of(purpose).allows(&window, &account);
            assert_eq!(allowed.is_ok(), good, "{purpose:?} {seconds}");
        };
        check(Purpose::PostgresPass, 300, true);
        check(Purpose::PostgresPass, 302, false);
        check(Purpose::Halt, 60, true);
        check(Purpose::Halt, 62, false);
        check(Purpose::X509Login, 24 * 3600, true);
        check(Purpose::X509Login, 24 * 3600 + 2, false);
    }

    #[test]
    fn accounts_hold_no_commas_wildcards_or_controls() {
        for good in ["deploy", "app_ro", "alice@corp", "a$b", "A.b-c"] {
            assert!(is_account(good), "{good}");
        }
        for bad in [
            "", "a,b", "*", "a*", "a?", "!a", "a b", "a\n", "-a", "a/b", "ä", "a=b", "a\0",
        ] {
            assert!(!is_account(bad), "{bad:?}");
        }
    }

    #[test]
    fn hosts_are_names_or_addresses() {
        for good in ["web1", "web1.example", "127.0.0.1", "::1", "2001:db8::1"] {
            assert!(is_host(good), "{good}");
        }
        for bad in [
            "",
            "*",
            "*.example",
            "a,b",
            "-a",
            ".a",
            "a b",
            "a:1",
            "[::1]",
        ] {
            assert!(!is_host(bad), "{bad:?}");
        }
    }

    #[test]
    fn a_certificate_has_exactly_one_account() {
        let profile = Profile::of(Purpose::SshPass);
        assert!(profile.allows_names(&[]).is_err());
        assert!(profile.allows_names(&["a".into(), "b".into()]).is_err());
        assert!(profile.allows_names(&["a".into()]).is_ok());
    }

    #[test]
    fn only_the_certificate_that_makes_accounts_has_a_command_and_that_is_words() {
        let now = at("2026-01-01T00:00:00Z");
        let window = Window::new(now, TRIAL_LIFETIME, None).unwrap();
        let check = |purpose, command: Option<&str>, good: bool| {
            let contents = Contents::Ssh {
                principals: vec!["root".into()],
                source_address: None,
                force_command: command.map(str::to_owned),
                extensions: [].into(),
            };
            let allowed = Profile::of(purpose).allows(&window, &contents);
            assert_eq!(allowed.is_ok(), good, "{purpose:?} {command:?}");
        };
        check(Purpose::Accounts, Some("/x/tidegate-target list"), true);
        check(Purpose::Accounts, None, false);
        for bad in ["", "/x;id", "/x $(id)", "/x\nid", "/x 'a'", "/x > y"] {
            check(Purpose::Accounts, Some(bad), false);
        }
        check(Purpose::Accounts, Some(&"x".repeat(513)), false);
        for other in [Purpose::SshPass, Purpose::SshHop, Purpose::SshTrial] {
            check(other, Some("/x"), false);
            check(other, None, true);
        }
    }

    #[test]
    fn a_login_certificate_cannot_lend_an_agent() {
        let now = at("2026-01-01T00:00:00Z");
        let window = Window::new(now, LOGIN_LIFETIME_MAX, None).unwrap();
        let contents = Contents::Ssh {
            principals: vec!["alice".into()],
            source_address: None,
            force_command: None,
            extensions: [Extension::PermitAgentForwarding].into(),
        };
        let refused = Profile::of(Purpose::SshLogin).allows(&window, &contents);
        assert!(matches!(
            refused,
            Err(IssueError::Extension(Extension::PermitAgentForwarding))
        ));
    }
}
