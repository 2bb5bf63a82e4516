//! The roles that grants have for themselves at databases: what is written down when, and who asks the
//! database for what.

use std::collections::BTreeSet;
use std::sync::atomic::{AtomicBool, Ordering};
use std::sync::{Arc, Mutex};

use control::change::{Change, PolicyText, Revision};
use control::ledger::Happening;
use control::roles::{
    Findings, Hand, Looking, Made, Making, Parting, Removed, Removing, RoleFault, TroubleKind,
};
use control::store::{Backend, MemoryStore, Store as _};
use control::{Admission, Broker, Settings};
use jiff::SignedDuration;
use policies::{
    Ask, Endpoint, GrantId, LockScope, Login, Particulars, Place, PostgresEndpoint, PostgresHost,
    Protocol, RolePlace, RolePlan, ServerPin, SqlKind, Target,
};
use tokio::task::JoinHandle;

use crate::world::{World, ask, caller, library, reason, seconds, target};

/// A database that does what it is told, and says what was in the log when it was.
#[derive(Debug)]
struct Database {
    store: MemoryStore,
    fails: AtomicBool,
    /// What is found by the next removal and by none after it.
    leaves: Mutex<Removed>,
    done: Mutex<Vec<String>>,
    /// Where roles were removed.
    at: Mutex<Vec<String>>,
}

impl Database {
    async fn does(&self, what: &str, grant: GrantId) -> Result<(), RoleFault> {
        let log = logged(&self.store, grant).await;
        self.done
            .lock()
            .unwrap()
            .push(format!("{what} after {log}"));
        if self.fails.load(Ordering::SeqCst) {
            return Err(RoleFault("it will not".to_owned()));
        }
        Ok(())
    }

    fn done(&self) -> Vec<String> {
        std::mem::take(&mut self.done.lock().unwrap())
    }
}

impl Hand for Database {
    fn make<'a>(&'a self, plan: &'a RolePlan) -> Making<'a> {
        Box::pin(async {
            self.does("make", plan.place.grant).await?;
            let able = BTreeSet::from([SqlKind::Select]);
            Ok(Made { able })
        })
    }

    fn look<'a>(&'a self, _plan: &'a RolePlan) -> Looking<'a> {
        Box::pin(async { Ok(()) })
    }

    fn remove<'a>(
        &'a self,
        place: &'a RolePlace,
        _parting: Parting,
        findings: &'a dyn Findings,
    ) -> Removing<'a> {
        Box::pin(async {
            let found = std::mem::take(&mut *self.leaves.lock().unwrap());
            findings.keep(&found).await?;
            let addr = place.endpoint.addr().to_string();
            self.at.lock().unwrap().push(addr);
            self.does("remove", place.grant).await?;
            Ok(found)
        })
    }
}

/// What the log says of this grant's role, in words.
async fn logged(store: &MemoryStore, grant: GrantId) -> String {
    let entries = store.read(Revision::EMPTY, 10_000).await.unwrap();
    let changes = entries.iter().flat_map(|entry| &entry.draft.changes);
    #[expect(
        clippy::wildcard_enum_match_arm,
        reason = "the others are about other things"
    )]
    let words = changes.filter_map(|change| match change {
        Change::RoleIntended { place } if place.grant == grant => Some("intended"),
        Change::RoleMade { grant: made } if *made == grant => Some("made"),
        Change::RoleFound { grant: found, .. } if *found == grant => Some("found"),
        Change::RoleGone { grant: gone } if *gone == grant => Some("gone"),
        _other => None,
    });
    words.collect::<Vec<_>>().join(" ")
}

fn orders(world: &World) -> Target {
    Target {
        endpoint: Endpoint::Postgres(PostgresEndpoint {
            admin: Some(Login::parse("tidegate_admin").unwrap()),
            ..PostgresEndpoint::new(
                "127.0.0.1:5432".parse().unwrap(),
                "orders",
                ServerPin::Certificate {
                    sha256: "ab".repeat(32),
                },
            )
        }),
        ..target("orders", "dev", &world.clock)
    }
}

async fn set_up() -> (World, Arc<Database>, JoinHandle<()>) {
    let world = World::new().await;
    let target = orders(&world);
    world
        .broker
        .add_target(&caller("root"), target)
        .await
        .unwrap();
    let (database, keeper) = lend(&world.broker, &world.store);
    (world, database, keeper)
}

