//! What is understood of SFTP, however it is cut into chunks, and what ends it.

use bytes::Bytes;
use policies::words::Words;
use proptest::prelude::*;
use recorder::{FileResult, Frame};

use super::{Access, Operation, Sftp, Touch, Unclear, Warden};
use judging::judging;

mod besides;
mod extensions;
mod handles;
mod judging;
mod permits;
mod sums;
mod unclear;

fn string(bytes: &[u8]) -> Vec<u8> {
    let mut out = u32::try_from(bytes.len()).unwrap().to_be_bytes().to_vec();
    out.extend(bytes);
    out
}

fn packet(kind: u8, fields: &[&[u8]]) -> Vec<u8> {
    let body = [&[kind], fields.concat().as_slice()].concat();
    string(&body)
}

fn id(number: u32) -> [u8; 4] {
    number.to_be_bytes()
}

fn init() -> Vec<u8> {
    packet(1, &[&id(3)])
}

fn open(number: u32, path: &str, flags: u32) -> Vec<u8> {
    let path = string(path.as_bytes());
    packet(3, &[&id(number), &path, &id(flags), &id(0)])
}

fn write(number: u32, handle: &str, offset: u64, data: &[u8]) -> Vec<u8> {
    let handle = string(handle.as_bytes());
    packet(
        6,
        &[&id(number), &handle, &offset.to_be_bytes(), &string(data)],
    )
}

fn read(number: u32, handle: &str, offset: u64) -> Vec<u8> {
    let handle = string(handle.as_bytes());
    packet(
        5,
        &[&id(number), &handle, &offset.to_be_bytes(), &id(32768)],
    )
}

fn close(number: u32, handle: &str) -> Vec<u8> {
    packet(4, &[&id(number), &string(handle.as_bytes())])
}

fn status(number: u32, code: u32) -> Vec<u8> {
    packet(
        101,
        &[&id(number), &id(code), &string(b"so"), &string(b"en")],
    )
}

fn handle(number: u32, handle: &str) -> Vec<u8> {
    packet(102, &[&id(number), &string(handle.as_bytes())])
}

fn data(number: u32, bytes: &[u8]) -> Vec<u8> {
    packet(103, &[&id(number), &string(bytes)])
}

/// One conversation, and everything that it came to.
#[derive(Default)]
struct Scene {
    sftp: Sftp,
    said: Vec<Operation>,
    up: Vec<u8>,
    down: Vec<u8>,
}

impl Scene {
    /// With a greeting behind it.
    fn greeted() -> Self {
        let mut scene = Self::default();
        scene.ask(&init()).unwrap();
        scene.answer(&packet(2, &[&id(3)])).unwrap();
        scene
    }

    fn ask(&mut self, bytes: &[u8]) -> Result<(), Unclear> {
        self.ask_judged(bytes, None)
    }

    fn ask_judged(&mut self, bytes: &[u8], judge: Option<super::Judge<'_>>) -> Result<(), Unclear> {
        let mut rest = Bytes::copy_from_slice(bytes);
        while !rest.is_empty() {
            let passed = self.sftp.up(rest, judge);
            self.up.extend(passed.pieces.concat());
            self.said.extend(passed.operations);
            passed.unclear.map_or(Ok(()), Err)?;
            rest = passed.rest;
        }
        Ok(())
    }

    fn answer(&mut self, bytes: &[u8]) -> Result<(), Unclear> {
        self.answer_judged(bytes, None)
    }

    fn answer_judged(
        &mut self,
        bytes: &[u8],
        judge: Option<super::Judge<'_>>,
    ) -> Result<(), Unclear> {
        let mut rest = Bytes::copy_from_slice(bytes);
        loop {
            let passed = self.sftp.down(rest, judge);
            self.down.extend(passed.pieces.concat());
            self.said.extend(passed.operations);
            passed.unclear.map_or(Ok(()), Err)?;
            rest = passed.rest;
            if rest.is_empty() {
                return Ok(());
            }
        }
    }

    /// Every operation that is over: what, which file, how it went, bytes read and written.
    fn told(&self) -> Vec<(String, String, String, u64, u64)> {
        let over = |operation: &Operation| {
            let Frame::File(operation) = operation.frame(0) else {
                panic!("a file operation");
            };
            let outcome = operation.outcome?;
            let result = match outcome.result {
                FileResult::Done => "done".to_owned(),
                FileResult::Failed { code, .. } => format!("failed {code}"),
                FileResult::Refused => "refused".to_owned(),
                FileResult::Unanswered => "unanswered".to_owned(),
            };
            let path = String::from_utf8_lossy(operation.path).into_owned();
            let (read, written) = (outcome.read.bytes, outcome.written.bytes);
            Some((operation.action.to_owned(), path, result, read, written))
        };
        let said = self.said.iter().filter(|one| !is_whole(one));
        said.filter_map(over).collect()
    }

