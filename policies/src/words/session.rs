//! Why a target could not be had, and what was not seen to end there, in words: `TG401` to `TG411`, `TG415` to `TG419`.

use std::fmt;

use super::cli::doctor::exchange;
use super::postgres::TlsFault;
use super::reach::Summary;
use super::{Shown, Words};
use crate::{Entry, SessionAttrs, TargetName};

/// Why a session that was allowed did not come about.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Unreachable {
    /// Its name has no address.
    Unresolved,
    /// Nobody answers at any of the target's addresses.
    Down(Summary),
    /// A target in front of it did not let us through.
    Behind(InFront),
    /// No connection to it was there any more.
    Lost,
    /// It was reached, and said nothing in time.
    Silent,
    /// It was reached, and broke off.
    Broken,
    /// Another machine answers there than the one we know.
    Impostor,
    /// There is no TLS with it.
    Handshake(TlsFault),
    /// The target does not accept our certificate.
    Refused,
    /// It is a database, and refuses us.
    RefusedAt(RefusedBy),
    /// The target lets nobody in just now: it is full, begins or stops.
    Busy,
    /// The target does not accept the key or password that is kept for it.
    Outworn(Entry),
    /// The target sent text that cannot be read.
    Unreadable,
    /// The target speaks none of the algorithms that are spoken with it.
    NoAlgorithm,
    /// The target does not speak its protocol.
    Nonsense,
    /// No certificate could be made.
    NoCertificate,
    /// None of its hosts is such as sessions are for.
    Unsuited(SessionAttrs),
    /// The database did not take the grant's own role.
    NoRole,
    /// It is a bastion, at which nobody logs in from here.
    OnlyThrough,
    /// It is a bastion, and what is to be carried there is no SSH connection.
    NotSsh,
}

/// What of a database server's settings refuses us.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum RefusedBy {
    /// Its `pg_hba.conf` has it ask for another proof than the certificate.
    Method,
    /// It does not know tidegate's CA.
    Authority,
    /// Its clock, by which the certificate has ended or not begun.
    Clock,
    /// One of the lines for this.
    Lines,
    /// Something else than what tidegate shows.
    Otherwise(Sqlstate),
}

/// What a database server calls an error (`src/backend/utils/errcodes.txt`).
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Sqlstate([u8; 5]);

impl Sqlstate {
    /// That of what a server said, where that begins with one.
    pub fn of(said: &str) -> Option<Self> {
        let (state, _message) = said.split_once(':')?;
        let state = <[u8; 5]>::try_from(state.as_bytes()).ok()?;
        let is_one = |byte: &u8| byte.is_ascii_uppercase() || byte.is_ascii_digit();
        state.iter().all(is_one).then_some(Self(state))
    }

    /// Whether it is about a password that is not the right one.
    pub fn is_wrong_password(self) -> bool {
        self.0 == *b"28P01"
    }

    /// Whether it is about what whoever comes has shown, or the lines for them.
    fn is_about_proof(self) -> bool {
        self.0.starts_with(b"28")
    }
}

impl fmt::Display for Sqlstate {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(&String::from_utf8_lossy(&self.0))
    }
}

/// Whether an alert of TLS says that a certificate has ended, or has not begun (`ssl_x509err2alert` in OpenSSL's
/// `ssl/statem/statem_lib.c`).
pub(in crate::words) fn is_about_time(said: &str) -> bool {
    ["TLS alert CertificateExpired", "TLS alert BadCertificate"].contains(&said)
}

impl RefusedBy {
    /// What it is, by what the server says to who comes with a certificate: what it asks for (`asks_for`), an alert
    /// of TLS, or an error.
    pub fn of(said: &str) -> Self {
        if said.starts_with("it asks for") {
            Self::Method
        } else if is_about_time(said) {
            Self::Clock
        } else if said.starts_with("TLS") {
            Self::Authority
        } else {
            let state = Sqlstate::of(said).filter(|state| !state.is_about_proof());
            state.map_or(Self::Lines, Self::Otherwise)
        }
    }

