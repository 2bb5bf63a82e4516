//! How much a client can have us do with few bytes: questions and what they are about are counted.

use super::portals::bind_to;
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
        let mut admit = |chunk: &[u8]| gate.turn().admit(chunk, standing, &rules, Duration::ZERO);
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

/// What becomes of one message, and how many questions there were in each of its turns. `between` is called before each.
fn in_turns(
    gate: &mut Gate,
    rules: &Rules,
    message: &[u8],
    between: impl Fn(usize) -> Duration,
) -> (Passage, Vec<usize>) {
    let mut turns = Vec::new();
    loop {
        let at = between(turns.len());
        let passage = gate.turn().admit(message, READY, rules, at);
        turns.push(asked(rules).0);
        if !matches!(passage, Passage::Enough(0)) {
            return (passage, turns);
        }
        assert!(gate.share.is_over(), "nobody else has a turn");
    }
}

/// Hundreds of statements, of which the first and the last are these.
fn script(first: &str, last: &str) -> String {
    let tables = many(|number| format!("table t{number};"), 509);
    format!("{first};{tables}{last}")
}

#[test]
fn one_text_full_of_questions_leaves_others_their_turns() {
    let text = script("table a", "table z");
    for message in [query(&text), parse(b"s", &text)] {
        let (mut gate, rules) = (Gate::new(Arc::default()), Rules::default());
        // So slowly that answers would be too old for another text.
        let crowd = |turn: usize| Duration::from_millis(100) * u32::try_from(turn).unwrap();
        let (passage, turns) = in_turns(&mut gate, &rules, &message, crowd);
        assert!(matches!(passage, Passage::All), "{passage:?}");
        assert!(turns.iter().all(|asked| *asked <= 20), "{turns:?}");
        assert_eq!(turns.iter().sum::<usize>(), 511, "each is asked about once");
    }
}

#[test]
fn what_was_prepared_is_asked_about_in_turns_when_it_runs() {
    let (mut gate, rules) = (Gate::new(Arc::default()), Rules::default());
    let text = script("table a", "table z");
    let prepared = [parse(b"s", &text), parse(b"x", "execute s")];
    assert!(passes(&mut gate, &rules, &prepared.concat()));
    let own = [bind(b"s", &[])].map(|message| (message, 511));
    // The EXECUTE itself is one more.
    let others = [bind(b"x", &[]), query("execute s")].map(|message| (message, 512));
    for (message, questions) in own.into_iter().chain(others) {
        rules.change();
        asked(&rules);
        let (passage, turns) = in_turns(&mut gate, &rules, &message, |_turn| Duration::ZERO);
        assert!(matches!(passage, Passage::All), "{passage:?}");
        assert!(turns.iter().all(|asked| *asked <= 20), "{turns:?}");
        assert_eq!(turns.iter().sum::<usize>(), questions);
    }
}

#[test]
fn what_is_asked_about_in_turns_is_decided_as_a_whole() {
    let deletes = "delete from t";
    for (first, last, secondable) in [
        (deletes, "table z", false),
        ("table a", deletes, false),
        (deletes, "table z", true),
        ("table a", deletes, true),
    ] {
        let (mut gate, rules) = (Gate::new(Arc::default()), Rules::default());
        rules.forbid(SqlKind::Delete);
        rules.secondable.set(secondable);
        let message = query(&script(first, last));
        let (passage, _turns) = in_turns(&mut gate, &rules, &message, |_turn| Duration::ZERO);
        match (&passage, secondable) {
            (Passage::Held { at: 0, held, .. }, true) => assert_eq!(held.policy, "guard"),
            (Passage::Refused { at: 0, .. }, false) => {}
            other => panic!("{other:?}"),
        }
    }
}

#[test]
fn rules_that_change_between_two_turns_hold_for_the_whole_text() {
    let message = query(&script("delete from t", "table z"));
    let (mut gate, rules) = (Gate::new(Arc::default()), Rules::default());
    let narrower = |turn| {
        if turn == 5 {
            rules.forbid(SqlKind::Delete);
        }
        Duration::ZERO
    };
    let (passage, turns) = in_turns(&mut gate, &rules, &message, narrower);
    assert!(matches!(passage, Passage::Refused { .. }), "{passage:?}");
    assert_eq!(turns.len(), 6);
    // Time alone makes answers old too, only later.
    let (mut gate, rules) = (Gate::new(Arc::default()), Rules::default());
    let late = |turn| Duration::from_secs(if turn < 5 { 0 } else { 11 });
    let (passage, turns) = in_turns(&mut gate, &rules, &message, late);
    assert!(matches!(passage, Passage::All), "{passage:?}");
    let before: usize = turns.iter().take(5).sum();
    assert_eq!(turns.iter().sum::<usize>(), 511 + before);
}

