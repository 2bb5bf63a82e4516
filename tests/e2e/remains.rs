//! What a grant's role leaves to its group: it stays, and the ledger names it.

use tests::World;

use crate::{err, out};

fn removals(world: &World) -> String {
    let lines = world
        .carol()
        .run(&["tidegate", "audit", "ls", "--limit", "1000", "-o", "jsonl"])
        .expect("carol reads the audit log");
    let of_roles = |line: &&str| line.contains("\"event\":\"role_removed\"");
    lines.lines().filter(of_roles).collect()
}

#[test]
fn what_a_role_leaves_to_its_group_is_named_in_the_ledger() {
    let world = World::new();
    world.have_own_roles();
    world.sql(
        "grant create on schema public to app; alter table orders owner to app; \
         create table before (id int); alter table before owner to app; grant select on before to public",
    );
    let grant = world.grant_pg("10m");
    let ran = world.psql("select count(*) from orders");
    assert_eq!(out(&ran), "1000\n", "{}", err(&ran));
    world.revoke(&grant);
    world.no_own_roles();
    let said = removals(&world);
    assert!(!said.is_empty() && !said.contains("remains"), "{said}");
    let grant = world.grant_pg("10m");
    let ran = world.psql(
        "create function door() returns bigint security definer language sql \
         as 'select count(*) from orders'; alter function door() owner to app; \
         grant select on orders to public; \
         create table mine (id int); grant select on mine to public; create table own (id int); \
         alter default privileges for role app grant all on tables to public",
    );
    assert!(ran.status.success(), "{}", err(&ran));
    world.revoke(&grant);
    world.no_own_roles();
    let said = removals(&world);
    for remain in [
        "orders: definer public.door()",
        "orders: open public.orders {",
        "orders: open public.mine {",
        "orders: default r {",
    ] {
        assert!(said.contains(remain), "{remain}: {said}");
    }
    for other in ["public.own", "public.before"] {
        assert!(!said.contains(other), "{other}: {said}");
    }
    let stays = "select prosecdef, proowner::regrole from pg_proc where proname = 'door'";
    assert_eq!(world.sql(stays), "t|app");
}
