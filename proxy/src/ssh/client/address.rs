//! Where to, as an SSH user name says it: `login+target`, or `person+login+target`.
//!
//! One strict grammar, and nothing is guessed: what could be read in two ways is refused. Who
//! someone is never comes from here; a person's name in an address only has to agree with what was
//! proven.

use std::fmt;

use policies::name::NameError;
use policies::{Login, PrincipalName, TargetName};

/// The longest user name that is looked at, in bytes. The longest good one is shorter.
pub const ADDRESS_MAX: usize = 255;

/// The separator that is printed.
const SEPARATOR: char = '+';

/// Separators that are understood as well, because other bastions use them. Never printed: they
/// break `scp` (`:`) and some shells (`#`).
const FOREIGN_SEPARATORS: [char; 2] = [':', '#'];

/// What a user name asks for.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Address {
    /// Nothing but the bastion itself: a jump, or somebody who needs help.
    Bastion,
    /// A target.
    Target {
        /// Who they say they are, if they say it.
        person: Option<PrincipalName>,
        /// As whom.
        login: Login,
        /// Where.
        target: TargetName,
    },
}

/// Why a user name is no address.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
pub enum AddressError {
    /// Longer than [`ADDRESS_MAX`].
    #[error("the user name has {0} bytes; at most {ADDRESS_MAX} are allowed")]
    Long(usize),
    /// It holds a control character, or begins with `-`.
    #[error("the user name holds a character that none may hold")]
    Character,
    /// Two kinds of separators.
    #[error("the user name mixes separators; `login+target` is meant")]
    Mixed,
    /// More than three parts.
    #[error("the user name has {0} parts; `login+target` or `person+login+target` is meant")]
    Parts(usize),
    /// A part is not a name.
    #[error(transparent)]
    Name(#[from] NameError),
}

impl Address {
    /// Reads a user name.
    pub fn parse(user: &str) -> Result<Self, AddressError> {
        if user.len() > ADDRESS_MAX {
            return Err(AddressError::Long(user.len()));
        }
        if user.starts_with('-') || user.chars().any(|c| c.is_control() || is_format(c)) {
            return Err(AddressError::Character);
        }
        let mut separators = user.chars().filter(|c| is_separator(*c));
        let Some(separator) = separators.next() else {
            return Ok(Self::Bastion);
        };
        if separators.any(|other| other != separator) {
            return Err(AddressError::Mixed);
        }
        let parts = user.split(separator).collect::<Vec<_>>();
        match parts.as_slice() {
            [login, target] => Self::target(None, login, target),
            [person, login, target] => {
                Self::target(Some(PrincipalName::parse(person)?), login, target)
            }
            other => Err(AddressError::Parts(other.len())),
        }
    }

    /// What `ssh -J bastion login@target` asks for: the user name of the inner connection is the
    /// login alone, and the target is the host that the outer one was told to connect to.
    pub fn inside(user: &str, target: &TargetName) -> Result<Self, AddressError> {
        if user.len() > ADDRESS_MAX {
            return Err(AddressError::Long(user.len()));
        }
        Ok(Self::Target {
            person: None,
            login: Login::parse(user)?,
            target: target.clone(),
        })
    }

    fn target(
        person: Option<PrincipalName>,
        login: &str,
        target: &str,
    ) -> Result<Self, AddressError> {
        Ok(Self::Target {
            person,
            login: Login::parse(login)?,
            target: TargetName::parse(target)?,
        })
    }

    /// Whether it contradicts what was proven.
    pub fn names_someone_else(&self, proven: &PrincipalName) -> bool {
        match self {
            Self::Bastion | Self::Target { person: None, .. } => false,
            Self::Target {
                person: Some(named),
                ..
            } => named != proven,
        }
    }
}

impl fmt::Display for Address {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Bastion => Ok(()),
            Self::Target {
                person,
                login,
                target,
            } => {
                if let Some(person) = person {
                    write!(f, "{person}{SEPARATOR}")?;
                }
                write!(f, "{login}{SEPARATOR}{target}")
            }
        }
    }
}

fn is_separator(c: char) -> bool {
    c == SEPARATOR || FOREIGN_SEPARATORS.contains(&c)
}

/// Marks that are invisible or reorder text on a screen.
fn is_format(c: char) -> bool {
    matches!(c, '\u{200b}'..='\u{200f}' | '\u{202a}'..='\u{202e}' | '\u{2060}'..='\u{2069}' | '\u{feff}')
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;

    /// The address, printed; or why there is none.
    #[track_caller]
    fn check(user: &str, want: Result<&str, &str>) {
        let got = Address::parse(user).map(|address| address.to_string());
        let got = got.map_err(|refused| refused.to_string());
        match (&got, want) {
            (Ok(got), Ok(want)) => assert_eq!(got, want),
            (Err(got), Err(want)) => assert!(got.contains(want), "{user:?}: {got}"),
            _ => panic!("{user:?}: {got:?}, wanted {want:?}"),
        }
    }

    #[test]
    fn login_and_target_are_joined_by_a_plus() {
        check("deploy+web1", Ok("deploy+web1"));
        check("deploy+web1.eu", Ok("deploy+web1.eu"));
        check("alice+deploy+web1", Ok("alice+deploy+web1"));
        check("alice@corp+deploy+web1", Ok("alice@corp+deploy+web1"));
    }

    #[test]
    fn habits_from_elsewhere_are_understood_and_never_printed() {
        check("deploy:web1", Ok("deploy+web1"));
        check("alice#deploy#web1", Ok("alice+deploy+web1"));
    }

    #[test]
    fn no_separator_means_the_bastion_itself() {
        check("alice", Ok(""));
        check("", Ok(""));
        check("Anyone At All", Ok(""));
    }

    #[test]
    fn what_could_be_read_in_two_ways_is_refused() {
        check("deploy+web1:x", Err("mixes"));
        check("a+b+c+d", Err("4 parts"));
        check("deploy+", Err("empty"));
        check("+web1", Err("empty"));
        check("++", Err("empty"));
        check("deploy+Web1", Err("may not hold"));
        check("deploy+group/web1", Err("may not hold"));
    }

    #[test]
    fn what_must_not_reach_a_log_is_refused() {
        check("deploy+web1\0", Err("character"));
        check("\u{202e}deploy+web1", Err("character"));
        check("-oProxyCommand=x", Err("character"));
        check(&"a".repeat(256), Err("256 bytes"));
    }

    #[test]
    fn a_person_in_the_address_must_be_the_one_that_was_proven() {
        let alice = PrincipalName::parse("alice").unwrap();
        let says = |user| Address::parse(user).unwrap().names_someone_else(&alice);
        assert!(!says("deploy+web1"));
        assert!(!says("alice+deploy+web1"));
        assert!(says("bob+deploy+web1"));
    }

    #[test]
    fn inside_a_jump_the_user_name_is_the_login_and_nothing_else() {
        let web1 = TargetName::parse("web1").unwrap();
        assert_eq!(
            Address::inside("deploy", &web1).unwrap().to_string(),
            "deploy+web1"
        );
        assert!(Address::inside("deploy+web2", &web1).is_err());
        assert!(Address::inside("", &web1).is_err());
    }

    proptest! {
        #[test]
        fn no_text_makes_it_panic_and_what_is_printed_reads_the_same(user in ".{0,300}") {
            if let Ok(address @ Address::Target { .. }) = Address::parse(&user) {
                prop_assert_eq!(Address::parse(&address.to_string()).unwrap(), address);
            }
        }
    }
}
