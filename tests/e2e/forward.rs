//! Forwarding with stock OpenSSH, where a policy names it: what works, where to, and how it ends.

use std::io::{Read, Write};
use std::net::{Shutdown, TcpListener, TcpStream};
use std::path::PathBuf;
use std::process::{Child, Command, Stdio};
use std::thread;
use std::time::Duration;

use tests::{Live, World, until, within};

use crate::{err, out};

/// Lets sre have connections carried to one port of the target's loopback.
fn permit(world: &World, port: u16) {
    permit_to(world, "forwardPort", port);
}

/// The same for either way.
fn permit_to(world: &World, action: &str, port: u16) {
    world.add_policy(&format!(
        "@id(\"one-port\")\npermit (principal in Jit::Group::\"sre\", action == Jit::Action::\"{action}\", \
         resource is Jit::SshHost)\nwhen {{ context.host == \"localhost\" && context.port == {port} }};\n"
    ));
}

/// A service that greets, and says back what it gets.
fn service() -> u16 {
    let listener = TcpListener::bind(("127.0.0.1", 0)).expect("a free port");
    let port = listener.local_addr().expect("it is bound").port();
    thread::spawn(move || {
        for stream in listener.incoming().flatten() {
            thread::spawn(move || serve(stream));
        }
    });
    port
}

fn serve(mut stream: TcpStream) {
    drop(stream.write_all(b"welcome\n"));
    let mut buffer = [0; 4096];
    while let Ok(count @ 1..) = stream.read(&mut buffer) {
        drop(stream.write_all(buffer.get(..count).unwrap_or_default()));
    }
}

/// Says something to a port and hears it to its end.
fn talk(port: u16, text: &str) -> String {
    let mut stream = until("the forward listens", || {
        TcpStream::connect(("127.0.0.1", port)).ok()
    });
    stream.write_all(text.as_bytes()).expect("it takes it");
    stream.shutdown(Shutdown::Write).expect("it is open");
    let mut got = String::new();
    // One that is refused is reset.
    drop(stream.read_to_string(&mut got));
    got
}

/// A live `ssh` of alice's with this option, beside a session that ticks.
fn live(world: &World, option: &[&str]) -> Live {
    let (port, address) = (world.ssh_port(), world.address());
    let mut line = vec!["ssh", "-p", &port];
    line.extend_from_slice(option);
    line.extend_from_slice(&[&address, "while echo tick; do sleep 0.05; done"]);
    world.begin("ssh", &line, "tick")
}

#[test]
fn a_port_that_the_policy_names_is_reached_from_the_target() {
    let world = World::new();
    let service = service();
    permit(&world, service);
    world.grant_ssh("10m");
    let near = proxy::demo::free_port().expect("a free port");
    let forward = format!("{near}:localhost:{service}");
    let ssh = live(&world, &["-L", &forward]);
    assert_eq!(talk(near, "hello\n"), "welcome\nhello\n");
    drop(ssh);
    let id = world.ended_sessions()[0]["id"].as_str().unwrap().to_owned();
    assert!(world.verify(&id).0);
    let frames = world.exported(&id, "--jsonl");
    let place = format!("\"port\":{service}");
    assert!(
        frames.contains("\"event\":\"forward\"") && frames.contains(&place),
        "{frames}"
    );
    assert!(frames.contains("welcome"), "{frames}");
    let text = world.exported(&id, "--text");
    assert!(
        text.contains(&format!("to localhost, port {service}")),
        "{text}"
    );
    // What is carried is not what was seen.
    assert!(text.contains("\nconnection 0| welcome\n"), "{text}");
    assert!(!text.contains("\n| welcome"), "{text}");
}

#[test]
fn another_port_and_another_name_are_refused_with_a_sentence() {
    let world = World::new();
    let (service, other) = (service(), service());
    permit(&world, service);
    world.grant_ssh("10m");
    for to in [format!("localhost:{other}"), format!("127.0.0.1:{service}")] {
        let refused = world.ssh(&["-W", &to], &[]);
        assert!(!refused.status.success());
        assert_eq!(out(&refused), "");
        let said = err(&refused);
        assert!(
            said.contains(&format!("TG609 no connection to `{to}`")),
            "{said}"
        );
    }
    let session = &world.ended_sessions()[0];
    let frames = world.exported(session["id"].as_str().unwrap(), "--jsonl");
    assert!(frames.contains("TG609"), "{frames}");
}

#[test]
fn through_a_jump_too() {
    let world = World::new();
    let service = service();
    permit(&world, service);
    world.grant_ssh("10m");
    let there = format!("{}@web1", world.login());
    let to = format!("localhost:{service}");
    let ran = world
        .alice()
        .output(&["ssh", "-W", &to, &there])
        .expect("ssh runs");
    assert_eq!(out(&ran), "welcome\n", "{}", err(&ran));
}

#[test]
fn a_revocation_ends_what_is_carried() {
    let world = World::new();
    let service = service();
    permit(&world, service);
    let grant = world.grant_ssh("10m");
    let near = proxy::demo::free_port().expect("a free port");
    let forward = format!("{near}:localhost:{service}");
    let mut ssh = live(&world, &["-L", &forward]);
    let mut stream = TcpStream::connect(("127.0.0.1", near)).expect("it listens");
    let mut greeting = [0; 8];
    stream
        .read_exact(&mut greeting)
        .expect("the service greets");
    stream
        .set_read_timeout(Some(Duration::from_millis(10)))
        .expect("a limit can be set");
    world.revoke(&grant);
    within(Duration::from_secs(10), "the connection is gone", || {
        let gone = match stream.read(&mut greeting) {
            Ok(count) => count == 0,
            Err(error) => !matches!(
                error.kind(),
                std::io::ErrorKind::WouldBlock | std::io::ErrorKind::TimedOut
            ),
        };
        gone.then_some(())
    });
    assert!(ssh.ended().contains("over now"));
}

