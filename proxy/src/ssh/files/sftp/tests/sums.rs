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
