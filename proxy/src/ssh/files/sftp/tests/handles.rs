//! What a handle is good for, from its file's opening to its end.

use super::*;

/// A conversation in which `a` leads to /a and `b` to /b, and /a is being closed.
fn closing() -> Scene {
    let mut scene = Scene::greeted();
    for (number, path, name) in [(1, "/a", "a"), (2, "/b", "b")] {
        scene.ask(&open(number, path, 1 | 2)).unwrap();
        scene.answer(&handle(number, name)).unwrap();
    }
    scene.ask(&close(3, "a")).unwrap();
    scene
}

fn on_handle(kind: u8, number: u32, handle: &str, rest: &[u8]) -> Vec<u8> {
    packet(kind, &[&id(number), &string(handle.as_bytes()), rest])
}

fn copy(number: u32, from: &str, to: &str) -> Vec<u8> {
    let (name, from, to) = (
        string(b"copy-data"),
        string(from.as_bytes()),
        string(to.as_bytes()),
    );
    packet(200, &[&id(number), &name, &from, &[0; 16], &to, &[0; 8]])
}

fn extension(number: u32, name: &str, handle: &str) -> Vec<u8> {
    let fields = [string(name.as_bytes()), string(handle.as_bytes())].concat();
    packet(200, &[&id(number), &fields])
}

/// Between the request to close a file and the answer the target may have given its handle to another file:
/// OpenSSH's sftp-server does so at once.
#[test]
fn a_handle_that_is_being_closed_is_none() {
    let open_to_all = judging(|_: &Touch| true);
    for request in [
        write(4, "a", 0, b"evil"),
        on_handle(10, 4, "a", &[id(4), id(0o777)].concat()),
        read(4, "a", 0),
        on_handle(8, 4, "a", &[]),
        on_handle(12, 4, "a", &[]),
        copy(4, "a", "b"),
        copy(4, "b", "a"),
        extension(4, "fsync@openssh.com", "a"),
        extension(4, "fstatvfs@openssh.com", "a"),
        close(4, "a"),
    ] {
        let mut scene = closing();
        let before = scene.up.len();
        assert_eq!(scene.ask(&request), Err(Unclear::Handle), "{request:?}");
        assert_eq!(scene.up.len(), before);
        let judged = closing().ask_judged(&request, Some(&open_to_all));
        assert_eq!(judged, Err(Unclear::Handle), "{request:?}");
    }
    // The other one is as good as before.
    closing().ask(&write(4, "b", 0, b"good")).unwrap();
    closing().ask(&copy(4, "b", "b")).unwrap();
}

#[test]
fn what_was_asked_before_the_close_is_still_counted() {
    let mut scene = Scene::greeted();
    scene.ask(&open(1, "/f", 1 | 2)).unwrap();
    scene.answer(&handle(1, "h")).unwrap();
    scene.ask(&write(2, "h", 0, b"no room")).unwrap();
    let behind = [read(3, "h", 0), close(4, "h")].concat();
    scene.ask(&behind).unwrap();
    scene.answer(&status(2, 4)).unwrap();
    scene.answer(&data(3, b"contents")).unwrap();
    assert_eq!(scene.told().len(), 1);
    scene.answer(&status(4, 0)).unwrap();
    assert_eq!(scene.told()[1], told("close", "/f", "done", 8, 0));
    assert_eq!(scene.digests().0, sha256(b"contents"));
}

#[test]
fn a_handle_is_good_again_once_it_was_given_again() {
    let mut scene = closing();
    scene.ask(&open(4, "/c", 2)).unwrap();
    scene.answer(&status(3, 0)).unwrap();
    assert_eq!(scene.ask(&write(9, "a", 0, b"x")), Err(Unclear::Handle));
    let mut scene = closing();
    scene.ask(&open(4, "/c", 2)).unwrap();
    scene.answer(&status(3, 0)).unwrap();
    scene.answer(&handle(4, "a")).unwrap();
    scene.ask(&write(5, "a", 0, b"good")).unwrap();
    scene.ask(&close(6, "a")).unwrap();
    scene.answer(&status(5, 0)).unwrap();
    scene.answer(&status(6, 0)).unwrap();
    let last = scene.told().pop();
    assert_eq!(last, Some(told("close", "/c", "done", 0, 4)));
}

#[test]
fn contents_answer_nothing_but_a_read() {
    for request in [close(3, "a"), on_handle(8, 3, "a", &[]), open(3, "/c", 1)] {
        let mut scene = Scene::greeted();
        scene.ask(&open(1, "/a", 1)).unwrap();
        scene.answer(&handle(1, "a")).unwrap();
        scene.ask(&request).unwrap();
        let before = scene.down.len();
        assert_eq!(scene.answer(&data(3, b"more")), Err(Unclear::Number(3)));
        assert_eq!(scene.down.len(), before);
    }
}

