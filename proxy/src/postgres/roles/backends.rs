//! Ends what goes on as a role: its server processes, until none is left.
//!
//! Does not look whether the role may do any of it.

use std::collections::BTreeSet;
use std::future::poll_fn;
use std::task::Poll;
use std::time::Duration;

use ca::PassKey;
use policies::{PostgresEndpoint, PostgresHost, RolePlace};
use tokio::time;

use super::{entrance, role};
use crate::postgres::target::admin::{Admin, AdminError};
use crate::postgres::target::rows::{Row, text};
use crate::session::road::Road;

/// Between two looks whether a role's server processes are gone.
pub(super) const PAUSE: Duration = Duration::from_millis(20);

/// How often is looked: ten seconds long.
pub(super) const LOOKS: u32 = 500;

/// How many of its processes are counted. A server has no more than 262,143 at once (`MAX_BACKENDS`), and they
/// are few by the time that one role can log in no more.
const PROCESSES_MAX: usize = 100_000;

/// How long it may take to remove a role at one host, or to learn whether there is anything to remove.
pub(super) const HOST_LIMIT: Duration = Duration::from_secs(60);

/// What was begun and not done by then, the server may still do.
pub(super) async fn within<T>(
    limit: Duration,
    work: impl Future<Output = Result<T, AdminError>>,
) -> Result<T, AdminError> {
    let done = time::timeout(limit, work).await;
    done.unwrap_or(Err(AdminError::Slow))
}

/// Runs what ends server processes of a role until it finds none, and returns how many there were.
pub(super) async fn end_all(admin: &mut Admin, sql: &str) -> Result<u64, AdminError> {
    let mut seen = BTreeSet::new();
    let mut left = 0;
    for _look in 0..LOOKS {
        let alive = admin.run(sql).await?;
        if alive.is_empty() {
            return Ok(u64::try_from(seen.len()).unwrap_or(u64::MAX));
        }
        left = alive.len();
        note(&mut seen, &alive)?;
        time::sleep(PAUSE).await;
    }
    Err(AdminError::Alive { left })
}

/// Notes the numbers of processes that were there. A server that makes them up is not believed for ever.
fn note(seen: &mut BTreeSet<i32>, alive: &[Row]) -> Result<(), AdminError> {
    seen.extend(
        alive
            .iter()
            .filter_map(|row| text(row, 0).parse::<i32>().ok()),
    );
    if seen.len() > PROCESSES_MAX {
        return Err(AdminError::Nonsense);
    }
    Ok(())
}

/// How many those were, as far as it was learned.
pub(super) fn counted(ended: &Result<u64, AdminError>) -> u64 {
    *ended.as_ref().unwrap_or(&0)
}

/// The same at the standbys, which copy that the role is shut and end nothing by themselves. One that does
/// not answer has no session of ours: its sockets are gone.
pub(super) async fn end_elsewhere(
    (place, endpoint): (&RolePlace, &PostgresEndpoint),
    key: (&PassKey, &dyn Road),
) -> Result<u64, AdminError> {
    let hosts = entrance::beside(endpoint);
    let ending = hosts
        .iter()
        .map(|host| end_at(host, (place, endpoint), key));
    summed(ending.collect()).await
}

/// How many are ended at all hosts together, at once: one that is slow, refuses or is behind holds up none of the
/// others.
pub(super) async fn summed(
    ending: Vec<impl Future<Output = Result<u64, AdminError>>>,
) -> Result<u64, AdminError> {
    let ended = together(ending).await;
    ended
        .into_iter()
        .try_fold(0_u64, |count, ended| Ok(count.saturating_add(ended?)))
}

/// Does all of it at once; outcomes are in the order of what was done.
pub(super) async fn together<T>(all: Vec<impl Future<Output = T>>) -> Vec<T> {
    let mut all: Vec<_> = all.into_iter().map(|one| (Box::pin(one), None)).collect();
    poll_fn(|cx| {
        for (one, outcome) in &mut all {
            if outcome.is_none()
                && let Poll::Ready(done) = one.as_mut().poll(cx)
            {
                *outcome = Some(done);
            }
        }
        if all.iter().all(|(_one, outcome)| outcome.is_some()) {
            Poll::Ready(())
        } else {
            Poll::Pending
        }
    })
    .await;
    all.into_iter()
        .filter_map(|(_one, outcome)| outcome)
        .collect()
}

async fn end_at(
    host: &PostgresHost,
    (place, endpoint): (&RolePlace, &PostgresEndpoint),
    key: (&PassKey, &dyn Road),
) -> Result<u64, AdminError> {
    let Some(mut there) = entrance::to_standby(host, (place, endpoint), key).await? else {
        return Ok(0);
    };
    let count = end_plainly(&mut there, place).await?;
    there.leave().await;
    Ok(count)
}

async fn end_plainly(admin: &mut Admin, place: &RolePlace) -> Result<u64, AdminError> {
    let mut seen = BTreeSet::new();
    let mut left = 0;
    for _look in 0..LOOKS {
        match admin.run(role::end_plainly(&place.role())).await {
            Ok(alive) if alive.is_empty() => {
                return Ok(u64::try_from(seen.len()).unwrap_or(u64::MAX));
            }
            Ok(alive) => {
                left = alive.len();
                note(&mut seen, &alive)?;
            }
            // That we may end them comes to a standby a moment later.
            Err(AdminError::Said { .. }) => {}
            Err(refused) => return Err(refused),
        }
        time::sleep(PAUSE).await;
    }
    Err(AdminError::Alive { left })
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn processes_that_a_server_makes_up_are_counted_only_so_far() {
        let row = |number: u32| -> Row { vec![Some(number.to_string().into_bytes())] };
        let (mut seen, mut looks) = (BTreeSet::new(), 0..LOOKS);
        let found = looks.try_for_each(|look| {
            let begin = look * 10_000;
            let alive: Vec<Row> = (begin..begin + 10_000).map(row).collect();
            note(&mut seen, &alive)
        });
        assert!(matches!(found, Err(AdminError::Nonsense)), "{found:?}");
        assert!(
            note(
                &mut BTreeSet::new(),
                &[row(7), vec![Some(vec![b'x'; 1 << 20])]]
            )
            .is_ok()
        );
    }
}
