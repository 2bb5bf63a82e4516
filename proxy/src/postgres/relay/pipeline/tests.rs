//! Conversations, each message by its letter.

use super::*;

mod batches;
mod dropped;

fn statement(id: u64) -> Statement {
    Statement {
        id,
        at: Duration::from_millis(id),
    }
}

/// Plays a conversation: upper case of the pair is what the client sends, then what comes back.
struct Play {
    pipeline: Pipeline,
    next: u64,
    said: Vec<(u64, String)>,
}

impl Play {
    fn new() -> Self {
        Self {
            pipeline: Pipeline::new(),
            next: 0,
            said: Vec::new(),
        }
    }

    #[track_caller]
    fn sends(&mut self, kinds: &str) -> &mut Self {
        for kind in kinds.chars() {
            let mut number = || {
                self.next = self.next.saturating_add(1);
                statement(self.next)
            };
            let owed = match kind {
                'Q' => Owed::Query(number()),
                'P' => Owed::Parse(number()),
                'B' => Owed::Bind(number()),
                'E' => Owed::Execute(number()),
                'D' => Owed::Describe(statement(0)),
                'C' => Owed::Close(statement(0)),
                'S' => Owed::Sync,
                'c' => Owed::CopyEnd,
                other => panic!("{other}"),
            };
            self.pipeline.sent(owed).unwrap();
        }
        self
    }

    fn copies(&mut self, count: usize) -> &mut Self {
        for _message in 0..count {
            self.pipeline.copied_in(1);
        }
        self
    }

    #[track_caller]
    fn gets(&mut self, kinds: &str) -> &mut Self {
        for kind in kinds.bytes() {
            self.tries(kind).unwrap();
        }
        self
    }

    fn tries(&mut self, kind: u8) -> Result<(), Violation> {
        let body: &[u8] = match kind {
            b'C' => b"SELECT 1\0",
            b'E' => b"SERROR\0VERROR\0C22012\0Mdivision by zero\0\0",
            b'Z' => b"I",
            _other => b"",
        };
        let outcome = self.pipeline.answered(kind, body, Duration::from_secs(1))?;
        self.said.extend(outcome.map(|outcome| {
            let how = if outcome.error.is_some() {
                "error"
            } else {
                "done"
            };
            // A row has no bytes here, and a message of a copy has one.
            let moved = outcome.rows.saturating_add(outcome.bytes);
            (outcome.id, format!("{how} {moved}"))
        }));
        Ok(())
    }

    /// What is told of what did not run, where nothing else is.
    #[track_caller]
    fn dropped(&mut self) -> Option<String> {
        let [dropped, unsure, unanswered] = self.pipeline.dropped();
        assert_eq!((unsure, unanswered), (None, None));
        dropped.map(|(code, text)| {
            assert_eq!(code, "dropped");
            text
        })
    }

    #[track_caller]
    fn check(&self, want: &[(u64, &str)]) {
        let said: Vec<_> = self
            .said
            .iter()
            .map(|(id, how)| (*id, how.as_str()))
            .collect();
        assert_eq!(said, want);
    }
}

#[test]
fn each_result_of_a_simple_query_is_put_down_to_it() {
    let mut play = Play::new();
    play.sends("Q")
        .gets("TDDCTDCZ")
        .check(&[(1, "done 2"), (1, "done 1")]);
    assert!(play.pipeline.idle());
}

#[test]
fn a_pipeline_of_thousands_keeps_its_order() {
    let mut play = Play::new();
    let count = 3000_u64;
    play.sends(&"BE".repeat(3000)).sends("S");
    play.gets(&"2DC".repeat(3000)).gets("Z");
    assert_eq!(play.said.len(), 3000);
    assert!(
        play.said
            .iter()
            .zip(1..=count)
            .all(|((id, _how), n)| *id == 2 * n)
    );
}

#[test]
fn an_error_drops_what_the_target_drops_and_nothing_more() {
    let mut play = Play::new();
    play.sends("PBESPBES").gets("12EZ").gets("12DCZ");
    play.check(&[(3, "error 0"), (6, "done 1")]);
    assert!(play.pipeline.idle());
}

#[test]
fn what_comes_after_an_error_and_before_the_sync_is_dropped() {
    let mut play = Play::new();
    play.sends("P").gets("E").sends("BEQ");
    assert!(!play.pipeline.idle());
    play.sends("SQ")
        .gets("ZCZ")
        .check(&[(1, "error 0"), (5, "done 0")]);
    assert!(play.pipeline.idle());
}

