//! What ends sessions when nothing happens: clocks that jump, a store that is gone.

use control::ledger::Happening;
use control::offline::apply_policies;
use control::store::Backend;
use control::{Broker, Settings};
use jiff::SignedDuration;
use policies::words::Shown as _;
use policies::{Denial, LockScope, Part, RequestState, SeverReason, TargetName};
use tokio::task::JoinSet;

use crate::world::{World, ask, caller, library, over, reason, seconds};

const CLOCK: Denial = Denial::Unavailable { part: Part::Clock };
const STORE: Denial = Denial::Unavailable { part: Part::Store };

#[tokio::test(start_paused = true)]
async fn a_wall_set_forward_ends_what_is_past_its_end() {
    let world = World::new().await;
    world.errors_are_expected();
    world.granted("alice", "web1", 30).await;
    world.granted("alice", "web2", 120).await;
    let mut short = world.admit("alice", "web1").await.unwrap().lease;
    let mut long = world.admit("alice", "web2").await.unwrap().lease;
    world.clock.step(SignedDuration::from_hours(1));
    world.pass(seconds(1)).await;
    assert!(matches!(
        over(&mut short).await,
        Some(SeverReason::Expired { .. })
    ));
    assert_eq!(over(&mut long).await, None);
}

/// However the wall was when the session was let in, and however many looks have found nothing since.
#[tokio::test(start_paused = true)]
async fn a_session_that_was_looked_at_ends_by_the_wall_all_the_same() {
    let world = World::new().await;
    let start = world.clock.instant();
    world.pass(seconds(10)).await;
    // Between two looks: all that was fixed now is four seconds late.
    world.clock.step(SignedDuration::from_secs(-4));
    world.granted("alice", "web1", 5).await;
    let mut lease = world.admit("alice", "web1").await.unwrap().lease;
    world.clock.step(SignedDuration::from_secs(4));
    let late = lease.deadline() - start;
    assert_eq!(late, seconds(310));
    world.pass(seconds(295)).await;
    assert_eq!(over(&mut lease).await, None);
    world.pass(seconds(2)).await;
    let reason = over(&mut lease).await;
    assert!(matches!(reason, Some(SeverReason::Expired { .. })));
    world.granted("alice", "web2", 30).await;
    let mut lease = world.admit("alice", "web2").await.unwrap().lease;
    world.pass(seconds(5)).await;
    world.clock.suspend(seconds(3_600));
    world.pass(seconds(1)).await;
    let reason = over(&mut lease).await;
    assert!(matches!(reason, Some(SeverReason::Expired { .. })));
}

#[tokio::test(start_paused = true)]
async fn a_wall_set_back_lengthens_nothing() {
    let world = World::new().await;
    world.errors_are_expected();
    world.granted("alice", "web1", 30).await;
    let mut lease = world.admit("alice", "web1").await.unwrap().lease;
    world.clock.step(SignedDuration::from_hours(-1));
    world.pass(seconds(30 * 60 - 1)).await;
    assert_eq!(over(&mut lease).await, None);
    world.pass(seconds(1)).await;
    assert!(matches!(
        over(&mut lease).await,
        Some(SeverReason::Expired { .. })
    ));
    // And the grant does not come back to life, though the wall says that it has half an hour left.
    assert_eq!(world.admit("alice", "web1").await.unwrap_err(), CLOCK);
}

