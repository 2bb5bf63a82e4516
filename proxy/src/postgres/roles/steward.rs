//! Makes the role of a grant at its database, and takes it away with everything it left behind.
//!
//! Removing is good from any point: what is not there is passed over, so it can be tried again after
//! whatever went wrong. First the role can log in no more, but for what it prepared as others, which takes its
//! memberships; and last it is looked for.

use std::collections::BTreeSet;
use std::slice;
use std::time::Duration;

use ca::PassKey;
use control::roles::{Findings, Made, Parting, Removed};
use policies::words::entrance::not_looked_into;
use policies::{FENCED, Login, PostgresEndpoint, PostgresHost, RolePlace, RolePlan, SqlKind};
use tokio::time;

use super::backends::{self, HOST_LIMIT, PAUSE, counted, within};
use super::deadline::Deadline;
use super::elevation::Lasted;
use super::prepared::{self, Search};
use super::tried::Tried;
use super::{elevation, entrance, handover, primaries, privileges, remains, role};
use crate::postgres::target::admin::{Admin, AdminError};
use crate::postgres::target::rows::{bytes, text};
use crate::session::road::Road;

/// How long of that it may take to hand over what it has in one database. The next time goes on from there.
const DATABASE_LIMIT: Duration = Duration::from_secs(25);

/// How long of that what the role prepared may take, and again what it does at standbys: to hand over comes after.
const BEFORE_LIMIT: Duration = Duration::from_secs(15);

/// Into how many more databases is looked for what a group was left.
const LOOKED_INTO_MAX: usize = 16;

/// Makes a role; there is none of its name. An existing one is elevated.
pub(crate) async fn make(
    (plan, endpoint): (&RolePlan, &PostgresEndpoint),
    key: (&PassKey, &dyn Road),
) -> Result<Made, AdminError> {
    let place = &plan.place;
    if place.account.is_some() {
        return elevation::make((plan, endpoint), key).await;
    }
    let mut admin = entrance::to_make((place, endpoint), key).await?;
    let declared = endpoint.privileges.get(&place.group).map(Vec::as_slice);
    let (able, path, oldest) = if let Some(declared) = declared {
        let able = privileges::able(declared);
        (able, privileges::path(declared), String::new())
    } else {
        elevation::lets_nobody_in(&mut admin, place).await?;
        let oldest = admin.run(remains::OLDEST).await?;
        let oldest = oldest.first().ok_or(AdminError::Nonsense)?;
        let (able, path) = surveyed(&mut admin, place).await?;
        (able, path, text(oldest, 0))
    };
    let only_reads = plan.only_reads() || able.iter().all(|kind| *kind == SqlKind::Select);
    let by = Deadline::set(&mut admin).await?;
    let how = (path.as_slice(), only_reads, oldest.as_str());
    let sql = role::make(plan, declared, how, (admin.version(), by));
    admin.run(sql).await?;
    admin.leave().await;
    Ok(Made { able })
}

/// What the group can do to anything at all, and where it finds tables.
async fn surveyed(
    admin: &mut Admin,
    place: &RolePlace,
) -> Result<(BTreeSet<SqlKind>, Vec<String>), AdminError> {
    let seen = admin.run(role::survey(&place.group)).await?;
    let seen = seen.first().ok_or(AdminError::Nonsense)?;
    let path = role::search_path(&text(seen, FENCED.len()), &place.group);
    Ok((role::able(seen), path))
}