#[test]
fn an_error_of_the_commit_belongs_to_the_statement_before_the_sync() {
    let mut play = Play::new();
    play.sends("BES")
        .gets("2CEZ")
        .check(&[(2, "done 0"), (2, "error 0")]);
}

#[test]
fn a_sync_during_a_copy_is_not_answered() {
    let mut play = Play::new();
    play.sends("BDES")
        .gets("2nG")
        .sends("c")
        .sends("S")
        .gets("CZ")
        .check(&[(2, "done 0")]);
    assert!(play.pipeline.idle());
    play.sends("BDEScS").gets("2nGCZ");
    assert!(play.pipeline.idle());
}

#[test]
fn a_batch_whose_sync_a_copy_has_swallowed_goes_on_until_another() {
    let mut play = Play::new();
    play.sends("PBES").gets("12G").sends("c").gets("C");
    assert!(play.pipeline.in_batch() && !play.pipeline.is_between_transactions());
    play.sends("S").gets("Z");
    assert!(play.pipeline.is_between_transactions());
    play.sends("BEScS").gets("2GCZ");
    assert!(play.pipeline.is_between_transactions());
    play.sends("QS").gets("GCZ");
    assert!(!play.pipeline.in_batch(), "a query is a batch by itself");
}

#[test]
fn a_failed_copy_is_put_down_to_its_statement() {
    let mut play = Play::new();
    play.sends("Q")
        .gets("G")
        .gets("E")
        .sends("c")
        .gets("Z")
        .check(&[(1, "error 0")]);
    assert!(play.pipeline.owed.is_empty() || play.pipeline.front().is_none());
    let mut play = Play::new();
    play.sends("BE")
        .gets("2G")
        .gets("E")
        .sends("cS")
        .gets("Z")
        .check(&[(2, "error 0")]);
    assert!(play.pipeline.idle());
}

#[test]
fn a_query_in_the_middle_of_a_copy_ends_the_session() {
    let mut play = Play::new();
    play.sends("Q").gets("G");
    assert_eq!(
        play.pipeline.sent(Owed::Query(statement(9))),
        Err(Violation::Kind(b'Q'))
    );
    let mut play = Play::new();
    play.sends("QQ");
    assert_eq!(play.tries(b'G'), Err(Violation::Kind(b'Q')));
}

/// It acts on the Sync that a copy would have ignored, and on what stands behind it.
#[test]
fn a_copy_that_fails_before_it_reads_replaces_nothing() {
    let refuses = |play: &mut Play, kind| {
        let sent = play.pipeline.sent(Owed::Parse(statement(99)));
        assert_eq!(sent, Err(Violation::Kind(b'P')), "{kind}");
    };
    // All of it sent ahead.
    let mut play = Play::new();
    play.sends("PBEScP").gets("12");
    assert_eq!(play.tries(b'G'), Err(Violation::Kind(b'P')));
    // Sent while it copies, and while it fails.
    for (sent, said, more) in [
        ("PBES", "12G", "c"),
        ("PBE", "12G", "Sc"),
        ("PBES", "12GE", ""),
        ("PBES", "12GE", "c"),
    ] {
        let mut play = Play::new();
        play.sends(sent).gets(said).sends(more);
        refuses(&mut play, said);
    }
    // Once it has, it says that it is ready for each of the two, and before anything that stands behind them.
    for (sent, said, last) in [
        ("PBEScSPBES", "12GEZZ12CZ", 6),
        ("PBEScSPBES", "12GEZ12CZ", 6),
        ("PBEScSPBES", "12GEZZEZ", 4),
        ("PBEScSPBES", "12GEZEZ", 4),
        ("PBEScSQ", "12GEZZCZ", 4),
        ("PBEScSQ", "12GEZCCZ", 4),
        ("PBEScSQ", "12GEZZEZ", 4),
        ("PBEScSQ", "12GEZEZ", 4),
        ("PBEScSSS", "12GEZZZZ", 3),
    ] {
        let mut play = Play::new();
        play.sends(sent).gets(said);
        assert!(play.pipeline.idle(), "{sent} {said}");
        let told = play.said.last().map(|(id, _how)| *id);
        assert_eq!(told, Some(last), "{sent} {said}");
    }
    // And no more often than that.
    let mut play = Play::new();
    play.sends("PBEScSPBES").gets("12GEZZ");
    assert_eq!(play.tries(b'Z'), Err(Violation::Kind(b'Z')));
    // As libpq and tokio-postgres send it, with the next statement behind.
    for (sent, said) in [
        ("PBEScSPBES", "12GCZ12CZ"),
        ("PBEScS", "12GEZZ"),
        ("PBEScSQ", "12GCZCZ"),
    ] {
        let mut play = Play::new();
        play.sends(sent).gets(said);
        assert!(play.pipeline.idle(), "{sent}");
    }
    let mut play = Play::new();
    play.sends("PBES")
        .gets("12G")
        .sends("cSPBES")
        .gets("CZ12CZ");
    assert!(play.pipeline.idle());
    play.sends("PBES").gets("12GEZ").sends("cS").gets("Z");
    play.sends("PBES").gets("12CZ");
    assert!(play.pipeline.idle());
}

