//! Elevates an existing role for as long as a grant holds, and ends that: the membership first, then
//! whatever the role still does that it began while it had it.
//!
//! Ending is good from any point, like removing a role that was made. What the role made meanwhile is
//! its own and stays; what others gave it is not ours and stays as well.

use ca::PassKey;
use control::roles::{Findings, Made, Membership, Parting, Removed};
use jiff::SignedDuration;
use policies::words::elevation::Unfit;
use policies::{Login, PostgresEndpoint, PostgresHost, RolePlace, RolePlan};
use tokio::time;

use super::backends::{self, LOOKS, PAUSE, counted};
use super::deadline::Deadline;
use super::prepared::{self, Search};
use super::{entrance, membership, remains, role};
use crate::postgres::target::admin::{Admin, AdminError};
use crate::postgres::target::rows::text;
use crate::session::road::Road;

/// The first major version whose roles cannot take their membership from others than those who gave it
/// (PostgreSQL 15, "Release Notes": a role that logs in had `ADMIN OPTION` on itself). Before, an elevated role puts
/// tidegate out of itself, which then may not end what it does.
const ELEVATES_FROM: u32 = 15;

/// How long the role may have been elevated by now.
pub(crate) type Lasted<'a> = &'a (dyn Fn() -> SignedDuration + Sync);

/// What is seen of a role and the group that it is lent.
#[derive(Debug)]
struct Seen {
    can_login: bool,
    is_superuser: bool,
    /// Whether the group is a superuser; none where there is no such group.
    group: Option<bool>,
    membership: Held,
    /// Who else is a member of the role.
    members: String,
    /// The statements that end that.
    taken: String,
    /// Whether we may make others members of the group.
    gives: bool,
    /// The server's major version.
    version: u32,
}

/// What is seen of the role's membership in the group.
#[derive(Debug)]
struct Held {
    /// Whether it is there by our hand.
    ours: bool,
    /// Whether the role can do what the group can, by whomever.
    able: bool,
}

/// Looks whether the role can be elevated.
pub(crate) async fn look(
    (plan, endpoint): (&RolePlan, &PostgresEndpoint),
    key: (&PassKey, &dyn Road),
) -> Result<(), AdminError> {
    let mut admin = entrance::to_make((&plan.place, endpoint), key).await?;
    let seen = seen(&mut admin, &plan.place).await?;
    fits(plan, seen.as_ref())?;
    lets_nobody_in(&mut admin, &plan.place).await?;
    // Whoever may not become it could not end what it does either.
    admin.run(membership::become_it(&plan.place.role())).await?;
    admin.leave().await;
    Ok(())
}

/// Makes the role of a grant a member of its group.
pub(crate) async fn make(
    (plan, endpoint): (&RolePlan, &PostgresEndpoint),
    key: (&PassKey, &dyn Road),
) -> Result<Made, AdminError> {
    let place = &plan.place;
    let mut admin = entrance::to_make((place, endpoint), key).await?;
    let seen = seen(&mut admin, place).await?;
    fits(plan, seen.as_ref())?;
    lets_nobody_in(&mut admin, place).await?;
    let survey = role::survey(&place.role());
    let by = Deadline::set(&mut admin).await?;
    let sql = membership::give(place, &survey, (admin.version(), by));
    let found = admin.run(sql).await?;
    let found = found.first().ok_or(AdminError::Nonsense)?;
    let able = role::able(found);
    admin.leave().await;
    Ok(Made { able })
}

