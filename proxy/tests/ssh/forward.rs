//! Connections that are carried onwards (`ssh -L`, `-D`, `-W`): what passes, what is refused, what is
//! in the recording, and how they end.

use std::io::{Read, Write};
use std::net::Shutdown;
use std::os::unix::net::UnixStream;
use std::process::{Child, Command, Stdio};
use std::thread;
use std::time::{Duration, Instant};

use policies::Capability;
use russh::ChannelMsg;

use crate::recording::{bytes, holds};
use crate::service::{PATIENCE, Service, connect, end};
use crate::world::{World, digest, finish, noise};

fn world(name: &str) -> World {
    World::with(name, &[Capability::ForwardPort])
}

/// `ssh -W` to there, with this on its input: status, output and what was said.
fn through(world: &World, to: &str, input: &[u8]) -> (Option<i32>, Vec<u8>, String) {
    let mut ssh = world.client("ssh");
    ssh.args(["-W", to, "root+web1@localhost"]);
    ssh.stdin(Stdio::piped())
        .stdout(Stdio::piped())
        .stderr(Stdio::piped());
    let mut ssh = ssh.spawn().unwrap();
    // It may have gone before it has read all.
    drop(ssh.stdin.take().unwrap().write_all(input));
    let output = ssh.wait_with_output().unwrap();
    let said = String::from_utf8_lossy(&output.stderr).into_owned();
    (output.status.code(), output.stdout, said)
}

/// `ssh -N` with these options, once its port answers.
fn listening(world: &World, options: &[&str], port: u16) -> Child {
    let mut ssh = world.client("ssh");
    ssh.arg("-N").args(options).arg("root+web1@localhost");
    let ssh = ssh.stderr(Stdio::null()).spawn().unwrap();
    connect(port);
    ssh
}

/// Where in the recording a frame holds all of these.
fn place(frames: &[String], parts: &[&str]) -> usize {
    holds(frames, parts);
    frames
        .iter()
        .position(|frame| parts.iter().all(|part| frame.contains(part)))
        .unwrap()
}

#[test]
fn what_is_carried_arrives_and_is_in_the_recording() {
    let world = world("fwd-whole");
    let service = Service::echo();
    let (status, out, err) = through(&world, &service.addr(), b"hello ");
    assert_eq!(
        (status, out.as_slice()),
        (Some(0), &b"hello end"[..]),
        "{err}"
    );
    assert_eq!(service.heard(), b"hello ");
    let frames = world.frames();
    let port = format!("port: {}", service.port);
    let opened = place(&frames, &["Opened", "direct-tcpip"]);
    let asked = place(&frames, &["Forward", "host: \"127.0.0.1\"", &port]);
    let up = place(&frames, &["Data", "Input", &bytes("hello ")]);
    let answer = bytes("hello ").replace(']', "");
    let down = place(&frames, &["Data", "Output", &answer]);
    assert!(opened < asked && asked < up && up < down, "{frames:#?}");
    holds(&frames, &["Eof", "Input"]);
    holds(&frames, &["Eof", "Output"]);
    holds(&frames, &["Closed"]);
}

#[test]
fn many_are_carried_beside_a_session() {
    let world = world("fwd-many");
    let service = Service::echo();
    let port = proxy::demo::free_port().unwrap();
    let forward = format!("{port}:{}", service.addr());
    let mut ssh = world.ssh("root+web1");
    ssh.args(["-L", &forward, "cat; exit 7"]);
    let mut ssh = ssh.stdin(Stdio::piped()).spawn().unwrap();
    connect(port);
    let talking: Vec<_> = (0..20_u8)
        .map(|number| {
            thread::spawn(move || {
                let mut stream = connect(port);
                stream.write_all(&[number; 1000]).unwrap();
                stream.shutdown(Shutdown::Write).unwrap();
                let mut got = Vec::new();
                stream.read_to_end(&mut got).unwrap();
                assert_eq!(got, [&[number; 1000][..], b"end"].concat());
            })
        })
        .collect();
    for one in talking {
        one.join().unwrap();
    }
    drop(ssh.stdin.take());
    assert_eq!(ssh.wait().unwrap().code(), Some(7));
}

#[test]
fn a_browser_behind_dash_d_reaches_what_it_names() {
    let world = world("fwd-socks");
    let service = Service::echo();
    let port = proxy::demo::free_port().unwrap();
    let ssh = listening(&world, &["-D", &port.to_string()], port);
    let mut stream = connect(port);
    // RFC 1928: no authentication; connect to a name.
    stream.write_all(&[5, 1, 0]).unwrap();
    let mut greeting = [0; 2];
    stream.read_exact(&mut greeting).unwrap();
    let name = b"LOCALHOST";
    let mut connect = vec![5, 1, 0, 3, u8::try_from(name.len()).unwrap()];
    connect.extend_from_slice(name);
    connect.extend_from_slice(&service.port.to_be_bytes());
    stream.write_all(&connect).unwrap();
    let mut answer = [0; 10];
    stream.read_exact(&mut answer).unwrap();
    assert_eq!(answer[1], 0, "it is connected");
    stream.write_all(b"hello").unwrap();
    stream.shutdown(Shutdown::Write).unwrap();
    let mut got = String::new();
    stream.read_to_string(&mut got).unwrap();
    assert_eq!(got, "helloend");
    end(ssh);
    holds(&world.frames(), &["Forward", "host: \"localhost\""]);
}

