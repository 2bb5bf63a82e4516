//! What stays at a database of what was done as the role of a grant, by being its group's.
//!
//! A role that is a member of its group can change what the group owns, and give the group what it made.
//! Taking the role away does not undo that: it is found here and written down, for somebody to look at.
//! Found are rows of the catalogue that are newer than the role's own comment, which was written as it was
//! made and which it cannot change; so what others changed meanwhile is among them.
//!
//! Pure but for asking. Looks at one database at a time.

use policies::Login;

use super::admin::{Admin, AdminError, text};
use super::role::literal;

/// How many are written down.
const REMAINS_MAX: usize = 50;

/// How much of each, in characters.
const REMAIN_MAX: usize = 200;

/// Looks for what will stay in the database that `admin` is in, before the role's own is handed over. That
/// it could not be looked for is written down in its place: it is no reason to keep the role.
pub(super) async fn found(
    admin: &mut Admin,
    (role, group): (&Login, &Login),
    database: &str,
) -> Vec<String> {
    let named = |what: &str| format!("{database}: {what}");
    match admin.run(query(role, group)).await {
        Ok(rows) => {
            let more = rows.len() > REMAINS_MAX;
            let each = rows.iter().take(REMAINS_MAX);
            let each = each.map(|row| text(row, 0).chars().take(REMAIN_MAX).collect::<String>());
            let mut remains: Vec<String> = each.map(|what| named(&what)).collect();
            if more {
                remains.push(named("more"));
            }
            remains
        }
        Err(refused @ AdminError::Said { .. }) => vec![named(&format!("not known: {refused}"))],
        // The connection is of no use any more, which the next step finds as well.
        Err(_broken) => vec![named("not known")],
    }
}

/// Functions that run with the group's rights, relations, schemas and functions that others are let to, and
/// what others will be let to by default.
fn query(role: &Login, group: &Login) -> String {
    let (role, group) = (literal(role.as_str()), literal(group.as_str()));
    let others = |acl: &str| {
        format!(
            "exists (select from pg_catalog.aclexplode({acl}) a \
             where a.grantee not in (select oid from theirs))"
        )
    };
    let limit = REMAINS_MAX.saturating_add(1);
    format!(
        "with since as (select pg_catalog.age(d.xmin) as old from pg_catalog.pg_shdescription d \
         join pg_catalog.pg_roles r on r.oid = d.objoid \
         where d.classoid = 'pg_catalog.pg_authid'::pg_catalog.regclass and r.rolname = {role}), \
         theirs as (select oid, rolname from pg_catalog.pg_roles where rolname in ({role}, {group})) \
         select 'definer ' || p.oid::pg_catalog.regprocedure::text from pg_catalog.pg_proc p, since \
         where p.proowner in (select oid from theirs where rolname = {group}) \
         and p.prosecdef and pg_catalog.age(p.xmin) < old \
         union all select 'open ' || c.oid::pg_catalog.regclass::text || ' ' || c.relacl::text \
         from pg_catalog.pg_class c, since where c.relowner in (select oid from theirs) \
         and pg_catalog.age(c.xmin) < old and {} \
         union all select 'open schema ' || n.nspname || ' ' || n.nspacl::text \
         from pg_catalog.pg_namespace n, since where n.nspowner in (select oid from theirs) \
         and pg_catalog.age(n.xmin) < old and {} \
         union all select 'default ' || coalesce(n.nspname || ' ', '') || d.defaclobjtype::text || ' ' \
         || d.defaclacl::text from pg_catalog.pg_default_acl d \
         left join pg_catalog.pg_namespace n on n.oid = d.defaclnamespace, since \
         where d.defaclrole in (select oid from theirs where rolname = {group}) \
         and pg_catalog.age(d.xmin) < old \
         order by 1 limit {limit}",
        others("c.relacl"),
        others("n.nspacl"),
    )
}
