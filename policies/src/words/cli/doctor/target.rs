//! What is said of a target that was looked at: whether it answers, is the one that was added, and lets tidegate in;
//! and why it was not entered.
//!
//! What a server shows that is not the one is in `host.rs`, what its roles may do in `powers.rs`.

use super::{Finding, bad, good};
use crate::words::host_key::HostKeyFault;
use crate::words::postgres::TlsFault;
use crate::words::session::is_about_time;
use crate::words::target::{SaslFault, asks_for};
use crate::{Algorithms, Entry, Protocol};

/// A target answers and is the one that was added.
pub fn target_good(target: &str) -> Finding {
    good(
        format!("target {target}"),
        "it answers, proves to be the one that was added, and lets tidegate in as each login",
    )
}

/// The same, and what opens it does not end by itself.
pub fn target_standing(target: &str, entry: Entry, since: &str) -> Finding {
    Finding {
        found: format!(
            "it answers, proves to be the one that was added, and lets tidegate in; standing credential: a {} \
             that does not end by itself, kept since {since}",
            entry.as_str()
        ),
        hint: Some(format!(
            "exchange it now and then:  {}",
            exchange(target, entry)
        )),
        ..target_good(target)
    }
}

/// What opens a target was sealed for its name alone: it would go along to another address.
pub fn target_kept_by_name(target: &str, entry: Entry) -> Finding {
    bad(
        format!("target {target}"),
        format!(
            "it lets tidegate in; the {} that is kept for it was sealed by an older version, for its name and not for its \
             address, host key and logins",
            entry.as_str()
        ),
        format!("give it again:  {}", exchange(target, entry)),
    )
}

/// What is kept for a target cannot be opened.
pub fn target_unopened(target: &str, entry: Entry) -> Finding {
    bad(
        format!("target {target}"),
        format!(
            "it answers; the {} that is kept for it cannot be opened: it was sealed for another address, host key or login",
            entry.as_str()
        ),
        format!("give it again:  {}", exchange(target, entry)),
    )
}

/// How a standing credential is exchanged.
pub(in crate::words) fn exchange(target: &str, entry: Entry) -> String {
    match entry {
        Entry::Key => format!("tidegate target set {target} --vault-key FILE"),
        Entry::Password | Entry::Certificate | Entry::Bastion => {
            format!("tidegate target set {target} --vault-password")
        }
    }
}

/// A target that is entered with a standing credential does not let us in. `said` is what it said to the first of
/// `logins`.
pub fn target_outworn(target: &str, entry: Entry, logins: &[&str], said: &str) -> Finding {
    // Of a database only this is about the password (`src/backend/utils/errcodes.txt` of PostgreSQL).
    let is_of_another_thing = entry == Entry::Password
        && said.split(':').next().is_some_and(|state| state.len() == 5)
        && !said.starts_with("28P01");
    let hint = if is_of_another_thing {
        format!(
            "that is not about the password;  tidegate target show {target}   prints its line of pg_hba.conf"
        )
    } else if is_other_method(said) {
        "its line in pg_hba.conf has to say scram-sha-256, and the password has to be set there with password_encryption = \
         'scram-sha-256'"
            .to_owned()
    } else {
        exchange(target, entry)
    };
    bad(
        format!("target {target}"),
        format!(
            "it is the one that was added, and does not accept the {} that is kept for it as {}: {said}",
            entry.as_str(),
            logins.join(", ")
        ),
        hint,
    )
}

/// Whether a server goes by something else than a password that is proven by SCRAM: another one would not help.
fn is_other_method(said: &str) -> bool {
    let others = [
        asks_for(3, true),
        asks_for(5, true),
        SaslFault::Unasked.sentence(),
        SaslFault::Mechanism.sentence(),
    ];
    others.contains(&said)
}

/// Nothing was looked at, for without the store no certificate is made.
pub fn targets_unlooked(count: usize) -> Finding {
    bad(
        "targets",
        format!(
            "not looked at ({count} of them): while the store does not answer, no certificate is made to go in with"
        ),
        "what the row `store` says first",
    )
}

/// There was no time left to look at a target.
pub fn target_unlooked(target: &str) -> Finding {
    bad(
        format!("target {target}"),
        "it was not looked at in time: it, or others before it, took too long",
        format!("tidegate target test {target}"),
    )
}

/// A target does not answer.
pub fn target_down(target: &str, found: &str) -> Finding {
    bad(
        format!("target {target}"),
        format!("it does not answer: {found}"),
        format!("tidegate target show {target}   and see whether it runs there"),
    )
}

/// No way leads to a target through those in front of it.
pub fn target_wayless(target: &str, why: &str) -> Finding {
    bad(
        format!("target {target}"),
        format!("nobody gets to it: {why}"),
        format!(
            "tidegate target show {target}   names what it stands behind: test that one, or add it again where it was removed; \
             to take another way, remove {target} and add it with another --jump"
        ),
    )
}

/// A target takes the connection and does not say who it is.
pub fn target_mute(target: &str, protocol: Protocol, found: &str) -> Finding {
    let hint = match protocol {
        Protocol::Ssh => {
            "look there whether its sshd hangs, or turns this address away (MaxStartups, PerSourcePenalties, a list of those \
             who may come); its own log says why:  journalctl -u ssh"
        }
        Protocol::Postgres => "look there whether the server hangs; its own log says why",
    };
    bad(format!("target {target}"), found, hint)
}

/// Something else answers at a target's address.
pub fn target_odd(target: &str, found: &str) -> Finding {
    bad(
        format!("target {target}"),
        found,
        format!(
            "see what listens at its address, or turns tidegate away there:  tidegate target show {target}"
        ),
    )
}

