//! Targets behind other targets: reached through them, proven end to end, cut as one.

use std::fs;
use std::time::Duration;

use proxy::demo::{Signals, Sshd, SshdOptions};
use tests::{Setting, World, until_ended, within};

use crate::{err, out};

/// How soon a cut session must be gone.
const SOON: Duration = Duration::from_secs(10);

/// An sshd of its own that trusts tidegate.
fn another(world: &World, name: &str) -> Sshd {
    let dir = world.dir().join(name);
    fs::create_dir(&dir).expect("a directory");
    let options = SshdOptions {
        dir: &dir,
        user_ca: Some(&world.trust().ssh_user_ca),
        extra: "",
        signals: Signals::Shared,
    };
    Sshd::start(&options).expect("it starts")
}

/// Bob adds a target behind another one, with more words.
fn add(world: &World, name: &str, at: &Sshd, more: &[&str]) -> String {
    let (login, addr) = (world.login(), at.addr().to_string());
    let mut line = vec!["tidegate", "target", "add", "ssh", name, "--addr", &addr];
    line.extend(["--login", &login]);
    line.extend_from_slice(more);
    let added = world.bob().output(&line).expect("it runs");
    out(&added) + &err(&added)
}

/// Alice runs a command on a target.
fn run(world: &World, target: &str, command: &str) -> std::process::Output {
    let (port, address) = (
        world.ssh_port(),
        format!("{}+{target}@localhost", world.login()),
    );
    let line = ["ssh", "-p", &port, &address, command];
    world.alice().output(&line).expect("ssh runs")
}

fn log(sshd: &Sshd) -> String {
    fs::read_to_string(sshd.dir().join("sshd.log")).unwrap_or_default()
}

#[test]
fn a_target_behind_another_is_a_target_like_any_other() {
    let world = World::new();
    let db = another(&world, "db1");
    let said = add(&world, "db1", &db, &["--jump", "web1"]);
    assert!(said.contains("added db1"), "{said}");
    let listed = world.bob().run(&["tidegate", "target", "ls", "-o", "wide"]);
    let way = format!("through {}+web1", world.login());
    assert!(
        listed.as_ref().is_ok_and(|listed| listed.contains(&way)),
        "{listed:?}"
    );
    let tested = world.bob().run(&["tidegate", "target", "test", "db1"]);
    assert!(tested.is_ok(), "{tested:?}");
    world.grant("db1", &world.login(), "10m");
    let ran = run(&world, "db1", "echo aside >&2; echo here; exit 3");
    assert_eq!(
        (out(&ran).as_str(), ran.status.code()),
        ("here\n", Some(3)),
        "{}",
        err(&ran)
    );
    // Much in both directions at once: neither connection waits for the other for ever.
    let input = world.dir().join("input");
    let bytes: Vec<u8> = (0..8_000_000_u32)
        .map(|number| number.to_le_bytes()[1])
        .collect();
    fs::write(&input, &bytes).expect("it is written");
    let (port, address) = (world.ssh_port(), format!("{}+db1@localhost", world.login()));
    let line = [
        "ssh",
        "-p",
        &port,
        &address,
        "cat; head -c 30000000 /dev/zero",
    ];
    let ran = tests::with_input(world.alice(), &line, &input);
    assert_eq!(ran.stdout.len(), 38_000_000, "{}", err(&ran));
    assert!(ran.stdout.starts_with(&bytes));
    // Both machines' own logs name the session.
    let session = world.ended_sessions()[0]["id"]
        .as_str()
        .expect("an id")
        .to_owned();
    for sshd in [&db, world.sshd()] {
        assert!(log(sshd).contains(&session), "{session}: {}", log(sshd));
    }
}

#[test]
fn three_may_stand_in_front_and_a_fourth_may_not() {
    let world = World::new();
    let at = another(&world, "behind");
    for (name, before) in [("one", "web1"), ("two", "one"), ("three", "two")] {
        let said = add(&world, name, &at, &["--jump", before]);
        assert!(said.contains(&format!("added {name}")), "{said}");
    }
    world.grant("three", &world.login(), "10m");
    let ran = run(&world, "three", "echo here");
    assert_eq!(out(&ran), "here\n", "{}", err(&ran));
    let said = add(&world, "four", &at, &["--jump", "three"]);
    assert!(
        said.contains("more than 3 targets stand in front of it"),
        "{said}"
    );
    let said = add(&world, "lost", &at, &["--jump", "root+nowhere"]);
    assert!(said.contains("`nowhere`"), "{said}");
}

/// There is no session that could tell of it.
#[test]
fn a_jump_to_what_is_no_target_is_in_the_ledger() {
    let world = World::new();
    let (port, jump) = (world.ssh_port(), "alice@localhost");
    let line = ["ssh", "-p", &port, "-W", "db!:5432", jump];
    let ran = world.alice().output(&line).expect("ssh runs");
    assert!(err(&ran).contains("TG602"), "{}", err(&ran));
    let told = world.carol().run(&["tidegate", "audit", "ls"]);
    let told = told.expect("carol reads the ledger");
    let line = told.lines().find(|line| line.contains("db! port 5432"));
    assert!(
        line.is_some_and(|line| ["alice", "jump", "TG602"]
            .iter()
            .all(|it| line.contains(it))),
        "{told}"
    );
}