    fn digests(&self) -> (Option<[u8; 32]>, Option<[u8; 32]>) {
        let mut said = self.said.iter().rev();
        let last = said.find(|one| !is_whole(one)).unwrap();
        let last = last.outcome.clone().unwrap();
        (last.read.digest, last.written.digest)
    }
}

/// Whether this is about the whole conversation, at its end.
fn is_whole(operation: &Operation) -> bool {
    matches!(operation.frame(0), Frame::File(file) if file.action == "sftp")
}

fn told(
    action: &str,
    path: &str,
    result: &str,
    read: u64,
    written: u64,
) -> (String, String, String, u64, u64) {
    (
        action.to_owned(),
        path.to_owned(),
        result.to_owned(),
        read,
        written,
    )
}

fn sha256(bytes: &[u8]) -> Option<[u8; 32]> {
    let digest = aws_lc_rs::digest::digest(&aws_lc_rs::digest::SHA256, bytes);
    digest.as_ref().try_into().ok()
}

/// Two sides of a conversation in which one file is written and another is read.
fn conversation() -> (Vec<Vec<u8>>, Vec<Vec<u8>>) {
    let asked = vec![
        open(1, "/new", 2 | 8),
        write(2, "a", 0, b"hello "),
        write(3, "a", 6, b"world"),
        close(4, "a"),
        open(5, "/old", 1),
        read(6, "b", 0),
        read(7, "b", 4),
        close(8, "b"),
    ];
    let answers = vec![
        handle(1, "a"),
        status(2, 0),
        status(3, 0),
        status(4, 0),
        handle(5, "b"),
        data(6, b"four"),
        status(7, 1),
        status(8, 0),
    ];
    (asked, answers)
}

#[test]
fn a_file_that_is_written_or_read_is_told_with_its_bytes_and_their_digest() {
    let mut scene = Scene::greeted();
    let (asked, answers) = conversation();
    for (asked, answer) in asked.iter().zip(&answers).take(4) {
        scene.ask(asked).unwrap();
        scene.answer(answer).unwrap();
    }
    assert_eq!(scene.digests(), (None, sha256(b"hello world")));
    for (asked, answer) in asked.iter().zip(&answers).skip(4) {
        scene.ask(asked).unwrap();
        scene.answer(answer).unwrap();
    }
    assert_eq!(scene.digests(), (sha256(b"four"), None));
    let want = [
        told("open", "/new", "done", 0, 0),
        told("close", "/new", "done", 0, 11),
        told("open", "/old", "done", 0, 0),
        told("close", "/old", "done", 4, 0),
    ];
    assert_eq!(scene.told(), want);
}

#[test]
fn what_the_target_did_not_write_is_not_counted_as_written() {
    let mut scene = Scene::greeted();
    scene.ask(&open(1, "/f", 2)).unwrap();
    scene.answer(&handle(1, "h")).unwrap();
    scene.ask(&write(2, "h", 0, b"kept")).unwrap();
    scene.ask(&write(3, "h", 4, b"no room")).unwrap();
    scene.answer(&status(2, 0)).unwrap();
    scene.answer(&status(3, 4)).unwrap();
    scene.ask(&close(4, "h")).unwrap();
    scene.answer(&status(4, 0)).unwrap();
    assert_eq!(scene.told()[1], told("close", "/f", "done", 0, 4));
    assert_eq!(scene.digests(), (None, None));
    assert!(
        scene
            .said
            .last()
            .unwrap()
            .detail
            .contains("7 bytes refused")
    );
}

#[test]
fn failures_and_two_paths_are_told() {
    let mut scene = Scene::greeted();
    let rename = packet(18, &[&id(1), &string(b"/a"), &string(b"/b")]);
    scene.ask(&rename).unwrap();
    scene.answer(&status(1, 3)).unwrap();
    assert_eq!(scene.told(), [told("rename", "/a", "failed 3", 0, 0)]);
    assert_eq!(&*scene.said[1].to, b"/b");
    let name = [&id(2)[..], &id(1), &string(b"/home"), &string(b"x"), &id(0)];
    scene.ask(&packet(16, &[&id(2), &string(b".")])).unwrap();
    scene.answer(&packet(104, &name)).unwrap();
    assert_eq!(&*scene.said[3].to, b"/home");
}

