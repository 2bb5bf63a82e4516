//! Stock OpenSSH through tidegate: everything that a grant names works as it does directly.

use std::fs;

use tests::{Setting, World, with_input};

use crate::{err, out};

/// The exit status of a command that tidegate refuses.
const REFUSED: i32 = 77;

#[test]
fn ssh_exec() {
    let world = World::new();
    world.grant_ssh("10m");
    let ran = world.ssh(&[], &["echo here; echo aside >&2; exit 3"]);
    assert_eq!((out(&ran).as_str(), ran.status.code()), ("here\n", Some(3)));
    assert_eq!(
        err(&ran),
        "aside\n",
        "stderr is the command's own and nothing else"
    );
}

#[test]
fn ssh_exit_signal() {
    let world = World::new();
    world.grant_ssh("10m");
    // OpenSSH reports a command that was ended by a signal as 255 when it hears `exit-signal`.
    let ran = world.ssh(&[], &["kill -TERM $$"]);
    assert_eq!(ran.status.code(), Some(255), "{}", err(&ran));
}

#[test]
fn ssh_stdin_reaches_its_end() {
    let world = World::new();
    world.grant_ssh("10m");
    let input = world.dir().join("input");
    let bytes: Vec<u8> = (0..1_000_000_u32)
        .map(|number| number.to_le_bytes()[0] ^ 0x5a)
        .collect();
    fs::write(&input, &bytes).unwrap();
    let (port, address) = (world.ssh_port(), world.address());
    let ran = with_input(
        world.alice(),
        &["ssh", "-p", &port, &address, "cat; echo end"],
        &input,
    );
    assert!(ran.status.success(), "{}", err(&ran));
    let mut want = bytes;
    want.extend_from_slice(b"end\n");
    assert!(
        ran.stdout == want,
        "{} bytes came back of {}",
        ran.stdout.len(),
        want.len()
    );
}

#[test]
fn ssh_shell_pty() {
    let world = World::new();
    world.grant_ssh("10m");
    let input = world.dir().join("typed");
    fs::write(
        &input,
        "tty >/dev/null && echo terminal-$((20+22)); exit 4\n",
    )
    .unwrap();
    let (port, address) = (world.ssh_port(), world.address());
    let ran = with_input(
        world.alice(),
        &["ssh", "-p", &port, "-tt", &address],
        &input,
    );
    assert!(
        out(&ran).contains("terminal-42"),
        "{}{}",
        out(&ran),
        err(&ran)
    );
    assert_eq!(ran.status.code(), Some(4));
}

#[test]
fn ssh_several_channels_of_one_connection() {
    let world = World::new();
    world.grant_ssh("10m");
    let control = world.dir().join("people/alice/mux");
    let path = format!("ControlPath={}", control.display());
    let master = world.ssh(
        &[
            "-o",
            "ControlMaster=yes",
            "-o",
            "ControlPersist=60",
            "-o",
            &path,
            "-N",
            "-f",
        ],
        &[],
    );
    assert!(master.status.success(), "{}", err(&master));
    // Far more, one after the other, than may be open at once; of those whose input stays open, it
    // is the target that closes first.
    let (port, address) = (world.ssh_port(), world.address());
    for number in 0..25 {
        let line = format!(
            "exec ssh -p {port} -o {path} {address} echo {number} < <(exec sleep 5 >&- 2>&-)"
        );
        let ran = world
            .alice()
            .output(&["bash", "-c", &line])
            .expect("ssh runs");
        assert_eq!(out(&ran), format!("{number}\n"), "{}", err(&ran));
    }
    assert_eq!(
        world.live_sessions().len(),
        1,
        "one connection is one session"
    );
    world.ssh(&["-o", &path, "-O", "exit"], &[]);
}

#[test]
fn scp() {
    let world = World::new();
    world.grant_ssh("10m");
    let (port, address) = (world.ssh_port(), world.address());
    let (there, back) = (
        world.dir().join("people/alice/there"),
        world.dir().join("people/alice/back"),
    );
    let (from, there, back) = (
        world.alice().key().display().to_string(),
        there.display().to_string(),
        back.display().to_string(),
    );
    for legacy in [&["-q"][..], &["-q", "-O"]] {
        let mut up = vec!["scp"];
        up.extend_from_slice(legacy);
        let mut down = up.clone();
        let remote = format!("{address}:{there}");
        up.extend(["-P", &port, &from, &remote]);
        down.extend(["-P", &port, &remote, &back]);
        world.alice().run(&up).unwrap();
        world.alice().run(&down).unwrap();
        assert_eq!(fs::read(&from).unwrap(), fs::read(&back).unwrap());
        fs::remove_file(&back).unwrap();
    }
}

