//! What people do with SSH, and what they are told when they may not.

use std::fs;
use std::io::Write;
use std::process::{Command, Stdio};
use std::thread;
use std::time::{Duration, Instant};

use russh::{ChannelMsg, Disconnect, client};

use crate::world::{Anybody, STANDING_MAX, World, digest, finish, noise};

/// Runs one command at the target, with this on its input.
pub(crate) fn run(
    world: &World,
    options: &[&str],
    command: &str,
    input: &str,
) -> (Option<i32>, String, String) {
    let mut ssh = world.ssh("root+web1");
    ssh.args(options).arg(command).stdin(Stdio::piped());
    ssh.stdout(Stdio::piped()).stderr(Stdio::piped());
    let mut child = ssh.spawn().unwrap();
    child
        .stdin
        .take()
        .unwrap()
        .write_all(input.as_bytes())
        .unwrap();
    let output = child.wait_with_output().unwrap();
    let text = |bytes: Vec<u8>| String::from_utf8_lossy(&bytes).into_owned();
    (
        output.status.code(),
        text(output.stdout),
        text(output.stderr),
    )
}

/// A command that has to succeed.
pub(crate) fn succeed(mut command: Command) {
    let output = command.output().unwrap();
    assert!(
        output.status.success(),
        "{command:?}: {}",
        String::from_utf8_lossy(&output.stderr)
    );
}

#[test]
fn a_command_runs_and_its_streams_and_status_come_back() {
    let world = World::new("exec");
    let (status, out, err) = run(&world, &[], "echo out; echo err >&2; exit 3", "");
    assert_eq!(
        (status, out.as_str(), err.as_str()),
        (Some(3), "out\n", "err\n")
    );
    assert_eq!(world.closed(1), ["Some(Ok(Complete))"]);
}

#[test]
fn the_end_of_the_input_reaches_the_target_and_its_answer_comes_back() {
    let world = World::new("half-close");
    let (status, out, _) = run(&world, &[], "cat; echo done", "hello ");
    assert_eq!((status, out.as_str()), (Some(0), "hello done\n"));
}

#[test]
fn a_terminal_is_a_terminal_and_says_that_it_is_recorded() {
    let world = World::new("pty");
    let (status, out, err) = run(&world, &["-tt"], "tty; echo $TERM; exit 5", "");
    assert_eq!(status, Some(5), "{err}");
    assert!(out.starts_with("/dev/pts/"), "{out}");
    assert!(err.contains("tidegate: recorded · grt_"), "{err}");
    let (status, out, _) = run(&world, &["-tt"], "", "echo typed; exit 4\n");
    assert_eq!(status, Some(4), "{out}");
    assert!(out.contains("typed"), "{out}");
}

#[test]
fn a_signal_that_kills_the_command_looks_as_it_does_without_us() {
    let world = World::new("signal");
    let (status, _, err) = run(&world, &[], "kill -TERM $$", "");
    assert_eq!((status, err.as_str()), (Some(255), ""));
}

#[test]
fn only_harmless_variables_pass() {
    let world = World::new("env");
    let set = "SetEnv=LC_TIDE=yes LANG=C.UTF-8 LD_PRELOAD=/evil GIT_PROTOCOL=version=2 FOO=bar";
    let (status, out, err) = run(
        &world,
        &["-o", set],
        "echo $LC_TIDE,$LANG,$LD_PRELOAD,$GIT_PROTOCOL,$FOO",
        "",
    );
    assert_eq!(
        (status, out.as_str()),
        (Some(0), "yes,C.UTF-8,,version=2,\n"),
        "{err}"
    );
}

#[test]
fn a_jump_is_an_ordinary_session() {
    let world = World::new("jump");
    let mut ssh = world.client("ssh");
    ssh.args(["-J", "localhost", "root@web1", "echo inside"]);
    let (status, out, err) = finish(ssh);
    assert_eq!(
        (status, out.as_str(), err.as_str()),
        (Some(0), "inside\n", "")
    );
    assert_eq!(world.closed(1), ["Some(Ok(Complete))"]);
}

#[test]
fn a_jump_to_what_is_no_target_is_refused_and_noted() {
    let world = World::new("jump-nowhere");
    let mut ssh = world.client("ssh");
    ssh.args(["-W", "db!:5432", "alice@localhost"]);
    let (status, _, err) = finish(ssh);
    assert_eq!(status, Some(255), "{err}");
    assert!(err.contains("TG602"), "{err}");
    let (noted, started) = (|| world.room.denied.lock().unwrap().clone(), Instant::now());
    while noted().is_empty() && started.elapsed() < Duration::from_secs(20) {
        thread::sleep(Duration::from_millis(20));
    }
    let noted = noted();
    assert!(
        noted[0].starts_with("alice jump db! port 5432: ") && noted[0].contains("TG602: `db!"),
        "{noted:?}"
    );
}

