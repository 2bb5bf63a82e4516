//! What is in the recording of a session, and what is not.

use std::fs::{self, Permissions};
use std::io::Write;
use std::os::unix::fs::PermissionsExt as _;
use std::process::Stdio;
use std::time::Duration;

use russh::{ChannelMsg, Pty};

use crate::world::{World, finish};

/// Fails unless one frame holds all of these.
pub(crate) fn holds(frames: &[String], parts: &[&str]) {
    let found = frames
        .iter()
        .any(|frame| parts.iter().all(|part| frame.contains(part)));
    assert!(found, "{parts:?} in {frames:#?}");
}

pub(crate) fn bytes(text: &str) -> String {
    format!("bytes: {:?}", text.as_bytes())
}

/// All that was kept of one stream, in order.
fn data(frames: &[String], stream: &str) -> String {
    let of = |frame: &&String| frame.contains("Data") && frame.contains(stream);
    let lists = frames.iter().filter(of).filter_map(|frame| {
        let list = frame.split("bytes: [").nth(1)?;
        list.split(']').next()
    });
    let bytes: Vec<u8> = lists
        .flat_map(|list| list.split(", "))
        .filter_map(|byte| byte.parse().ok())
        .collect();
    String::from_utf8(bytes).unwrap()
}

/// Runs this, with this on its input.
fn feed(world: &World, arguments: &[&str], input: &str) {
    let mut ssh = world.ssh("root+web1");
    ssh.args(arguments).stdin(Stdio::piped());
    ssh.stdout(Stdio::null()).stderr(Stdio::null());
    let mut ssh = ssh.spawn().unwrap();
    let mut stdin = ssh.stdin.take().unwrap();
    stdin.write_all(input.as_bytes()).unwrap();
    drop(stdin);
    ssh.wait().unwrap();
}

#[test]
fn a_command_what_it_was_sent_and_what_it_said_are_kept() {
    let world = World::new("rec-exec");
    let command = "cat >/dev/null; echo seen; echo odd >&2; exit 3";
    feed(&world, &[command], "a script");
    let frames = world.frames();
    holds(&frames, &["Opened", "session"]);
    holds(&frames, &["Exec", "command: [99, 97, 116"]);
    holds(&frames, &["Data", "Input", &bytes("a script")]);
    holds(&frames, &["Data", "Output", &bytes("seen\n")]);
    holds(&frames, &["Data", "ErrorOutput", &bytes("odd\n")]);
    holds(&frames, &["ExitStatus", "status: 3"]);
    holds(&frames, &["Closed"]);
}

#[test]
fn a_shell_without_a_terminal_is_no_unrecorded_shell() {
    let world = World::new("rec-shell");
    feed(&world, &["-T"], "true hidden\n");
    let frames = world.frames();
    holds(&frames, &["Channel", "Shell"]);
    holds(&frames, &["Data", "Input", &bytes("true hidden\n")]);
}

#[test]
fn what_is_typed_at_a_terminal_is_counted() {
    let world = World::new("rec-typed");
    feed(&world, &["-tt", "stty -echo; read secret"], "hunter2\n");
    let frames = world.frames();
    holds(&frames, &["Omitted", "Input", "ByPolicy", "digest: None"]);
    let kept = |frame: &String| frame.contains("Data") && frame.contains("Input");
    assert!(!frames.iter().any(kept), "{frames:#?}");
}

#[test]
fn where_the_target_gives_no_terminal_what_is_sent_is_kept() {
    let world = World::where_sshd_has("rec-no-pty", "PermitTTY no\n");
    feed(&world, &["-tt", "sh"], "true hidden\n");
    let frames = world.frames();
    holds(&frames, &["Refused", "TG606", "pty"]);
    holds(&frames, &["Data", "Input", &bytes("true hidden\n")]);
}

#[test]
fn a_terminal_without_echo_is_told_of() {
    let world = World::new("rec-no-echo");
    let told = world.speak(async |client| {
        let mut line = client.channel_open_session().await.unwrap();
        let modes = [(Pty::ECHO, 0)];
        let asked = line.request_pty(true, "xterm", 80, 24, 0, 0, &modes);
        asked.await.unwrap();
        line.exec(true, "read secret").await.unwrap();
        line.data(&b"hunter2\n"[..]).await.unwrap();
        while line.wait().await.is_some() {}
    });
    assert!(told.is_some());
    let frames = world.frames();
    holds(&frames, &["Note", "TG618", "channel 0", "echo"]);
    holds(&frames, &["Note", "TG633", "channel 0", "ECHO=0"]);
    let kept = |frame: &String| frame.contains("Data") && frame.contains("Input");
    assert!(!frames.iter().any(kept), "{frames:#?}");
}