#[test]
fn a_socket_at_the_target_is_reached_by_its_path() {
    let world = world("fwd-socket");
    let path = world.dir.join("service");
    let listener = std::os::unix::net::UnixListener::bind(&path).unwrap();
    let serving = thread::spawn(move || {
        let (mut stream, _) = listener.accept().unwrap();
        stream.write_all(b"welcome").unwrap();
    });
    let near = world.dir.join("near");
    let mut ssh = world.client("ssh");
    let forward = format!("{}:{}", near.display(), path.display());
    let ssh = ssh.args(["-N", "-L", &forward, "root+web1@localhost"]);
    let ssh = ssh.spawn().unwrap();
    let started = Instant::now();
    let mut stream = loop {
        match UnixStream::connect(&near) {
            Ok(stream) => break stream,
            Err(refused) => assert!(started.elapsed() < PATIENCE, "{refused}"),
        }
        thread::sleep(Duration::from_millis(50));
    };
    let mut got = String::new();
    stream.read_to_string(&mut got).unwrap();
    assert_eq!(got, "welcome");
    serving.join().unwrap();
    end(ssh);
    let frames = world.frames();
    holds(&frames, &["Opened", "direct-streamlocal@openssh.com"]);
    let host = format!("host: {:?}, port: 0", path.display().to_string());
    holds(&frames, &["Forward", &host]);
}

#[test]
fn inside_a_jump_it_works_as_well() {
    let world = world("fwd-jump");
    let service = Service::echo();
    let mut ssh = world.client("ssh");
    ssh.args(["-J", "localhost", "-W", &service.addr(), "root@web1"]);
    let (status, out, err) = finish(ssh);
    assert_eq!((status, out.as_str()), (Some(0), "end"), "{err}");
    holds(&world.frames(), &["Forward", "host: \"127.0.0.1\""]);
}

#[test]
fn what_the_permit_does_not_name_is_not_even_asked_of_the_target() {
    let world = World::new("fwd-none");
    let service = Service::echo();
    let (status, out, err) = through(&world, &service.addr(), b"hello");
    assert_eq!((status, out.len()), (Some(255), 0), "{err}");
    assert!(
        err.contains("TG603 port forwarding is not part of"),
        "{err}"
    );
    assert!(service.has_heard_nothing());
    holds(&world.frames(), &["Refused", "TG603", &service.addr()]);
}

#[test]
fn what_policy_forbids_is_refused_with_its_reason() {
    let world = world("fwd-forbidden");
    for to in ["forbidden.example:80", "FORBIDDEN.example:80"] {
        let (status, _, err) = through(&world, to, b"");
        assert_eq!(status, Some(255), "{err}");
        let want =
            "TG609 no connection to `forbidden.example:80`: not allowed: not on a test's watch";
        assert!(err.contains(want), "{err}");
    }
}

/// OpenSSH names no address then.
#[test]
fn what_comes_from_a_socket_of_the_clients_is_carried() {
    let world = world("fwd-from-socket");
    let service = Service::echo();
    let socket = world.dir.join("near");
    let option = format!("{}:{}", socket.display(), service.addr());
    let mut ssh = world.client("ssh");
    ssh.args(["-N", "-L", &option, "root+web1@localhost"]);
    let ssh = ssh.spawn().unwrap();
    let began = Instant::now();
    let mut stream = loop {
        match UnixStream::connect(&socket) {
            Ok(stream) => break stream,
            Err(_) if began.elapsed() < PATIENCE => thread::sleep(Duration::from_millis(20)),
            Err(failed) => panic!("{failed}"),
        }
    };
    stream.write_all(b"hello ").unwrap();
    stream.shutdown(Shutdown::Write).unwrap();
    let mut got = String::new();
    stream.read_to_string(&mut got).unwrap();
    assert_eq!(got, "hello end");
    end(ssh);
    holds(
        &world.frames(),
        &["Forward", "127.0.0.1", "originator: \"\""],
    );
}

#[test]
fn an_address_that_could_be_read_in_two_ways_is_refused() {
    let world = world("fwd-odd");
    let (status, _, err) = through(&world, "0x7f000001:80", b"");
    assert_eq!(status, Some(255), "{err}");
    assert!(err.contains("TG619"), "{err}");
    holds(&world.frames(), &["Refused", "TG619"]);
}