/// A live session on a target behind `web1` is cut by what `cut` does.
#[track_caller]
fn is_cut(cut: impl FnOnce(&World, &str)) {
    let world = World::new();
    let db = another(&world, "db1");
    add(&world, "db1", &db, &["--jump", "web1"]);
    let grant = world.grant("db1", &world.login(), "10m");
    let (port, address) = (world.ssh_port(), format!("{}+db1@localhost", world.login()));
    let mark = world.dir().join("ticking");
    let tick = format!(
        "echo $$ > {}; while echo tick; do sleep 0.05; done",
        mark.display()
    );
    let mut ssh = world.begin("ssh", &["ssh", "-p", &port, "-tt", &address, &tick], "tick");
    cut(&world, &grant);
    let told = within(SOON, "ssh is gone", || {
        ssh.has_ended().then(|| ssh.output())
    });
    assert!(told.contains("TG"), "{told}");
    until_ended(&mark);
}

#[test]
fn a_revocation_cuts_through_the_jump() {
    is_cut(World::revoke);
}

#[test]
fn a_jump_that_is_removed_takes_the_sessions_through_it_along() {
    is_cut(|world, _grant| {
        let line = ["tidegate", "target", "rm", "web1", "--yes"];
        let said = world.bob().run(&line).expect("bob removes it");
        assert!(said.contains("nobody gets to db1 any more"), "{said}");
        let ran = run(world, "db1", "echo here");
        let said = err(&ran);
        assert!(said.contains("TG117") && !said.contains("web1"), "{said}");
        let test = ["tidegate", "target", "test", "db1"];
        let said = err(&world.bob().output(&test).expect("it runs"));
        assert!(
            said.contains("nobody gets to it: the target `web1`"),
            "{said}"
        );
    });
}

#[test]
fn a_jump_that_is_locked_takes_the_sessions_through_it_along_until_it_is_unlocked() {
    is_cut(|world, grant| {
        let bob = |line: &[&str]| {
            let ran = world.bob().output(line).expect("it runs");
            out(&ran) + &err(&ran)
        };
        let said = bob(&["tidegate", "target", "lock", "web1", "--reason", "odd"]);
        assert!(said.contains("1 session is cut"), "{said}");
        let said = err(&run(world, "db1", "echo here"));
        assert!(said.contains("TG117") && !said.contains("web1"), "{said}");
        let shown = bob(&["tidegate", "target", "show", "db1"]);
        assert!(
            shown.contains("web1 in front of it locked by bob"),
            "{shown}"
        );
        let shown = bob(&["tidegate", "grants", "show", grant]);
        assert!(shown.contains("locked"), "{shown}");
        let said = bob(&["tidegate", "target", "test", "db1"]);
        assert!(said.contains("`web1` in front of it is locked"), "{said}");
        bob(&["tidegate", "target", "unlock", "web1"]);
        let ran = run(world, "db1", "echo here");
        assert_eq!(out(&ran), "here\n", "{}", err(&ran));
    });
}

#[test]
fn a_jump_that_lets_nobody_through_is_named_to_administrators_alone() {
    let world = World::with(&Setting {
        sshd: "AllowTcpForwarding no",
        ..Setting::default()
    });
    let db = another(&world, "db1");
    let said = add(&world, "db1", &db, &["--jump", "web1"]);
    assert!(
        said.contains("AllowTcpForwarding") && said.contains("`web1`"),
        "{said}"
    );
    let said = add(
        &world,
        "db1",
        &db,
        &["--jump", "web1", "--host-key", db.host_key()],
    );
    assert!(said.contains("added db1"), "{said}");
    world.grant("db1", &world.login(), "10m");
    let ran = run(&world, "db1", "echo here");
    let said = err(&ran);
    assert!(out(&ran).is_empty() && said.contains("TG408"), "{said}");
    assert!(
        !said.contains("web1") && !said.contains("127.0.0.1"),
        "{said}"
    );
}

#[test]
fn every_host_key_on_the_way_is_looked_at() {
    let world = World::new();
    let db = another(&world, "db1");
    // What stands in front is not the one that was added.
    add(&world, "edge", world.sshd(), &["--host-key", db.host_key()]);
    add(
        &world,
        "db1",
        &db,
        &["--jump", "edge", "--host-key", db.host_key()],
    );
    // What stands behind is not.
    let other = world.sshd().host_key().to_owned();
    add(
        &world,
        "db2",
        &db,
        &["--jump", "web1", "--host-key", &other],
    );
    for (target, code) in [("db1", "TG408"), ("db2", "TG402")] {
        world.grant(target, &world.login(), "10m");
        let ran = run(&world, target, "echo here");
        assert!(
            out(&ran).is_empty() && err(&ran).contains(code),
            "{target}: {}",
            err(&ran)
        );
    }
}
