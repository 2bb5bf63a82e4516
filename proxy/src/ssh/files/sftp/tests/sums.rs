//! What is told of a file's contents that did not pass in order, or not to their end.

use super::*;

#[test]
fn bytes_that_do_not_follow_have_a_digest_of_how_they_passed() {
    let [one, other] = [b"four", b"gour"].map(|end| out_of_order(end));
    assert!(one.contains("written, as it passed: sha256 "));
    assert_ne!(one, other);
}

/// What is told of a file whose end was written first.
fn out_of_order(end: &[u8]) -> String {
    let mut scene = Scene::greeted();
    scene.ask(&open(1, "/f", 2)).unwrap();
    scene.answer(&handle(1, "h")).unwrap();
    for (number, offset, bytes) in [(2, 4, end), (3, 0, b"four")] {
        scene.ask(&write(number, "h", offset, bytes)).unwrap();
        scene.answer(&status(number, 0)).unwrap();
    }
    scene.ask(&close(4, "h")).unwrap();
    scene.answer(&status(4, 0)).unwrap();
    assert_eq!(scene.digests(), (None, None));
    assert_eq!(scene.told()[1], told("close", "/f", "done", 0, 8));
    scene.said.last().unwrap().detail.clone()
}

/// A file that also changes otherwise has no digest: what was written is not what is in it.
#[test]
fn what_is_changed_beside_its_writes_has_no_digest() {
    let sizes = |bytes: u64| [id(1).as_slice(), &bytes.to_be_bytes()].concat();
    let on_handle =
        |kind: u8, number: u32, rest: &[u8]| packet(kind, &[&id(number), &string(b"h"), rest]);
    let name = string(b"copy-data");
    let copied = packet(
        200,
        &[
            &id(3),
            &name,
            &string(b"h"),
            &[0; 15],
            &[9],
            &string(b"h"),
            &[0; 7],
            &[7],
        ],
    );
    for (change, is_known) in [
        (on_handle(10, 3, &sizes(0)), false),
        (on_handle(10, 3, &sizes(4)), true),
        (copied, false),
    ] {
        let mut scene = Scene::greeted();
        scene.ask(&open(1, "/f", 2)).unwrap();
        scene.answer(&handle(1, "h")).unwrap();
        scene.ask(&write(2, "h", 0, b"good")).unwrap();
        scene.answer(&status(2, 0)).unwrap();
        scene.ask(&change).unwrap();
        scene.answer(&status(3, 0)).unwrap();
        scene.ask(&close(4, "h")).unwrap();
        scene.answer(&status(4, 0)).unwrap();
        assert_eq!(scene.digests().1.is_some(), is_known, "{:?}", scene.said);
    }
}

/// Nor does a change before them say where they begin.
#[test]
fn what_is_written_behind_a_change_begins_where_it_stands() {
    let size = [id(1).as_slice(), &1_000_u64.to_be_bytes()].concat();
    let mut scene = Scene::greeted();
    scene.ask(&open(1, "/f", 2)).unwrap();
    scene.answer(&handle(1, "h")).unwrap();
    for (number, asked) in [
        (2, packet(10, &[&id(2), &string(b"h"), &size])),
        (3, write(3, "h", 500, b"good")),
        (4, close(4, "h")),
    ] {
        scene.ask(&asked).unwrap();
        scene.answer(&status(number, 0)).unwrap();
    }
    let written = scene.said.last().unwrap().outcome.clone().unwrap().written;
    assert_eq!((written.start, written.bytes), (500, 4));
    assert_eq!(written.digest, None);
}

/// What is told of /f at the end of a conversation: how it went, bytes read and written, and what there is to say.
fn left(mut scene: Scene) -> (Scene, (String, u64, u64), String) {
    scene.said.extend(scene.sftp.finish());
    let (action, path, result, read, written) = scene.told().pop().unwrap();
    assert_eq!((action.as_str(), path.as_str()), ("close", "/f"));
    let last = scene.said.iter().rev().find(|one| !is_whole(one));
    let detail = last.unwrap().detail.clone();
    (scene, (result, read, written), detail)
}

fn opened(flags: u32) -> Scene {
    let mut scene = Scene::greeted();
    scene.ask(&open(1, "/f", flags)).unwrap();
    scene.answer(&handle(1, "h")).unwrap();
    scene
}

/// A packet says how much it has before it comes. A session that is ended amid one has moved less than that.
#[test]
fn of_a_read_that_is_cut_off_what_passed_is_told_and_no_more() {
    let mut scene = opened(1);
    scene.ask(&read(2, "h", 0)).unwrap();
    scene.ask(&read(3, "h", 4)).unwrap();
    scene.answer(&data(2, b"four")).unwrap();
    let whole = data(3, &[b'x'; 4000]);
    scene.answer(&whole[..15]).unwrap();
    let (scene, told, _detail) = left(scene);
    assert_eq!(told, ("unanswered".to_owned(), 6, 0));
    assert_eq!(scene.digests().0, sha256(b"fourxx"));
}

/// Nothing of it is in the file: the target never had the whole of it.
#[test]
fn a_write_that_is_cut_off_has_written_nothing() {
    let mut scene = opened(2);
    scene.ask(&write(2, "h", 0, b"four")).unwrap();
    scene.answer(&status(2, 0)).unwrap();
    let whole = write(3, "h", 4, &[b'x'; 4000]);
    scene.ask(&whole[..28]).unwrap();
    let (scene, told, detail) = left(scene);
    assert_eq!(told, ("unanswered".to_owned(), 0, 4));
    assert_eq!(scene.digests().1, None);
    assert!(detail.contains("2 bytes of a write"), "{detail}");
    let passed = policies::hex(&sha256(b"fourxx").unwrap());
    assert!(detail.contains(&passed), "{detail}");
}

/// Whether they are in the file nobody knows: its disk may have hung.
#[test]
fn what_the_target_never_said_it_has_is_no_files_contents() {
    for closes in [false, true] {
        let mut scene = opened(2);
        for (number, at, bytes) in [(2, 0, b"good"), (3, 4, b"lost")] {
            scene.ask(&write(number, "h", at, bytes)).unwrap();
        }
        scene.answer(&status(2, 0)).unwrap();
        if closes {
            scene.ask(&close(4, "h")).unwrap();
            scene.answer(&status(4, 0)).unwrap();
        }
        let (scene, (result, _read, written), detail) = left(scene);
        assert_eq!(result, if closes { "done" } else { "unanswered" });
        assert_eq!(written, 8);
        assert_eq!(scene.digests().1, None);
        assert!(detail.contains("4 bytes without"), "{detail}");
        let passed = policies::hex(&sha256(b"goodlost").unwrap());
        assert!(detail.contains(&passed), "{detail}");
    }
}

/// A target that answers what it does not have yet would have its bytes counted as refused that never came.
#[test]
fn a_write_is_not_answered_before_all_of_it_is_there() {
    let mut scene = opened(2);
    let whole = write(2, "h", 0, &[b'x'; 4000]);
    let (begun, rest) = whole.split_at(28);
    scene.ask(begun).unwrap();
    assert_eq!(scene.answer(&status(2, 4)), Err(Unclear::Number(2)));
    let mut scene = opened(2);
    scene.ask(begun).unwrap();
    scene.ask(rest).unwrap();
    scene.answer(&status(2, 0)).unwrap();
}