#[test]
fn what_the_target_cannot_reach_fails_as_it_does_without_us() {
    let world = world("fwd-closed");
    let port = proxy::demo::free_port().unwrap();
    let to = format!("127.0.0.1:{port}");
    let (status, _, err) = through(&world, &to, b"");
    assert_eq!(status, Some(255), "{err}");
    assert!(err.contains("open failed: connect failed: TG610"), "{err}");
    holds(&world.frames(), &["Refused", "TG610", &to]);
}

#[test]
fn a_second_ssh_does_not_go_inside() {
    let world = world("fwd-ssh");
    let mut ssh = Command::new("ssh");
    ssh.args(["-F", "none", "-o", "BatchMode=yes", "-o"]);
    ssh.arg(format!(
        "ProxyCommand=ssh -F {} -W 127.0.0.1:{} root+web1@localhost",
        world.config().display(),
        world.target_port()
    ));
    let (status, _, err) = finish({
        ssh.args(["root@inner", "true"]);
        ssh
    });
    assert_eq!(status, Some(255), "{err}");
    let frames = world.frames();
    holds(&frames, &["Refused", "TG611", "an SSH connection"]);
    let passed = |frame: &String| frame.contains("Data");
    assert!(!frames.iter().any(passed), "{frames:#?}");
}

#[test]
fn a_database_connection_does_not_go_inside() {
    let world = world("fwd-pg");
    let service = Service::echo();
    let request = [0, 0, 0, 8, 4, 210, 22, 47];
    let (_, out, _) = through(&world, &service.addr(), &request);
    assert_eq!(out, b"");
    assert_eq!(service.heard(), b"");
    holds(
        &world.frames(),
        &["Refused", "TG611", "a PostgreSQL connection"],
    );
}

#[test]
fn whoever_can_hear_it_is_told_why_it_ended() {
    let world = world("fwd-told");
    let service = Service::echo();
    let port = proxy::demo::free_port().unwrap();
    let forward = format!("{port}:{}", service.addr());
    let mut ssh = world.ssh("root+web1");
    ssh.args(["-L", &forward, "cat"]);
    ssh.stdin(Stdio::piped()).stderr(Stdio::piped());
    let mut ssh = ssh.spawn().unwrap();
    let mut stream = connect(port);
    stream.write_all(b"SSH-2.0-odd\r\n").unwrap();
    let mut got = Vec::new();
    stream.read_to_end(&mut got).unwrap();
    assert_eq!(got, b"");
    drop(ssh.stdin.take());
    let output = ssh.wait_with_output().unwrap();
    let said = String::from_utf8_lossy(&output.stderr).into_owned();
    assert!(
        said.contains("tidegate: TG611 an SSH connection to"),
        "{said}"
    );
}

#[test]
fn bulk_both_ways_arrives_whole_and_little_is_held() {
    let world = world("fwd-bulk");
    let service = Service::echo();
    let (big, back) = (world.dir.join("big"), world.dir.join("back"));
    noise(&big, 64);
    let before = World::resident();
    let mut ssh = world.client("ssh");
    ssh.args(["-W", &service.addr(), "root+web1@localhost"]);
    ssh.stdin(std::fs::File::open(&big).unwrap());
    ssh.stdout(std::fs::File::create(&back).unwrap());
    let mut ssh = ssh.spawn().unwrap();
    let (started, mut held) = (Instant::now(), 0);
    while ssh.try_wait().unwrap().is_none() {
        held = held.max(World::resident().saturating_sub(before));
        assert!(started.elapsed() < Duration::from_secs(120), "it hangs");
        thread::sleep(Duration::from_millis(20));
    }
    assert!(
        held < 48 * 1024 * 1024,
        "{} MiB were held",
        held / 1024 / 1024
    );
    let whole = std::fs::File::options().write(true).open(&back).unwrap();
    let length = whole.metadata().unwrap().len();
    assert_eq!(length, 64 * 1024 * 1024 + 3);
    whole.set_len(length - 3).unwrap();
    assert_eq!(digest(&back), digest(&big));
}

