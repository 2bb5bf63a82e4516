//! An elevation ends at a standby too, and one that lags holds up nothing.

use std::time::Duration;

use tests::standby::Standby;
use tests::within;

use super::*;

/// The target `orders` anew, with a standby of the world's database.
fn at_both(world: &World) -> Standby {
    let standby = Standby::of(world);
    again(
        world,
        &format!("{},{}", world.postgres().addr(), standby.addr()),
    );
    standby
}

/// A process of alice's at a standby, which ends by nobody's hand there.
fn beside(world: &World, standby: &Standby) -> Beside {
    let mut psql = world.direct("alice", &[]);
    let addr = standby.addr();
    let (_host, port) = addr.rsplit_once(':').expect("an address");
    psql.arg("-h").arg(standby.dir()).args(["-p", port]);
    Beside::begin(psql, || standby.sql(SLEEPING))
}

fn lags(standby: &Standby) {
    standby.sql("select pg_wal_replay_pause()");
    until("it lags", || {
        (standby.sql("select pg_get_wal_replay_pause_state()") == "paused").then_some(())
    });
}

#[test]
fn an_elevation_ends_at_a_standby_too() {
    let world = world_of(None);
    let standby = at_both(&world);
    let grant = world.grant_elevation("10m");
    is_elevated(&world);
    let mut alices = beside(&world, &standby);
    ran(&world.psql_elevated("select 1"));
    world.revoke(&grant);
    world.removed(1);
    alices.ends();
    assert_eq!(
        standby
            .sql("select count(*) from pg_auth_members where grantor = 'tidegate_admin'::regrole"),
        "0"
    );
}

/// One that lags, as some do on purpose, leaves nobody something to commit at the primary.
#[test]
fn a_standby_that_lags_holds_up_nothing_at_the_primary() {
    let world = world_of(None);
    let standby = at_both(&world);
    let grant = world.grant_elevation("10m");
    is_elevated(&world);
    ran(&world.psql_elevated("begin; delete from orders; prepare transaction 'ours'"));
    lags(&standby);
    world.revoke(&grant);
    until("the primary has nothing of it left", || {
        let prepared = world.sql("select count(*) from pg_prepared_xacts");
        (world.elevated_by("alice").is_empty() && prepared == "0").then_some(())
    });
    assert_eq!(world.audited("role_removed"), 0, "it is not over there");
    standby.sql("select pg_wal_replay_resume()");
    world.removed(1);
}

/// Nor at the standbys behind it in the list.
#[test]
fn a_standby_that_lags_holds_up_no_other() {
    let world = world_of(None);
    let (first, second) = (Standby::of(&world), Standby::called(&world, "second"));
    let primary = world.postgres().addr();
    again(
        &world,
        &format!("{primary},{},{}", first.addr(), second.addr()),
    );
    let grant = world.grant_elevation("10m");
    is_elevated(&world);
    let mut alices = [beside(&world, &first), beside(&world, &second)];
    let copied = "select count(*) from pg_auth_members where grantor = 'tidegate_admin'::regrole";
    until("it has copied that she is elevated", || {
        (first.sql(copied) == "1").then_some(())
    });
    lags(&first);
    world.revoke(&grant);
    // Until it has copied is waited for ten seconds.
    within(Duration::from_secs(8), "both have ended", || {
        let mut ended = alices.iter_mut().map(Beside::has_ended);
        ended.all(|has| has).then_some(())
    });
    assert_eq!(world.audited("role_removed"), 0, "it is not over there");
    first.sql("select pg_wal_replay_resume()");
    world.removed(1);
}