#[test]
fn sftp() {
    let world = World::new();
    world.grant_ssh("10m");
    let (port, address) = (world.ssh_port(), world.address());
    let dir = world.dir().join("people/alice").display().to_string();
    let batch = world.dir().join("batch");
    let text =
        format!("put {dir}/.ssh/id_ed25519 {dir}/there\nget {dir}/there {dir}/back\nls {dir}\n");
    fs::write(&batch, text).unwrap();
    let batch = batch.display().to_string();
    let listed = world
        .alice()
        .run(&["sftp", "-P", &port, "-b", &batch, &address])
        .unwrap();
    assert!(listed.contains("there"), "{listed}");
    let read = |name: &str| fs::read(format!("{dir}/{name}")).unwrap();
    assert_eq!(read(".ssh/id_ed25519"), read("back"));
}

#[test]
fn rsync() {
    let world = World::new();
    world.grant_ssh("10m");
    let dir = world.dir().join("people/alice");
    let (from, there, back) = (dir.join("from"), dir.join("there"), dir.join("back"));
    fs::create_dir(&from).unwrap();
    for number in 0..50_u32 {
        fs::write(
            from.join(format!("file-{number}")),
            number.to_string().repeat(2_000),
        )
        .unwrap();
    }
    let (port, address) = (world.ssh_port(), world.address());
    let shell = format!("ssh -p {port}");
    let remote = format!("{address}:{}/", there.display());
    let (from_dir, back_dir) = (
        format!("{}/", from.display()),
        format!("{}/", back.display()),
    );
    world
        .alice()
        .run(&["rsync", "-a", "-e", &shell, &from_dir, &remote])
        .unwrap();
    world
        .alice()
        .run(&["rsync", "-a", "-e", &shell, &remote, &back_dir])
        .unwrap();
    for number in 0..50 {
        let name = format!("file-{number}");
        assert_eq!(
            fs::read(from.join(&name)).unwrap(),
            fs::read(back.join(&name)).unwrap()
        );
    }
}

#[test]
fn jump_host() {
    let world = World::new();
    world.grant_ssh("10m");
    let there = format!("{}@web1", world.login());
    let short = world.alice().run(&["ssh", &there, "echo short"]).unwrap();
    assert_eq!(short, "short\n");
    let jump = format!("localhost:{}", world.doors().ssh);
    let long = world
        .alice()
        .run(&["ssh", "-J", &jump, &there, "echo long"])
        .unwrap();
    assert_eq!(long, "long\n");
    let recorded = world.ended_sessions().iter().any(|session| {
        let id = session["id"].as_str().unwrap();
        world.verify(id).0 && world.exported(id, "--text").contains("long")
    });
    assert!(recorded, "what went through the jump is recorded");
}

#[test]
fn environment_is_an_allow_list() {
    let world = World::with(&Setting {
        sshd: "AcceptEnv *\nPermitUserEnvironment yes",
        ..Setting::default()
    });
    world.grant_ssh("10m");
    let set = "LC_TEST=passes LD_PRELOAD= SECRET=stays";
    let mut options = vec!["-o".to_owned(), format!("SetEnv={set}")];
    options.extend(["-o".to_owned(), "SendEnv=NOTHING".to_owned()]);
    let options: Vec<&str> = options.iter().map(String::as_str).collect();
    let ran = world.ssh(
        &options,
        &["echo [$LC_TEST] [$SECRET]; env | grep -c LD_PRELOAD"],
    );
    assert!(
        out(&ran).starts_with("[passes] []\n0"),
        "{}{}",
        out(&ran),
        err(&ran)
    );
}

#[test]
fn what_the_grant_does_not_name_is_refused() {
    let world = World::new();
    world.grant_ssh("10m");
    let to = format!("127.0.0.1:{}", world.postgres().port());
    let forwarded = world.ssh(&["-W", &to], &[]);
    assert!(!forwarded.status.success());
    let listen = format!("0:{to}");
    let reverse = world.ssh(
        &["-o", "ExitOnForwardFailure=yes", "-R", &listen],
        &["echo ran"],
    );
    assert!(
        !reverse.status.success(),
        "no reverse forwarding: {}",
        out(&reverse)
    );
    let agent = world.ssh(&["-A"], &["echo agent=[$SSH_AUTH_SOCK]"]);
    assert!(
        out(&agent).contains("agent=[]"),
        "{}{}",
        out(&agent),
        err(&agent)
    );
}