/// Ends whatever a role does and removes it, at each host that takes changes. An existing one stays, and is
/// elevated no more.
pub(crate) async fn remove(
    (place, endpoint): (&RolePlace, &PostgresEndpoint),
    parting: (Parting, Lasted<'_>, &dyn Findings),
    key: (&PassKey, &dyn Road),
) -> Result<Removed, AdminError> {
    let mut at = None;
    let first = Box::pin(remove_at((place, endpoint), parting, (key, &mut at)));
    let mut outcome = within(HOST_LIMIT, first).await;
    // Afterwards: a host that is slow to say what it is holds up nothing at the others, nor does one where it
    // cannot be done.
    let (others, failed) = primaries::beside(at.as_ref(), (place, endpoint), key).await;
    for other in others {
        let at = &mut None;
        let there = Box::pin(remove_at((place, &other), parting, (key, at)));
        let there = within(HOST_LIMIT, there).await;
        outcome = outcome.and_then(|removed| Ok(removed.joined(there?)));
    }
    outcome.and_then(|removed| failed.map_or(Ok(removed), Err))
}

/// The same at the first host that takes changes, which is told as soon as it is known.
async fn remove_at(
    (place, endpoint): (&RolePlace, &PostgresEndpoint),
    parting: (Parting, Lasted<'_>, &dyn Findings),
    (key, at): ((&PassKey, &dyn Road), &mut Option<PostgresHost>),
) -> Result<Removed, AdminError> {
    let (mut admin, closed) = entrance::to_unmake((place, endpoint), key).await?;
    *at = Some(admin.host().clone());
    if place.account.is_some() {
        return elevation::remove(admin, (place, endpoint), parting, key).await;
    }
    let name = place.role();
    let mut removed = Removed::default();
    let Some(oid) = number(&mut admin, place).await? else {
        admin.leave().await;
        return Ok(removed);
    };
    let search = Search::of_made(&mut admin, place, parting.1).await?;
    // Whatever one of these comes to, the next is tried: it may take more from the role than that left.
    let lent = Box::pin(undo_as_others(&mut admin, &search, (place, endpoint), key));
    let lent = within(BEFORE_LIMIT, lent).await;
    if let Err(AdminError::Slow | AdminError::Broken | AdminError::Nonsense) = lent {
        // A question may have been left without its answer: the next one would get that.
        (admin, _) = entrance::to_unmake((place, endpoint), key).await?;
    }
    let closing = shut(&mut admin, &search, (place, endpoint), key).await;
    let sql = role::end(place, admin.version());
    let ended = backends::end_all(&mut admin, &sql).await;
    if ended.is_err() {
        admin.run("rollback").await?;
    }
    // Before anything at other hosts: it needs none of them, and one that is behind holds nothing up here.
    let others = &mut removed.remains;
    let prepared = prepared::undo(&mut admin, &search, (place, endpoint), key, others);
    let prepared = within(BEFORE_LIMIT, Box::pin(prepared)).await;
    let elsewhere = Box::pin(backends::end_elsewhere((place, endpoint), key));
    let elsewhere = within(BEFORE_LIMIT, elsewhere).await;
    let handing = (&mut removed, closed);
    let handed = hand_over_all(&mut admin, (place, endpoint, oid), handing, key).await;
    removed.prepared = [&lent, &closing, &prepared].into_iter().map(counted).sum();
    removed.backends = counted(&ended).saturating_add(counted(&elsewhere));
    // Whatever failed: what was ended is not found again, and without the role nothing of what remains.
    let kept = parting.2.keep(&removed).await;
    kept.map_err(AdminError::Unkept)?;
    // With the role, a standby would forget whose its processes are.
    handed
        .and(lent)
        .and(closing)
        .and(prepared)
        .and(ended)
        .and(elsewhere)?;
    drop_it(&mut admin, &name, oid).await?;
    if number(&mut admin, place).await?.is_some() {
        return Err(AdminError::StillThere);
    }
    admin.leave().await;
    Ok(removed)
}

/// Drops the role, or tells what names it still: whoever owns something can let the role to it, too.
async fn drop_it(admin: &mut Admin, name: &Login, oid: u32) -> Result<(), AdminError> {
    let refused = match admin.run(role::remove(name)).await {
        Ok(_dropped) => return Ok(()),
        Err(refused @ AdminError::Said { .. }) => refused,
        Err(broken) => return Err(broken),
    };
    let holding = admin.run(handover::holding(oid)).await?;
    if holding.is_empty() {
        return Err(refused);
    }
    let names: Vec<String> = holding.iter().map(|row| text(row, 0)).collect();
    Err(AdminError::Held {
        by: names.join(", "),
    })
}

/// Hands over what the role has in each database, first in the one that its sessions were in, unless that is
/// closed. One that lets nobody in, or is slow, keeps none of the others.
async fn hand_over_all(
    admin: &mut Admin,
    (place, endpoint, oid): (&RolePlace, &PostgresEndpoint, u32),
    (removed, closed): (&mut Removed, Option<AdminError>),
    key: (&PassKey, &dyn Road),
) -> Result<(), AdminError> {
    let place = (place, endpoint);
    let traces = admin.run(role::traces(oid)).await?;
    let databases: Vec<String> = traces.iter().map(|row| text(row, 0)).collect();
    let mut done = vec![match closed {
        // It is shut and does nothing any more. What it left there can only be handed over in there.
        Some(refused) => Err(refused),
        // In any case: it also takes away what is in no database.
        None => within(DATABASE_LIMIT, hand_over(admin, place, &endpoint.dbname)).await,
    }];
    for database in databases.iter().filter(|name| **name != endpoint.dbname) {
        let there = hand_over_in(place, database, key);
        done.push(within(DATABASE_LIMIT, there).await);
    }
    let mut handed = Ok(());
    for remains in done {
        match remains {
            Ok(remains) => removed.remains.extend(remains),
            Err(refused) => handed = handed.and(Err(refused)),
        }
    }
    handed?;
    let remains = if endpoint.privileges.contains_key(&place.0.group) {
        remains::of_all_grants(admin).await?
    } else {
        remains_elsewhere(admin, place, &databases, key).await?
    };
    removed.remains.extend(remains);
    removed.databases = databases;
    removed.databases.sort();
    Ok(())
}

/// What stays in databases where the role owned and was given nothing, and its group owns something. One that
/// cannot be looked at is no reason to keep the role.
async fn remains_elsewhere(
    admin: &mut Admin,
    (place, endpoint): (&RolePlace, &PostgresEndpoint),
    seen: &[String],
    key: (&PassKey, &dyn Road),
) -> Result<Vec<String>, AdminError> {
    let owning = admin.run(role::owning(&place.group)).await?;
    let others = owning.iter().map(|row| text(row, 0));
    let others: Vec<_> = others
        .filter(|database| *database != endpoint.dbname && !seen.contains(database))
        .collect();
    let (mut found, mut next) = (Vec::new(), None);
    let looking = async {
        for database in others.iter().take(LOOKED_INTO_MAX) {
            next = Some(database);
            found.extend(remains_in((place, endpoint), database, key).await);
        }
        next = others.get(LOOKED_INTO_MAX);
    };
    drop(time::timeout(DATABASE_LIMIT, looking).await);
    found.extend(next.map(|database| not_looked_into(database)));
    Ok(found)
}

async fn remains_in(
    (place, endpoint): (&RolePlace, &PostgresEndpoint),
    database: &str,
    key: (&PassKey, &dyn Road),
) -> Vec<String> {
    match Admin::enter(endpoint, database, &place.admin, key).await {
        Ok(mut there) => {
            let named = (&place.role(), &place.group);
            let found = remains::found(&mut there, named, database).await;
            there.leave().await;
            found
        }
        Err(refused) => vec![remains::unknown(database, &refused)],
    }
}

async fn hand_over_in(
    (place, endpoint): (&RolePlace, &PostgresEndpoint),
    database: &str,
    key: (&PassKey, &dyn Road),
) -> Result<Vec<String>, AdminError> {
    let mut there = Admin::enter(endpoint, database, &place.admin, key).await?;
    let remains = hand_over(&mut there, (place, endpoint), database).await?;
    there.leave().await;
    Ok(remains)
}

/// Rolls back what the role prepared as another that it became, while it is a member of that: it is by the role that
/// we become those, too. What fails here fails in what comes next as well, and is told there.
async fn undo_as_others(
    admin: &mut Admin,
    search: &Search,
    (place, endpoint): (&RolePlace, &PostgresEndpoint),
    key: (&PassKey, &dyn Road),
) -> Result<u64, AdminError> {
    let name = place.role();
    if !prepared::is_there(admin, &name, search).await? {
        return Ok(0);
    }
    // So that it prepares no more. Its row may be locked by what is to be rolled back.
    for sql in [role::shut(&name), role::end_plainly(&name)] {
        match admin.run(sql).await {
            Ok(_) | Err(AdminError::Said { .. }) => {}
            Err(broken) => return Err(broken),
        }
    }
    time::sleep(PAUSE).await;
    let left = &mut Vec::new();
    prepared::undo(admin, search, (place, endpoint), key, left).await
}

/// Lets the role in no more. Its holder can keep its row locked, in a transaction that is left open or that
/// is prepared, which outlives every process: then what holds it goes first. How many prepared transactions
/// that took.
async fn shut(
    admin: &mut Admin,
    search: &Search,
    (place, endpoint): (&RolePlace, &PostgresEndpoint),
    key: (&PassKey, &dyn Road),
) -> Result<u64, AdminError> {
    let name = place.role();
    if bar(admin, place).await {
        return Ok(0);
    }
    // Becoming able to, where the role has taken that away, waits for what it holds in the same way.
    let ended = admin.run(role::end(place, admin.version())).await;
    if ended.is_err() {
        admin.run("rollback").await?;
        admin.run(role::end_plainly(&name)).await?;
    }
    time::sleep(PAUSE).await;
    // What is left to people is named later.
    let left = &mut Vec::new();
    let prepared = prepared::undo(admin, search, (place, endpoint), key, left).await;
    let shut = admin.run(role::shut(&name)).await;
    // What cannot be taken from it is no reason to let go on what it does.
    drop(free(admin, place).await);
    // What cannot be rolled back is tried again in a moment, and told then.
    shut.map(|_done| prepared.unwrap_or_default())
}

/// Lets the role in no more, and takes from it what it can by being a member of others: with the role alone that
/// would only go at the very end, which its holder can put off for good. Whether all of it is done.
async fn bar(admin: &mut Admin, place: &RolePlace) -> bool {
    let shut = admin.run(role::shut(&place.role())).await.is_ok();
    free(admin, place).await.unwrap_or(false) && shut
}

/// Ends the role's memberships, and tells whether none is left. Only for its group's is waited where it is locked.
async fn free(admin: &mut Admin, place: &RolePlace) -> Result<bool, AdminError> {
    let sql = handover::memberships(&place.role(), &place.group, admin.version());
    let mut before = Vec::new();
    loop {
        let found = admin.run(&sql).await?;
        if found.is_empty() || found == before {
            return Ok(found.is_empty());
        }
        let (lent, others): (Vec<_>, Vec<_>) = found.iter().partition(|row| text(row, 1) == "t");
        for row in lent {
            match admin.run(bytes(row, 0)).await {
                Ok(_) | Err(AdminError::Said { .. }) => {}
                Err(broken) => return Err(broken),
            }
        }
        let others: Vec<Vec<u8>> = others.into_iter().map(|row| bytes(row, 0)).collect();
        take_back(admin, None, &others).await?;
        before = found;
    }
}

/// Takes back what the role was given in the database that `admin` is in, one by one where not all at once: what
/// others gave it is theirs to take back.
async fn strip(
    admin: &mut Admin,
    named: (&Login, &Login),
    lent: Option<(&str, &str)>,
) -> Result<(), AdminError> {
    let mut tried = Tried::default();
    let mut passed_over = 0_usize;
    loop {
        let given = admin.run(handover::rights(named, passed_over)).await?;
        let given: Vec<Vec<u8>> = given.iter().map(|row| bytes(row, 0)).collect();
        let is_all = handover::is_all(&given);
        // What is still there has been tried, and was refused or came to nothing.
        let (next, again) = tried.untried(given)?;
        passed_over = passed_over.saturating_add(again);
        take_back(admin, lent, &next).await?;
        if is_all || passed_over > handover::PASSED_OVER_MAX {
            return Ok(());
        }
    }
}

async fn take_back(
    admin: &mut Admin,
    lent: Option<(&str, &str)>,
    given: &[Vec<u8>],
) -> Result<(), AdminError> {
    if given.is_empty() {
        return Ok(());
    }
    let impatient = |statements: &[Vec<u8>]| {
        let statements = [&[handover::WAITS.to_vec()][..], statements].concat();
        handover::as_member(lent, &statements)
    };
    match admin.run(impatient(given)).await {
        Err(AdminError::Said { .. }) => {}
        done => return done.map(drop),
    }
    for one in given {
        match admin.run(impatient(slice::from_ref(one))).await {
            Ok(_) | Err(AdminError::Said { .. }) => {}
            Err(broken) => return Err(broken),
        }
    }
    Ok(())
}

/// Hands over what the role owns in the database that `admin` is in. One with privileges of its own has
/// nobody to hand it to: what it made goes with it, and what it was given is taken back first. What stays of
/// it by being the group's.
async fn hand_over(
    admin: &mut Admin,
    (place, endpoint): (&RolePlace, &PostgresEndpoint),
    database: &str,
) -> Result<Vec<String>, AdminError> {
    let name = place.role();
    if endpoint.privileges.contains_key(&place.group) {
        passable(strip(admin, (&name, &place.group), None).await)?;
        return clear(admin, &name).await.map(|()| Vec::new());
    }
    let is_member = admin.run(handover::is_member(&name, &place.group)).await?;
    let lending = (role::lend(place, admin.version()), role::end_lending(place));
    let lent = is_member
        .is_empty()
        .then_some((lending.0.as_str(), lending.1.as_str()));
    // First: the two after it look at what everybody has there, which may take longer than there is time.
    let before = handover::before(&name, &place.group);
    let readied = in_pieces(admin, lent, (&before, 1)).await;
    let remains = remains::found(admin, (&name, &place.group), database).await;
    passable(strip(admin, (&name, &place.group), lent).await)?;
    // Handed over as they were, its functions would run with the group's rights.
    readied?;
    let (role, group) = (&name, &place.group);
    for (sql, at_once) in [
        (handover::tables(role, group), handover::TABLES_AT_ONCE),
        (handover::types(role, group), handover::TABLES_AT_ONCE),
        (
            handover::large_objects(role, group),
            handover::OBJECTS_AT_ONCE,
        ),
    ] {
        passable(in_pieces(admin, lent, (&sql, at_once)).await)?;
    }
    let sql = handover::as_member(lent, &handover::hand_over(&name, &place.group));
    admin.run(sql).await.map(|_rows| remains)
}

/// Removes what the role owns in the database that `admin` is in, a piece at a time where there is much.
async fn clear(admin: &mut Admin, name: &Login) -> Result<(), AdminError> {
    let drops = privileges::drops(name);
    passable(in_pieces(admin, None, (&drops, handover::TABLES_AT_ONCE)).await)?;
    loop {
        let removed = match admin.run(privileges::unlink(name)).await {
            Ok(rows) => rows.first().map(|row| text(row, 0).parse()),
            Err(AdminError::Said { .. }) => break,
            Err(broken) => return Err(broken),
        };
        if removed != Some(Ok(handover::OBJECTS_AT_ONCE)) {
            break;
        }
    }
    admin.run(privileges::clear(name)).await.map(|_rows| ())
}

/// What the server refused to do in this way is done, or refused, in the next.
fn passable(done: Result<(), AdminError>) -> Result<(), AdminError> {
    match done {
        Err(AdminError::Said { .. }) => Ok(()),
        done => done,
    }
}

/// Does what `sql` finds to be done, a piece at a time, until it finds fewer statements than that, or the same
/// again. One may count as many: its second column says how many.
async fn in_pieces(
    admin: &mut Admin,
    lent: Option<(&str, &str)>,
    (sql, fewest): (&str, usize),
) -> Result<(), AdminError> {
    let mut before = Vec::new();
    loop {
        let found = admin.run(sql).await?;
        let statements: Vec<Vec<u8>> = found.iter().map(|row| bytes(row, 0)).collect();
        let weight = |row| text(row, 1).parse().unwrap_or(1_usize);
        if found.iter().map(weight).sum::<usize>() < fewest || statements == before {
            return Ok(());
        }
        admin.run(handover::as_member(lent, &statements)).await?;
        before = statements;
    }
}

async fn number(admin: &mut Admin, place: &RolePlace) -> Result<Option<u32>, AdminError> {
    let found = admin.run(role::find(&place.role())).await?;
    let number = |row| text(row, 0).parse().map_err(|_odd| AdminError::Nonsense);
    found.first().map(number).transpose()
}