#[test]
fn through_a_jump_only_the_same_person_comes_out() {
    let world = World::new("jump-other");
    let inside = |jumper: &str| {
        let outer = world.config_of(jumper);
        let mut ssh = world.client("ssh");
        ssh.arg("-o").arg(format!(
            "ProxyCommand=ssh -F {} -W web1:22 localhost",
            outer.display()
        ));
        ssh.args(["root@web1", "echo inside"]);
        finish(ssh)
    };
    let (status, out, err) = inside("registered");
    assert_eq!((status, out.as_str()), (Some(0), "inside\n"), "{err}");
    let (status, out, err) = inside("bob");
    assert_eq!((status, out.as_str()), (Some(255), ""), "{err}");
    assert!(err.contains("Permission denied (publickey)"), "{err}");
}

#[test]
fn files_come_and_go_by_every_tool() {
    let world = World::new("files");
    let (from, to) = (world.dir.join("from"), world.dir.join("to"));
    noise(&from, 3);
    let name = |path: &std::path::Path| path.display().to_string();
    let remote = |path: &std::path::Path| format!("root+web1@localhost:{}", path.display());
    let same = |what: &str| {
        assert_eq!(digest(&to), digest(&from), "{what}");
        fs::remove_file(&to).unwrap();
    };
    for version in ["-O", "-s"] {
        let mut up = world.client("scp");
        up.args([version, "-q", &name(&from), &remote(&to)]);
        succeed(up);
        same("scp up");
        let mut down = world.client("scp");
        down.args([version, "-q", &remote(&from), &name(&to)]);
        succeed(down);
        same("scp down");
    }
    let batch = world.dir.join("batch");
    fs::write(&batch, format!("put {} {}\n", name(&from), name(&to))).unwrap();
    let mut sftp = world.client("sftp");
    sftp.args(["-b", &name(&batch), "root+web1@localhost"]);
    succeed(sftp);
    same("sftp");
    let ssh = format!("ssh -F {}", world.config().display());
    let mut rsync = Command::new("rsync");
    rsync.args(["-e", &ssh, &name(&from), &remote(&to)]);
    succeed(rsync);
    same("rsync");
}

#[test]
fn git_clones_over_it() {
    let world = World::new("git");
    let (origin, copy) = (world.dir.join("origin"), world.dir.join("copy"));
    let git = |args: &[&str]| {
        let mut git = Command::new("git");
        git.args([
            "-c",
            "user.name=t",
            "-c",
            "user.email=t@t",
            "-c",
            "safe.directory=*",
        ])
        .args(args);
        git.env(
            "GIT_SSH_COMMAND",
            format!("ssh -F {}", world.config().display()),
        );
        git
    };
    let origin = origin.display().to_string();
    succeed(git(&["init", "-q", &origin]));
    succeed(git(&[
        "-C",
        &origin,
        "commit",
        "-q",
        "--allow-empty",
        "-m",
        "first",
    ]));
    let url = format!("root+web1@localhost:{origin}");
    succeed(git(&["clone", "-q", &url, &copy.display().to_string()]));
    succeed(git(&["-C", &copy.display().to_string(), "log", "-1"]));
}

#[test]
fn the_status_comes_though_the_output_ended_long_before() {
    let world = World::new("early-eof");
    let mut ssh = world.ssh("root+web1");
    ssh.arg("exec >&- 2>&-; sleep 1; exit 9");
    assert_eq!(finish(ssh).0, Some(9));
}

#[test]
fn session_after_session_ends_well() {
    let world = World::new("again");
    for number in 0..20 {
        let (status, out, err) = run(&world, &[], &format!("echo {number}"), "");
        assert_eq!((status, out), (Some(0), format!("{number}\n")), "{err}");
    }
}