#[test]
fn an_answer_that_nobody_waits_for_is_a_violation() {
    for kind in *b"123TnCIsGD" {
        assert_eq!(
            Play::new().tries(kind),
            Err(Violation::Kind(kind)),
            "{}",
            char::from(kind)
        );
    }
    let mut play = Play::new();
    play.sends("PS").gets("1");
    assert_eq!(play.tries(b'2'), Err(Violation::Kind(b'2')));
}

#[test]
fn a_fatal_error_out_of_the_blue_belongs_to_no_statement() {
    let mut play = Play::new();
    play.gets("E");
    let [last, running] = play.pipeline.settle(Duration::ZERO);
    assert_eq!((last.map(|outcome| outcome.id), running), (Some(0), None));
}

/// After a message of the extended protocol it drops what follows, after any other it is ready.
#[test]
fn after_an_error_out_of_the_blue_the_target_may_drop_what_follows() {
    let mut play = Play::new();
    play.sends("PBES").gets("12CZ").gets("E");
    assert!(play.pipeline.skipping() && !play.pipeline.idle());
    play.sends("PS").gets("Z");
    assert!(play.pipeline.idle());
    play.gets("EZ");
    assert!(play.pipeline.idle());
}

/// Only a Sync that a copy was to ignore, and an error that nothing was owed for, have the target ready once more.
#[test]
fn a_target_that_is_ready_unasked_breaks_the_protocol() {
    for said in ["12CZ", "12EZ"] {
        let mut play = Play::new();
        play.sends("PBES").gets(said);
        assert_eq!(play.tries(b'Z'), Err(Violation::Kind(b'Z')), "{said}");
    }
    let mut play = Play::new();
    play.sends("PBEScS").gets("12GEZZ");
    assert!(play.tries(b'Z').is_err());
    let mut play = Play::new();
    play.gets("E").sends("S").gets("ZZ");
    assert!(play.tries(b'Z').is_err());
    // One that drops what comes is not ready before the Sync.
    let mut play = Play::new();
    play.sends("PBE").gets("1E");
    assert!(play.tries(b'Z').is_err());
}

#[test]
fn a_stray_end_of_a_copy_is_forgotten_with_what_it_came_behind() {
    for (sent, said) in [
        ("Qc", "TDCZ"),
        ("Scc", "Z"),
        ("PBEc", "12C"),
        ("PBEcS", "12CZ"),
        ("PcBE", "12C"),
    ] {
        let mut play = Play::new();
        play.sends(sent);
        assert!(play.pipeline.will_be_ready() == matches!(sent, "Qc" | "Scc" | "PBEcS"));
        play.gets(said);
        assert!(play.pipeline.idle(), "{sent}");
    }
}

#[test]
fn what_was_running_at_the_end_is_told_with_what_it_had_sent() {
    let mut play = Play::new();
    play.sends("QQ").gets("TDDCTD");
    let [last, running] = play.pipeline.settle(Duration::from_secs(9));
    assert_eq!(
        last.and_then(|outcome| outcome.tag).as_deref(),
        Some("SELECT 1")
    );
    let running = running.unwrap();
    assert_eq!(
        (running.id, running.tag, running.error, running.rows),
        (1, None, None, 1)
    );
    assert_eq!(running.transaction, 0, "its end was not seen");
    assert_eq!(play.pipeline.settle(Duration::ZERO), [None, None]);
}

