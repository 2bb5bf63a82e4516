//! Why a target could not be had, in words: `TG401` to `TG409`.

use super::{Shown, Words};
use crate::TargetName;

/// Why a session that was allowed did not come about.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Unreachable {
    /// Nobody answers at the target's address, or the connection to it broke.
    Down,
    /// Another machine answers there than the one we know.
    Impostor,
    /// The target does not accept our certificate.
    Refused,
    /// The target does not speak its protocol.
    Nonsense,
    /// No certificate could be made.
    NoCertificate,
    /// The database did not take the grant's own role.
    NoRole,
}

/// The code for a session that ended because one side broke its protocol.
pub const VIOLATION: &str = "TG406";

/// The code for a session that its client gave up before it began.
pub const ABANDONED: &str = "TG407";

/// An unreachable target, by its name.
#[derive(Debug, Clone, Copy)]
pub struct Missed<'a> {
    /// Why.
    pub why: Unreachable,
    /// Which.
    pub target: &'a TargetName,
}

impl Shown for Missed<'_> {
    fn words(&self) -> Words {
        let target = self.target;
        match self.why {
            Unreachable::Down => Words::new("TG401", format!("`{target}` does not answer"))
                .hint(format!("tidegate target test {target}")),
            Unreachable::Impostor => Words::new(
                "TG402",
                format!("what answers at the address of `{target}` is not `{target}`: nothing was sent to it"),
            )
            .hint(format!("ask an administrator to run: tidegate target test {target}")),
            Unreachable::Refused => Words::new("TG403", format!("`{target}` does not accept tidegate's certificate"))
                .hint(format!(
                    "an administrator looks whether the account exists and `TrustedUserCAKeys /etc/ssh/tidegate_ca.pub` \
                     and `PubkeyAuthentication yes` stand in its sshd_config: tidegate target test {target}"
                )),
            Unreachable::Nonsense => Words::new("TG404", format!("`{target}` broke off in the middle of logging in"))
                .hint(format!("tidegate target test {target}")),
            Unreachable::NoCertificate => Words::new("TG405", format!("no certificate for `{target}` could be made"))
                .hint("tidegate doctor"),
            Unreachable::NoRole => Words::new(
                "TG408",
                format!("`{target}` did not take a role for this grant, so nobody was let in"),
            )
            .hint("ask an administrator to run: tidegate doctor"),
        }
    }
}