#[test]
fn many_channels_share_a_connection() {
    let world = World::new("mux");
    let socket = world.dir.join("mux");
    let ssh = |more: &[&str]| {
        let mut ssh = world.client("ssh");
        ssh.arg("-S").arg(&socket).args(more);
        ssh
    };
    let mut master = ssh(&["-M", "-N", "root+web1@localhost"]).spawn().unwrap();
    let started = Instant::now();
    while !socket.exists() && started.elapsed() < Duration::from_secs(20) {
        thread::sleep(Duration::from_millis(50));
    }
    for number in 0..10 {
        let (status, out, err) = finish(ssh(&["root+web1@localhost", &format!("echo {number}")]));
        assert_eq!((status, out), (Some(0), format!("{number}\n")), "{err}");
    }
    master.kill().unwrap();
    master.wait().unwrap();
    assert_eq!(world.closed(1).len(), 1);
}

#[test]
fn another_host_certificate_is_shown_to_whoever_comes_next() {
    let world = World::new("renewed");
    for (name, want) in [("elsewhere", Some(255)), ("localhost", Some(0))] {
        world.show(name);
        let mut ssh = world.ssh("root+web1");
        ssh.arg("true");
        let (status, _, err) = finish(ssh);
        assert_eq!(status, want, "{err}");
    }
}

#[test]
fn without_a_grant_a_sentence_and_status_77() {
    let world = World::new("denied");
    for user in ["nobody+web1", "root+nowhere"] {
        let mut ssh = world.ssh(user);
        ssh.arg("true");
        let (status, out, err) = finish(ssh);
        assert_eq!((status, out.as_str()), (Some(77), ""), "{err}");
        assert!(
            err.starts_with("tidegate: TG101 no active grant for"),
            "{err}"
        );
    }
}

#[test]
fn a_command_that_policy_forbids_is_refused_when_it_comes() {
    let world = World::new("forbidden");
    let (status, out, err) = run(&world, &[], "forbidden", "");
    assert_eq!((status, out.as_str()), (Some(77), ""), "{err}");
    assert!(err.contains("not on a test's watch"), "{err}");
}

#[test]
fn the_bastion_itself_gives_help_and_status_64() {
    let world = World::new("help");
    for user in ["alice", "root+web1:x"] {
        let (status, out, err) = finish(world.ssh(user));
        assert_eq!((status, out.as_str()), (Some(64), ""), "{err}");
        assert!(err.contains("ssh LOGIN+TARGET@BASTION"), "{err}");
        assert!(err.contains("-p PORT"), "{err}");
    }
}

/// What a session channel says on such a connection, and with which status it ends.
async fn answered(client: &client::Handle<Anybody>) -> (Option<u32>, String) {
    let mut channel = client.channel_open_session().await.unwrap();
    channel.request_shell(true).await.unwrap();
    let (mut status, mut said) = (None, String::new());
    while let Some(message) = channel.wait().await {
        if let ChannelMsg::ExtendedData { data, .. } = &message {
            said.push_str(&String::from_utf8_lossy(data));
        } else if let ChannelMsg::ExitStatus { exit_status } = message {
            status = Some(exit_status);
        } else if let ChannelMsg::Close = message {
            break;
        }
    }
    (status, said)
}

#[test]
fn so_many_connections_to_the_bastion_itself_and_whoever_leaves_makes_room() {
    let world = World::new("standing");
    world.runtime.block_on(async {
        let mut held = Vec::new();
        for _each in 0..STANDING_MAX {
            let client = world.connect("alice").await;
            // Whoever is answered stands.
            assert_eq!(answered(&client).await.0, Some(64));
            held.push(client);
        }
        let (status, said) = answered(&world.connect("alice").await).await;
        assert_eq!(status, Some(77), "{said}");
        assert!(said.contains("TG107 you have 2 connections open"), "{said}");
        let noted = world.room.denied.lock().unwrap().clone();
        let want = "alice jump the bastion itself: TG107 ";
        assert!(noted.len() == 1 && noted[0].starts_with(want), "{noted:?}");
        let leaves = held.pop().unwrap();
        let reason = Disconnect::ByApplication;
        leaves.disconnect(reason, "", "en").await.unwrap();
        let started = Instant::now();
        while answered(&world.connect("alice").await).await.0 != Some(64) {
            assert!(started.elapsed() < Duration::from_secs(20));
        }
    });
}

