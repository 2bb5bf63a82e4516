//! What is said of roles that may do more at a database than its tables: what comes of that, no statement shows.

use std::collections::{BTreeMap, BTreeSet};

use super::Finding;
use crate::{Login, MARKER};

/// How many of one kind are named of one role.
const NAMED_MAX: usize = 4;

/// Something that a role may do at a database server, beside reading and changing tables.
#[derive(Debug, Clone, PartialEq, Eq, PartialOrd, Ord)]
pub struct Power {
    /// What.
    pub kind: PowerKind,
    /// With what of this kind, as the server calls it.
    pub name: String,
}

/// What kind of thing that is.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord)]
pub enum PowerKind {
    /// Everything.
    Superuser,
    /// What one of PostgreSQL's predefined roles may, as `pg_execute_server_program`.
    Member,
    /// Calling a function that reaches files or other servers, or is written in an untrusted language.
    Call,
    /// Tables of another server, over a foreign server that is set up.
    Server,
    /// Setting up such a server by a foreign-data wrapper.
    Wrapper,
}

impl PowerKind {
    const ALL: [Self; 5] = [
        Self::Superuser,
        Self::Member,
        Self::Call,
        Self::Server,
        Self::Wrapper,
    ];

    /// What who has it is said to do or be, before the names.
    const fn words(self) -> &'static str {
        match self {
            Self::Superuser => "is a superuser",
            Self::Member => "is a member of",
            Self::Call => "may call",
            Self::Server => "may use the foreign server",
            Self::Wrapper => "may set up foreign servers by",
        }
    }
}

/// A target was entered, and found as in `entered`; and roles that are asked for there reach more than tables.
pub fn powerful(powers: &BTreeMap<Login, BTreeSet<Power>>, entered: Finding) -> Finding {
    let each: Vec<String> = powers
        .iter()
        .map(|(role, powers)| of(role, powers))
        .collect();
    let first = powers.iter().find_map(|(role, powers)| {
        let taken = taken(role, powers.first()?);
        Some(format!(
            "whatever of it nobody needs is taken away as a superuser there:  {taken}"
        ))
    });
    let hints: Vec<String> = entered.hint.into_iter().chain(first).collect();
    Finding {
        found: format!(
            "{}; {}; what comes of that, no rule about statements sees",
            entered.found,
            each.join("; ")
        ),
        hint: Some(hints.join(";  ")),
        ..entered
    }
}

/// What a role may, in one sentence.
fn of(role: &Login, powers: &BTreeSet<Power>) -> String {
    let kinds = PowerKind::ALL.iter().filter_map(|kind| {
        let names: Vec<&str> = powers
            .iter()
            .filter(|power| power.kind == *kind)
            .map(|power| power.name.as_str())
            .collect();
        let which = match (kind, names.as_slice()) {
            (_, []) => return None,
            (PowerKind::Superuser, _) => String::new(),
            (_, names) => format!(" {}", several(names)),
        };
        Some(format!("{}{which}", kind.words()))
    });
    let kinds: Vec<String> = kinds.collect();
    let who = if role.as_str() == MARKER {
        "the role of each grant".to_owned()
    } else {
        format!("`{role}`")
    };
    format!("{who} {}", kinds.join(" and "))
}

/// The first of these names, and how many more there are.
fn several(names: &[&str]) -> String {
    let shown = names.iter().take(NAMED_MAX).map(|name| format!("`{name}`"));
    let more = names.len().saturating_sub(NAMED_MAX);
    let more = (more > 0).then(|| format!("{more} more"));
    shown.chain(more).collect::<Vec<_>>().join(", ")
}

/// How it is taken away from whoever has it: what comes to a role that may do nothing, everybody has.
fn taken(role: &Login, power: &Power) -> String {
    let (role, name) = (ident(role.as_str()), ident(&power.name));
    let all = if role == MARKER {
        "public".to_owned()
    } else {
        format!("public, {role}")
    };
    match power.kind {
        PowerKind::Superuser => format!("alter role {role} nosuperuser;"),
        PowerKind::Member => format!("revoke {name} from {role};"),
        // It comes with its arguments, and as SQL takes it.
        PowerKind::Call => format!("revoke execute on function {} from {all};", power.name),
        PowerKind::Server => format!("revoke usage on foreign server {name} from {all};"),
        PowerKind::Wrapper => {
            format!("revoke usage on foreign data wrapper {name} from {all};")
        }
    }
}

/// A name as SQL takes it, in quotes where it needs them.
fn ident(name: &str) -> String {
    let plain = |letter: char| letter.is_ascii_lowercase() || letter == '_';
    if name.chars().all(plain) && !name.is_empty() {
        name.to_owned()
    } else {
        format!("\"{}\"", name.replace('"', "\"\""))
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::words::cli::doctor::target_good;

    #[test]
    fn what_is_said_of_roles_that_reach_more_than_tables() {
        let power = |kind, name: &str| Power {
            kind,
            name: name.to_owned(),
        };
        let calls = (1..=6).map(|number| power(PowerKind::Call, &format!("f{number}(text)")));
        let login = |name: &str| Login::parse(name).unwrap();
        let check = |role: &str, powers: Vec<Power>| {
            let powers = BTreeMap::from([(login(role), powers.into_iter().collect())]);
            let finding = powerful(&powers, target_good("orders"));
            format!(
                "{}: {}\n  {}",
                finding.ok,
                finding.found,
                finding.hint.unwrap_or_default()
            )
        };
        let text = [
            check("postgres", vec![power(PowerKind::Superuser, "")]),
            check(
                "app",
                vec![
                    power(PowerKind::Member, "pg_execute_server_program"),
                    power(PowerKind::Server, "Other \"place\""),
                ],
            ),
            check("app", calls.collect()),
            check(MARKER, vec![power(PowerKind::Wrapper, "postgres_fdw")]),
        ];
        insta::assert_snapshot!("powers", text.join("\n"));
    }
}
