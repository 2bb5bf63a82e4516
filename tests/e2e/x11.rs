//! A display that is lent to the target (`ssh -X`, `-Y`).

use std::fs;
use std::io::{Read, Write};
use std::net::{TcpListener, TcpStream};
use std::os::unix::fs::PermissionsExt;
use std::path::{Path, PathBuf};
use std::thread::{self, JoinHandle};

use serde_json::Value;
use tests::{Setting, World};

use crate::{err, out};

/// What lets alice lend her display.
const POLICY: &str = "@id(\"display\")\npermit (principal in Jit::Group::\"sre\", action == \
                      Jit::Action::\"forwardX11\", resource is Jit::SshHost);\n";

/// From which number on channels carry other programs (docs/formats/recording.md).
const CARRIED: u64 = 1 << 31;

/// How long the first message of an X11 client is, with an `MIT-MAGIC-COOKIE-1`.
const SETUP: usize = 12 + 20 + 16;

/// BLAKE3 of `greeting`, in base64.
const GREETING_BLAKE3: &str = "9FQoFWneHvzkGoZ0XeOjApt2hSebFbsN/Ut1MF61vLo=";

/// What an X11 client at the target does: finds its cookie, connects, sends its first message, and shows
/// what it is answered.
const CLIENT: &str = r#"set -e
set -- $(xauth -f "$XAUTH" list "$DISPLAY"); number=${DISPLAY#*:}
exec 3<>/dev/tcp/localhost/$((6000 + ${number%.*}))
printf 'l\0\013\0\0\0\022\0\020\0\0\0MIT-MAGIC-COOKIE-1\0\0' >&3
printf "$(printf %s "$3" | sed 's/../\\x&/g')" >&3
head -c 8 <&3
"#;

/// The target's `xauth`, which leaves the files of whoever runs this alone, and that file.
fn xauth() -> (PathBuf, PathBuf) {
    let dir = std::env::temp_dir().join(format!("tidegate-x11-{}", std::process::id()));
    fs::create_dir_all(&dir).expect("a directory");
    let (tool, file) = (dir.join("xauth"), dir.join("authority"));
    let text = format!("#!/bin/sh\nexec xauth -f {} \"$@\"\n", file.display());
    fs::write(&tool, text).expect("a script");
    fs::set_permissions(&tool, fs::Permissions::from_mode(0o755)).expect("it can be run");
    (tool, file)
}

/// What finds its cookie in `file` and draws.
fn client(file: &Path) -> String {
    let text = CLIENT.replace('\'', r"'\''");
    format!("XAUTH={} bash -c '{text}'", file.display())
}

/// Takes so many clients at once: none is answered before all are there.
fn serve(listener: TcpListener, count: usize) -> JoinHandle<Vec<[u8; SETUP]>> {
    thread::spawn(move || {
        let accepted = (0..count).map(|_each| {
            let (mut stream, _) = listener.accept().expect("somebody draws");
            let mut setup = [0; SETUP];
            stream.read_exact(&mut setup).expect("a first message");
            (stream, setup)
        });
        let accepted: Vec<_> = accepted.collect();
        let answer = |(mut stream, setup): (TcpStream, _)| {
            stream.write_all(b"greeting").expect("an answer");
            setup
        };
        accepted.into_iter().map(answer).collect()
    })
}

/// `ssh -X` over a connection that is shared (`ControlMaster`), twice.
#[test]
fn two_programs_of_one_connection_draw_at_once() {
    let (tool, file) = xauth();
    let sshd = format!("X11Forwarding yes\nXAuthLocation {}\n", tool.display());
    let world = World::with(&Setting {
        sshd: &sshd,
        ..Setting::default()
    });
    world.add_policy(POLICY);
    world.grant_ssh("10m");
    let (listener, number) = display();
    let shown = format!("DISPLAY=127.0.0.1:{}.0", number - 6000);
    let (port, address) = (world.ssh_port(), world.address());
    let (socket, draws) = (world.dir().join("mux"), client(&file));
    let socket = socket.display().to_string();
    let shared = ["env", &shown, "ssh", "-Y", "-S", &socket, "-p", &port];
    let master = [&shared[..], &["-M", "-f", "-N", &address]].concat();
    let begun = world.alice().output(&master).expect("ssh runs");
    assert!(begun.status.success(), "{}", err(&begun));
    let serving = serve(listener, 2);
    let line = [&shared[..], &[&address, &draws]].concat();
    thread::scope(|scope| {
        let one = || world.alice().output(&line).expect("ssh runs");
        for drawn in [scope.spawn(one), scope.spawn(one)] {
            let ran = drawn.join().expect("it ran");
            assert_eq!(out(&ran), "greeting", "{}", err(&ran));
        }
    });
    serving.join().expect("both were served");
    let end = [&shared[..], &["-O", "exit", &address]].concat();
    drop(world.alice().output(&end));
}

/// A display of alice's that says hello to whoever draws there, and its port.
fn display() -> (TcpListener, u16) {
    let listen = |number| Some((TcpListener::bind(("127.0.0.1", number)).ok()?, number));
    (6200..6400).find_map(listen).expect("a free display")
}

/// As OpenSSH's own client says where a server does not: `X11 forwarding request failed`.
#[test]
fn a_target_that_forwards_no_x11_is_told_of() {
    let world = World::with(&Setting {
        sshd: "X11Forwarding no\n",
        ..Setting::default()
    });
    world.add_policy(POLICY);
    world.grant_ssh("10m");
    let (port, address) = (world.ssh_port(), world.address());
    let line = [
        "env",
        "DISPLAY=127.0.0.1:99.0",
        "ssh",
        "-Y",
        "-p",
        &port,
        &address,
        "echo on",
    ];
    let ran = world.alice().output(&line).expect("ssh runs");
    assert_eq!(out(&ran), "on\n", "{}", err(&ran));
    assert!(err(&ran).contains("TG637"), "{}", err(&ran));
    let id = world.ended_sessions()[0]["id"].as_str().map(str::to_owned);
    let told = world.exported(&id.expect("an id"), "--jsonl");
    assert!(told.contains("TG637"), "{told}");
}

#[test]
fn a_display_is_lent_where_a_policy_says_so() {
    let (tool, file) = xauth();
    let sshd = format!("X11Forwarding yes\nXAuthLocation {}\n", tool.display());
    let world = World::with(&Setting {
        sshd: &sshd,
        ..Setting::default()
    });
    let (listener, number) = display();
    let shown = format!("DISPLAY=127.0.0.1:{}.0", number - 6000);
    let (port, address) = (world.ssh_port(), world.address());
    let client = client(&file);
    let line = ["env", &shown, "ssh", "-Y", "-p", &port, &address, &client];

    world.grant_ssh("10m");
    let without = world.alice().output(&line).expect("ssh runs");
    assert!(!without.status.success(), "no policy, no display");

    world.add_policy(POLICY);
    let serving = serve(listener, 1);
    let ran = world.alice().output(&line).expect("ssh runs");
    assert_eq!(out(&ran), "greeting", "{}", err(&ran));
    let setups = serving.join().expect("it was served");
    assert_eq!(&setups[0][..6], b"l\0\x0b\0\0\0");

    let sessions = world.ended_sessions();
    let told: Vec<String> = sessions
        .iter()
        .filter_map(|session| session["id"].as_str())
        .map(|id| world.exported(id, "--jsonl"))
        .collect();
    let all = told.concat();
    assert!(
        all.contains("X11 forwarding") && all.contains("TG603"),
        "{all}"
    );
    assert!(all.contains(r#""x11""#), "{all}");
    let frames = all
        .lines()
        .map(|line| serde_json::from_str(line).expect("JSON"));
    let carried: Vec<Value> = frames
        .filter(|frame: &Value| frame["channel"].as_u64().is_some_and(|it| it >= CARRIED))
        .collect();
    let of = |kind: &str| carried.iter().filter(|frame| frame["type"] == kind).count();
    assert!(of("omitted") > 0, "what passes is counted: {carried:#?}");
    assert_eq!(of("data"), 0, "and not kept: {carried:#?}");
    // Whoever has the bytes can prove that it was these.
    let digests = |stream: &str| -> Vec<&str> {
        let of = carried.iter().filter(|frame| frame["stream"] == stream);
        of.filter_map(|frame| frame["blake3"].as_str()).collect()
    };
    assert_eq!(digests("input"), [GREETING_BLAKE3], "{carried:#?}");
    assert_eq!(digests("output").len(), 1, "{carried:#?}");
}
