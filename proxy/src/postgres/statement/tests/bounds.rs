//! How much of a text is looked at, and for how long.

use super::*;

#[test]
fn what_would_be_looked_at_too_long_each_time_it_runs_is_unknown() {
    let is_unknown = |reading: &Reading| *reading == Reading::unknown();
    let much = |text: &dyn Fn(usize) -> String, count: usize| {
        let text: String = (0..count).map(text).collect();
        read(text.as_bytes())
    };
    let tables = |number| format!("table t{number};");
    assert!(!is_unknown(&much(&tables, 512)) && is_unknown(&much(&tables, 513)));
    assert_eq!(much(&|_| "table t;".to_owned(), 4_000).statements.len(), 1);
    let names = |number| format!("execute t{number};");
    assert!(!is_unknown(&much(&names, 256)) && is_unknown(&much(&names, 257)));
    let locked = |count: usize| {
        let list: Vec<String> = (0..count).map(|number| format!("t{number}")).collect();
        read(format!("lock {}", list.join(",")).as_bytes()).statements
    };
    assert_eq!(locked(1024)[0].relations.len(), 1024);
    assert_eq!(locked(1025), Reading::unknown().statements);
    // What either of two texts prepares is bounded as well.
    let mut either = read(b"select 1");
    for round in 0..20 {
        either = either.or(
            &much(
                &|number| format!("prepare p{round}_{number} as values (1);"),
                60,
            ),
            64,
        );
        assert!(either.prepares.len() <= 256);
    }
}

// What takes for ever is noticed by who runs the tests.
#[test]
fn texts_that_have_too_much_together_are_not_compared() {
    let much = |letter: char, count: usize| {
        let text = |number| format!("table {letter}{number};");
        let text: String = (0..count).map(text).collect();
        read(text.as_bytes())
    };
    let (one, other) = (much('a', 512), much('b', 512));
    for _again in 0..2_000 {
        assert_eq!(one.or(&other, 64), Reading::unknown());
    }
    assert_eq!(much('a', 40).or(&much('b', 24), 64).statements.len(), 64);
    assert_eq!(much('a', 64).or(&much('a', 64), 64).statements.len(), 64);
    assert_eq!(much('a', 40).or(&much('b', 25), 64), Reading::unknown());
}

// Each was 10,900 names that were read 10,900 times.
#[test]
fn a_long_name_is_read_once_whatever_words_are_in_it() {
    for number in 0..20 {
        let texts = [
            format!("grant {}x{number} to y", "in.".repeat(10_900)),
            format!("execute p({}x{number})", "or.".repeat(10_900)),
            format!("copy t from stdin where {}x{number}", "and.".repeat(8_000)),
        ];
        for text in texts {
            assert!(read(text.as_bytes()) != Reading::unknown());
        }
    }
}

// A text that takes for ever is noticed by who runs the tests.
#[test]
fn no_text_uses_up_the_stack_or_the_time() {
    let texts = [
        format!("select {}1{}", "(".repeat(16_000), ")".repeat(16_000)),
        format!("select {}1", "1+".repeat(16_000)),
        format!("select {}1", "- ".repeat(16_000)),
        format!("select {}1", "not ".repeat(8_000)),
        format!("select 1{}", " union select 1".repeat(2_000)),
        format!("select 1{}", " union select 1".repeat(400)),
        format!("select {}1", "1+".repeat(500)),
        format!("select a{}", "::int".repeat(6_000)),
        format!("select a{}", "[1]".repeat(10_000)),
        format!(
            "select {} 1 {}",
            "case when 1 then".repeat(400),
            "end".repeat(400)
        ),
        format!("select {}1{}", "(select ".repeat(39), ")".repeat(39)),
        format!("select {}1{}", "f(".repeat(40), ")".repeat(40)),
        // Each of them is tried in two ways.
        format!("select {}1{}", "position(".repeat(38), ")".repeat(38)),
        format!("select {}1{};", "position(".repeat(38), ")".repeat(38)).repeat(80),
        format!(
            "select 1 where 1 in (({}1{} + 1), 2)",
            "(select 1 where 1 in ((".repeat(12),
            ") + 1), 2)".repeat(12)
        ),
        format!("select * from {}t{}", "(".repeat(40), ")".repeat(40)),
        format!(
            "select * from {}a{}",
            "(".repeat(39),
            " join b on true)".repeat(39)
        ),
        format!("select * from t{}", " join t on true".repeat(2_000)),
        format!("select {}", "a.".repeat(16_000)),
        // A list that takes no step, tried in two ways at each level.
        format!(
            "select {}(select from {}t){}",
            "position(".repeat(15),
            "t,".repeat(16_000),
            ")".repeat(15)
        ),
        format!("comment {}{}x", "on x,".repeat(4_096), "x,".repeat(6_000)),
        format!("alter {}", "from ".repeat(6_500)),
        format!("drop {}", "on ".repeat(10_900)),
        format!("select {}1", "+".repeat(32_700)),
        format!("select {}", "password/*".repeat(3_270)),
        format!("{}select 1", "with x as (select 1) ".repeat(1_500)),
        format!(
            "{}select 1{}",
            "with x as (".repeat(39),
            ") select 1".repeat(39)
        ),
        ";".repeat(TEXT_MAX),
        "select 1;".repeat(3_600),
    ];
    for text in texts {
        let thread = std::thread::Builder::new().stack_size(1 << 20);
        let begins: String = text.chars().take(40).collect();
        let reading = thread.spawn(move || read(text.as_bytes())).unwrap();
        assert!(reading.join().is_ok(), "{begins}");
    }
}
