//! The statement without a name: what a Bind of it is of, where the server may have dropped its last Parse.

use super::portals::{guarded, seconded};
use super::*;

/// A server that has not said that it acted on the last Parse without a name; all else it has answered.
const UNPARSED: Standing = Standing {
    is_parsed: false,
    ..READY
};

fn admit(gate: &mut Gate, rules: &Rules, chunk: &[u8], standing: Standing) -> Passage {
    gate.turn().admit(chunk, standing, rules, Duration::ZERO)
}

/// A gate at which a delete without a name was approved, and has run.
fn approved() -> (Gate, Rules) {
    let (mut gate, rules) = guarded(SqlKind::Delete);
    let chunk = [parse(b"", "delete from t"), run(b"")].concat();
    seconded(&mut gate, &rules, &chunk);
    (gate, rules)
}

/// With `statement_timeout` up the server is idle in its batch, and drops whatever comes next (57014).
#[test]
fn what_was_approved_is_not_replaced_by_a_parse_that_the_server_drops() {
    for in_batch in [true, false] {
        let (mut gate, rules) = approved();
        let standing = Standing { in_batch, ..READY };
        let covered = parse(b"", "select 1");
        let Passage::All = admit(&mut gate, &rules, &covered, standing) else {
            panic!("it passes")
        };
        let Passage::All = admit(&mut gate, &rules, &sync(), UNPARSED) else {
            panic!("it passes")
        };
        let Passage::Unsettled(0) = admit(&mut gate, &rules, &run(b""), UNPARSED) else {
            panic!("nothing is waited for")
        };
        gate.settled();
        let Passage::Held { held, .. } = admit(&mut gate, &rules, &run(b""), UNPARSED) else {
            panic!("it passes")
        };
        assert_eq!(held.text, "delete from t");
    }
}

#[test]
fn what_was_approved_is_replaced_once_the_server_says_so() {
    let (mut gate, rules) = approved();
    let chunk = [parse(b"", "select 1"), sync(), run(b"")].concat();
    let Passage::Unsettled(place) = admit(&mut gate, &rules, &chunk, READY) else {
        panic!("nothing is waited for")
    };
    gate.settled();
    let Passage::All = admit(&mut gate, &rules, &chunk[place..], READY) else {
        panic!("it is another now")
    };
    assert!(passes(&mut gate, &rules, &run(b"")));
}

/// What the server drops a Parse with, it drops a Bind with.
#[test]
fn in_one_batch_nothing_is_waited_for() {
    let (mut gate, rules) = approved();
    for _again in 0..3 {
        let chunk = [parse(b"", "select 1"), run(b"")].concat();
        let Passage::All = admit(&mut gate, &rules, &chunk, UNPARSED) else {
            panic!("it is waited for")
        };
    }
    let Passage::Unsettled(0) = admit(&mut gate, &rules, &run(b""), UNPARSED) else {
        panic!("it may be the delete")
    };
}

#[test]
fn what_was_prepared_under_wider_rules_is_not_covered_up_by_a_parse_that_the_server_drops() {
    for (standing, passes_by) in [(READY, true), (UNPARSED, false)] {
        let (mut gate, rules) = narrowed(&[parse(b"", "delete from t"), sync()]);
        let chunk = [parse(b"", "select 1"), sync(), run(b"")].concat();
        let Passage::Unsettled(place) = admit(&mut gate, &rules, &chunk, READY) else {
            panic!("nothing is waited for")
        };
        gate.settled();
        let passage = admit(&mut gate, &rules, &chunk[place..], standing);
        assert_eq!(matches!(passage, Passage::All), passes_by, "{passage:?}");
    }
}

#[test]
fn a_long_text_is_kept_under_its_name_however_late_that_comes() {
    let (mut gate, rules) = (Gate::new(Arc::default()), Rules::default());
    assert!(passes(&mut gate, &rules, &parse(b"", "select 1")));
    let long = parse(b"", &"x".repeat(TEXT_MAX));
    let Passage::Until { at: 0, .. } = admit(&mut gate, &rules, &long[..HEADER], READY) else {
        panic!("whose it is has not come yet")
    };
    let Passage::All = admit(&mut gate, &rules, &long[..HEADER + 9], READY) else {
        panic!("it passes")
    };
    rules.forbid(SqlKind::Delete);
    assert!(!passes(&mut gate, &rules, &run(b"")));
}

/// The answer that there is belongs to the Parse before it.
#[test]
fn a_long_text_that_is_on_its_way_replaces_nothing() {
    let (mut gate, rules) = (Gate::new(Arc::default()), Rules::default());
    rules.secondable.set(true);
    rules.forbid(SqlKind::Delete);
    let chunk = [parse(b"", "delete from t"), run(b"")].concat();
    seconded(&mut gate, &rules, &chunk);
    rules.forbidden.set(None);
    rules.change();
    let long = parse(b"", &"x".repeat(TEXT_MAX));
    let (beginning, rest) = long.split_at(long.len() / 2);
    let standing = Standing {
        begun: rest.len(),
        ..READY
    };
    for (part, standing) in [(beginning, READY), (rest, standing)] {
        let Passage::All = admit(&mut gate, &rules, part, standing) else {
            panic!("it passes")
        };
    }
    let Passage::All = admit(&mut gate, &rules, &sync(), UNPARSED) else {
        panic!("it passes")
    };
    rules.forbid(SqlKind::Delete);
    gate.settled();
    let Passage::Held { held, .. } = admit(&mut gate, &rules, &run(b""), UNPARSED) else {
        panic!("it may be the delete")
    };
    assert_eq!(held.text, "delete from t");
}
