//! What is told of conversations that passed between two rsyncs, and of such as never did.

use recorder::{FileResult, Frame};

use super::invocation;
use crate::fuzzing::turns;
use crate::ssh::files::operation::Operation;
use crate::ssh::files::rsync::Rsync;

/// One that passed, as the fuzz target has it.
fn passed(name: &str) -> (String, Vec<u8>) {
    let corpus = concat!(
        env!("CARGO_MANIFEST_DIR"),
        "/../tests/fuzz/corpus/rsync_stream/"
    );
    let input = std::fs::read(format!("{corpus}{name}")).unwrap();
    let mut parts = input.splitn(2, |byte| *byte == b'\n').map(<[u8]>::to_vec);
    let line = String::from_utf8(parts.next().unwrap()).unwrap();
    (line, parts.next().unwrap())
}

/// What is told of it, a line for each operation that has an outcome.
fn told(line: &str, stream: &[u8]) -> Vec<String> {
    let (mut rsync, _begun) = Rsync::begin(invocation(line));
    let mut told = Vec::new();
    for turn in turns(stream) {
        for piece in turn.pieces {
            told.extend(rsync.take(turn.from_client, piece).1);
        }
    }
    rsync.exited(0);
    told.extend(rsync.finish());
    told.iter().filter_map(shown).collect()
}

fn shown(operation: &Operation) -> Option<String> {
    let Frame::File(file) = operation.frame(0) else {
        return None;
    };
    let outcome = file.outcome?;
    let result = match outcome.result {
        FileResult::Done => "done".to_owned(),
        FileResult::Failed { message, .. } => format!("failed, {message}"),
        FileResult::Refused => "refused".to_owned(),
        FileResult::Unanswered => "unanswered".to_owned(),
    };
    let (path, to) = (file.path.to_vec(), file.to.to_vec());
    let path = [path, to]
        .map(|path| String::from_utf8_lossy(&path).into_owned())
        .concat();
    let bytes = outcome.read.bytes.max(outcome.written.bytes);
    let digest = outcome.read.digest.or(outcome.written.digest);
    let digest = digest.map(|digest| policies::hex(&digest[..4]));
    let detail = file.detail;
    let digest = digest.unwrap_or_default();
    Some(format!(
        "{} {path} ({detail}) {result} {bytes} {digest}",
        file.action
    ))
}

#[track_caller]
fn check(name: &str, want: &[&str]) {
    let (line, stream) = passed(name);
    let told = told(&line, &stream);
    let (last, files) = told.split_last().unwrap();
    let files: Vec<&str> = files.iter().map(String::as_str).collect();
    assert_eq!(files, want);
    assert!(last.starts_with("rsync "), "{last}");
    assert!(last.contains(" files passed"), "{last}");
}

#[test]
fn new_files_are_told_with_their_digests() {
    check(
        "up",
        &[
            "transfer /srv/dst/a (write mode=644 size=6) done 6 5891b5b5",
            "mkdir /srv/dst/d1 (write mode=755 changes=new) unanswered 0 ",
            "symlink /srv/dst/d1/link (write mode=777 changes=contents+new, to \"../a\") done 0 ",
            "mkdir /srv/dst/d1/deep (write mode=755 changes=new) unanswered 0 ",
            "mkdir /srv/dst/d2 (write mode=755 changes=new) unanswered 0 ",
            "transfer /srv/dst/d1/new\nline (write mode=644 size=2) done 2 18436534",
            "transfer /srv/dst/d1/nothing (write mode=644 size=0) done 0 e3b0c442",
            "transfer /srv/dst/d1/deep/x (write mode=644 size=1) done 1 2d711642",
            "transfer /srv/dst/d2/grüße (write mode=644 size=1) done 1 0bfe935e",
        ],
    );
}

#[test]
fn of_a_changed_file_what_passed_is_told_and_what_is_deleted() {
    check(
        "changed",
        &[
            "remove /srv/dst/gone/f () done 0 ",
            "rmdir /srv/dst/gone () done 0 ",
            "setstat /srv/dst/ (write mode=755 changes=time) unanswered 0 ",
            "transfer /srv/dst/a (write mode=644 size=2692, 2 blocks of what was there) done 1292 ",
            "setstat /srv/dst/d1/deep/x (write mode=600 size=1 changes=mode) unanswered 0 ",
        ],
    );
}