fn lend(broker: &Broker, store: &MemoryStore) -> (Arc<Database>, JoinHandle<()>) {
    let database = Arc::new(Database {
        store: store.clone(),
        fails: AtomicBool::new(false),
        leaves: Mutex::default(),
        done: Mutex::default(),
        at: Mutex::default(),
    });
    broker.lend_hand(database.clone());
    (database, tokio::spawn(broker.clone().keep_roles()))
}

async fn admitted(world: &World) -> Admission {
    let ask = Ask {
        protocol: Protocol::Postgres,
        ..ask("alice", "orders")
    };
    world.broker.admit(&ask).await.unwrap()
}

#[tokio::test(start_paused = true)]
async fn a_role_is_written_down_before_it_is_made_and_until_it_is_gone() {
    let (world, database, keeper) = set_up().await;
    let grant = world.granted("alice", "orders", 15).await;
    world.pass(seconds(1)).await;
    assert_eq!(database.done(), ["make after intended"]);
    let admission = admitted(&world).await;
    world
        .broker
        .need_role(admission.session, admission.permit.terms())
        .await
        .unwrap();
    assert_eq!(database.done(), Vec::<String>::new(), "it is there");
    drop(admission);
    world.revoke(grant).await;
    world.pass(seconds(1)).await;
    assert_eq!(database.done(), ["remove after intended made"]);
    assert_eq!(logged(&world.store, grant).await, "intended made gone");
    keeper.abort();
}

#[tokio::test(start_paused = true)]
async fn a_role_is_where_its_target_is_unless_that_is_another_machine() {
    let (world, database, keeper) = set_up().await;
    let grant = world.granted("alice", "orders", 15).await;
    world.pass(seconds(1)).await;
    let host = |port: u16, digits: &str| PostgresHost {
        addr: format!("127.0.0.1:{port}").parse().unwrap(),
        server: ServerPin::Certificate {
            sha256: digits.repeat(32),
        },
    };
    let at = |host: PostgresHost| {
        let hosts = vec![host];
        move |orders: &mut Particulars| orders.place = Place::Postgres { hosts }
    };
    drop(database.done());
    for host in [host(5433, "ab"), host(5433, "cd")] {
        world.changed("orders", at(host)).await.unwrap();
        let admission = admitted(&world).await;
        let terms = admission.permit.terms();
        let needed = world.broker.need_role(admission.session, terms).await;
        needed.unwrap();
        assert_eq!(database.done(), Vec::<String>::new(), "it is there");
    }
    world.changed("orders", at(host(5434, "ef"))).await.unwrap();
    world.pass(seconds(5)).await;
    assert_eq!(database.done(), ["remove after intended made"]);
    assert_eq!(*database.at.lock().unwrap(), ["127.0.0.1:5433"]);
    assert_eq!(logged(&world.store, grant).await, "intended made gone");
    keeper.abort();
}

#[tokio::test(start_paused = true)]
async fn the_end_of_a_role_waits_for_its_sessions_to_be_wound_up_and_not_for_ever() {
    let (world, database, keeper) = set_up().await;
    let grant = world.granted("alice", "orders", 15).await;
    let admission = admitted(&world).await;
    world.pass(seconds(1)).await;
    drop(database.done());
    world.revoke(grant).await;
    world.pass(seconds(2)).await;
    assert_eq!(database.done(), Vec::<String>::new());
    world.pass(seconds(2)).await;
    assert_eq!(database.done(), ["remove after intended made"]);
    drop(admission);
    keeper.abort();
}

#[tokio::test(start_paused = true)]
async fn what_was_not_seen_to_be_made_is_removed_before_it_is_made_again() {
    let (world, database, keeper) = set_up().await;
    world.errors_are_expected();
    database.fails.store(true, Ordering::SeqCst);
    world.granted("alice", "orders", 15).await;
    world.pass(seconds(10)).await;
    assert_eq!(database.done(), ["make after intended"], "once by itself");
    let admission = admitted(&world).await;
    let refused = world
        .broker
        .need_role(admission.session, admission.permit.terms())
        .await;
    assert!(refused.is_err());
    let troubles = world.broker.role_troubles();
    assert!(matches!(troubles[0].kind, TroubleKind::Unmade { .. }));
    drop(database.done());
    database.fails.store(false, Ordering::SeqCst);
    world
        .broker
        .need_role(admission.session, admission.permit.terms())
        .await
        .unwrap();
    assert_eq!(
        database.done(),
        ["remove after intended", "make after intended"]
    );
    let troubles = world.broker.role_troubles();
    assert!(troubles.is_empty(), "{troubles:?}");
    keeper.abort();
}

