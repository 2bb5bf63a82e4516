//! The SQL by which the role of a grant loses what it can do, and what is its own goes to its group.
//!
//! Its functions come to run with their caller's rights first, and its rights go next, each as far as that can be:
//! what is to be handed over can be such that handing over fails for good, and a function or view of the role would
//! keep them for whoever may call it. Statements that the server wrote for us stay the bytes that it sent, for a
//! session that speaks the server's encoding.
//!
//! Pure: texts from names, every one quoted.

use policies::Login;

use super::role::{MEMBERSHIPS_FROM, ident, literal};

/// How many rights may have come to nothing before the rest is left: what others gave is theirs to take back, and
/// without its group's rights the role is no way to anything of the group.
pub(super) const PASSED_OVER_MAX: usize = 1_000;

/// How long taking back waits for a lock: somebody can hold as many as there are.
pub(super) const WAITS: &[u8] = b"set local lock_timeout = '10ms'";

/// How many schemas and functions are made ready at once. One role can have made more than an answer has rows.
const READIED_AT_ONCE: usize = 1_000;

/// How many tables are handed over at once, where there are more.
pub(super) const TABLES_AT_ONCE: usize = 100;

/// How many locks are enough for one piece: a server has only so many (`max_locks_per_transaction`).
const LOCKS_ENOUGH: usize = 400;

/// How many locks a relation `c` takes, with what is a part of it.
const LOCKS: &str = "1 + case when c.reltoastrelid <> 0 then 2 else 0 end \
                     + (select pg_catalog.count(*) from pg_catalog.pg_index i where i.indrelid = c.oid)";

/// How many large objects are handed over or removed at once: each takes a lock.
pub(super) const OBJECTS_AT_ONCE: usize = 500;

/// How many rights are taken back at once.
const RIGHTS_AT_ONCE: usize = 500;

/// How many memberships are ended at once.
const MEMBERSHIPS_AT_ONCE: usize = 200;

/// How many bytes of statements are enough for one answer, which has room for four times as many: a hundred long
/// names of arguments make one of 20 kB.
const PIECE_ENOUGH: usize = 1024 * 1024;

/// How many things are named in whose way a role cannot be dropped.
const HOLDING_MAX: usize = 5;

/// The statements that end memberships of the role, whoever gave them, each with whether it is one in its group: the
/// next so many, first its group's, then those that are ours to take. Somebody else may have made more roles than an
/// answer has rows, and it a member of each.
pub(super) fn memberships(role: &Login, group: &Login, version: u32) -> String {
    let (by, whose) = if version >= MEMBERSHIPS_FROM {
        (" granted by %I", ", o.rolname")
    } else {
        ("", "")
    };
    format!(
        "select pg_catalog.format('revoke %I from %I{by}', g.rolname, r.rolname{whose}), g.rolname = {} \
         from pg_catalog.pg_auth_members x join pg_catalog.pg_roles g on g.oid = x.roleid \
         join pg_catalog.pg_roles r on r.oid = x.member \
         left join pg_catalog.pg_roles o on o.oid = x.grantor where r.rolname = {} \
         order by 2 desc, pg_catalog.pg_has_role(o.oid, 'USAGE') desc nulls last, 1 limit {MEMBERSHIPS_AT_ONCE}",
        literal(group.as_str()),
        literal(role.as_str())
    )
}

/// Whether the role is a member of its group: one row where it is.
pub(super) fn is_member(role: &Login, group: &Login) -> String {
    format!(
        "select 1 from pg_catalog.pg_auth_members x join pg_catalog.pg_roles g on g.oid = x.roleid \
         join pg_catalog.pg_roles r on r.oid = x.member where r.rolname = {} and g.rolname = {} limit 1",
        literal(role.as_str()),
        literal(group.as_str())
    )
}

