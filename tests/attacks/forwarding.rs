//! Roads around the recorder, through what a permit lets be forwarded.

use std::process::Output;

use tests::World;

/// Everything may be forwarded: the worst that a policy can say.
const ANYTHING: &str = "@id(\"anything\")\npermit (principal, action == Jit::Action::\"forwardPort\", \
                        resource is Jit::SshHost);\n";

/// What the one session's recording says, once it has ended.
fn recorded(world: &World) -> String {
    let sessions = world.ended_sessions();
    let id = sessions
        .first()
        .and_then(|session| session.get("id")?.as_str())
        .expect("a session");
    assert!(world.verify(id).0, "the recording holds");
    world.exported(id, "--jsonl")
}

fn said(output: &Output) -> String {
    String::from_utf8_lossy(&output.stderr).into_owned()
}

#[test]
fn an_inner_ssh_does_not_go_through_a_forward() {
    let world = World::new();
    world.add_policy(ANYTHING);
    world.grant_ssh("10m");
    let proxy = format!(
        "ProxyCommand=ssh -p {} -W 127.0.0.1:{} {}",
        world.ssh_port(),
        world.sshd().port(),
        world.address()
    );
    let there = format!("{}@inner", world.login());
    let line = [
        "ssh",
        "-F",
        "none",
        "-o",
        "BatchMode=yes",
        "-o",
        &proxy,
        &there,
        "id",
    ];
    let tried = world.alice().output(&line).expect("ssh runs");
    assert_eq!(tried.status.code(), Some(255), "{}", said(&tried));
    assert!(
        !said(&tried).contains("ermission denied"),
        "it got as far as keys"
    );
    let frames = recorded(&world);
    assert!(
        frames.contains("TG611") && frames.contains("an SSH connection"),
        "{frames}"
    );
}

#[test]
fn an_inner_database_session_does_not_go_through_a_forward() {
    let world = World::new();
    world.add_policy(ANYTHING);
    world.grant_ssh("10m");
    let near = proxy::demo::free_port().expect("a free port");
    let forward = format!("{near}:127.0.0.1:{}", world.postgres().port());
    let (port, address) = (world.ssh_port(), world.address());
    let line = [
        "ssh",
        "-p",
        &port,
        "-L",
        &forward,
        &address,
        "echo up; exec sleep 60",
    ];
    let mut ssh = world.begin("ssh", &line, "up");
    let conninfo = format!("host=127.0.0.1 port={near} dbname=orders user=app sslmode=prefer");
    let tried = world
        .alice()
        .output(&["psql", "-X", &conninfo, "-c", "select 1"]);
    let tried = tried.expect("psql runs");
    assert!(!tried.status.success());
    assert!(
        !said(&tried).contains("FATAL"),
        "the database was asked: {}",
        said(&tried)
    );
    ssh.signal("TERM");
    ssh.ended();
    let frames = recorded(&world);
    assert!(
        frames.contains("TG611") && frames.contains("a PostgreSQL connection"),
        "{frames}"
    );
}

#[test]
fn forwarding_that_one_policy_allows_is_the_targets_own_and_not_the_bastions() {
    let world = World::with(&tests::Setting {
        sshd: "AllowTcpForwarding no",
        ..tests::Setting::default()
    });
    world.add_policy(ANYTHING);
    world.grant_ssh("10m");
    // The API listens where the bastion is; the target may not connect, so nobody does.
    let to = format!("127.0.0.1:{}", world.doors().api);
    let tried = world.ssh(&["-W", &to], &[]);
    assert!(!tried.status.success() && tried.stdout.is_empty());
    assert!(said(&tried).contains("TG610"), "{}", said(&tried));
}