#[tokio::test(start_paused = true)]
async fn policies_wider_than_a_role_are_trouble_only_where_they_narrow_anything() {
    let (world, _database, keeper) = set_up().await;
    let grant = world.granted("alice", "orders", 15).await;
    world.pass(seconds(1)).await;
    assert_eq!(differed(&world).await, 1, "the shipped ones are wider");
    let troubles = world.broker.role_troubles();
    assert!(troubles.is_empty(), "and say nothing: {troubles:?}");
    world.revoke(grant).await;
    world.pass(seconds(1)).await;
    let root = caller("root");
    let mut texts = library();
    texts.documents.push(PolicyText {
        name: "narrow.cedar".to_owned(),
        text: "@id(\"no-ddl\") @reason(\"No.\") forbid (principal, action == Jit::Action::\"pgDdl\", resource);".to_owned(),
    });
    world.broker.apply_policies(&root, texts).await.unwrap();
    world.granted("alice", "orders", 15).await;
    world.pass(seconds(1)).await;
    let troubles = world.broker.role_troubles();
    assert!(
        matches!(
            troubles.first().map(|one| &one.kind),
            Some(TroubleKind::Wider { .. })
        ),
        "{troubles:?}"
    );
    keeper.abort();
}

#[tokio::test(start_paused = true)]
async fn a_role_that_cannot_be_removed_is_tried_again_after_longer_and_longer_pauses() {
    let (world, database, keeper) = set_up().await;
    world.errors_are_expected();
    let grant = world.granted("alice", "orders", 15).await;
    world.pass(seconds(1)).await;
    database.fails.store(true, Ordering::SeqCst);
    world.revoke(grant).await;
    world.pass(seconds(30)).await;
    let tries = database.done().len();
    assert!((4..=7).contains(&tries), "{tries}");
    let troubles = world.broker.role_troubles();
    assert!(matches!(troubles[0].kind, TroubleKind::Stuck { .. }));
    database.fails.store(false, Ordering::SeqCst);
    world.pass(seconds(61)).await;
    assert_eq!(logged(&world.store, grant).await, "intended made gone");
    assert!(world.broker.role_troubles().is_empty());
    keeper.abort();
}

/// How often the ledger tells that policies let through what a role cannot do.
async fn differed(world: &World) -> usize {
    let root = caller("root");
    let lines = world.broker.audit(&root, 0, 1_000).await.unwrap();
    let differs = lines
        .iter()
        .filter(|line| matches!(line.event.happening, Happening::FencesDiffer { .. }));
    differs.count()
}

/// What the ledger says that removals found.
async fn told(world: &World) -> Vec<Removed> {
    let root = caller("root");
    let lines = world.broker.audit(&root, 0, 1_000).await.unwrap();
    let removed = lines.into_iter().filter_map(|line| {
        if let Happening::RoleRemoved { removed, .. } = line.event.happening {
            return Some(removed);
        }
        None
    });
    removed.collect()
}

/// Nothing finds it again once the role is dropped.
#[tokio::test(start_paused = true)]
async fn what_a_removal_found_is_told_though_it_failed_after_that() {
    let (world, database, keeper) = set_up().await;
    world.errors_are_expected();
    let grant = world.granted("alice", "orders", 15).await;
    world.pass(seconds(1)).await;
    let found = Removed {
        backends: 2,
        remains: vec!["orders: definer public.door()".to_owned()],
        ..Removed::default()
    };
    *database.leaves.lock().unwrap() = found.clone();
    database.fails.store(true, Ordering::SeqCst);
    world.revoke(grant).await;
    world.pass(seconds(10)).await;
    assert_eq!(told(&world).await, []);
    // Whoever goes on has it from the log alone.
    keeper.abort();
    let backend = Backend::Memory(world.store.clone());
    let again = Broker::start(backend, world.clock.clone(), Settings::default());
    let again = again.await.unwrap();
    let (_database, keeper) = lend(&again, &world.store);
    world.pass(seconds(1)).await;
    assert_eq!(told(&world).await, [found]);
    let log = logged(&world.store, grant).await;
    assert_eq!(log, "intended made found gone", "once");
    keeper.abort();
}

#[tokio::test(start_paused = true)]
async fn who_starts_anew_knows_which_roles_there_may_be() {
    let (world, database, keeper) = set_up().await;
    let grant = world.granted("alice", "orders", 1).await;
    world.pass(seconds(1)).await;
    keeper.abort();
    drop(database.done());
    world.pass(seconds(61)).await;
    let backend = Backend::Memory(world.store.clone());
    let again = Broker::start(backend, world.clock.clone(), Settings::default());
    let again = again.await.unwrap();
    let (database, keeper) = lend(&again, &world.store);
    world.pass(seconds(1)).await;
    assert_eq!(database.done(), ["remove after intended made"]);
    assert_eq!(logged(&world.store, grant).await, "intended made gone");
    keeper.abort();
}

