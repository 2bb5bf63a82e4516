//! Asking, answering, taking back: what the command line and its exit codes say.

use tests::World;

use crate::{err, out};

/// The documented exit codes.
const DENIED: i32 = 4;
const PENDING: i32 = 5;
const NOT_FOUND: i32 = 6;
const CONFLICT: i32 = 7;

#[test]
fn self_approval_refused() {
    let world = World::new();
    let request = world.request("web1", &world.login(), "10m");
    let tried = world
        .alice()
        .output(&["tidegate", "approve", &request])
        .unwrap();
    assert_eq!(tried.status.code(), Some(DENIED), "{}", err(&tried));
    assert!(err(&tried).contains("own request"), "{}", err(&tried));
    assert_eq!(world.ssh(&[], &["true"]).status.code(), Some(77));
}

#[test]
fn nobody_approves_what_they_may_not() {
    let world = World::new();
    let request = world.request("web1", &world.login(), "10m");
    let tried = world
        .carol()
        .output(&["tidegate", "approve", &request])
        .unwrap();
    assert!(
        [Some(DENIED), Some(NOT_FOUND)].contains(&tried.status.code()),
        "{}",
        err(&tried)
    );
}

#[test]
fn unknown_looks_like_forbidden() {
    let world = World::new();
    let bob = world.bob();
    let addr = world.sshd().addr().to_string();
    bob.run(&[
        "tidegate", "target", "add", "ssh", "hidden", "--addr", &addr, "--login", "deploy",
    ])
    .unwrap();
    // Carol may ask for nothing, so `hidden` is as good as `nowhere`.
    let ask = |target: &str| {
        let line = [
            "tidegate", "request", target, "--as", "deploy", "--for", "5m", "--reason", "curious",
        ];
        let asked = world.carol().output(&line).unwrap();
        (asked.status.code(), err(&asked).replace(target, "X"))
    };
    assert_eq!(ask("hidden"), ask("nowhere"));
    let go = |target: &str| {
        let (port, address) = (world.ssh_port(), format!("deploy+{target}@localhost"));
        let went = world
            .alice()
            .output(&["ssh", "-p", &port, &address, "true"])
            .unwrap();
        (went.status.code(), err(&went).replace(target, "X"))
    };
    assert_eq!(go("hidden"), go("nowhere"));
    let select = |target: &str| {
        let service = format!(
            "host=localhost port={} dbname={target} user=app sslmode=verify-full sslcert={s}/pg.crt sslkey={s}/pg.key sslrootcert={s}/ca.pem",
            world.doors().postgres,
            s = world.alice().state_dir().display()
        );
        let went = world
            .alice()
            .output(&["psql", "-X", &service, "-c", "select 1"])
            .unwrap();
        (went.status.code(), err(&went).replace(target, "X"))
    };
    assert_eq!(select("orders"), select("nowhere"));
}

#[test]
fn a_denied_request_says_why_and_gives_nothing() {
    let world = World::new();
    let request = world.request("web1", &world.login(), "10m");
    world
        .bob()
        .run(&["tidegate", "deny", &request, "--note", "not today"])
        .unwrap();
    let shown = world.alice().json(&["requests", "show", &request]).unwrap();
    assert_eq!(
        (shown["state"].as_str(), shown["note"].as_str()),
        (Some("denied"), Some("not today"))
    );
    let again = world
        .bob()
        .output(&["tidegate", "approve", &request])
        .unwrap();
    assert_eq!(again.status.code(), Some(CONFLICT), "{}", err(&again));
    assert_eq!(world.ssh(&[], &["true"]).status.code(), Some(77));
}

#[test]
fn a_withdrawn_request_cannot_be_approved() {
    let world = World::new();
    let request = world.request("web1", &world.login(), "10m");
    world
        .alice()
        .run(&["tidegate", "withdraw", &request])
        .unwrap();
    let tried = world
        .bob()
        .output(&["tidegate", "approve", &request])
        .unwrap();
    assert_eq!(tried.status.code(), Some(CONFLICT), "{}", err(&tried));
}

#[test]
fn waiting_that_runs_out_exits_5_and_an_approval_ends_it() {
    let world = World::new();
    let login = world.login();
    let ask = [
        "tidegate", "request", "web1", "--as", &login, "--reason", "INC-7", "--for", "5m",
    ];
    let waited = world
        .alice()
        .output(&[&ask[..], &["--wait=1s"]].concat())
        .unwrap();
    assert_eq!(waited.status.code(), Some(PENDING), "{}", err(&waited));

    let request = world
        .bob()
        .run(&["tidegate", "-o", "name", "requests", "ls"])
        .unwrap();
    let request = request.trim().to_owned();
    let line = ["tidegate", "requests", "show", &request, "--wait=20s"];
    let mut waiting = world.alice().command(line).spawn().unwrap();
    world.bob().run(&["tidegate", "approve", &request]).unwrap();
    assert!(waiting.wait().unwrap().success());
}

#[test]
fn revoking_what_somebody_has_ends_what_is_left() {
    let world = World::new();
    let over = world.grant_ssh("10m");
    let left = world.grant_pg("10m");
    world.revoke(&over);
    let again = ["tidegate", "revoke", &over, "--reason", "over now"];
    let again = world.bob().output(&again).unwrap();
    assert_eq!(again.status.code(), Some(CONFLICT), "{}", err(&again));
    let line = [
        "tidegate", "-o", "name", "revoke", "--user", "alice", "--reason", "over now", "--yes",
    ];
    let revoked = world.bob().output(&line).unwrap();
    assert!(revoked.status.success(), "{}", err(&revoked));
    assert_eq!(out(&revoked).trim(), left);
    let none = world.bob().output(&line).unwrap();
    assert_eq!(none.status.code(), Some(NOT_FOUND), "{}", err(&none));
}

#[test]
fn a_policy_with_a_mistake_is_refused_with_line_and_caret() {
    let world = World::new();
    let dir = world.config_dir().join("policy");
    let path = dir.join("access.cedar");
    let mut text = std::fs::read_to_string(&path).unwrap();
    text.push_str("\npermit (principal, action == Jit::Action::\"conect\", resource);\n");
    std::fs::write(&path, text).unwrap();
    let dir = dir.display().to_string();
    for verb in ["check", "apply"] {
        let tried = world
            .bob()
            .output(&["tidegate", "policy", verb, &dir])
            .unwrap();
        assert!(!tried.status.success());
        let said = err(&tried) + &out(&tried);
        assert!(
            said.contains("access.cedar:") && said.contains('^'),
            "{said}"
        );
    }
}

#[test]
fn doctor_finds_nothing_wrong_in_a_healthy_world() {
    let world = World::new();
    let looked = world.doctor();
    assert!(looked.status.success(), "{}{}", out(&looked), err(&looked));
}

#[test]
fn without_a_login_every_verb_says_so_and_exits_3() {
    let world = World::new();
    world.alice().run(&["tidegate", "logout"]).unwrap();
    let tried = world.alice().output(&["tidegate", "ls"]).unwrap();
    assert_eq!(tried.status.code(), Some(3));
    assert!(err(&tried).contains("tidegate login"), "{}", err(&tried));
}