#[test]
fn a_file_that_could_not_be_read_has_failed() {
    check(
        "unread",
        &[
            "opendir /srv/src/ (read mode=755 changes=new) unanswered 0 ",
            "opendir /srv/src/d1 (read mode=755 changes=new) unanswered 0 ",
            "readlink /srv/src/d1/link (read mode=777 changes=contents+new, to \"../a\") unanswered 0 ",
            "opendir /srv/src/d1/deep (read mode=755 changes=new) unanswered 0 ",
            "opendir /srv/src/d2 (read mode=755 changes=new) unanswered 0 ",
            "transfer /srv/src/closed (read mode=0 size=3) failed, it was not sent 0 ",
            "transfer /srv/src/d1/deep/x (read mode=600 size=1) failed, it was not sent 0 ",
            "transfer /srv/src/a (read mode=644 size=6) done 6 5891b5b5",
            "transfer /srv/src/d1/new\nline (read mode=644 size=2) done 2 18436534",
            "transfer /srv/src/d1/nothing (read mode=644 size=0) done 0 e3b0c442",
            "transfer /srv/src/d2/grüße (read mode=644 size=1) done 1 0bfe935e",
        ],
    );
}

#[test]
fn what_is_compressed_is_counted() {
    check(
        "squeezed",
        &[
            "opendir /srv/src (read mode=755 changes=new) unanswered 0 ",
            "transfer /srv/src/a (read mode=644 size=6, counted as it passed, compressed by zstd) done 15 ",
            "opendir /srv/src/d1 (read mode=755 changes=new) unanswered 0 ",
            "readlink /srv/src/d1/link (read mode=777 changes=contents+new, to \"../a\") unanswered 0 ",
            "opendir /srv/src/d1/deep (read mode=755 changes=new) unanswered 0 ",
            "opendir /srv/src/d2 (read mode=755 changes=new) unanswered 0 ",
            "transfer /srv/src/d1/new\nline (read mode=644 size=2, counted as it passed, compressed by zstd) done 5 ",
            "transfer /srv/src/d1/nothing (read mode=644 size=0, counted as it passed, compressed by zstd) done 0 ",
            "transfer /srv/src/d1/deep/x (read mode=600 size=1, counted as it passed, compressed by zstd) done 4 ",
            "transfer /srv/src/d2/grüße (read mode=644 size=1, counted as it passed, compressed by zstd) done 4 ",
        ],
    );
}

#[test]
fn lists_that_come_whole_are_understood_with_checksums_and_access_lists() {
    check(
        "listed",
        &[
            "mkdir /srv/dst4/ (write mode=755 changes=new) unanswered 0 ",
            "mkdir /srv/dst4/d1 (write mode=755 changes=new) unanswered 0 ",
            "symlink /srv/dst4/d1/link (write mode=777 changes=contents+new, to \"../a\") done 0 ",
            "mkdir /srv/dst4/d1/deep (write mode=755 changes=new) unanswered 0 ",
            "mkdir /srv/dst4/d2 (write mode=755 changes=new) unanswered 0 ",
            "transfer /srv/dst4/d1/new\nline (write mode=644 size=2) done 2 18436534",
            "transfer /srv/dst4/d1/nothing (write mode=644 size=0) done 0 e3b0c442",
            "transfer /srv/dst4/d1/deep/x (write mode=600 size=1) done 1 2d711642",
            "transfer /srv/dst4/d2/grüße (write mode=644 size=1) done 1 0bfe935e",
            "transfer /srv/dst4/d2/hard (write mode=644 size=6) done 6 5891b5b5",
            "link /srv/dst4/a (write mode=644 size=6 changes=new, to \"d2/hard\") done 0 ",
        ],
    );
}

#[test]
fn one_file_under_two_names_is_sent_once() {
    check(
        "linked",
        &[
            "mkdir /srv/dst5/ (write mode=755 changes=new) unanswered 0 ",
            "mkdir /srv/dst5/d1 (write mode=755 changes=new) unanswered 0 ",
            "symlink /srv/dst5/d1/link (write mode=777 changes=contents+new, to \"../a\") done 0 ",
            "mkdir /srv/dst5/d1/deep (write mode=755 changes=new) unanswered 0 ",
            "mkdir /srv/dst5/d2 (write mode=755 changes=new) unanswered 0 ",
            "transfer /srv/dst5/d1/new\nline (write mode=644 size=2) done 2 18436534",
            "transfer /srv/dst5/d1/nothing (write mode=644 size=0) done 0 e3b0c442",
            "transfer /srv/dst5/d1/deep/x (write mode=600 size=1) done 1 2d711642",
            "transfer /srv/dst5/d2/grüße (write mode=644 size=1) done 1 0bfe935e",
            "transfer /srv/dst5/d2/hard (write mode=644 size=6) done 6 5891b5b5",
            "link /srv/dst5/a (write mode=644 size=6 changes=new, to \"d2/hard\") done 0 ",
        ],
    );
}

