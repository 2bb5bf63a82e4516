//! A target that is a tidegate itself: people are let through to it, and log in there with what is their
//! own (`docs/decisions/0037-a-chain-of-bastions.md`).

use crate::{Algorithms, Endpoint, Entry, HostKeyPin, Target};

/// The one login of a target that is a bastion. It is no account: whoever holds a grant for it is let through,
/// and who they are there is for that bastion to say.
pub const BASTION_LOGIN: &str = "jump";

impl Target {
    /// Whether it is a bastion, to which people are let through.
    pub fn is_bastion(&self) -> bool {
        self.entry() == Entry::Bastion
    }

    /// Whether a bastion is described as one can be: known by its own keys, with the one login that stands
    /// for going through, and without anything that is done there by tidegate.
    ///
    /// Not by a CA: which key a bastion shows to somebody is seen in passing, and whether a certificate is meant
    /// for it could be asked only by going there.
    pub fn bastion_is_sound(&self) -> bool {
        let Endpoint::Ssh(ssh) = &self.endpoint else {
            return false;
        };
        let known = matches!(&ssh.host_key, HostKeyPin::Keys { keys } if !keys.is_empty());
        let login = self.logins.iter().map(crate::Login::as_str);
        known
            && ssh.keeper.is_none()
            && ssh.algorithms == Algorithms::Modern
            && login.eq([BASTION_LOGIN])
    }
}
