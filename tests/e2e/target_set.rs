//! `target set`: what an operator changes of a target while people are granted it and are in it. Nothing that a server
//! shows is believed because it shows it.

use std::fs;
use std::path::Path;
use std::process::{Command, Output};

use proxy::demo::{ROLE, Signals, Sshd, SshdOptions};
use serde_json::Value;
use tests::{World, until};

use crate::pg_vault::fingerprint;
use crate::{err, out};

/// The exit code of a proof that does not hold.
const UNPROVEN: Option<i32> = Some(9);

/// Bob types `tidegate target set …`.
fn set(world: &World, line: &[&str]) -> Output {
    let whole = [&["tidegate", "target", "set"], line].concat();
    world.bob().output(&whole).expect("it runs")
}

/// The same, and it is done.
#[track_caller]
fn done(world: &World, line: &[&str]) -> String {
    let ran = set(world, line);
    assert!(ran.status.success(), "{line:?}: {}", err(&ran));
    err(&ran) + &out(&ran)
}

/// The same, and it is refused: nothing of the target is otherwise afterwards.
#[track_caller]
fn refused(world: &World, line: &[&str], code: Option<i32>, signs: &[&str]) {
    let before = shown(world, line[0]);
    let ran = set(world, line);
    assert_eq!(ran.status.code(), code, "{line:?}: {}", err(&ran));
    for sign in signs {
        assert!(err(&ran).contains(sign), "{sign}: {}", err(&ran));
    }
    assert_eq!(shown(world, line[0]), before);
}

/// What bob sees of a target, without how he stands to it.
fn shown(world: &World, name: &str) -> Value {
    let mut seen = world.bob().json(&["target", "show", name]).expect("JSON");
    seen["access"].take();
    seen
}

/// A new host key in the place of the old one, and its fingerprint. What is connected stays so.
fn keyed_anew(world: &mut World) -> String {
    let key = world.sshd().dir().join("host_key");
    for file in [key.clone(), key.with_extension("pub")] {
        fs::remove_file(file).expect("it was there");
    }
    let print = keygen(&key);
    // sshd reads everything anew.
    world.sshd_mut().daemon().signal("HUP");
    print
}

/// Makes a host key, and says its fingerprint.
fn keygen(key: &Path) -> String {
    let mut keygen = Command::new("ssh-keygen");
    keygen
        .args(["-q", "-t", "ed25519", "-N", "", "-f"])
        .arg(key);
    assert!(keygen.status().expect("ssh-keygen runs").success());
    print_of(key)
}

fn print_of(key: &Path) -> String {
    let told = Command::new("ssh-keygen").arg("-lf").arg(key).output();
    let told = out(&told.expect("ssh-keygen runs"));
    told.split(' ').nth(1).expect("a fingerprint").to_owned()
}

/// The lines of the log that changed a target, as carol reads them, the newest last.
fn changes(world: &World) -> Vec<Value> {
    let line = ["audit", "ls", "--limit", "1000"];
    let known = world.carol().json(&line).expect("JSON");
    let items = known["items"].as_array().expect("lines").iter();
    let grown = items.filter(|line| line["event"] == "log_appended");
    let changed = grown.filter(|line| {
        let changes = line["appended"]["changes"].as_array();
        changes.is_some_and(|all| all.iter().any(|one| one["change"] == "target_changed"))
    });
    changed.cloned().collect()
}

/// Every recording and the ledger hold.
#[track_caller]
fn evidence_holds(world: &World) {
    for session in world.ended_sessions() {
        let id = session["id"].as_str().expect("an id");
        let (holds, said) = world.verify(id);
        assert!(holds, "{said}");
    }
    let audit = world.carol().run(&["tidegate", "audit", "verify"]);
    audit.expect("the ledger holds");
}

