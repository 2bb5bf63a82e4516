//! What operators stumble over: at a start, at a stop, and by what is typed in a hurry.

use std::ffi::OsStr;
use std::fs;
use std::os::unix::ffi::OsStrExt;
use std::path::{Path, PathBuf};
use std::process::{Command, Output};
use std::time::Duration;

use proxy::demo::{Ending, Scratch};
use tests::wait::within;
use tests::{Setting, World, binary, until};

use crate::{err, out};

/// Other programs may be told what is no text, by a value or by a name.
#[test]
fn an_environment_that_is_no_text_is_no_reason_not_to_start() {
    let world = World::new();
    let odd = OsStr::from_bytes(b"caf\xe9");
    let config = world.config_dir();
    let copy = world.dir().join("copy");
    let backup = ["backup", &copy.display().to_string()].map(str::to_owned);
    for (line, want) in [
        (&["check-config".to_owned()][..], Some(0)),
        (&backup, Some(0)),
        // One is there already.
        (&["serve".to_owned()], Some(1)),
    ] {
        let mut run = Command::new(binary::tidegate());
        run.args(line).arg("--config-dir").arg(&config);
        let ran = run.env("PLACE", odd).env(odd, "place").output();
        let ran = ran.expect("it runs");
        assert_eq!(ran.status.code(), want, "{line:?}: {}", err(&ran));
    }
}

/// All files below a directory.
fn files(dir: &Path) -> Vec<PathBuf> {
    let (mut folders, mut found) = (vec![dir.to_owned()], Vec::new());
    while let Some(folder) = folders.pop() {
        for entry in fs::read_dir(folder).expect("it is there").flatten() {
            let path = entry.path();
            if path.is_dir() {
                folders.push(path);
            } else {
                found.push(path);
            }
        }
    }
    found.sort();
    found
}

/// A place for a server, and the key of its first administrator.
struct Site {
    scratch: Scratch,
}

impl Site {
    fn new(name: &str) -> Self {
        let scratch = Scratch::create(name).expect("a directory");
        let mut keygen = Command::new("ssh-keygen");
        keygen.args(["-q", "-t", "ed25519", "-N", "", "-f"]);
        let made = keygen.arg(scratch.path().join("key")).status();
        assert!(made.expect("it runs").success());
        Self { scratch }
    }

    fn config_dir(&self) -> PathBuf {
        self.scratch.path().join("config")
    }

    fn init(&self, more: &[&str]) -> Output {
        let mut init = Command::new(binary::tidegate());
        init.arg("init").arg("--config-dir").arg(self.config_dir());
        let state = self.scratch.path().join("state");
        init.arg("--server-state-dir").arg(state);
        let key = self.scratch.path().join("key.pub");
        init.args(["--admin", "bob", "--admin-key"]).arg(key);
        init.args(more).output().expect("it runs")
    }

    /// It is made, and there is nothing wrong with it.
    #[track_caller]
    fn is_made(&self) {
        let made = self.init(&[]);
        assert!(made.status.success(), "{}", err(&made));
        let mut check = Command::new(binary::tidegate());
        check.arg("check-config").arg("--config-dir");
        let checked = check.arg(self.config_dir()).output().expect("it runs");
        assert!(checked.status.success(), "{}", err(&checked));
    }
}

#[test]
fn an_init_that_does_not_get_to_its_end_leaves_nothing_and_can_be_typed_again() {
    // A policy that is there already, and a file where the policies are to go.
    for in_the_way in ["policy/access.cedar", "policy"] {
        let site = Site::new("init");
        let in_the_way = site.config_dir().join(in_the_way);
        let above = in_the_way.parent().expect("a directory");
        fs::create_dir_all(above).expect("it is made");
        fs::write(&in_the_way, "").expect("it is written");
        let before = files(site.scratch.path());
        let tried = site.init(&[]);
        assert_eq!(tried.status.code(), Some(1), "{}", err(&tried));
        assert_eq!(files(site.scratch.path()), before, "{}", err(&tried));
        fs::remove_file(&in_the_way).expect("it is removed");
        site.is_made();
    }
}

#[test]
fn an_init_that_was_broken_off_is_not_called_a_server() {
    let site = Site::new("broken-off");
    site.is_made();
    let again = site.init(&[]);
    assert_eq!(again.status.code(), Some(7), "{}", err(&again));
    assert!(err(&again).contains("tidegate serve"), "{}", err(&again));
    fs::remove_file(site.config_dir().join("tidegate.toml")).expect("it is there");
    let again = site.init(&[]);
    let said = err(&again);
    assert_eq!(again.status.code(), Some(7), "{said}");
    assert!(!said.contains("tidegate serve"), "{said}");
    assert!(said.contains("no tidegate.toml is in"), "{said}");
}

