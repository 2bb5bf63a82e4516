//! Recordings: what is in them, that they prove themselves, and that a change is found.

use std::fs;
use std::path::PathBuf;

use proxy::demo::Ending;
use serde_json::Value;
use tests::{World, until};

use crate::{err, out};

/// The file of a session's recording.
pub(crate) fn file(world: &World, session: &str) -> PathBuf {
    let dir = world.recordings();
    let mut folders = vec![dir];
    while let Some(folder) = folders.pop() {
        for entry in fs::read_dir(folder)
            .expect("the recordings are there")
            .flatten()
        {
            let path = entry.path();
            if path.is_dir() {
                folders.push(path);
            } else if path.to_string_lossy().contains(session) {
                return path;
            }
        }
    }
    panic!("there is no recording of {session}")
}

/// One finished session, by its id.
fn finished(world: &World, command: &str) -> String {
    world.grant_ssh("10m");
    assert!(world.ssh(&[], &[command]).status.success());
    world.ended_sessions()[0]["id"]
        .as_str()
        .expect("an id")
        .to_owned()
}

#[test]
fn a_terminal_is_played_back_as_it_was() {
    let world = World::new();
    let id = finished(&world, "echo the quick brown fox");
    let played = world.carol().run(&["tidegate", "play", &id]).unwrap();
    assert!(played.contains("the quick brown fox"), "{played}");
    for (how, sign) in [("v2", "\"version\": 2"), ("v3", "\"version\": 3")] {
        let cast = world
            .carol()
            .run(&["tidegate", "recordings", "export", &id, "--cast", how])
            .unwrap();
        let head = cast
            .lines()
            .next()
            .unwrap_or_default()
            .replace("\":", "\": ")
            .replace(":  ", ": ");
        assert!(
            head.contains(sign) && cast.contains("quick brown"),
            "{cast}"
        );
    }
    for line in world.exported(&id, "--jsonl").lines() {
        serde_json::from_str::<Value>(line).unwrap();
    }
}

#[test]
fn a_recording_that_comes_by_a_pipe_is_exported() {
    let world = World::new();
    let id = finished(&world, "echo the quick brown fox");
    let path = file(&world, &id).display().to_string();
    for how in ["--text", "--jsonl", "--cast v3 --channel 0"] {
        let line = format!("cat {path} | tidegate recordings export /dev/stdin {how}");
        let ran = world.carol().output(&["sh", "-c", &line]).expect("sh runs");
        let said = String::from_utf8_lossy(&ran.stdout);
        assert!(
            ran.status.success() && said.contains("quick brown"),
            "{how}: {said} {}",
            String::from_utf8_lossy(&ran.stderr)
        );
    }
}

#[test]
fn sql_is_listed_with_its_outcome() {
    let world = World::new();
    world.grant_pg("10m");
    let script = "select count(*) from orders where item like 'item 1%'; select 1/0";
    world.psql(script);
    let id = world.ended_sessions()[0]["id"].as_str().unwrap().to_owned();
    let listed = world.carol().run(&["tidegate", "play", &id]).unwrap();
    assert!(
        listed.contains("item like 'item 1%'") && listed.contains("22012"),
        "{listed}"
    );
}

#[test]
fn a_changed_byte_is_found() {
    let world = World::new();
    let id = finished(&world, "seq 1 2000");
    let (holds, said) = world.verify(&id);
    assert!(holds, "{said}");
    let path = file(&world, &id);
    let whole = fs::read(&path).unwrap();
    for place in [whole.len() / 4, whole.len() / 2, whole.len() - 10] {
        let mut changed = whole.clone();
        changed[place] ^= 1;
        fs::write(&path, &changed).unwrap();
        let (holds, said) = world.verify(&id);
        assert!(
            !holds,
            "a bit was flipped at {place} of {}: {said}",
            whole.len()
        );
    }
    fs::write(&path, &whole[..whole.len() / 2]).unwrap();
    assert!(!world.verify(&id).0, "half of it was cut off");
    fs::write(&path, &whole).unwrap();
    assert!(world.verify(&id).0, "as it was");
}

#[test]
fn verification_that_fails_exits_9() {
    let world = World::new();
    let id = finished(&world, "echo one");
    let path = file(&world, &id);
    let mut bytes = fs::read(&path).unwrap();
    let middle = bytes.len() / 2;
    bytes[middle] ^= 0x40;
    fs::write(&path, bytes).unwrap();
    let output = world
        .carol()
        .output(&["tidegate", "recordings", "verify", &id])
        .unwrap();
    assert_eq!(
        output.status.code(),
        Some(9),
        "{}{}",
        out(&output),
        err(&output)
    );
}

