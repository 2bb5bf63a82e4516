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

/// How many are told of.
const ROWS_MAX: usize = 100;

/// What each role found may do. Superusers may do everything: nothing else is said of them.
/// By `member`, not `usage`: a role that has to type `SET ROLE` before may do it as well.
const MAY: &str = "\
select a.rolname, 'superuser', '' from asked a where a.rolsuper \
union all \
select a.rolname, 'member', m.rolname from asked a join pg_catalog.pg_roles m on m.rolname in \
    ('pg_execute_server_program', 'pg_read_server_files', 'pg_write_server_files') \
    where not a.rolsuper and pg_catalog.pg_has_role(a.oid, m.oid, 'member') \
union all \
select a.rolname, 'call', p.oid::pg_catalog.regprocedure::text from asked a cross join pg_catalog.pg_proc p \
    join pg_catalog.pg_namespace n on n.oid = p.pronamespace \
    join pg_catalog.pg_language l on l.oid = p.prolang \
    where not a.rolsuper and ( \
        n.nspname = 'pg_catalog' and p.proname in ('pg_read_file', 'pg_read_binary_file', 'lo_import', 'lo_export') \
        or l.lanispl and not l.lanpltrusted \
        or p.proname in ('dblink', 'dblink_connect', 'dblink_connect_u', 'dblink_exec', 'dblink_open', \
            'dblink_send_query') \
            and exists (select from pg_catalog.pg_depend d \
                join pg_catalog.pg_extension e on e.oid = d.refobjid \
                where d.classid = 'pg_catalog.pg_proc'::pg_catalog.regclass and d.objid = p.oid and d.deptype = 'e' \
                and d.refclassid = 'pg_catalog.pg_extension'::pg_catalog.regclass and e.extname = 'dblink')) \
    and pg_catalog.has_schema_privilege(a.oid, n.oid, 'usage') \
    and pg_catalog.has_function_privilege(a.oid, p.oid, 'execute') \
union all \
select a.rolname, 'server', s.srvname from asked a cross join pg_catalog.pg_foreign_server s \
    where not a.rolsuper and pg_catalog.has_server_privilege(a.oid, s.oid, 'usage') \
union all \
select a.rolname, 'wrapper', w.fdwname from asked a cross join pg_catalog.pg_foreign_data_wrapper w \
    where not a.rolsuper and pg_catalog.has_foreign_data_wrapper_privilege(a.oid, w.oid, 'usage') \
order by 1, 2, 3";

/// What the roles of grants may do at a target, asked as `login`: each with what nobody's statements show.
pub(crate) async fn of(
    (target, endpoint): (&Target, &PostgresEndpoint),
    login: &Login,
    with: (&PassKey, &dyn Road),
) -> Result<BTreeMap<Login, BTreeSet<Power>>, AdminError> {
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
    let mut found = BTreeMap::<Login, BTreeSet<Power>>::new();
    for row in rows.unwrap_or(Err(AdminError::Slow))? {
        let power = power(&text(&row, 1), text(&row, 2));
        if let (Ok(role), Some(power)) = (Login::parse(&text(&row, 0)), power) {
            found.entry(role).or_default().insert(power);
        }
    }
    Ok(found)
}

/// Whose rights somebody gets there: those of the roles that are asked for, and, where a grant has exactly what was
/// declared, what everybody has.
fn roles(target: &Target, endpoint: &PostgresEndpoint) -> BTreeSet<String> {
    let exactly = |login: &Login| endpoint.privileges.contains_key(login);
    let roles = target.logins.iter();
    roles
        .map(|login| {
            if exactly(login) {
                MARKER.to_owned()
            } else {
                login.as_str().to_owned()
            }
        })
        .collect()
}

fn question(roles: &BTreeSet<String>) -> String {
    let roles: Vec<String> = roles.iter().map(|role| literal(role)).collect();
    format!(
        "with asked as (select oid, rolname, rolsuper from pg_catalog.pg_roles where rolname in ({})) {MAY} \
         limit {ROWS_MAX}",
        roles.join(", ")
    )
}

fn power(kind: &str, name: String) -> Option<Power> {
    let kind = match kind {
        "superuser" => PowerKind::Superuser,
        "member" => PowerKind::Member,
        "call" => PowerKind::Call,
        "server" => PowerKind::Server,
        "wrapper" => PowerKind::Wrapper,
        _other => return None,
    };
    Some(Power { kind, name })
}
