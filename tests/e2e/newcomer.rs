//! What somebody stumbles over who does this for the first time.

use std::fs;
use std::io::Read;
use std::os::unix::net::UnixListener;
use std::path::Path;
use std::process::{Command, Stdio};

use proxy::demo::Ending;
use tests::{World, until};

use crate::{err, out};

/// The public half of a key that nobody has.
fn fresh_key(world: &World, name: &str) -> String {
    let key = world.dir().join(name).display().to_string();
    let line = ["ssh-keygen", "-q", "-t", "ed25519", "-N", "", "-f", &key];
    world.bob().run(&line).expect("a key is made");
    format!("{key}.pub")
}

#[test]
fn a_misspelt_group_of_somebody_new_is_warned_of() {
    let world = World::new();
    let add = |name: &str, group: &str| {
        let key = fresh_key(&world, name);
        let line = [
            "tidegate", "-q", "user", "add", name, "--key", &key, "--group", group,
        ];
        let added = world.bob().output(&line).expect("bob adds them");
        assert!(added.status.success(), "{}", err(&added));
        err(&added)
    };
    let said = add("dan", "aprovers");
    assert!(said.contains("did you mean `approvers`?"), "{said}");
    assert_eq!(add("eve", "sre"), "");
    // By then somebody else is in it.
    assert_eq!(add("fay", "aprovers"), "");
}

#[test]
fn a_misspelt_group_of_a_quorum_is_warned_of_with_its_place() {
    let mut world = World::new();
    let dir = world.config_dir().join("policy");
    let quorums = "[quorum.two]\ngroup = \"aprovers\"\ncount = 2\n";
    fs::write(dir.join("quorums.toml"), quorums).expect("it is written");
    let (dir, state) = (
        dir.display().to_string(),
        world.state_dir().display().to_string(),
    );
    let offline = ["--server-state-dir", &state];
    for (verb, end) in [
        ("check", &[][..]),
        ("apply", &["--yes"]),
        ("apply", &offline),
    ] {
        if end == offline {
            world.stop_server(Ending::Term);
        }
        let line = [&["tidegate", "policy", verb, &dir], end].concat();
        let ran = world.bob().output(&line).expect("it runs");
        let said = err(&ran);
        assert!(ran.status.success(), "{said}");
        for sign in [
            "warning: quorums.toml:2:9:",
            "^^^^^^^^^^ did you mean `approvers`?",
        ] {
            assert!(
                said.contains(sign),
                "`{sign}` is missing: {said}{}",
                out(&ran)
            );
        }
    }
}

#[test]
fn whoever_may_not_put_policies_in_force_is_told_so_before_being_asked() {
    let world = World::new();
    let dir = world.config_dir().join("policy").display().to_string();
    let apply = ["tidegate", "policy", "apply", &dir];
    let tried = world.alice().output(&apply).expect("it runs");
    assert_eq!(tried.status.code(), Some(4), "{}", err(&tried));
    assert!(!err(&tried).contains("--yes"), "{}", err(&tried));
    let asked = world.bob().output(&apply).expect("it runs");
    assert_eq!(asked.status.code(), Some(2), "{}", err(&asked));
    assert!(err(&asked).contains("--yes"), "{}", err(&asked));
}

#[test]
fn after_a_logout_the_bastion_is_still_known_and_nothing_secret_is_left() {
    let world = World::new();
    let alone = |line: &[&str]| {
        let unset = [
            "env",
            "-u",
            "TIDEGATE_BASTION",
            "-u",
            "TIDEGATE_CA_FINGERPRINT",
        ];
        let whole = [&unset, &["tidegate"][..], line].concat();
        world.alice().output(&whole).expect("it runs")
    };
    let gone = alone(&["logout"]);
    assert!(gone.status.success(), "{}", err(&gone));
    let state = world.alice().state_dir();
    let left = fs::read_dir(&state).expect("it is there");
    let left: Vec<_> = left
        .map(|entry| entry.expect("a file").file_name())
        .collect();
    assert_eq!(left, ["last.json"]);
    let tried = alone(&["ls"]);
    assert_eq!(tried.status.code(), Some(3), "{}", err(&tried));
    assert!(err(&tried).contains("tidegate login"), "{}", err(&tried));
    // Who answers there has to be the one who did before.
    let last = fs::read_to_string(state.join("last.json")).expect("it is read");
    let pin = last
        .split('"')
        .find(|word| word.starts_with("SHA256:"))
        .expect("a pin");
    let another = format!("SHA256:{}", "A".repeat(43));
    fs::write(state.join("last.json"), last.replace(pin, &another)).expect("it is written");
    let login = alone(&["login"]);
    assert_eq!(login.status.code(), Some(9), "{}", err(&login));
    fs::write(state.join("last.json"), &last).expect("it is written");
    let login = alone(&["login"]);
    assert!(login.status.success(), "{}", err(&login));
    assert!(!state.join("last.json").exists());
    assert!(alone(&["ls"]).status.success());
}

