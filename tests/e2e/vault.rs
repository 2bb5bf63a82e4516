//! Targets that know no certificates: entered with a key or a password that tidegate keeps.

use std::fs;
use std::path::Path;
use std::process::{Command, Output};

use serde_json::Value;
use tests::{Setting, World, with_input};

use crate::{err, out};

/// A world whose sshd knows one plain key besides.
fn world(dir: &Path) -> World {
    let keys = dir.join("authorized_keys");
    let lines = format!("AuthorizedKeysFile {}", keys.display());
    World::with(&Setting {
        sshd: &lines,
        ..Setting::default()
    })
}

fn keygen(at: &Path) {
    let made = Command::new("ssh-keygen")
        .args(["-q", "-t", "ed25519", "-N", "", "-C", "kept", "-f"])
        .arg(at)
        .status()
        .expect("ssh-keygen runs");
    assert!(made.success());
}

#[test]
fn a_key_that_is_kept_opens_a_target_behind_a_permit_and_is_never_shown() {
    let dir = proxy::demo::Scratch::create("tidegate-vault").expect("a directory");
    let key = dir.path().join("kept");
    keygen(&key);
    fs::copy(
        key.with_extension("pub"),
        dir.path().join("authorized_keys"),
    )
    .expect("it is copied");
    let world = world(dir.path());
    let (login, addr) = (world.login(), world.sshd().addr().to_string());
    let file = key.display().to_string();
    let line = [
        "tidegate",
        "target",
        "add",
        "ssh",
        "switch1",
        "--addr",
        &addr,
        "--login",
        &login,
        "--vault-key",
        &file,
    ];
    let added = world.bob().output(&line).expect("it runs");
    let said = out(&added) + &err(&added);
    assert!(
        said.contains("standing credential") && said.contains("and ready"),
        "{said}"
    );
    world.grant("switch1", &login, "10m");
    let (port, address) = (world.ssh_port(), format!("{login}+switch1@localhost"));
    let ran = world
        .alice()
        .output(&["ssh", "-p", &port, &address, "echo here"]);
    let ran = ran.expect("ssh runs");
    assert_eq!(out(&ran), "here\n", "{}", err(&ran));
    is_in_the_ledger(&world);
    is_told_of(&world);
    is_never_shown(&world, &key);
    is_exchanged(&world, dir.path(), &address);
}

/// Each use has a line: whose session it was, or who looked at the target.
fn is_in_the_ledger(world: &World) {
    let line = ["tidegate", "audit", "ls", "-o", "jsonl", "--limit", "500"];
    let audit = world.carol().run(&line).expect("carol reads the ledger");
    let uses = |purpose: &str| -> Vec<Value> {
        let lines = audit
            .lines()
            .map(|line| serde_json::from_str(line).expect("JSON"));
        let used = lines.filter(|line: &Value| line["event"] == "standing_used");
        used.filter(|line| line["purpose"] == purpose).collect()
    };
    let (sessions, trials) = (uses("session"), uses("trial"));
    assert_eq!(sessions.len(), 1, "{audit}");
    assert_eq!(sessions[0]["session"], world.ended_sessions()[0]["id"]);
    assert_eq!(
        (&sessions[0]["target"], &sessions[0]["entry"]),
        (&"switch1".into(), &"key".into())
    );
    assert_eq!(sessions[0]["principal"], "alice");
    assert!(!trials.is_empty(), "it was tried as it was added: {audit}");
    assert_eq!(
        (&trials[0]["principal"], &trials[0]["session"]),
        (&"bob".into(), &Value::Null)
    );
}

/// Everybody who lists targets reads that there is a standing credential, and `doctor` how to exchange it.
fn is_told_of(world: &World) {
    for who in [world.bob(), world.alice()] {
        let listed = who.run(&["tidegate", "ls"]).expect("it lists");
        assert!(listed.contains("standing credential"), "{listed}");
    }
    let doctor = world.doctor();
    assert!(
        out(&doctor).contains("target set switch1 --vault-key"),
        "{}",
        out(&doctor)
    );
}

/// Nowhere in the clear: not in an answer, not in the log, not in the store.
fn is_never_shown(world: &World, key: &Path) {
    let text = fs::read_to_string(key).expect("the key");
    let middle = text.lines().nth(2).expect("a line of it").to_owned();
    let shown = world
        .bob()
        .json(&["target", "show", "switch1"])
        .expect("it shows");
    let mut places = vec![shown.to_string(), world.server_log()];
    for entry in fs::read_dir(world.state_dir()).expect("the state") {
        let path = entry.expect("an entry").path();
        if path.is_file() {
            places.push(String::from_utf8_lossy(&fs::read(path).expect("it reads")).into_owned());
        }
    }
    assert!(places.iter().all(|place| !place.contains(&middle)));
}

/// Exchanged for one that the target does not know: said to both.
fn is_exchanged(world: &World, dir: &Path, address: &str) {
    let port = world.ssh_port();
    let other = dir.join("other");
    keygen(&other);
    let line = [
        "tidegate",
        "target",
        "set",
        "switch1",
        "--vault-key",
        &other.display().to_string(),
    ];
    world.bob().run(&line).expect("bob exchanges it");
    let ran = world
        .alice()
        .output(&["ssh", "-p", &port, address, "echo here"])
        .expect("ssh runs");
    assert!(err(&ran).contains("TG410"), "{}", err(&ran));
    let tested = world
        .bob()
        .output(&["tidegate", "target", "test", "switch1"])
        .expect("it runs");
    assert!(
        err(&tested).contains("does not accept the key"),
        "{}",
        err(&tested)
    );
}

