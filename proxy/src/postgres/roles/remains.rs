//! What stays at a database of what was done as the role of a grant, by being its group's.
//!
//! A role that is a member of its group can change what the group owns, and give the group what it made.
//! Taking the role away does not undo that: it is found here and written down, for somebody to look at.
//! Found are rows of the catalogue that are of the oldest transaction which was there when the role was made, or of
//! a newer one: one that was begun before can do what the role lets it do. Which that was, the role's own comment
//! says, which was written then and which it cannot change. What others changed meanwhile is among them.
//!
//! Pure but for asking. Looks at one database at a time.

use std::collections::BTreeMap;

use policies::{Login, MARKER};

use super::opened;
use super::role::literal;
use crate::postgres::target::admin::{Admin, AdminError};
use crate::postgres::target::rows::text;

/// How many of each kind are written down: so that many of one do not hide the others.
const REMAINS_MAX: usize = 10;

/// How much of each, in characters.
const REMAIN_MAX: usize = 200;

/// What the comment of a role that is made ends with: the oldest transaction that changes something. Theirs have
/// numbers beside it, which wrap around; those of savepoints are larger than their transaction's.
pub(super) const OLDEST: &str = "select ' since ' || \
    pg_catalog.txid_snapshot_xmin(pg_catalog.txid_current_snapshot()) % 4294967296";

/// Looks for what will stay in the database that `admin` is in, before the role's own is handed over. That
/// it could not be looked for is written down in its place: it is no reason to keep the role.
pub(super) async fn found(
    admin: &mut Admin,
    (role, group): (&Login, &Login),
    database: &str,
) -> Vec<String> {
    let sql = query(role, group, admin.version());
    told(admin, sql, database).await
}

async fn told(admin: &mut Admin, sql: String, database: &str) -> Vec<String> {
    let named = |what: &str| format!("{database}: {what}");
    match admin.run(sql).await {
        Ok(rows) => {
            let told = rows.iter().map(|row| (text(row, 0), text(row, 1)));
            each(told).iter().map(|what| named(what)).collect()
        }
        Err(refused @ AdminError::Said { .. }) => vec![named(&format!("not known: {refused}"))],
        // The connection is of no use any more, which the next step finds as well.
        Err(_broken) => vec![named("not known")],
    }
}

/// Since when an existing role is a member of its group, as the transaction that made it one. None where it is not.
pub(super) async fn member_since(
    admin: &mut Admin,
    (role, group): (&Login, &Login),
) -> Result<Option<String>, AdminError> {
    let sql = format!(
        "select x.xmin::text from pg_catalog.pg_auth_members x \
         join pg_catalog.pg_roles g on g.oid = x.roleid join pg_catalog.pg_roles r on r.oid = x.member \
         where g.rolname = {} and r.rolname = {} order by pg_catalog.age(x.xmin) desc limit 1",
        literal(group.as_str()),
        literal(role.as_str())
    );
    let rows = admin.run(sql).await?;
    Ok(rows.first().map(|row| text(row, 0)))
}

/// What others are let to since then, in the database that `admin` is in, by the group's name: whoever is a member of a
/// group that may give rights on can give them to themselves.
pub(super) async fn let_to(
    admin: &mut Admin,
    (group, since): (&Login, &str),
    database: &str,
) -> Vec<String> {
    let all: Vec<String> = opened::queries(admin.version()).collect();
    let sql = format!(
        "with since as (select pg_catalog.age({}::pg_catalog.xid) as old), \
         theirs as (select oid, rolname from pg_catalog.pg_roles where rolname = {}) {}",
        literal(since),
        literal(group.as_str()),
        newest(&all)
    );
    told(admin, sql, database).await
}

/// What belongs to the role that all those with exact privileges are members of, in every database. Nothing should: before 16
/// whoever is in as one of those can become it, and what they make then is nobody's to remove, the catalogue not saying
/// whose hand it was.
pub(super) async fn of_all_grants(admin: &mut Admin) -> Result<Vec<String>, AdminError> {
    let owns = format!("{MARKER} owns");
    let sql = format!(
        "select distinct case when s.dbid = 0 or d.datname = pg_catalog.current_database() \
         then pg_catalog.left(pg_catalog.pg_describe_object(s.classid, s.objid, s.objsubid), {REMAIN_MAX}) \
         else 'something' end || coalesce(' in ' || d.datname, '') \
         from pg_catalog.pg_shdepend s left join pg_catalog.pg_database d on d.oid = s.dbid \
         join pg_catalog.pg_roles r on r.oid = s.refobjid \
         where s.refclassid = 'pg_catalog.pg_authid'::pg_catalog.regclass and s.deptype = 'o' \
         and r.rolname = {} order by 1 limit {}",
        literal(MARKER),
        REMAINS_MAX.saturating_add(1)
    );
    match admin.run(sql).await {
        Ok(rows) => Ok(each(rows.iter().map(|row| (owns.clone(), text(row, 0))))),
        Err(refused @ AdminError::Said { .. }) => Ok(vec![format!("not known: {refused}")]),
        Err(broken) => Err(broken),
    }
}

