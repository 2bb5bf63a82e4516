//! The SQL by which the role of a grant gets exactly the privileges that were declared, and no
//! membership that has others.
//!
//! Pure: texts from names, every one quoted.

use std::collections::BTreeSet;

use policies::{Login, MARKER, Privilege, SqlKind};

use super::handover::{next_large_objects, next_relations};
use super::role::{ident, literal};

/// Gives `to` these privileges, and the use of the schemas that they are in. `how` is put behind each.
pub(crate) fn give(privileges: &[Privilege], to: &str, how: &str) -> String {
    let to = ident(to);
    let schemas: BTreeSet<&str> = privileges.iter().map(|one| one.schema.as_str()).collect();
    let usage = schemas
        .iter()
        .map(|schema| format!("grant usage on schema {} to {to}{how}; ", ident(schema)));
    let each = privileges
        .iter()
        .map(|one| format!("grant {} to {to}{how}; ", what(one)));
    usage.chain(each).collect()
}

fn what(privilege: &Privilege) -> String {
    let columns: Vec<String> = privilege.columns.iter().map(|name| ident(name)).collect();
    let columns = match columns.as_slice() {
        [] => String::new(),
        some => format!(" ({})", some.join(", ")),
    };
    let rights = privilege.rights.iter();
    let rights: Vec<String> = rights
        .map(|right| format!("{}{columns}", right.as_str().to_lowercase()))
        .collect();
    let (rights, schema) = (rights.join(", "), ident(&privilege.schema));
    match &privilege.table {
        None => format!("{rights} on all tables in schema {schema}"),
        Some(table) => format!("{rights} on table {schema}.{}", ident(table)),
    }
}

/// Makes the role one that `pg_hba.conf` knows, by a membership that has no rights.
pub(crate) fn mark(role: &str, with: &str) -> String {
    format!("grant {} to {}{with}; ", ident(MARKER), ident(role))
}

/// Removes what the role made in this database: it is nobody's. What it was given was taken back before, because
/// this fails where something of others depends on what it made.
pub(crate) fn clear(role: &Login) -> String {
    format!("drop owned by {}", ident(role.as_str()))
}

/// Removes the next large objects of the role: [`clear`] takes a lock for each, and a server has only so many. One row,
/// of how many there were.
pub(crate) fn unlink(role: &Login) -> String {
    let found = next_large_objects(role);
    format!("select pg_catalog.count(pg_catalog.lo_unlink(l.oid)) {found}")
}

/// The statements that remove the next tables, views, sequences and types of the role. Each may be in another one's way.
pub(crate) fn drops(role: &Login) -> String {
    let statement = "pg_catalog.format('drop %s if exists %I.%I', case c.relkind when 'v' then 'view' \
                     when 'm' then 'materialized view' when 'S' then 'sequence' when 'f' then 'foreign table' \
                     when 'c' then 'type' else 'table' end, n.nspname, c.relname)";
    next_relations(
        statement,
        &format!(
            "r.rolname = {} and c.relkind in ('r', 'p', 'v', 'm', 'f', 'S', 'c') and c.relpersistence <> 't' \
             and not exists (select from pg_catalog.pg_depend d where d.objid = c.oid \
             and d.classid = 'pg_catalog.pg_class'::pg_catalog.regclass and d.deptype in ('a', 'i') \
             and d.refclassid = d.classid)",
            literal(role.as_str())
        ),
    )
}

/// What these privileges make possible.
pub(crate) fn able(privileges: &[Privilege]) -> BTreeSet<SqlKind> {
    let rights = privileges.iter().flat_map(|one| &one.rights);
    rights.map(|right| right.kind()).collect()
}

/// The schemas in which such a role finds tables without a schema's name, in the order in which they were
/// named.
pub(crate) fn path(privileges: &[Privilege]) -> Vec<String> {
    let mut seen = BTreeSet::new();
    let mut path = Vec::new();
    for one in privileges {
        if seen.insert(one.schema.as_str()) {
            path.push(one.schema.clone());
        }
    }
    path
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn privileges_are_given_with_every_name_quoted() {
        let privileges: Vec<Privilege> = [
            "SELECT,UPDATE ON sales.Orders(id,total)",
            "SELECT ON public.*",
        ]
        .iter()
        .map(|text| text.parse().unwrap())
        .collect();
        assert_eq!(
            give(&privileges, "tg_a", ""),
            "grant usage on schema \"public\" to \"tg_a\"; grant usage on schema \"sales\" to \"tg_a\"; \
             grant select (\"id\", \"total\"), update (\"id\", \"total\") on table \"sales\".\"Orders\" to \"tg_a\"; \
             grant select on all tables in schema \"public\" to \"tg_a\"; "
        );
        assert_eq!(path(&privileges), ["sales", "public"]);
        assert_eq!(
            able(&privileges),
            BTreeSet::from([SqlKind::Select, SqlKind::Update])
        );
    }
}
