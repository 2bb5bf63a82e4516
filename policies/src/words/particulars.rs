//! What is said about a target that is described otherwise: where it is, by what it is known, as whom it is entered,
//! its labels.

use super::Words;
use super::cli::Trouble;
use crate::{Entry, Protocol, TargetName};

/// Somebody else changed it since it was looked at.
pub(super) fn overtaken(name: &TargetName) -> Words {
    Words::new(
        "TG582",
        format!("somebody else changed `{name}` meanwhile, so nothing of this was done"),
    )
    .hint(format!(
        "see what it is by now, then type it again:  tidegate target show {name};  tidegate audit ls"
    ))
}

/// What is new of it was looked at and is not so.
pub(super) fn unproven(name: &TargetName, found: &str, hint: Option<&str>) -> Words {
    let hint = hint.map_or_else(|| format!("tidegate target show {name}"), str::to_owned);
    Words::new("TG583", format!("`{name}` stays what it was: {found}")).hint(hint)
}

/// What is kept for it was sealed for what it was.
pub(super) fn kept_for_another(name: &TargetName, entry: Entry) -> Words {
    let flag = match entry {
        Entry::Key => "--vault-key FILE",
        Entry::Password | Entry::Certificate | Entry::Bastion => {
            "--vault-password (or --password-file FILE)"
        }
    };
    let what = format!(
        "the {} that is kept for `{name}` is sealed for its address, host key and logins, and has to be given again with them",
        entry.as_str()
    );
    Words::new("TG584", what).hint(format!("the same command with  {flag}"))
}

/// How whoever looks after a machine reads there by what it is known.
pub(super) fn console(protocol: Protocol) -> &'static str {
    match protocol {
        Protocol::Ssh => "ssh-keygen -lf /etc/ssh/ssh_host_ed25519_key.pub",
        Protocol::Postgres => "openssl x509 -in server.crt -outform DER | sha256sum",
    }
}

/// The flag that names what a target is known by from here on, with what stands for it.
pub(super) fn flag(protocol: Protocol) -> &'static str {
    match protocol {
        Protocol::Ssh => "--host-key SHA256:…",
        Protocol::Postgres => "--server-cert-sha256 HEX",
    }
}

/// Nothing that could be changed was given.
pub fn nothing_given(name: &str) -> Trouble {
    Trouble::new(
        format!("cannot change {name}"),
        "nothing was given that it is to be",
        format!(
            "tidegate target set {name} --label KEY=VALUE   (or --no-label KEY, --login NAME, --addr HOST:PORT, --host-key SHA256:…, \
             --server-cert-sha256 HEX, --vault-key FILE, --vault-password or --password-file FILE)"
        ),
    )
}

/// It is all of it already.
pub fn same(name: &str) -> Trouble {
    Trouble::new(
        format!("cannot change {name}"),
        "it is all that already",
        format!("tidegate target show {name}"),
    )
}

/// A flag is about another kind of target.
pub fn other_kind(name: &str, protocol: Protocol) -> Trouble {
    let (is, takes) = match protocol {
        Protocol::Ssh => ("an SSH server", "one --addr, --host-key or --host-ca"),
        Protocol::Postgres => (
            "a PostgreSQL database",
            "--addr, --server-cert-sha256, --server-ca or --server-name",
        ),
    };
    Trouble::new(
        format!("cannot change {name}"),
        format!("it is {is}, which takes {takes}"),
        "tidegate target set --help",
    )
}

/// There are not as many certificates as hosts.
pub fn one_each(name: &str, hosts: usize, given: usize) -> Trouble {
    Trouble::new(
        format!("cannot change {name}"),
        format!(
            "it has {hosts} hosts, and --server-cert-sha256 names {given}: each has its own, in their order"
        ),
        format!("see what they are now:  tidegate target show {name} -o json"),
    )
}

/// A server shows something else than what is pinned, or than what was given: both, and what to type once somebody
/// has compared.
#[derive(Debug, Clone)]
pub struct Sighting<'a> {
    /// Which target.
    pub name: &'a str,
    /// What it speaks.
    pub protocol: Protocol,
    /// What is pinned, one a line.
    pub pinned: &'a [String],
    /// What is shown, one a line.
    pub shown: &'a [String],
    /// The command that pins what is shown.
    pub command: &'a str,
}

impl Sighting<'_> {
    /// Nobody has said that it is right.
    pub fn unconfirmed(&self) -> Trouble {
        self.because("what it is to be known by was not given")
    }

    /// What was given is something else.
    pub fn otherwise(&self, given: &str) -> Trouble {
        self.because(&format!("it does not show {given}"))
    }

    fn because(&self, why: &str) -> Trouble {
        let (name, console) = (self.name, console(self.protocol));
        let list = |lines: &[String]| lines.join("\n         ");
        Trouble::new(
            format!("{name} stays what it was"),
            format!(
                "{why}\n  pinned {}\n  shown  {}",
                list(self.pinned),
                list(self.shown)
            ),
            format!(
                "on the machine's own console, not over the network:  {console}   Only if that says what is shown here, and it was changed on purpose:\n       {}",
                self.command
            ),
        )
    }
}

