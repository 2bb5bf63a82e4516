//! Names that were closed: a Close may be dropped by the server, and then nothing is gone.

use super::portals::{bind_to, guarded, run_portal, seconded};
use super::*;

/// A server that has still to answer something; the next message gets this number.
fn behind(next: u64) -> Standing {
    Standing {
        is_idle: false,
        next,
        ..READY
    }
}

fn close_portal(portal: &[u8]) -> Vec<u8> {
    texts(b'C', &[&[b"P", portal].concat()], &[])
}

#[track_caller]
fn pass(gate: &mut Gate, rules: &Rules, chunk: &[Vec<u8>], standing: Standing) {
    let passage = gate
        .turn()
        .admit(&chunk.concat(), standing, rules, Duration::ZERO);
    assert!(matches!(passage, Passage::All), "{passage:?}");
}

/// A statement timeout that fired in a copy is told with the first message behind it.
#[test]
fn a_close_that_the_server_drops_frees_no_name() {
    for (in_batch, is_answered) in [(false, true), (false, false), (true, true)] {
        let (mut gate, rules) = narrowed(&[parse(b"a", "delete from t"), sync()]);
        let standing = Standing { in_batch, ..READY };
        pass(&mut gate, &rules, &[close(b"a"), sync()], standing);
        if is_answered {
            gate.closed(1);
        }
        let again = [parse(b"a", "select 1"), sync()].concat();
        assert!(passes(&mut gate, &rules, &again));
        let passes_by = is_answered && !in_batch;
        assert_eq!(passes(&mut gate, &rules, &run(b"a")), passes_by);
    }
}

#[test]
fn a_portal_whose_close_the_server_drops_does_not_run_what_was_approved_after() {
    for is_answered in [true, false] {
        let (mut gate, rules) = guarded(SqlKind::Delete);
        let before = [
            parse(b"x", "select 1"),
            parse(b"s", "execute x(7)"),
            bind_to(b"p", b"s"),
            sync(),
        ];
        assert!(passes(&mut gate, &rules, &before.concat()));
        pass(&mut gate, &rules, &[close_portal(b"p"), sync()], READY);
        if is_answered {
            gate.closed(1);
        }
        assert!(passes(&mut gate, &rules, &query("rollback to a")));
        assert!(passes(&mut gate, &rules, &[close(b"x"), sync()].concat()));
        let approved = [parse(b"x", "delete from t"), run(b"x")].concat();
        seconded(&mut gate, &rules, &approved);
        let passes_by = passes(&mut gate, &rules, &run_portal(b"p"));
        assert_eq!(passes_by, is_answered);
    }
}

/// What the server drops a Close with, it drops the rest of its batch with.
#[test]
fn in_one_batch_a_closed_name_is_free() {
    for is_answered in [true, false] {
        let (mut gate, rules) = narrowed(&[parse(b"a", "delete from t"), sync()]);
        let bound = bind(b"a", &[]);
        let batch = [close(b"a"), parse(b"a", "select 1"), bound.clone(), sync()];
        pass(&mut gate, &rules, &batch, READY);
        let passage = gate.turn().admit(&bound, behind(4), &rules, Duration::ZERO);
        assert!(
            matches!(passage, Passage::Refused { at: 0, .. }),
            "{passage:?}"
        );
        if is_answered {
            gate.closed(1);
        }
        assert_eq!(passes(&mut gate, &rules, &run(b"a")), is_answered);
    }
}

#[test]
fn who_does_not_wait_for_a_close_keeps_nobody_waiting_but_for_its_name() {
    let (mut gate, rules) = narrowed(&[parse(b"a", "delete from t"), sync()]);
    let chunk = [close(b"a"), sync(), parse(b"b", "select 1"), run(b"b")];
    pass(&mut gate, &rules, &chunk, READY);
    let again = [parse(b"a", "select 1"), run(b"a")].concat();
    let Passage::Unsettled(0) = gate.turn().admit(&again, behind(5), &rules, Duration::ZERO) else {
        panic!("nothing is waited for")
    };
    gate.closed(1);
    gate.settled();
    pass(&mut gate, &rules, &[again], READY);
}

/// Each of these is answered by itself.
#[test]
fn of_two_closes_one_is_answered() {
    for answered in [1, 2] {
        let (mut gate, rules) =
            narrowed(&[parse(b"a", "delete from t"), parse(b"b", "delete from t")]);
        let closes = [close(b"a"), sync(), close(b"b"), sync()];
        pass(&mut gate, &rules, &closes, READY);
        gate.closed(answered);
        for (number, name) in [(1, b"a"), (2, b"b")] {
            assert!(passes(&mut gate, &rules, &parse(name, "select 1")));
            let passes_by = passes(&mut gate, &rules, &run(name));
            assert_eq!(passes_by, number == answered);
        }
    }
}

#[test]
fn closes_without_end_are_not_waited_for() {
    let mut before = Vec::new();
    let mut closes = Vec::new();
    for number in 0..200 {
        let name = format!("s{number}");
        before.push(parse(&name, "delete from t"));
        closes.push(close(name.as_bytes()));
    }
    let (mut gate, rules) = narrowed(&before);
    pass(&mut gate, &rules, &closes, READY);
    (1..=200).for_each(|number| gate.closed(number));
    for (name, passes_by) in [("s0", true), ("s199", false)] {
        assert!(passes(&mut gate, &rules, &parse(name, "select 1")));
        let passed = passes(&mut gate, &rules, &run(name.as_bytes()));
        assert_eq!(passed, passes_by, "{name}");
    }
}
