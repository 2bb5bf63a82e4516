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
