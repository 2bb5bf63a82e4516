//! What is told of what did not run, or of which nobody can tell.

use super::*;

/// What a text stood behind decides whether it ran: recorded alike, a Parse that was dropped would be the one that a
/// Bind behind it is of.
#[test]
fn what_did_not_run_behind_an_error_is_told() {
    let dropped = |play: &mut Play| play.dropped();
    let told = |ids| Some(policies::words::recordings::dropped(&[ids]));
    // Sent before the error was heard of, and what comes behind the Sync runs.
    let mut play = Play::new();
    play.sends("PPSBES").gets("EZ2CZ");
    assert_eq!(dropped(&mut play), told((2, 2)));
    assert_eq!(dropped(&mut play), None, "once");
    // With a Sync between, it ran.
    let mut play = Play::new();
    play.sends("PSPSBES").gets("EZ1Z2CZ");
    assert_eq!(dropped(&mut play), None);
    // Sent afterwards, some of it.
    let mut play = Play::new();
    play.sends("PBE")
        .gets("12E")
        .sends("PBQ")
        .sends("S")
        .gets("Z");
    assert_eq!(dropped(&mut play), told((4, 6)));
    let mut play = Play::new();
    play.sends("PBE").gets("E").sends("P").sends("S").gets("Z");
    assert_eq!(dropped(&mut play), told((2, 4)));
    // And where we told of the error ourselves.
    let mut play = Play::new();
    play.pipeline.skip_to_sync();
    play.sends("BES");
    assert_eq!(dropped(&mut play), told((1, 2)));
}

/// We have told of an error while the target still goes on, and fails later.
#[test]
fn what_the_target_drops_after_us_is_told_in_its_order_and_nothing_that_ran() {
    let mut play = Play::new();
    play.sends("PBEBEBE").gets("12C");
    play.pipeline.skip_to_sync();
    play.sends("BE").gets("2E").sends("S").gets("Z");
    let told = |rows| Some(policies::words::recordings::dropped(rows));
    assert_eq!(play.dropped(), told(&[(6, 9)]));
    // Behind a Sync a batch runs in between.
    let mut play = Play::new();
    play.sends("PBEBSPBE").gets("12E");
    play.pipeline.skip_to_sync();
    play.sends("B").gets("Z");
    assert_eq!(play.dropped(), told(&[(4, 4), (8, 8)]));
    // And where it fails in the batch before the one that we drop the rest of.
    let mut play = Play::new();
    play.sends("PBESPBE").gets("12");
    play.pipeline.skip_to_sync();
    play.gets("E").sends("BE").sends("S").gets("Z12CZ");
    assert_eq!(play.dropped(), told(&[(7, 8)]));
    assert!(play.pipeline.idle());
}

/// Nobody knows whether the target drops what comes behind an error that nothing was owed for: a Flush that meets a
/// timeout has it do so, and any other error of one that waits does not.
#[test]
fn what_may_have_run_behind_an_error_is_never_told_as_dropped() {
    let perhaps = |ids| {
        let text = policies::words::recordings::perhaps_dropped(&[ids]);
        [None, Some(("unsure", text)), None]
    };
    for (sent, said) in [("PBES", "Z"), ("Q", "Z"), ("PBE", "")] {
        let mut play = Play::new();
        play.gets("E").sends(sent).gets(said);
        let last = if sent == "Q" { 1 } else { 3 };
        assert_eq!(play.pipeline.dropped(), perhaps((1, last)), "{sent}");
        assert_eq!(play.pipeline.dropped(), [None, None, None], "once");
    }
    // Once a result has come, what it drops it surely does.
    let mut play = Play::new();
    play.gets("E")
        .sends("PS")
        .gets("Z")
        .sends("PBES")
        .gets("12CZ");
    play.sends("PBE").gets("1E").sends("BS").gets("Z");
    let surely = policies::words::recordings::dropped(&[(7, 8)]);
    let perhaps = policies::words::recordings::perhaps_dropped(&[(1, 1)]);
    let told = [Some(("dropped", surely)), Some(("unsure", perhaps)), None];
    assert_eq!(play.pipeline.dropped(), told);
    // The Sync that was meant for a copy is read by then.
    let mut play = Play::new();
    play.sends("PBES").gets("12GE").sends("cS").gets("Z");
    play.sends("PBE").gets("1E").sends("BS").gets("Z");
    let surely = policies::words::recordings::dropped(&[(6, 7)]);
    assert_eq!(play.dropped(), Some(surely));
    // What we keep back never reaches it.
    let mut play = Play::new();
    play.gets("E").sends("S").gets("Z");
    play.pipeline.skip_to_sync();
    play.sends("BES");
    assert_eq!(
        play.dropped(),
        Some(policies::words::recordings::dropped(&[(1, 2)]))
    );
}

/// The server goes on with what it has read, though the session has ended.
#[test]
fn what_was_sent_and_not_answered_may_have_run() {
    let told = |play: &mut Play| {
        play.pipeline.settle(Duration::ZERO);
        let [dropped, unsure, unanswered] = play.pipeline.dropped();
        assert_eq!((dropped, unsure), (None, None));
        unanswered.map(|(_code, text)| text)
    };
    let may = |ids| Some(policies::words::recordings::unanswered(&[ids]));
    for (sent, said, want) in [
        // The first has an outcome that says so.
        ("QQQ", "", may((2, 3))),
        ("QQ", "CZ", None),
        ("Q", "", None),
        ("PBES", "12", None),
        ("PBES", "1", may((2, 3))),
        ("PBESPBE", "12CZ1", may((5, 6))),
    ] {
        let mut play = Play::new();
        play.sends(sent).gets(said);
        assert_eq!(told(&mut play), want, "{sent} {said}");
        assert_eq!(told(&mut play), None, "once");
    }
}
