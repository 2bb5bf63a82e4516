//! What the roles of a database target may do there beside reading and changing tables: run programs, read the
//! server's files, go on to other servers (security.md, P16). No rule about statements sees what comes of it.
//!
//! Only looks, at one host. What one role may is in the catalogue for every other to see.

use std::collections::{BTreeMap, BTreeSet};
use std::time::Duration;

use ca::PassKey;
use policies::words::cli::doctor::{Power, PowerKind};
use policies::{Login, MARKER, PostgresEndpoint, Target};
use tokio::time;

use super::role::literal;
use crate::postgres::target::admin::{Admin, AdminError};
use crate::postgres::target::rows::text;
use crate::session::road::Road;

/// How long that may take. `target add` waits ten seconds for everything.
const LIMIT: Duration = Duration::from_secs(3);

/// What each role found may do, by whom it has that, and how many of the kind there are; the first few of each are
/// named. Superusers may do everything: nothing else is said of them. By `member`, not `usage`: a role that has to type
/// `SET ROLE` before may do it as well. Until PostgreSQL 16 who may make roles may give them any that is no superuser
/// (`CREATEROLE`, Release Notes of 16).
const MAY: &str = "\
found as ( \
    select a.rolname, 'superuser' as kind, '' as name, '' as holder from asked a where a.rolsuper \
    union all \
    select a.rolname, 'makes', '', pg_catalog.quote_ident(a.rolname) from asked a \
        where not a.rolsuper and a.rolcreaterole \
        and pg_catalog.current_setting('server_version_num')::pg_catalog.int4 < 160000 \
    union all \
    select a.rolname, 'member', m.rolname, ( \
        select pg_catalog.string_agg(distinct pg_catalog.quote_ident(pg_catalog.pg_get_userbyid(g.member)), ', ') \
        from pg_catalog.pg_auth_members g \
        where g.roleid = m.oid and pg_catalog.pg_has_role(a.oid, g.member, 'member')) \
    from asked a join pg_catalog.pg_roles m on m.rolname in \
        ('pg_execute_server_program', 'pg_read_server_files', 'pg_write_server_files', 'pg_create_subscription') \
        where not a.rolsuper and pg_catalog.pg_has_role(a.oid, m.oid, 'member') \
    union all \
    select a.rolname, o.kind, o.name, ( \
        select pg_catalog.string_agg(distinct case g.grantee when 0 then 'public' \
            else pg_catalog.quote_ident(pg_catalog.pg_get_userbyid(g.grantee)) end, ', ') \
        from pg_catalog.aclexplode(o.acl) g \
        where g.grantee = 0 or pg_catalog.pg_has_role(a.oid, g.grantee, 'member')) \
    from asked a cross join lateral ( \
        select 'call' as kind, p.oid::pg_catalog.regprocedure::text as name, \
            coalesce(p.proacl, pg_catalog.acldefault('f', p.proowner)) as acl \
        from pg_catalog.pg_proc p join pg_catalog.pg_namespace n on n.oid = p.pronamespace \
            join pg_catalog.pg_language l on l.oid = p.prolang \
        where ( \
            n.nspname = 'pg_catalog' \
                and p.proname in ('pg_read_file', 'pg_read_binary_file', 'lo_import', 'lo_export') \
            or l.lanispl and not l.lanpltrusted \
            or p.proname in ('dblink', 'dblink_connect', 'dblink_connect_u', 'dblink_exec', 'dblink_open', \
                'dblink_send_query') \
                and exists (select from pg_catalog.pg_depend d \
                    join pg_catalog.pg_extension e on e.oid = d.refobjid \
                    where d.classid = 'pg_catalog.pg_proc'::pg_catalog.regclass and d.objid = p.oid \
                    and d.refclassid = 'pg_catalog.pg_extension'::pg_catalog.regclass \
                    and d.deptype = 'e' and e.extname = 'dblink')) \
            and pg_catalog.has_schema_privilege(a.oid, n.oid, 'usage') \
            and pg_catalog.has_function_privilege(a.oid, p.oid, 'execute') \
        union all \
        select 'server', pg_catalog.quote_ident(s.srvname), \
            coalesce(s.srvacl, pg_catalog.acldefault('S', s.srvowner)) \
        from pg_catalog.pg_foreign_server s \
        where pg_catalog.has_server_privilege(a.oid, s.oid, 'usage') \
        union all \
        select 'wrapper', pg_catalog.quote_ident(w.fdwname), \
            coalesce(w.fdwacl, pg_catalog.acldefault('F', w.fdwowner)) \
        from pg_catalog.pg_foreign_data_wrapper w \
        where pg_catalog.has_foreign_data_wrapper_privilege(a.oid, w.oid, 'usage')) o \
    where not a.rolsuper), \
ranked as (select *, pg_catalog.row_number() over (partition by rolname, kind order by name) as place, \
    pg_catalog.count(*) over (partition by rolname, kind) as all_of from found) \
select rolname, kind, name, holder, all_of from ranked where place <= 4 order by rolname, \
    pg_catalog.array_position(array['superuser', 'makes', 'member', 'server', 'wrapper', 'call'], kind), name";

