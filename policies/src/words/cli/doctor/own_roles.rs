//! What is said of a target where each grant has a role or account of its own: as whom tidegate got in, and what of
//! those roles was tried.

use super::super::roles::OWN_ROLES;
use super::super::setup::hba_word;
use super::{Finding, bad, good};
use crate::Protocol;

/// Which of what is asked for at a target was tried with a role as a grant would have it.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct Rehearsed {
    /// A role was made for these, was let in and removed.
    pub tried: Vec<String>,
    /// Nothing was made for these.
    pub untried: Vec<String>,
    /// To these, people's own roles are elevated, which nobody but they goes in as.
    pub lent: Vec<String>,
    /// Whether it was not looked at for all of those roles that they can be.
    pub unlooked: bool,
}

/// A target answers and lets tidegate in as the one that makes the roles or accounts of grants.
pub fn keeper_good(
    (target, protocol): (&str, Protocol),
    keeper: &str,
    rehearsed: &Rehearsed,
) -> Finding {
    let own = match protocol {
        Protocol::Ssh => "accounts",
        Protocol::Postgres => "roles",
    };
    let Rehearsed {
        tried,
        untried,
        lent,
        unlooked,
    } = rehearsed;
    let part = |names: &[String], before: &str, behind: &str| match names {
        [] => String::new(),
        names => format!("{before} {} {behind}", quoted(names)),
    };
    let found = [
        format!(
            "it answers, proves to be the one that was added, and lets tidegate in as `{keeper}`"
        ),
        part(
            tried,
            ", and as a role that was made there and removed as grants for",
            "have them",
        ),
        part(
            untried,
            &format!("; whether the {own} that grants for"),
            "have there get in was not tried",
        ),
        part(
            lent,
            "; whether whoever is elevated to",
            if *unlooked {
                "can be, and gets in, was not tried for all of them"
            } else {
                "gets in as themselves was not tried"
            },
        ),
    ]
    .concat();
    let tries = !untried.is_empty() && protocol == Protocol::Postgres;
    Finding {
        hint: tries.then(|| format!("tidegate target test {target}   tries the first few of them")),
        ..good(format!("target {target}"), found)
    }
}

/// At a target, no role can be made as a grant for `login` would have it.
pub fn own_role_unmade(target: &str, (keeper, login): (&str, &str), why: &str) -> Finding {
    bad(
        format!("target {target}"),
        format!(
            "it lets tidegate in as `{keeper}`, which cannot make a role there for a grant for `{login}`: {why}"
        ),
        format!("tidegate target script {target} | psql …  as a superuser there"),
    )
}

/// At a target, somebody's own role cannot be elevated as a grant for `login` would.
pub fn not_elevated(
    target: &str,
    (keeper, login, account): (&str, &str, &str),
    why: &str,
) -> Finding {
    bad(
        format!("target {target}"),
        format!(
            "it lets tidegate in as `{keeper}`, which cannot elevate `{account}` there for a grant for `{login}`: {why}"
        ),
        format!(
            "do what it says, where it says something; else  tidegate target script {target} | psql …  as a superuser there"
        ),
    )
}

/// It is not known whether a target lets in a role as a grant for `login` would have it: what tidegate itself had to do
/// for that could not be done.
pub fn own_role_untold(target: &str, (keeper, login): (&str, &str), why: &str) -> Finding {
    bad(
        format!("target {target}"),
        format!(
            "it lets tidegate in as `{keeper}`; whether it lets in the role that a grant for `{login}` has is not known: {why}"
        ),
        "tidegate doctor",
    )
}

/// A target does not let in a role as a grant for `login` would have it. `group` is what its line names.
pub fn own_role_shut(
    target: &str,
    (keeper, login, group): (&str, &str, &str),
    said: &str,
) -> Finding {
    let group = hba_word(group);
    let line = format!("`hostssl … +{group} … cert map=tidegate`");
    let cause = if said.contains("certificate authentication failed") {
        format!(
            "in its pg_ident.conf the line `{OWN_ROLES}` is missing, or the server was not reloaded"
        )
    } else if said.contains("pg_hba.conf") || said.contains("authentication failed") {
        format!(
            "in its pg_hba.conf the line {line} is missing or stands below another line that fits, or the server was not reloaded"
        )
    } else {
        format!("see whether {line} stands in its pg_hba.conf and `{OWN_ROLES}` in pg_ident.conf")
    };
    bad(
        format!("target {target}"),
        format!(
            "it lets tidegate in as `{keeper}`, and not as the role that a grant for `{login}` has: {said}"
        ),
        format!("{cause};  tidegate target show {target}  prints the lines"),
    )
}

