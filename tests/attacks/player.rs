//! A recording is hostile input to whoever plays it.

use tests::World;

#[test]
fn playing_a_recording_does_nothing_but_draw() {
    let world = World::new();
    world.grant_ssh("10m");
    // The clipboard (OSC 52), the title, a report of the terminal, a device control string, a link.
    let hostile = "printf 'before\\033]52;c;ZXZpbA==\\007\\033]0;title\\007\\033[c\\033[6n\\033P+q544e\\033\\\\\\033]8;;http://evil\\007after\\n'";
    assert!(world.ssh(&[], &[hostile]).status.success());
    let sessions = world.ended_sessions();
    let id = sessions
        .first()
        .and_then(|session| session.get("id"))
        .and_then(|id| id.as_str())
        .expect("an id");
    for line in [
        &["tidegate", "play", id][..],
        &["tidegate", "recordings", "export", id, "--text"],
    ] {
        let shown = world.carol().run(line).unwrap();
        assert!(
            shown.contains("before") && shown.contains("after"),
            "{shown:?}"
        );
        for sign in ["\x1b]", "\x1bP", "\x1b[c", "\x1b[6n"] {
            assert!(
                !shown.contains(sign),
                "{line:?} let {sign:?} through: {shown:?}"
            );
        }
    }
}

/// What an auditor sees who plays it at a terminal of 120 columns.
fn watched(world: &World, id: &str) -> String {
    let play = format!("stty cols 120 rows 40; tidegate play --speed 1000 {id}");
    // The end of what script reads would be a key for the player: this has none.
    let keys = world.dir().join(id).display().to_string();
    let line = format!("mkfifo '{keys}' && script -qec '{play}' /dev/null <> '{keys}'");
    let seen = world.carol().output(&["sh", "-c", &line]);
    let seen = String::from_utf8_lossy(&seen.expect("script runs").stdout).into_owned();
    assert!(seen.contains("played to"), "{seen:?}");
    seen
}

/// The session that alice had by this line of her shell; `SSH` is her way in.
fn had(world: &World, line: &str) -> String {
    world.grant_ssh("10m");
    let ssh = format!("ssh -p {} ", world.ssh_port());
    let line = line.replace("SSH", &ssh).replace("WEB1", &world.address());
    let ran = world.alice().output(&["sh", "-c", &line]).expect("it runs");
    assert!(ran.status.success(), "{ran:?}");
    let sessions = world.ended_sessions();
    let id = sessions.first().and_then(|session| session.get("id"));
    id.and_then(|id| id.as_str()).expect("an id").to_owned()
}

#[test]
fn what_ran_and_what_it_was_sent_is_told() {
    let world = World::new();
    let id = had(
        &world,
        "printf 'echo hello\\ntrue hidden\\nprintf \"\\\\033[2J\"\\n' | SSH WEB1 bash",
    );
    let seen = watched(&world, &id);
    // Before the picture, and after it.
    for told in [
        "channel 0 is played: command: bash",
        &format!(
            "it was sent 40 bytes that the picture does not show:  tidegate recordings export {id} --text"
        ),
    ] {
        assert_eq!(seen.matches(told).count(), 2, "{told}: {seen:?}");
    }
    assert!(!seen.contains("hidden"), "a terminal shows no input");
    let text = world.exported(&id, "--text");
    assert!(text.contains("[input] true hidden"), "{text}");
}

#[test]
fn notes_and_another_width_are_told() {
    let world = World::new();
    let id = had(
        &world,
        "script -qec 'stty -echo cols 20 rows 24; SSH -tt WEB1 \"echo seen\"' /dev/null </dev/null",
    );
    let seen = watched(&world, &id);
    for told in [
        "TG618 on channel 0 a terminal without echo was asked for",
        "recorded on 20 columns, this terminal has 120",
        "tmux resize-window -x 20",
    ] {
        assert_eq!(seen.matches(told).count(), 2, "{told}: {seen:?}");
    }
    let text = world.exported(&id, "--text");
    // What a usual client asks for at a usual terminal is told by what is not usual.
    let modes = "TG633 on channel 0 the target was told of a terminal with the usual modes but for IUTF8=0 ECHO=0]";
    assert!(text.contains(modes), "{text}");
    assert!(!seen.contains("TG633"), "it is no news: {seen:?}");
}