/// That this role can be lent this group, and that it goes again as it came.
fn fits(plan: &RolePlan, seen: Option<&Seen>) -> Result<(), AdminError> {
    let place = &plan.place;
    let (role, group) = (place.role().to_string(), place.group.to_string());
    let refuse = |unfit| Err(AdminError::Unfit(unfit));
    let Some(seen) = seen else {
        return refuse(Unfit::Missing { role });
    };
    match seen.group {
        None => return refuse(Unfit::Missing { role: group }),
        Some(true) => return refuse(Unfit::Superuser { role: group }),
        Some(false) => {}
    }
    if seen.is_superuser {
        return refuse(Unfit::Superuser { role });
    }
    if !seen.can_login {
        return refuse(Unfit::NoLogin { role });
    }
    if (1..ELEVATES_FROM).contains(&seen.version) {
        let version = seen.version;
        return refuse(Unfit::Old { version });
    }
    if !seen.gives {
        return refuse(Unfit::Ungiven { group });
    }
    if !seen.members.is_empty() {
        let (members, taken) = (seen.members.clone(), seen.taken.clone());
        return refuse(Unfit::Members {
            role,
            members,
            taken,
        });
    }
    if seen.membership.ours && !plan.shared {
        return refuse(Unfit::Unknown { role, group });
    }
    Ok(())
}

/// That whoever is lent the group lets nobody in to anything beyond the grant.
pub(super) async fn lets_nobody_in(admin: &mut Admin, place: &RolePlace) -> Result<(), AdminError> {
    let sql = membership::look_at_group(&place.group, admin.version());
    let seen = admin.run(sql).await?;
    let [lets, taken] =
        [0, 1].map(|column| seen.first().map_or(String::new(), |row| text(row, column)));
    if lets.is_empty() {
        return Ok(());
    }
    let group = place.group.to_string();
    Err(AdminError::Unfit(Unfit::Administers { group, lets, taken }))
}