/// ssh itself knows no more than that a key or a host is not known.
#[test]
fn whose_login_is_over_is_told_so_by_ssh() {
    let world = World::new();
    world.grant_ssh("10m");
    let (address, port) = (world.address(), world.ssh_port());
    let ssh = || {
        let line = ["ssh", "-p", &port, &address, "true"];
        world.alice().output(&line).expect("ssh runs")
    };
    let holds = ssh();
    assert!(holds.status.success(), "{}", err(&holds));
    assert!(!err(&holds).contains("login"), "{}", err(&holds));
    let gone = world.alice().run(&["tidegate", "logout"]);
    gone.expect("alice logs out");
    let over = ssh();
    assert_eq!(over.status.code(), Some(255), "{}", err(&over));
    for sign in [
        "error: cannot get in by the login",
        "you are not logged in",
        "tidegate login --bastion https://",
    ] {
        assert!(err(&over).contains(sign), "`{sign}`: {}", err(&over));
    }
}

#[test]
fn what_to_type_next_has_the_duration_that_was_asked_for_or_the_longest() {
    let world = World::new();
    let login = world.login();
    let ask = |duration: &str, login: &str, wait: &[&str]| {
        let line = [
            "tidegate", "request", "web1", "--as", login, "--for", duration, "--reason", "INC-7",
        ];
        let line = [&line[..], wait].concat();
        world.alice().command(line)
    };
    let check = |command: &mut Command, code: i32, sign: &str| {
        let tried = command.output().expect("it runs");
        assert_eq!(tried.status.code(), Some(code), "{}", err(&tried));
        assert!(err(&tried).contains(sign), "{}", err(&tried));
    };
    let next = |duration: &str| format!("tidegate request web1 --as {login} --for {duration} ");
    check(&mut ask("20h", &login, &[]), 4, &next("8h"));
    check(&mut ask("40d", &login, &[]), 2, "--for 30d ");
    check(&mut ask("2h30m", "depoy", &[]), 6, &next("2h30m"));
    let mut waiting = ask("2h30m", &login, &["--wait=20s"])
        .stderr(Stdio::piped())
        .spawn()
        .expect("alice asks");
    let ls = ["tidegate", "-o", "name", "requests", "ls"];
    let request = until("it is filed", || {
        let listed = world.bob().run(&ls).expect("bob lists");
        listed.lines().next().map(str::to_owned)
    });
    let deny = ["tidegate", "deny", &request, "--note", "not today"];
    world.bob().run(&deny).expect("bob denies");
    let mut said = String::new();
    let mut complaint = waiting.stderr.take().expect("it is piped");
    complaint.read_to_string(&mut said).expect("it is text");
    assert_eq!(waiting.wait().expect("it ends").code(), Some(4), "{said}");
    assert!(said.contains(&next("2h30m")), "{said}");
}

/// A key that wants to be touched, one that somebody has to agree to, an agent on a machine that is gone.
#[test]
fn a_key_that_does_not_sign_keeps_no_other_from_being_tried() {
    let world = World::new();
    let unwilling = fresh_key(&world, "unwilling");
    let unwilling = unwilling.trim_end_matches(".pub");
    let socket = world.dir().join("agent");
    let mut agent = Command::new("ssh-agent");
    agent.arg("-D").arg("-a").arg(&socket).stdout(Stdio::null());
    // Whoever is asked says no.
    agent.env("SSH_ASKPASS", "/bin/false").env("DISPLAY", ":0");
    let mut agent = agent.spawn().expect("ssh-agent runs");
    until("the agent listens", || socket.exists().then_some(()));
    let mut add = Command::new("ssh-add");
    add.arg("-c").arg(unwilling).env("SSH_AUTH_SOCK", &socket);
    assert!(add.output().expect("ssh-add runs").status.success());
    let mute = world.dir().join("mute");
    let _taken = UnixListener::bind(&mute).expect("a socket");
    let log_in = |socket: &Path| {
        let at = format!("SSH_AUTH_SOCK={}", socket.display());
        let line = ["env", &at, "timeout", "60", "tidegate", "login"];
        world.alice().output(&line).expect("it runs")
    };
    let passed_over = log_in(&socket);
    agent.kill().and_then(|()| agent.wait()).expect("it ends");
    let said = err(&passed_over);
    assert!(passed_over.status.success(), "{said}");
    assert!(said.contains("warning: cannot sign"), "{said}");
    let waited = log_in(&mute);
    assert!(waited.status.success(), "{}", err(&waited));
}
