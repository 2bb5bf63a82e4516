//! What a role has prepared (`PREPARE TRANSACTION`), as itself and as others that it became.
//!
//! The server notes of a prepared transaction who its session was at that moment, and lets that role finish it
//! without asking for another right (`MarkAsPreparing` and `LockGXact`, twophase.c). So after `SET ROLE` what was done
//! with a grant's rights belongs to another role, which can commit it when the grant is long over.
//!
//! What nobody else can have prepared is rolled back. What others can have prepared as well may be an
//! application's, which another database has committed its half of: it is named, and left to people.

use std::collections::BTreeMap;

use ca::PassKey;
use jiff::SignedDuration;
use policies::words::entrance;
use policies::{Login, MARKER, PostgresEndpoint, RolePlace};

use super::elevation::{self, Lasted};
use super::role::{MEMBERSHIPS_FROM, literal, literal_bytes};
use crate::postgres::target::admin::{Admin, AdminError};
use crate::postgres::target::rows::{bytes, text};
use crate::session::road::Road;

/// What is added to how long a role was there, should the server's clock have been set meanwhile.
const MARGIN: SignedDuration = SignedDuration::from_secs(2);

/// How many roles are looked at that a role can become.
const OTHERS_MAX: usize = 200;

/// How many of them are named that are left, and how much of each name.
const NAMED_MAX: usize = 10;
const NAME_MAX: usize = 200;

/// Whose prepared transactions are meant.
#[derive(Debug)]
pub(super) struct Search {
    /// What the role itself has prepared: all of it, or only since then.
    own: Own,
    /// Whom it could become, whether or not it still can.
    others: Vec<u32>,
    /// The names of more of those.
    names: Vec<String>,
    /// The server's time, and how long the role has been there or elevated by then.
    span: (String, SignedDuration),
}

/// How much of its own is meant.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Own {
    /// All of it: the role was made for its grant.
    All,
    /// What is of the span: it was there before.
    OfSpan,
}

/// A transaction that is prepared.
#[derive(Debug)]
struct Prepared {
    gid: Vec<u8>,
    database: String,
    /// Its owner's name, quoted where it has to be.
    owner: Vec<u8>,
    /// Nobody else can have prepared it, and we can become who may roll it back.
    is_ours: bool,
}

/// How the right to become another is called.
fn becoming(version: u32) -> &'static str {
    if version >= MEMBERSHIPS_FROM {
        "SET"
    } else {
        "MEMBER"
    }
}

/// Whom the role can become beside itself.
async fn others(admin: &mut Admin, name: &Login) -> Result<Vec<u32>, AdminError> {
    let found = admin.run(becomes(name, admin.version())).await?;
    let numbers = found.iter().map(|row| text(row, 0).parse());
    let numbers: Result<Vec<u32>, _> = numbers.collect();
    numbers.map_err(|_odd| AdminError::Nonsense)
}

impl Search {
    /// All that the role of a grant can have prepared, as long as its memberships were not taken from it; and as whom
    /// such a role could be where it may become what it is a member of, when they were.
    pub(super) async fn of_made(
        admin: &mut Admin,
        place: &RolePlace,
        lasted: Lasted<'_>,
    ) -> Result<Self, AdminError> {
        let others = others(admin, &place.role()).await?;
        let now = elevation::server_time(admin).await?;
        let known = [place.group.as_str(), MARKER].map(str::to_owned);
        let becomes_all = admin.version() < MEMBERSHIPS_FROM;
        Ok(Self {
            own: Own::All,
            others,
            names: known.into_iter().filter(|_name| becomes_all).collect(),
            span: (now, lasted()),
        })
    }

    /// What an existing role can have prepared that was elevated; also as its group, where a member can become that.
    pub(super) async fn of_elevated(
        admin: &mut Admin,
        place: &RolePlace,
        span: (String, SignedDuration),
    ) -> Result<Self, AdminError> {
        Ok(Self {
            own: Own::OfSpan,
            others: others(admin, &place.role()).await?,
            names: (admin.version() < MEMBERSHIPS_FROM)
                .then(|| place.group.to_string())
                .into_iter()
                .collect(),
            span,
        })
    }
}