#[tokio::test(start_paused = true)]
async fn nobody_gets_in_while_the_clock_is_not_believed() {
    let world = World::new().await;
    world.errors_are_expected();
    world.granted("alice", "web1", 120).await;
    world.clock.step(SignedDuration::from_secs(29));
    world.admit("alice", "web1").await.unwrap();
    world.clock.step(SignedDuration::from_secs(2));
    assert_eq!(world.admit("alice", "web1").await.unwrap_err(), CLOCK);
    assert!(
        world.ask_for("alice", "web2", 5).await.is_err(),
        "no grant is made either"
    );
    let grant = world.broker.grants(&caller("alice"), true, None).await[0].id;
    world
        .broker
        .revoke(&caller("bob"), grant, reason("can always be said"))
        .await
        .unwrap();
    // Back where it was, but behind what was believed: it has to catch up.
    world.clock.step(SignedDuration::from_secs(-31));
    assert_eq!(world.admit("alice", "web1").await.unwrap_err(), CLOCK);
    world.pass(seconds(30)).await;
    world.granted("alice", "web1", 5).await;
    world.admit("alice", "web1").await.unwrap();
}

/// Any change that can be made while the clock is not believed.
async fn change_something(world: &World) {
    let scope = LockScope::Target(TargetName::parse("web2").unwrap());
    let root = caller("root");
    world
        .broker
        .lock(&root, scope, reason("odd"))
        .await
        .unwrap();
}

/// Whether a server that starts on this log now lets amy in.
async fn another_lets_amy_in(world: &World, believe_clock: bool) -> bool {
    let settings = Settings {
        believe_clock,
        ..Settings::default()
    };
    let backend = Backend::Memory(world.store.clone());
    let broker = Broker::start(backend, world.clock.clone(), settings)
        .await
        .unwrap();
    broker.admit(&ask("amy", "web1")).await.is_ok()
}

#[tokio::test(start_paused = true)]
async fn what_is_changed_while_the_clock_is_ahead_keeps_nobody_out_afterwards() {
    let world = World::new().await;
    world.errors_are_expected();
    world.granted("amy", "web1", 60).await;
    let day = SignedDuration::from_hours(24);
    world.clock.step(day);
    change_something(&world).await;
    world.clock.step(-day);
    world.pass(seconds(1)).await;
    assert!(another_lets_amy_in(&world, false).await);
}

/// A grant whose time was used while the clock was ahead would have it a second time.
#[tokio::test(start_paused = true)]
async fn what_was_made_while_the_clock_was_ahead_ends_once_it_is_right() {
    let world = World::new().await;
    world.errors_are_expected();
    let hour = SignedDuration::from_hours(1);
    world.clock.step(hour);
    // It runs evenly for so long that it is believed.
    world.pass(seconds(70)).await;
    let granted = world.granted("amy", "web1", 60).await;
    let asked = world.ask_for("alice", "web1", 5).await.unwrap().request.id;
    world.clock.step(-hour);
    world.pass(seconds(1)).await;
    assert!(!another_lets_amy_in(&world, true).await);
    world.pass(seconds(60 * 60)).await;
    assert!(!another_lets_amy_in(&world, false).await, "nor later");
    let backend = Backend::Memory(world.store.clone());
    let broker = Broker::start(backend, world.clock.clone(), Settings::default());
    let broker = broker.await.unwrap();
    let request = broker
        .show_request(&caller("alice"), asked)
        .unwrap()
        .request;
    assert_eq!(request.state, RequestState::Withdrawn);
    let grant = broker.show_grant(&caller("amy"), granted).unwrap();
    let ended = grant.ended.as_ref().expect("it was ended");
    assert_eq!(ended.by, None, "amy did nothing");
}

#[tokio::test(start_paused = true)]
async fn an_operator_can_say_that_the_clock_is_right() {
    let world = World::new().await;
    world.errors_are_expected();
    world.granted("amy", "web1", 60).await;
    let day = SignedDuration::from_hours(24);
    world.clock.step(day);
    // It runs evenly for so long that it is believed.
    world.pass(seconds(70)).await;
    change_something(&world).await;
    world.clock.step(-day);
    world.pass(seconds(1)).await;
    assert!(!another_lets_amy_in(&world, false).await);
    assert!(another_lets_amy_in(&world, true).await);
    assert!(another_lets_amy_in(&world, false).await, "once is enough");
    let texts = library();
    let backend = Backend::Memory(world.store.clone());
    apply_policies(&backend, texts, &world.clock).await.unwrap();
    assert!(another_lets_amy_in(&world, false).await);
}