/// What can be given to a role by name: what the statement says that takes it back, of what, from where, whose it
/// is, and where it says who was given it.
const GIVEN: [(&str, &str, &str, &str, &str); 10] = [
    (
        "case c.relkind when 'S' then 'sequence' else 'table' end || ' %I.%I'",
        "n.nspname, c.relname",
        "pg_catalog.pg_class c join pg_catalog.pg_namespace n on n.oid = c.relnamespace",
        "c.relowner",
        "c.relacl",
    ),
    (
        "'schema %I%s'",
        "n.nspname, ''",
        "pg_catalog.pg_namespace n",
        "n.nspowner",
        "n.nspacl",
    ),
    (
        "case p.prokind when 'p' then 'procedure' else 'function' end || ' %I.%I' || '('\
         || pg_catalog.replace(pg_catalog.pg_get_function_identity_arguments(p.oid), '%', '%%') || ')'",
        "n.nspname, p.proname",
        "pg_catalog.pg_proc p join pg_catalog.pg_namespace n on n.oid = p.pronamespace",
        "p.proowner",
        "p.proacl",
    ),
    (
        "'type %I.%I'",
        "n.nspname, t.typname",
        "pg_catalog.pg_type t join pg_catalog.pg_namespace n on n.oid = t.typnamespace",
        "t.typowner",
        "t.typacl",
    ),
    (
        "'large object %s%s'",
        "l.oid, ''",
        "pg_catalog.pg_largeobject_metadata l",
        "l.lomowner",
        "l.lomacl",
    ),
    (
        "'language %I%s'",
        "l.lanname, ''",
        "pg_catalog.pg_language l",
        "l.lanowner",
        "l.lanacl",
    ),
    (
        "'foreign server %I%s'",
        "f.srvname, ''",
        "pg_catalog.pg_foreign_server f",
        "f.srvowner",
        "f.srvacl",
    ),
    (
        "'foreign data wrapper %I%s'",
        "f.fdwname, ''",
        "pg_catalog.pg_foreign_data_wrapper f",
        "f.fdwowner",
        "f.fdwacl",
    ),
    (
        "'database %I%s'",
        "d.datname, ''",
        "pg_catalog.pg_database d",
        "d.datdba",
        "d.datacl",
    ),
    (
        "'tablespace %I%s'",
        "t.spcname, ''",
        "pg_catalog.pg_tablespace t",
        "t.spcowner",
        "t.spcacl",
    ),
];

/// The statements that take back what the role was given in this database and what is no database's, but for what
/// is its own. The next so many, after those that could not be taken back.
///
/// First those that the role was given by itself or its group: what others gave may be more than can ever be
/// taken back in time. And in another order each time that we come, which nobody knows before: what somebody
/// has locked would else stand before all the rest for good.
pub(super) fn rights((role, group): (&Login, &Login), passed_over: usize) -> String {
    let name = literal(role.as_str());
    let ours = format!("{name}, {}, current_user", literal(group.as_str()));
    let each = GIVEN.map(|(what, names, from, owner, acl)| {
        format!(
            "select pg_catalog.format('revoke all on ' || {what} || ' from %I cascade', {names}, r.rolname) as sql, x.grantor \
             from {from} cross join lateral pg_catalog.aclexplode({acl}) x \
             join pg_catalog.pg_roles r on r.oid = x.grantee where r.rolname = {name} and {owner} <> r.oid"
        )
    });
    let columns = format!(
        "select pg_catalog.format('revoke all (%I) on table %I.%I from %I cascade', \
         a.attname, n.nspname, c.relname, r.rolname), x.grantor \
         from pg_catalog.pg_attribute a \
         join pg_catalog.pg_class c on c.oid = a.attrelid \
         join pg_catalog.pg_namespace n on n.oid = c.relnamespace \
         cross join lateral pg_catalog.aclexplode(a.attacl) x \
         join pg_catalog.pg_roles r on r.oid = x.grantee where r.rolname = {name} and c.relowner <> r.oid"
    );
    // What is made from now on.
    let by_default = format!(
        "select pg_catalog.format('alter default privileges for role %I' \
         || coalesce(' in schema ' || pg_catalog.replace(pg_catalog.quote_ident(n.nspname), '%', '%%'), '') \
         || ' revoke all on %s from %I', o.rolname, \
         case d.defaclobjtype when 'r' then 'tables' when 'S' then 'sequences' when 'f' then 'functions' \
         when 'T' then 'types' when 'n' then 'schemas' else 'large objects' end, r.rolname), x.grantor \
         from pg_catalog.pg_default_acl d join pg_catalog.pg_roles o on o.oid = d.defaclrole \
         left join pg_catalog.pg_namespace n on n.oid = d.defaclnamespace \
         cross join lateral pg_catalog.aclexplode(d.defaclacl) x \
         join pg_catalog.pg_roles r on r.oid = x.grantee where r.rolname = {name} and o.oid <> r.oid"
    );
    let all: Vec<String> = each.into_iter().chain([columns, by_default]).collect();
    in_room(&format!(
        "select sql from ({}) s left join pg_catalog.pg_roles o on o.oid = s.grantor group by sql \
         order by pg_catalog.bool_or(exists (select from pg_catalog.pg_roles g where g.rolname in ({ours}) \
         and pg_catalog.pg_has_role(g.oid, o.oid, 'USAGE'))) desc nulls last, \
         pg_catalog.hashtextextended(sql, pg_catalog.pg_backend_pid()), 1 \
         limit {RIGHTS_AT_ONCE} offset {passed_over}",
        all.join(" union all ")
    ))
}