/// Why a target was not entered, though it answers.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Unentered {
    /// It does not let us in.
    Refused {
        /// What it said, one sentence; for those who manage targets.
        said: String,
    },
    /// It is not the one that was added.
    Impostor {
        /// How that is known; for those who manage targets.
        why: String,
    },
    /// It is an SSH server, and is not the one that was added.
    Unproven(HostKeyFault),
    /// A target in front of it did not let us through.
    Wayless {
        /// Which, and why; for those who manage targets.
        why: String,
    },
    /// It speaks none of the algorithms that are spoken with it.
    NoAlgorithm(Algorithms),
    /// There is no TLS with it.
    Handshake(TlsFault),
    /// It broke off.
    Down,
    /// No certificate could be made.
    Unissued,
}

/// A target answers and does not let us in. `said` is what it said to the first of `logins`.
pub fn target_shut(target: &str, protocol: Protocol, logins: &[&str], said: &str) -> Finding {
    let first = logins.first().copied().unwrap_or("LOGIN");
    let cause = match protocol {
        Protocol::Ssh => format!(
            "see whether `TrustedUserCAKeys /etc/ssh/tidegate_ca.pub` and `PubkeyAuthentication yes` stand in \
             its sshd_config, and the account exists, is not locked (`passwd -S {first}`) and is let in by \
             AllowUsers; its own log says why:  journalctl -u ssh"
        ),
        Protocol::Postgres => shut_database(first, said),
    };
    bad(
        format!("target {target}"),
        format!(
            "it is the one that was added, and does not let tidegate in as {}: {said}",
            logins.join(", ")
        ),
        format!("{cause};  tidegate target show {target}  prints the lines"),
    )
}

/// Which line of a database server is to blame for what it said: where it goes by a password, or by anything
/// else than the certificate ("Ident authentication failed", `auth_failed` in `src/backend/libpq/auth.c` of
/// PostgreSQL), another line of its `pg_hba.conf` came first; the rest goes by SQLSTATE
/// (`src/backend/utils/errcodes.txt` there).
fn shut_database(role: &str, said: &str) -> String {
    let otherwise = said.contains("authentication failed")
        && !said.contains("certificate authentication failed");
    let no_line = otherwise || said.contains("password") || said.contains("pg_hba.conf");
    match said.split(':').next() {
        _any if no_line => format!(
            "in its pg_hba.conf the line `hostssl … {role} … cert map=tidegate` is missing or stands below \
             another line that fits, or the server was not reloaded"
        ),
        Some("28000") => format!(
            "see whether `ssl_ca_file = 'tidegate_ca.pem'` stands in its postgresql.conf, \
             `tidegate {role} {role}` in pg_ident.conf and the line `hostssl … {role} … cert map=tidegate` in \
             pg_hba.conf, above others that fit, and the role exists"
        ),
        Some("3D000") => {
            "the database does not exist there: remove the target and add it with another --dbname"
                .to_owned()
        }
        Some(alert) if is_about_time(alert) => {
            "see whether its clock is right: the certificate holds for a few minutes".to_owned()
        }
        Some(alert) if alert.starts_with("TLS") => {
            "`ssl_ca_file` in its postgresql.conf does not name tidegate's CA".to_owned()
        }
        _other => "its own log says more".to_owned(),
    }
}

/// A target answered, and broke off when we logged in.
pub fn target_broken(target: &str) -> Finding {
    target_down(target, "it broke off while tidegate logged in")
}

/// There is no TLS with a target, which is at this address.
pub fn target_unencrypted(target: &str, address: &str, fault: TlsFault) -> Finding {
    let found = format!("it {}", fault.fact());
    let advice = fault.advice(target, address);
    bad(format!("target {target}"), found, advice)
}

/// No certificate could be made to try a target with.
pub fn target_untried(target: &str) -> Finding {
    bad(
        format!("target {target}"),
        "it answers; whether it lets tidegate in was not tried, because no certificate could be made",
        "tidegate doctor",
    )
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::words::cli::doctor::target_differs;

    #[test]
    fn what_is_said_of_a_server_that_is_not_the_one_or_does_not_say() {
        let keys =
            |names: &[&str]| -> Vec<String> { names.iter().map(|&name| name.to_owned()).collect() };
        let (ours, other) = (
            keys(&["ssh-ed25519 SHA256:a"]),
            keys(&["ssh-ed25519 SHA256:b"]),
        );
        let why = "it accepted the connection and said nothing in time";
        let all = [
            target_differs("web1", Protocol::Ssh, (&ours, &other)),
            target_differs(
                "orders",
                Protocol::Postgres,
                (&keys(&["ab"]), &keys(&["cd"])),
            ),
            target_mute("web1", Protocol::Ssh, why),
            target_mute("orders", Protocol::Postgres, why),
            target_wayless("db1", "the target `edge1` in front of it is locked"),
            targets_unlooked(3),
            target_outworn("old", Entry::Password, &["app"], asks_for(5, true)),
            target_outworn(
                "old",
                Entry::Password,
                &["app"],
                "28P01: password authentication failed",
            ),
            target_outworn(
                "old",
                Entry::Password,
                &["app"],
                "53300: sorry, too many clients already",
            ),
            target_odd(
                "web1",
                "what answers there does not speak the protocol, or not over TLS",
            ),
            target_outworn(
                "switch1",
                Entry::Key,
                &["admin"],
                "it does not accept what tidegate showed",
            ),
        ];
        let line = |found: &Finding| {
            let hint = found.hint.as_deref().unwrap_or_default();
            format!("{}: {}: {}\n  {hint}", found.subject, found.ok, found.found)
        };
        let text: Vec<String> = all.iter().map(line).collect();
        insta::assert_snapshot!("servers_that_differ", text.join("\n"));
    }
}