#[test]
fn a_host_that_was_made_anew_is_believed_by_the_fingerprint_that_its_console_says() {
    let mut world = World::new();
    world.grant_ssh("10m");
    let mut within = world.begin_ssh();
    let old = print_of(&world.sshd().dir().join("host_key"));
    let new = keyed_anew(&mut world);
    let tried = until("the new key is shown", || {
        let tried = world.ssh(&[], &["echo in"]);
        err(&tried).contains("TG402").then_some(tried)
    });
    assert!(out(&tried).is_empty(), "{}", out(&tried));
    assert!(
        err(&tried).contains("tidegate target set web1"),
        "{}",
        err(&tried)
    );
    assert!(world.server_log().contains("target.impostor"));
    let tested = world.bob().output(&["tidegate", "target", "test", "web1"]);
    let tested = err(&tested.expect("it runs"));
    assert!(
        tested.contains("tidegate target set web1 --host-key"),
        "{tested}"
    );
    // Both are shown, and nothing is believed by that; by the wrong one neither.
    let command = format!("tidegate target set web1 --host-key {new}");
    let both = [old.as_str(), &new, &command, "ssh-keygen -lf"];
    refused(&world, &["web1", "--host-key"], UNPROVEN, &both);
    let wrong = ["web1", "--host-key", &old];
    refused(&world, &wrong, UNPROVEN, &["does not show", &new]);
    let line = ["tidegate", "target", "set", "web1", "--host-key", &new];
    let eve = world.alice().output(&line).expect("it runs");
    assert_eq!(eve.status.code(), Some(4), "{}", err(&eve));

    let said = done(&world, &["web1", "--host-key", &new]);
    assert!(said.contains(&old) && said.contains(&new), "{said}");
    let ran = world.ssh(&[], &["echo here"]);
    assert_eq!(out(&ran), "here\n", "{}", err(&ran));
    assert!(!within.has_ended(), "{}", within.output());
    let again = ["web1", "--host-key"];
    refused(&world, &again, Some(7), &["it shows what is pinned"]);
    within.signal("KILL");
    let log = changes(&world);
    let [line] = log.as_slice() else {
        panic!("{log:?}");
    };
    assert_eq!(line["appended"]["by"], "bob");
    let told = &line["appended"]["changes"][0];
    let key = |place: &Value| place["host_key"]["keys"][0].as_str().map(str::to_owned);
    let (was, is) = (key(&told["was"]["place"]), key(&told["target"]["endpoint"]));
    assert!(was.is_some() && is.is_some() && was != is, "{told}");
    evidence_holds(&world);
}

/// An sshd with this key, or one of its own, that knows tidegate.
fn another(world: &World, name: &str, key: Option<&Path>) -> Sshd {
    let dir = world.dir().join(name);
    fs::create_dir(&dir).expect("a directory");
    if let Some(key) = key {
        fs::copy(key, dir.join("host_key")).expect("it is copied");
        let public = key.with_extension("pub");
        fs::copy(public, dir.join("host_key.pub")).expect("it is copied");
    }
    let options = SshdOptions {
        dir: &dir,
        user_ca: Some(&world.trust().ssh_user_ca),
        extra: "SetEnv WHERE=there SHLVL=1",
        signals: Signals::Shared,
    };
    Sshd::start(&options).expect("sshd starts")
}

#[test]
fn a_host_that_moved_is_entered_where_it_is_and_who_is_in_stays() {
    let world = World::new();
    let grant = world.grant_ssh("10m");
    let mut within = world.begin_ssh();
    let same = another(&world, "same", Some(&world.sshd().dir().join("host_key")));
    let other = another(&world, "other", None);
    let (here, there) = (same.addr().to_string(), other.addr().to_string());
    let dead = ["web1", "--addr", "127.0.0.1:1"];
    refused(&world, &dead, Some(1), &["127.0.0.1:1"]);
    let print = print_of(&other.dir().join("host_key"));
    let command = format!("tidegate target set web1 --addr {there} --host-key {print}");
    refused(&world, &["web1", "--addr", &there], UNPROVEN, &[&command]);
    done(&world, &["web1", "--addr", &here]);
    let ran = world.ssh(&[], &["echo $WHERE"]);
    assert_eq!(out(&ran), "there\n", "{}", err(&ran));
    assert!(!within.has_ended(), "{}", within.output());
    // Where neither stays nothing says that it is the machine that bob said yes to.
    let line = ["web1", "--addr", &there, "--host-key", &print];
    refused(&world, &line, Some(2), &["--yes"]);
    done(&world, &[&line[..], &["--yes"]].concat());
    let shown = world.carol().json(&["grants", "show", &grant]);
    let shown = shown.expect("JSON");
    assert_eq!(shown["ended_by"], "bob", "{shown}");
    assert!(!world.ssh(&[], &["echo in"]).status.success());
    within.ended();
    world.grant_ssh("10m");
    let ran = world.ssh(&[], &["echo $WHERE"]);
    assert_eq!(out(&ran), "there\n", "{}", err(&ran));
    evidence_holds(&world);
}

