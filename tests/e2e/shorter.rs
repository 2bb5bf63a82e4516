//! Approvers who give less than was asked, and people who come into other groups.

use tests::World;

use crate::{err, out};

/// What bob's command says, whether it works or not.
fn bob(world: &World, line: &[&str]) -> String {
    let ran = world.bob().output(line).expect("it runs");
    out(&ran) + &err(&ran)
}

#[test]
fn an_approver_gives_less_than_was_asked_and_never_more() {
    let world = World::new();
    let request = world.request("web1", &world.login(), "1h");
    let said = bob(&world, &["tidegate", "approve", &request, "--for", "61m"]);
    assert!(
        said.contains("asks for 1h, and nobody can give more"),
        "{said}"
    );
    let line = ["approve", &request, "--for", "10m"];
    let approved = world.bob().json(&line).expect("bob approves");
    let grant = approved["grant"].as_str().expect("a grant").to_owned();
    let grant = world
        .alice()
        .json(&["grants", "show", &grant])
        .expect("her grant");
    let at = |field: &str| -> jiff::Timestamp {
        let text = grant[field].as_str().expect("a time");
        text.parse().expect("a time")
    };
    let held = at("expires_at").duration_since(at("starts_at"));
    assert_eq!(held.as_secs(), 600);
    let shown = ["tidegate", "requests", "show", &request];
    let shown = world.alice().run(&shown).expect("alice looks");
    assert!(shown.contains("bob (for at most 10m)"), "{shown}");
    assert_eq!(out(&world.ssh(&[], &["echo in"])), "in\n");
    let ledger = ["tidegate", "audit", "ls", "-o", "json"];
    let ledger = world.carol().run(&ledger).expect("carol reads the ledger");
    assert!(ledger.contains("at_most"), "{ledger}");
}

#[test]
fn who_leaves_a_group_keeps_grants_and_loses_what_the_policies_gave_the_group() {
    let world = World::new();
    world.add_policy(
        "@id(\"only-sre\") @reason(\"Only sre comes in.\") forbid (principal, action == Jit::Action::\"connect\", resource) unless { principal in Jit::Group::\"sre\" };",
    );
    let grant = world.grant_ssh("10m");
    let mut ssh = world.begin_ssh();
    let said = bob(
        &world,
        &["tidegate", "user", "set", "alice", "--no-group", "dba"],
    );
    assert!(said.contains("not in the group `dba`"), "{said}");
    assert!(!ssh.has_ended());
    let leave = [
        "tidegate",
        "user",
        "set",
        "alice",
        "--no-group",
        "sre",
        "--group",
        "guests",
    ];
    let said = bob(&world, &leave);
    assert!(said.contains("alice is in guests; 1 session"), "{said}");
    let told = ssh.ended();
    assert!(told.contains("Only sre comes in"), "{told}");
    assert!(!world.ssh(&[], &["true"]).status.success());
    let who = world
        .alice()
        .run(&["tidegate", "whoami"])
        .expect("alice asks");
    assert!(who.contains("guests") && !who.contains("sre"), "{who}");
    let own = bob(
        &world,
        &["tidegate", "user", "set", "bob", "--group", "sre"],
    );
    assert!(own.contains("TG635"), "{own}");
    let back = bob(
        &world,
        &["tidegate", "user", "set", "alice", "--group", "sre"],
    );
    assert!(back.contains("alice is in guests, sre"), "{back}");
    // By the same grant.
    let ran = world.ssh(&[], &["echo back"]);
    assert_eq!(out(&ran), "back\n", "{}", err(&ran));
    let kept = world
        .alice()
        .json(&["grants", "show", &grant])
        .expect("her grant");
    assert_eq!(kept["in_force"], true, "{kept}");
}
