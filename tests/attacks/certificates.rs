//! Certificates that are not what they should be, and certificates used where they should not be.

use std::process::Output;

use proxy::demo::said;
use serde_json::Value;
use tests::World;

/// What the command line exits with for who is not logged in.
const NOT_LOGGED_IN: i32 = 3;

/// And for what is not there.
const NOT_FOUND: i32 = 6;

/// Alice's `ssh` to the bastion with another certificate for a key of her own.
fn try_with(world: &World, ca: &str, options: &[&str]) -> Output {
    let dir = world.dir().join("people/alice");
    let key = dir.join("forged").display().to_string();
    let alice = world.alice();
    drop(std::fs::remove_file(&key));
    alice
        .run(&["ssh-keygen", "-q", "-t", "ed25519", "-N", "", "-f", &key])
        .expect("a key");
    let public = format!("{key}.pub");
    let mut sign = vec!["ssh-keygen", "-q", "-s", ca, "-I", "forged"];
    sign.extend_from_slice(options);
    sign.push(&public);
    alice.run(&sign).expect("a certificate");
    let (port, address) = (world.ssh_port(), world.address());
    let certificate = format!("CertificateFile={key}-cert.pub");
    let known = alice.state_dir().join("known_hosts");
    let known = format!("UserKnownHostsFile={}", known.display());
    let line = [
        "ssh",
        "-F",
        "none",
        "-p",
        &port,
        "-i",
        &key,
        "-o",
        &certificate,
        "-o",
        "IdentitiesOnly=yes",
        "-o",
        "BatchMode=yes",
        "-o",
        &known,
        &address,
        "echo in",
    ];
    alice.output(&line).expect("ssh runs")
}

#[test]
fn a_certificate_of_another_ca_lets_nobody_in() {
    let world = World::new();
    world.grant_ssh("10m");
    let ca = world.dir().join("people/alice/ca").display().to_string();
    world
        .alice()
        .run(&["ssh-keygen", "-q", "-t", "ed25519", "-N", "", "-f", &ca])
        .unwrap();
    for options in [
        &["-n", "alice"][..],
        &["-n", "alice", "-h"],
        &["-n", "alice", "-V", "-2d:-1d"],
    ] {
        let tried = try_with(&world, &ca, options);
        let said = String::from_utf8_lossy(&tried.stderr);
        assert!(
            tried.stdout.is_empty() && said.contains("Permission denied"),
            "{options:?}: {said}"
        );
    }
    assert!(world.sessions().is_empty());
}

#[test]
fn a_login_certificate_opens_no_target_directly() {
    let world = World::new();
    world.grant_ssh("10m");
    let (port, state) = (world.sshd().port().to_string(), world.alice().state_dir());
    let (key, certificate) = (
        state.join("ssh-key").display().to_string(),
        state.join("ssh-key-cert.pub"),
    );
    let certificate = format!("CertificateFile={}", certificate.display());
    for login in [world.login(), "alice".to_owned()] {
        let address = format!("{login}@127.0.0.1");
        let line = [
            "ssh",
            "-F",
            "none",
            "-p",
            &port,
            "-i",
            &key,
            "-o",
            &certificate,
            "-o",
            "IdentitiesOnly=yes",
            "-o",
            "BatchMode=yes",
            "-o",
            "StrictHostKeyChecking=no",
            "-o",
            "UserKnownHostsFile=/dev/null",
            &address,
            "echo in",
        ];
        let tried = world.alice().output(&line).unwrap();
        let said = String::from_utf8_lossy(&tried.stderr);
        assert!(
            tried.stdout.is_empty() && said.contains("Permission denied"),
            "alice went around the bastion, or did not get as far: {said}"
        );
    }
}