    fn words(self, target: &TargetName) -> Words {
        let (what, look) = match self {
            Self::Otherwise(state) => {
                let what = format!("refuses the session: SQLSTATE {state}");
                return shut(
                    target,
                    &what,
                    format!(
                        "that is not about what tidegate shows; ask an administrator to run: tidegate target test {target}"
                    ),
                );
            }
            Self::Method => (
                "asks for a password, not for tidegate's certificate",
                "in its pg_hba.conf whether the line `hostssl … cert map=tidegate` is missing or stands below another that fits",
            ),
            Self::Authority => (
                "does not accept tidegate's certificate",
                "whether `ssl_ca_file` in its postgresql.conf names tidegate's CA",
            ),
            Self::Clock => (
                "does not accept tidegate's certificate",
                "whether its clock is right, as the certificate holds for a few minutes",
            ),
            Self::Lines => (
                "does not accept tidegate's certificate",
                "for the line `hostssl … cert map=tidegate` in its pg_hba.conf, above others that fit, and for `tidegate …` in pg_ident.conf",
            ),
        };
        unaccepted(target, what, look)
    }
}

/// What a target in front of another one did.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum InFront {
    /// It does not answer.
    Down,
    /// Another machine answers there.
    Impostor,
    /// It does not accept our certificate.
    Refused,
    /// It does not connect onward.
    Onward,
    /// It broke off.
    Broken,
}

impl InFront {
    fn fact(self) -> &'static str {
        match self {
            Self::Down => "does not answer",
            Self::Impostor => "is not the one that was added",
            Self::Refused => "does not accept tidegate's certificate",
            Self::Onward => "does not connect to it",
            Self::Broken => "broke off",
        }
    }
}

/// The code for a session that ended because one side broke its protocol.
pub const VIOLATION: &str = "TG406";

/// A session that its client, or we, gave up before it began.
pub fn abandoned() -> Words {
    Words::new("TG407", "the session was given up before it began").hint("connect once more")
}

/// A session that nobody ended: what ran it in tidegate broke.
pub fn dropped() -> Words {
    Words::new("TG418", "tidegate failed while the session went on").hint("connect once more")
}

/// Work of a session that was cut was not seen to stop at its target. For whoever reads about the session.
pub fn unhalted() -> Words {
    Words::new(
        "TG417",
        "what was running at the target when the session ended was not seen to stop",
    )
    .hint("look there whether it goes on: select * from pg_stat_activity")
}

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
            Unreachable::Unresolved => down(target, ": its name has no address"),
            Unreachable::Down(summary) => down(target, &format!(" {summary}")),
            Unreachable::Lost => down(target, ""),
            Unreachable::Silent => met(target, "said nothing in time"),
            Unreachable::Broken => met(target, "broke the connection off"),
            Unreachable::Behind(front) => Words::new(
                "TG408",
                format!("`{target}` is reached through another target, which {}: nothing was sent to `{target}`", front.fact()),
            )
            .hint(format!("ask an administrator to run: tidegate target test {target}")),
            Unreachable::Impostor => impostor(target),
            Unreachable::Handshake(fault) => failed(target, fault.fact()),
            Unreachable::Refused => unaccepted(
                target,
                "does not accept tidegate's certificate",
                "whether the account exists and `TrustedUserCAKeys /etc/ssh/tidegate_ca.pub` and `PubkeyAuthentication yes` stand in \
                 its sshd_config; where its log says that the certificate is not for this address, `egress` in tidegate.toml is not \
                 what it sees",
            ),
            Unreachable::RefusedAt(by) => by.words(target),
            Unreachable::Busy => Words::new(
                "TG416",
                format!("`{target}` lets nobody in just now: it has no room for one more, is starting, or is being stopped"),
            )
            .hint(format!("try again in a while, or ask an administrator to run: tidegate target test {target}")),
            Unreachable::Outworn(entry) => Words::new(
                "TG410",
                format!("`{target}` does not accept the standing credential that is kept for it"),
            )
            .hint(format!("an administrator gives another one: {}", exchange(target.as_str(), entry))),
            Unreachable::Unreadable => Words::new(
                "TG415",
                format!("`{target}` sends text that is not UTF-8, such as a banner, before it lets anybody in"),
            )
            .hint("an administrator writes its banner in UTF-8 or takes it out: `Banner` in its sshd_config, often /etc/issue.net"),
            Unreachable::Nonsense => failed(target, "broke off in the middle of logging in"),
            Unreachable::NoAlgorithm => failed(target, "speaks none of the algorithms that tidegate speaks with it"),
            Unreachable::NoCertificate => Words::new("TG405", format!("no certificate for `{target}` could be made"))
                .hint("ask an administrator to run: tidegate doctor"),
            Unreachable::Unsuited(wanted) => Words::new(
                "TG411",
                format!("`{target}` has no host for `{wanted}` sessions just now: nothing was run"),
            )
            .hint(format!("try again when it has failed over, or ask an administrator to run: tidegate target test {target}")),
            Unreachable::OnlyThrough => super::transit::only_through(target),
            Unreachable::NotSsh => super::transit::not_ssh(target),
            Unreachable::NoRole => Words::new(
                "TG409",
                format!("`{target}` did not take a role or account for this grant, so nobody was let in"),
            )
            .hint("ask an administrator to run: tidegate doctor"),
        }
    }
}