#[test]
fn without_a_grant_exec_is_refused_with_a_sentence_and_77() {
    let world = World::new();
    let ran = world.ssh(&[], &["touch /tmp/never"]);
    assert_eq!(ran.status.code(), Some(REFUSED), "{}", err(&ran));
    assert!(
        err(&ran).contains("TG") && err(&ran).contains("tidegate request web1"),
        "{}",
        err(&ran)
    );
    assert!(out(&ran).is_empty());
}

#[test]
fn a_registered_key_gets_in_as_a_certificate_does() {
    let world = World::new();
    world.grant_ssh("10m");
    let key = world.alice().key().display().to_string();
    let known = world
        .alice()
        .state_dir()
        .join("known_hosts")
        .display()
        .to_string();
    let known = format!("UserKnownHostsFile={known}");
    let (port, address) = (world.ssh_port(), world.address());
    let line = [
        "ssh",
        "-F",
        "none",
        "-p",
        &port,
        "-i",
        &key,
        "-o",
        "IdentitiesOnly=yes",
        "-o",
        &known,
        &address,
        "echo key",
    ];
    assert_eq!(world.alice().run(&line).unwrap(), "key\n");
}

#[test]
fn a_stranger_does_not_get_in() {
    let world = World::new();
    world.grant_ssh("10m");
    let key = world.dir().join("stranger").display().to_string();
    let keygen = ["ssh-keygen", "-q", "-t", "ed25519", "-N", "", "-f", &key];
    world.alice().run(&keygen).unwrap();
    let (port, address) = (world.ssh_port(), world.address());
    let known = world.alice().state_dir().join("known_hosts");
    let known = format!("UserKnownHostsFile={}", known.display());
    let line = [
        "ssh",
        "-F",
        "none",
        "-p",
        &port,
        "-i",
        &key,
        "-o",
        "IdentitiesOnly=yes",
        "-o",
        "BatchMode=yes",
        "-o",
        &known,
        &address,
        "echo in",
    ];
    let tried = world.alice().output(&line).unwrap();
    assert_eq!((tried.status.code(), out(&tried).as_str()), (Some(255), ""));
    assert!(err(&tried).contains("Permission denied"), "{}", err(&tried));
    // To the operator it is told why.
    let log = world.server_log();
    assert!(log.contains("login.refused"), "{log}");
}

/// Clients whose certificate is over go on to its key, which is registered nowhere.
#[test]
fn a_login_that_has_ended_is_told_to_the_operator_as_one() {
    let world = World::new();
    world.grant_ssh("10m");
    let alice = world.alice();
    alice
        .run(&["tidegate", "login", "--ttl", "1s"])
        .expect("a short login");
    let state = alice.state_dir();
    let [key, certificate, known] = ["ssh-key", "ssh-key-cert.pub", "known_hosts"]
        .map(|name| state.join(name).display().to_string());
    let (certificate, known) = (
        format!("CertificateFile={certificate}"),
        format!("UserKnownHostsFile={known}"),
    );
    let (port, address) = (world.ssh_port(), world.address());
    let line = [
        "ssh",
        "-F",
        "none",
        "-p",
        &port,
        "-i",
        &key,
        "-o",
        "IdentitiesOnly=yes",
        "-o",
        "BatchMode=yes",
        "-o",
        &certificate,
        "-o",
        &known,
        &address,
        "true",
    ];
    tests::until("the login has ended", || {
        let tried = alice.output(&line).expect("ssh runs");
        (!tried.status.success()).then_some(())
    });
    let log = world.server_log();
    let refused = log.lines().find(|line| line.contains("login.refused"));
    let refused = refused.expect("it is in the log");
    let own = alice.key().display().to_string();
    let own = alice.run(&["ssh-keygen", "-lf", &own]).expect("her key");
    let own = own.split_whitespace().nth(1).expect("its fingerprint");
    for part in ["has ended", "principal=alice", own] {
        assert!(refused.contains(part), "{part}: {refused}");
    }
}