/// What the roles of grants may do at a target, asked as `login`: each with what nobody's statements show.
pub(crate) async fn of(
    (target, endpoint): (&Target, &PostgresEndpoint),
    login: &Login,
    with: (&PassKey, &dyn Road),
) -> Result<BTreeMap<Login, Vec<Power>>, AdminError> {
    let question = question(&roles(target, endpoint));
    let looking = async {
        let mut last = AdminError::Broken;
        for host in endpoint.hosts() {
            match Admin::enter_at(&host, &endpoint.dbname, login, with).await {
                Ok(mut entered) => {
                    let rows = entered.run(&question).await?;
                    entered.leave().await;
                    return Ok(rows);
                }
                Err(refused) => last = refused,
            }
        }
        Err(last)
    };
    let rows = time::timeout(LIMIT, looking).await;
    let mut found = BTreeMap::<Login, Vec<Power>>::new();
    for row in rows.unwrap_or(Err(AdminError::Slow))? {
        let (Ok(role), Some(kind)) = (Login::parse(&text(&row, 0)), kind(&text(&row, 1))) else {
            continue;
        };
        let powers = found.entry(role).or_default();
        let name = text(&row, 2);
        match powers.last_mut().filter(|power| power.kind == kind) {
            Some(power) => power.names.push(name),
            None => powers.push(Power {
                kind,
                names: vec![name],
                all: text(&row, 4).parse().unwrap_or(0),
                holders: text(&row, 3),
            }),
        }
    }
    Ok(found)
}

/// Whose rights somebody gets there: those of the roles that are asked for, of those that are lent them, and, where a
/// grant has exactly what was declared, what everybody has.
fn roles(target: &Target, endpoint: &PostgresEndpoint) -> BTreeSet<String> {
    let exactly = |login: &Login| endpoint.privileges.contains_key(login);
    let asked = target.logins.iter().map(|login| {
        if exactly(login) {
            MARKER.to_owned()
        } else {
            login.as_str().to_owned()
        }
    });
    let lent = endpoint.elevations.values().flat_map(BTreeMap::values);
    asked
        .chain(lent.map(|login| login.as_str().to_owned()))
        .collect()
}

fn question(roles: &BTreeSet<String>) -> String {
    let roles: Vec<String> = roles.iter().map(|role| literal(role)).collect();
    format!(
        "with asked as (select oid, rolname, rolsuper, rolcreaterole from pg_catalog.pg_roles where rolname in ({})), {MAY}",
        roles.join(", ")
    )
}

fn kind(kind: &str) -> Option<PowerKind> {
    Some(match kind {
        "superuser" => PowerKind::Superuser,
        "makes" => PowerKind::Makes,
        "member" => PowerKind::Member,
        "call" => PowerKind::Call,
        "server" => PowerKind::Server,
        "wrapper" => PowerKind::Wrapper,
        _other => return None,
    })
}