/// A server may answer in any order (draft-ietf-secsh-filexfer-02, section 6.1), as those do that work on several
/// requests at once. What it answers is of the file that the request was about, whatever has its handle now.
#[test]
fn contents_behind_the_answer_to_a_close_are_of_the_file_that_was_read() {
    for is_given_again in [false, true] {
        let mut scene = Scene::greeted();
        scene.ask(&open(1, "/a", 1)).unwrap();
        scene.answer(&handle(1, "h")).unwrap();
        for asked in [read(2, "h", 0), read(3, "h", 4), close(4, "h")] {
            scene.ask(&asked).unwrap();
        }
        scene.answer(&status(4, 0)).unwrap();
        if is_given_again {
            scene.ask(&open(5, "/c", 1)).unwrap();
            scene.answer(&handle(5, "h")).unwrap();
            scene.ask(&read(6, "h", 0)).unwrap();
            scene.answer(&data(6, b"of c")).unwrap();
        }
        scene.answer(&status(3, 1)).unwrap();
        let (begun, rest) = (&data(2, b"of a")[..15], &data(2, b"of a")[15..]);
        let before = scene.told().len();
        scene.answer(begun).unwrap();
        assert_eq!(
            scene.told().len(),
            before,
            "told before all of it was there"
        );
        scene.answer(rest).unwrap();
        let last = scene.told().pop();
        assert_eq!(last, Some(told("close", "/a", "done", 4, 0)));
        assert_eq!(scene.digests(), (sha256(b"of a"), None));
        // Once is enough.
        assert_eq!(scene.answer(&data(2, b"lie")), Err(Unclear::Number(2)));
        scene.said.extend(scene.sftp.finish());
        if is_given_again {
            let last = scene.told().pop();
            assert_eq!(last, Some(told("close", "/c", "unanswered", 4, 0)));
            assert_eq!(scene.digests(), (sha256(b"of c"), None));
        }
    }
}

#[test]
fn a_refusal_behind_the_answer_to_a_close_is_counted() {
    let mut scene = Scene::greeted();
    scene.ask(&open(1, "/f", 2)).unwrap();
    scene.answer(&handle(1, "h")).unwrap();
    scene.ask(&write(2, "h", 0, b"no room")).unwrap();
    scene.ask(&close(3, "h")).unwrap();
    scene.answer(&status(3, 0)).unwrap();
    scene.answer(&status(2, 4)).unwrap();
    assert_eq!(scene.told()[1], told("close", "/f", "done", 0, 0));
    let last = scene.said.last().unwrap();
    assert!(last.detail.contains("7 bytes refused"), "{}", last.detail);
}

/// The old file is closed by then, whether its client has heard of it or not.
#[test]
fn a_handle_may_be_given_again_before_the_close_is_answered() {
    let mut scene = closing();
    scene.ask(&open(4, "/c", 2)).unwrap();
    scene.answer(&handle(4, "a")).unwrap();
    scene.ask(&write(5, "a", 0, b"of c")).unwrap();
    scene.answer(&status(3, 0)).unwrap();
    let last = scene.told().pop();
    assert_eq!(last, Some(told("close", "/a", "done", 0, 0)));
    scene.ask(&close(6, "a")).unwrap();
    scene.answer(&status(6, 0)).unwrap();
    scene.answer(&status(5, 0)).unwrap();
    let last = scene.told().pop();
    assert_eq!(last, Some(told("close", "/c", "done", 0, 4)));
}

#[test]
fn a_close_that_was_answered_is_told_at_the_end_where_a_read_before_it_never_was() {
    let mut scene = Scene::greeted();
    scene.ask(&open(1, "/f", 1)).unwrap();
    scene.answer(&handle(1, "h")).unwrap();
    for asked in [read(2, "h", 0), read(3, "h", 4), close(4, "h")] {
        scene.ask(&asked).unwrap();
    }
    scene.answer(&data(2, b"four")).unwrap();
    scene.answer(&status(4, 0)).unwrap();
    scene.said.extend(scene.sftp.finish());
    assert_eq!(scene.told()[1], told("close", "/f", "done", 4, 0));
    assert_eq!(scene.digests().0, sha256(b"four"));
    assert_eq!(scene.told().len(), 2);
}

#[test]
fn a_target_that_answers_each_close_and_no_read_is_stopped() {
    let mut scene = Scene::greeted();
    let path = "/".repeat(60_000);
    let mut once = |number: u32| {
        scene.ask(&open(number, &path, 1))?;
        scene.answer(&handle(number, "h"))?;
        scene.ask(&read(number + 1, "h", 0))?;
        scene.ask(&close(number + 2, "h"))?;
        scene.answer(&status(number + 2, 0))
    };
    let ended = (0..1000).find_map(|number| Some((number, once(3 * number).err()?)));
    assert!(matches!(ended, Some((..=18, Unclear::Flood))), "{ended:?}");
}

#[test]
fn what_carries_no_contents_is_not_long() {
    let mut scene = Scene::greeted();
    let ask = |number| packet(200, &[&id(number), &string(b"limits@openssh.com")]);
    scene.ask(&ask(1)).unwrap();
    scene
        .answer(&packet(201, &[&id(1), &vec![0; 200_000]]))
        .unwrap();
    scene.ask(&ask(2)).unwrap();
    let long = packet(201, &[&id(2), &vec![0; 1024 * 1024]]);
    assert!(matches!(scene.answer(&long), Err(Unclear::Length(_))));
}