fn becomes(name: &Login, version: u32) -> String {
    format!(
        "select o.oid from pg_catalog.pg_roles a join pg_catalog.pg_roles o on o.oid <> a.oid \
         and pg_catalog.pg_has_role(a.oid, o.oid, '{}') where a.rolname = {} and not a.rolsuper \
         order by 1 limit {OTHERS_MAX}",
        becoming(version),
        literal(name.as_str())
    )
}

/// Rolls back what is prepared and certainly the role's, and returns how many there were. What is left to people is
/// named in `left`.
pub(super) async fn undo(
    admin: &mut Admin,
    search: &Search,
    at: (&RolePlace, &PostgresEndpoint),
    key: (&PassKey, &dyn Road),
    left: &mut Vec<String>,
) -> Result<u64, AdminError> {
    let found = find(admin, &at.0.role(), search).await?;
    left.extend(named(&found));
    roll_back(&found, at, key).await
}

/// Whether anything is prepared by a role that can become others.
pub(super) async fn is_there(
    admin: &mut Admin,
    name: &Login,
    search: &Search,
) -> Result<bool, AdminError> {
    if search.others.is_empty() {
        return Ok(false);
    }
    Ok(!find(admin, name, search).await?.is_empty())
}

async fn find(
    admin: &mut Admin,
    name: &Login,
    search: &Search,
) -> Result<Vec<Prepared>, AdminError> {
    let found = admin.run(query(name, search, admin.version())).await?;
    let each = found.iter().map(|row| Prepared {
        gid: bytes(row, 0),
        database: text(row, 1),
        owner: bytes(row, 2),
        is_ours: text(row, 3) == "t",
    });
    Ok(each.collect())
}

/// Others are whoever may log in and become the owner, but for superusers, ourselves and the roles of grants. What
/// changes roles or memberships is the grant's all the same: it would keep its own role from being shut
/// (`AlterRole` locks the role's row), and no application prepares that. Locks of what is prepared have no process; their
/// virtual transaction is the one of the session that was, until the server starts anew.
fn query(name: &Login, search: &Search, version: u32) -> String {
    let (name, becoming) = (literal(name.as_str()), becoming(version));
    let own = match search.own {
        Own::All => "or o.oid = a.oid",
        Own::OfSpan => "",
    };
    let numbers = search.others.iter().map(|oid| format!(" or o.oid = {oid}"));
    let names = search
        .names
        .iter()
        .map(|name| format!(" or o.rolname = {}", literal(name)));
    let others: String = numbers.chain(names).collect();
    let (now, lasted) = &search.span;
    let (now, lasted) = (literal(now), lasted.saturating_add(MARGIN).as_secs().max(0));
    format!(
        "select p.gid, p.database, pg_catalog.quote_ident(p.owner), o.oid = a.oid \
         or (pg_catalog.pg_has_role(current_user, o.oid, '{becoming}') and (not exists (\
         select from pg_catalog.pg_roles m where m.rolcanlogin and not m.rolsuper and m.oid <> a.oid \
         and m.rolname <> current_user and m.rolname !~ '^tg_[0-9a-z]{{26}}$' \
         and pg_catalog.pg_has_role(m.oid, o.oid, '{becoming}')) \
         or exists (select from pg_catalog.pg_locks t join pg_catalog.pg_locks l \
         on l.virtualtransaction = t.virtualtransaction and l.pid is null \
         where t.transactionid = p.transaction and t.pid is null and l.mode = 'RowExclusiveLock' and l.relation in (\
         'pg_catalog.pg_authid'::pg_catalog.regclass, 'pg_catalog.pg_auth_members'::pg_catalog.regclass)))) \
         from pg_catalog.pg_prepared_xacts p join pg_catalog.pg_roles o on o.rolname = p.owner \
         join pg_catalog.pg_roles a on a.rolname = {name} where (o.oid = a.oid{others}) \
         and (p.prepared >= {now}::pg_catalog.timestamptz - pg_catalog.make_interval(secs => {lasted}) {own}) \
         order by p.database, p.prepared"
    )
}