/// Linux hands the line on at once, and at the interrupt throws away what it would have shown of it.
#[test]
fn a_line_that_is_typed_behind_a_stop_is_told_of() {
    let world = World::new("rec-stopped");
    let told = world.speak(async |client| {
        let mut line = client.channel_open_session().await.unwrap();
        let asked = line.request_pty(true, "xterm", 80, 24, 0, 0, &[]);
        asked.await.unwrap();
        line.exec(true, "sh").await.unwrap();
        for (keys, pause) in [("\x13", 300), ("true hidden\r", 600), ("\x03exit\r", 0)] {
            tokio::time::sleep(Duration::from_millis(300)).await;
            line.data(keys.as_bytes()).await.unwrap();
            tokio::time::sleep(Duration::from_millis(pause)).await;
        }
        while line.wait().await.is_some() {}
    });
    assert!(told.is_some());
    let frames = world.frames();
    holds(&frames, &["Note", "TG632", "channel 0", "^S"]);
}

#[test]
fn what_a_window_change_carries_is_recorded() {
    /// Says what the terminal is, as a program at the target sees it (`TIOCGWINSZ`), for each line that comes.
    const SAYS: &str = r#"perl -e '$| = 1; do { ioctl(STDIN, 0x5413, $size = "\0" x 8); print join(",", unpack("S4", $size)), ";" } while <STDIN>'"#;
    let world = World::new("rec-window");
    let told = world.speak(async |client| {
        let mut line = client.channel_open_session().await.unwrap();
        let asked = line.request_pty(true, "xterm", 80, 24, 640, 384, &[(Pty::VSTATUS, 4660)]);
        asked.await.unwrap();
        line.exec(true, SAYS).await.unwrap();
        let mut said = String::new();
        for (width, height) in [(4660, 22136), (1111, 2222), (1112, 2223), (0, 0)] {
            let before = said.matches(';').count();
            while said.matches(';').count() == before {
                let message = line.wait().await.expect("it says what it sees");
                if let ChannelMsg::Data { data } = message {
                    said.push_str(&String::from_utf8_lossy(&data));
                }
            }
            line.window_change(80, 24, width, height).await.unwrap();
            line.data(&b"\n"[..]).await.unwrap();
        }
        line.data(&b"\x04"[..]).await.unwrap();
        while let Some(message) = line.wait().await {
            if let ChannelMsg::Data { data } = message {
                said.push_str(&String::from_utf8_lossy(&data));
            }
        }
        said.replace(['\r', '\n'], "")
    });
    let told = told.expect("it ends");
    let seen = "24,80,640,384;24,80,0,0;24,80,1040,2208;24,80,1040,2208;24,80,0,0;";
    assert!(told.contains(seen), "{told}");
    let frames = world.frames();
    holds(&frames, &["Note", "TG633", "8x16 pixels", "VSTATUS=4660"]);
    holds(&frames, &["Note", "TG633", "13x92 pixels"]);
    let notes = frames.iter().filter(|frame| frame.contains("TG633"));
    assert_eq!(notes.count(), 4, "{frames:#?}");
    let sizes = frames.iter().filter(|frame| frame.contains("Resize"));
    assert_eq!(sizes.count(), 4, "{frames:#?}");
}

#[test]
fn what_was_refused_is_told_of() {
    let world = World::new("rec-asked");
    let told = world.speak(async |client| {
        let mut line = client.channel_open_session().await.unwrap();
        line.exec(true, "cat").await.unwrap();
        let mut forbidden = client.channel_open_session().await.unwrap();
        forbidden.exec(true, "forbidden").await.unwrap();
        while forbidden.wait().await.is_some() {}
        let mut odd = client.channel_open_session().await.unwrap();
        odd.exec(true, "cat /etc/shadow\0").await.unwrap();
        while odd.wait().await.is_some() {}
        let mut system = client.channel_open_session().await.unwrap();
        system.request_subsystem(true, "net conf").await.unwrap();
        while system.wait().await.is_some() {}
        let nowhere = client.channel_open_direct_tcpip("a b", 80, "127.0.0.1", 1);
        assert!(nowhere.await.is_err());
        line.eof().await.unwrap();
        while line.wait().await.is_some() {}
    });
    assert!(told.is_some());
    let frames = world.frames();
    holds(&frames, &["Refused", "exec: forbidden"]);
    holds(&frames, &["Refused", "TG604", "subsystem: net conf"]);
    holds(&frames, &["Refused", "TG604", "exec: cat /etc/shadow"]);
    holds(&frames, &["Refused", "TG619", "a b", "port 80"]);
}

