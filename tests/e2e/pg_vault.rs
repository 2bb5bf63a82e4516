//! A PostgreSQL server that knows passwords only: entered by SCRAM with one that tidegate keeps, and by
//! nothing else whatever it asks for.

use std::fs;
use std::process::{Command, Output};

use tests::{World, one_of_three, until, with_input};

use crate::{err, out};

const PASSWORD: &str = "correct horse bättery";

/// A verifier of nothing that asks for this many rounds.
fn rounds(count: &str) -> String {
    let hash = "A".repeat(43);
    format!("SCRAM-SHA-256${count}:QUFBQUFBQUFBQUFBQUFBQQ==${hash}=:{hash}=")
}

/// Has the role `vaulted` let in by this method, with this password.
fn lets_in(world: &World, method: &str, password: &str) {
    let rules = world.postgres().dir().join("data/pg_hba.conf");
    // Written in place: the file stays the server's own.
    let lines = format!("local all all trust\nhostssl orders vaulted 127.0.0.1/32 {method}\n");
    fs::write(rules, lines).expect("it is written");
    world.sql(&if password.starts_with("SCRAM-SHA-256$") {
        // `ALTER ROLE` would go through all those rounds, to see whether the password is empty.
        format!("update pg_authid set rolpassword = '{password}' where rolname = 'vaulted'")
    } else {
        format!("alter role vaulted password '{password}'")
    });
    world.sql("select pg_reload_conf()");
}

/// The SHA-256 of a certificate, as it is typed.
pub(crate) fn fingerprint(pem: &std::path::Path) -> String {
    let mut openssl = Command::new("openssl");
    openssl.args(["x509", "-noout", "-fingerprint", "-sha256", "-in"]);
    let told = openssl.arg(pem).output().expect("openssl runs");
    let told = out(&told);
    let digits = told.rsplit('=').next().unwrap_or_default();
    digits.trim().replace(':', "").to_lowercase()
}

fn add(world: &World) -> Output {
    let input = world.dir().join("input");
    fs::write(&input, format!("{PASSWORD}\n")).expect("it is written");
    let (addr, name) = (world.postgres().addr().to_string(), "vault1");
    let line = [
        "tidegate",
        "target",
        "add",
        "pg",
        name,
        "--addr",
        &addr,
        "--dbname",
        "orders",
        "--role",
        "vaulted",
        "--label",
        "env=dev",
        "--vault-password",
    ];
    let blind = with_input(world.bob(), &line, &input);
    assert!(
        !blind.status.success() && err(&blind).contains("--server-cert-sha256"),
        "proven to whoever answers: {}",
        err(&blind)
    );
    let pin = fingerprint(&world.postgres().certificate_path());
    let line = [&line[..], &["--server-cert-sha256", &pin]].concat();
    let added = with_input(world.bob(), &line, &input);
    assert!(added.status.success(), "{}", err(&added));
    added
}

fn psql(world: &World, sql: &str) -> Output {
    let place = "service=orders dbname=vault1 user=vaulted";
    world
        .alice()
        .output(&["psql", "-X", "-At", place, "-c", sql])
        .expect("psql runs")
}

fn world() -> World {
    let world = World::new();
    world.sql("create role vaulted login; grant select on orders to vaulted");
    lets_in(&world, "scram-sha-256", PASSWORD);
    world
}

/// Whether what a session has running as it is cut is seen to be gone.
fn is_seen_to_stop(world: &World) -> bool {
    let grant = world.grant("vault1", "vaulted", "10m");
    let place = "service=orders dbname=vault1 user=vaulted";
    let line = [
        "psql",
        "-X",
        "-At",
        place,
        "-c",
        "select 'begun'",
        "-c",
        "select pg_sleep(600)",
    ];
    let mut client = world.begin("psql", &line, "begun");
    until("it sleeps", || (world.sleepers() == 1).then_some(()));
    world.revoke(&grant);
    assert!(client.ended().contains("over now"));
    // She is told while it is being stopped.
    let sessions = world.ended_sessions();
    let cut = sessions
        .iter()
        .find(|session| session["grant"] == grant.as_str())
        .expect("there was one");
    let said = world.exported(cut["id"].as_str().expect("an id"), "--text");
    let seen = said.contains("the server process is gone");
    assert!(!seen || world.sleepers() == 0);
    seen
}

