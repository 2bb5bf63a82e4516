//! Tests of what is known of rsync's command lines and streams. The streams are those of rsync 3.5.0.

mod streams;

use super::*;
use crate::ssh::files::command::FileCommand;

pub(super) fn invocation(line: &str) -> Invocation {
    match FileCommand::of(line.as_bytes()) {
        Some(FileCommand::Rsync(invocation)) => invocation,
        other => panic!("{other:?}"),
    }
}

#[track_caller]
fn check(line: &str, sends: bool, trees: &[&str], odd: Option<&str>) {
    let wants = invocation(line).wants();
    assert_eq!(wants.sends, sends);
    let got = wants.trees.into_iter().map(Result::unwrap);
    assert_eq!(got.collect::<Vec<_>>(), trees, "{line}");
    assert_eq!(wants.odd.as_deref(), odd, "{line}");
}

#[test]
fn direction_and_paths_are_known() {
    check(
        "rsync --server -vrtOe.LsfxCIvu . /srv/in/",
        false,
        &["/srv/in/"],
        None,
    );
    check(
        "rsync --server --sender -vlogDtpre.iLsfxCIvu . /var/log/a b",
        true,
        &["/", "~"],
        None,
    );
    check("rsync --server -re.LsfxCIvu . ~/a", false, &["~/a"], None);
}

/// With `src/` at the client's end, the directory gets what `src` has.
#[test]
fn a_directory_that_gets_modes_times_or_owners_is_asked_about_itself() {
    for options in [
        "-rpe.Ls",
        "-rte.Ls",
        "-roe.Ls",
        "-rge.Ls",
        "-rEe.Ls",
        "-rUe.Ls",
        "-rNe.Ls",
        "-rptOe.Ls",
        "-rOUe.Ls",
        "-r -p",
    ] {
        for into in ["/srv/in/", "/srv/in/."] {
            let line = format!("rsync --server {options} . {into}");
            check(&line, false, &["/srv/in"], None);
        }
    }
    // What stands behind `e`, or in a word, is none of them.
    for options in ["-re.Lstp", "-rtOe.Ls", "-re.Ls --partial", "-rcue.Ls"] {
        let line = format!("rsync --server {options} . /srv/in/");
        check(&line, false, &["/srv/in/"], None);
    }
}

#[test]
fn what_touches_other_things_or_makes_links_is_odd() {
    for (options, odd) in [
        ("-rlOte.LsfxCIvu", "-rlOte.LsfxCIvu"),
        ("-rDe.Ls", "-rDe.Ls"),
        ("-rRe.Ls", "-rRe.Ls"),
        ("-rme.Ls", "-rme.Ls"),
        ("-rsfe.Ls", "-rsfe.Ls"),
        // What was there is called `name~` then.
        ("-rbe.Ls", "-rbe.Ls"),
        ("-re.Ls --log-file=/etc/x", "--log-file=/etc/x"),
        ("-re.Ls --link-dest=/etc", "--link-dest=/etc"),
        ("-re.Ls --delete", "--delete"),
        (
            "-re.Ls --files-from=/etc/passwd",
            "--files-from=/etc/passwd",
        ),
        ("--daemon", "--daemon"),
        // Takes the next word, whatever it is.
        ("-re", "-re"),
        ("-r -", "-"),
    ] {
        check(
            &format!("rsync --server {options} . /srv/in/"),
            false,
            &["/srv/in/"],
            Some(odd),
        );
    }
    let line = "rsync --server --sender -rbe.Ls . /srv/in/";
    check(line, true, &["/", "~"], None);
    let line = "rsync --server --sender -re.Ls --remove-source-files . /srv/in/";
    check(line, true, &["/", "~"], Some("--remove-source-files"));
}

#[test]
fn a_line_that_names_nothing_for_sure_wants_what_nobody_has() {
    for line in [
        "rsync --server -re.Ls . --sender /etc/secret/",
        "rsync --server -r . --log-file=/etc/x -b a",
        "rsync --server -re.Ls . /srv/in; id",
        "rsync --server -re.Ls /srv/in",
        "rsync --server -re.Ls .",
        "rsync --server -re.Ls . /srv/*",
        "/tmp/rsync --server -re.Ls . /srv/in",
        "rsync --server -re.Ls . /srv/in/../..",
    ] {
        let wants = invocation(line).wants();
        assert!(wants.trees.iter().any(Result::is_err), "{line}");
    }
}

#[test]
fn its_streams_are_counted_and_digested() {
    let (mut rsync, _) = Rsync::begin(invocation("rsync --server -re.Ls . /srv/in"));
    rsync.take(true, b"ab");
    rsync.take(true, b"c");
    rsync.take(false, b"");
    rsync.exited(0);
    let outcome = rsync.finish().pop().and_then(|told| told.outcome).unwrap();
    assert_eq!((outcome.written.bytes, outcome.read.bytes), (3, 0));
    // Of `abc`.
    let digest = outcome.written.digest.unwrap();
    assert_eq!(digest[..4], [0xba, 0x78, 0x16, 0xbf]);
    assert_eq!(outcome.read.digest, None, "an empty piece is none");
}
