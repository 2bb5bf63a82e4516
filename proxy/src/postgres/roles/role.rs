//! The SQL by which the role of a grant is made, looked at and removed.
//!
//! Pure: texts from names. Every name is quoted, every system function is named with its schema.
//! What must hold of a role holds by its privileges and attributes, which it cannot change; what is
//! set with `ALTER ROLE … SET` are defaults, which its holder can set otherwise in a session.

use std::collections::BTreeSet;
use std::fmt::Write as _;

use jiff::SignedDuration;
use policies::{FENCED, Login, Privilege, RolePlace, RolePlan, SqlKind};

use super::deadline::Deadline;
use super::privileges;
use crate::postgres::target::rows::{Row, text};

/// The first major version in which a membership says whether it is inherited and can be become.
pub(super) const MEMBERSHIPS_FROM: u32 = 16;

/// How many server processes a role may have. A pool of a program's, or `pg_restore -j`, fits.
const CONNECTIONS_MAX: u32 = 20;

/// How long a transaction may be open while nothing is done in it.
const IDLE_LIMIT: SignedDuration = SignedDuration::from_hours(1);

/// A name, quoted.
pub(super) fn ident(name: &str) -> String {
    format!("\"{}\"", name.replace('"', "\"\""))
}

/// A text, quoted, for a session with `standard_conforming_strings`.
pub(in crate::postgres) fn literal(text: &str) -> String {
    format!("'{}'", text.replace('\'', "''"))
}

/// A text as the server sent it, quoted, for a session that speaks the server's own encoding: no byte
/// of a longer character is a quote in any of those.
pub(super) fn literal_bytes(text: &[u8]) -> Vec<u8> {
    let mut out = vec![b'\''];
    for byte in text {
        if *byte == b'\'' {
            out.push(b'\'');
        }
        out.push(*byte);
    }
    out.push(b'\'');
    out
}

/// Makes the role, in one transaction. `path` are the schemas in which it finds tables without a
/// schema's name; `reads` says that it begins with transactions that only read; its comment ends with what
/// `oldest` said. Nothing is made once the server's clock has passed `by`: by then nobody waits for it, and it
/// may have been removed.
pub(super) fn make(
    plan: &RolePlan,
    privileges: Option<&[Privilege]>,
    (path, reads, oldest): (&[String], bool, &str),
    (version, by): (u32, Deadline),
) -> String {
    let place = &plan.place;
    let role = ident(place.role().as_str());
    let given = given(version);
    let rights = match privileges {
        None => lend(place, version) + "; ",
        Some(privileges) => {
            let name = place.role();
            let marked = privileges::mark(name.as_str(), given);
            marked + &privileges::give(privileges, name.as_str(), "")
        }
    };
    let kept = keep(place, version);
    let until = literal(&plan.until.to_string());
    let about = format!("tidegate {} of {}{oldest}", place.grant, plan.principal);
    let about = literal(&about);
    let path: Vec<String> = path.iter().map(|schema| literal(schema)).collect();
    let path = path.join(", ");
    let limit = millis(plan.statement_limit);
    let idle = millis(plan.statement_limit.min(IDLE_LIMIT));
    let mut sql = format!(
        "begin; \
         create role {role} with login inherit nosuperuser nocreatedb nocreaterole noreplication \
         nobypassrls connection limit {CONNECTIONS_MAX} valid until {until}; \
         comment on role {role} is {about}; \
         {rights}\
         {kept}; \
         alter role {role} set search_path = {path}; \
         alter role {role} set statement_timeout = {limit}; \
         alter role {role} set idle_in_transaction_session_timeout = {idle}; "
    );
    if reads {
        // Writing to a String cannot fail.
        let _written = write!(
            sql,
            "alter role {role} set default_transaction_read_only = on; "
        );
    }
    sql.push_str(&by.guard());
    sql.push_str("; commit");
    sql
}

/// Makes the role a member of its group, with its rights and without becoming it, where the version can tell.
pub(super) fn lend(place: &RolePlace, version: u32) -> String {
    let (role, group) = (ident(place.role().as_str()), ident(place.group.as_str()));
    format!("grant {group} to {role}{}", given(version))
}

/// Ends that.
pub(super) fn end_lending(place: &RolePlace) -> String {
    let (role, group) = (ident(place.role().as_str()), ident(place.group.as_str()));
    format!("revoke {group} from {role}")
}

fn given(version: u32) -> &'static str {
    if version >= MEMBERSHIPS_FROM {
        " with inherit true, set false"
    } else {
        ""
    }
}

/// Makes tidegate's own role a member: so it sees and ends what the role does, and hands over what it
/// owns. Before PostgreSQL 15 whoever is in as a role can take that away again.
fn keep(place: &RolePlace, version: u32) -> String {
    let (role, admin) = (ident(place.role().as_str()), ident(place.admin.as_str()));
    let how = if version >= MEMBERSHIPS_FROM {
        " with inherit true, set true"
    } else {
        ""
    };
    format!("grant {role} to {admin}{how}")
}

