//! What is said about the parts of a PostgreSQL target: its hosts, and which of them was chosen.

use std::iter;

use jiff::SignedDuration;

use super::broker::Conflict;
use super::cli::doctor::{Finding, target_changed};
use super::cli::{Refusal, Trouble, hba_word, next, refused, target_question, target_removed};
use super::pin::PinFault;
use super::transit::BastionFault;
use super::{Shown, Words};
use crate::{
    DatabaseName, Entry, HOSTS_MAX, HostKeyPin, HostPort, Jump, ServerPin, SessionAttrs,
    TargetName, duration,
};

/// Why a PostgreSQL target cannot be as it was described.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum TargetFault {
    /// A host is named twice, or there are too many.
    Hosts,
    /// It is to be entered with a key, which PostgreSQL does not know.
    Key,
    /// Roles of grants are to be made with a password.
    StandingRoles,
    /// Privileges are declared for what is not asked for, without roles of grants, or too many.
    Privileges,
    /// Somebody is to be elevated to what is not asked for, without an admin role, or as a role that is no
    /// person's own.
    Elevations,
    /// Several hosts stand behind another target.
    SeveralBehind,
    /// A text in it is none that can be shown or pasted as it is.
    Text,
    /// It is to be known by what nobody can prove.
    Pin(PinFault),
    /// It is to be a bastion, and cannot.
    Bastion(BastionFault),
    /// What is new of it was looked at, and is not so.
    Unproven {
        /// Which.
        name: TargetName,
        /// What was found.
        found: String,
        /// What to do about that.
        hint: Option<String>,
    },
    /// What is kept for it is sealed for what it was.
    KeptForAnother {
        /// Which.
        name: TargetName,
        /// What is kept.
        entry: Entry,
    },
}

impl Shown for TargetFault {
    fn words(&self) -> Words {
        match self {
            Self::Hosts => Words::new(
                "TG520",
                format!("a target has at most {HOSTS_MAX} hosts, each named once"),
            )
            .hint("tidegate target add pg NAME --addr HOST:PORT,HOST:PORT …"),
            Self::Key => Words::new("TG540", "a PostgreSQL server is entered with a certificate or a password, not with a key")
                .hint("leave the key out, or: tidegate target add pg NAME --vault-password …"),
            Self::Privileges => Words::new(
                "TG560",
                "privileges are declared for no role that can be asked for, without an admin role, or there are too many",
            )
            .hint("tidegate target add pg NAME --admin-role ADMIN --role app_ro --privilege 'app_ro: SELECT ON public.orders' …"),
            Self::Elevations => super::elevation::unsound(),
            Self::Pin(fault) => fault.words(),
            Self::Bastion(fault) => fault.words(),
            Self::Unproven { name, found, hint } => {
                super::particulars::unproven(name, found, hint.as_deref())
            }
            Self::KeptForAnother { name, entry } => {
                super::particulars::kept_for_another(name, *entry)
            }
            Self::Text => Words::new(
                "TG569",
                "a label, the database's name, or what the server is known by is too long or has characters that no line shows",
            )
            .hint("labels are KEY=VALUE of at most 64 and 128 bytes, a database's name has at most 63; leave out control characters"),
            Self::StandingRoles => Words::new(
                "TG550",
                "roles of grants are made and entered with certificates, and this target is entered with a password",
            )
            .hint("leave --admin-role out, or have its server trust tidegate's CA"),
            Self::SeveralBehind => Words::new(
                "TG561",
                "a database behind another target has one host, which sessions have whatever it is",
            )
            .hint("tidegate target add pg NAME --addr HOST:PORT --jump TARGET …, one for each host"),
        }
    }
}

/// Why a server that is entered with a password was not answered, or not believed.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum SaslFault {
    /// Its message is cut short.
    CutShort,
    /// It lets in without asking.
    Unasked,
    /// It offers no mechanism that we know.
    Mechanism,
    /// It asks for few rounds.
    Cheap,
    /// It asks for too many rounds.
    Endless,
    /// It does not speak SCRAM as agreed on.
    Malformed,
    /// It did not prove that it knows the password's verifier.
    Unproven,
}