#[test]
fn every_operation_is_told_before_its_answer() {
    let mut scene = Scene::greeted();
    let remove = packet(13, &[&id(1), &string(b"/a")]);
    scene.ask(&remove).unwrap();
    assert_eq!(scene.said.len(), 1);
    assert_eq!(scene.said[0].outcome, None);
    assert_eq!(scene.told(), []);
    scene.said.extend(scene.sftp.finish());
    assert_eq!(scene.told(), [told("remove", "/a", "unanswered", 0, 0)]);
}

#[test]
fn what_is_still_open_at_the_end_is_told_with_its_bytes() {
    let mut scene = Scene::greeted();
    scene.ask(&open(1, "/f", 2)).unwrap();
    scene.answer(&handle(1, "h")).unwrap();
    scene.ask(&write(2, "h", 0, b"half")).unwrap();
    scene.answer(&status(2, 0)).unwrap();
    scene.said.extend(scene.sftp.finish());
    assert_eq!(scene.digests(), (None, sha256(b"half")));
    assert_eq!(scene.told()[1], told("close", "/f", "unanswered", 0, 4));
}

#[test]
fn what_is_not_allowed_never_reaches_the_target_and_is_answered() {
    let mut scene = Scene::greeted();
    let before = scene.up.len();
    let judge = judging(|touch: &Touch| {
        touch.access != Access::Write && touch.place.as_deref() == Ok("/ok")
    });
    let both = [open(1, "/ok", 2), open(2, "/ok", 1), open(3, "/no", 1)].concat();
    scene.ask_judged(&both, Some(&judge)).unwrap();
    assert_eq!(&scene.up[before..], open(2, "/ok", 1));
    let refused = [
        told("open", "/ok", "refused", 0, 0),
        told("open", "/no", "refused", 0, 0),
    ];
    assert_eq!(scene.told(), refused);
    let answers = scene.sftp.answers();
    assert_eq!(answers.len(), 2);
    // Type, number of the request, permission denied.
    assert_eq!(answers[0][4..13], [101, 0, 0, 0, 1, 0, 0, 0, 3]);
}

#[test]
fn our_answers_wait_for_the_end_of_the_targets_packet() {
    let mut scene = Scene::greeted();
    scene.ask(&open(1, "/f", 1)).unwrap();
    scene.answer(&handle(1, "h")).unwrap();
    scene.ask(&read(2, "h", 0)).unwrap();
    let contents = data(2, b"contents");
    scene.answer(&contents[..16]).unwrap();
    let remove = packet(13, &[&id(3), &string(b"/a")]);
    let no = judging(|_: &Touch| false);
    scene.ask_judged(&remove, Some(&no)).unwrap();
    assert!(scene.sftp.answers().is_empty());
    let before = scene.down.len();
    scene.answer(&contents[16..]).unwrap();
    assert!(scene.down[before..].starts_with(&contents[16..]));
    assert!(scene.down.len() > before + contents.len() - 16);
}

#[track_caller]
fn check_unclear(asked: &[u8], want: &Unclear) {
    assert_eq!(Scene::greeted().ask(asked).as_ref(), Err(want));
}

#[test]
fn what_cannot_be_understood_ends_the_conversation() {
    check_unclear(&[0xff; 8], &Unclear::Length(0xffff_ffff));
    check_unclear(&[0, 0, 0, 0], &Unclear::Length(0));
    check_unclear(&packet(99, &[&id(1)]), &Unclear::Kind(99));
    check_unclear(&packet(13, &[&id(1)]), &Unclear::Short);
    check_unclear(&packet(6, &[&id(1)]), &Unclear::Short);
    check_unclear(&packet(13, &[&id(1), &id(9), b"/a"]), &Unclear::Short);
    check_unclear(&read(1, "never given", 0), &Unclear::Handle);
    check_unclear(&close(1, &"h".repeat(257)), &Unclear::Handle);
    check_unclear(&init(), &Unclear::Turn);
    let long = packet(13, &[&id(1), &string(&vec![b'a'; 100_000])]);
    check_unclear(&long, &Unclear::Length(long.len() - 4));
    let mut lying = write(1, "h", 0, b"four");
    let at = lying.len() - 5;
    lying[at] = 9;
    check_unclear(&lying, &Unclear::Short);
    let twice = [open(1, "/a", 1), open(1, "/b", 1)].concat();
    check_unclear(&twice, &Unclear::Number(1));
}