#[test]
fn a_file_that_has_arrived_is_told_where_its_source_hears_of_it() {
    check(
        "removed",
        &[
            "mkdir /srv/dst6/ (write mode=755 changes=new) unanswered 0 ",
            "transfer /srv/dst6/grüße (write mode=644 size=1) done 1 0bfe935e",
            "transfer /srv/dst6/hard (write mode=644 size=6) done 6 5891b5b5",
            "close /srv/dst6/grüße (the receiver has it whole) done 0 ",
            "close /srv/dst6/hard (the receiver has it whole) done 0 ",
        ],
    );
}

/// Whatever bit is turned, it is told of once, and in the end the streams are.
#[test]
fn who_says_what_rsync_does_not_say_is_followed_no_further() {
    for name in ["up", "squeezed"] {
        let (line, stream) = passed(name);
        for at in 0..stream.len() {
            for turned in [1, 0x80] {
                let mut odd = stream.clone();
                odd[at] ^= turned;
                let told = told(&line, &odd);
                let lost = told
                    .iter()
                    .filter(|one| one.contains("told apart no further"));
                assert!(lost.count() <= 1, "{told:?}");
                assert!(told.last().unwrap().starts_with("rsync "), "{told:?}");
            }
        }
    }
}

#[test]
fn contents_that_have_not_passed_whole_have_no_digest() {
    let (line, stream) = passed("up");
    let begun = "transfer /srv/dst/a (write mode=644 size=6) unanswered 3 ";
    let cut = |end: usize| told(&line, &stream[..end]);
    assert!((0..stream.len()).any(|end| cut(end).iter().any(|one| one == begun)));
}

#[test]
fn an_old_protocol_is_no_longer_told_apart() {
    let line = "rsync --server -re.Ls . /srv/in/";
    // Both ends say which they speak.
    let told = told(line, &[3, 29, 0, 0, 0, 0x83, 29, 0, 0, 0, 0x80, 1]);
    let want =
        "rsync  () failed, its files are told apart no further, the target sent protocol 29 0 ";
    assert_eq!(told.first().map(String::as_str), Some(want));
    assert!(
        told[1].contains("its streams, not all of its files"),
        "{told:?}"
    );
}

/// An old greeting: protocol 31, no flags, nothing to agree on.
const GREETING: [(bool, &[u8]); 3] = [
    (true, &[31, 0, 0, 0]),
    (false, &[31, 0, 0, 0]),
    (false, &[0, 9, 9, 9, 9]),
];

/// A list with one file in it, `a`.
const LIST: &[u8] = &[1, 1, b'a', 0, 3, 0, 0, 0, 0, 0, 0xa4, 0x81, 0, 0, 0];

/// In a frame of this kind.
fn framed(kind: u8, bytes: &[u8]) -> Vec<u8> {
    let length = u32::try_from(bytes.len()).unwrap().to_le_bytes();
    [&length[..3], &[7_u8.saturating_add(kind)], bytes].concat()
}

/// What is told first of a conversation that goes on like this behind the greeting and a list.
#[track_caller]
fn check_behind(from_client: bool, bytes: &[u8], want: &str) {
    check_listed(LIST, from_client, bytes, want);
}

/// The same behind this list.
#[track_caller]
fn check_listed(list: &[u8], from_client: bool, bytes: &[u8], want: &str) {
    let line = "rsync --server -re.Ls . /srv/in/";
    let (mut rsync, _begun) = Rsync::begin(invocation(line));
    let list = framed(0, list);
    let mut told = Vec::new();
    let parts = GREETING
        .into_iter()
        .chain([(true, &list[..]), (from_client, bytes)]);
    for (from_client, part) in parts {
        told.extend(rsync.take(from_client, part).1);
        assert!(rsync.weight() < 1024, "{} held", rsync.weight());
    }
    told.extend(rsync.finish());
    let told: Vec<String> = told.iter().filter_map(shown).collect();
    assert!(told[0].contains(want), "`{want}` in {told:?}");
}

