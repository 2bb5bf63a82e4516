//! Recordings in the hands of somebody who can write to their directory.

use std::fs;
use std::path::Path;

use proxy::demo::Ending;
use tests::{World, until};

/// A session of alice's under which the server was killed, not yet sealed: its id.
fn killed(world: &mut World) -> String {
    world.grant_ssh("10m");
    let mut live = world.begin_ssh();
    let sessions = world.live_sessions();
    let first = sessions.first().and_then(|session| session["id"].as_str());
    let id = first.expect("a session that lives has an id").to_owned();
    world.stop_server(Ending::Kill);
    live.ended();
    id
}

fn serve_again(world: &mut World) {
    world.serve().expect("it comes up again");
    until("every session is closed in the ledger", || {
        world.live_sessions().is_empty().then_some(())
    });
}

fn copy(from: &Path, to: &Path) {
    fs::create_dir_all(to).expect("a directory can be made");
    for entry in fs::read_dir(from).expect("it can be read").flatten() {
        if entry.path().is_file() {
            fs::copy(entry.path(), to.join(entry.file_name())).expect("it can be copied");
        }
    }
}

#[test]
fn a_recording_laid_down_for_the_next_start_is_not_signed() {
    let mut world = World::new();
    let id = killed(&mut world);
    let recordings = world.recordings();
    let keep = world.dir().join("kept");
    copy(&recordings, &keep);
    serve_again(&mut world);
    let sealed = recordings.join(format!("{id}.rec"));
    let honest = fs::read(&sealed).unwrap();

    // The raw files once more, without what came last; the same under a name that nobody had.
    let stranger = "ses_01j9x3y4z5a6b7c8d9e0f1g2h3";
    for (name, ending) in [(id.as_str(), "part"), (&id, "tail"), (stranger, "part")] {
        let from = keep.join(format!("{id}.{ending}"));
        fs::copy(from, recordings.join(format!("{name}.{ending}"))).unwrap();
    }
    world.stop_server(Ending::Kill);
    serve_again(&mut world);
    assert_eq!(fs::read(&sealed).unwrap(), honest);
    assert!(recordings.join(format!("{id}.damaged")).exists());
    assert!(!recordings.join(format!("{stranger}.rec")).exists());
    assert!(recordings.join(format!("{stranger}.damaged")).exists());
    assert!(world.verify(&id).0);
}

#[test]
fn a_recording_that_was_sealed_but_is_not_the_ledgers_is_found() {
    let mut world = World::new();
    let id = killed(&mut world);
    let (recordings, state) = (world.recordings(), world.state_dir());
    let keep = world.dir().join("kept");
    let [raw, begun, ended] = ["raw", "begun", "ended"].map(|name| keep.join(name));
    copy(&recordings, &raw);
    copy(&state, &begun);
    serve_again(&mut world);
    assert!(world.verify(&id).0, "as the ledger has it");
    world.stop_server(Ending::Kill);
    copy(&state, &ended);

    // The whole state as it was before, and of the recording all but its last frame: that is signed.
    let sealed = recordings.join(format!("{id}.rec"));
    fs::remove_file(&sealed).unwrap();
    copy(&raw, &recordings);
    let tail = recordings.join(format!("{id}.tail"));
    let whole = fs::read(&tail).unwrap();
    fs::write(&tail, &whole[..whole.len() - 1]).unwrap();
    copy(&begun, &state);
    serve_again(&mut world);
    let (holds, said) = world.verify(&id);
    assert!(holds, "{said}");
    world.stop_server(Ending::Kill);

    // With the ledger back, what is signed is not what it says.
    copy(&ended, &state);
    serve_again(&mut world);
    let (holds, said) = world.verify(&id);
    assert!(!holds, "{said}");
    assert!(said.contains("the ledger has"), "{said}");
}

/// Two sealed recordings of alice's: their ids, the older first.
fn two_recordings(world: &World) -> [String; 2] {
    world.grant_ssh("10m");
    for word in ["first", "second"] {
        world.ssh(&[], &["echo", word]);
    }
    let ids = until("both are sealed", || {
        let sessions = world.sessions();
        let ids: Vec<_> = sessions
            .iter()
            .filter_map(|session| session["id"].as_str().map(str::to_owned))
            .filter(|id| world.recordings().join(format!("{id}.rec")).exists())
            .collect();
        <[String; 2]>::try_from(ids).ok()
    });
    let [one, other] = ids;
    if one < other {
        [one, other]
    } else {
        [other, one]
    }
}

#[test]
fn nothing_is_shown_for_what_it_is_not() {
    let world = World::new();
    let [first, second] = two_recordings(&world);
    let file = |id: &str| world.recordings().join(format!("{id}.rec"));
    let shown = |verb: &[&str]| {
        let output = world.carol().output(&[&["tidegate"], verb].concat());
        let output = output.expect("it runs");
        let out = String::from_utf8_lossy(&output.stdout).into_owned();
        (output.status.code(), out)
    };
    let export = ["recordings", "export", &first, "--text"];
    let (code, whole) = shown(&export);
    assert!(code == Some(0) && whole.contains("| first"), "{whole}");

    // Cut off: what is there is shown, and called what it is.
    let honest = fs::read(file(&first)).unwrap();
    fs::write(file(&first), &honest[..honest.len() - 200]).unwrap();
    assert_eq!(shown(&export).0, Some(9));
    assert_eq!(shown(&["play", &first]).0, Some(9));

    // Another session's, under this one's name.
    fs::copy(file(&second), file(&first)).unwrap();
    for verb in [&export[..], &["play", &first]] {
        let (code, out) = shown(verb);
        assert!(code == Some(9) && !out.contains("second"), "{out}");
    }

    // A name that leads to something else of the server's.
    fs::remove_file(file(&first)).unwrap();
    let secret = world.state_dir().join("store.sqlite");
    std::os::unix::fs::symlink(secret, file(&first)).unwrap();
    let (code, out) = shown(&["recordings", "export", &first, "--raw"]);
    assert!(code != Some(0) && out.is_empty(), "{out}");
}