#[test]
fn one_that_nobody_reads_does_not_stop_the_others() {
    let world = world("fwd-stuck");
    // Takes nothing, for as long as the test lasts.
    let deaf = Service::new(|stream, _| {
        thread::sleep(Duration::from_secs(60));
        drop(stream.flush());
    });
    let service = Service::echo();
    let port = proxy::demo::free_port().unwrap();
    let other = proxy::demo::free_port().unwrap();
    let (stuck, free) = (
        format!("{port}:{}", deaf.addr()),
        format!("{other}:{}", service.addr()),
    );
    let ssh = listening(&world, &["-L", &stuck, "-L", &free], other);
    let mut filling = connect(port);
    filling
        .set_write_timeout(Some(Duration::from_secs(1)))
        .unwrap();
    let block = vec![1; 1024 * 1024];
    while filling.write_all(&block).is_ok() {}
    let mut stream = connect(other);
    let asked = Instant::now();
    stream.write_all(b"hello").unwrap();
    stream.shutdown(Shutdown::Write).unwrap();
    let mut got = String::new();
    stream.read_to_string(&mut got).unwrap();
    assert_eq!(got, "helloend");
    assert!(
        asked.elapsed() < Duration::from_secs(30),
        "{:?}",
        asked.elapsed()
    );
    end(ssh);
}

#[test]
fn one_of_which_nothing_is_taken_does_not_hold_up_the_session_for_ever() {
    let world = world("fwd-held");
    let endless = Service::new(|stream, _| while stream.write_all(&[1; 8192]).is_ok() {});
    let port = proxy::demo::free_port().unwrap();
    let forward = format!("{port}:{}", endless.addr());
    let mut ssh = world.ssh("root+web1");
    ssh.args(["-L", &forward, "read go; head -c 4M /dev/zero; echo done"]);
    ssh.stdin(Stdio::piped())
        .stdout(Stdio::piped())
        .stderr(Stdio::piped());
    let mut ssh = ssh.spawn().unwrap();
    let mut untaken = connect(port);
    untaken.read_exact(&mut [0; 1]).unwrap();
    // Until windows and buffers are full on all the way.
    thread::sleep(Duration::from_secs(3));
    let asked = Instant::now();
    ssh.stdin.take().unwrap().write_all(b"go\n").unwrap();
    let mut output = Vec::new();
    let mut stdout = ssh.stdout.take().unwrap();
    stdout.read_to_end(&mut output).unwrap();
    assert_eq!(output.len(), 4 * 1024 * 1024 + 5);
    assert!(
        asked.elapsed() < Duration::from_secs(40),
        "{:?}",
        asked.elapsed()
    );
    drop(untaken);
    ssh.wait().unwrap();
    holds(&world.frames(), &["Refused", "TG616", &endless.addr()]);
}

#[test]
fn a_cut_ends_what_is_carried_at_once() {
    let world = world("fwd-cut");
    let service = Service::echo();
    let port = proxy::demo::free_port().unwrap();
    let forward = format!("{port}:{}", service.addr());
    let ssh = listening(&world, &["-L", &forward], port);
    let mut stream = connect(port);
    stream.write_all(b"hello").unwrap();
    let mut got = [0; 5];
    stream.read_exact(&mut got).unwrap();
    let cut = Instant::now();
    world.cut();
    let mut rest = Vec::new();
    drop(stream.read_to_end(&mut rest));
    assert!(
        cut.elapsed() < Duration::from_secs(5),
        "{:?}",
        cut.elapsed()
    );
    assert_eq!(rest, b"");
    assert_eq!(world.closed(1), ["None"]);
    end(ssh);
    let hello = (0..2).map(|_each| service.heard());
    assert!(hello.into_iter().any(|heard| heard == b"hello"));
}

#[test]
fn so_many_programs_run_at_once_and_no_more() {
    let world = world("programs-limit");
    let open = world.speak(async move |client| {
        let mut first = client.channel_open_session().await.unwrap();
        first.exec(true, "echo in; cat").await.unwrap();
        // The session runs.
        while !matches!(first.wait().await, Some(ChannelMsg::Data { .. }) | None) {}
        let mut open = vec![first];
        for _each in 0..12 {
            match client.channel_open_session().await {
                Ok(channel) => open.push(channel),
                Err(_refused) => break,
            }
        }
        open.len()
    });
    assert_eq!(open, Some(10));
    holds(&world.frames(), &["Refused", "TG631", "session"]);
}

#[test]
fn so_many_are_carried_at_once_and_no_more() {
    let world = world("fwd-limit");
    let service = Service::echo();
    let port = u32::from(service.port);
    let open = world.speak(async move |client| {
        let mut open = Vec::new();
        for _each in 0..40 {
            let opening = client.channel_open_direct_tcpip("127.0.0.1", port, "127.0.0.1", 1);
            match opening.await {
                Ok(channel) => open.push(channel),
                Err(_refused) => break,
            }
        }
        let most = open.len();
        drop(open.pop().unwrap().close().await);
        let started = Instant::now();
        while started.elapsed() < PATIENCE {
            let opening = client.channel_open_direct_tcpip("127.0.0.1", port, "127.0.0.1", 1);
            if opening.await.is_ok() {
                return (most, true);
            }
        }
        (most, false)
    });
    assert_eq!(open, Some((32, true)));
    let to = format!("127.0.0.1:{port}");
    holds(&world.frames(), &["Refused", "TG628", &to]);
}