/// That another cannot be looked at neither hides it nor keeps the rest from being looked at.
#[test]
fn what_does_not_hold_is_told_beside_what_is_not_there() {
    let world = World::new();
    let broken = finished(&world, "echo one");
    let good = world.dir().join("good.rec").display().to_string();
    let path = file(&world, &broken);
    fs::copy(&path, &good).expect("it is copied");
    let mut bytes = fs::read(&path).expect("it is read");
    let middle = bytes.len() / 2;
    bytes[middle] ^= 0x40;
    fs::write(&path, bytes).expect("it is written");
    let nowhere = "ses_00000000000000000000000000";
    let orders = [
        [broken.as_str(), nowhere, &good],
        [nowhere, &good, &broken],
        [&good, "./nowhere.rec", &broken],
    ];
    for which in orders {
        let line = [&["tidegate", "recordings", "verify"], &which[..]].concat();
        let ran = world.carol().output(&line).expect("it runs");
        let said = out(&ran) + &err(&ran);
        assert_eq!(ran.status.code(), Some(9), "{which:?}: {said}");
        assert_eq!(err(&ran).matches("error: ").count(), 2, "{which:?}: {said}");
        assert!(out(&ran).contains(&broken), "the good one holds: {said}");
    }
}

#[test]
fn a_recording_is_not_exported_onto_itself() {
    let world = World::new();
    let id = finished(&world, "echo one");
    let copy = world.dir().join("copy.rec");
    fs::copy(file(&world, &id), &copy).expect("it is copied");
    let (before, copy) = (fs::read(&copy).expect("it is read"), copy.display());
    let copy = copy.to_string();
    let export = [
        "tidegate",
        "recordings",
        "export",
        &copy,
        "--raw",
        "--to",
        &copy,
    ];
    let ran = world.carol().output(&export).expect("it runs");
    assert_eq!(ran.status.code(), Some(2), "{}", err(&ran));
    assert!(fs::read(&copy).expect("it is there") == before);
    let other = format!("{copy}.2");
    let export = [
        "tidegate",
        "recordings",
        "export",
        &copy,
        "--raw",
        "--to",
        &other,
    ];
    world.carol().run(&export).expect("it is another file");
    assert!(fs::read(&other).expect("it is there") == before);
}

#[test]
fn a_recording_whose_beginning_was_written_over_is_no_outage() {
    let world = World::new();
    world.grant_ssh("10m");
    let session = finished(&world, "uptime");
    let path = file(&world, &session);
    let mut bytes = fs::read(&path).expect("it is read");
    bytes[0] ^= 1;
    fs::write(&path, bytes).expect("it is written");
    for verb in [&["recordings", "verify"][..], &["play"]] {
        let line = [&["tidegate"], verb, &[session.as_str()]].concat();
        let ran = world.carol().output(&line).expect("it runs");
        let said = out(&ran) + &err(&ran);
        assert_eq!(ran.status.code(), Some(9), "{said}");
        assert!(said.contains("not what was sealed"), "{said}");
    }
}

#[test]
fn only_who_may_replay_can_see_a_recording() {
    let world = World::new();
    let id = finished(&world, "echo secret");
    let tried = world.bob().output(&["tidegate", "play", &id]).unwrap();
    assert!(
        !tried.status.success(),
        "admins hold every office except replay"
    );
    assert!(!out(&tried).contains("secret"));
}

#[test]
fn who_shows_more_than_a_recording_may_hold_is_cut_and_nobody_beside_them() {
    let mut world = World::new();
    world.stop_server(Ending::Term);
    let path = world.config_dir().join("tidegate.toml");
    let mut text = fs::read_to_string(&path).unwrap();
    let default = "# recording_max = \"4GiB\"";
    assert!(text.contains(default), "{text}");
    text = text.replace(default, "recording_max = \"2MiB\"");
    fs::write(&path, text).unwrap();
    world.serve().expect("it comes up again");
    world.grant_ssh("10m");
    let mut quiet = world.begin_ssh();
    // What does not compress: 4 MiB as text on a terminal.
    let shows = "head -c 4194304 /dev/urandom | base64; echo all of it";
    let noisy = world.ssh(&["-tt"], &[shows]);
    let told = out(&noisy) + &err(&noisy);
    assert!(!noisy.status.success() && told.contains("TG213"), "cut");
    assert!(!told.contains("all of it"));
    let ended = until("the session is over in the ledger", || {
        let is_over = |session: &Value| session.get("end").is_some_and(Value::is_object);
        world.sessions().into_iter().find(is_over)
    });
    let because = ended.pointer("/end/cause/reason/because");
    assert_eq!(because, Some(&Value::from("recording_grown")), "{ended}");
    let id = ended["id"].as_str().expect("an id");
    let (holds, said) = world.verify(id);
    assert!(holds, "{said}");
    let kept = fs::metadata(file(&world, id)).unwrap().len();
    assert!((512 << 10..3 << 20).contains(&kept), "{kept} bytes");
    // Others go on, and newcomers get in: who was cut, too.
    assert!(!quiet.has_ended());
    let ticks = quiet.output().len();
    until("the other session goes on", || {
        (quiet.output().len() > ticks).then_some(())
    });
    assert!(world.ssh(&[], &["true"]).status.success());
}
