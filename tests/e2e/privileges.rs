//! Grants whose role has exactly the privileges that were declared.

use std::fs;

use tests::World;

use crate::{err, out};

/// Has `orders` be a target where the role `app` stands for these privileges.
fn world(privileges: &[&str]) -> World {
    let world = World::new();
    world.have_own_roles();
    world.sql("create schema sales; create table sales.bills (id int, total int, card text); insert into sales.bills values (1, 10, 'secret')");
    world.sql("grant usage on schema sales to app; grant all on sales.bills to app");
    let rules = world.postgres().dir().join("data/pg_hba.conf");
    let lines = fs::read_to_string(&rules).expect("it has rules");
    // Written in place: the file stays the server's own.
    let more = "hostssl orders +tidegate_grants 127.0.0.1/32 cert map=tidegate\n";
    fs::write(
        &rules,
        lines.replace("hostssl orders +app", "# hostssl orders +app") + more,
    )
    .expect("it is written");
    let (bob, addr) = (world.bob(), world.postgres().addr().to_string());
    bob.run(&["tidegate", "target", "rm", "orders", "--yes"])
        .expect("bob removes it");
    let mut line = vec![
        "tidegate",
        "target",
        "add",
        "pg",
        "orders",
        "--addr",
        &addr,
        "--dbname",
        "orders",
        "--role",
        "app",
        "--admin-role",
        "tidegate_admin",
        "--label",
        "env=dev",
    ];
    for privilege in privileges {
        line.extend(["--privilege", privilege]);
    }
    let added = bob.run(&line).expect("bob adds it");
    assert!(added.contains("+tidegate_grants"), "{added}");
    let script = bob.run(&["tidegate", "target", "script", "orders"]);
    world.sql(&script.expect("there is a script"));
    world.sql("select pg_reload_conf()");
    world
}

#[test]
fn a_grants_role_can_do_what_was_declared_and_nothing_that_its_namesake_can() {
    let world = world(&[
        "app: SELECT ON public.orders",
        "app: SELECT,UPDATE ON sales.bills(id,total)",
    ]);
    let before = world.catalogue();
    let grant = world.grant_pg("10m");
    let role = grant.replace("grt_", "tg_");
    let may = |sql: &str| {
        let ran = world.psql(sql);
        assert!(ran.status.success(), "{sql}: {}", err(&ran));
        out(&ran)
    };
    let count = may("select session_user, count(*) from orders");
    assert_eq!(count, format!("{role}|1000\n"));
    assert_eq!(may("select id, total from bills"), "1|10\n");
    may("update sales.bills set total = 11");
    for refused in [
        "select card from sales.bills",
        "select * from sales.bills",
        "update sales.bills set card = ''",
        "delete from sales.bills",
        "insert into sales.bills values (2, 2, '')",
        "insert into orders values (7001, 'new')",
        "delete from orders",
        "create table sales.mine ()",
        "create table public.mine ()",
    ] {
        let ran = world.psql(refused);
        let said = err(&ran);
        assert!(!ran.status.success(), "{refused}: {}", out(&ran));
        assert!(
            said.contains("permission denied") || said.contains("must be owner"),
            "{refused}: {said}"
        );
    }
    let ran = world.psql("set role app");
    assert!(!ran.status.success(), "{}", out(&ran));
    world.revoke(&grant);
    world.no_own_roles();
    assert_eq!(world.catalogue(), before);
    // And once more, from the same declaration.
    let next = world.grant_pg("10m");
    assert_eq!(may("select id from sales.bills"), "1\n");
    world.revoke(&next);
    world.no_own_roles();
    assert_eq!(world.catalogue(), before);
}

#[test]
fn privileges_without_roles_of_grants_are_refused() {
    let world = World::new();
    let addr = world.postgres().addr().to_string();
    let line = [
        "tidegate",
        "target",
        "add",
        "pg",
        "some",
        "--addr",
        &addr,
        "--dbname",
        "orders",
        "--role",
        "app",
        "--admin-role",
        "tidegate_admin",
        "--privilege",
        "other: SELECT ON public.orders",
    ];
    let added = world.bob().output(&line).expect("it runs");
    assert!(
        err(&added).contains("no role that can be asked for"),
        "{}",
        err(&added)
    );
}
