//! A look at every target there is, within a limit for all of them.
//!
//! Many at the same time: one that does not answer costs ten seconds or more, and an outage has many of them. What was
//! not looked at by the end is told as such. How one is looked at is in `inspection`.

use std::collections::BTreeMap;
use std::sync::Arc;
use std::time::Duration;

use policies::TargetName;
use policies::words::cli::doctor as words;
use tokio::sync::Semaphore;
use tokio::task::JoinSet;
use tokio::time::timeout;

use super::inspection::Care;
use super::{Shared, checks, inspection};
use crate::Caller;
use crate::api::wire::Check;

/// How long all targets may take together. With what else is looked at it is less than any answer may take.
const LIMIT: Duration = Duration::from_secs(30);

/// How many are looked at at once.
const AT_ONCE_MAX: usize = 32;

/// How many of those that are reached through the same target: sshd turns away some of those that have not proven who they are
/// when there are more than ten (`MaxStartups` in `sshd_config(5)`).
const BEHIND_ONE_MAX: usize = 8;

/// Looks at every target, in the order of their names.
pub(super) async fn all(house: &Shared, caller: &Caller) -> Vec<Check> {
    let targets = house.parts.broker.targets(caller).await;
    let everywhere = Arc::new(Semaphore::new(AT_ONCE_MAX));
    let mut behind: BTreeMap<TargetName, Arc<Semaphore>> = BTreeMap::new();
    let mut looks = JoinSet::new();
    for (place, seen) in targets.iter().enumerate() {
        let one = seen.target.jump().map(|jump| {
            let those = behind.entry(jump.target.clone());
            Arc::clone(those.or_insert_with(|| Arc::new(Semaphore::new(BEHIND_ONE_MAX))))
        });
        let (house, caller) = (Arc::clone(house), caller.clone());
        let (target, everywhere) = (seen.target.clone(), Arc::clone(&everywhere));
        looks.spawn(async move {
            // Whoever waits for a place behind a target keeps none from others meanwhile.
            let _behind = match &one {
                Some(places) => Some(places.acquire().await),
                None => None,
            };
            let _place = everywhere.acquire().await;
            (
                place,
                inspection::tested((&house, &caller), &target, Care::Brief).await,
            )
        });
    }
    let mut found: BTreeMap<usize, Check> = BTreeMap::new();
    let looking = async {
        while let Some(looked) = looks.join_next().await {
            found.extend(looked);
        }
    };
    // Those that go on are ended when this returns.
    if timeout(LIMIT, looking).await.is_err() {
        tracing::info!("targets.unlooked");
    }
    let unlooked = |name: &TargetName| checks::view(words::target_unlooked(name.as_str()));
    let each = targets.iter().enumerate();
    let all = each.map(|(place, seen)| {
        let looked = found.remove(&place);
        looked.unwrap_or_else(|| unlooked(&seen.target.name))
    });
    all.collect()
}
