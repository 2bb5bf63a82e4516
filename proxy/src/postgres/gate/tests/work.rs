//! How much a client can have us do with few bytes: questions and what they are about are counted.

use super::*;

/// A list of so many tables, of which the first is this one.
fn tables(first: usize, count: usize) -> String {
    let names = (1..count).map(|number| format!(",a{number}"));
    format!("z{first}{}", names.collect::<String>())
}

fn many(text: impl Fn(usize) -> String, count: usize) -> String {
    (0..count).map(text).collect()
}

/// How many questions were asked since, and how many names they had.
fn asked(rules: &Rules) -> (usize, usize) {
    (rules.asked.take(), rules.names.take())
}

#[test]
fn what_was_asked_about_a_text_is_remembered_however_many_statements_it_has() {
    let (mut gate, rules) = (Gate::new(Arc::default()), Rules::default());
    let small = many(|number| format!("table t{number};"), 512);
    let large = format!("lock {}", tables(0, 1_000));
    let prepared = [parse(b"m", &small), parse(b"l", &large)];
    assert!(passes(&mut gate, &rules, &prepared.concat()));
    for _again in 0..10 {
        let bound = [bind(b"m", &[]), bind(b"l", &[])];
        assert!(passes(&mut gate, &rules, &bound.concat()));
    }
    assert_eq!(asked(&rules).0, 513);
}

#[test]
fn a_tree_of_what_was_prepared_has_few_names_asked_about_for_one_message() {
    let (mut gate, rules) = (Gate::new(Arc::default()), Rules::default());
    let leaf = many(|number| format!("lock {};", tables(number, 600)), 8);
    let mut prepared = vec![parse(b"h", &leaf)];
    prepared.extend((0..113).map(|number| parse(format!("a{number}"), "execute h")));
    let tree = many(|number| format!("execute a{number};"), 113);
    prepared.push(parse(b"x", &tree));
    assert!(passes(&mut gate, &rules, &prepared.concat()));
    // All answers are forgotten.
    rules.change();
    asked(&rules);
    assert!(passes(&mut gate, &rules, &bind(b"x", &[])));
    let (questions, names) = asked(&rules);
    assert!(questions < 500 && names < 5_000, "{questions}, {names}");
}

// What takes for ever is noticed by who runs the tests.
#[test]
fn what_a_portal_prepares_is_kept_once_however_often_it_runs() {
    let (mut gate, rules) = (Gate::new(Arc::default()), Rules::default());
    let text = many(
        |number| format!("prepare p{number} as table t{number};"),
        256,
    );
    let before = [parse(b"", &text), bind(b"", &[])];
    assert!(passes(&mut gate, &rules, &before.concat()));
    assert!(passes(&mut gate, &rules, &execute().repeat(2_000)));
}

/// A server that has not acted on a Parse for a long time leaves everything before it there.
#[test]
fn what_a_name_stood_for_before_is_counted_as_it_is_joined() {
    for name in [b"".as_slice(), b"x"] {
        let (mut gate, rules) = (Gate::new(Arc::default()), Rules::default());
        let standing = Standing {
            is_idle: false,
            in_batch: true,
            is_parsed: false,
            ..READY
        };
        let mut admit = |chunk: &[u8]| gate.admit(chunk, standing, &rules, Duration::ZERO);
        for number in 0..63 {
            let large = parse(name, &format!("select from {}", tables(number, 1_000)));
            let passage = admit(&large);
            assert!(matches!(passage, Passage::All), "{passage:?}");
        }
        let small = parse(name, "table t");
        let chunk = small.repeat(2_000);
        // What is left of this turn, and one whole turn.
        let Passage::Enough(left) = admit(&chunk) else {
            panic!("nobody else has a turn")
        };
        let Passage::Enough(place) = admit(&chunk[left..]) else {
            panic!("nobody else has a turn")
        };
        assert!(place <= 4 * small.len(), "{place}");
    }
}
