//! The SQL by which an existing role is made a member of a group for as long as a grant holds, and by
//! which that ends.
//!
//! Pure: texts from names, every one quoted. Whose a membership is, the catalogue says: what tidegate's
//! own role gave has that role as its grantor (`pg_auth_members.grantor`). What others gave is never
//! touched.

use policies::{Login, RolePlace};

use super::deadline::Deadline;
use super::role::{ident, literal};

/// The first major version in which a membership is one for each grantor, and says whether it is
/// inherited and can be become.
const GRANTORS_FROM: u32 = 16;

/// The first major version in which a role does not administer itself (PostgreSQL 15, "Release Notes").
const SELVES_UNTIL: u32 = 15;

/// Whose the membership `x` is, as a statement says it that ends it, with `more` behind: from 16 on it is one for each
/// grantor, and REVOKE is about the one that it names.
fn granted_by(version: u32, more: &str) -> String {
    if version < GRANTORS_FROM {
        return "''".to_owned();
    }
    format!(
        "pg_catalog.format(' granted by %I{more}', \
         (select o.rolname from pg_catalog.pg_roles o where o.oid = x.grantor))"
    )
}

/// How many things are named that a group administers.
const ADMINISTERED_MAX: usize = 5;

/// What there is: whether the role may log in, is a superuser, whether the group is one (nothing where it is
/// missing), whether the membership is there by our hand, whether the role can do what the group can, and who
/// else is a member of the role, with the statements that end that, and whether we may give the group. No row where there is no such role.
pub(super) fn look(place: &RolePlace, version: u32) -> String {
    let [account, group, admin] =
        [&place.role(), &place.group, &place.admin].map(|name| literal(name.as_str()));
    // Before 16 whoever is a member can become the group, whatever is inherited, and CREATEROLE makes anybody a
    // member of anything. From 16 on that takes ADMIN OPTION, with which one can also make oneself a member; who makes
    // a role has it there, and gains nothing by that where they have it on the group, too.
    let (able, harmless, giver) = if version >= GRANTORS_FROM {
        (
            "USAGE",
            "exists (select from pg_catalog.pg_auth_members y \
             where y.roleid = g.oid and y.member = m.oid and y.admin_option) \
             or not (x.inherit_option or x.set_option or x.admin_option)",
            "false",
        )
    } else {
        ("MEMBER", "m.rolcreaterole", "o.rolcreaterole")
    };
    let whose = granted_by(version, " cascade");
    format!(
        "select a.rolcanlogin, a.rolsuper, g.rolsuper, \
         exists (select from pg_catalog.pg_auth_members x join pg_catalog.pg_roles o on o.oid = x.grantor \
         where x.roleid = g.oid and x.member = a.oid and o.rolname = {admin}), \
         coalesce(pg_catalog.pg_has_role(a.oid, g.oid, '{able}'), false), \
         t.members, t.taken, \
         (select {giver} or pg_catalog.pg_has_role(o.oid, g.oid, 'MEMBER WITH ADMIN OPTION') \
         from pg_catalog.pg_roles o where o.rolname = {admin}) \
         from pg_catalog.pg_roles a left join pg_catalog.pg_roles g on g.rolname = {group} cross join lateral (\
         select pg_catalog.string_agg(distinct m.rolname, ', ') as members, \
         pg_catalog.string_agg(pg_catalog.format('revoke %I from %I', a.rolname, m.rolname) || {whose}, '; ' order by m.rolname) as taken \
         from pg_catalog.pg_auth_members x join pg_catalog.pg_roles m on m.oid = x.member \
         where x.roleid = a.oid and m.rolname <> {admin} and not (m.rolsuper or {harmless})) t \
         where a.rolname = {account}"
    )
}

/// To what the group `g` can let others, itself or as a member of what can, and what is typed to take that from it.
fn administers(version: u32) -> String {
    // Before 16 a member can become what has CREATEROLE, with which anybody is made a member of anything. From 16
    // on that takes ADMIN OPTION as well.
    let creators = if version >= GRANTORS_FROM {
        ""
    } else {
        "union select 'anybody (CREATEROLE)', pg_catalog.format('alter role %I nocreaterole', m.rolname) \
         from pg_catalog.pg_roles m where m.rolcreaterole and pg_catalog.pg_has_role(g.oid, m.oid, 'MEMBER') "
    };
    let whose = granted_by(version, "");
    // Before 15 a role that logs in administers itself, and gives itself away: to nobody's harm but its own.
    let own = if version < SELVES_UNTIL {
        "and x.grantor <> x.roleid "
    } else {
        ""
    };
    format!(
        "select pg_catalog.string_agg(distinct lets, ', ') as lets, pg_catalog.string_agg(taken, '; ') as taken from (\
         select r.rolname::text as lets, pg_catalog.format('revoke admin option for %I from %I', r.rolname, m.rolname) \
         || {whose} as taken from pg_catalog.pg_auth_members x join pg_catalog.pg_roles r on r.oid = x.roleid \
         join pg_catalog.pg_roles m on m.oid = x.member \
         where x.admin_option and r.oid <> g.oid and pg_catalog.pg_has_role(g.oid, m.oid, 'MEMBER') \
         {own}{creators}order by 1, 2 limit {ADMINISTERED_MAX}) s"
    )
}

