//! A backup of a server that runs, and the server that is restored from it.

use std::fs;
use std::os::unix::fs::PermissionsExt as _;

use proxy::demo::{Ending, signal};
use tests::{World, wait};

use crate::{err, out};

#[test]
fn a_server_is_restored_from_a_backup_that_was_made_while_it_ran() {
    let mut world = World::new();
    let kept = world.state_dir().with_extension("backup");
    world.grant_ssh("10m");
    assert!(world.ssh(&[], &["true"]).status.success());
    let (to, config) = (
        kept.display().to_string(),
        world.config_dir().display().to_string(),
    );
    let line = ["tidegate", "backup", &to, "--config-dir", &config];
    let backup = || world.carol().output(&line).expect("it runs");
    let made = backup();
    let said = out(&made) + &err(&made);
    assert!(made.status.success(), "{said}");
    for sign in ["is what was written", "passphrase", "audit verify"] {
        assert!(said.contains(sign), "`{sign}` is missing: {said}");
    }
    let permissions = fs::metadata(&kept).expect("it is there").permissions();
    assert_eq!(permissions.mode() & 0o077, 0, "for its owner alone");
    let again = backup();
    let said = err(&again);
    assert_eq!(again.status.code(), Some(7), "{said}");
    assert!(said.contains("is there already"), "{said}");

    world.stop_server(Ending::Term);
    let gone = world.state_dir().with_extension("gone");
    fs::rename(world.state_dir(), &gone).expect("it is moved away");
    fs::rename(&kept, world.state_dir()).expect("it is put back");
    world.serve().expect("it comes up again");
    let ran = world.ssh(&[], &["true"]);
    assert!(ran.status.success(), "the grant is there: {}", err(&ran));
    for odd in ["checkpoint.", "ledger.broken", "log.altered"] {
        let log = world.server_log();
        assert!(!log.contains(odd), "{odd}: {log}");
    }
}

#[test]
fn what_does_not_run_is_backed_up_as_well_and_what_was_altered_is_told() {
    let mut world = World::new();
    world.grant_ssh("10m");
    world.stop_server(Ending::Term);
    let (sound, unsound) = (
        world.state_dir().with_extension("sound"),
        world.state_dir().with_extension("unsound"),
    );
    let config = world.config_dir().display().to_string();
    let backup = |to: &std::path::Path| {
        let to = to.display().to_string();
        let line = ["tidegate", "backup", &to, "--config-dir", &config];
        world.carol().output(&line).expect("it runs")
    };
    let made = backup(&sound);
    assert!(made.status.success(), "{}", err(&made));
    // All is in one file there; SQLite keeps no digest of a page.
    let store = world.state_dir().join("store.sqlite");
    for beside in ["store.sqlite-wal", "store.sqlite-shm"] {
        drop(fs::remove_file(world.state_dir().join(beside)));
    }
    let mut bytes = fs::read(sound.join("store.sqlite")).expect("it is read");
    let at = bytes.windows(5).rposition(|word| word == b"alice");
    let at = at.expect("alice has a grant");
    bytes[at..at + 5].copy_from_slice(b"mallo");
    fs::write(&store, bytes).expect("it is written");
    let made = backup(&unsound);
    let said = err(&made);
    assert_eq!(made.status.code(), Some(9), "{said}");
    assert!(said.contains("not what was written"), "{said}");
}

#[test]
fn a_hangup_ends_no_session_and_is_told() {
    let world = World::new();
    world.grant_ssh("10m");
    let mut live = world.begin_ssh();
    signal(world.server_pid().expect("the server runs"), "HUP");
    wait::until("the log tells of it", || {
        world.server_log().contains("server.hangup").then_some(())
    });
    assert!(!live.has_ended(), "{}", live.output());
}

#[test]
fn the_audit_log_shows_its_end_and_tells_that_there_is_more() {
    let world = World::new();
    let ls = |line: &[&str]| {
        let line = [&["tidegate", "audit", "ls"], line].concat();
        let ran = world.carol().output(&line).expect("it runs");
        assert!(ran.status.success(), "{}", err(&ran));
        (out(&ran), err(&ran))
    };
    let (whole, said) = ls(&["-o", "name"]);
    assert!(!said.contains("earlier lines"), "{said}");
    let lines: Vec<&str> = whole.lines().collect();
    let (last, said) = ls(&["--limit", "2", "-o", "name"]);
    assert_eq!(last.lines().count(), 2, "{last}");
    assert!(said.contains("tidegate audit ls --after 0"), "{said}");
    assert!(last.lines().last() >= lines.last().copied(), "{last}");
    let (first, said) = ls(&["--after", "0", "--limit", "2", "-o", "name"]);
    assert_eq!(first.lines().collect::<Vec<_>>(), ["1", "2"]);
    assert!(said.contains("tidegate audit ls --after 2"), "{said}");
    let line = ["tidegate", "audit", "ls", "--limit", "100000"];
    let ran = world.carol().output(&line).expect("it runs");
    assert_eq!(ran.status.code(), Some(2), "{}", err(&ran));
}
