//! What still passes once a budget is used up, by the messages of the extended protocol.

use super::*;

/// A gate that these have passed within the budget, which is used up then.
fn used_up(scrutiny: Scrutiny, before: &[Vec<u8>]) -> (Gate, Rules) {
    let (mut gate, rules) = (Gate::new(Arc::default()), Rules::default());
    rules.scrutiny.set(scrutiny);
    rules.left.set(Some(100));
    assert!(passes(&mut gate, &rules, &before.concat()));
    rules.left.set(Some(0));
    (gate, rules)
}

/// As pgjdbc does, which prepares its COMMIT once; and as others, which prepare it each time.
#[test]
fn a_driver_can_end_its_transaction_once_nothing_is_left() {
    for scrutiny in [Scrutiny::Each, Scrutiny::Unread] {
        let before = [parse("S_2", "COMMIT"), run(b"S_2")];
        let (mut gate, rules) = used_up(scrutiny, &before);
        for refused in [query("select 1"), parse("", "select 1"), run(b"other")] {
            assert!(!passes(&mut gate, &rules, &refused));
        }
        assert!(passes(&mut gate, &rules, &run(b"S_2")));
        let other = [parse("", "rollback transaction;"), run(b"")].concat();
        assert!(passes(&mut gate, &rules, &other));
        // There was one transaction to be ended.
        assert!(!passes(&mut gate, &rules, &run(b"S_2")));
        assert!(passes(&mut gate, &rules, &query("commit")));
    }
}

#[test]
fn nothing_else_passes_as_an_end() {
    let delete = "delete from t";
    for before in [
        vec![parse("a", "commit"), parse("a", delete)],
        vec![parse("a", delete)],
        vec![parse("a", "commit; delete from t")],
        vec![parse("a", "commit"), parse("a", "commit and chain")],
    ] {
        let (mut gate, rules) = used_up(Scrutiny::Unread, &before);
        assert!(!passes(&mut gate, &rules, &run(b"a")));
    }
    // A portal that is bound to something else, by the same name or beside it.
    let before = [parse("a", "commit"), parse("b", delete), bind(b"a", &[])];
    let (mut gate, rules) = used_up(Scrutiny::Unread, &before);
    let named = texts(b'E', &[b"x"], &[0; 4]);
    assert!(!passes(&mut gate, &rules, &named));
    rules.left.set(Some(9));
    assert!(passes(&mut gate, &rules, &bind(b"b", &[])));
    rules.left.set(Some(0));
    assert!(!passes(&mut gate, &rules, &execute()));
}

#[test]
fn an_end_that_comes_in_parts_is_waited_for() {
    let (mut gate, rules) = used_up(Scrutiny::Unread, &[]);
    for whole in [
        query("commit"),
        parse("", "commit"),
        bind(b"", &[]),
        execute(),
    ] {
        for end in HEADER..whole.len() {
            let part = &whole[..end];
            let passage = gate.turn().admit(part, READY, &rules, Duration::ZERO);
            let wants = whole.len();
            assert!(
                matches!(passage, Passage::Until { at: 0, wants: some } if some == wants),
                "{passage:?}"
            );
        }
        assert!(passes(&mut gate, &rules, &whole));
    }
    // A long text in parts is no reason to forget what another name stands for.
    let mut long = parse("b", &"x".repeat(2_000));
    let rest = long.split_off(1_000);
    let before = [parse("a", "commit"), run(b"a")];
    let (mut gate, rules) = used_up(Scrutiny::Unread, &before);
    rules.left.set(Some(9));
    let passage = gate.turn().admit(&long, READY, &rules, Duration::ZERO);
    assert!(matches!(passage, Passage::All), "{passage:?}");
    rules.left.set(Some(0));
    let (begun, run) = (rest.len(), [rest, run(b"a")].concat());
    let standing = Standing { begun, ..READY };
    let passage = gate.turn().admit(&run, standing, &rules, Duration::ZERO);
    assert!(matches!(passage, Passage::All), "{passage:?}");
    let long = query(&"x".repeat(2_000));
    assert!(!passes(&mut gate, &rules, &long[..1_000]));
}