/// What answers is not it.
fn impostor(target: &TargetName) -> Words {
    Words::new(
        "TG402",
        format!("what answers at the address of `{target}` is not `{target}`: nothing was sent to it"),
    )
    .hint(format!(
        "ask an administrator to run: tidegate target test {target};  if it was made anew on purpose, they give its new key or \
         certificate: tidegate target set {target}"
    ))
}

/// It lets nobody in with what tidegate shows.
fn unaccepted(target: &TargetName, what: &str, look: &str) -> Words {
    let hint = format!("an administrator looks {look}: tidegate target test {target}");
    shut(target, what, hint)
}

/// It was reached, and lets nobody in.
fn shut(target: &TargetName, what: &str, hint: String) -> Words {
    Words::new("TG403", format!("`{target}` {what}")).hint(hint)
}

/// It was reached, and logging in came to nothing.
fn failed(target: &TargetName, what: &str) -> Words {
    Words::new("TG404", format!("`{target}` {what}")).hint(format!(
        "ask an administrator to run: tidegate target test {target}"
    ))
}

/// Somebody is there and does not let us get as far as logging in.
fn met(target: &TargetName, what: &str) -> Words {
    Words::new("TG419", format!("`{target}` was reached, and {what}")).hint(format!(
        "ask an administrator to run: tidegate target test {target}"
    ))
}

/// Nobody answers, and how that was seen.
fn down(target: &TargetName, how: &str) -> Words {
    Words::new("TG401", format!("`{target}` does not answer{how}")).hint(format!(
        "ask an administrator to run: tidegate target test {target}"
    ))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_worn_out_credential_is_exchanged_for_one_of_its_kind() {
        let target = TargetName::parse("switch1").unwrap();
        let hint = |entry| {
            let why = Unreachable::Outworn(entry);
            let missed = Missed {
                why,
                target: &target,
            };
            missed.words().hint.unwrap()
        };
        assert!(hint(Entry::Key).ends_with("set switch1 --vault-key FILE"));
        assert!(hint(Entry::Password).ends_with("set switch1 --vault-password"));
    }

    #[test]
    fn whom_a_database_refuses_hears_of_databases() {
        let target = TargetName::parse("orders").unwrap();
        let heard = |said: &str| {
            let why = Unreachable::RefusedAt(RefusedBy::of(said));
            let missed = Missed {
                why,
                target: &target,
            };
            missed.words().to_string()
        };
        let said = [
            heard(crate::words::target::asks_for(10, false)),
            heard("TLS alert UnknownCA"),
            heard("28000: certificate authentication failed for user \"app_ro\""),
            heard("TLS alert CertificateExpired"),
            heard("3D000: database \"hr\" does not exist"),
            heard("42501: permission denied for database \"hr\""),
        ];
        insta::assert_snapshot!("refused_by_a_database", said.join("\n"));
    }
}
