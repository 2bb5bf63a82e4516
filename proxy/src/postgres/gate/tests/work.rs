//! How much a client can have us do with few bytes: questions and what they are about are counted.

use std::time::Instant;

use super::*;

/// A list of so many tables, of which the first is this one.
fn tables(first: usize, count: usize) -> String {
    let names = (1..count).map(|number| format!(",a{number}"));
    format!("z{first}{}", names.collect::<String>())
}

/// How many questions were asked since, and how many names they had.
fn asked(rules: &Rules) -> (usize, usize) {
    (rules.asked.take(), rules.names.take())
}

#[test]
fn what_was_asked_about_a_text_is_remembered_however_many_statements_it_has() {
    let (mut gate, rules) = (Gate::new(Arc::default()), Rules::default());
    let many: String = (0..512).map(|number| format!("table t{number};")).collect();
    let large = format!("lock {}", tables(0, 1_000));
    let prepared = [parse(b"m", &many), parse(b"l", &large)];
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
    let leaf: String = (0..8)
        .map(|number| format!("lock {};", tables(number, 600)))
        .collect();
    let mut prepared = vec![parse(b"h", &leaf)];
    prepared.extend((0..113).map(|number| parse(format!("a{number}"), "execute h")));
    let tree: String = (0..113)
        .map(|number| format!("execute a{number};"))
        .collect();
    prepared.push(parse(b"x", &tree));
    assert!(passes(&mut gate, &rules, &prepared.concat()));
    // All answers are forgotten.
    rules.change();
    asked(&rules);
    assert!(passes(&mut gate, &rules, &bind(b"x", &[])));
    let (questions, names) = asked(&rules);
    assert!(questions < 500 && names < 5_000, "{questions}, {names}");
}

#[test]
fn what_a_portal_prepares_is_kept_once_however_often_it_runs() {
    let (mut gate, rules) = (Gate::new(Arc::default()), Rules::default());
    let text: String = (0..256)
        .map(|number| format!("prepare p{number} as table t{number};"))
        .collect();
    let before = [parse(b"", &text), bind(b"", &[])];
    assert!(passes(&mut gate, &rules, &before.concat()));
    let begun = Instant::now();
    assert!(passes(&mut gate, &rules, &execute().repeat(650)));
    let took = begun.elapsed();
    assert!(took < Duration::from_secs(5), "{took:?}");
}

#[test]
fn texts_of_many_statements_are_not_joined_in_a_portal() {
    let (mut gate, rules) = (Gate::new(Arc::default()), Rules::default());
    for (name, letter) in [(b"r", 't'), (b"s", 'u')] {
        let text: String = (0..255)
            .map(|number| {
                format!("prepare p{number} as table {letter}{number};table {letter}{number};")
            })
            .collect();
        assert!(passes(&mut gate, &rules, &parse(name, &text)));
    }
    let begun = Instant::now();
    for _again in 0..300 {
        for name in [b"r", b"s"] {
            let bound = texts(b'B', &[b"q", name], &[0; 6]);
            assert!(passes(&mut gate, &rules, &bound));
        }
    }
    let took = begun.elapsed();
    assert!(took < Duration::from_secs(10), "{took:?}");
}
