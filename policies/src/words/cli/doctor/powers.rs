//! What is said of roles that may do more at a database than its tables: what comes of that, no statement shows.

use std::collections::BTreeMap;

use super::Finding;
use crate::{Login, MARKER};

/// Something that a role may do at a database server, beside reading and changing tables.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Power {
    /// What.
    pub kind: PowerKind,
    /// With what of this kind: the first few, as SQL takes them.
    pub names: Vec<String>,
    /// With how many.
    pub all: usize,
    /// Who was given the first of them, as SQL takes it: the role itself, one that it is a member of, `public`.
    pub holders: String,
}

/// What kind of thing that is.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum PowerKind {
    /// Everything.
    Superuser,
    /// Making roles and giving them any other, as before PostgreSQL 16.
    Makes,
    /// What one of PostgreSQL's predefined roles may, as `pg_execute_server_program`.
    Member,
    /// Calling a function that reaches files or other servers, or is written in an untrusted language.
    Call,
    /// Tables of another server, over a foreign server that is set up.
    Server,
    /// Setting up such a server by a foreign-data wrapper.
    Wrapper,
}

/// A target was entered, and found as in `entered`; and roles that are asked for there reach more than tables.
pub fn powerful(target: &str, powers: &BTreeMap<Login, Vec<Power>>, entered: Finding) -> Finding {
    let each = powers.iter().map(|(role, powers)| may(role, powers));
    let each: Vec<String> = each.collect();
    let first = powers
        .values()
        .find_map(|powers| Some(taken(target, powers.first()?)));
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
fn may(role: &Login, powers: &[Power]) -> String {
    let who = if role.as_str() == MARKER {
        "the role of each grant".to_owned()
    } else {
        format!("`{role}`")
    };
    let each = powers.iter().map(|power| {
        let named = names(power);
        match power.kind {
            PowerKind::Superuser => "is a superuser".to_owned(),
            PowerKind::Makes => "makes roles and gives them any other".to_owned(),
            PowerKind::Member => format!("is a member of {named}"),
            PowerKind::Call => format!("may call {named}"),
            PowerKind::Server => format!("may use the foreign server {named}"),
            PowerKind::Wrapper => format!("may set up foreign servers by {named}"),
        }
    });
    format!("{who} {}", each.collect::<Vec<_>>().join(" and "))
}

/// What is named of one kind, and how much more there is of it.
fn names(power: &Power) -> String {
    let shown = power.names.iter().map(|name| format!("`{name}`"));
    let more = power.all.saturating_sub(power.names.len());
    let more = (more > 0).then(|| format!("{more} more"));
    shown.chain(more).collect::<Vec<_>>().join(", ")
}

/// How it is taken away.
fn taken(target: &str, power: &Power) -> String {
    let first = power.names.first().map_or("", String::as_str);
    let from = &power.holders;
    let revoked = match power.kind {
        // It may be the only one.
        PowerKind::Superuser => {
            return format!(
                "let people come as a role that is none: add {target} again with another --role"
            );
        }
        PowerKind::Makes => format!("alter role {from} nocreaterole;"),
        PowerKind::Member => format!("revoke {first} from {from};"),
        PowerKind::Call => format!("revoke execute on function {first} from {from};"),
        PowerKind::Server => format!("revoke usage on foreign server {first} from {from};"),
        PowerKind::Wrapper => format!("revoke usage on foreign data wrapper {first} from {from};"),
    };
    format!("whatever of it nobody needs is taken away as a superuser there:  {revoked}")
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::words::cli::doctor::target_good;

    #[test]
    fn what_is_said_of_roles_that_reach_more_than_tables() {
        let power = |kind, names: &[&str], holders: &str| Power {
            kind,
            names: names.iter().map(|&name| name.to_owned()).collect(),
            all: names.len(),
            holders: holders.to_owned(),
        };
        let check = |role: &str, powers: &[Power]| {
            let powers = BTreeMap::from([(Login::parse(role).unwrap(), powers.to_vec())]);
            let finding = powerful("orders", &powers, target_good("orders"));
            format!(
                "{}: {}\n  {}",
                finding.ok,
                finding.found,
                finding.hint.unwrap_or_default()
            )
        };
        let calls = Power {
            all: 6,
            ..power(PowerKind::Call, &["f1(text)", "f2()"], "app, public")
        };
        let text = [
            check("postgres", &[power(PowerKind::Superuser, &[""], "")]),
            check("app", &[power(PowerKind::Makes, &[""], "app")]),
            check(
                "app",
                &[
                    power(PowerKind::Member, &["pg_execute_server_program"], "beside"),
                    power(PowerKind::Server, &["\"Other\""], "app"),
                ],
            ),
            check("app", &[calls]),
            check(
                MARKER,
                &[power(PowerKind::Wrapper, &["postgres_fdw"], "public")],
            ),
        ];
        insta::assert_snapshot!("powers", text.join("\n"));
    }
}