#[test]
fn no_server_is_made_that_cannot_start() {
    let site = Site::new("hosts");
    let tried = site.init(&["--host", "web_1"]);
    let said = err(&tried);
    assert_eq!(tried.status.code(), Some(2), "{said}");
    for sign in ["`web_1` is not a host name", "nothing was made"] {
        assert!(said.contains(sign), "`{sign}` is missing: {said}");
    }
    assert!(!site.config_dir().exists(), "{said}");
    site.is_made();
}

/// Whoever has waited for long enough asks once more.
#[test]
fn a_second_word_to_stop_ends_the_wait_for_those_who_are_in() {
    let mut world = World::with(&Setting {
        server: &[("TIDEGATE__LIMITS__DRAIN_TIMEOUT", "30m")],
        ..Setting::default()
    });
    world.grant_ssh("1h");
    let mut ssh = world.begin_ssh();
    let server = world.server_pid().expect("it runs").to_string();
    let stop = || {
        let told = Command::new("kill").args(["-TERM", &server]).status();
        told.expect("kill runs").success()
    };
    // The same word twice at once is one, as some supervisors say it.
    assert!(stop() && stop());
    let says = |sign| world.server_log().contains(sign).then_some(());
    within(Duration::from_secs(10), "it stops", || {
        says("server.stopping")
    });
    assert!(!ssh.has_ended(), "{}", ssh.output());
    within(Duration::from_secs(30), "it has stopped", || {
        says("server.stopped").or_else(|| {
            stop();
            None
        })
    });
    assert!(says("server.hurried").is_some(), "{}", world.server_log());
    let said = ssh.ended();
    assert!(said.contains("TG2"), "{said}");
    world.stop_server(Ending::Term);
    world.serve().expect("it comes up again");
    let session = world.ended_sessions()[0]["id"].clone();
    let (holds, said) = world.verify(session.as_str().expect("an id"));
    assert!(holds, "{said}");
}

/// It would be taken for the name of a module, of which alone something is logged.
#[test]
fn a_misspelt_level_silences_nothing() {
    let world = World::with(&Setting {
        server: &[("TIDEGATE_LOG", "inof")],
        ..Setting::default()
    });
    for sign in ["log.filter_unread", "server.ready", "login.issued"] {
        until(sign, || world.server_log().contains(sign).then_some(()));
    }
}

#[test]
fn a_directory_without_policies_is_another_one_than_was_meant() {
    let world = World::new();
    let empty = world.dir().join("empty");
    fs::create_dir_all(&empty).expect("it is made");
    let empty = empty.display().to_string();
    let state = world.state_dir().display().to_string();
    for line in [
        &["policy", "check", &empty][..],
        &["policy", "apply", &empty, "--yes"],
        &["policy", "apply", &empty, "--dry-run"],
        &["policy", "apply", &empty, "--server-state-dir", &state],
    ] {
        let ran = world.bob().output(&[&["tidegate"], line].concat());
        let ran = ran.expect("it runs");
        let said = out(&ran) + &err(&ran);
        assert_eq!(ran.status.code(), Some(2), "{line:?}: {said}");
        assert!(said.contains("*.cedar"), "{line:?}: {said}");
    }
}

#[test]
fn a_variable_that_is_set_to_nothing_names_no_bastion() {
    let world = World::new();
    let alice = |line: &[&str]| {
        let ran = world.alice().output(line).expect("it runs");
        (ran.status.code(), err(&ran))
    };
    let listed = alice(&["env", "TIDEGATE_BASTION=", "tidegate", "ls"]);
    assert_eq!(listed, (Some(0), String::new()));
    let (code, said) = alice(&["tidegate", "--bastion", "https://", "ls"]);
    assert_eq!(code, Some(2), "{said}");
    assert!(!said.contains("https://https"), "{said}");
}

/// The request stands, and who waits for its answer hears it.
#[test]
fn whoever_waits_for_an_answer_outlasts_a_restart_of_the_bastion() {
    let mut world = World::new();
    let login = world.login();
    let line = [
        "tidegate",
        "request",
        "web1",
        "--as",
        &login,
        "--for",
        "10m",
        "--reason",
        "INC-1",
        "--wait=2m",
    ];
    let mut waits = world.begin("request", &line, ": waiting");
    world.stop_server(Ending::Term);
    until("it is noticed", || {
        waits
            .output()
            .contains("the bastion does not answer")
            .then_some(())
    });
    world.serve().expect("it comes up again");
    let said = waits.output();
    let request = said.split(':').next().unwrap_or_default();
    let approve = ["tidegate", "approve", request];
    world.bob().run(&approve).expect("it is there");
    let said = waits.ended();
    assert!(said.contains("approved by bob"), "{said}");
}
