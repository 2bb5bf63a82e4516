//! Sessions from whose clients nothing comes for too long.

use tests::{Live, Setting, World, until};

/// Long beside the pauses of whoever sends something now and then.
const IDLE: &[(&str, &str)] = &[("TIDEGATE__LIMITS__IDLE", "6s")];

/// Someone says something now and then, and somebody else nothing; what the target sends is no sign of life.
#[track_caller]
fn only_the_silent_one_ends(world: &World, mut talks: Live, mut silent: Live) {
    let told = silent.ended();
    assert!(
        told.contains("ended: nothing came from you for 6s"),
        "{told:?}"
    );
    assert!(!talks.has_ended(), "{:?}", talks.output());
    std::fs::write(world.dir().join("mark"), "").expect("the mark is written");
    let said = talks.ended();
    assert!(!said.contains("TG210"), "{said:?}");
    let sessions = until("both have ended", || {
        let sessions = world.sessions();
        let over = sessions.iter().all(|session| !session["end"].is_null());
        over.then_some(sessions)
    });
    let idle = sessions
        .iter()
        .filter(|session| session.to_string().contains("\"idle\""));
    assert_eq!(idle.count(), 1, "{sessions:?}");
}

/// A command that says something until the mark is there.
fn now_and_then(world: &World, what: &str) -> String {
    let mark = world.dir().join("mark");
    let mark = mark.display();
    format!("while [ ! -e {mark} ]; do echo \"{what}\"; sleep 0.3; done")
}

#[test]
fn who_sends_nothing_over_ssh_for_too_long_is_cut() {
    let world = World::with(&Setting {
        server: IDLE,
        ..Setting::default()
    });
    world.grant_ssh("10m");
    let (port, address) = (world.ssh_port(), world.address());
    let talk = now_and_then(&world, "talk");
    let talk = format!("({talk}) | ssh -p {port} {address} cat");
    let talks = world.begin("talks", &["sh", "-c", &talk], "talk");
    let silent = world.begin_ssh();
    only_the_silent_one_ends(&world, talks, silent);
}

#[test]
fn who_sends_nothing_to_a_database_for_too_long_is_cut() {
    let world = World::with(&Setting {
        server: IDLE,
        ..Setting::default()
    });
    world.grant_pg("10m");
    let talk = now_and_then(&world, "select 'talk';");
    let talk = format!("({talk}) | psql -X -At service=orders");
    let talks = world.begin("talks", &["sh", "-c", &talk], "talk");
    let silent = world.begin_psql();
    only_the_silent_one_ends(&world, talks, silent);
    until("its statement has stopped", || {
        (world.sleepers() == 0).then_some(())
    });
}
