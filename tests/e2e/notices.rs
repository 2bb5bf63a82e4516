//! What is said in a session before its grant ends.

use tests::{Setting, World, until};

use crate::{err, out};

/// So long before the last minute that a session begins, and so short that nobody waits for long.
const GRANT: &str = "64s";

fn ssh(world: &World, options: &[&str], command: &str) -> std::process::Output {
    world.ssh(options, &[command])
}

fn notes(world: &World) -> usize {
    let sessions = world.ended_sessions();
    let told = sessions.iter().filter(|session| {
        let id = session["id"].as_str().expect("an id");
        world.exported(id, "--text").contains("TG214")
    });
    told.count()
}

#[test]
fn who_has_a_terminal_hears_a_minute_before_the_end_and_no_other_stream_does() {
    let world = World::new();
    world.grant_ssh(GRANT);
    let world = &world;
    std::thread::scope(|scope| {
        let shell = scope.spawn(|| ssh(world, &["-tt"], "echo in; sleep 7; echo done"));
        // An editor's way of drawing.
        let editor = "printf '\\033[?1049hpicture'; sleep 6; printf '\\033[?1049l'; sleep 2";
        let editor = scope.spawn(move || ssh(world, &["-tt"], editor));
        // Nothing more may come where the client has heard that nothing more comes.
        let quiet = format!(
            "sleep 9 | ssh -p {} -tt {} 'exec </dev/null >/dev/null 2>&1; sleep 7; exit 3'",
            world.ssh_port(),
            world.address()
        );
        let quiet = scope.spawn(move || world.alice().output(&["sh", "-c", &quiet]));
        let exec = ssh(world, &["-T"], "echo in; sleep 7; echo done");
        assert_eq!(
            (out(&exec).as_str(), err(&exec).as_str()),
            ("in\ndone\n", "")
        );
        let quiet = quiet.join().expect("it runs").expect("ssh runs");
        let said = err(&quiet);
        assert_eq!(quiet.status.code(), Some(3), "{said:?}");
        assert!(!said.contains("this session ends"), "{said:?}");
        let shell = shell.join().expect("it runs");
        let said = err(&shell);
        assert!(
            said.contains("\r\ntidegate: TG214 this session ends in 60s"),
            "{said:?}"
        );
        assert!(said.contains("tidegate request web1 --as "), "{said:?}");
        assert_eq!(out(&shell), "in\r\ndone\r\n");
        let said = err(&editor.join().expect("it runs"));
        let (before, line) = said
            .split_once("\x1b[22;2t\x1b]2;tidegate: this session ends in 60s\x1b\\\x07")
            .unwrap_or_else(|| panic!("{said:?}"));
        assert!(!before.contains("this session ends"), "{said:?}");
        assert!(
            line.contains("\x1b[23;2t\r\ntidegate: TG214 this session ends in 5"),
            "{said:?}"
        );
    });
    assert_eq!(notes(world), 2);
}

#[test]
fn who_asks_a_database_hears_it_between_two_statements() {
    let world = World::new();
    world.grant_pg(GRANT);
    // Nothing comes between the lines of a copy: it is told behind it.
    let copy = "copy (select pg_sleep(3) from generate_series(1, 2)) to stdout";
    let mut line = vec!["psql", "-X", "-At", "service=orders"];
    for statement in ["select 1", copy, "select 2", "select 3"] {
        line.extend(["-c", statement]);
    }
    let ran = world.alice().output(&line).expect("psql runs");
    let said = err(&ran);
    assert_eq!(out(&ran), "1\n\n\n2\n3\n", "{said}");
    assert_eq!(said.matches("NOTICE:  this session ends in ").count(), 1);
    assert!(said.contains("tidegate request orders --as "), "{said}");
    assert_eq!(notes(&world), 1);
    // Who comes later than that is not told.
    assert_eq!(err(&world.psql("select 4")), "");
}

