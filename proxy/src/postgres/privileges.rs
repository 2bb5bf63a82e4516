//! The SQL by which the role of a grant gets exactly the privileges that were declared, and no
//! membership that has others.
//!
//! Pure: texts from names, every one quoted.

use std::collections::BTreeSet;

use policies::{Login, MARKER, Privilege, SqlKind};

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

/// The statements that take back what the role was given to single columns. `DROP OWNED` takes back rights to
/// whole tables for whoever may give those away, and may not where that is only so for columns.
pub(crate) fn on_columns(role: &Login) -> String {
    format!(
        "select pg_catalog.format('revoke all (%I) on table %I.%I from %I', \
         a.attname, n.nspname, c.relname, r.rolname) \
         from pg_catalog.pg_attribute a \
         join pg_catalog.pg_class c on c.oid = a.attrelid \
         join pg_catalog.pg_namespace n on n.oid = c.relnamespace \
         cross join lateral pg_catalog.aclexplode(a.attacl) x \
         join pg_catalog.pg_roles r on r.oid = x.grantee where r.rolname = {} group by 1",
        literal(role.as_str())
    )
}

/// Takes back what the role was given in this database, and removes what it made.
pub(crate) fn take_back(role: &Login, on_columns: &[String]) -> String {
    let mut all = vec!["begin".to_owned()];
    all.extend_from_slice(on_columns);
    all.push(format!("drop owned by {}", ident(role.as_str())));
    all.push("commit".to_owned());
    all.join("; ")
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