/// Puts policies in force that say the same in other words.
async fn apply_others(world: &World) {
    let mut texts = library();
    let first = texts.documents.first_mut().unwrap();
    first.text.push_str("\n// In other words.\n");
    let applied = world.broker.apply_policies(&caller("root"), texts).await;
    applied.unwrap();
}

#[tokio::test(start_paused = true)]
async fn the_same_policies_once_more_change_nothing() {
    let (world, database, keeper) = set_up().await;
    let grant = world.granted("alice", "orders", 15).await;
    world.pass(seconds(1)).await;
    drop(database.done());
    let before = world.store.head();
    let root = caller("root");
    for _each in 0..3 {
        let again = world.broker.apply_policies(&root, library()).await.unwrap();
        assert_eq!(again.digest, world.broker.policies(&root).unwrap().1);
    }
    world.pass(seconds(5)).await;
    assert_eq!(world.store.head(), before);
    assert_eq!(database.done(), Vec::<String>::new());
    assert_eq!(logged(&world.store, grant).await, "intended made");
    // Whoever may not apply them is told so all the same.
    let alice = caller("alice");
    let refused = world.broker.apply_policies(&alice, library()).await;
    refused.unwrap_err();
    keeper.abort();
}

#[tokio::test(start_paused = true)]
async fn other_policies_and_locks_take_the_roles_that_nobody_is_in_by() {
    let (world, database, keeper) = set_up().await;
    world.granted("alice", "orders", 15).await;
    let admission = admitted(&world).await;
    world.pass(seconds(1)).await;
    drop(database.done());
    apply_others(&world).await;
    world.pass(seconds(5)).await;
    assert_eq!(database.done(), Vec::<String>::new(), "alice is in by it");
    drop(admission);
    world.pass(seconds(1)).await;
    assert_eq!(database.done(), ["remove after intended made"]);
    let admission = admitted(&world).await;
    world
        .broker
        .need_role(admission.session, admission.permit.terms())
        .await
        .unwrap();
    drop((admission, database.done()));
    let alice = LockScope::Principal(caller("alice").principal);
    let root = caller("root");
    let locked = world.broker.lock(&root, alice, reason("odd")).await;
    locked.unwrap();
    world.pass(seconds(1)).await;
    assert_eq!(database.done().len(), 1, "it is removed");
    keeper.abort();
}

#[tokio::test(start_paused = true)]
async fn whoever_comes_back_at_once_has_a_role_of_the_policies_in_force() {
    let (world, database, keeper) = set_up().await;
    world.granted("alice", "orders", 15).await;
    world.pass(seconds(1)).await;
    let enter = async || {
        let admission = admitted(&world).await;
        let terms = admission.permit.terms();
        let needed = world.broker.need_role(admission.session, terms);
        needed.await.unwrap();
        admission
    };
    let first = enter().await;
    drop(database.done());
    apply_others(&world).await;
    let second = enter().await;
    assert_eq!(
        database.done(),
        Vec::<String>::new(),
        "the first is in by it"
    );
    // Both come back before anybody looks for what has to go.
    drop((first, second));
    let [third, fourth] = [admitted(&world).await, admitted(&world).await];
    let made_anew = [
        "remove after intended made",
        "make after intended made intended",
    ];
    for (admission, wanted) in [(&third, made_anew.as_slice()), (&fourth, &[])] {
        let terms = admission.permit.terms();
        let needed = world.broker.need_role(admission.session, terms);
        needed.await.unwrap();
        assert_eq!(database.done(), wanted);
    }
    keeper.abort();
}

#[tokio::test(start_paused = true)]
async fn a_wall_set_back_before_a_grants_start_takes_no_role_from_under_its_session() {
    let (world, database, keeper) = set_up().await;
    world.errors_are_expected();
    let grant = world.granted("alice", "orders", 15).await;
    let admission = admitted(&world).await;
    world.pass(seconds(1)).await;
    drop(database.done());
    world.clock.step(SignedDuration::from_mins(-5));
    world.pass(seconds(10)).await;
    assert_eq!(database.done(), Vec::<String>::new());
    world.revoke(grant).await;
    drop(admission);
    world.pass(seconds(1)).await;
    assert_eq!(database.done(), ["remove after intended made"]);
    keeper.abort();
}
