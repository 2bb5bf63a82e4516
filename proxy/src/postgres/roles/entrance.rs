//! How one goes in to work on a role, and by which database to end what is the whole server's.
//!
//! Roles and memberships are no database's own. Whoever owns a database decides who gets in there and what the
//! server says and does there, and would keep what was lent for as long as that was the only way in.

use std::iter;

use ca::PassKey;
use policies::{Login, PostgresEndpoint, PostgresHost, RolePlace};

use super::{backends, role};
use crate::postgres::target::admin::{Admin, AdminError, Server};
use crate::session::road::Road;

/// Databases that every server has.
const ALWAYS_THERE: [&str; 2] = ["postgres", "template1"];

/// Goes in to work on a role, and ends what an earlier one of us still does about it: a server goes on with
/// what it was told though whoever told it is gone, and would make the role after it was removed.
pub(super) async fn to_make(
    (place, endpoint): (&RolePlace, &PostgresEndpoint),
    key: (&PassKey, &dyn Road),
) -> Result<Admin, AdminError> {
    let mut admin = Admin::enter(endpoint, &endpoint.dbname, &place.admin, key).await?;
    end_unheard(&mut admin, place).await?;
    Ok(admin)
}

/// The same to end what a role may, for which any database will do. With why the target's own lets nobody in,
/// where that is so.
pub(super) async fn to_unmake(
    (place, endpoint): (&RolePlace, &PostgresEndpoint),
    key: (&PassKey, &dyn Road),
) -> Result<(Admin, Option<AdminError>), AdminError> {
    let primary = Server::Primary(endpoint);
    let at = (ways(&endpoint.dbname, 0), &place.admin);
    to_end(primary, at, Some(place), key).await
}

/// By which databases what is the whole server's is ended: a target's own first, and others first where so many tries
/// ran out of their time.
pub(in crate::postgres) fn ways(own: &str, late: usize) -> Vec<&str> {
    let mut ways: Vec<&str> = iter::once(own).chain(ALWAYS_THERE).collect();
    for _late in 0..late.checked_rem(ways.len()).unwrap_or(0) {
        ways.rotate_left(1);
    }
    ways
}

/// Logs in to end what is the whole server's: where the first of these databases does not let us in, ends our connections
/// or answers nothing that makes sense, by another one. What an earlier one of us still does about a role is ended
/// before, where it is about one. With why the first could not be entered.
pub(in crate::postgres) async fn to_end(
    server: Server<'_>,
    (databases, admin): (Vec<&str>, &Login),
    about: Option<&RolePlace>,
    with: (&PassKey, &dyn Road),
) -> Result<(Admin, Option<AdminError>), AdminError> {
    let mut refused = None;
    for database in databases {
        match by(server, (database, admin), about, with).await {
            Ok(entered) => return Ok((entered, refused)),
            Err(other) if refused.is_none() && !other.is_of_one_database() => return Err(other),
            Err(other) => refused = refused.or(Some(other)),
        }
    }
    Err(refused.unwrap_or(AdminError::Nonsense))
}

/// The hosts of a target that has several: any but one of them may be a standby.
pub(super) fn beside(endpoint: &PostgresEndpoint) -> Vec<PostgresHost> {
    if endpoint.others.is_empty() {
        return Vec::new();
    }
    endpoint.hosts()
}

/// The same at one of a target's hosts. Nothing where it is not there: no session of ours is either, because its
/// sockets are gone.
pub(super) async fn to_end_at(
    host: &PostgresHost,
    (place, endpoint): (&RolePlace, &PostgresEndpoint),
    with: (&PassKey, &dyn Road),
) -> Result<Option<Admin>, AdminError> {
    let at = (ways(&endpoint.dbname, 0), &place.admin);
    match to_end(Server::Host(host), at, None, with).await {
        Ok((there, _other_database)) => Ok(Some(there)),
        Err(absent) if absent.is_of_no_host() => Ok(None),
        Err(refused) => Err(refused),
    }
}

/// The same, where that host is a standby. Nothing comes to another primary from the first: it is served by itself.
pub(super) async fn to_standby(
    host: &PostgresHost,
    place: (&RolePlace, &PostgresEndpoint),
    with: (&PassKey, &dyn Road),
) -> Result<Option<Admin>, AdminError> {
    let Some(mut there) = to_end_at(host, place, with).await? else {
        return Ok(None);
    };
    if there.is_primary().await? {
        there.leave().await;
        return Ok(None);
    }
    Ok(Some(there))
}

async fn by(
    server: Server<'_>,
    (database, admin): (&str, &Login),
    about: Option<&RolePlace>,
    with: (&PassKey, &dyn Road),
) -> Result<Admin, AdminError> {
    let mut entered = server.enter(database, admin, with).await?;
    if let Some(place) = about {
        end_unheard(&mut entered, place).await?;
    }
    Ok(entered)
}

/// Ends what an earlier one of us still does about a role: a server goes on with what it was told though whoever
/// told it is gone, and would make the role after it was removed.
async fn end_unheard(admin: &mut Admin, place: &RolePlace) -> Result<(), AdminError> {
    admin.run(role::sign(&place.role())).await?;
    backends::end_all(admin, role::END_UNHEARD).await.map(drop)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn what_ran_out_of_its_time_begins_with_another_database_and_comes_round() {
        let first = |late| ways("orders", late)[0];
        assert_eq!(
            [0, 1, 2, 3].map(first),
            ["orders", "postgres", "template1", "orders"]
        );
        assert_eq!(ways("orders", 2), ["template1", "orders", "postgres"]);
    }
}
