//! What is told, and what has passed, where a conversation cannot be followed any further.

use super::*;

/// A packet that version 3 does not have.
fn odd() -> Vec<u8> {
    packet(99, &[&id(1)])
}

fn remove(number: u32, path: &str) -> Vec<u8> {
    packet(13, &[&id(number), &string(path.as_bytes())])
}

/// Everything that is told, the end of it too.
fn told_at_the_end(mut scene: Scene) -> Vec<(String, String, String, u64, u64)> {
    scene.said.extend(scene.sftp.finish());
    scene.told()
}

/// A conversation in which /f is open as `h` and four bytes of it were written.
fn writing() -> Scene {
    let mut scene = Scene::greeted();
    scene.ask(&open(1, "/f", 2)).unwrap();
    scene.answer(&handle(1, "h")).unwrap();
    scene.ask(&write(2, "h", 0, b"four")).unwrap();
    scene.answer(&status(2, 0)).unwrap();
    scene
}

#[test]
fn nothing_is_asked_of_a_target_before_it_has_said_which_version_it_speaks() {
    let mut scene = Scene::default();
    scene.ask(&init()).unwrap();
    assert_eq!(scene.ask(&open(1, "/a", 1)), Err(Unclear::Turn));
    assert_eq!(scene.up, init());
    let mut scene = Scene::default();
    let at_once = [init(), remove(1, "/a")].concat();
    assert_eq!(scene.ask(&at_once), Err(Unclear::Turn));
    assert_eq!(scene.up, init());
    assert_eq!(told_at_the_end(scene), []);
}

#[test]
fn another_version_than_the_one_that_is_understood_ends_the_conversation() {
    for version in [0, 1, 2, 4, 5, 6] {
        let mut scene = Scene::default();
        scene.ask(&init()).unwrap();
        let answered = scene.answer(&packet(2, &[&id(version)]));
        assert_eq!(answered, Err(Unclear::Version(version)));
        assert_eq!(scene.down, b"");
    }
    // A client that knows more versions takes the lower one of the target.
    let mut scene = Scene::default();
    scene.ask(&packet(1, &[&id(6)])).unwrap();
    scene.answer(&packet(2, &[&id(3)])).unwrap();
    for version in [0, 1, 2] {
        let asked = Scene::default().ask(&packet(1, &[&id(version)]));
        assert_eq!(asked, Err(Unclear::Version(version)));
    }
}

/// The last draft (draft-ietf-secsh-filexfer-13) lets a client ask for another version behind the greeting.
#[test]
fn a_version_that_is_chosen_later_ends_the_conversation() {
    let select = packet(200, &[&id(1), &string(b"version-select"), &string(b"6")]);
    let mut scene = Scene::greeted();
    let before = scene.up.len();
    assert_eq!(scene.ask(&select), Err(Unclear::Version(6)));
    assert_eq!(scene.up.len(), before);
    // Where files are bound it is refused as any extension is that we do not know.
    let all = judging(|touch: &Touch| touch.place.is_ok());
    scene = Scene::greeted();
    scene.ask_judged(&select, Some(&all)).unwrap();
    assert_eq!(scene.told()[0].2, "refused");
}

#[test]
fn what_was_asked_before_has_passed_and_is_told_as_not_known() {
    let mut scene = Scene::greeted();
    let before = scene.up.len();
    let asked = [remove(1, "/a"), odd(), remove(2, "/b")].concat();
    assert_eq!(scene.ask(&asked), Err(Unclear::Kind(99)));
    assert_eq!(&scene.up[before..], remove(1, "/a"));
    assert_eq!(scene.said.len(), 1, "it is told before it passes");
    let want = [told("remove", "/a", "unanswered", 0, 0)];
    assert_eq!(told_at_the_end(scene), want);
}

