//! Portals that were bound before somebody said yes to what they run: the server looks a name up when a portal runs.

use super::*;

/// A gate at which this takes a second person.
pub(super) fn guarded(kind: SqlKind) -> (Gate, Rules) {
    let rules = Rules::default();
    rules.secondable.set(true);
    rules.forbid(kind);
    (Gate::new(Arc::default()), rules)
}

pub(super) fn bind_to(portal: &[u8], name: &[u8]) -> Vec<u8> {
    texts(b'B', &[portal, name], &[0; 6])
}

pub(super) fn run_portal(portal: &[u8]) -> Vec<u8> {
    texts(b'E', &[portal], &[0; 4])
}

/// Lets a chunk through for which a second person is asked once, who says yes.
#[track_caller]
pub(super) fn seconded(gate: &mut Gate, rules: &Rules, chunk: &[u8]) {
    let Passage::Held { at, held, .. } = gate.turn().admit(chunk, READY, rules, Duration::ZERO)
    else {
        panic!("nobody is asked");
    };
    gate.grant(*held, Duration::ZERO);
    assert!(passes(gate, rules, &chunk[at..]));
}

#[test]
fn a_portal_that_was_bound_before_does_not_run_what_was_approved_after() {
    for portal in [b"p".as_slice(), b"\xff"] {
        let (mut gate, rules) = guarded(SqlKind::Delete);
        let before = [
            parse(b"x", "select 1"),
            parse(b"s", "execute x(7)"),
            parse(b"t", "select 2"),
            bind_to(portal, b"s"),
            bind_to(b"other", b"t"),
            sync(),
        ];
        assert!(passes(&mut gate, &rules, &before.concat()));
        assert!(passes(&mut gate, &rules, &run_portal(portal)));
        assert!(passes(&mut gate, &rules, &[close(b"x"), sync()].concat()));
        assert!(
            !passes(&mut gate, &rules, &run_portal(portal)),
            "the name is free"
        );
        let approved = [parse(b"x", "delete from t"), run(b"x")].concat();
        seconded(&mut gate, &rules, &approved);
        assert!(!passes(&mut gate, &rules, &run_portal(portal)));
        assert!(passes(&mut gate, &rules, &run_portal(b"other")));
    }
}

/// A Bind that fails leaves the portal without a name as it was, where what failed is undone by going back to a
/// savepoint.
#[test]
fn the_portal_without_a_name_may_outlive_its_next_bind() {
    let (mut gate, rules) = guarded(SqlKind::Delete);
    let before = [
        parse(b"x", "select 1"),
        parse(b"s", "execute x(7)"),
        parse(b"t", "select 2"),
        bind_to(b"", b"s"),
        sync(),
    ];
    let pass = |gate: &mut Gate, chunk: &[Vec<u8>]| passes(gate, &rules, &chunk.concat());
    assert!(pass(&mut gate, &before));
    assert!(pass(
        &mut gate,
        &[query("savepoint a"), bind_to(b"", b"t"), sync()]
    ));
    assert!(pass(&mut gate, &[query("rollback to a"), sync()]));
    assert!(pass(&mut gate, &[close(b"x"), sync()]));
    let approved = [parse(b"x", "delete from t"), bind_to(b"p", b"x")];
    seconded(&mut gate, &rules, &approved.concat());
    assert!(!pass(&mut gate, &[run_portal(b""), sync()]));
    assert!(!pass(&mut gate, &[bind_to(b"", b"s")]));
    gate.transaction_ended();
    assert!(pass(
        &mut gate,
        &[bind_to(b"", b"t"), run_portal(b""), sync()]
    ));
}

#[test]
fn what_was_approved_does_not_make_the_portal_without_a_name_another() {
    let (mut gate, rules) = guarded(SqlKind::Delete);
    let before = [
        parse(b"x", "select 1"),
        parse(b"s", "execute x"),
        bind_to(b"", b"s"),
        sync(),
    ];
    assert!(passes(&mut gate, &rules, &before.concat()));
    assert!(passes(&mut gate, &rules, &[close(b"x"), sync()].concat()));
    // Its Bind may fail.
    let approved = [parse(b"x", "delete from t"), bind_to(b"", b"x"), sync()];
    seconded(&mut gate, &rules, &approved.concat());
    assert!(!passes(&mut gate, &rules, &run_portal(b"")));
}

#[test]
fn however_many_portals_there_are_each_is_asked_about() {
    let (mut gate, rules) = guarded(SqlKind::Delete);
    let mut before = vec![parse(b"x", "select 1"), parse(b"s", "execute x")];
    before.extend((0..200).map(|number| bind_to(format!("p{number}").as_bytes(), b"s")));
    before.push(bind_to(b"", b"s"));
    assert!(passes(&mut gate, &rules, &before.concat()));
    for portal in ["p0", "p199", ""] {
        assert!(passes(&mut gate, &rules, &run_portal(portal.as_bytes())));
    }
    assert!(passes(&mut gate, &rules, &[sync(), close(b"x")].concat()));
    for portal in ["p0", "p199", ""] {
        assert!(!passes(&mut gate, &rules, &run_portal(portal.as_bytes())));
    }
}

#[test]
fn a_cursor_that_was_approved_goes_forward_only() {
    let (mut gate, rules) = guarded(SqlKind::Select);
    let back = [
        "fetch absolute 1 from c",
        "fetch 0 from c",
        "fetch -1 from c",
        "move backward all in c",
        "fetch first c",
        "move prior in c",
        "fetch relative 0 in c",
    ];
    let bound = [parse(b"f", back[0]), bind_to(b"p", b"f"), sync()];
    assert!(passes(&mut gate, &rules, &bound.concat()));
    assert!(passes(&mut gate, &rules, &query(back[0])));
    let declare = query("declare c cursor for select pay(id) from accounts");
    seconded(&mut gate, &rules, &declare);
    for text in back {
        assert!(!passes(&mut gate, &rules, &query(text)), "{text}");
    }
    assert!(!passes(&mut gate, &rules, &run_portal(b"p")));
    for text in [
        "fetch c",
        "fetch 5 from c",
        "fetch forward 100 from \"first\"",
        "fetch all c",
        "move next c",
        "close c",
    ] {
        assert!(passes(&mut gate, &rules, &query(text)), "{text}");
    }
}

/// `FETCH` takes a portal of the protocol for a cursor, and servers up to 14 go back in it.
#[test]
fn a_portal_that_was_approved_goes_forward_only() {
    for (portal, passes_by) in [(b"".as_slice(), true), (b"p", false)] {
        let (mut gate, rules) = guarded(SqlKind::Select);
        let chunk = [parse(b"x", "select pay(1)"), bind_to(portal, b"x"), sync()];
        // The Bind is asked about with its Parse.
        seconded(&mut gate, &rules, &chunk.concat());
        let back = query("fetch absolute 1 from p");
        assert_eq!(passes(&mut gate, &rules, &back), passes_by, "{portal:?}");
    }
}