impl SaslFault {
    /// The sentence, for those who manage targets.
    pub fn sentence(self) -> &'static str {
        match self {
            Self::CutShort => "its answer is cut short",
            Self::Unasked => "it lets in without asking for the password that is kept for it",
            Self::Mechanism => "it offers no SCRAM-SHA-256",
            Self::Cheap => {
                "it asks for fewer than 4096 rounds of SCRAM, which makes the password easy to guess"
            }
            Self::Endless => "it asks for more than 100000 rounds of SCRAM",
            Self::Malformed => "it does not speak SCRAM as it was agreed on",
            Self::Unproven => "it did not prove that it knows the password",
        }
    }
}

/// What a server asks for that is not answered (`src/include/libpq/protocol.h`).
pub fn asks_for(code: i32, with_password: bool) -> &'static str {
    match (code, with_password) {
        (3, _) => "it asks for a password in clear",
        (5, _) => "it asks for an MD5 password",
        (10, false) => "it asks for a SCRAM password, not for the certificate",
        _other => "it asks for a proof that we do not have",
    }
}

/// The line of `pg_hba.conf` for roles that come with a password.
pub fn password_lines(dbname: &str, roles: &[String], from: &str) -> String {
    let each = roles.iter();
    let dbname = hba_word(dbname);
    let lines =
        each.map(|role| format!("hostssl {dbname} {} {from} scram-sha-256", hba_word(role)));
    let lines: Vec<String> = lines.collect();
    format!(
        "pg_hba.conf, above other lines for the same role:\n\n  {}",
        lines.join("\n  ")
    )
}

/// What a database administrator runs where privileges are declared: around the script that makes tidegate's
/// own role, the marker and the rights that it gives away.
pub fn privileges_script(script: &str, marker: &str, rights: &str) -> String {
    format!(
        "-- A role without rights, by which pg_hba.conf knows the roles of grants.\n\
         do $marker$\n\
         begin\n  \
           if not exists (select from pg_catalog.pg_roles where rolname = '{marker}') then\n    \
             create role {marker} nologin;\n  \
           end if;\n\
         end\n\
         $marker$;\n\
         {script}\
         -- What was declared with --privilege, to be given to the roles of grants. Run this again when tables are added.\n\
         {rights}"
    )
}

/// A password is proven only to a server that was named beforehand.
pub fn password_to_whom(target: &str) -> Trouble {
    Trouble::new(
        "nothing was added: a password goes with a server whose certificate was given",
        "whoever answers at the address would get a proof to guess the password by before anybody has compared its certificate",
        format!(
            "tidegate target add pg {target} … --server-cert-sha256 HEX   (or --server-ca FILE)   # as `openssl x509 -in server.crt -outform DER | sha256sum` says on the server"
        ),
    )
}

/// A target of that name is there, in the words of the server that would have been asked to add it.
pub fn exists(name: &str) -> Trouble {
    let what = format!("target `{name}`");
    let words = Conflict::Exists { what }.words();
    let doing = format!("add target {name}");
    let hint = next(&doing, Refusal::Exists);
    refused(&doing, &words.what, hint.as_deref()).coded(words.code)
}

/// Which host a session has, for its recording.
pub fn host_chosen(host: &HostPort, wanted: SessionAttrs) -> String {
    format!("the session is at {host}, found for `{wanted}`")
}

/// Which database a session is in, for its recording.
pub fn other_database(database: &DatabaseName) -> String {
    format!("the session is in the database `{database}`")
}

/// The settings that a session began with, for its recording.
pub fn began_with(settings: &[(String, String)]) -> String {
    let settings: Vec<String> = settings
        .iter()
        .map(|(name, value)| format!("{name}={value:?}"))
        .collect();
    settings.join(" ")
}

