//! What is said in a session before its grant ends.

use tests::World;

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
