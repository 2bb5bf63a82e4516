//! What passes besides the contents of files.

use recorder::Transfer;

use super::*;

/// What is told of it at the end: of the target's side, and of the client's.
fn besides(scene: &mut Scene) -> (Transfer, Transfer) {
    let left = scene.sftp.finish();
    let whole = left.iter().find(|one| is_whole(one)).expect("it is told");
    let outcome = whole.outcome.clone().unwrap();
    (outcome.read, outcome.written)
}

#[track_caller]
fn check(passed: Transfer, want: &[u8]) {
    assert_eq!(passed.bytes, u64::try_from(want.len()).unwrap());
    assert_eq!(passed.digest, sha256(want));
}

#[test]
fn what_is_in_no_files_digest_is_in_that_of_the_conversation() {
    let mut scene = Scene::greeted();
    let (mut up, mut down) = (init(), packet(2, &[&id(3)]));
    let names = [&string(&vec![7; 9_000])[..], &vec![8; 190_000][..]].concat();
    for (asked, answer) in [
        // Behind the path, and behind the flags, is nothing that anybody reads.
        (
            packet(17, &[&id(1), &string(b"/f"), &vec![1; 60_000]]),
            packet(105, &[&id(1), &id(0), &vec![2; 200_000]]),
        ),
        (
            packet(11, &[&id(1), &string(b"/d"), &vec![3; 60_000]]),
            handle(1, "d"),
        ),
        (
            packet(12, &[&id(1), &string(b"d"), &vec![4; 60_000]]),
            packet(104, &[&id(1), &id(1), &names]),
        ),
        (close(1, "d"), status(1, 0)),
    ] {
        scene.ask(&asked).unwrap();
        scene.answer(&answer).unwrap();
        up.extend(asked);
        down.extend(answer);
    }
    let (read, written) = besides(&mut scene);
    check(read, &down);
    check(written, &up);
    assert_eq!(scene.sftp.finish(), [], "it is told once");
}

#[test]
fn what_is_in_a_files_digest_or_did_not_pass_is_not_in_that_of_the_conversation() {
    let mut scene = Scene::greeted();
    let (asked, answers) = conversation();
    for (asked, answer) in asked.iter().zip(&answers) {
        scene.ask(asked).unwrap();
        scene.answer(answer).unwrap();
    }
    let no = judging(|_: &Touch| false);
    scene.ask_judged(&open(9, "/no", 2), Some(&no)).unwrap();
    let head = |packet: &Vec<u8>, contents: usize| packet[..packet.len() - contents].to_vec();
    let mut up = vec![init()];
    up.extend(asked.iter().enumerate().map(|(at, packet)| match at {
        1 => head(packet, 6),
        2 => head(packet, 5),
        _ => packet.clone(),
    }));
    let mut down = vec![packet(2, &[&id(3)])];
    down.extend(answers.iter().enumerate().map(|(at, packet)| match at {
        5 => head(packet, 4),
        _ => packet.clone(),
    }));
    let (read, written) = besides(&mut scene);
    check(read, &down.concat());
    check(written, &up.concat());
}

#[test]
fn what_follows_the_fields_of_a_request_is_told_with_it() {
    let mut scene = Scene::greeted();
    scene
        .ask(&packet(17, &[&id(1), &string(b"/f"), &vec![1; 60_000]]))
        .unwrap();
    let detail = &scene.said[0].detail;
    assert!(detail.starts_with("and 60000 bytes SHA256:"), "{detail}");
    scene.ask(&packet(17, &[&id(2), &string(b"/f")])).unwrap();
    assert_eq!(scene.said[1].detail, "");
    // An extension that we do not know has all of it in its detail.
    let unknown = packet(200, &[&id(3), &string(b"odd@example.com"), b"x"]);
    scene.ask(&unknown).unwrap();
    assert_eq!(scene.said[2].detail, "\"odd@example.com\" x");
}

#[test]
fn of_a_conversation_in_which_nothing_passed_nothing_is_told() {
    assert_eq!(Sftp::default().finish(), []);
}