/// Grants hold, and the roles that they have at a target are not there: each with its grant.
pub fn own_roles_gone(target: &str, gone: &[(&str, &str)]) -> Finding {
    let each = gone
        .iter()
        .map(|(role, grant)| format!("`{role}` of {grant}"));
    let each: Vec<String> = each.collect();
    let (_role, first) = gone.first().copied().unwrap_or(("", "grt_…"));
    bad(
        format!("target {target}"),
        format!(
            "roles of grants that hold are not there any more, so nobody gets in by these: {}; somebody dropped them, \
             or the server was restored from a dump",
            each.join(", ")
        ),
        format!(
            "tidegate revoke {first} --reason 'its role is gone'   and have it asked for again: a role is made once"
        ),
    )
}

/// A target was tested, with `entered`, and has roles of grants that this tidegate knows nothing of. Whether they
/// are another one's is not known.
pub fn stray_roles(strays: &[&str], entered: Finding) -> Finding {
    let names: Vec<String> = strays.iter().map(|&role| role.to_owned()).collect();
    let first = strays.first().copied().unwrap_or("tg_…");
    Finding {
        found: format!(
            "{}; and there are roles that are called as those of grants and that this tidegate has no grant for: {}",
            entered.found,
            quoted(&names)
        ),
        hint: Some(format!(
            "unless another tidegate made them, or a restored store forgot them while their grants hold:  alter role {first} nologin;  \
             then as a superuser there, in each database:  reassign owned by {first} to …; drop owned by {first};  and  drop role {first};"
        )),
        ..entered
    }
}

fn quoted(names: &[String]) -> String {
    let names = names.iter().map(|name| format!("`{name}`"));
    names.collect::<Vec<_>>().join(", ")
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn what_is_said_of_roles_that_grants_have_for_themselves() {
        let names = |names: &[&str]| names.iter().map(|&name| name.to_owned()).collect();
        let rehearsed = Rehearsed {
            tried: names(&["app_ro"]),
            untried: names(&["app_rw"]),
            lent: names(&["app_admin"]),
            unlooked: true,
        };
        let of = ("orders", "tidegate_admin");
        let shut = |said| own_role_shut(of.0, (of.1, "app_ro", "app_ro"), said);
        let only = |tried: &[&str]| Rehearsed {
            tried: names(tried),
            ..Rehearsed::default()
        };
        let good = keeper_good((of.0, Protocol::Postgres), of.1, &only(&["app_ro"]));
        let accounts = Rehearsed {
            untried: names(&["deploy"]),
            ..Rehearsed::default()
        };
        let all = [
            keeper_good((of.0, Protocol::Postgres), of.1, &rehearsed),
            good.clone(),
            keeper_good(("web1", Protocol::Ssh), "root", &accounts),
            own_role_unmade(
                of.0,
                (of.1, "app_ro"),
                "the server says: 42501: permission denied",
            ),
            not_elevated(
                of.0,
                (of.1, "app_admin", "alice"),
                "the server says: 42501: permission denied",
            ),
            own_role_untold(of.0, (of.1, "app_ro"), "the store does not answer"),
            shut("28000: no pg_hba.conf entry for host \"192.0.2.1\""),
            shut("28000: certificate authentication failed for user \"tg_01\""),
            shut("42501: permission denied for database \"orders\""),
            own_roles_gone(of.0, &[("tg_01", "grt_01"), ("tg_02", "grt_02")]),
            stray_roles(&["tg_03"], good),
        ];
        let line = |found: &Finding| {
            let hint = found.hint.as_deref().unwrap_or_default();
            format!("{}: {}: {}\n  {hint}", found.subject, found.ok, found.found)
        };
        let text: Vec<String> = all.iter().map(line).collect();
        insta::assert_snapshot!("own_roles", text.join("\n"));
    }
}
