//! The server and what can be wrong around it: each has a sentence and a code.

use std::fs;
use std::net::TcpListener;
use std::process::Command;
use std::time::Duration;

use proxy::demo::{Daemon, Ending, Signals};
use serde_json::Value;
use tests::wait::within;
use tests::{Setting, World, binary, until};

use crate::{err, out};

/// Runs the server where it must not come up, and gives back what it said.
fn refused(world: &World) -> String {
    let mut serve = Command::new("timeout");
    serve
        .arg("20")
        .arg(binary::tidegate())
        .arg("serve")
        .arg("--config-dir")
        .arg(world.config_dir());
    let output = serve.output().expect("serve runs");
    assert!(
        !output.status.success() && output.status.code() != Some(124),
        "it came up: {}",
        out(&output)
    );
    err(&output) + &out(&output)
}

#[test]
fn taken_port() {
    let mut world = World::new();
    world.stop_server(Ending::Term);
    let port = world.doors().ssh;
    let _taken = TcpListener::bind(("127.0.0.1", port)).unwrap();
    let said = refused(&world);
    assert!(
        said.contains("TG") && said.contains(&port.to_string()),
        "{said}"
    );
}

#[test]
fn second_server_refused() {
    let world = World::new();
    let other = world.config_dir().with_file_name("second");
    fs::create_dir(&other).unwrap();
    let mut text = fs::read_to_string(world.config_dir().join("tidegate.toml")).unwrap();
    for port in [world.doors().ssh, world.doors().postgres, world.doors().api] {
        text = text.replace(&port.to_string(), "0");
    }
    fs::write(other.join("tidegate.toml"), text).unwrap();
    fs::copy(
        world.config_dir().join("passphrase"),
        other.join("passphrase"),
    )
    .unwrap();
    let mut serve = Command::new("timeout");
    serve
        .arg("20")
        .arg(binary::tidegate())
        .arg("serve")
        .arg("--config-dir")
        .arg(&other);
    let output = serve.output().unwrap();
    let said = err(&output) + &out(&output);
    assert!(
        !output.status.success() && output.status.code() != Some(124),
        "{said}"
    );
    assert!(said.contains("TG"), "{said}");
    assert!(
        world.alice().run(&["tidegate", "ls"]).is_ok(),
        "the first goes on"
    );
}

/// Who goes on while the server stops can be shown out as ever.
#[test]
fn what_goes_on_while_it_stops_can_be_ended() {
    let mut world = World::with(&Setting {
        server: &[("TIDEGATE__LIMITS__DRAIN_TIMEOUT", "60s")],
        ..Setting::default()
    });
    let grant = world.grant_ssh("10m");
    let mut ssh = world.begin_ssh();
    let server = world.server_pid().expect("it runs").to_string();
    let told = Command::new("kill").args(["-TERM", &server]).status();
    assert!(told.unwrap().success());
    let stopping = || world.server_log().contains("server.stopping").then_some(());
    within(Duration::from_secs(10), "it stops", stopping);
    assert!(
        !world.ssh(&[], &["true"]).status.success(),
        "nobody gets in"
    );
    assert!(!ssh.has_ended());
    world.revoke(&grant);
    let said = ssh.ended();
    assert!(said.contains("TG201"), "{said}");
    // With the last of them it is over, long before a minute is.
    let stopped = || world.server_log().contains("server.stopped").then_some(());
    within(Duration::from_secs(20), "it has stopped", stopped);
    world.stop_server(Ending::Term);
}

#[test]
fn wrong_config() {
    let mut world = World::new();
    world.stop_server(Ending::Term);
    let path = world.config_dir().join("tidegate.toml");
    let mut text = fs::read_to_string(&path).unwrap();
    text = text.replace(
        "[ssh]\nlisten = [\"127.0.0.1:",
        "[ssh]\nlisten = [\"127.0.0.1:9",
    );
    text.push_str("\n[limit]\nblind_limit = \"30s\"\n");
    text = text.replace("passphrase_file", "passphrase_fil");
    fs::write(&path, text).unwrap();
    let said = refused(&world);
    for sign in [
        "tidegate.toml:",
        "^",
        "passphrase_fil",
        "did you mean",
        "limit",
    ] {
        assert!(said.contains(sign), "`{sign}` is missing: {said}");
    }
    let check = Command::new(binary::tidegate())
        .arg("check-config")
        .arg("--config-dir")
        .arg(world.config_dir())
        .output()
        .unwrap();
    assert!(!check.status.success());
}

#[test]
fn init_never_overwrites() {
    let world = World::new();
    let key = world.bob().key().with_extension("pub");
    let mut init = Command::new(binary::tidegate());
    init.arg("init")
        .arg("--config-dir")
        .arg(world.config_dir())
        .arg("--server-state-dir")
        .arg(world.state_dir());
    init.args(["--admin", "mallory", "--admin-key"]).arg(key);
    let before = fs::read(world.config_dir().join("tidegate.toml")).unwrap();
    let again = init.output().unwrap();
    assert!(!again.status.success());
    assert_eq!(
        fs::read(world.config_dir().join("tidegate.toml")).unwrap(),
        before
    );
}