/// Milliseconds as the server takes them: from a second to the longest it knows.
fn millis(limit: SignedDuration) -> i64 {
    let most = i128::from(i32::MAX);
    i64::try_from(limit.as_millis().clamp(1_000, most)).unwrap_or(1_000)
}

/// Has a connection of ours say which role it works on. Not readable back as such where names are long or not
/// ASCII; two that are the same stay the same.
pub(super) fn sign(role: &Login) -> String {
    format!(
        "set application_name = {}",
        literal(&format!("tidegate {role}"))
    )
}

/// Ends the other connections of ours that work on the same role, and tells which there are.
pub(super) const END_UNHEARD: &str = "select pid, pg_catalog.pg_terminate_backend(pid) \
    from pg_catalog.pg_stat_activity \
    where usename = current_user and pid <> pg_catalog.pg_backend_pid() \
    and application_name = pg_catalog.current_setting('application_name')";

/// The role's number, where there is one.
pub(super) fn find(role: &Login) -> String {
    format!(
        "select oid from pg_catalog.pg_roles where rolname = {}",
        literal(role.as_str())
    )
}

/// Lets the role in no more.
pub(super) fn shut(role: &Login) -> String {
    format!(
        "alter role {} nologin connection limit 0",
        ident(role.as_str())
    )
}

/// Ends every server process of the role, as far as we already may: this waits for nobody.
pub(super) fn end_plainly(role: &Login) -> String {
    format!(
        "select pid, pg_catalog.pg_terminate_backend(pid) \
         from pg_catalog.pg_stat_activity where usename = {}",
        literal(role.as_str())
    )
}

/// Ends every server process of the role, and tells which there were: in one transaction with becoming
/// able to, so that none of them comes in between.
pub(super) fn end(place: &RolePlace, version: u32) -> String {
    format!(
        "begin; {}; select pid, pg_catalog.pg_terminate_backend(pid) \
         from pg_catalog.pg_stat_activity where usename = {}; commit",
        keep(place, version),
        literal(place.role().as_str())
    )
}

/// Becomes the role.
pub(in crate::postgres) fn become_role(role: &Login) -> String {
    format!("set role {}", ident(role.as_str()))
}

/// Becomes the role for what else is in the same query.
pub(in crate::postgres) fn become_for_now(role: &Login) -> String {
    format!(" set local role {};", ident(role.as_str()))
}

/// The databases in which the role owns something or was given a right, in another order each time that we come:
/// what is slow in one of them would else keep those after it from their turn for good.
pub(super) fn traces(oid: u32) -> String {
    format!(
        "select d.datname from pg_catalog.pg_shdepend s \
         join pg_catalog.pg_database d on d.oid = s.dbid and d.datallowconn \
         where s.refclassid = 'pg_catalog.pg_authid'::pg_catalog.regclass and s.refobjid = {oid} \
         group by 1 order by pg_catalog.hashtextextended(d.datname::text, pg_catalog.pg_backend_pid()), 1"
    )
}

/// The databases in which a role owns something.
pub(super) fn owning(role: &Login) -> String {
    format!(
        "select distinct d.datname from pg_catalog.pg_shdepend s \
         join pg_catalog.pg_database d on d.oid = s.dbid and d.datallowconn \
         join pg_catalog.pg_roles r on r.oid = s.refobjid \
         where s.refclassid = 'pg_catalog.pg_authid'::pg_catalog.regclass and s.deptype = 'o' \
         and r.rolname = {} order by 1",
        literal(role.as_str())
    )
}

/// Removes the role.
pub(super) fn remove(role: &Login) -> String {
    format!("drop role {}", ident(role.as_str()))
}

