//! What lasts of an elevation to a group that may give its rights on.

use super::*;

/// A member of a group that may give its rights on can give them to itself, for good.
#[test]
fn what_is_granted_on_while_elevated_is_named() {
    let world = world();
    world.sql(
        "create table payroll (id int); create table before (id int); \
         grant select on payroll, before to app_admin with grant option; \
         set role app_admin; grant select on before to bob_db",
    );
    let grant = world.grant_elevation("10m");
    is_elevated(&world);
    let ran = world.psql_elevated("grant select on payroll to alice");
    assert!(ran.status.success(), "{}", err(&ran));
    world.revoke(&grant);
    let said = removals(&world, 1);
    assert!(said.contains("orders: open public.payroll "), "{said}");
    assert!(!said.contains("before"), "{said}");
}
