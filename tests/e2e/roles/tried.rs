//! What an administrator is told of the roles of grants before anybody has a grant, and when one is missing.

use std::fs;
use std::process::Output;

use super::*;

fn tested(world: &World) -> Output {
    let line = ["tidegate", "target", "test", "orders"];
    world.bob().output(&line).expect("it runs")
}

/// Takes the line with this sign out of a file of the server's, and has that read again.
fn without(world: &World, file: &str, sign: &str) {
    let path = world.postgres().dir().join("data").join(file);
    let all = fs::read_to_string(&path).expect("it can be read");
    let stay = all.lines().filter(|line| !line.contains(sign));
    let stay: String = stay.flat_map(|line| [line, "\n"]).collect();
    assert_ne!(stay, all);
    // In place: the file stays the server's own.
    fs::write(&path, stay).expect("it can be written");
    world.sql("select pg_reload_conf()");
}

#[test]
fn a_role_is_tried_as_a_grant_would_have_it_and_none_stays() {
    let world = world();
    let before = world.catalogue();
    let doctor = world.doctor();
    let said = out(&doctor);
    assert!(doctor.status.success(), "{said}");
    assert!(said.contains("get in was not tried"), "{said}");
    let ran = tested(&world);
    assert!(ran.status.success(), "{}", err(&ran));
    let sign = "as a role that was made there and removed as grants for `app` have them";
    assert!(out(&ran).contains(sign), "{}", out(&ran));
    assert_eq!(world.catalogue(), before);
    assert_eq!(world.audited("role_made"), 0, "it was no grant's");
}

#[test]
fn what_keeps_the_roles_of_grants_out_is_named_before_anybody_meets_it() {
    for (file, sign, told) in [
        ("pg_hba.conf", "+app", "hostssl … +app … cert map=tidegate"),
        (
            "pg_ident.conf",
            "tg_",
            "in its pg_ident.conf the line `tidegate /^(tg_",
        ),
    ] {
        let world = world();
        let before = world.catalogue();
        without(&world, file, sign);
        let said = until("the server has read it", || {
            let ran = tested(&world);
            (!ran.status.success()).then(|| err(&ran))
        });
        assert!(said.contains(told), "{file}: {said}");
        assert_eq!(world.catalogue(), before);
        // Who asks meanwhile hears of the same lines.
        world.grant_pg("10m");
        let ran = world.psql("select 1");
        let said = err(&ran);
        let lines = ["TG513", "+app … cert map=tidegate", "tidegate /^(tg_"];
        assert!(lines.iter().all(|sign| said.contains(sign)), "{said}");
    }
}

#[test]
fn an_admin_role_that_cannot_make_roles_is_named() {
    let world = world();
    let before = world.catalogue();
    world.sql("alter role tidegate_admin nocreaterole");
    let said = err(&tested(&world));
    assert!(
        said.contains("cannot make a role there for a grant for `app`"),
        "{said}"
    );
    assert!(said.contains("tidegate target script orders"), "{said}");
    world.sql("alter role tidegate_admin createrole");
    assert_eq!(world.catalogue(), before);
}

#[test]
fn a_role_that_is_gone_while_its_grant_holds_is_told_of_and_a_stray_one_too() {
    let world = world();
    let grant = world.grant_pg("10m");
    works(&world, &grant);
    let role = world.own_roles().pop().expect("there is one");
    world.sql(&format!("drop owned by {role}; drop role {role}"));
    let ran = tested(&world);
    let said = err(&ran);
    for sign in [
        "not there any more",
        &role,
        &format!("tidegate revoke {grant}"),
    ] {
        assert!(said.contains(sign), "`{sign}` is missing: {said}");
    }
    assert!(out(&world.doctor()).contains("not there any more"));
    world.revoke(&grant);
    until("nothing is missing any more", || {
        tested(&world).status.success().then_some(())
    });
    // As a store that is older than the grant would find it.
    let stray = "tg_0123456789abcdefghjkmnpqrs";
    world.sql(&format!(
        "create role {stray} login; grant {stray} to tidegate_admin"
    ));
    let ran = tested(&world);
    let said = out(&ran) + &err(&ran);
    assert!(ran.status.success() && said.contains(stray), "{said}");
    world.sql(&format!("drop role {stray}"));
    let again = world.grant_pg("10m");
    works(&world, &again);
}