/// What the group can do to anything at all in this database: read, add, change, remove, make. Last,
/// the schemas in which it would find tables.
pub(super) fn survey(group: &Login) -> String {
    let group = literal(group.as_str());
    let on_table = |right: &str, columns: bool| {
        let columns = if columns {
            format!(" or pg_catalog.has_any_column_privilege({group}, c.oid, '{right}')")
        } else {
            String::new()
        };
        format!(
            "exists (select from pg_catalog.pg_class c \
             join pg_catalog.pg_namespace n on n.oid = c.relnamespace \
             where c.relkind in ('r', 'p', 'v', 'm', 'f') \
             and n.nspname not in ('pg_catalog', 'information_schema', 'pg_toast') \
             and n.nspname !~ '^pg_(toast_)?temp_' \
             and pg_catalog.has_schema_privilege({group}, n.oid, 'USAGE') \
             and (pg_catalog.has_table_privilege({group}, c.oid, '{right}'){columns}))"
        )
    };
    let setting = |whose: &str| {
        format!(
            "(select pg_catalog.substr(s, 13) from pg_catalog.pg_db_role_setting d, \
             pg_catalog.unnest(d.setconfig) s where s like 'search_path=%' and {whose} limit 1)"
        )
    };
    let its = format!("d.setrole = (select oid from pg_catalog.pg_roles where rolname = {group})");
    let here = "d.setdatabase = (select oid from pg_catalog.pg_database \
                where datname = pg_catalog.current_database())";
    format!(
        "select {}, {}, {}, {} or {}, \
         pg_catalog.has_database_privilege({group}, pg_catalog.current_database(), 'CREATE') \
         or exists (select from pg_catalog.pg_namespace n where n.nspname !~ '^pg_' \
         and pg_catalog.has_schema_privilege({group}, n.oid, 'CREATE')), \
         coalesce({}, {}, {}, (select reset_val from pg_catalog.pg_settings where name = 'search_path'))",
        on_table("SELECT", true),
        on_table("INSERT", true),
        on_table("UPDATE", true),
        on_table("DELETE", false),
        on_table("TRUNCATE", false),
        setting(&format!("{its} and {here}")),
        setting(&format!("{its} and d.setdatabase = 0")),
        setting(&format!("d.setrole = 0 and {here}")),
    )
}

/// What the row of a survey says that it can do to anything at all.
pub(super) fn able(seen: &Row) -> BTreeSet<SqlKind> {
    let each = FENCED.into_iter().enumerate();
    each.filter(|(column, _kind)| text(seen, *column) == "t")
        .map(|(_column, kind)| kind)
        .collect()
}

/// The schemas that a value of `search_path` names (`SplitIdentifierString`, `varlena.c`), with the
/// group's own name in the place of `$user`: a schema that is named after a grant's role could be
/// made by somebody else, to be found first. `public` where it cannot be read.
pub(super) fn search_path(value: &str, group: &Login) -> Vec<String> {
    let named = schemas(value).unwrap_or_else(|| vec!["public".to_owned()]);
    let own = |schema: String| match schema.as_str() {
        "$user" => group.as_str().to_owned(),
        _other => schema,
    };
    named.into_iter().map(own).collect()
}

fn schemas(value: &str) -> Option<Vec<String>> {
    let mut rest = value.trim_start();
    let mut found = Vec::new();
    if rest.is_empty() {
        return Some(vec![String::new()]);
    }
    loop {
        let (name, behind) = if let Some(quoted) = rest.strip_prefix('"') {
            quoted_name(quoted)?
        } else {
            let end = rest.find(|c: char| c == ',' || c.is_whitespace());
            let (name, behind) = rest.split_at_checked(end.unwrap_or(rest.len()))?;
            (name.to_lowercase(), behind)
        };
        found.push(name);
        rest = behind.trim_start();
        if rest.is_empty() {
            return Some(found);
        }
        rest = rest.strip_prefix(',')?.trim_start();
    }
}

/// A name up to its closing quote, and what is behind that.
fn quoted_name(text: &str) -> Option<(String, &str)> {
    let mut name = String::new();
    let mut rest = text;
    loop {
        let (part, behind) = rest.split_once('"')?;
        name.push_str(part);
        match behind.strip_prefix('"') {
            Some(more) => {
                name.push('"');
                rest = more;
            }
            None => return Some((name, behind)),
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn names_and_texts_cannot_end_their_quotes() {
        assert_eq!(ident("a\"; drop role b; --"), "\"a\"\"; drop role b; --\"");
        assert_eq!(literal("a'; drop role b; --"), "'a''; drop role b; --'");
        assert_eq!(literal_bytes(b"it's\\"), b"'it''s\\'");
    }

    #[track_caller]
    fn check(value: &str, want: &[&str]) {
        let group = Login::parse("app").unwrap();
        assert_eq!(search_path(value, &group), want, "{value}");
    }

    #[test]
    fn a_search_path_is_read_as_the_server_reads_it() {
        check("\"$user\", public", &["app", "public"]);
        check("public", &["public"]);
        check(
            "Sales,\"Quoted \"\" Name\" , c",
            &["sales", "Quoted \" Name", "c"],
        );
        check("", &[""]);
        check("\"\"", &[""]);
        check("a;drop", &["a;drop"]);
        for odd in ["\"open", "a b", "a,", ",a,,"] {
            let read = schemas(odd);
            assert!(
                read.is_none() || read.iter().flatten().any(String::is_empty),
                "{odd}: {read:?}"
            );
        }
    }

    #[test]
    fn limits_are_ones_that_the_server_takes() {
        assert_eq!(millis(SignedDuration::from_secs(0)), 1_000);
        assert_eq!(millis(SignedDuration::from_secs(-5)), 1_000);
        assert_eq!(millis(SignedDuration::from_hours(1)), 3_600_000);
        assert_eq!(
            millis(SignedDuration::from_hours(24 * 30)),
            i64::from(i32::MAX)
        );
    }
}
