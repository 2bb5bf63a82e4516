//! What policy is asked about, and what becomes of what it refuses.

use std::cell::{Cell, RefCell};

use policies::Extent;

use super::*;

/// What policy is asked about one request.
fn asked(requests: &[Vec<u8>]) -> Vec<(Access, Option<String>, Extent)> {
    let touches = RefCell::new(Vec::new());
    let judge = judging(|touch: &Touch| {
        let place = touch.place.clone().ok();
        touches
            .borrow_mut()
            .push((touch.access, place, touch.extent));
        true
    });
    let mut scene = Scene::greeted();
    scene.ask(&packet(16, &[&id(90), &string(b".")])).unwrap();
    let home = [
        &id(90)[..],
        &id(1),
        &string(b"/home/dee"),
        &string(b"x"),
        &id(0),
    ];
    scene.answer(&packet(104, &home)).unwrap();
    for request in requests {
        scene.ask_judged(request, Some(&judge)).unwrap();
    }
    touches.into_inner()
}

fn two(kind: u8, path: &str, to: &str) -> Vec<u8> {
    packet(
        kind,
        &[&id(1), &string(path.as_bytes()), &string(to.as_bytes())],
    )
}

#[test]
fn names_are_asked_about_as_the_target_takes_them() {
    let place = |path: &str| Some(path.to_owned());
    let (one, tree) = (Extent::One, Extent::Tree);
    let read_one = |path| vec![(Access::Read, place(path), one)];
    assert_eq!(asked(&[open(1, "a", 1)]), read_one("/home/dee/a"));
    assert_eq!(asked(&[open(1, "//srv/./a", 1)]), read_one("/srv/a"));
    let climbs = [(Access::Read, None, one)];
    assert_eq!(asked(&[open(1, "/srv/a/../../etc/shadow", 1)]), climbs);
    let moved = [
        (Access::Read, place("/a"), tree),
        (Access::Write, place("/a"), tree),
        (Access::Write, place("/b"), tree),
    ];
    assert_eq!(
        asked(&[two(18, "/a", "/b")]),
        moved,
        "a directory goes with all that is in it"
    );
    let both_ways = [
        (Access::Read, place("/a"), tree),
        (Access::Read, place("/b"), tree),
        (Access::Write, place("/a"), tree),
        (Access::Write, place("/b"), tree),
    ];
    assert_eq!(
        asked(&[two(20, "/a", "/b")]),
        both_ways,
        "a link is another name for all of it, and targets differ in which is the name"
    );
    for relative in [
        two(20, "../etc/shadow", "/srv/link"),
        two(20, "/srv/link", "../etc/shadow"),
    ] {
        assert!(asked(&[relative]).contains(&(Access::Write, None, tree)));
    }
    let both = open(1, "/a", 1 | 2);
    assert_eq!(asked(&[both]).len(), 2);
    let unknown = packet(200, &[&id(1), &string(b"odd@example.com"), b"x"]);
    assert_eq!(asked(&[unknown]), [(Access::Write, None, one)]);
}

/// A chunk has room for thousands of packets of which each is asked about several times.
#[test]
fn a_chunk_full_of_questions_leaves_others_their_turns() {
    let questions = Cell::new(0);
    let judge = judging(|_: &Touch| {
        questions.set(questions.get() + 1);
        true
    });
    let stat = |number: u32| packet(17, &[&id(number), &string(number.to_string().as_bytes())]);
    let asked: Vec<u8> = (0..2_000).flat_map(stat).collect();
    let mut scene = Scene::greeted();
    let before = scene.up.len();
    let (mut rest, mut turns) = (Bytes::from(asked.clone()), 0);
    while !rest.is_empty() {
        questions.set(0);
        let passed = scene.sftp.up(rest, Some(&judge));
        assert!(questions.get() <= 12, "{} at once", questions.get());
        scene.up.extend(passed.pieces.concat());
        rest = passed.rest;
        turns += 1;
    }
    assert_eq!(&scene.up[before..], asked, "in the order in which it came");
    assert!((160..170).contains(&turns), "{turns}");
    // Without a judge there is nothing to wait for.
    let passed = Scene::greeted().sftp.up(asked.clone().into(), None);
    assert_eq!((passed.rest.len(), passed.operations.len()), (0, 2_000));
}