/// It shows what is pinned.
pub fn shows_what_is_pinned(name: &str, pinned: &[String]) -> Trouble {
    Trouble::new(
        format!("{name} stays what it was"),
        format!(
            "it shows what is pinned, so there is nothing to change:\n  {}",
            pinned.join("\n  ")
        ),
        format!("tidegate target test {name}"),
    )
}

/// A part of what a target is.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Part {
    /// Where it is.
    Address,
    /// By what it is known.
    Proof,
    /// As whom it is entered.
    Logins,
    /// What policies read.
    Labels,
}

impl Part {
    /// All of them, in the order in which they are told.
    pub const ALL: [Self; 4] = [Self::Address, Self::Proof, Self::Logins, Self::Labels];

    /// What it was, and what it is to be.
    pub fn line(self, was: &str, becomes: &str) -> String {
        let part = match self {
            Self::Address => "address ",
            Self::Proof => "known by",
            Self::Logins => "logins  ",
            Self::Labels => "labels  ",
        };
        let [was, becomes] = [was, becomes].map(|text| if text.is_empty() { "none" } else { text });
        format!("  {part}  {was} → {becomes}")
    }
}

/// What ends by a change, where something does.
#[derive(Debug, Clone, Copy, Default)]
pub struct Ends<'a> {
    /// Nothing ties the new place to the old one.
    pub is_another: bool,
    /// Logins that are gone.
    pub logins: &'a [String],
    /// Targets that are reached as one of those.
    pub stranded: &'a [String],
}

/// The command that pins what a host shows: a host key or certificates, under the flag of those.
pub fn pinning(name: &str, addrs: &[String], (flag, prints): (&str, &str)) -> String {
    let moved = match addrs {
        [] => String::new(),
        some => format!(" --addr {}", some.join(",")),
    };
    format!("tidegate target set {name}{moved} {flag} {prints}")
}

/// Asked before something ends by a change.
pub fn question(name: &str, lines: &[String], ends: Ends<'_>) -> String {
    let mut said = vec![format!("{name}:")];
    said.extend(lines.iter().cloned());
    if !ends.stranded.is_empty() {
        let stranded = ends.stranded.join(", ");
        said.push(format!(
            "nobody gets to {stranded} any more through {name} as they did: their sessions are cut as well"
        ));
    }
    said.push(if ends.is_another {
        format!(
            "neither an address nor a key stays, so nothing says that this is the machine that people were granted: \
             change it, end every grant and request for {name}, and cut their sessions? [yes/no] "
        )
    } else if ends.logins.is_empty() {
        "change it? [yes/no] ".to_owned()
    } else {
        format!(
            "change it, end the grants and requests for {}, and cut their sessions? [yes/no] ",
            ends.logins.join(", ")
        )
    });
    said.join("\n")
}

/// After it was changed, and so many sessions were cut with it. How many the policies end by what they see now is not
/// known yet.
pub fn done(name: &str, lines: &[String], cut: usize) -> String {
    let cut = match cut {
        0 => String::new(),
        1 => "1 session is cut with it; ".to_owned(),
        some => format!("{some} sessions are cut with it; "),
    };
    format!(
        "changed {name}; {cut}sessions that the policies allow go on where they are\n{}\n  tidegate target test {name}",
        lines.join("\n")
    )
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn what_is_said_of_a_target_that_changes() {
        let name = TargetName::parse("web1").expect("a name");
        let own = ["ssh-ed25519 SHA256:old".to_owned()];
        let other = ["ssh-ed25519 SHA256:new".to_owned()];
        let shown = Sighting {
            name: "web1",
            protocol: Protocol::Ssh,
            pinned: &own,
            shown: &other,
            command: "tidegate target set web1 --host-key SHA256:new",
        };
        let logins = ["root".to_owned()];
        let stranded = ["db1".to_owned()];
        let lines = [
            Part::Address.line("web1:22", "web2:22"),
            Part::Labels.line("", "env=prod"),
        ];
        let struck = Ends {
            logins: &logins,
            stranded: &stranded,
            ..Ends::default()
        };
        let another = Ends {
            is_another: true,
            ..Ends::default()
        };
        let said = [
            overtaken(&name).to_string(),
            unproven(&name, "nothing listens there", None).to_string(),
            kept_for_another(&name, Entry::Password).to_string(),
            kept_for_another(&name, Entry::Key).to_string(),
            nothing_given("web1").to_string(),
            same("web1").to_string(),
            other_kind("web1", Protocol::Ssh).to_string(),
            other_kind("orders", Protocol::Postgres).to_string(),
            one_each("orders", 2, 1).to_string(),
            shown.unconfirmed().to_string(),
            shown.otherwise("SHA256:odd").to_string(),
            shows_what_is_pinned("web1", &["ssh-ed25519 SHA256:…".to_owned()]).to_string(),
            question("web1", &lines, struck),
            question("web1", &lines, another),
            done("web1", &lines, 0),
            done("web1", &lines, 2),
        ];
        insta::assert_snapshot!("particulars", said.join("\n"));
    }
}