const PASSWORD: &str = "correct-horse-battery";

/// A world whose sshd wants passwords, and an account that has one. None where no account can be made.
fn with_password() -> Option<(World, Account)> {
    let is_root = Command::new("id")
        .arg("-u")
        .output()
        .is_ok_and(|id| id.stdout == b"0\n");
    if !is_root {
        return None; // Only root makes an account.
    }
    let account = Account::make(format!("tgt{}", std::process::id() % 100_000))?;
    let world = World::with(&Setting {
        sshd: "PasswordAuthentication yes\nAuthenticationMethods password",
        ..Setting::default()
    });
    let input = world.dir().join("input");
    fs::write(&input, format!("{}:{PASSWORD}\n", account.0)).expect("it is written");
    let set = with_input(world.bob(), &["chpasswd"], &input);
    assert!(set.status.success(), "{}", err(&set));
    fs::write(&input, format!("{PASSWORD}\n")).expect("it is written");
    Some((world, account))
}

/// Alice runs a command at `switch1`.
fn at_switch1(world: &World, account: &Account, command: &str) -> Output {
    let (port, address) = (world.ssh_port(), format!("{}+switch1@localhost", account.0));
    let line = ["ssh", "-p", &port, &address, command];
    world.alice().output(&line).expect("ssh runs")
}

#[test]
fn a_password_is_read_from_the_input_and_asked_for_by_the_target() {
    let Some((world, account)) = with_password() else {
        return;
    };
    let (input, addr) = (world.dir().join("input"), world.sshd().addr().to_string());
    let line = [
        "tidegate",
        "target",
        "add",
        "ssh",
        "switch1",
        "--addr",
        &addr,
        "--login",
        &account.0,
        "--vault-password",
    ];
    let added = with_input(world.bob(), &line, &input);
    assert!(
        !added.status.success() && err(&added).contains("--host-key"),
        "sent to whoever answers: {}",
        err(&added)
    );
    let line = [&line[..], &["--host-key", world.sshd().host_key()]].concat();
    let added = with_input(world.bob(), &line, &input);
    let said = out(&added) + &err(&added);
    assert!(
        said.contains("and ready") && !said.contains(PASSWORD),
        "{said}"
    );
    world.grant("switch1", &account.0, "10m");
    let ran = at_switch1(&world, &account, "id -un");
    assert_eq!(out(&ran), format!("{}\n", account.0), "{}", err(&ran));
    assert!(!world.server_log().contains(PASSWORD));
}

#[test]
fn a_password_is_read_from_a_file_and_exchanged_by_another_one() {
    let Some((world, account)) = with_password() else {
        return;
    };
    let (file, addr) = (world.dir().join("input"), world.sshd().addr().to_string());
    let named = file.display().to_string();
    let gone = world.dir().join("gone").display().to_string();
    let add = |file: &str| {
        let line = [
            "tidegate",
            "target",
            "add",
            "ssh",
            "switch1",
            "--addr",
            &addr,
            "--login",
            &account.0,
            "--host-key",
            world.sshd().host_key(),
            "--password-file",
            file,
        ];
        world.bob().output(&line).expect("it runs")
    };
    let unread = add(&gone);
    assert!(
        !unread.status.success() && err(&unread).contains(&gone),
        "{}",
        err(&unread)
    );
    let added = add(&named);
    let said = out(&added) + &err(&added);
    assert!(
        said.contains("and ready") && !said.contains(PASSWORD),
        "{said}"
    );
    world.grant("switch1", &account.0, "10m");
    let ran = at_switch1(&world, &account, "id -un");
    assert_eq!(out(&ran), format!("{}\n", account.0), "{}", err(&ran));
    let set = [
        "tidegate",
        "target",
        "set",
        "switch1",
        "--password-file",
        &named,
    ];
    for (password, want) in [("another", false), (PASSWORD, true)] {
        fs::write(&file, password).expect("it is written");
        world.bob().run(&set).expect("bob exchanges it");
        let ran = at_switch1(&world, &account, "echo here");
        assert_eq!(out(&ran) == "here\n", want, "{}", err(&ran));
        assert_eq!(err(&ran).contains("TG410"), !want, "{}", err(&ran));
    }
    assert!(!world.server_log().contains(PASSWORD));
}

/// An account of this machine, removed at the end.
struct Account(String);

impl Account {
    /// Of one that outlives a test that is killed nobody has any use for long.
    fn make(name: String) -> Option<Self> {
        let tomorrow = Command::new("date")
            .args(["-d", "tomorrow", "+%F"])
            .output();
        let tomorrow = out(&tomorrow.expect("date runs"));
        let made = Command::new("useradd")
            .args(["-M", "-d", "/", "-s", "/bin/sh", "-e", tomorrow.trim()])
            .arg(&name)
            .status();
        made.is_ok_and(|made| made.success()).then_some(Self(name))
    }
}

impl Drop for Account {
    fn drop(&mut self) {
        // Also where something of it still runs.
        drop(Command::new("userdel").args(["-f", &self.0]).status());
    }
}
