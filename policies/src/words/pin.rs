//! Why something is no way to know a target by: for those who add one, before anything is added.

use std::fmt;

use super::Words;
use super::cli::Trouble;
use super::cli::usage::NO_PUBLIC_KEY;

/// What is wrong with what a target is to be known by.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum PinFault {
    /// It is no public key on one line.
    NoKey,
    /// It is a certificate, where the key belongs that it is about.
    Certificate,
    /// It is a key by which no server is believed.
    Kind {
        /// Which, as its line begins: `ssh-dss`.
        kind: String,
    },
    /// It is a key of RSA that is too short.
    Short {
        /// How many bits it has.
        bits: u32,
    },
    /// There is no certificate in a file of CAs.
    Empty,
    /// There is something else in it.
    Alien {
        /// What it says it is: `PRIVATE KEY`.
        label: String,
    },
    /// One of them cannot be read, or nobody can be known by it.
    Broken {
        /// Which: the first is 1.
        number: usize,
    },
    /// There is a mark of the order of bytes in it.
    Marked,
}

impl PinFault {
    /// For the API.
    pub(super) fn words(&self) -> Words {
        Words::new("TG581", self.to_string()).hint(self.advice())
    }

    /// For the command line, of a file that was named there.
    pub fn in_file(&self, path: &str) -> Trouble {
        let what = format!("nothing was added: no server can be known by {path}");
        Trouble::new(what, self.to_string(), self.advice()).coded(self.words().code)
    }

    fn advice(&self) -> &'static str {
        match self {
            Self::NoKey | Self::Certificate | Self::Kind { .. } | Self::Short { .. } => {
                "--host-key \"$(cat ssh_host_ed25519_key.pub)\", copied from /etc/ssh of the target, or --host-ca \"$(cat ca.pub)\""
            }
            Self::Empty | Self::Alien { .. } | Self::Broken { .. } | Self::Marked => {
                "--server-ca ca.crt   # certificates of CAs alone, in PEM: openssl x509 -in FILE -out ca.crt"
            }
        }
    }
}

impl fmt::Display for PinFault {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::NoKey => f.write_str(NO_PUBLIC_KEY),
            Self::Certificate => f.write_str(
                "it is a certificate, and the key itself is wanted, as a .pub file without -cert has it: ssh-ed25519 AAAA…",
            ),
            Self::Kind { kind } => write!(
                f,
                "no server is believed by a key of the kind {kind}; take one that begins like this: ssh-ed25519 AAAA…, ecdsa-sha2-nistp256 AAAA… or ssh-rsa AAAA…"
            ),
            Self::Short { bits } => write!(
                f,
                "an RSA key of {bits} bits is not believed, and 2048 are the least; better is one that begins like this: ssh-ed25519 AAAA…"
            ),
            Self::Empty => f.write_str(
                "there is no certificate in it; each begins with the line -----BEGIN CERTIFICATE-----",
            ),
            Self::Alien { label } => write!(
                f,
                "there is something else in it than certificates: -----BEGIN {label}-----"
            ),
            Self::Broken { number } => write!(
                f,
                "the certificate of number {number} in it cannot be read to its end"
            ),
            Self::Marked => f.write_str(
                "there is a byte order mark (U+FEFF) in it, as some editors write, and the certificate behind it would not be seen",
            ),
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn what_is_no_way_to_know_a_target_by_is_told_with_what_to_type() {
        let kind = "ssh-dss".to_owned();
        let label = "PRIVATE KEY".to_owned();
        let said = [
            PinFault::NoKey.words().to_string(),
            PinFault::Certificate.to_string(),
            PinFault::Kind { kind }.to_string(),
            PinFault::Short { bits: 1024 }.to_string(),
            PinFault::Empty.in_file("ca.pem").to_string(),
            PinFault::Alien { label }.words().to_string(),
            PinFault::Broken { number: 2 }.to_string(),
            PinFault::Marked.to_string(),
        ];
        insta::assert_snapshot!("pin", said.join("\n"));
    }
}
