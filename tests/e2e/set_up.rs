//! Targets that are not set up: what an administrator is told, and what a person is.

use tests::{Setting, World};

use crate::{err, out};

/// Bob adds a target that answers and does not let tidegate in as `login`, and tests it.
#[track_caller]
fn check(line: &[&str], login: &str, sign: &str) {
    let world = World::new();
    let (ssh, pg) = (world.sshd().addr(), world.postgres().addr());
    let line = line.iter().map(|word| match *word {
        "SSH" => ssh.to_string(),
        "PG" => pg.to_string(),
        other => other.to_owned(),
    });
    let line: Vec<String> = line.collect();
    let words: Vec<&str> = line.iter().map(String::as_str).collect();
    let added = world.bob().output(&words).expect("it runs");
    let told = err(&added);
    assert_eq!(added.status.code(), Some(0), "it is added: {told}");
    for sign in ["NOT READY: other", login, "tidegate target test other"] {
        assert!(told.contains(sign), "`{sign}` is missing: {told}");
    }
    let tested = world
        .bob()
        .output(&["tidegate", "target", "test", "other"])
        .expect("it runs");
    let said = out(&tested) + &err(&tested);
    assert_eq!(tested.status.code(), Some(1), "{said}");
    for sign in [login, sign, "tidegate target show other"] {
        assert!(said.contains(sign), "`{sign}` is missing: {said}");
    }
    let looked = world.doctor();
    assert_eq!(looked.status.code(), Some(1), "{}", out(&looked));
    let shown = world
        .bob()
        .run(&["tidegate", "target", "show", "other"])
        .expect("it runs");
    for sign in [login, sign] {
        assert!(shown.contains(sign), "`{sign}` is missing: {shown}");
    }
}

#[test]
fn a_machine_that_refuses_the_certificate_is_not_called_healthy() {
    let line = [
        "tidegate",
        "target",
        "add",
        "ssh",
        "other",
        "--addr",
        "SSH",
        "--login",
        "nosuchaccount",
    ];
    check(&line, "nosuchaccount", "TrustedUserCAKeys");
}

#[test]
fn a_database_that_refuses_the_certificate_is_not_called_healthy() {
    let line = [
        "tidegate",
        "target",
        "add",
        "pg",
        "other",
        "--addr",
        "PG",
        "--dbname",
        "orders",
        "--role",
        "nosuchrole",
    ];
    check(&line, "nosuchrole", "pg_ident.conf");
}

#[test]
fn a_target_that_lets_tidegate_in_is_called_healthy() {
    let world = World::new();
    for target in ["web1", "orders"] {
        let line = ["tidegate", "target", "test", target];
        let said = world.bob().run(&line).unwrap();
        assert!(said.contains("lets tidegate in"), "{said}");
    }
}

#[test]
fn psql_says_whose_doing_it_is_that_the_database_refuses() {
    let world = World::with(&Setting {
        rules: "hostssl orders app all reject",
        ..Setting::default()
    });
    world.grant_pg("10m");
    let tried = world.psql("select 1");
    let said = err(&tried);
    for sign in ["TG513", "pg_hba.conf rejects", "HINT", "target test orders"] {
        assert!(said.contains(sign), "`{sign}` is missing: {said}");
    }
}