/// What is to be known of a group before it is lent to a role: the two columns of [`administers`]. No
/// row where there is no such group.
pub(super) fn look_at_group(group: &Login, version: u32) -> String {
    format!(
        "select t.lets, t.taken from pg_catalog.pg_roles g cross join lateral ({}) t where g.rolname = {}",
        administers(version),
        literal(group.as_str())
    )
}

/// Whom our hand made a member of the group who is none of those who are to be elevated to it: a role that was
/// called otherwise when it was.
pub(super) fn strays(place: &RolePlace, declared: &[&Login]) -> String {
    let [group, admin] = [&place.group, &place.admin].map(|name| literal(name.as_str()));
    let declared = declared.iter().map(|name| literal(name.as_str()));
    let declared: Vec<String> = declared.chain([admin.clone()]).collect();
    format!(
        "select m.rolname from pg_catalog.pg_auth_members x \
         join pg_catalog.pg_roles g on g.oid = x.roleid join pg_catalog.pg_roles o on o.oid = x.grantor \
         join pg_catalog.pg_roles m on m.oid = x.member \
         where g.rolname = {group} and o.rolname = {admin} and m.rolname not in ({}) order by 1",
        declared.join(", ")
    )
}

/// Becomes the role and nothing else.
pub(super) fn become_it(account: &Login) -> String {
    format!(
        "begin; set local role {}; rollback",
        ident(account.as_str())
    )
}

/// Gives the membership, and gives back what `survey` finds then, in one transaction. We become the role
/// before: what we could not end is not begun. Nothing is given once the server's clock has passed `by`, when
/// nobody waits for it.
pub(super) fn give(place: &RolePlace, survey: &str, (version, by): (u32, Deadline)) -> String {
    let [account, group, admin] =
        [&place.role(), &place.group, &place.admin].map(|name| ident(name.as_str()));
    let how = if version >= GRANTORS_FROM {
        format!(" with admin false, inherit true, set false granted by {admin}")
    } else {
        String::new()
    };
    format!(
        "begin; set local role {account}; set local role none; \
         grant {group} to {account}{how}; {survey}; {}; commit",
        by.guard()
    )
}

/// Takes back the membership that is there by our hand. Before 16 there is only one, whoever gave it: that it
/// is ours was looked at just before.
pub(super) fn take_back(place: &RolePlace, version: u32) -> String {
    let [account, group, admin] =
        [&place.role(), &place.group, &place.admin].map(|name| ident(name.as_str()));
    let whose = if version >= GRANTORS_FROM {
        format!(" granted by {admin}")
    } else {
        String::new()
    };
    format!("revoke {group} from {account}{whose}")
}

/// What time it is at the server.
pub(super) const NOW: &str = "select pg_catalog.clock_timestamp()::text";

/// Ends every server process of the role that began before then, and tells which there were: as the role
/// itself, whose processes nobody else needs to be able to end.
pub(super) fn end(account: &Login, before: &str) -> String {
    format!(
        "begin; set local role {}; \
         select pid, pg_catalog.pg_terminate_backend(pid) from pg_catalog.pg_stat_activity \
         where usename = {} and backend_start <= {}::pg_catalog.timestamptz; commit",
        ident(account.as_str()),
        literal(account.as_str()),
        literal(before)
    )
}

#[cfg(test)]
mod tests {
    use policies::{Endpoint, GrantId, PostgresEndpoint, ServerPin, TargetName};

    use super::*;

    fn place() -> RolePlace {
        let named = |name: &str| Login::parse(name).unwrap();
        let pin = ServerPin::Certificate {
            sha256: String::new(),
        };
        RolePlace {
            grant: GrantId::new(jiff::Timestamp::UNIX_EPOCH, [7; 10]),
            target: TargetName::parse("orders").unwrap(),
            endpoint: Endpoint::Postgres(PostgresEndpoint::new(
                "db:5432".parse().unwrap(),
                "orders",
                pin,
            )),
            admin: named("tidegate_admin"),
            group: named("app_admin"),
            account: Some(named("alice")),
        }
    }

    #[test]
    fn a_membership_is_given_and_taken_back_as_our_own() {
        let place = place();
        let by = Deadline::read("7").unwrap();
        let given = give(&place, "select 1", (16, by));
        assert!(
            given.starts_with(
                "begin; set local role \"alice\"; set local role none; grant \"app_admin\" to \"alice\" \
                 with admin false, inherit true, set false granted by \"tidegate_admin\"; select 1; "
            ),
            "{given}"
        );
        assert!(
            given.contains("< 7 ") && given.ends_with("; commit"),
            "{given}"
        );
        assert_eq!(
            take_back(&place, 16),
            "revoke \"app_admin\" from \"alice\" granted by \"tidegate_admin\""
        );
        assert_eq!(take_back(&place, 15), "revoke \"app_admin\" from \"alice\"");
    }

    #[test]
    fn who_gives_itself_away_puts_nobody_out_of_a_group() {
        let app = Login::parse("app").unwrap();
        let passed_over = |version| look_at_group(&app, version).contains("x.grantor <> x.roleid");
        assert_eq!(
            [13, 14, 15, 16].map(passed_over),
            [true, true, false, false]
        );
    }
}