/// What cannot be looked at.
pub(super) fn unknown(database: &str, refused: &AdminError) -> String {
    let why: String = refused.to_string().chars().take(REMAIN_MAX).collect();
    format!("{database}: not known: {why}")
}

/// As many of each kind as are written down.
fn each(told: impl Iterator<Item = (String, String)>) -> Vec<String> {
    let mut counts: BTreeMap<String, usize> = BTreeMap::new();
    let mut remains = Vec::new();
    for (kind, what) in told {
        let count = counts.entry(kind.clone()).or_default();
        *count = count.saturating_add(1);
        if *count <= REMAINS_MAX {
            let what = format!("{kind} {what}");
            remains.push(what.chars().take(REMAIN_MAX).collect());
        }
    }
    let more = counts.iter().filter(|(_kind, count)| **count > REMAINS_MAX);
    remains.extend(more.map(|(kind, _count)| format!("more: {kind}")));
    remains
}

/// What others' doings on the group's own things set off, or what stands for them: how each is called, what is
/// written of one, from where, and whose it is.
const CHANGED: [(&str, &str, &str, &str); 21] = [
    (
        "definer",
        "x.oid::pg_catalog.regprocedure::text",
        "pg_catalog.pg_proc x",
        "x.prosecdef and x.proowner",
    ),
    (
        "function",
        "x.oid::pg_catalog.regprocedure::text",
        "pg_catalog.pg_proc x",
        "not x.prosecdef and x.proowner",
    ),
    (
        "trigger",
        "pg_catalog.quote_ident(x.tgname) || ' on ' || x.tgrelid::pg_catalog.regclass::text",
        "pg_catalog.pg_trigger x join pg_catalog.pg_class c on c.oid = x.tgrelid",
        "not x.tgisinternal and c.relowner",
    ),
    // A view is one, too.
    (
        "rule",
        "pg_catalog.quote_ident(x.rulename) || ' on ' || x.ev_class::pg_catalog.regclass::text",
        "pg_catalog.pg_rewrite x join pg_catalog.pg_class c on c.oid = x.ev_class",
        "c.relowner",
    ),
    (
        "policy",
        "pg_catalog.quote_ident(x.polname) || ' on ' || x.polrelid::pg_catalog.regclass::text",
        "pg_catalog.pg_policy x join pg_catalog.pg_class c on c.oid = x.polrelid",
        "c.relowner",
    ),
    // What a column gets by itself, also where it is made of others, runs as whoever writes there.
    (
        "column default",
        "x.adrelid::pg_catalog.regclass::text || '.' || pg_catalog.quote_ident(a.attname)",
        "pg_catalog.pg_attrdef x join pg_catalog.pg_class c on c.oid = x.adrelid \
         join pg_catalog.pg_attribute a on a.attrelid = x.adrelid and a.attnum = x.adnum",
        "c.relowner",
    ),
    (
        "check",
        "pg_catalog.quote_ident(x.conname) || ' on ' || x.conrelid::pg_catalog.regclass::text",
        "pg_catalog.pg_constraint x join pg_catalog.pg_class c on c.oid = x.conrelid",
        "x.contype = 'c' and c.relowner",
    ),
    (
        "index",
        "x.indexrelid::pg_catalog.regclass::text || ' on ' || x.indrelid::pg_catalog.regclass::text",
        "pg_catalog.pg_index x join pg_catalog.pg_class c on c.oid = x.indrelid",
        "(x.indexprs is not null or x.indpred is not null) and c.relowner",
    ),
    // Of expressions, which are computed whenever the table is analysed.
    (
        "statistics",
        "pg_catalog.quote_ident(x.stxname) || ' on ' || x.stxrelid::pg_catalog.regclass::text",
        "pg_catalog.pg_statistic_ext x join pg_catalog.pg_class c on c.oid = x.stxrelid",
        "c.relowner",
    ),
    (
        "setting",
        "pg_catalog.array_to_string(x.setconfig, ', ')",
        "pg_catalog.pg_db_role_setting x",
        "x.setrole",
    ),
    // It holds for all who come there, superusers included.
    (
        "database setting",
        "pg_catalog.quote_ident(d.datname) || ' ' || pg_catalog.array_to_string(x.setconfig, ', ')",
        "pg_catalog.pg_db_role_setting x join pg_catalog.pg_database d on d.oid = x.setdatabase",
        "x.setrole = 0 and d.datdba",
    ),
    (
        "database",
        "pg_catalog.quote_ident(x.datname) || ' lets in ' || x.datallowconn::text || ', limit ' || x.datconnlimit::text",
        "pg_catalog.pg_database x",
        "x.datdba",
    ),
    // What a domain asks and gives runs as whoever writes a value of it.
    (
        "domain check",
        "pg_catalog.quote_ident(x.conname) || ' on ' || x.contypid::pg_catalog.regtype::text",
        "pg_catalog.pg_constraint x join pg_catalog.pg_type c on c.oid = x.contypid",
        "x.contype = 'c' and c.typowner",
    ),
    (
        "domain default",
        "x.oid::pg_catalog.regtype::text",
        "pg_catalog.pg_type x",
        "x.typdefaultbin is not null and x.typowner",
    ),
    (
        "publication",
        "pg_catalog.quote_ident(x.pubname)",
        "pg_catalog.pg_publication x",
        "x.pubowner",
    ),
    (
        "published",
        "x.prrelid::pg_catalog.regclass::text || ' in ' || pg_catalog.quote_ident(p.pubname)",
        "pg_catalog.pg_publication_rel x join pg_catalog.pg_publication p on p.oid = x.prpubid",
        "p.pubowner",
    ),
    // To another host, say, with what its users are known by.
    (
        "server",
        "pg_catalog.quote_ident(x.srvname)",
        "pg_catalog.pg_foreign_server x",
        "x.srvowner",
    ),
    // These three can stand where a query of somebody else's means another.
    (
        "operator",
        "x.oid::pg_catalog.regoperator::text",
        "pg_catalog.pg_operator x",
        "x.oprowner",
    ),
    (
        "cast",
        "x.castsource::pg_catalog.regtype::text || ' as ' || x.casttarget::pg_catalog.regtype::text",
        "pg_catalog.pg_cast x join pg_catalog.pg_type t on t.oid in (x.castsource, x.casttarget)",
        "t.typowner",
    ),
    (
        "conversion",
        "pg_catalog.quote_ident(x.conname)",
        "pg_catalog.pg_conversion x",
        "x.condefault and x.conowner",
    ),
    // Trusted ones need no superuser; what they bring is the first superuser's.
    (
        "extension",
        "pg_catalog.quote_ident(x.extname)",
        "pg_catalog.pg_extension x",
        "x.extowner",
    ),
];