#[test]
fn a_listener_at_the_target_ends_with_the_grant() {
    let world = World::new();
    let (service, there) = (service(), proxy::demo::free_port().expect("a free port"));
    permit_to(&world, "reversePort", there);
    let grant = world.grant_ssh("10m");
    let listener = format!("{there}:localhost:{service}");
    let mut ssh = live(&world, &["-R", &listener]);
    assert_eq!(talk(there, "hello\n"), "welcome\nhello\n");
    let stays = TcpStream::connect(("127.0.0.1", there)).expect("it listens");
    world.revoke(&grant);
    within(Duration::from_secs(10), "nobody listens", || {
        TcpStream::connect(("127.0.0.1", there)).err()
    });
    drop(stays);
    assert!(ssh.ended().contains("over now"));
    let id = world.ended_sessions()[0]["id"].as_str().unwrap().to_owned();
    let text = world.exported(&id, "--text");
    assert!(
        text.contains(&format!("listen on localhost, port {there}")),
        "{text}"
    );
}

#[test]
fn a_listener_that_no_policy_names_is_refused_with_a_sentence() {
    let world = World::new();
    let (service, there) = (service(), proxy::demo::free_port().expect("a free port"));
    permit_to(&world, "reversePort", there);
    world.grant_ssh("10m");
    let other = proxy::demo::free_port().expect("a free port");
    let refused = world.ssh(&["-R", &format!("{other}:localhost:{service}")], &["true"]);
    let said = err(&refused);
    assert!(said.contains("remote port forwarding failed"), "{said}");
    assert!(said.contains("tidegate: TG612"), "{said}");
    assert!(TcpStream::connect(("127.0.0.1", other)).is_err());
}

/// An agent with alice's key in it, ended on drop.
struct Agent {
    socket: PathBuf,
    process: Child,
}

impl Agent {
    fn start(world: &World) -> Self {
        let socket = world.dir().join("agent");
        let mut agent = Command::new("ssh-agent");
        agent.arg("-D").arg("-a").arg(&socket).stdout(Stdio::null());
        let process = agent.spawn().expect("ssh-agent runs");
        until("the agent listens", || socket.exists().then_some(()));
        let mut add = Command::new("ssh-add");
        add.env("SSH_AUTH_SOCK", &socket).arg(world.alice().key());
        assert!(add.output().expect("ssh-add runs").status.success());
        Self { socket, process }
    }
}

impl Drop for Agent {
    fn drop(&mut self) {
        drop(self.process.kill());
        drop(self.process.wait());
    }
}

#[test]
fn an_agent_is_lent_where_a_policy_says_so_and_each_use_is_recorded() {
    let world = World::new();
    world.add_policy(
        "@id(\"agent\")\npermit (principal in Jit::Group::\"sre\", action == Jit::Action::\"forwardAgent\", \
         resource is Jit::SshHost);\n",
    );
    world.grant_ssh("10m");
    let agent = Agent::start(&world);
    let socket = format!("IdentityAgent={}", agent.socket.display());
    let ran = world.ssh(&["-A", "-o", &socket], &["ssh-add -l"]);
    assert!(out(&ran).contains("SHA256:"), "{}{}", out(&ran), err(&ran));
    let id = world.ended_sessions()[0]["id"].as_str().unwrap().to_owned();
    let frames = world.exported(&id, "--jsonl");
    for wish in ["lend", "list"] {
        assert!(frames.contains(&format!("\"wish\":\"{wish}\"")), "{frames}");
    }
}

/// What is lent is lent for as long as the policies say so, also over a connection that is open.
#[test]
fn a_lent_agent_is_taken_back_with_the_right_to_it() {
    let world = World::new();
    let agents = |effect: &str, id: &str| {
        world.add_policy(&format!(
            "@id(\"{id}\")\n@reason(\"Agents.\")\n{effect} (principal in Jit::Group::\"sre\", \
             action == Jit::Action::\"forwardAgent\", resource is Jit::SshHost);\n"
        ));
    };
    agents("permit", "agent");
    world.grant_ssh("10m");
    let agent = Agent::start(&world);
    let socket = format!("IdentityAgent={}", agent.socket.display());
    // Asks for the list again and again.
    let asks = "perl -MIO::Socket::UNIX -e '$| = 1; my $s = IO::Socket::UNIX->new(Peer => $ENV{SSH_AUTH_SOCK}); \
                while (1) { syswrite $s, \"\\0\\0\\0\\1\\x0b\"; my $n = sysread $s, my $got, 65536; \
                print $n ? \"answer\\n\" : \"over\\n\"; last unless $n; select undef, undef, undef, 0.1 }'";
    let (port, address) = (world.ssh_port(), world.address());
    let line = ["ssh", "-A", "-o", &socket, "-p", &port, &address, asks];
    let mut ssh = world.begin("ssh", &line, "answer");
    agents("forbid", "no-agent");
    let said = ssh.ended();
    assert!(said.contains("over") && said.contains("TG634"), "{said}");
}