/// The hosts of a target as an administrator reads them.
pub fn hosts(addrs: &[HostPort], wanted: SessionAttrs) -> String {
    let addrs: Vec<String> = addrs.iter().map(ToString::to_string).collect();
    let addrs = addrs.join(",");
    if wanted.is_any() {
        return addrs;
    }
    format!("{addrs} ({wanted})")
}

/// Asked before a target is removed, behind which others may stand.
pub fn removal_question(target: &str, behind: &[String]) -> String {
    if behind.is_empty() {
        return target_question(target);
    }
    format!(
        "nobody gets to {} any more, which {} behind {target}: their sessions are cut as well\n{}",
        behind.join(", "),
        stand(behind),
        target_question(target)
    )
}

/// After a target was removed.
pub fn removed(target: &str, behind: &[String]) -> String {
    let Some(first) = behind.first() else {
        return target_removed(target);
    };
    format!(
        "removed {target}; its sessions are cut, and nobody gets to {} any more, which {} behind it\n  \
         tidegate target rm {first}   (and add it again with another --jump; or add {target} again)",
        behind.join(", "),
        stand(behind)
    )
}

fn stand(several: &[String]) -> &'static str {
    match several {
        [_one] => "stands",
        _several => "stand",
    }
}

/// What answers does not prove to be what was added, as whoever logs in has found, and how.
pub fn unproven(target: &str, why: &str) -> Finding {
    let said = target_changed(target);
    Finding {
        found: format!("{}: {why}", said.found),
        ..said
    }
}

/// A target lets tidegate in, and some of its hosts cannot be had.
pub fn partly_down(target: &str, missing: &[(HostPort, String)]) -> Finding {
    let each = missing.iter().map(|(host, why)| format!("{host}: {why}"));
    let each: Vec<String> = each.collect();
    Finding {
        subject: format!("target {target}"),
        ok: false,
        found: format!(
            "it lets tidegate in, and not at each of its hosts: {}",
            each.join("; ")
        ),
        hint: Some(format!(
            "sessions go to the others; see whether it runs there:  tidegate target show {target}"
        )),
    }
}

/// A target was entered, and found as in `entered`; and its server lets whoever comes in as these roles.
pub fn unguarded(target: &str, entry: Entry, roles: &[&str], entered: Finding) -> Finding {
    let method = match entry {
        Entry::Password => "scram-sha-256",
        Entry::Certificate | Entry::Key | Entry::Bastion => "cert map=tidegate",
    };
    let hint = format!(
        "take every `trust` line that fits them out of its pg_hba.conf: a `host` line below tidegate's lets in who comes \
         without TLS; what is to stand there instead, `hostssl … {method}`, is printed by  tidegate target show {target}"
    );
    let hints = iter::once(hint).chain(entered.hint);
    Finding {
        ok: false,
        found: format!(
            "{}; and its server lets {} in without asking who it is, so whoever reaches it gets past tidegate",
            entered.found,
            quoted(roles)
        ),
        hint: Some(hints.collect::<Vec<_>>().join(";  ")),
        ..entered
    }
}

/// A target that was tested is ready, but.
pub fn ready_with_warning(subject: &str, found: &str, hint: Option<&str>) -> String {
    let hint = hint.map(|hint| format!("\n  {hint}"));
    format!(
        "{subject} is ready, with a warning: {found}{}",
        hint.unwrap_or_default()
    )
}

fn quoted(names: &[&str]) -> String {
    let names = names.iter().map(|name| format!("`{name}`"));
    names.collect::<Vec<_>>().join(", ")
}

/// That one may ask for these logins, and for how long at most where that was found out.
pub fn askable(each: &[(&str, Option<SignedDuration>)]) -> String {
    let until = |longest: &Option<SignedDuration>| {
        longest.map_or_else(String::new, |longest| {
            format!(" up to {}", duration::print(longest))
        })
    };
    let mut all = each.iter().map(|(_login, longest)| longest);
    let first = all.next();
    let parts: Vec<String> = match first {
        Some(first) if all.all(|other| other == first) => vec![until(first).trim().to_owned()],
        _several => each
            .iter()
            .map(|(login, longest)| format!("{login}{}", until(longest)))
            .collect(),
    };
    let parts = parts.into_iter().filter(|part| !part.is_empty());
    iter::once("ask".to_owned())
        .chain(parts)
        .collect::<Vec<_>>()
        .join(", ")
}