/// Those of them that are told of what the role made for itself, too, as it is the group's once it is handed over.
/// Indexes and statistics the server computes by itself, as whoever owns the table (`analyze` of its autovacuum), with the
/// group's rights from then on. Most others run as whoever touches a table that these inherit from or refer to, or as
/// whose query means another function or operator of that name. A publication can have the group's tables, an extension
/// brings more than it owns, and a server goes somewhere else; from 16 on a role cannot make them as its group.
const HANDED_OVER: [&str; 11] = [
    "index",
    "statistics",
    "trigger",
    "function",
    "operator",
    "cast",
    "conversion",
    "publication",
    "published",
    "server",
    "extension",
];

/// The same of what not everybody is shown the rows of, so that it is told by its number whether it is newer: how it is
/// called, what is written of one, from where, whose it is, its number, and since which version a group that is no
/// superuser can have one. (What an event trigger is, only a superuser can have.)
const NUMBERED: [(&str, &str, &str, &str, &str, u32); 2] = [
    (
        "user mapping",
        "coalesce(pg_catalog.quote_ident(x.usename), 'public') || ' on ' || pg_catalog.quote_ident(x.srvname)",
        "pg_catalog.pg_user_mappings x join pg_catalog.pg_foreign_server s on s.oid = x.srvid",
        "(x.umuser in (select oid from theirs) or s.srvowner in (select oid from theirs))",
        "x.umid",
        0,
    ),
    (
        "subscription",
        "pg_catalog.quote_ident(x.subname)",
        "pg_catalog.pg_subscription x join pg_catalog.pg_database d on d.oid = x.subdbid \
         and d.datname = pg_catalog.current_database()",
        "x.subowner in (select oid from theirs)",
        "x.oid",
        16,
    ),
];