#[test]
fn a_target_that_speaks_otherwise_ends_the_conversation() {
    let mut scene = Scene::default();
    assert_eq!(scene.ask(&open(1, "/a", 1)), Err(Unclear::Turn));
    let mut scene = Scene::default();
    scene.ask(&init()).unwrap();
    assert_eq!(
        scene.answer(&packet(2, &[&id(6)])),
        Err(Unclear::Version(6))
    );
    let said = u32::from_be_bytes(*b"Welc");
    let garbage = scene.answer(b"Welcome to web1\n");
    assert_eq!(garbage, Err(Unclear::Length(said.try_into().unwrap())));
    let mut scene = Scene::greeted();
    assert_eq!(scene.answer(&status(7, 0)), Err(Unclear::Number(7)));
}

#[test]
fn a_client_that_never_waits_is_stopped() {
    let mut scene = Scene::greeted();
    let path = "/".repeat(60_000);
    let ended = (0..1000).find_map(|number| scene.ask(&open(number, &path, 1)).err());
    assert_eq!(ended, Some(Unclear::Flood));
}

/// The target never answers: it stands in open(2) of a pipe.
#[test]
fn a_client_that_asks_for_nothing_again_and_again_is_stopped_before_much_is_held() {
    let mut scene = Scene::greeted();
    let stat = |number: u32| packet(17, &[&id(number), &string(b"")]);
    let asked = (1..100_000).take_while(|number| scene.ask(&stat(*number)).is_ok());
    let asked = asked.count();
    assert!((5_000..12_000).contains(&asked), "{asked}");
    assert!(scene.sftp.weight() > asked * size_of::<Operation>());
    for number in 1..=u32::try_from(asked).unwrap() {
        scene.answer(&status(number, 0)).unwrap();
    }
    assert_eq!(scene.sftp.weight(), 0);
}

/// paramiko asks for all of a file at once: 512 MiB here.
#[test]
fn a_client_that_asks_for_a_whole_file_at_once_goes_on() {
    let mut scene = Scene::greeted();
    scene.ask(&open(1, "/f", 1)).unwrap();
    scene.answer(&handle(1, "h")).unwrap();
    for number in 2..16_386 {
        scene.ask(&read(number, "h", 0)).unwrap();
    }
}

#[test]
fn a_client_that_keeps_long_names_open_is_stopped() {
    let mut scene = Scene::greeted();
    let path = "/".repeat(60_000);
    let opened = |scene: &mut Scene, number: u32| {
        scene.ask(&open(number, &path, 1))?;
        scene.answer(&handle(number, &number.to_string()))
    };
    let (many, most) = (1000, 1024 * 1024 / 60_000);
    let ended = (0..many).find_map(|number| Some((number, opened(&mut scene, number).err()?)));
    assert_eq!(ended, Some((most, Unclear::Flood)));
    // What is closed takes nothing.
    let mut scene = Scene::greeted();
    for number in 0..many {
        opened(&mut scene, 2 * number).unwrap();
        let name = (2 * number).to_string();
        scene.ask(&close(2 * number + 1, &name)).unwrap();
        scene.answer(&status(2 * number + 1, 0)).unwrap();
    }
}

proptest! {
    #[test]
    fn however_it_is_cut_the_bytes_pass_and_the_same_is_told(sizes in prop::collection::vec(1..40_usize, 1..60)) {
        let (asked, answers) = conversation();
        let mut whole = Scene::greeted();
        let mut cut = Scene::greeted();
        let mut sizes = sizes.iter().cycle();
        for (asked, answer) in asked.iter().zip(&answers) {
            whole.ask(asked).unwrap();
            whole.answer(answer).unwrap();
            let (mut asked, mut answer) = (asked.as_slice(), answer.as_slice());
            while !asked.is_empty() {
                let (now, rest) = asked.split_at(asked.len().min(*sizes.next().unwrap()));
                cut.ask(now).unwrap();
                asked = rest;
            }
            while !answer.is_empty() {
                let (now, rest) = answer.split_at(answer.len().min(*sizes.next().unwrap()));
                cut.answer(now).unwrap();
                answer = rest;
            }
        }
        prop_assert_eq!(&cut.said, &whole.said);
        prop_assert_eq!(&cut.up, &[init(), asked.concat()].concat());
        prop_assert_eq!(&cut.down, &[packet(2, &[&id(3)]), answers.concat()].concat());
    }

    #[test]
    fn whatever_comes_nothing_passes_that_did_not_come(asked: Vec<Vec<u8>>, answers: Vec<Vec<u8>>) {
        let mut scene = Scene::greeted();
        let (up, down) = (scene.up.len(), scene.down.len());
        for bytes in &asked {
            if scene.ask(bytes).is_err() {
                break;
            }
        }
        for bytes in &answers {
            if scene.answer(bytes).is_err() {
                break;
            }
        }
        prop_assert!(asked.concat().starts_with(&scene.up[up..]));
        prop_assert!(answers.concat().starts_with(&scene.down[down..]));
    }
}