#[test]
fn what_was_refused_before_is_told() {
    let no = judging(|_: &Touch| false);
    let mut scene = Scene::greeted();
    let asked = [remove(1, "/a"), odd()].concat();
    assert_eq!(scene.ask_judged(&asked, Some(&no)), Err(Unclear::Kind(99)));
    let want = [told("remove", "/a", "refused", 0, 0)];
    assert_eq!(told_at_the_end(scene), want);
}

#[test]
fn what_was_answered_before_keeps_its_answer() {
    let mut scene = Scene::greeted();
    scene.ask(&remove(1, "/a")).unwrap();
    scene.ask(&open(2, "/f", 1)).unwrap();
    scene.ask(&remove(3, "/c")).unwrap();
    let before = scene.down.len();
    let good = [status(1, 2), handle(2, "h")].concat();
    let answers = [good.clone(), status(9, 0)].concat();
    assert_eq!(scene.answer(&answers), Err(Unclear::Number(9)));
    assert_eq!(&scene.down[before..], good);
    let want = [
        told("remove", "/a", "failed 2", 0, 0),
        told("open", "/f", "done", 0, 0),
        told("remove", "/c", "unanswered", 0, 0),
        told("close", "/f", "unanswered", 0, 0),
    ];
    assert_eq!(told_at_the_end(scene), want);
}

#[test]
fn an_answer_that_fits_no_such_request_answers_none() {
    for (asked, answer, action) in [
        (remove(3, "/a"), handle(3, "x"), "remove"),
        (remove(3, "/a"), data(3, b"x"), "remove"),
        (open(3, "/a", 1), status(3, 0), "open"),
        (open(3, "/a", 1), packet(105, &[&id(3), &id(0)]), "open"),
    ] {
        let mut scene = Scene::greeted();
        scene.ask(&asked).unwrap();
        assert!(scene.answer(&answer).is_err(), "{answer:?}");
        let want = [told(action, "/a", "unanswered", 0, 0)];
        assert_eq!(told_at_the_end(scene), want);
    }
}

#[test]
fn what_never_passed_is_told_of_nowhere() {
    let unanswered = told("close", "/f", "unanswered", 0, 4);
    for (before, asked) in [
        // A number that waits.
        (remove(3, "/a"), remove(3, "/b")),
        (remove(3, "/a"), write(3, "h", 4, b"more")),
    ] {
        let mut scene = writing();
        scene.ask(&before).unwrap();
        assert_eq!(scene.ask(&asked), Err(Unclear::Number(3)));
        let want = [
            told("open", "/f", "done", 0, 0),
            told("remove", "/a", "unanswered", 0, 0),
            unanswered.clone(),
        ];
        assert_eq!(told_at_the_end(scene), want);
    }
    // More than may wait.
    let mut scene = Scene::greeted();
    let path = "/".repeat(60_000);
    let asks = |scene: &mut Scene| {
        let number = u32::try_from(scene.said.len()).unwrap();
        scene.ask(&open(number, &path, 1))
    };
    while asks(&mut scene).is_ok() {}
    let asked = scene.said.len();
    assert_eq!(told_at_the_end(scene).len(), asked);
}

#[test]
fn a_handle_that_is_given_twice_loses_nothing_of_the_first_file() {
    let mut scene = writing();
    scene.ask(&open(3, "/g", 2)).unwrap();
    assert_eq!(scene.answer(&handle(3, "h")), Err(Unclear::Handle));
    let want = [
        told("open", "/f", "done", 0, 0),
        told("open", "/g", "done", 0, 0),
        told("close", "/f", "unanswered", 0, 4),
    ];
    assert_eq!(told_at_the_end(scene), want);
}

#[test]
fn a_close_that_is_not_answered_is_told_once_and_with_what_had_passed() {
    let mut scene = writing();
    scene.ask(&close(3, "h")).unwrap();
    let want = [
        told("open", "/f", "done", 0, 0),
        told("close", "/f", "unanswered", 0, 4),
    ];
    assert_eq!(told_at_the_end(scene), want);
}