#[test]
fn a_registered_key_lets_in_and_nothing_else_does() {
    let world = World::new("keys");
    let with = |name: &str, user: &str| {
        let mut ssh = Command::new("ssh");
        ssh.arg("-F")
            .arg(world.config_of(name))
            .stdin(Stdio::null());
        ssh.args([&format!("{user}@localhost"), "echo in"]);
        finish(ssh)
    };
    let (status, out, err) = with("registered", "root+web1");
    assert_eq!((status, out.as_str()), (Some(0), "in\n"), "{err}");
    let (status, _, err) = with("registered", "alice+root+web1");
    assert_eq!(status, Some(0), "{err}");
    for (name, user) in [
        ("stranger", "root+web1"),
        ("forged", "root+web1"),
        ("mallory", "root+web1"),
        ("registered", "bob+root+web1"),
    ] {
        let (status, out, err) = with(name, user);
        assert_eq!((status, out.as_str()), (Some(255), ""), "{name}");
        assert!(
            err.contains("Permission denied (publickey)"),
            "{name}: {err}"
        );
    }
}

#[test]
fn forwarding_of_every_kind_is_refused_with_a_sentence() {
    let world = World::new("forwarding");
    let port = proxy::demo::free_port().unwrap();
    let forward = format!("{port}:127.0.0.1:22");
    let knock = "sleep 8; echo done";
    let mut ssh = world.ssh("root+web1");
    ssh.args(["-L", &forward, knock])
        .stdout(Stdio::piped())
        .stderr(Stdio::piped());
    let ssh = ssh.spawn().unwrap();
    let started = Instant::now();
    while std::net::TcpStream::connect(("127.0.0.1", port)).is_err() {
        assert!(started.elapsed() < Duration::from_secs(10));
        thread::sleep(Duration::from_millis(100));
    }
    let output = ssh.wait_with_output().unwrap();
    let err = String::from_utf8_lossy(&output.stderr).into_owned();
    assert_eq!(output.stdout, b"done\n");
    assert!(
        err.contains("administratively prohibited: TG603 port forwarding is not part of"),
        "{err}"
    );

    let reverse = ["-o", "ExitOnForwardFailure=yes", "-R", "0:127.0.0.1:22"];
    let (status, _, err) = run(&world, &reverse, "true", "");
    assert_eq!(status, Some(255), "{err}");
    assert!(err.contains("remote port forwarding failed"), "{err}");
}

#[test]
fn a_cut_session_says_why_and_ends_at_once() {
    let world = World::new("cut");
    let mut ssh = world.ssh("root+web1");
    ssh.arg("echo begun; sleep 600")
        .stdout(Stdio::piped())
        .stderr(Stdio::piped());
    let mut ssh = ssh.spawn().unwrap();
    let mut begun = [0; 6];
    std::io::Read::read_exact(ssh.stdout.as_mut().unwrap(), &mut begun).unwrap();
    let cut = Instant::now();
    world.cut();
    let output = ssh.wait_with_output().unwrap();
    assert!(
        cut.elapsed() < Duration::from_secs(5),
        "{:?}",
        cut.elapsed()
    );
    let err = String::from_utf8_lossy(&output.stderr).into_owned();
    assert_eq!(
        (output.status.code(), output.stdout.len()),
        (Some(255), 0),
        "{err}"
    );
    assert!(
        err.contains("tidegate: TG202 access ended: the session was ended by carol"),
        "{err}"
    );
    assert_eq!(world.closed(1), ["None"]);
}

#[test]
fn a_client_that_asks_too_much_of_a_channel_is_shown_the_door() {
    let world = World::new("flood");
    let value = "x".repeat(16 * 1024);
    let ended = world.abuse(|mut channel| async move {
        let asked = (0..64).map(|_each| channel.set_env(false, "LANG", value.as_str()));
        for asking in asked {
            if asking.await.is_err() {
                return;
            }
        }
        while channel.wait().await.is_some() {}
    });
    assert_eq!(ended, Some(()));
    assert_eq!(world.closed(1).len(), 1);
}

#[test]
fn a_client_that_does_not_listen_is_cut_all_the_same() {
    let world = World::new("cut-deaf");
    let mut ssh = world.ssh("root+web1");
    ssh.arg("cat /dev/zero")
        .stdout(Stdio::piped())
        .stderr(Stdio::null());
    let mut ssh = ssh.spawn().unwrap();
    let mut begun = [0; 6];
    std::io::Read::read_exact(ssh.stdout.as_mut().unwrap(), &mut begun).unwrap();
    thread::sleep(Duration::from_millis(500));
    proxy::demo::signal(ssh.id(), "STOP");
    let cut = Instant::now();
    world.cut();
    assert_eq!(world.closed(1), ["None"]);
    assert!(
        cut.elapsed() < Duration::from_secs(5),
        "{:?}",
        cut.elapsed()
    );
    proxy::demo::signal(ssh.id(), "KILL");
    ssh.wait().unwrap();
}
