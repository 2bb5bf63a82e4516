//! What is told of several results that end together. What the server does was seen at PostgreSQL 15.

use super::*;

/// Plays `sent` and then each answer: a tag, `!` for an error, `1` and `2`, or the status behind a `Z`. What is told
/// at each end, and the transactions of the outcomes.
#[track_caller]
fn told(play: &mut Play, sent: &str, answers: &[&str]) -> (Vec<String>, String) {
    play.sends(sent);
    let (mut told, mut transactions) = (Vec::new(), String::new());
    for answer in answers {
        let (kind, body) = match *answer {
            "!" => (b'E', "SERROR\0C22012\0Mdivision by zero\0\0".to_owned()),
            "1" => (b'1', String::new()),
            "2" => (b'2', String::new()),
            "G" => (b'G', String::new()),
            ready if ready.starts_with('Z') => (b'Z', ready.trim_start_matches('Z').to_owned()),
            tag => (b'C', format!("{tag}\0")),
        };
        let outcome = play
            .pipeline
            .answered(kind, body.as_bytes(), Duration::ZERO);
        let outcome = outcome.unwrap();
        transactions.extend(outcome.map(|outcome| match outcome.transaction {
            0 => '?',
            status => char::from(status),
        }));
        told.extend(play.pipeline.told());
    }
    (told, transactions)
}

#[track_caller]
fn check(sent: &str, answers: &[&str], want: &[&str], transactions: &str) {
    let got = told(&mut Play::new(), sent, answers);
    assert_eq!((got.0, got.1.as_str()), (as_owned(want), transactions));
}

fn as_owned(lines: &[&str]) -> Vec<String> {
    lines.iter().map(|line| (*line).to_owned()).collect()
}

const INSERT: &str = "INSERT 0 1";

#[test]
fn of_one_result_its_outcome_tells_all() {
    check("PBES", &["1", "2", INSERT, "ZI"], &[], "I");
    check("PBES", &["1", "2", "!", "ZI"], &[], "I");
    check("Q", &[INSERT, "ZT"], &[], "T");
    check("S", &["ZI"], &[], "");
}

#[test]
fn a_batch_that_was_undone_is_told_apart_from_one_that_was_not() {
    check(
        "PBEPBES",
        &["1", "2", INSERT, "1", "2", "!", "ZI"],
        &[
            "1 result of #3, an error of #6; undone with it: 1 result of #3; no transaction is open (I)",
        ],
        "?I",
    );
    check(
        "PBESPBES",
        &["1", "2", INSERT, "ZI", "1", "2", "!", "ZI"],
        &[],
        "II",
    );
    check(
        "PBEPBES",
        &["1", "2", INSERT, "1", "2", INSERT, "ZI"],
        &["2 results of #3 to #6, no error; no transaction is open (I)"],
        "?I",
    );
}

/// A simple query behind it ends a batch as a Sync does.
#[test]
fn a_query_behind_a_batch_fails_with_it_or_undoes_it() {
    check(
        "PBEQ",
        &["1", "2", INSERT, "!", "ZI"],
        &[
            "1 result of #3, an error of #4; undone with it: 1 result of #3; no transaction is open (I)",
        ],
        "?I",
    );
    check(
        "PBEQPBES",
        &["1", "2", INSERT, "SELECT 1", "ZI", "!", "ZI"],
        &["2 results of #3 to #4, no error; no transaction is open (I)"],
        "?II",
    );
}

#[test]
fn statements_of_one_text_are_undone_together() {
    check(
        "Q",
        &[INSERT, "DELETE 5", "!", "ZI"],
        &[
            "2 results of #1, an error of #1; undone with it: 2 results of #1; no transaction is open (I)",
        ],
        "??I",
    );
}

/// As where a constraint is deferred.
#[test]
fn an_error_of_the_commit_undoes_its_own_statement() {
    check(
        "BES",
        &["2", INSERT, "!", "ZI"],
        &[
            "1 result of #2, an error of #2; undone with it: 1 result of #2; no transaction is open (I)",
        ],
        "?I",
    );
}

#[test]
fn what_was_committed_in_a_batch_is_not_undone_with_it() {
    let sent = "BE".repeat(5) + "S";
    let one = |tags: &[&'static str]| {
        let each = tags.iter().flat_map(|tag| ["2", tag]);
        each.collect::<Vec<_>>()
    };
    for ends in ["COMMIT", "ROLLBACK", "PREPARE TRANSACTION"] {
        let mut answers = one(&["BEGIN", INSERT, ends, INSERT, "!"]);
        answers.push("ZI");
        let want = "4 results of #2 to #8, an error of #10; undone with it: 1 result of #8; no transaction is open (I)";
        check(&sent, &answers, &[want], "????I");
    }
    let mut answers = one(&[INSERT, INSERT, INSERT, "COMMIT", "!"]);
    answers.push("ZI");
    let want = "4 results of #2 to #8, an error of #10; nothing else was undone with it; no transaction is open (I)";
    check(&sent, &answers, &[want], "????I");
}

#[test]
fn of_a_transaction_that_is_open_nothing_is_decided() {
    let failed =
        "the transaction that is open has failed (E): nothing of it is kept but by ROLLBACK TO";
    check(
        "BEBES",
        &["2", "BEGIN", "2", "!", "ZE"],
        &[&format!("1 result of #2, an error of #4; {failed}")],
        "?E",
    );
    check(
        "BEBES",
        &["2", "BEGIN", "2", INSERT, "ZT"],
        &["2 results of #2 to #4, no error; a transaction is open (T)"],
        "?T",
    );
}