/// Whether such a piece may be all that there is.
pub(super) fn is_all(rights: &[Vec<u8>]) -> bool {
    rights.len() < RIGHTS_AT_ONCE && rights.iter().map(Vec::len).sum::<usize>() < PIECE_ENOUGH
}

/// Of what `ordered` finds, a column `sql`, as many as have room in an answer, and one in any case.
fn in_room(ordered: &str) -> String {
    format!(
        "select sql from (select sql, pg_catalog.sum(pg_catalog.octet_length(sql)) over \
         (rows between unbounded preceding and 1 preceding) as before from ({ordered}) o) s \
         where before is null or before < {PIECE_ENOUGH}"
    )
}

/// What has to be done before the role's own is handed over, as statements: the next so many of what is not done.
///
/// Each of its functions that run with their owner's rights is to run with the rights of whoever calls it;
/// `regprocedure` would not do for their names: what it writes of one procedure can be read as another, too. And a
/// schema that was closed has to let the role find those. Its own schemas also have to let its group make things:
/// `REASSIGN OWNED` asks for that for functions, and may come to them before the schema.
pub(super) fn before(role: &Login, group: &Login) -> String {
    let (role, group) = (literal(role.as_str()), literal(group.as_str()));
    in_room(&format!(
        "select sql from (\
         select 1 as step, pg_catalog.format('grant all on schema %I to %I, %I', n.nspname, r.rolname, {group}) as sql \
         from pg_catalog.pg_namespace n join pg_catalog.pg_roles r on r.oid = n.nspowner where r.rolname = {role} \
         and not (pg_catalog.has_schema_privilege(r.oid, n.oid, 'USAGE') \
         and pg_catalog.has_schema_privilege({group}, n.oid, 'USAGE') \
         and pg_catalog.has_schema_privilege({group}, n.oid, 'CREATE')) \
         union select 1, pg_catalog.format('grant usage on schema %I to %I', n.nspname, r.rolname) \
         from pg_catalog.pg_proc p join pg_catalog.pg_namespace n on n.oid = p.pronamespace \
         join pg_catalog.pg_roles r on r.oid = p.proowner join pg_catalog.pg_roles o on o.oid = n.nspowner \
         where r.rolname = {role} and o.rolname = {group} and p.prosecdef \
         and not pg_catalog.has_schema_privilege(r.oid, n.oid, 'USAGE') \
         union all select 2, pg_catalog.format('alter %s %I.%I(%s) security invoker', \
         case p.prokind when 'p' then 'procedure' else 'function' end, n.nspname, p.proname, \
         pg_catalog.pg_get_function_identity_arguments(p.oid)) \
         from pg_catalog.pg_proc p join pg_catalog.pg_namespace n on n.oid = p.pronamespace \
         join pg_catalog.pg_roles r on r.oid = p.proowner where r.rolname = {role} and p.prosecdef) s \
         order by step limit {READIED_AT_ONCE}"
    ))
}

/// Hands over the next tables, views and sequences of the role, but for those sequences that go with a table.
pub(super) fn tables(role: &Login, group: &Login) -> String {
    let (role, group) = (literal(role.as_str()), literal(group.as_str()));
    let statement = format!(
        "pg_catalog.format('alter table %I.%I owner to %I', n.nspname, c.relname, {group})"
    );
    next_relations(
        &statement,
        &format!(
            "r.rolname = {role} \
             and c.relkind in ('r', 'p', 'v', 'm', 'f', 'S') and c.relpersistence <> 't' \
             and not exists (select from pg_catalog.pg_depend d where c.relkind = 'S' and d.objid = c.oid \
             and d.classid = 'pg_catalog.pg_class'::pg_catalog.regclass and d.deptype in ('a', 'i') \
             and d.refclassid = d.classid and d.refobjsubid > 0)"
        ),
    )
}

/// The next relations `c` of a schema `n` and an owner `r`, the newest first, as a `statement` each and how many locks
/// it takes: as many as a server has locks for.
pub(super) fn next_relations(statement: &str, which: &str) -> String {
    format!(
        "select sql, locks from (select {statement} as sql, w.locks, pg_catalog.sum(w.locks) over \
         (order by c.oid desc rows between unbounded preceding and 1 preceding) as before \
         from pg_catalog.pg_class c join pg_catalog.pg_namespace n on n.oid = c.relnamespace \
         join pg_catalog.pg_roles r on r.oid = c.relowner \
         cross join lateral (select {LOCKS} as locks) w where {which}) s \
         where before is null or before < {LOCKS_ENOUGH} limit {TABLES_AT_ONCE}"
    )
}