/// The server ignores copied data outside of a copy.
#[test]
fn data_that_no_copy_reads_is_not_counted() {
    let mut play = Play::new();
    play.sends("Q").copies(5).gets("CZ").check(&[(1, "done 0")]);
    // The second query's copy reads what stands behind it, and nothing else does.
    let mut play = Play::new();
    play.sends("Q").copies(3).sends("Q").copies(2).sends("c");
    play.gets("CZGCZ").check(&[(1, "done 0"), (2, "done 2")]);
    let mut play = Play::new();
    play.sends("Q").copies(3).sends("c").copies(2).sends("Q");
    play.gets("CZCZ").check(&[(1, "done 0"), (2, "done 0")]);
    // Two copies of one query, and a copy behind a Sync.
    let mut play = Play::new();
    play.sends("Q").copies(1).sends("c").copies(2).sends("c");
    play.gets("GCGCZ").sends("PBES").copies(1).sends("cS");
    play.gets("12GCZ");
    play.check(&[(1, "done 1"), (1, "done 2"), (4, "done 1")]);
    // The second comes while the first is read.
    let mut play = Play::new();
    play.sends("Q").gets("G").copies(1).sends("c").copies(2);
    play.gets("CG").copies(1).sends("c").gets("CZ");
    play.check(&[(1, "done 1"), (1, "done 3")]);
}

/// Each copy that begins looks behind the ends that came ahead of it.
#[test]
fn ends_of_copies_that_have_not_begun_do_not_pile_up() {
    let mut play = Play::new();
    play.sends("Q").sends(&"c".repeat(1_000)).sends("QS");
    play.sends(&"c".repeat(1_024));
    assert!(play.pipeline.sent(Owed::CopyEnd).is_err());
}

/// Only of two that follow each other may the first be of the copy.
#[test]
fn what_is_answered_behind_a_failed_copy_shows_where_the_target_stands() {
    let mut play = Play::new();
    play.sends("PBEScSPBES")
        .gets("12GEZEZ")
        .sends("P")
        .gets("E");
    assert!(play.pipeline.surely_skipping());
    for said in ["TDZ", "TZ", "DZ", "TEZ", "EZ"] {
        let mut play = Play::new();
        play.sends("PBEScSQ").gets("12GEZ").gets(said);
        assert!(play.pipeline.idle(), "{said}");
        assert!(play.tries(b'Z').is_err(), "{said}");
    }
}

#[test]
fn what_is_known_of_a_query_goes_with_it() {
    for (before, said) in [("P", "EZ"), ("Q", "CZ"), ("E", "EZ")] {
        let mut play = Play::new();
        for _round in 0..3 {
            play.sends(before);
            if before == "Q" {
                play.gets(said);
            }
            for _query in 0..100 {
                play.sends("Q");
                let (sent, text) = (statement(play.next), b"select 1");
                play.pipeline.expects(sent, (text, 8), false);
            }
            play.sends("S");
            if before == "Q" {
                play.gets(&"EZ".repeat(100)).gets("Z");
            } else {
                play.gets(said);
            }
            assert!(play.pipeline.idle(), "{before}");
            assert_eq!(play.pipeline.results.known(), 0, "{before}");
        }
    }
}

/// A server says one, and one more where undoing what failed fails, too. All of them would be written down.
#[test]
fn a_target_that_says_error_after_error_breaks_the_protocol() {
    for sent in ["", "Q", "PBE", "S"] {
        let mut play = Play::new();
        play.sends(sent).gets(&"E".repeat(16));
        assert_eq!(play.tries(b'E'), Err(Violation::Kind(b'E')), "{sent}");
    }
    let mut play = Play::new();
    for _query in 0..100 {
        play.sends("Q").gets("EZ");
    }
}

/// By the extended protocol it drops what it reads behind an error, up to a Sync; by any other it is ready.
#[test]
fn behind_an_error_out_of_the_blue_it_is_known_whether_the_target_is_ready_next() {
    for (sent, said, want) in [
        ("", "", true),
        ("Q", "CZ", true),
        ("PBES", "12CZ", true),
        ("PBE", "12C", false),
    ] {
        let mut play = Play::new();
        play.sends(sent).gets(said).gets("E");
        assert_eq!(play.pipeline.recovers(), want, "{sent}");
    }
    let mut play = Play::new();
    play.pipeline.flushes();
    assert!(!play.gets("E").pipeline.recovers());
    play.sends("S").gets("ZE");
    assert!(play.pipeline.recovers());
    play.gets("Z");
    assert!(!play.pipeline.recovers());
}