/// What was changed of the group's since the role was made, and what others are let to or will be by default,
/// each with its kind. The newest of each first: what others have changed in a long time may be more.
fn query(role: &Login, group: &Login, version: u32) -> String {
    let (role, group) = (literal(role.as_str()), literal(group.as_str()));
    let changed = changed(&group);
    let numbered = NUMBERED.iter().filter(|numbered| version >= numbered.5);
    let numbered = numbered.map(|(kind, what, from, whose, number, _since)| {
        format!(
            "select '{kind}', {what}, 0 from {from} \
             where {whose} and {number} > (select oid from theirs where rolname = {role})"
        )
    });
    let all = opened::queries(version).chain(changed).chain(numbered);
    let all: Vec<String> = all.chain(others(&role, &group)).collect();
    format!(
        "with since as (select greatest(pg_catalog.age(d.xmin) - 1, pg_catalog.age( \
         pg_catalog.substring(d.description, ' since ([0-9]+)$')::pg_catalog.xid)) as old \
         from pg_catalog.pg_shdescription d \
         join pg_catalog.pg_roles r on r.oid = d.objoid \
         where d.classoid = 'pg_catalog.pg_authid'::pg_catalog.regclass and r.rolname = {role}), \
         theirs as (select oid, rolname from pg_catalog.pg_roles where rolname in ({role}, {group})) {}",
        newest(&all)
    )
}

/// Some of each kind of what these find, the newest first.
fn newest(all: &[String]) -> String {
    format!(
        "select kind, pg_catalog.left(what, {REMAIN_MAX}) from (select kind, what, \
         pg_catalog.row_number() over (partition by kind order by age, what) as number from ({}) f) g \
         where number <= {} order by 1, 2",
        all.join(" union all "),
        REMAINS_MAX.saturating_add(1)
    )
}

/// The queries for what others will be let to by default, whom the two made members of something, and what they made a
/// part of what is the group's.
fn others(role: &str, group: &str) -> [String; 4] {
    let by_default = format!(
        "select 'default', coalesce(n.nspname || ' ', '') || d.defaclobjtype::text || ' ' \
         || d.defaclacl::text, pg_catalog.age(d.xmin) from pg_catalog.pg_default_acl d \
         left join pg_catalog.pg_namespace n on n.oid = d.defaclnamespace, since \
         where d.defaclrole in (select oid from theirs where rolname = {group}) \
         and pg_catalog.age(d.xmin) <= old"
    );
    // Before 15 a role can make others members of itself; ours is one anyway.
    let members = "select 'member', m.rolname::text, 0 from pg_catalog.pg_auth_members x \
         join pg_catalog.pg_roles m on m.oid = x.member \
         where x.roleid in (select oid from theirs where rolname = "
        .to_owned()
        + role
        + ") and m.rolname <> current_user";
    // A group that administers others makes members of those, in its own name or (before 16) in the role's.
    let let_in = "select 'member of ' || pg_catalog.quote_ident(g.rolname), m.rolname::text, pg_catalog.age(x.xmin) \
         from pg_catalog.pg_auth_members x join pg_catalog.pg_roles g on g.oid = x.roleid \
         join pg_catalog.pg_roles m on m.oid = x.member, since \
         where x.grantor in (select oid from theirs) and pg_catalog.age(x.xmin) <= old \
         and m.rolname <> current_user"
        .to_owned();
    // What is checked of a child's rows runs as whoever writes to the table that it is a part of.
    let children = format!(
        "select 'child', x.inhrelid::pg_catalog.regclass::text || ' of ' || x.inhparent::pg_catalog.regclass::text, \
         pg_catalog.age(x.xmin) from pg_catalog.pg_inherits x \
         join pg_catalog.pg_class p on p.oid = x.inhparent join pg_catalog.pg_class c on c.oid = x.inhrelid, since \
         where p.relowner in (select oid from theirs where rolname = {group}) and p.relkind in ('r', 'p', 'f') \
         and c.relowner in (select oid from theirs) and pg_catalog.age(x.xmin) <= old"
    );
    [by_default, members, let_in, children]
}

/// The queries for what was changed of the group's, and for what runs of what the role made.
fn changed(group: &str) -> [String; CHANGED.len()] {
    CHANGED.map(|(kind, what, from, owner)| {
        let whose = if HANDED_OVER.contains(&kind) {
            "true".to_owned()
        } else {
            format!("rolname = {group}")
        };
        format!(
            "select '{kind}', {what}, pg_catalog.age(x.xmin) from {from}, since \
             where {owner} in (select oid from theirs where {whose}) \
             and pg_catalog.age(x.xmin) <= old"
        )
    })
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn many_of_one_kind_hide_none_of_another() {
        let definers = (0..11).map(|number| ("definer".to_owned(), format!("f{number}()")));
        let open = [("open".to_owned(), "orders {=r/app}".to_owned())];
        let told = each(definers.chain(open));
        assert_eq!(told.len(), 12);
        assert_eq!(told[10..], ["open orders {=r/app}", "more: definer"]);
    }
}