#[test]
fn giant_numbers_are_not_believed() {
    let sums = |count: i32, length: i32| {
        let head = [count, 700, length, 0].map(i32::to_le_bytes).concat();
        framed(0, &[&[1, 0, 0x80], head.as_slice()].concat())
    };
    // As many checksums as there can be: they may come, and are not waited for.
    check_behind(false, &sums(i32::MAX, 16), "0 files passed");
    check_behind(false, &sums(-1, 16), "sent checksums that no file has");
    check_behind(false, &sums(1, 17), "sent checksums that no file has");
    check_behind(
        false,
        &framed(0, &[2, 0, 0x80]),
        "sent the number of no file",
    );
    check_behind(true, &[0xff, 0xff, 0xff, 8], "longer than rsync has it");
    check_behind(true, &framed(0, &[0xff, 101]), "sent the number of no file");
    check_behind(
        true,
        &framed(0, &[0xfe, 0xff, 0xff, 0xff, 0xff, 0, 0]),
        "the number of no file",
    );
    // Three gibibytes of contents, of which none come.
    let head = [0, 0, 0, 0, i32::MAX].map(i32::to_le_bytes).concat();
    let begins = framed(0, &[&[1, 0, 0x80], head.as_slice()].concat());
    check_behind(
        true,
        &begins,
        "transfer /srv/in/a (write mode=644 size=3) unanswered 0 ",
    );
    // A block of a file that the other end does not have.
    let head = [0, 0, 0, 0, -1].map(i32::to_le_bytes).concat();
    let block = framed(0, &[&[1, 0, 0x80], head.as_slice()].concat());
    check_behind(
        true,
        &block,
        "transfer /srv/in/a (write mode=644 size=3) unanswered 0 ",
    );
}

/// A file's number, that its contents pass, and how many blocks of it there are.
fn begins(number: &[u8], blocks: i32) -> Vec<u8> {
    let head = [blocks, 700, 2, 0].map(i32::to_le_bytes).concat();
    [number, &[0, 0x80], head.as_slice()].concat()
}

/// Three bytes of contents, the end of them, and their checksum.
const CONTENTS: &[u8] = &[
    3, 0, 0, 0, b'a', b'b', b'c', 0, 0, 0, 0, 1, 2, 3, 4, 5, 6, 7, 8, 9, 10, 11, 12, 13, 14, 15, 16,
];

#[test]
fn contents_that_no_receiver_takes_are_not_told_of() {
    let passes = |before: &[u8], number: u8| {
        let begins = begins(&[number], 0);
        framed(0, &[before, begins.as_slice(), CONTENTS].concat())
    };
    let (none, whole) = ("sent the number of no file", "done 3 ba7816bf");
    // In the last of three phases.
    check_behind(true, &passes(&[], 1), whole);
    check_behind(true, &passes(&[0], 1), whole);
    check_behind(true, &passes(&[0, 0], 1), none);
    // Of a directory, a link and a fifo.
    for kind in [0x41, 0xa1, 0x11] {
        let mut list = LIST.to_vec();
        list[11] = kind;
        check_listed(&list, true, &passes(&[], 1), none);
    }
    // Of a name that was there before.
    let (end, one) = LIST.split_last().unwrap();
    let twice = [one, one, &[*end]].concat();
    check_listed(&twice, true, &passes(&[], 1), whole);
    check_listed(&twice, true, &passes(&[], 2), none);
}

#[test]
fn what_is_appended_has_no_digest_of_its_own_however_often_it_is_sent() {
    let line = "rsync --server -re.Ls --append . /srv/in/";
    let (mut rsync, _begun) = Rsync::begin(invocation(line));
    let list = framed(0, LIST);
    let passes = |number: &[u8], blocks: i32| {
        let begins = begins(number, blocks);
        framed(0, &[begins.as_slice(), CONTENTS].concat())
    };
    let (first, again) = (passes(&[1], 1), passes(&[0xfe, 0, 0], 1));
    // Of this there was nothing.
    let whole = passes(&[0xfe, 0, 0], 0);
    let mut told = Vec::new();
    let parts = [&list, &first, &again, &whole].map(|part| (true, part.as_slice()));
    for (from_client, part) in GREETING.into_iter().chain(parts) {
        told.extend(rsync.take(from_client, part).1);
    }
    let told: Vec<String> = told.iter().filter_map(shown).collect();
    let want = [
        "transfer /srv/in/a (write mode=644 size=3, appended to what was there) done 3 ",
        "transfer /srv/in/a (write mode=644 size=3, once more, appended to what was there) done 3 ",
        "transfer /srv/in/a (write mode=644 size=3, once more) done 3 ba7816bf",
    ];
    assert_eq!(told, want);
}

