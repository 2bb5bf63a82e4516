//! What is told of a file's contents that did not pass in order.

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
