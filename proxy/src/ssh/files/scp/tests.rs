//! What is understood of scp, however it is cut into chunks, and what ends it.

use bytes::Bytes;
use policies::words::Words;
use proptest::prelude::*;
use recorder::{FileResult, Frame};

use super::{Invocation, Judge, Lost, Scp, Stop};
use crate::ssh::files::command::FileCommand;
use crate::ssh::files::operation::Operation;
use crate::ssh::files::path::Vague;

fn invocation(line: &str) -> Invocation {
    match FileCommand::of(line.as_bytes()) {
        Some(FileCommand::Scp(invocation)) => invocation,
        other => panic!("{other:?}"),
    }
}

/// One side's words, in the order in which both are said.
#[derive(Debug, Clone, Copy)]
enum Says<'a> {
    Source(&'a [u8]),
    Sink(&'a [u8]),
}
use Says::{Sink, Source};

/// One transfer, and everything that it came to.
struct Scene {
    scp: Scp,
    said: Vec<Operation>,
    passed: Vec<u8>,
}

impl Scene {
    fn of(line: &str) -> Self {
        Self {
            scp: Scp::new(invocation(line)),
            said: Vec::new(),
            passed: Vec::new(),
        }
    }

    fn take(&mut self, says: Says<'_>, judge: Option<Judge<'_>>) -> Option<Stop> {
        let (mut rest, is_source) = match says {
            Source(bytes) => (Bytes::copy_from_slice(bytes), true),
            Sink(bytes) => (Bytes::copy_from_slice(bytes), false),
        };
        loop {
            let followed = if is_source {
                self.scp.source(rest, judge)
            } else {
                self.scp.sink(rest)
            };
            self.said.extend(followed.operations);
            self.passed.extend(followed.pieces.concat());
            rest = followed.rest;
            if followed.stop.is_some() || rest.is_empty() {
                return followed.stop;
            }
        }
    }

    /// Takes all, which must be understood.
    #[track_caller]
    fn all(line: &str, all: &[Says<'_>]) -> Self {
        let mut scene = Self::of(line);
        for says in all {
            assert_eq!(scene.take(*says, None), None, "{says:?}");
        }
        scene
    }

    /// Every operation that is over: what, which file, how it went, bytes read and written.
    fn told(&self) -> Vec<String> {
        let text = |bytes: &[u8]| String::from_utf8_lossy(bytes).into_owned();
        let over = |operation: &Operation| {
            let Frame::File(operation) = operation.frame(0) else {
                panic!("a file operation");
            };
            let outcome = operation.outcome?;
            let result = match outcome.result {
                FileResult::Done => "done".to_owned(),
                FileResult::Failed { message, .. } => format!("failed {message}"),
                FileResult::Refused => "refused".to_owned(),
                FileResult::Unanswered => "unanswered".to_owned(),
            };
            let mut parts = vec![operation.action.to_owned(), text(operation.path)];
            parts.extend((!operation.to.is_empty()).then(|| format!("({})", text(operation.to))));
            parts.push(result);
            for (way, transfer) in [("r", outcome.read), ("w", outcome.written)] {
                parts.extend((transfer.bytes > 0).then(|| format!("{way}{}", transfer.bytes)));
            }
            Some(parts.join(" "))
        };
        self.said.iter().filter_map(over).collect()
    }
}

const OK: Says<'static> = Sink(b"\0");

const UPLOAD: [Says<'static>; 14] = [
    OK,
    Source(b"T1700000000 0 1700000000 0\n"),
    OK,
    Source(b"D0755 0 tree\n"),
    OK,
    Source(b"C0644 5 a.txt\n"),
    OK,
    Source(b"hello"),
    Source(b"\0"),
    OK,
    Source(b"E\n"),
    OK,
    Source(b"C0600 0 empty\n"),
    OK,
];

#[test]
fn a_tree_that_is_written_is_told_file_by_file() {
    let scene = Scene::all("scp -r -p -d -t /srv/in", &UPLOAD);
    let want = [
        "mkdir /srv/in/tree done",
        "open /srv/in/tree/a.txt done",
        "close /srv/in/tree/a.txt done w5",
        "open /srv/in/empty done",
    ];
    assert_eq!(scene.told(), want);
    let closed = scene
        .said
        .iter()
        .rfind(|each| &*each.path == b"/srv/in/tree/a.txt");
    let digest = closed.unwrap().outcome.as_ref().unwrap().written.digest;
    // Of `hello`.
    assert_eq!(digest.unwrap()[..4], [0x2c, 0xf2, 0x4d, 0xba]);
    assert!(scene.said[0].detail.contains("modified=1700000000"));
}

#[test]
fn where_only_the_target_knows_what_is_a_directory_both_names_are_told() {
    let all = [OK, Source(b"C0644 1 a\n"), OK, Source(b"x\0"), OK];
    let told = |line: &str| Scene::all(line, &all).told();
    assert_eq!(told("scp -t /srv/in")[1], "close /srv/in (a) done w1");
    // Where it is not there, scp makes a directory of that name from the first that it is sent.
    assert_eq!(told("scp -t /srv/in/")[1], "close /srv/in/ (a) done w1");
    assert_eq!(told("scp -t /srv/in/.")[1], "close /srv/in/./a done w1");
    assert_eq!(told("scp -t .")[1], "close ./a done w1");
}

#[test]
fn a_file_that_is_read_is_the_one_that_was_asked_for() {
    let all = [OK, Source(b"C0644 3 log\n"), OK, Source(b"abc\0"), OK];
    let told = |line: &str| Scene::all(line, &all).told();
    assert_eq!(told("scp -f /var/log")[1], "close /var/log done r3");
    assert_eq!(told("scp -f '/var/log/'")[1], "close /var/log/ done r3");
    assert_eq!(told("scp -f /var/l*")[1], "close /var/l* (log) done r3");
}

#[test]
fn failures_of_both_ends_are_told() {
    let scene = Scene::all(
        "scp -t -d /srv/in",
        &[
            OK,
            Source(b"\x01scp: gone: No such file\n"),
            Source(b"C0644 1 no\n"),
            Sink(b"\x01scp: /srv/in/no: Permission denied\n"),
            Source(b"C0644 4 half\n"),
            OK,
            Source(b"abcd\x01read error\n"),
            Sink(b"\x01scp: /srv/in/half: No space\n"),
        ],
    );
    let want = [
        "open /srv/in failed scp: gone: No such file",
        "open /srv/in/no failed scp: /srv/in/no: Permission denied",
        "open /srv/in/half done",
        "close /srv/in/half failed read error; scp: /srv/in/half: No space w4",
    ];
    assert_eq!(scene.told(), want);
}

/// A complaint is two bytes and waits for no answer.
#[test]
fn a_chunk_full_of_complaints_leaves_others_their_turns() {
    let yes = |_: &[Result<String, Vague>]| Ok(());
    for judge in [None, Some(&yes as Judge<'_>)] {
        let mut scene = Scene::of("scp -t /srv/in/.");
        scene.take(OK, judge);
        let said = b"\x01\n".repeat(1_000);
        let (mut rest, mut turns) = (Bytes::from(said.clone()), 0);
        while !rest.is_empty() {
            let followed = scene.scp.source(rest, judge);
            let told = followed.operations.len();
            assert!(told <= 32, "{told} at once");
            assert_eq!(followed.stop, None);
            scene.passed.extend(followed.pieces.concat());
            rest = followed.rest;
            turns += 1;
        }
        assert!((31..40).contains(&turns), "{turns}");
        assert_eq!(&scene.passed[1..], said, "in the order in which it came");
    }
}

#[test]
fn what_is_told_again_and_again_is_short_however_long_the_command_is() {
    let long = format!("scp -t /{}", "a".repeat(120_000));
    let scene = Scene::all(&long, &[OK, Source(b"\x01\n\x02no\n")]);
    let sizes: Vec<usize> = scene.said.iter().map(Operation::size).collect();
    assert!(sizes.iter().all(|size| *size < 1024), "{sizes:?}");
    assert!(
        scene.told()[0].contains("aaa... failed"),
        "{:?}",
        scene.told()
    );
    let scene = Scene::all(&long, &[OK, Source(b"C0644 1 b\n"), OK, Source(b"x\0"), OK]);
    let sizes: Vec<usize> = scene.said.iter().map(Operation::size).collect();
    assert!(sizes.iter().all(|size| *size < 5_000), "{sizes:?}");
    // What a target can open is told whole.
    let whole = format!("/srv/{}", "a".repeat(4_000));
    let scene = Scene::all(&format!("scp -t {whole}"), &[OK, Source(b"C0644 1 b\n")]);
    assert_eq!(&*scene.said[0].path, whole.as_bytes());
}

#[test]
fn what_is_not_over_at_the_end_is_told() {
    let mut scene = Scene::all(
        "scp -t -d /srv/in",
        &[OK, Source(b"C0644 9 a\n"), OK, Source(b"half")],
    );
    let left = scene.scp.finish();
    scene.said.extend(left);
    assert_eq!(scene.told()[1], "close /srv/in/a unanswered w4");
}

/// CVE-2018-20685, CVE-2019-6111: a source that sends other names than it was asked for.
#[test]
fn a_name_that_leads_elsewhere_is_told_and_not_allowed() {
    for (name, what) in [
        ("../../.ssh/authorized_keys", "a name that leads elsewhere"),
        ("..", "a name that leads elsewhere"),
        (".", "a name that leads elsewhere"),
        ("/etc/passwd", "a name that leads elsewhere"),
        (".bashrc", "not what was asked for"),
    ] {
        let record = format!("C0644 1 {name}\n");
        let mut scene = Scene::of("scp -f /var/log/app.log");
        scene.take(OK, None);
        assert_eq!(scene.take(Source(record.as_bytes()), None), None);
        assert!(scene.said[0].detail.contains(what), "{:?}", scene.said);
        let mut scene = Scene::of("scp -f /var/log/app.log");
        scene.take(OK, None);
        let judge = |places: &[Result<String, Vague>]| match places {
            [Err(_)] => Err(Words::new("TG622", "no")),
            other => panic!("{other:?}"),
        };
        let stop = scene.take(Source(record.as_bytes()), Some(&judge));
        assert!(matches!(stop, Some(Stop::Refused(_))), "{stop:?}");
        assert_eq!(scene.passed, b"\0", "only the other's answer has passed");
    }
}

#[test]
fn what_is_not_allowed_never_passes_and_a_line_waits_until_it_is_whole() {
    let judge = |places: &[Result<String, Vague>]| {
        let bad = |place: &Result<String, Vague>| place.as_deref() != Ok("/srv/in/ok");
        if places.iter().any(bad) {
            Err(Words::new("TG621", "no"))
        } else {
            Ok(())
        }
    };
    let mut scene = Scene::of("scp -t /srv/in/.");
    scene.take(OK, None);
    assert_eq!(scene.take(Source(b"C0644 2 o"), Some(&judge)), None);
    assert_eq!(scene.passed, b"\0");
    assert_eq!(scene.take(Source(b"k\n"), Some(&judge)), None);
    assert_eq!(scene.passed, b"\0C0644 2 ok\n");
    for says in [OK, Source(b"ab\0"), OK] {
        assert_eq!(scene.take(says, Some(&judge)), None);
    }
    let before = scene.passed.len();
    let stop = scene.take(Source(b"C0644 2 other\n"), Some(&judge));
    assert!(matches!(stop, Some(Stop::Refused(_))), "{stop:?}");
    assert_eq!(scene.passed.len(), before);
    assert_eq!(scene.told().last().unwrap(), "open /srv/in/./other refused");
}

#[test]
fn policy_is_asked_about_every_place_that_a_file_may_come_to() {
    let asked = |line: &str, all: &[Says<'_>]| {
        let places = std::cell::RefCell::new(Vec::new());
        let judge = |asked: &[Result<String, Vague>]| {
            places.borrow_mut().extend_from_slice(asked);
            Ok(())
        };
        let mut scene = Scene::of(line);
        for says in all {
            assert_eq!(scene.take(*says, Some(&judge)), None);
        }
        let places = places.into_inner().into_iter();
        places.map(Result::unwrap).collect::<Vec<_>>()
    };
    let tree = [OK, Source(b"D0755 0 d\n"), OK, Source(b"C0644 1 a\n")];
    assert_eq!(
        asked("scp -r -t /srv/in", &tree),
        ["/srv/in/d", "/srv/in", "/srv/in/d/a", "/srv/in/a"]
    );
    assert_eq!(asked("scp -r -t in/.", &tree), ["~/in/d", "~/in/d/a"]);
    assert_eq!(asked("scp -r -f /srv/d", &tree), ["/srv/d/", "/srv/d/a"]);
}

#[track_caller]
fn check_lost(all: &[Says<'_>], want: Lost) {
    let mut scene = Scene::of("scp -t /srv/in");
    let stop = all.iter().find_map(|says| scene.take(*says, None));
    assert_eq!(stop, Some(Stop::Lost(want)), "{all:?}");
    let came = all.iter().flat_map(|says| match says {
        Source(bytes) | Sink(bytes) => bytes.to_vec(),
    });
    assert_eq!(scene.passed, came.collect::<Vec<_>>(), "all of it passed");
}

#[test]
fn what_is_no_scp_is_followed_no_further_and_passes() {
    check_lost(&[Source(b"C0644 1 a\n")], Lost::Turn);
    check_lost(&[Sink(b"Welcome to web1\n")], Lost::Line);
    check_lost(&[OK, Sink(b"\0")], Lost::Turn);
    for line in [
        "",
        "X",
        "C",
        "C0644",
        "C0644 1",
        "C064 1 a",
        "C0844 1 a",
        "C0644 x a",
        "C0644 -1 a",
        "C0644 99999999999999999999 a",
        "C0644  1 a",
        "D0755 0",
        "E1",
        "T1 2 3",
        "T1 2 3 4 5",
        "T1 2 3 x",
    ] {
        let line = format!("{line}\n");
        check_lost(&[OK, Source(line.as_bytes())], Lost::Line);
    }
    check_lost(&[OK, Source(b"E\n")], Lost::Nested);
    // OpenSSH before 9.3 reads 2,047 bytes as a line, and the rest as the next.
    let long = [
        b"\x01".to_vec(),
        vec![b'a'; 2046],
        b"C0600 1 evil\n".to_vec(),
    ]
    .concat();
    check_lost(&[OK, Source(&long)], Lost::Long);
    let mut scene = Scene::of("scp -r -t /srv/in");
    scene.take(OK, None);
    let nested = (0..1000).find_map(|_| {
        scene.take(Source(b"D0755 0 d\n"), None);
        scene.take(OK, None)
    });
    assert_eq!(nested, Some(Stop::Lost(Lost::Nested)));
}

proptest! {
    #[test]
    fn however_it_is_cut_the_bytes_pass_and_the_same_is_told(
        sizes in prop::collection::vec(1..9_usize, 1..60),
        judged in any::<bool>(),
    ) {
        let whole = Scene::all("scp -r -p -d -t /srv/in", &UPLOAD);
        let mut cut = Scene::of("scp -r -p -d -t /srv/in");
        let yes = |_: &[Result<String, Vague>]| Ok(());
        let judge = judged.then_some(&yes as Judge<'_>);
        let mut sizes = sizes.iter().cycle();
        for says in UPLOAD {
            let (mut rest, is_source) = match says {
                Source(bytes) => (bytes, true),
                Sink(bytes) => (bytes, false),
            };
            while !rest.is_empty() {
                let (now, later) = rest.split_at(rest.len().min(*sizes.next().unwrap()));
                let says = if is_source { Source(now) } else { Sink(now) };
                prop_assert_eq!(cut.take(says, judge), None);
                rest = later;
            }
        }
        prop_assert_eq!(cut.told(), whole.told());
        prop_assert_eq!(cut.passed, whole.passed);
    }

    #[test]
    fn nothing_makes_it_panic_and_it_holds_little(
        said in prop::collection::vec((any::<bool>(), prop::collection::vec(any::<u8>(), 0..40)), 0..40),
    ) {
        let mut scene = Scene::of("scp -r -t /srv/in");
        for (is_source, bytes) in &said {
            let says = if *is_source { Source(bytes) } else { Sink(bytes) };
            if scene.take(says, None).is_some() {
                break;
            }
        }
        scene.scp.finish();
    }
}