#[test]
fn what_follows_a_text_that_took_long_does_not_rest_on_its_answers() {
    let (mut gate, rules) = (Gate::new(Arc::default()), Rules::default());
    let both = [query(&script("table a", "table z")), query("table a")].concat();
    let crowd = |turn: usize| Duration::from_millis(100) * u32::try_from(turn).unwrap();
    let (passage, turns) = in_turns(&mut gate, &rules, &both, crowd);
    assert!(matches!(passage, Passage::All), "{passage:?}");
    assert_eq!(turns.iter().sum::<usize>(), 512);
}

/// An Execute whose beginning does not say which portal it is of may be of each.
#[test]
fn all_portals_together_are_asked_about_as_much_as_one() {
    let (mut gate, rules) = (Gate::new(Arc::default()), Rules::default());
    let mut before = Vec::new();
    for number in 0..64 {
        let (name, portal) = (format!("p{number}"), format!("q{number}"));
        let text = many(|table| format!("table t{number}_{table};"), 509);
        before.push(parse(&name, &text));
        before.push(parse(&portal, &format!("execute {name}")));
        before.push(bind_to(portal.as_bytes(), portal.as_bytes()));
    }
    assert!(passes(&mut gate, &rules, &before.concat()));
    rules.change();
    asked(&rules);
    let unending = framed(b'E', &[b'q'; 2_000]);
    let (passage, turns) = in_turns(&mut gate, &rules, &unending[..1_500], |_turn| {
        Duration::ZERO
    });
    assert!(matches!(passage, Passage::All), "{passage:?}");
    assert!(turns.iter().all(|asked| *asked <= 20), "{turns:?}");
    let questions: usize = turns.iter().sum();
    assert!(questions > 500 && questions < 5_000, "{questions}");
}

/// Nothing is remembered from one turn to the next.
#[test]
fn what_does_not_come_to_its_end_in_thousands_of_turns_is_refused() {
    let (mut gate, rules) = (Gate::new(Arc::default()), Rules::default());
    let message = query(&script("table a", "table z"));
    let forgets = |_turn| {
        rules.change();
        Duration::ZERO
    };
    let (passage, turns) = in_turns(&mut gate, &rules, &message, forgets);
    assert!(matches!(passage, Passage::Refused { .. }), "{passage:?}");
    assert!(turns.iter().all(|asked| *asked <= 20), "{turns:?}");
}

/// Statements that together weigh more than what is remembered of answers.
#[test]
fn a_text_of_large_statements_comes_to_its_end() {
    let (mut gate, rules) = (Gate::new(Arc::default()), Rules::default());
    let names = many(|number| format!(",a{number}"), 1_000);
    let large = many(
        |number| {
            format!(
                "with x as (delete from z{number}), y as (update u set v = 1), w as (insert into i values (1)) select from b{names};"
            )
        },
        5,
    );
    let (passage, turns) = in_turns(&mut gate, &rules, &query(&large), |_turn| Duration::ZERO);
    assert!(matches!(passage, Passage::All), "{passage:?}");
    assert!(turns.len() < 60, "{turns:?}");
}

/// A message that its client takes back in the middle of its turns says nothing about another.
#[test]
fn what_never_came_to_its_end_is_not_mistaken_for_another() {
    let (mut gate, rules) = (Gate::new(Arc::default()), Rules::default());
    let harmless = script("table a", "table z");
    assert!(passes(&mut gate, &rules, &parse(b"s", &harmless)));
    rules.forbid(SqlKind::Delete);
    let harmful = query(&script("table b", "delete from t"));
    for message in [&harmful, &bind(b"s", &[])] {
        let passage = gate.turn().admit(message, READY, &rules, Duration::ZERO);
        assert!(matches!(passage, Passage::Enough(0)), "{passage:?}");
    }
    assert!(!passes(&mut gate, &rules, &harmful));
}

/// What was asked about a message that was dropped is too old for the next.
#[test]
fn what_is_never_decided_leaves_nothing_behind() {
    let text = query(&script("table a", "table z"));
    for unread in [false, true] {
        let (mut gate, rules) = (Gate::new(Arc::default()), Rules::default());
        let passage = gate.turn().admit(&text, READY, &rules, Duration::ZERO);
        assert!(matches!(passage, Passage::Enough(0)), "{passage:?}");
        if unread {
            rules.scrutiny.set(Scrutiny::Unread);
            rules.change();
            let passage = gate.turn().admit(&text, READY, &rules, Duration::ZERO);
            assert!(matches!(passage, Passage::All), "{passage:?}");
            // Time alone has them read again.
            rules.scrutiny.set(Scrutiny::Each);
        } else {
            gate.dropped();
        }
        asked(&rules);
        let next = query("table a");
        let passage = gate
            .turn()
            .admit(&next, READY, &rules, Duration::from_secs(1));
        assert!(matches!(passage, Passage::All), "{passage:?}");
        assert_eq!(asked(&rules).0, 1);
    }
}