/// A rename asks about three trees.
#[test]
fn questions_are_counted_and_not_the_requests_that_ask_them() {
    let judge = judging(|_: &Touch| true);
    let rename = |number: u32| {
        let [from, to] = ["a", "b"].map(|name| string(format!("/{name}{number}").as_bytes()));
        packet(18, &[&id(number), &from, &to])
    };
    let asked: Vec<u8> = (0..60).flat_map(rename).collect();
    let mut scene = Scene::greeted();
    let before = scene.up.len();
    let (mut rest, mut turns) = (Bytes::from(asked.clone()), 0);
    while !rest.is_empty() {
        let questions = judge.asked();
        let passed = scene.sftp.up(rest, Some(&judge));
        let questions = judge.asked() - questions;
        assert!(questions <= 15, "{questions} at once");
        scene.up.extend(passed.pieces.concat());
        rest = passed.rest;
        turns += 1;
    }
    assert_eq!(&scene.up[before..], asked, "in the order in which it came");
    assert_eq!((judge.asked(), turns), (180, 15));
}

/// However small the packets are in which they come.
#[test]
fn questions_of_one_chunk_after_another_are_counted_together() {
    let judge = judging(|_: &Touch| true);
    let mut scene = Scene::greeted();
    let mut spent = Vec::new();
    for number in 0..30_u32 {
        let name = string(number.to_string().as_bytes());
        let stat = Bytes::from(packet(17, &[&id(number), &name]));
        let passed = scene.sftp.up(stat, Some(&judge));
        assert!(passed.rest.is_empty() && passed.unclear.is_none());
        if passed.is_spent {
            spent.push(number);
            // Once others have had their turn, nothing is left.
            let passed = scene.sftp.up(Bytes::new(), Some(&judge));
            assert!(!passed.is_spent);
        }
    }
    assert_eq!(spent, [11, 23]);
}

#[test]
fn an_open_file_is_asked_about_again_and_what_is_refused_of_it_is_not_counted() {
    let mut scene = Scene::greeted();
    scene.ask(&open(1, "/f", 2)).unwrap();
    scene.answer(&handle(1, "h")).unwrap();
    let no = judging(|_: &Touch| false);
    let before = scene.up.len();
    scene
        .ask_judged(&write(2, "h", 0, b"late"), Some(&no))
        .unwrap();
    assert_eq!(scene.up.len(), before);
    assert_eq!(scene.told()[1], told("write", "/f", "refused", 0, 0));
    scene.ask_judged(&close(3, "h"), Some(&no)).unwrap();
    scene.answer(&status(3, 0)).unwrap();
    assert_eq!(scene.told()[2], told("close", "/f", "done", 0, 0));
}

/// /f is open as `h`.
fn opened(flags: u32) -> Scene {
    let mut scene = Scene::greeted();
    scene.ask(&open(1, "/f", flags)).unwrap();
    scene.answer(&handle(1, "h")).unwrap();
    scene
}

#[test]
fn what_was_asked_for_comes_only_for_as_long_as_it_may_be_read() {
    let (yes, no) = (judging(|_: &Touch| true), judging(|_: &Touch| false));
    let mut scene = opened(1);
    for (number, at) in [(2, 0), (3, 3), (4, 7)] {
        scene
            .ask_judged(&read(number, "h", at), Some(&yes))
            .unwrap();
    }
    scene.answer_judged(&data(2, b"may"), Some(&yes)).unwrap();
    let before = scene.down.len();
    let late = scene.answer_judged(&data(3, b"late"), Some(&no));
    assert_eq!(
        late,
        Err(Unclear::Shut(Box::new(Words::new("TG621", "no"))))
    );
    assert_eq!(scene.down.len(), before);
    scene.said.extend(scene.sftp.finish());
    let closed = scene.told().pop();
    assert_eq!(closed, Some(told("close", "/f", "unanswered", 3, 0)));
    assert_eq!(scene.digests().0, sha256(b"may"));
}