#[test]
fn labels_and_logins_are_what_policies_see_from_then_on() {
    let world = World::new();
    world.add_policy(
        r#"@id("freeze") @reason("Frozen.")
           forbid (principal, action == Jit::Action::"connect", resource)
           when { resource.hasTag("freeze") };"#,
    );
    world.grant_ssh("10m");
    let mut within = world.begin_ssh();
    done(&world, &["web1", "--label", "freeze=yes"]);
    let told = within.ended();
    assert!(told.contains("Frozen"), "{told}");
    let tried = world.ssh(&[], &["echo in"]);
    assert!(err(&tried).contains("Frozen"), "{}", err(&tried));
    done(&world, &["web1", "--no-label", "freeze"]);
    let ran = world.ssh(&[], &["echo here"]);
    assert_eq!(out(&ran), "here\n", "{}", err(&ran));
    refused(
        &world,
        &["web1", "--no-label", "freeze"],
        Some(7),
        &["all that"],
    );
    let login = world.login();
    let ghost = ["web1", "--login", &login, "--login", "ghost-of-nobody"];
    refused(&world, &ghost, Some(1), &["TG583", "ghost-of-nobody"]);
    let foreign = ["web1", "--server-cert-sha256", "ab"];
    refused(&world, &foreign, Some(2), &["SSH server"]);
    evidence_holds(&world);
}

/// Has the database show another certificate, and says its SHA-256. What is connected stays so.
fn certified_anew(world: &World) -> String {
    let dir = world.postgres().dir();
    let mut openssl = Command::new("openssl");
    let line =
        "req -x509 -newkey ec -pkeyopt ec_paramgen_curve:prime256v1 -nodes -days 30 -subj /CN=anew";
    openssl.args(line.split(' ')).current_dir(world.dir());
    openssl.args(["-keyout", "anew.key", "-out", "anew.crt"]);
    assert!(openssl.output().expect("openssl runs").status.success());
    for end in ["crt", "key"] {
        let made = fs::read(world.dir().join(format!("anew.{end}"))).expect("it is made");
        // Written in place: the files stay the server's own.
        fs::write(dir.join(format!("server.{end}")), made).expect("it is written");
    }
    world.sql("select pg_reload_conf()");
    fingerprint(&world.dir().join("anew.crt"))
}

#[test]
fn a_database_with_another_certificate_is_believed_by_what_was_given() {
    let world = World::new();
    world.grant_pg("10m");
    let mut within = world.begin_psql();
    let old = fingerprint(&world.postgres().certificate_path());
    let new = certified_anew(&world);
    let tried = until("the new certificate is shown", || {
        let tried = world.psql("select 1");
        err(&tried).contains("TG402").then_some(tried)
    });
    assert!(out(&tried).is_empty(), "{}", out(&tried));
    let log = world.server_log();
    assert!(log.contains("target.impostor"), "{log}");
    let command = format!("tidegate target set orders --server-cert-sha256 {new}");
    let both = [old.as_str(), &new, &command, "sha256sum"];
    refused(&world, &["orders", "--server-cert-sha256"], UNPROVEN, &both);
    let wrong = "ab".repeat(32);
    let line = ["orders", "--server-cert-sha256", &wrong];
    refused(
        &world,
        &line,
        Some(1),
        &["TG583", "stays what it was", &new],
    );
    done(&world, &["orders", "--server-cert-sha256", &new]);
    assert_eq!(out(&world.psql("select 1")), "1\n");
    assert!(!within.has_ended(), "{}", within.output());

    // A role that lets nobody in is none to ask for; one that is struck off is nobody's any more.
    let both = ["orders", "--role", ROLE, "--role", "audit"];
    refused(&world, &both, Some(1), &["TG583", "audit"]);
    world.sql("create role audit login");
    let ident = world.postgres().dir().join("data").join("pg_ident.conf");
    let mut lines = fs::read_to_string(&ident).expect("it is there");
    lines.push_str("tidegate audit audit\n");
    fs::write(&ident, lines).expect("it is written");
    world.sql("select pg_reload_conf()");
    until("audit is let in", || {
        set(&world, &both).status.success().then_some(())
    });
    let only = ["orders", "--role", "audit"];
    refused(&world, &only, Some(2), &["--yes"]);
    let said = done(&world, &["orders", "--role", "audit", "--yes"]);
    assert!(said.contains("1 session is cut with it"), "{said}");
    within.ended();
    let tried = world.psql("select 1");
    assert!(err(&tried).contains("TG101"), "{}", err(&tried));
    evidence_holds(&world);
}
