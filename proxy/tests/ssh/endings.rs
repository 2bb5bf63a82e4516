//! How a session is told to have ended: by whom, and whether that broke something off.

use std::fs;
use std::process::Command;
use std::thread;
use std::time::{Duration, Instant};

use crate::session::{run, succeed};
use crate::world::{World, finish};

#[test]
fn what_the_target_breaks_off_is_not_told_as_complete() {
    let world = World::new("break-off");
    // The parent is what its sshd has for this connection.
    let (status, _, err) = run(&world, &[], "kill -KILL $PPID; sleep 60", "");
    assert_eq!(status, Some(255), "{err}");
    assert!(err.contains("TG607"), "{err}");
    let closed = world.closed(1);
    assert!(
        closed[0].contains("Broken") && closed[0].contains("TG607"),
        "{closed:?}"
    );
}

#[test]
fn what_the_target_breaks_off_in_a_jump_is_not_told_as_complete() {
    let world = World::new("break-off-jump");
    let jump = ["-J", "alice@localhost"];
    let (status, _, err) = run_to(&world, (&jump, "root@web1"), "kill -KILL $PPID; sleep 60");
    assert_eq!(status, Some(255), "{err}");
    assert!(err.contains("TG607"), "{err}");
    let closed = world.closed(1);
    assert!(closed[0].contains("Broken"), "{closed:?}");
}

/// As many an `/etc/issue.net` is.
#[test]
fn a_banner_that_is_not_utf_8_is_told_of_and_no_certificate_is_blamed() {
    let name = format!("tidegate-banner-{}", std::process::id());
    let banner = std::env::temp_dir().join(name);
    fs::write(&banner, b"Zugriff nur f\xfcr Befugte\n").unwrap();
    let world = World::where_sshd_has("banner", &format!("Banner {}\n", banner.display()));
    let (status, out, _) = run(&world, &[], "echo in", "");
    fs::remove_file(&banner).unwrap();
    assert_eq!((status, out.as_str()), (Some(255), ""));
    assert_eq!(world.closed(1), ["Some(Err(Unreadable))"]);
}

/// A client that is killed in the middle of a command, and one that carries nothing and is ended by its person.
#[test]
fn clients_that_leave_have_broken_nothing_off() {
    let world = World::new("leave");
    let begun = world.dir.join("begun");
    let mut killed = world.ssh("root+web1");
    killed.arg(format!("touch {}; sleep 60", begun.display()));
    let mut killed = killed.spawn().unwrap();
    appears(&begun);
    killed.kill().unwrap();
    killed.wait().unwrap();
    assert_eq!(world.closed(1), ["Some(Ok(Client))"]);

    let socket = world.dir.join("mux");
    let mut idle = world.client("ssh");
    idle.args(["-M", "-N", "-S"]).arg(&socket);
    let mut idle = idle.arg("root+web1@localhost").spawn().unwrap();
    appears(&socket);
    let mut one = world.client("ssh");
    one.arg("-S")
        .arg(&socket)
        .args(["root+web1@localhost", "true"]);
    succeed(one);
    let mut interrupt = Command::new("kill");
    interrupt.arg("-INT").arg(idle.id().to_string());
    succeed(interrupt);
    idle.wait().unwrap();
    assert_eq!(world.closed(2)[1..], ["Some(Ok(Complete))"]);
}

/// Runs a command at this address.
fn run_to(
    world: &World,
    (options, address): (&[&str], &str),
    command: &str,
) -> (Option<i32>, String, String) {
    let mut ssh = world.client("ssh");
    ssh.args(options).args([address, command]);
    finish(ssh)
}

/// Waits until there is such a file.
fn appears(path: &std::path::Path) {
    let began = Instant::now();
    while !path.exists() && began.elapsed() < Duration::from_secs(20) {
        thread::sleep(Duration::from_millis(50));
    }
}