/// How somebody stands to a target that they hold a grant for, as this login.
pub fn granted_as(login: &str) -> String {
    format!("granted as {login}")
}

/// The same where they wait for an answer.
pub fn pending_as(login: &str) -> String {
    format!("pending as {login}")
}

/// The same at a target that is locked.
pub fn kept_out(how: Option<&str>) -> String {
    how.map_or_else(|| "locked".to_owned(), |how| format!("locked ({how})"))
}

/// Logins of a target whose credential does not end by itself.
pub fn standing(logins: &str) -> String {
    format!("{logins} (standing credential)")
}

/// That a target in front is locked, as `said`.
pub fn locked_in_front(front: &str, said: &str) -> String {
    format!("{front} in front of it {said}")
}

/// Where a target is that is reached through another one.
pub fn reached_through(addr: &str, jump: &Jump) -> String {
    format!("{addr} through {jump}")
}

/// What an SSH target is known by.
pub fn known_by_host(pin: &HostKeyPin) -> String {
    match pin {
        HostKeyPin::Keys { keys } => keys.join(", "),
        HostKeyPin::Authority { key } => format!("CA {key}"),
    }
}

/// What a host of a database is known by.
pub fn known_by_server(pin: &ServerPin) -> String {
    match pin {
        ServerPin::Certificate { sha256 } => format!("certificate {sha256}"),
        ServerPin::Authority { host, .. } => format!("CA, for {host}"),
    }
}

/// A host shows another certificate than the one that it was added with.
pub fn host_changed() -> &'static str {
    "what answers there does not prove to be the one that was added"
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::words::cli::doctor::target_good;

    #[test]
    fn whoever_removes_a_jump_hears_of_what_stands_behind_it() {
        let behind = ["db1".to_owned(), "db2".to_owned()];
        let said = [
            removal_question("edge1", &[]),
            removal_question("edge1", &behind),
            removed("edge1", &behind[..1]),
        ];
        insta::assert_snapshot!("removal_of_a_jump", said.join("\n"));
    }

    #[test]
    fn what_is_said_about_hosts() {
        let at = |text: &str| text.parse::<HostPort>().unwrap();
        let two = [at("db1:5432"), at("db2:5432")];
        let finding = partly_down("orders", &[(at("db2:5432"), "no".to_owned())]);
        let hours = |hours| Some(SignedDuration::from_hours(hours));
        let open = target_good("orders");
        let open = unguarded("orders", Entry::Certificate, &["app", "app_ro"], open);
        let said = [
            TargetFault::Hosts.words().to_string(),
            TargetFault::Key.words().to_string(),
            TargetFault::StandingRoles.words().to_string(),
            TargetFault::Privileges.words().to_string(),
            TargetFault::Elevations.words().to_string(),
            TargetFault::SeveralBehind.words().to_string(),
            TargetFault::Text.words().to_string(),
            password_lines("orders", &["app".to_owned()], "192.0.2.1/32"),
            host_chosen(&at("db1:5432"), SessionAttrs::ReadWrite),
            hosts(&two, SessionAttrs::Any),
            hosts(&two, SessionAttrs::PreferStandby),
            finding.found,
            finding.hint.unwrap_or_default(),
            exists("orders").to_string(),
            askable(&[("app_ro", hours(8)), ("app_rw", hours(8))]),
            askable(&[
                ("app_ro", hours(8)),
                ("app_rw", hours(1)),
                ("app_admin", None),
            ]),
            askable(&[("app_ro", None)]),
            ready_with_warning(&open.subject, &open.found, open.hint.as_deref()),
        ];
        insta::assert_snapshot!("target", said.join("\n"));
    }
}