#[tokio::test(start_paused = true)]
async fn the_time_that_the_machine_sleeps_counts() {
    let world = World::new().await;
    world.granted("alice", "web1", 60).await;
    world.granted("alice", "web2", 180).await;
    let mut short = world.admit("alice", "web1").await.unwrap().lease;
    let mut long = world.admit("alice", "web2").await.unwrap().lease;
    world.clock.suspend(seconds(2 * 3_600));
    world.pass(seconds(1)).await;
    assert!(matches!(
        over(&mut short).await,
        Some(SeverReason::Expired { .. })
    ));
    assert_eq!(over(&mut long).await, None);
    world.admit("alice", "web2").await.unwrap();
}

#[tokio::test(start_paused = true)]
async fn a_store_that_is_gone_lets_nobody_in_and_ends_sessions_at_the_blind_limit() {
    let world = World::new().await;
    world.errors_are_expected();
    world.granted("alice", "web1", 60).await;
    let mut lease = world.admit("alice", "web1").await.unwrap().lease;
    world.pass(seconds(5)).await;
    world.store.fail(true);
    world.pass(seconds(1)).await;
    assert_eq!(world.admit("alice", "web1").await.unwrap_err(), STORE);
    world.pass(seconds(28)).await;
    assert_eq!(over(&mut lease).await, None);
    world.pass(seconds(2)).await;
    assert_eq!(over(&mut lease).await, Some(SeverReason::Blind));
    world.store.fail(false);
    world.pass(seconds(1)).await;
    world.admit("alice", "web1").await.unwrap();
}

#[tokio::test(start_paused = true)]
async fn a_store_that_comes_back_in_time_ends_nothing() {
    let world = World::new().await;
    world.errors_are_expected();
    world.granted("alice", "web1", 60).await;
    let mut lease = world.admit("alice", "web1").await.unwrap().lease;
    for _ in 0..3 {
        world.store.fail(true);
        world.pass(seconds(20)).await;
        world.store.fail(false);
        world.pass(seconds(2)).await;
    }
    assert_eq!(over(&mut lease).await, None);
}

#[tokio::test(start_paused = true)]
async fn a_store_that_hangs_while_the_clock_is_set_ends_sessions_at_the_blind_limit() {
    let world = World::new().await;
    world.errors_are_expected();
    world.granted("alice", "web1", 60).await;
    let mut lease = world.admit("alice", "web1").await.unwrap().lease;
    world.pass(seconds(5)).await;
    world.store.hang(true);
    world.clock.step(SignedDuration::from_mins(5));
    world.pass(seconds(28)).await;
    assert_eq!(over(&mut lease).await, None);
    world.pass(seconds(5)).await;
    assert_eq!(over(&mut lease).await, Some(SeverReason::Blind));
    world.store.hang(false);
    world.clock.step(SignedDuration::from_mins(-5));
    world.pass(seconds(3)).await;
    world.admit("alice", "web1").await.unwrap();
}

#[tokio::test(start_paused = true)]
async fn a_clock_that_is_set_while_the_store_fails_is_in_the_ledger_afterwards() {
    let world = World::new().await;
    world.errors_are_expected();
    world.pass(seconds(2)).await;
    world.store.fail(true);
    world.clock.step(SignedDuration::from_mins(5));
    world.pass(seconds(3)).await;
    world.clock.step(SignedDuration::from_mins(-5));
    world.pass(seconds(3)).await;
    world.store.fail(false);
    world.pass(seconds(3)).await;
    let lines = world.broker.audit(&caller("root"), 0, 1_000).await.unwrap();
    let steps: Vec<i64> = lines
        .iter()
        .filter_map(|line| {
            if let Happening::ClockStepped { by } = line.event.happening {
                Some(by.as_secs())
            } else {
                None
            }
        })
        .collect();
    assert_eq!(steps, [300, 0]);
}