/// Hands over the next types of the role, but for those that are of a table or of another type.
pub(super) fn types(role: &Login, group: &Login) -> String {
    let (role, group) = (literal(role.as_str()), literal(group.as_str()));
    format!(
        "select pg_catalog.format('alter type %I.%I owner to %I', n.nspname, t.typname, {group}) \
         from pg_catalog.pg_type t join pg_catalog.pg_namespace n on n.oid = t.typnamespace \
         join pg_catalog.pg_roles r on r.oid = t.typowner left join pg_catalog.pg_class c on c.oid = t.typrelid \
         where r.rolname = {role} and (t.typtype in ('d', 'e', 'r') or c.relkind = 'c') \
         and n.nspname !~ '^pg_temp_' limit {TABLES_AT_ONCE}"
    )
}

/// Hands over the next large objects of the role.
pub(super) fn large_objects(role: &Login, group: &Login) -> String {
    format!(
        "select pg_catalog.format('alter large object %s owner to %I', l.oid, {}) {}",
        literal(group.as_str()),
        next_large_objects(role)
    )
}

/// The next `l.oid` of the role. Found by whose they are, which has an index: there may be millions.
pub(super) fn next_large_objects(role: &Login) -> String {
    format!(
        "from (select s.objid as oid from pg_catalog.pg_shdepend s \
         where s.refclassid = 'pg_catalog.pg_authid'::pg_catalog.regclass \
         and s.refobjid = (select r.oid from pg_catalog.pg_roles r where r.rolname = {}) \
         and s.classid = 'pg_catalog.pg_largeobject'::pg_catalog.regclass and s.deptype = 'o' and s.dbid = \
         (select d.oid from pg_catalog.pg_database d where d.datname = pg_catalog.current_database()) \
         limit {OBJECTS_AT_ONCE}) l",
        literal(role.as_str())
    )
}

/// These statements, in one transaction in which the role is a member of its group, where it has to be made one:
/// tidegate's own role has the group's rights by it. A query of several statements is one transaction
/// (PostgreSQL, "Simple Query"), and nobody else sees what is in one.
pub(super) fn as_member(lent: Option<(&str, &str)>, statements: &[Vec<u8>]) -> Vec<u8> {
    let (before, after) = lent.unzip();
    let owned = |sql: &str| sql.as_bytes().to_vec();
    let all: Vec<Vec<u8>> = before
        .map(owned)
        .into_iter()
        .chain(statements.iter().cloned())
        .chain(after.map(owned))
        .collect();
    all.join(&b"; "[..])
}

/// Hands what the role owns in this database to its group, and takes away what it was given. [`before`] that its
/// functions: one that ran with the group's rights for everybody would outlive the grant.
pub(super) fn hand_over(role: &Login, group: &Login) -> [Vec<u8>; 2] {
    let (role, group) = (ident(role.as_str()), ident(group.as_str()));
    [
        format!("reassign owned by {role} to {group}").into_bytes(),
        format!("drop owned by {role}").into_bytes(),
    ]
}

/// In whose way the role cannot be dropped: things that name it, with whose each is and in which database.
pub(super) fn holding(oid: u32) -> String {
    format!(
        "select coalesce(d.datname || ': ', '') || case when s.dbid = 0 or d.datname = pg_catalog.current_database() \
         then pg_catalog.left(pg_catalog.pg_describe_object(s.classid, s.objid, s.objsubid), 200) \
         else 'something' end || ' of ' || coalesce((select pg_catalog.quote_ident(r.rolname) \
         from pg_catalog.pg_shdepend o join pg_catalog.pg_roles r on r.oid = o.refobjid \
         where o.dbid = s.dbid and o.classid = s.classid and o.objid = s.objid and o.deptype = 'o' \
         and o.refclassid = s.refclassid limit 1), 'a superuser') \
         from pg_catalog.pg_shdepend s left join pg_catalog.pg_database d on d.oid = s.dbid \
         where s.refclassid = 'pg_catalog.pg_authid'::pg_catalog.regclass and s.refobjid = {oid} \
         group by 1 order by 1 limit {HOLDING_MAX}"
    )
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_group_is_lent_for_one_transaction_at_most() {
        let statements = [b"alter function s.f(\xe9) security invoker".to_vec()];
        assert_eq!(
            as_member(Some(("grant g to r", "revoke g from r")), &statements),
            b"grant g to r; alter function s.f(\xe9) security invoker; revoke g from r"
        );
        assert_eq!(as_member(None, &statements), statements[0]);
    }
}