#[test]
fn target_down() {
    let mut world = World::new();
    let (_, _) = (world.grant_ssh("10m"), world.grant_pg("10m"));
    world.sshd_mut().stop();
    world.postgres_mut().stop();
    let tried = world.ssh(&[], &["true"]);
    assert!(
        !tried.status.success() && err(&tried).contains("TG"),
        "{}",
        err(&tried)
    );
    let tried = world.psql("select 1");
    assert!(
        !tried.status.success() && err(&tried).contains("TG"),
        "{}",
        err(&tried)
    );
    assert!(
        !err(&tried).contains("127.0.0.1:"),
        "where it is, is not said: {}",
        err(&tried)
    );
    let sessions = world.ended_sessions();
    assert_eq!(sessions.len(), 2);
    let failed = |session: &Value| session["end"]["cause"]["cause"] == "failed";
    assert!(sessions.iter().all(failed), "{sessions:?}");
}

#[test]
fn a_target_with_another_host_key_is_not_spoken_to() {
    let mut world = World::new();
    world.grant_ssh("10m");
    let (dir, port) = (world.sshd().dir().to_owned(), world.sshd().port());
    world.sshd_mut().stop();
    let key = dir.join("host_key");
    fs::remove_file(&key).unwrap();
    fs::remove_file(dir.join("host_key.pub")).unwrap();
    let keygen = [
        "ssh-keygen",
        "-q",
        "-t",
        "ed25519",
        "-N",
        "",
        "-f",
        &key.display().to_string(),
    ];
    world.alice().run(&keygen).unwrap();
    let config = dir.join("sshd_config");
    let mut sshd = Command::new("/usr/sbin/sshd");
    sshd.arg("-D").arg("-f").arg(config);
    let log = dir.join("other.log");
    let _ended_on_drop = Daemon::start("sshd", sshd, &log, Ending::Term, Signals::Shared).unwrap();
    until("it listens", || {
        std::net::TcpStream::connect(("127.0.0.1", port)).ok()
    });
    let tried = world.ssh(&[], &["echo in"]);
    assert!(
        !tried.status.success() && out(&tried).is_empty(),
        "{}",
        out(&tried)
    );
    assert!(err(&tried).contains("TG402"), "{}", err(&tried));
    // Somebody has to look at it now.
    let log = world.server_log();
    let told = log.lines().find(|line| line.contains("target.impostor"));
    assert!(
        told.is_some_and(|line| line.contains("ERROR") && line.contains("target=web1")),
        "{log}"
    );
}

#[test]
fn disk_full() {
    if proxy::demo::current_login() != "root" {
        // Only root can mount; the same is tested with a limit on file sizes in `cut`.
        return;
    }
    let world = World::new();
    world.grant_ssh("10m");
    let dir = world.recordings();
    // A file system that is smaller than the reserve, in the place of the recordings.
    let mounted = Command::new("mount")
        .args(["-t", "tmpfs", "-o", "size=1m", "tmpfs"])
        .arg(&dir)
        .status();
    if !mounted.is_ok_and(|status| status.success()) {
        return;
    }
    let tried = world.ssh(
        &[],
        &["touch", &world.dir().join("touched").display().to_string()],
    );
    let unmounted = Command::new("umount").arg("-l").arg(&dir).status().unwrap();
    assert!(unmounted.success());
    assert!(
        !tried.status.success() && err(&tried).contains("TG"),
        "{}",
        err(&tried)
    );
    assert!(
        !world.dir().join("touched").exists(),
        "not one byte reached the target"
    );
    assert!(
        world.ssh(&[], &["true"]).status.success(),
        "and with space it goes on"
    );
}

#[test]
fn nothing_secret_is_in_the_log() {
    let world = World::new();
    let (_, _) = (world.grant_ssh("10m"), world.grant_pg("10m"));
    world.ssh(&[], &["echo hidden-word-1"]);
    world.psql("select 'hidden-word-2'");
    world.ended_sessions();
    let log = world.server_log();
    let passphrase = fs::read_to_string(world.config_dir().join("passphrase")).unwrap();
    for secret in [
        "hidden-word",
        passphrase.trim(),
        "BEGIN OPENSSH",
        "BEGIN PRIVATE",
    ] {
        assert!(!log.contains(secret), "`{secret}` is in the log");
    }
    assert!(
        log.contains("session.opened") || log.contains("session."),
        "the log says what happened:\n{log}"
    );
}

#[test]
fn the_state_can_be_read_by_its_owner_alone() {
    use std::os::unix::fs::PermissionsExt;
    let world = World::new();
    let mut folders = vec![
        world.state_dir(),
        world.config_dir(),
        world.alice().state_dir(),
    ];
    while let Some(folder) = folders.pop() {
        for entry in fs::read_dir(&folder).unwrap().flatten() {
            let (path, kind) = (entry.path(), entry.file_type().unwrap());
            if kind.is_dir() {
                folders.push(path);
            } else if kind.is_file()
                && path
                    .extension()
                    .is_none_or(|end| end != "pub" && end != "crt")
            {
                let mode = entry.metadata().unwrap().permissions().mode() & 0o077;
                assert_eq!(mode, 0, "{}", path.display());
            }
        }
    }
}