/// What a program beside it writes without an end is in nobody's way at a terminal of the same connection.
#[test]
fn a_quiet_terminal_does_not_wait_for_what_passes_beside_it() {
    let mut world = World::with(&Setting {
        server: &[("TIDEGATE__LIMITS__DRAIN_TIMEOUT", "66s")],
        ..Setting::default()
    });
    let _grant = world.grant_ssh("1h");
    let (port, address) = (world.ssh_port(), world.address());
    let socket = world.dir().join("mux");
    let socket = socket.to_str().expect("a path in letters");
    let ssh = |kind: &[&str], command: &str| {
        let line = ["ssh", "-p", &port, "-S", socket];
        world.begin("ssh", &[&line, kind, &[&address, command]].concat(), "in")
    };
    let busy = ssh(&["-M", "-T"], "while :; do echo in; sleep 0.1; done");
    let quiet = ssh(&["-tt"], "echo in; sleep 600");
    let server = world.server_pid().expect("it runs").to_string();
    let told = std::process::Command::new("kill")
        .args(["-TERM", &server])
        .status();
    assert!(told.is_ok_and(|told| told.success()));
    let left = until("it has heard it", || {
        let said = quiet.output();
        let (_, left) = said.split_once("this session ends in ")?;
        left.get(..2).map(str::to_owned)
    });
    let seconds: u32 = left.parse().expect("seconds");
    assert!(seconds >= 61, "only {seconds} s before the end");
    drop((quiet, busy));
    world.stop_server(proxy::demo::Ending::Term);
}

/// How often each of the two sessions that end first was told that the server stops.
fn told_of_the_stop(world: &World) -> Vec<usize> {
    let ended = until("both have ended", || {
        let sessions = world.sessions();
        let over = sessions
            .into_iter()
            .filter(|session| !session["end"].is_null());
        let over: Vec<_> = over.collect();
        (over.len() == 2).then_some(over)
    });
    ended
        .iter()
        .map(|session| {
            let id = session["id"].as_str().expect("an id");
            world.exported(id, "--text").matches("TG215").count()
        })
        .collect()
}

#[test]
fn who_is_in_while_the_server_stops_hears_at_once_and_a_minute_before_it_has() {
    let mut world = World::with(&Setting {
        server: &[("TIDEGATE__LIMITS__DRAIN_TIMEOUT", "66s")],
        ..Setting::default()
    });
    let _grants = (world.grant_ssh("1h"), world.grant_pg("1h"));
    let (port, address) = (world.ssh_port(), world.address());
    let mark = world.dir().join("mark");
    let until_marked = format!("while [ ! -e {} ]; do sleep 0.2; done", mark.display());
    let ssh = |kind, command: &str| {
        let line = ["ssh", "-p", &port, kind, &address, command];
        world.begin("ssh", &line, "in")
    };
    let shell = ssh("-tt", "echo in; sleep 600");
    let editor = ssh("-tt", "printf '\\033[?1049hin'; sleep 600");
    let mut exec = ssh("-T", &format!("echo in; {until_marked}; echo done"));
    let ask = format!(
        "(echo \"select 'in';\"; while [ ! -e {} ]; do echo 'select 1;'; sleep 0.3; done) | psql -X -At service=orders",
        mark.display()
    );
    let mut psql = world.begin("psql", &["sh", "-c", &ask], "in");
    let server = world.server_pid().expect("it runs").to_string();
    let told = std::process::Command::new("kill")
        .args(["-TERM", &server])
        .status();
    assert!(told.is_ok_and(|told| told.success()));
    // Both, and no more of them.
    let ends = |client: &tests::Live| client.output().matches("this session ends in 6").count();
    until("all have heard it twice", || {
        let heard = [&shell, &editor, &psql].map(ends);
        (heard == [2, 2, 2]).then_some(())
    });
    let said = shell.output();
    assert!(
        said.contains("tidegate: TG215 the server is stopping"),
        "{said:?}"
    );
    let said = editor.output();
    assert!(
        said.contains("\x1b]2;tidegate: the server is stopping"),
        "{said:?}"
    );
    assert!(
        !said.contains("TG215"),
        "its picture is left alone: {said:?}"
    );
    let said = psql.output();
    assert!(said.contains("NOTICE:  the server is stopping"), "{said:?}");
    std::fs::write(&mark, "").expect("the mark is written");
    assert_eq!(exec.ended(), "in\ndone\n");
    psql.ended();
    // It lasts for as long as somebody is in.
    let mut noted = told_of_the_stop(&world);
    noted.sort_unstable();
    assert_eq!(noted, [0, 2], "of a command and of a database session");
    drop((shell, editor));
    world.stop_server(proxy::demo::Ending::Term);
}