#[test]
fn a_server_that_knows_passwords_only_is_entered_by_scram_and_the_password_is_never_shown() {
    let world = world();
    let added = add(&world);
    let said = out(&added) + &err(&added);
    assert!(
        said.contains("standing credential")
            && said.contains("and ready")
            && said.contains("scram-sha-256"),
        "{said}"
    );
    let grant = world.grant("vault1", "vaulted", "10m");
    let ran = psql(&world, "select session_user, count(*) from orders");
    assert_eq!(out(&ran), "vaulted|1000\n", "{}", err(&ran));
    for who in [world.bob(), world.alice()] {
        let listed = who.run(&["tidegate", "ls"]).expect("it lists");
        assert!(listed.contains("standing credential"), "{listed}");
    }
    let doctor = world.doctor();
    let hint = "target set vault1 --vault-password";
    assert!(out(&doctor).contains(hint), "{}", out(&doctor));
    // What runs is stopped and seen to be gone by the same password.
    world.revoke(&grant);
    one_of_three("it is seen to stop", || is_seen_to_stop(&world));
    let shown = world.bob().json(&["target", "show", "vault1"]);
    let mut places = vec![shown.expect("it shows").to_string(), world.server_log()];
    for entry in fs::read_dir(world.state_dir()).expect("the state") {
        let path = entry.expect("an entry").path();
        if path.is_file() {
            places.push(String::from_utf8_lossy(&fs::read(path).expect("it reads")).into_owned());
        }
    }
    assert!(places.iter().all(|place| !place.contains("correct horse")));
}

#[test]
fn a_server_that_asks_for_anything_but_scram_or_proves_nothing_is_not_answered() {
    let world = world();
    add(&world);
    world.grant("vault1", "vaulted", "10m");
    let ran = psql(&world, "select 1");
    assert_eq!(out(&ran), "1\n", "{}", err(&ran));
    let told = |method: &str, password: &str, sign: &str| {
        lets_in(&world, method, password);
        let ran = psql(&world, "select 1");
        assert!(err(&ran).contains("TG410"), "{sign}: {}", err(&ran));
        let tested = world
            .bob()
            .output(&["tidegate", "target", "test", "vault1"])
            .expect("it runs");
        let said = err(&tested);
        assert!(said.contains("does not accept the password"), "{said}");
        assert!(world.server_log().contains(sign), "{sign}");
    };
    told("password", PASSWORD, "it asks for a password in clear");
    told("trust", PASSWORD, "it lets in without asking");
    told("scram-sha-256", &rounds("1"), "fewer than 4096 rounds");
    let many = rounds("2000000000");
    told("scram-sha-256", &many, "more than 100000 rounds");
    told("scram-sha-256", "another", "28P01");
    // The server's log holds what it was sent in clear, were anything sent.
    let log = fs::read_to_string(world.postgres().dir().join("postgres.log"));
    assert!(!log.expect("it has a log").contains("correct horse"));
    world.sql("set password_encryption = 'md5'; alter role vaulted password 'x'");
    let rules = world.postgres().dir().join("data/pg_hba.conf");
    let lines = "local all all trust\nhostssl orders vaulted 127.0.0.1/32 md5\n";
    fs::write(rules, lines).expect("it is written");
    world.sql("select pg_reload_conf()");
    let ran = psql(&world, "select 1");
    assert!(err(&ran).contains("TG410"), "{}", err(&ran));
    assert!(world.server_log().contains("it asks for an MD5 password"));
    // Set right again, and exchanged, it goes on.
    lets_in(&world, "scram-sha-256", "another");
    let input = world.dir().join("input");
    fs::write(&input, "another\n").expect("it is written");
    let line = ["tidegate", "target", "set", "vault1", "--vault-password"];
    let set = with_input(world.bob(), &line, &input);
    assert!(set.status.success(), "{}", err(&set));
    let ran = psql(&world, "select 1");
    assert_eq!(out(&ran), "1\n", "{}", err(&ran));
}

#[test]
fn roles_of_grants_are_not_made_with_a_password() {
    let world = world();
    let input = world.dir().join("input");
    fs::write(&input, "x\n").expect("it is written");
    let pin = fingerprint(&world.postgres().certificate_path());
    let addr = world.postgres().addr().to_string();
    let line = [
        "tidegate",
        "target",
        "add",
        "pg",
        "both",
        "--addr",
        &addr,
        "--dbname",
        "orders",
        "--role",
        "app",
        "--vault-password",
        "--admin-role",
        "tidegate_admin",
        "--server-cert-sha256",
        &pin,
    ];
    let added = with_input(world.bob(), &line, &input);
    let said = err(&added);
    assert!(said.contains("entered with a password"), "{said}");
}
