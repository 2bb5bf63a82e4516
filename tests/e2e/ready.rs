//! `check-config` proves what a start would need of the files that the configuration names, where it stands there, and
//! changes nothing.

use std::collections::BTreeMap;
use std::fs;
use std::os::unix::fs::{MetadataExt as _, PermissionsExt as _};
use std::path::{Path, PathBuf};
use std::process::{Command, Output};

use proxy::demo::Ending;
use tests::{World, binary};

use crate::{err, out};

/// How a file is spoiled, and by what the answer can be told.
type Spoiled<'a> = (&'a dyn Fn(&Path), [&'a str; 2]);

/// Runs a verb of the server, which ends by itself.
fn ran(world: &World, verb: &str) -> Output {
    let mut command = Command::new("timeout");
    let command = command.arg("20").arg(binary::tidegate()).arg(verb);
    let command = command.arg("--config-dir").arg(world.config_dir());
    command.output().expect("it runs")
}

/// Every file of the configuration and the state: its mode, and what is in it.
fn files(dir: &Path, found: &mut BTreeMap<PathBuf, (u32, Vec<u8>)>) {
    for entry in fs::read_dir(dir).expect("it can be listed") {
        let path = entry.expect("an entry").path();
        if path.is_dir() {
            files(&path, found);
        } else {
            let mode = path.metadata().expect("it is there").mode();
            found.insert(path.clone(), (mode, fs::read(&path).expect("it is read")));
        }
    }
}

/// Breaks a file, has both say so, and mends it.
#[track_caller]
fn check(world: &World, file: &Path, broken: impl FnOnce(&Path), signs: &[&str]) {
    let (kept, mode) = (
        fs::read(file).expect("it is there"),
        file.metadata().expect("it is there").permissions(),
    );
    broken(file);
    let all = || {
        let mut all = BTreeMap::new();
        files(&world.config_dir(), &mut all);
        files(&world.state_dir().join("authority"), &mut all);
        all
    };
    let before = all();
    let checked = ran(world, "check-config");
    assert_eq!(before, all(), "it changes nothing");
    let said = err(&checked);
    assert_eq!(checked.status.code(), Some(2), "{said}");
    for sign in [&["tidegate.toml:", "^"], signs].concat() {
        assert!(said.contains(sign), "`{sign}` is missing: {said}");
    }
    let started = ran(world, "serve");
    let code = started.status.code();
    assert!(
        code.is_some_and(|code| code != 0 && code != 124),
        "a start fails by it too"
    );
    fs::write(file, kept).expect("it is mended");
    fs::set_permissions(file, mode).expect("it is mended");
}

#[test]
fn what_a_start_needs_is_looked_at_where_the_configuration_names_it() {
    let mut world = World::new();
    let good = ran(&world, "check-config");
    assert!(
        good.status.success(),
        "of a server that runs: {}",
        err(&good)
    );
    world.stop_server(Ending::Term);
    let good = ran(&world, "check-config");
    assert!(
        good.status.success() && out(&good).contains("is good"),
        "{}",
        err(&good)
    );
    assert_eq!(err(&good), "");

    let passphrase = world.config_dir().join("passphrase");
    let ca = world.state_dir().join("authority");
    let key = ca.join("ssh-user-ca-1");
    let another = |path: &Path| {
        fs::write(path, "correct horse battery staple correct\n").expect("it is written");
    };
    let copied = |from: &str, to: &Path| {
        let from = fs::read(ca.join(from)).expect("it is there");
        fs::write(to, from).expect("it is written");
    };
    // With the mode that it has.
    let public = |path: &Path| {
        let public = fs::read(path.with_extension("pub")).expect("it is there");
        fs::write(path, public).expect("it is written");
    };
    let seal = |path: &Path| copied("recording-seal-1", path);
    let login = |path: &Path| copied("x509-login-ca-1.crt", path);
    let read_by_all = |path: &Path| set_mode(path, 0o644);
    let read_by_group = |path: &Path| set_mode(path, 0o640);
    let spoiled: [Spoiled<'_>; 3] = [
        (&another, ["TG707", "does not open"]),
        (&read_by_all, ["TG713", "chmod o="]),
        (&gone, ["TG709", "restore"]),
    ];
    for (spoil, [code, why]) in spoiled {
        let told = ["authority.passphrase_file: ", code, why];
        check(&world, &passphrase, spoil, &told);
    }
    let spoiled: [Spoiled<'_>; 4] = [
        (&read_by_group, ["TG707", "can be read by others"]),
        (&gone, ["TG709", "ssh-user-ca-1"]),
        (&public, ["TG709", "ssh-user-ca-1"]),
        (&seal, ["TG707", "is not the one of that name"]),
    ];
    for (spoil, [code, why]) in spoiled {
        check(&world, &key, spoil, &["server.state_dir: ", code, why]);
    }
    let why = "is not the certificate of the key beside it";
    let told = ["server.state_dir: ", "TG707", why];
    check(&world, &ca.join("x509-target-ca-1.crt"), login, &told);
    let store = world.state_dir().join("store.sqlite");
    let told = ["server.state_dir: ", "TG709", "store.sqlite"];
    check(&world, &store, gone, &told);
}

fn set_mode(path: &Path, mode: u32) {
    let mode = fs::Permissions::from_mode(mode);
    fs::set_permissions(path, mode).expect("it is set");
}

fn gone(path: &Path) {
    fs::remove_file(path).expect("it is removed");
}

#[test]
fn names_that_no_certificate_of_ours_could_carry_are_mistakes_and_no_command_is_run() {
    let mut world = World::new();
    world.stop_server(Ending::Term);
    let path = world.config_dir().join("tidegate.toml");
    let text = fs::read_to_string(&path).expect("it is there");
    let begin = text.find("hosts = [").expect("its names");
    let end = text
        .get(begin..)
        .and_then(|rest| rest.find('\n'))
        .expect("a line")
        + begin;
    let named = |names: &str| {
        let mut named = text.clone();
        named.replace_range(begin..end, &format!("hosts = [{names}]"));
        fs::write(&path, named).expect("it is written");
        let checked = ran(&world, "check-config");
        (checked.status.success(), err(&checked))
    };
    for odd in ["\"-x\"", "\".a\"", "\"a:b\"", ""] {
        let (good, said) = named(odd);
        assert!(
            !good && said.contains("server.hosts: ") && said.contains('^'),
            "{said}"
        );
    }
    let (good, said) = named("\"bastion.example\", \"::1\"");
    assert!(good, "{said}");

    let mark = world.dir().join("was-run");
    let command = format!("passphrase_cmd = \"touch {}\"", mark.display());
    let by_command = text.replace("passphrase_file = \"passphrase\"", &command);
    assert_ne!(text, by_command);
    fs::write(&path, by_command).expect("it is written");
    let checked = ran(&world, "check-config");
    let said = err(&checked);
    assert!(
        checked.status.success() && said.contains("was not run"),
        "{said}"
    );
    assert!(!mark.exists(), "it was run");
}