/// A packet may have 16 MiB.
#[test]
fn what_is_half_read_is_not_finished_once_it_may_not_be_read() {
    let (yes, no) = (judging(|_: &Touch| true), judging(|_: &Touch| false));
    let mut scene = opened(1);
    scene.ask_judged(&read(2, "h", 0), Some(&yes)).unwrap();
    let whole = data(2, b"half and half");
    let (begun, rest) = whole.split_at(whole.len() - 4);
    scene.answer_judged(begun, Some(&yes)).unwrap();
    let before = scene.down.len();
    let late = scene.answer_judged(rest, Some(&no));
    assert!(matches!(late, Err(Unclear::Shut(_))), "{late:?}");
    assert_eq!(scene.down.len(), before);
}

/// A chunk has room for thousands of answers, and of each it is asked whether it may still be read.
#[test]
fn a_chunk_full_of_answers_leaves_others_their_turns() {
    let questions = Cell::new(0);
    let judge = judging(|_: &Touch| {
        questions.set(questions.get() + 1);
        true
    });
    let mut scene = opened(1);
    for number in 2..1_002 {
        scene.ask(&read(number, "h", 0)).unwrap();
    }
    let answers: Vec<u8> = (2..1_002).flat_map(|number| data(number, b"x")).collect();
    let before = scene.down.len();
    let (mut rest, mut turns) = (Bytes::from(answers.clone()), 0);
    while !rest.is_empty() {
        questions.set(0);
        let passed = scene.sftp.down(rest, Some(&judge));
        assert!(questions.get() <= 33, "{} at once", questions.get());
        assert_eq!(passed.unclear, None);
        scene.down.extend(passed.pieces.concat());
        rest = passed.rest;
        turns += 1;
    }
    assert_eq!(
        &scene.down[before..],
        answers,
        "in the order in which it came"
    );
    assert!((30..35).contains(&turns), "{turns}");
}

/// Our own answers are no part of what the target sent.
#[test]
fn our_answers_wait_for_what_others_have_their_turn_before() {
    let (yes, no) = (judging(|_: &Touch| true), judging(|_: &Touch| false));
    let mut scene = opened(1);
    for number in 2..102 {
        scene.ask(&read(number, "h", 0)).unwrap();
    }
    let stat = packet(17, &[&id(200), &string(b"/f")]);
    scene.ask_judged(&stat, Some(&no)).unwrap();
    let answers: Vec<u8> = (2..102).flat_map(|number| data(number, b"x")).collect();
    let before = scene.down.len();
    scene.answer_judged(&answers, Some(&yes)).unwrap();
    let came = &scene.down[before..];
    assert!(came.starts_with(&answers), "ours are behind theirs");
    assert!(came.len() > answers.len(), "they were given");
}

#[test]
fn what_is_half_written_is_not_finished_once_it_may_not_be_written() {
    let (yes, no) = (judging(|_: &Touch| true), judging(|_: &Touch| false));
    let mut scene = opened(2);
    let whole = write(2, "h", 0, b"half and half");
    let (begun, rest) = whole.split_at(whole.len() - 4);
    scene.ask_judged(begun, Some(&yes)).unwrap();
    let before = scene.up.len();
    assert!(matches!(
        scene.ask_judged(rest, Some(&no)),
        Err(Unclear::Shut(_))
    ));
    assert_eq!(scene.up.len(), before);
}

/// Whoever takes no answers has the next refusals wait with us.
#[test]
fn refusals_that_nobody_takes_do_not_fill_the_memory() {
    let no = judging(|_: &Touch| false);
    let mut scene = Scene::greeted();
    let stat = |number: u32| packet(17, &[&id(number), &string(b"/f")]);
    let stopped = (1..100_000).find_map(|number| scene.ask_judged(&stat(number), Some(&no)).err());
    assert_eq!(stopped, Some(Unclear::Flood));
    let waiting: usize = scene.sftp.answers().iter().map(Bytes::len).sum();
    assert!((200_000..=256 * 1024).contains(&waiting), "{waiting}");
}