#[test]
fn a_commit_that_fails_undoes_what_was_open_before() {
    let mut play = Play::new();
    told(&mut play, "Q", &["BEGIN", "ZT"]);
    let (said, transactions) = told(&mut play, "BEBES", &["2", INSERT, "2", "!", "ZI"]);
    let all = "all of the transaction that was open before was undone with it";
    let want = format!("1 result of #3, an error of #5; {all}; no transaction is open (I)");
    assert_eq!((said, transactions.as_str()), (vec![want], "?I"));
    told(&mut play, "Q", &["BEGIN", "ZT"]);
    let (said, _transactions) = told(&mut play, "Q", &["!", "ZI"]);
    let want = format!("no result, an error of #7; {all}; no transaction is open (I)");
    assert_eq!(said, [want]);
}

/// Up to version 17 a CALL in a batch can commit what was sent before it, and then fail. CREATE INDEX CONCURRENTLY and
/// others commit by themselves.
#[test]
fn what_may_have_committed_by_itself_is_not_said_to_be_undone() {
    let doubt = "but for what a CALL, a DO or a command that commits by itself had committed";
    for tag in ["CALL", "DO", "CREATE INDEX", "VACUUM"] {
        let want = format!(
            "2 results of #2 to #4, an error of #6; undone with it: 2 results of #2 to #4, {doubt}; no transaction is \
             open (I)"
        );
        let answers = ["2", INSERT, "2", tag, "2", "!", "ZI"];
        check("BEBEBES", &answers, &[&want], "??I");
    }
    let mut play = Play::new();
    play.pipeline.calls(3);
    let want = |error| {
        let doubt = if error == 4 {
            format!(", {doubt}")
        } else {
            String::new()
        };
        format!(
            "1 result of #2, an error of #{error}; undone with it: 1 result of #2{doubt}; no transaction is open (I)"
        )
    };
    let (said, _) = told(&mut play, "BEBES", &["2", INSERT, "2", "!", "ZI"]);
    assert_eq!(said, [want(4)], "it may be the CALL");
    let mut play = Play::new();
    play.pipeline.calls(3);
    let (said, _) = told(&mut play, "BEPBES", &["2", INSERT, "!", "ZI"]);
    assert_eq!(said, [want(3)], "it never ran");
    let (said, _) = told(&mut play, "Q", &[INSERT, "!", "ZI"]);
    assert!(
        !said.concat().contains(doubt),
        "in one text it cannot commit: {said:?}"
    );
    let mut play = Play::new();
    play.pipeline.calls(5);
    let (said, _) = told(&mut play, "BEBES", &["2", INSERT, "2", "!", "ZI"]);
    assert_eq!(
        said,
        [want(4).replace(&format!(", {doubt}"), "")],
        "it comes behind"
    );
    let (said, _) = told(&mut play, "BEQ", &["2", INSERT, "!", "ZI"]);
    assert!(said.concat().contains(doubt), "{said:?}");
    for (text, want) in [
        (b"call p()".as_slice(), true),
        (b" \n DO $$ begin end $$", true),
        (b"/* x */ call p()", true),
        (b"; call p()", true),
        (b"-- x\ncall p()", true),
        (b"\x0bcall p()", true),
        (b"call", true),
        (b"document", false),
        (b"callous", false),
        (b"double", false),
        (b"insert into t values ('call')", false),
        (b"(select 1)", false),
        (b"", false),
    ] {
        assert_eq!(may_call(text), want, "{}", String::from_utf8_lossy(text));
    }
}

#[test]
fn a_batch_whose_end_was_not_seen_is_told_so() {
    let unseen = "the session ended before the database said where it stands: whether they were kept is not known";
    for (sent, answers, want) in [
        (
            "BE",
            &["2", INSERT][..],
            format!("1 result of #2, no error; {unseen}"),
        ),
        (
            "BEBES",
            &["2", INSERT, "2", "!"],
            format!("1 result of #2, an error of #4; {unseen}"),
        ),
        (
            "BEBES",
            &["2", INSERT, "2", INSERT],
            format!("2 results of #2 to #4, no error; {unseen}"),
        ),
    ] {
        let mut play = Play::new();
        assert!(told(&mut play, sent, answers).0.is_empty());
        let [last, _running] = play.pipeline.settle(Duration::ZERO);
        assert_eq!(last.map(|last| last.transaction), Some(0));
        assert_eq!(play.pipeline.told(), Some(want));
        play.pipeline.settle(Duration::ZERO);
        assert_eq!(play.pipeline.told(), None);
    }
    let mut play = Play::new();
    told(&mut play, "BE", &["2", "!"]);
    play.pipeline.settle(Duration::ZERO);
    assert_eq!(play.pipeline.told(), None, "an error says that by itself");
}

#[test]
fn what_tidegate_has_fail_undoes_what_is_before_it() {
    let mut play = Play::new();
    let (said, _) = told(&mut play, "PBE", &["1", "2", INSERT]);
    assert!(said.is_empty());
    play.pipeline.fails();
    let (said, transactions) = told(&mut play, "S", &["ZI"]);
    let want = "1 result of #3, made to fail by tidegate; undone with it: 1 result of #3; no transaction is open (I)";
    assert_eq!((said, transactions.as_str()), (as_owned(&[want]), "I"));
    let (said, _) = told(&mut play, "BES", &["2", INSERT, "ZI"]);
    assert!(said.is_empty(), "it is a new batch");
}
