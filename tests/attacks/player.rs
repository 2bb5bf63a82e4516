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