/// Names what is left to people.
fn named(found: &[Prepared]) -> Vec<String> {
    let left = found.iter().filter(|prepared| !prepared.is_ours);
    let mut names: Vec<String> = left
        .map(|prepared| {
            let [gid, owner] =
                [&prepared.gid, &prepared.owner].map(|name| String::from_utf8_lossy(name));
            let database = &prepared.database;
            let name = entrance::prepared(database, &literal(&gid), &owner);
            name.chars().take(NAME_MAX).collect()
        })
        .collect();
    if names.len() > NAMED_MAX {
        names.truncate(NAMED_MAX);
        names.push(entrance::MORE_PREPARED.to_owned());
    }
    names
}

/// Rolls back what is certainly of the role, each in its database and as its owner, and returns how many there were.
/// What cannot be rolled back, because its database lets nobody in, keeps none of the others: whoever owns a
/// database would else choose what is left to be committed later.
async fn roll_back(
    found: &[Prepared],
    (place, endpoint): (&RolePlace, &PostgresEndpoint),
    key: (&PassKey, &dyn Road),
) -> Result<u64, AdminError> {
    let mut places: BTreeMap<(&str, &[u8]), Vec<&[u8]>> = BTreeMap::new();
    for prepared in found.iter().filter(|prepared| prepared.is_ours) {
        let place = (prepared.database.as_str(), prepared.owner.as_slice());
        places.entry(place).or_default().push(&prepared.gid);
    }
    let mut count = 0_u64;
    let mut failed = None;
    for (at, gids) in places {
        let place = (place, endpoint);
        if let Err(refused) = roll_back_in(at, &gids, place, key, &mut count).await {
            failed = Some(refused);
        }
    }
    failed.map_or(Ok(count), Err)
}

async fn roll_back_in(
    (database, owner): (&str, &[u8]),
    gids: &[&[u8]],
    (place, endpoint): (&RolePlace, &PostgresEndpoint),
    key: (&PassKey, &dyn Road),
    count: &mut u64,
) -> Result<(), AdminError> {
    let mut there = Admin::enter(endpoint, database, &place.admin, key).await?;
    there.run([b"set role ", owner].concat()).await?;
    let mut failed = None;
    for gid in gids {
        let sql = [b"rollback prepared ".to_vec(), literal_bytes(gid)].concat();
        match there.run(sql).await {
            Ok(_none) => *count = count.saturating_add(1),
            Err(refused @ AdminError::Said { .. }) => failed = Some(refused),
            Err(broken) => return Err(broken),
        }
    }
    there.leave().await;
    failed.map_or(Ok(()), Err)
}

#[cfg(test)]
mod tests {
    use super::*;

    fn asked(lasted: SignedDuration) -> String {
        let search = Search {
            own: Own::OfSpan,
            others: vec![7],
            names: vec!["it's".to_owned()],
            span: ("now".to_owned(), lasted),
        };
        query(&Login::parse("alice").unwrap(), &search, 16)
    }

    #[test]
    fn what_was_prepared_is_looked_for_as_long_as_it_could_be_and_a_little_longer() {
        let sql = asked(SignedDuration::from_mins(1));
        assert!(sql.contains("make_interval(secs => 62)"), "{sql}");
        let sql = asked(SignedDuration::from_mins(-5));
        assert!(sql.contains("make_interval(secs => 0)"), "{sql}");
        assert!(
            sql.contains("(o.oid = a.oid or o.oid = 7 or o.rolname = 'it''s')"),
            "{sql}"
        );
    }

    #[test]
    fn what_others_can_have_prepared_is_named_and_not_more_than_anybody_reads() {
        let prepared = |is_ours, gid: String| Prepared {
            gid: gid.into_bytes(),
            database: "orders".to_owned(),
            owner: b"team".to_vec(),
            is_ours,
        };
        let found = [
            prepared(true, "ours".to_owned()),
            prepared(false, "it's".to_owned()),
        ];
        assert_eq!(named(&found), ["orders: prepared 'it''s' of team"]);
        let many: Vec<_> = (0..20).map(|n| prepared(false, n.to_string())).collect();
        let many = named(&many);
        assert_eq!((many.len(), many[10].as_str()), (11, "more: prepared"));
        let long = named(&[prepared(false, "x".repeat(1_000))]);
        assert_eq!(long[0].chars().count(), NAME_MAX);
    }
}