#[test]
fn a_chunk_full_of_deleted_names_leaves_others_their_turns() {
    let (mut rsync, _begun) = Rsync::begin(invocation("rsync --server -re.Ls . /srv/in/"));
    for (from_client, part) in GREETING {
        rsync.take(from_client, part);
    }
    let chunk = framed(101, b"x").repeat(6000);
    let (mut rest, mut turns, mut count) = (chunk.as_slice(), 0, 0);
    while !rest.is_empty() {
        let (taken, told) = rsync.take(false, rest);
        assert!(told.len() < 1024, "{} at once", told.len());
        count += told.len();
        turns += 1;
        rest = &rest[taken..];
    }
    assert_eq!(count, 6000);
    assert!(turns > 10, "{turns}");
}

/// What is told of what the client says behind the greeting and a list of a target that sends.
#[track_caller]
fn check_download(options: &str, message: &[u8], want: &[&str]) {
    let line = format!("rsync --server --sender {options} . /srv/out/");
    let (mut rsync, _begun) = Rsync::begin(invocation(&line));
    let (list, rules) = (framed(0, LIST), framed(0, &[0; 4]));
    let parts = [(true, rules.as_slice()), (false, &list), (true, message)];
    let mut told = Vec::new();
    for (from_client, part) in GREETING.into_iter().chain(parts) {
        told.extend(rsync.take(from_client, part).1);
    }
    told.extend(rsync.finish());
    let told: Vec<String> = told.iter().filter_map(shown).collect();
    let (end, files) = told.split_last().unwrap();
    let (closing, before) = want.split_last().unwrap();
    assert_eq!(files, before, "{told:?}");
    assert!(end.contains(closing), "{told:?}");
}

#[test]
fn a_client_that_gets_files_says_nothing_of_the_targets() {
    let whole = ["0 files passed"];
    check_download("-re.Ls", &framed(101, b"a"), &whole);
    check_download("-re.Ls", &framed(100, &[0; 4]), &whole);
    check_download("-re.Ls", &framed(22, &[1, 0, 0, 0]), &whole);
    let arrived = "remove /srv/out/a (the receiver has it whole) unanswered 0 ";
    let options = "-re.Ls --remove-source-files";
    check_download(options, &framed(100, &[0; 4]), &[arrived, whole[0]]);
    let ended = framed(86, &[12, 0, 0, 0]);
    let want = ["0 files passed, the client ended with error 12)"];
    check_download("-re.Ls", &ended, &want);
    let item = framed(0, &[1, 0, 0x20]);
    let stat = "stat /srv/out/a (read mode=644 size=3 changes=new) unanswered 0 ";
    check_download("-re.Ls", &item, &[stat, whole[0]]);
}

#[test]
fn what_makes_work_and_tells_nothing_leaves_others_their_turns() {
    let (mut rsync, _begun) = Rsync::begin(invocation("rsync --server -re.Ls . /srv/in/"));
    for (from_client, part) in GREETING {
        rsync.take(from_client, part);
    }
    rsync.worked();
    // A name of 3,000 bytes that comes in frames of a byte each, so that all of it is looked at with each.
    let name = framed(0, &[0x40 | 1, 0x8b, 0xb8]);
    let chunk = [name, framed(0, b"x").repeat(2000)].concat();
    let (mut rest, mut turns) = (chunk.as_slice(), 0);
    while !rest.is_empty() {
        let (taken, told) = rsync.take(true, rest);
        assert!(taken > 0 && told.is_empty(), "{told:?}");
        let worked = rsync.worked();
        assert!(worked < 128 * 1024, "{worked} at once");
        turns += 1;
        rest = &rest[taken..];
    }
    assert!(turns > 10, "{turns}");
}

#[test]
fn the_recording_does_not_outgrow_what_passes() {
    let line = format!("rsync --server -re.Ls . /srv/{}/", "in".repeat(1000));
    let (mut rsync, _begun) = Rsync::begin(invocation(&line));
    for (from_client, part) in GREETING {
        rsync.take(from_client, part);
    }
    let chunk = framed(101, b"x").repeat(20_000);
    let (mut rest, mut said, mut told) = (chunk.as_slice(), 0, Vec::new());
    while !rest.is_empty() {
        let (taken, more) = rsync.take(false, rest);
        said += more.iter().map(Operation::size).sum::<usize>();
        told.extend(more);
        rest = &rest[taken..];
    }
    assert!(told.iter().all(|one| one.path.len() < 300));
    let most = chunk.len() * 16 + 1024 * 1024;
    assert!(said < most + 64 * 1024, "{said} of {most}");
    let last = told.last().and_then(shown).unwrap();
    assert!(last.contains("the target sent far less than"), "{last}");
}
