//! What a database administrator runs for tidegate's own role, as the documents say it: all of it or nothing.

use tests::World;
use tests::grants::ADMIN;

use crate::{err, out};

/// What the admin role may, and whether it is a member of alice's.
const POWERS: &str = "select rolcreaterole, rolinherit, pg_has_role(oid, 'alice', 'MEMBER') from pg_roles where rolname = 'tidegate_admin'";

#[test]
fn a_script_that_refuses_changes_nothing_and_a_target_that_cannot_elevate_is_not_ready() {
    let world = World::new();
    world.have_own_roles();
    world.sql("create role app_admin nologin; create role alice login");
    assert_eq!(world.sql(POWERS), "t|t|f");
    let addr = world.postgres().addr().to_string();
    // The role that makes those of grants is to elevate, too: one of the two would not work any more.
    let added = world.replace_orders(&[
        "--addr",
        &addr,
        "--admin-role",
        ADMIN,
        "--role",
        "app_admin",
        "--elevate",
        "app_admin: alice=alice",
    ]);
    assert!(added.contains("cannot elevate `alice`"), "{added}");
    let ran = world.run_script();
    assert_eq!(ran.status.code(), Some(3), "{ran:?}");
    assert!(
        err(&ran).contains("makes roles for grants"),
        "{}",
        err(&ran)
    );
    assert_eq!(world.sql(POWERS), "t|t|f", "{}", out(&ran));

    world.sql("alter role tidegate_admin nocreaterole");
    let test = ["tidegate", "target", "test", "orders"];
    let tested = world.bob().output(&test).expect("it runs");
    let said = err(&tested);
    assert!(said.contains("cannot elevate `alice`"), "{said}");
    world.have_script_run();
    assert_eq!(world.sql(POWERS), "f|f|t");
    let tested = world.bob().output(&test).expect("it runs");
    assert!(tested.status.success(), "{tested:?}");
    // Looking leaves nothing.
    assert_eq!(world.elevated_by("alice"), "");

    // Whoever else is a member would be elevated as well.
    world.sql("create role \"Eve\" login; grant alice to \"Eve\"");
    let tested = world.bob().output(&test).expect("it runs");
    let said = err(&tested);
    let typed = "revoke alice from \"Eve\";";
    assert!(said.contains(typed), "{said}");
    world.sql(typed);
    let tested = world.bob().output(&test).expect("it runs");
    assert!(tested.status.success(), "{tested:?}");
}
