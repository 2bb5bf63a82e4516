//! A server that does not answer any more: what has to be removed elsewhere goes all the same, at once.

use std::collections::BTreeMap;
use std::sync::{Arc, Mutex};

use control::roles::{
    Findings, Hand, Looking, Made, Making, Parting, Removed, Removing, RoleFault,
};
use policies::{Endpoint, Login, PostgresEndpoint, RolePlace, RolePlan, ServerPin, Target};

use crate::world::{World, caller, seconds, target};

const DEAD: &str = "127.0.0.1:1111";

/// Databases of which one lets everybody wait for a minute, and how many roles each has made and removed,
/// and how many were worked on there at once.
#[derive(Debug, Default)]
struct Databases(Mutex<BTreeMap<String, Count>>);

#[derive(Debug, Default, Clone, Copy, PartialEq, Eq)]
struct Count {
    made: usize,
    removed: usize,
    tried: usize,
    now: usize,
    at_once: usize,
}

impl Databases {
    fn note(&self, at: &str, note: impl Fn(&mut Count)) {
        note(self.0.lock().unwrap().entry(at.to_owned()).or_default());
    }

    fn of(&self, at: &str) -> Count {
        let all = self.0.lock().unwrap();
        all.get(at).copied().unwrap_or_default()
    }
}

impl Hand for Databases {
    fn look<'a>(&'a self, _plan: &'a RolePlan) -> Looking<'a> {
        Box::pin(async { Ok(()) })
    }

    fn make<'a>(&'a self, plan: &'a RolePlan) -> Making<'a> {
        let at = plan.place.endpoint.addr().to_string();
        self.note(&at, |count| count.made += 1);
        Box::pin(async { Ok(Made::default()) })
    }

    fn remove<'a>(
        &'a self,
        place: &'a RolePlace,
        _parting: Parting,
        _findings: &'a dyn Findings,
    ) -> Removing<'a> {
        let at = place.endpoint.addr().to_string();
        Box::pin(async move {
            self.note(&at, |count| {
                count.tried += 1;
                count.now += 1;
                count.at_once = count.at_once.max(count.now);
            });
            let wait = if at == DEAD { 60_000 } else { 100 };
            tokio::time::sleep(std::time::Duration::from_millis(wait)).await;
            self.note(&at, |count| count.now -= 1);
            if at == DEAD {
                return Err(RoleFault("it does not answer in time".to_owned()));
            }
            self.note(&at, |count| count.removed += 1);
            Ok(Removed::default())
        })
    }
}

fn database(world: &World, name: &str, addr: &str) -> Target {
    Target {
        endpoint: Endpoint::Postgres(PostgresEndpoint {
            admin: Some(Login::parse("tidegate_admin").unwrap()),
            ..PostgresEndpoint::new(
                addr.parse().unwrap(),
                "orders",
                ServerPin::Certificate {
                    sha256: "ab".repeat(32),
                },
            )
        }),
        ..target(name, "dev", &world.clock)
    }
}

#[tokio::test(start_paused = true)]
async fn a_server_that_does_not_answer_holds_up_no_removal_elsewhere() {
    let world = World::new().await;
    world.errors_are_expected();
    let living = "127.0.0.1:5432";
    // The dead one's grants are the older ones: first in every list.
    for (name, addr) in [("dead", DEAD), ("living", living)] {
        let target = database(&world, name, addr);
        let root = caller("root");
        world.broker.add_target(&root, target).await.unwrap();
    }
    let databases = Arc::new(Databases::default());
    world.broker.lend_hand(databases.clone());
    let keeper = tokio::spawn(world.broker.clone().keep_roles());
    let mut grants = Vec::new();
    for name in ["dead", "living"] {
        for _each in 0..20 {
            grants.push(world.granted("alice", name, 15).await);
        }
    }
    world.pass(seconds(5)).await;
    assert_eq!(
        (databases.of(DEAD).made, databases.of(living).made),
        (20, 20)
    );
    for grant in grants {
        world.revoke(grant).await;
    }
    world.pass(seconds(2)).await;
    let Count {
        removed, at_once, ..
    } = databases.of(living);
    assert_eq!(removed, 20, "each takes a tenth of a second");
    assert!((2..=8).contains(&at_once), "{at_once} at once");
    // It is not stormed either, and goes on being tried.
    let before = databases.of(DEAD);
    assert!(before.at_once <= 8 && before.removed == 0, "{before:?}");
    world.pass(seconds(300)).await;
    let after = databases.of(DEAD);
    assert!(after.at_once <= 8, "{after:?}");
    assert!((before.tried + 5..60).contains(&after.tried), "{after:?}");
    keeper.abort();
}
