//! One role that is elevated to several groups, of which one is a member of the other.

use super::*;

const PREPARED: &str = "select count(*) from pg_prepared_xacts";

/// The target `orders` anew, where alice is elevated to either of two groups.
fn of_two_groups() -> World {
    let world = world_of(None);
    world.sql(
        "create role app_owner nologin; grant app_admin to app_owner; \
         grant app_owner to tidegate_admin with admin option",
    );
    world.replace_orders(&[
        "--addr",
        &world.postgres().addr().to_string(),
        "--admin-role",
        "tidegate_admin",
        "--role",
        "app_admin",
        "--role",
        "app_owner",
        "--elevate",
        "app_admin: alice=alice",
        "--elevate",
        "app_owner: alice=alice",
    ]);
    world
}

/// How many memberships are there by our hand.
fn by_us(world: &World) -> String {
    world.sql("select count(*) from pg_auth_members where grantor = 'tidegate_admin'::regrole")
}

/// A world in which she is elevated twice, and prepared something under the first before the second: the grants in
/// this order.
fn prepared_before_the_second() -> (World, String, String) {
    let world = of_two_groups();
    let first = world.grant_elevation("10m");
    is_elevated(&world);
    ran(&world.psql_elevated("begin; delete from orders; prepare transaction 'early'"));
    // More than what is added for a clock that was set.
    world.sql("select pg_sleep(4)");
    let second = world.grant("orders", "app_owner", "10m");
    until("she is a member of both", || {
        (by_us(&world) == "2").then_some(())
    });
    (world, first, second)
}

/// What was prepared under the first may be committed as long as the second holds, by which the role can do the
/// same; not longer.
#[test]
fn what_was_prepared_under_one_elevation_ends_with_the_other_that_covers_it() {
    let (world, first, second) = prepared_before_the_second();
    world.revoke(&first);
    world.removed(1);
    assert_eq!(world.sql(PREPARED), "1");
    world.revoke(&second);
    world.removed(2);
    assert_eq!(world.sql(PREPARED), "0");
    assert_eq!(world.sql("select count(*) from orders"), "1000");
}

/// What began under an elevation that goes on is nothing of one that came later and ends earlier.
#[test]
fn what_was_prepared_before_an_elevation_outlives_it_while_the_first_goes_on() {
    let (world, first, second) = prepared_before_the_second();
    world.revoke(&second);
    world.removed(1);
    assert_eq!(world.sql(PREPARED), "1");
    world.revoke(&first);
    world.removed(2);
    assert_eq!(world.sql(PREPARED), "0");
}