#[test]
fn of_bulk_the_beginning_is_kept_and_the_rest_is_counted_and_digested() {
    let world = World::new("rec-bulk");
    let mut ssh = world.ssh("root+web1");
    ssh.arg("seq 1000000 1450000").stdout(Stdio::null());
    assert!(ssh.status().unwrap().success());
    keeps_the_beginning(&world.frames(), "Output", &numbers());
}

/// What `seq 1000000 1450000` says.
fn numbers() -> String {
    let numbers = (1_000_000..=1_450_000).map(|number: u32| format!("{number}\n"));
    numbers.collect()
}

/// Fails unless a mebibyte of the stream is kept and the rest is counted and digested. Gives the counts.
fn keeps_the_beginning(frames: &[String], stream: &str, all: &str) -> Vec<usize> {
    holds(frames, &["Omitted", stream, "Bulk", "digest: None"]);
    let (kept, left_out) = all.as_bytes().split_at(1024 * 1024);
    let mut rest = recorder::StreamDigest::default();
    rest.update(left_out);
    let digest = format!("digest: Some({:?})", rest.finish());
    holds(frames, &["Omitted", "bytes: 0", "Bulk", &digest]);
    assert!(data(frames, stream).as_bytes() == kept);
    let counted: Vec<usize> = frames
        .iter()
        .filter(|frame| frame.contains("Omitted") && frame.contains(stream))
        .filter_map(|frame| {
            frame
                .split("bytes: ")
                .nth(1)?
                .split(',')
                .next()?
                .parse()
                .ok()
        })
        .collect();
    assert_eq!(counted.iter().sum::<usize>(), left_out.len());
    counted
}

#[test]
fn of_what_scp_carries_the_rest_is_counted_in_few_frames() {
    let world = World::new("rec-scp");
    let (from, into) = (world.dir.join("from"), world.dir.join("into"));
    let contents = numbers();
    fs::write(&from, &contents).unwrap();
    fs::set_permissions(&from, Permissions::from_mode(0o640)).unwrap();
    let mut scp = world.client("scp");
    scp.args(["-O", "-q"]).arg(&from);
    scp.arg(format!("root+web1@localhost:{}", into.display()));
    assert_eq!(finish(scp).0, Some(0));
    assert!(fs::read(&into).unwrap() == contents.as_bytes());
    let all = format!("C0640 {} from\n{contents}\0", contents.len());
    let counted = keeps_the_beginning(&world.frames(), "Input", &all);
    // Of the piece in which the mebibyte ends, of all that followed, and the digest's.
    assert!(counted.len() <= 3, "{counted:?}");
}

#[test]
fn a_terminal_is_kept_whole() {
    let world = World::new("rec-pty");
    let mut ssh = world.ssh("root+web1");
    ssh.args(["-tt", "head -c 2M /dev/zero | tr '\\0' x; exit 0"])
        .stdout(Stdio::null());
    finish(ssh);
    let frames = world.frames();
    holds(&frames, &["Pty"]);
    assert_eq!(data(&frames, "Output"), "x".repeat(2 * 1024 * 1024));
    assert!(
        !frames
            .iter()
            .any(|frame| frame.contains("Omitted") && frame.contains("Output"))
    );
}

#[test]
fn a_channel_that_is_refused_at_the_door_is_none_of_those_that_are_open() {
    let world = World::new("rec-refused");
    let told = world.speak(async |client| {
        let mut line = client.channel_open_session().await.unwrap();
        line.exec(true, "cat").await.unwrap();
        // What only a target opens.
        for port in [1, 2] {
            assert!(client.channel_open_x11("127.0.0.1", port).await.is_err());
        }
        line.eof().await.unwrap();
        while line.wait().await.is_some() {}
    });
    assert!(told.is_some());
    let frames = world.frames();
    for channel in [1_u32 << 31, (1 << 31) + 1] {
        let channel = format!("channel: {channel}");
        holds(&frames, &[&channel, "Refused", "TG603", "X11 forwarding"]);
    }
    let of_the_line = |frame: &&String| frame.contains("channel: 0,") && frame.contains("Refused");
    assert_eq!(frames.iter().find(of_the_line), None);
}