#[test]
fn a_login_certificate_opens_no_database_directly() {
    let world = World::new();
    world.grant_pg("10m");
    let service = format!(
        "host=127.0.0.1 port={} dbname=orders user=app sslmode=require sslcert={s}/pg.crt sslkey={s}/pg.key",
        world.postgres().port(),
        s = world.alice().state_dir().display()
    );
    let tried = world
        .alice()
        .output(&["psql", "-X", &service, "-c", "select 1"])
        .unwrap();
    let said = String::from_utf8_lossy(&tried.stderr);
    assert!(
        tried.stdout.is_empty() && (said.contains("certificate") || said.contains("unknown ca")),
        "alice went around the bastion, or did not get as far: {said}"
    );
}

#[test]
fn an_old_login_is_nobody_once_its_name_is_used_again() {
    let world = World::new();
    world.grant_ssh("10m");
    let (alice, bob) = (world.alice(), world.bob());
    bob.run(&["tidegate", "user", "rm", "alice", "--yes"])
        .expect("bob removes alice");
    // Another person of her name, with a key and a grant of their own.
    let key = world.dir().join("another").display().to_string();
    let public = format!("{key}.pub");
    alice
        .run(&["ssh-keygen", "-q", "-t", "ed25519", "-N", "", "-f", &key])
        .expect("a key");
    let add = [
        "tidegate", "user", "add", "alice", "--key", &public, "--group", "sre",
    ];
    bob.run(&add).expect("bob adds another alice");
    let state = format!("TIDEGATE_STATE_DIR={}", world.dir().join("next").display());
    let next = |line: &[&str]| {
        let whole = [&["env", &state, "tidegate", "-o", "json"], line].concat();
        alice.output(&whole).expect("the next alice acts")
    };
    let login = next(&["login", "--identity", &key]);
    assert!(login.status.success(), "{}", said(&login));
    for (target, account) in [("web1", world.login()), ("orders", "app".to_owned())] {
        let asked = next(&[
            "request", target, "--as", &account, "--for", "10m", "--reason", "mine",
        ]);
        let asked: Value = serde_json::from_slice(&asked.stdout).expect("a request");
        let id = asked["id"].as_str().expect("its id");
        bob.run(&["tidegate", "approve", id]).expect("bob approves");
    }
    let ssh = world.ssh(&[], &["echo in"]);
    assert!(
        ssh.stdout.is_empty() && said(&ssh).contains("Permission denied"),
        "{}",
        said(&ssh)
    );
    let psql = world.psql("select 'in'");
    assert!(psql.stdout.is_empty(), "{}", said(&psql));
    assert!(said(&psql).contains("TG"), "{}", said(&psql));
    let api = alice
        .output(&["tidegate", "grants", "ls"])
        .expect("it runs");
    assert_eq!(api.status.code(), Some(NOT_LOGGED_IN), "{}", said(&api));
    assert!(world.sessions().is_empty());
    let whoami = next(&["whoami"]);
    assert!(whoami.status.success(), "{}", said(&whoami));
}

#[test]
fn a_key_that_is_removed_takes_its_login_and_its_sessions_along() {
    let world = World::new();
    world.grant_ssh("10m");
    let (alice, bob) = (world.alice(), world.bob());
    let mut live = world.begin_ssh();
    let listed = bob
        .run(&["tidegate", "-o", "name", "user", "keys", "alice"])
        .expect("bob lists her keys");
    let fingerprint = listed.trim();
    bob.run(&["tidegate", "user", "key", "rm", "alice", fingerprint])
        .expect("bob removes her key");
    let told = live.ended();
    assert!(told.contains("TG212"), "{told}");
    let ssh = world.ssh(&[], &["echo in"]);
    assert!(
        ssh.stdout.is_empty() && said(&ssh).contains("Permission denied"),
        "{}",
        said(&ssh)
    );
    for line in [&["tidegate", "whoami"][..], &["tidegate", "login"]] {
        let tried = alice.output(line).expect("it runs");
        assert_eq!(tried.status.code(), Some(NOT_LOGGED_IN), "{}", said(&tried));
    }
    let again = ["tidegate", "user", "key", "rm", "alice", fingerprint];
    let again = bob.output(&again).expect("it runs");
    assert_eq!(again.status.code(), Some(NOT_FOUND), "{}", said(&again));
}