#[tokio::test(start_paused = true)]
async fn a_no_does_not_wait_for_a_disk_that_hangs() {
    let world = World::new().await;
    world.granted("alice", "web1", 60).await;
    world.store.hang(true);
    // At once, and when nobody is let in any more.
    for (who, wanted) in [("eve", "TG101"), ("alice", "TG111")] {
        let mut asking = JoinSet::new();
        for _each in 0..1_100 {
            let (broker, asked) = (world.broker.clone(), ask(who, "web1"));
            asking.spawn(async move { broker.admit(&asked).await });
        }
        let answers = tokio::time::timeout(seconds(2), asking.join_all()).await;
        for answer in answers.expect("everybody has an answer") {
            assert_eq!(answer.unwrap_err().words().code, wanted);
        }
        world.pass(seconds(6)).await;
    }
    world.store.hang(false);
    // What is said once the disk answers again is in the ledger. (Of others it is only counted by then.)
    world.pass(seconds(2)).await;
    world.admit("amy", "web1").await.unwrap_err();
    let lines = world.broker.audit_last(&caller("root"), 1).await.unwrap();
    let last = &lines.last().unwrap().event.happening;
    assert!(matches!(last, Happening::Refused { .. }), "{last:?}");
}

#[tokio::test(start_paused = true)]
async fn a_rule_about_the_time_of_day_ends_sessions_when_its_minute_begins() {
    let world = World::new().await;
    let mut texts = library();
    texts.documents[0].text.push_str(
        r#"
@id("only-before-ten")
@reason("Only before ten.")
forbid (principal, action in Jit::Action::"use", resource)
when { context.session.hourLocal >= 10 };
"#,
    );
    world
        .broker
        .apply_policies(&caller("root"), texts)
        .await
        .unwrap();
    world.granted("alice", "web1", 120).await;
    let mut lease = world.admit("alice", "web1").await.unwrap().lease;
    world.pass(seconds(3_599)).await;
    assert_eq!(over(&mut lease).await, None);
    world.pass(seconds(2)).await;
    assert!(matches!(
        over(&mut lease).await,
        Some(SeverReason::PolicyChanged { .. })
    ));
}

/// Whether a server that starts now lets amy in; it is gone afterwards.
async fn lets_amy_in(world: &World) -> bool {
    another_lets_amy_in(world, false).await
}

#[tokio::test(start_paused = true)]
async fn a_start_under_an_earlier_wall_brings_no_grant_back() {
    let world = World::new().await;
    world.errors_are_expected();
    let hour = SignedDuration::from_hours(1);
    world.granted("amy", "web1", 10).await;
    assert!(lets_amy_in(&world).await);
    // A server runs an hour later, and changes nothing.
    world.clock.step(hour);
    assert!(!lets_amy_in(&world).await, "the grant is over");
    // One minute after the grant was made, as a battery tells it that is empty, and again.
    world.clock.step(SignedDuration::from_mins(1) - hour);
    assert!(!lets_amy_in(&world).await);
    assert!(
        !lets_amy_in(&world).await,
        "the first wrong start lowers nothing"
    );
    assert!(
        another_lets_amy_in(&world, true).await,
        "unless an operator says so"
    );
}

#[tokio::test(start_paused = true)]
async fn a_grant_that_ended_while_the_server_ran_stays_over_at_an_earlier_wall() {
    let world = World::new().await;
    world.errors_are_expected();
    world.granted("amy", "web1", 10).await;
    world.pass(seconds(12 * 60)).await;
    world.clock.step(SignedDuration::from_mins(-11));
    assert!(!lets_amy_in(&world).await);
    // A wall that catches up does not help either: the uptime was fixed by what was known.
    world.clock.step(SignedDuration::from_mins(11));
    assert!(!lets_amy_in(&world).await);
}