/// Takes the membership back, unless another grant has it too, and ends what the role began with it.
///
/// Any database of the server's will do: all of it is the whole server's but what was prepared, each of which says
/// in which database it is.
pub(super) async fn remove(
    mut admin: Admin,
    (place, endpoint): (&RolePlace, &PostgresEndpoint),
    (parting, lasted, findings): (Parting, Lasted<'_>, &dyn Findings),
    key: (&PassKey, &dyn Road),
) -> Result<Removed, AdminError> {
    let mut removed = Removed::default();
    let Some(before) = seen(&mut admin, place).await? else {
        no_stray(&mut admin, (place, endpoint)).await?;
        admin.leave().await;
        return Ok(removed);
    };
    if parting.shared {
        removed.membership = Some(Membership::Shared);
        admin.leave().await;
        return Ok(removed);
    }
    let name = place.role();
    let since = remains::member_since(&mut admin, (&name, &place.group)).await?;
    if before.membership.ours {
        take_back(&mut admin, place).await?;
    }
    // In this order, so that what was prepared at the very beginning is in the span.
    let now = server_time(&mut admin).await?;
    let lasted = lasted();
    let after = seen(&mut admin, place).await?;
    if after.as_ref().is_some_and(|after| after.membership.ours) {
        return Err(AdminError::StillThere);
    }
    if after.is_some_and(|after| after.membership.able) {
        // It can do the same as before: what it does is not by our hand.
        removed.membership = Some(Membership::Standing);
        admin.leave().await;
        return Ok(removed);
    }
    removed.membership = Some(Membership::Ended);
    let ended = end_all(&mut admin, &name).await?;
    if let Some(since) = since {
        let member = (&place.group, since.as_str());
        removed.remains = remains::let_to(&mut admin, member, &endpoint.dbname).await;
    }
    // Before anything at standbys: one that is behind would leave it to be committed by whoever prepared it.
    let search = Search::of_elevated(&mut admin, place, (now, lasted)).await?;
    let left = &mut removed.remains;
    let prepared = prepared::undo(&mut admin, &search, (place, endpoint), key, left).await;
    let elsewhere = end_elsewhere((place, endpoint), key).await;
    removed.backends = ended.saturating_add(counted(&elsewhere));
    removed.prepared = counted(&prepared);
    let kept = findings.keep(&removed).await;
    kept.map_err(AdminError::Unkept)?;
    elsewhere.and(prepared)?;
    admin.leave().await;
    Ok(removed)
}

/// That a role which is not there any more was not renamed with its membership: it would have it for ever.
async fn no_stray(
    admin: &mut Admin,
    (place, endpoint): (&RolePlace, &PostgresEndpoint),
) -> Result<(), AdminError> {
    let declared = endpoint.elevations.get(&place.group);
    let declared: Vec<&Login> = declared.into_iter().flat_map(|all| all.values()).collect();
    let strays = admin.run(membership::strays(place, &declared)).await?;
    let Some(stray) = strays.first() else {
        return Ok(());
    };
    Err(AdminError::Unfit(Unfit::Unknown {
        role: text(stray, 0),
        group: place.group.to_string(),
    }))
}

/// Who holds a lock in our way is the role itself, or somebody who will have let go when it is tried again.
async fn take_back(admin: &mut Admin, place: &RolePlace) -> Result<(), AdminError> {
    let sql = membership::take_back(place, admin.version());
    if admin.run(&sql).await.is_ok() {
        return Ok(());
    }
    let now = server_time(admin).await?;
    admin.run(membership::end(&place.role(), &now)).await?;
    time::sleep(PAUSE).await;
    admin.run(&sql).await.map(drop)
}

async fn seen(admin: &mut Admin, place: &RolePlace) -> Result<Option<Seen>, AdminError> {
    let rows = admin.run(membership::look(place, admin.version())).await?;
    let told = |row, column| text(row, column) == "t";
    Ok(rows.first().map(|row| Seen {
        can_login: told(row, 0),
        is_superuser: told(row, 1),
        group: row.get(2).and_then(Option::as_deref).map(|is| is == b"t"),
        membership: Held {
            ours: told(row, 3),
            able: told(row, 4),
        },
        members: text(row, 5),
        taken: text(row, 6),
        gives: told(row, 7),
        version: admin.version(),
    }))
}

/// What time it is at the server.
pub(super) async fn server_time(admin: &mut Admin) -> Result<String, AdminError> {
    let rows = admin.run(membership::NOW).await?;
    let row = rows.first().ok_or(AdminError::Nonsense)?;
    Ok(text(row, 0))
}

/// Ends what the role began up to now, and returns how many processes that were once all are gone. What
/// it begins from here on has no more rights than are its own.
async fn end_all(admin: &mut Admin, account: &Login) -> Result<u64, AdminError> {
    let now = server_time(admin).await?;
    backends::end_all(admin, &membership::end(account, &now)).await
}

/// The same at the standbys, each once it has copied that the membership is gone.
async fn end_elsewhere(
    (place, endpoint): (&RolePlace, &PostgresEndpoint),
    key: (&PassKey, &dyn Road),
) -> Result<u64, AdminError> {
    let hosts = entrance::beside(endpoint);
    let ending = hosts
        .iter()
        .map(|host| end_at(host, (place, endpoint), key));
    backends::summed(ending.collect()).await
}

/// At once, for what is there now; and again once nothing can come after it.
async fn end_at(
    host: &PostgresHost,
    (place, endpoint): (&RolePlace, &PostgresEndpoint),
    key: (&PassKey, &dyn Road),
) -> Result<u64, AdminError> {
    let Some(mut there) = entrance::to_standby(host, (place, endpoint), key).await? else {
        return Ok(0);
    };
    let count = end_all(&mut there, &place.role()).await?;
    copied(&mut there, place).await?;
    let after = end_all(&mut there, &place.role()).await?;
    there.leave().await;
    Ok(count.saturating_add(after))
}

async fn copied(there: &mut Admin, place: &RolePlace) -> Result<(), AdminError> {
    for _look in 0..LOOKS {
        let seen = seen(there, place).await?;
        if seen.is_none_or(|seen| !seen.membership.ours) {
            return Ok(());
        }
        time::sleep(PAUSE).await;
    }
    Err(AdminError::StillThere)
}
