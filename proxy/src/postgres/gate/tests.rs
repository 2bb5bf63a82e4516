//! What passes, by itself: what was prepared under wider rules, and how it could be covered up.

use std::cell::Cell;

use policies::words::Words;
use policies::{Deed, Denial, SqlKind, SqlStatement};

use super::*;
use crate::postgres::wire::samples::{bind, execute, framed, parse, query, sync, texts};

mod budget;
mod closing;
mod portals;
mod unnamed;
mod work;

/// Rules that can become narrower.
struct Rules {
    scrutiny: Cell<Scrutiny>,
    forbidden: Cell<Option<SqlKind>>,
    edition: Cell<u64>,
    /// Others can let through what is forbidden.
    secondable: Cell<bool>,
    /// How many questions there were, and how many names they had.
    asked: Cell<usize>,
    names: Cell<usize>,
    /// How many statements there are left to run, where they are counted.
    left: Cell<Option<u64>>,
}

impl Default for Rules {
    fn default() -> Self {
        Self {
            scrutiny: Cell::new(Scrutiny::Each),
            forbidden: Cell::default(),
            edition: Cell::default(),
            secondable: Cell::default(),
            asked: Cell::default(),
            names: Cell::default(),
            left: Cell::default(),
        }
    }
}

impl Rules {
    fn forbid(&self, kind: SqlKind) {
        self.forbidden.set(Some(kind));
        self.change();
    }

    fn change(&self) {
        self.edition.set(self.edition.get().saturating_add(1));
    }
}

impl Bench for Rules {
    fn edition(&self) -> u64 {
        self.edition.get()
    }

    fn scrutiny(&self) -> Scrutiny {
        self.scrutiny.get()
    }

    fn may(&self, deed: &Deed) -> Result<(), Denial> {
        self.asked.set(self.asked.get().saturating_add(1));
        if let Deed::Statement(one) = deed {
            let names = one.relations.len().saturating_add(one.functions.len());
            self.names.set(self.names.get().saturating_add(names));
        }
        let forbidden = self.forbidden.get();
        // What may be anything is asked about as everything.
        let covers = |kind| kind == SqlKind::Unknown || Some(kind) == forbidden;
        let is_forbidden = matches!(deed, Deed::Statement(one) if covers(one.kind));
        let is_forbidden = is_forbidden && forbidden.is_some();
        if is_forbidden {
            return Err(Denial::Forbidden {
                policy: "guard".to_owned(),
                reason: "Not here.".to_owned(),
            });
        }
        Ok(())
    }

    fn can_be_seconded(&self, _statement: &SqlStatement) -> bool {
        self.secondable.get()
    }

    fn is_metered(&self) -> bool {
        self.left.get().is_some()
    }

    fn charge(&self) -> Option<Words> {
        self.left.set(Some(self.left.get()?.checked_sub(1)?));
        None
    }

    fn is_spent(&self) -> Option<Words> {
        self.is_over()
    }

    fn is_over(&self) -> Option<Words> {
        (self.left.get() == Some(0)).then(|| Words {
            code: "TG559",
            what: "used up".to_owned(),
            hint: None,
        })
    }

    fn second(&self, _held: &Held) -> Hearing {
        panic!("nobody is asked")
    }
}

fn run(name: &[u8]) -> Vec<u8> {
    [bind(name, &[]), execute(), sync()].concat()
}

fn close(name: &[u8]) -> Vec<u8> {
    texts(b'C', &[&[b"S", name].concat()], &[])
}

/// A gate that deletes have passed as these, at which they are forbidden.
fn narrowed(before: &[Vec<u8>]) -> (Gate, Rules) {
    let (mut gate, rules) = (Gate::new(Arc::default()), Rules::default());
    assert!(passes(&mut gate, &rules, &before.concat()));
    rules.forbid(SqlKind::Delete);
    (gate, rules)
}

impl Gate {
    /// The gate once others have had their turn.
    fn turn(&mut self) -> &mut Self {
        self.share.begin();
        self
    }
}

/// A server that has answered everything, and has acted on each Parse.
const READY: Standing = Standing {
    begun: 0,
    is_idle: true,
    in_batch: false,
    is_parsed: true,
    next: 1,
};

/// Whether all of it passes a server that has answered everything.
fn passes(gate: &mut Gate, rules: &Rules, chunk: &[u8]) -> bool {
    let (mut rest, mut standing) = (chunk, READY);
    loop {
        match gate.turn().admit(rest, standing, rules, Duration::ZERO) {
            Passage::All => {
                (1..=100).for_each(|number| gate.closed(number));
                return true;
            }
            Passage::Refused { .. } => return false,
            // What has passed has not been answered yet.
            Passage::Enough(place) => {
                rest = &rest[place..];
                (standing.is_idle, standing.is_parsed) = (false, false);
            }
            Passage::Unsettled(place) => {
                rest = &rest[place..];
                standing = READY;
                gate.settled();
            }
            other @ (Passage::Until { .. } | Passage::Held { .. }) => panic!("{other:?}"),
        }
    }
}

/// A name that is no text in the client's encoding is an error to the server, which then drops what
/// follows.
#[test]
fn a_close_that_may_fail_covers_nothing_up() {
    let delete = "delete from t";
    for (name, is_answered) in [(b"x".as_slice(), true), (b"\xff", false)] {
        let (mut gate, rules) = narrowed(&[parse(b"a", delete), sync()]);
        let closes = [close(name), close(b"a"), sync()].concat();
        let passage = gate.turn().admit(&closes, READY, &rules, Duration::ZERO);
        assert!(matches!(passage, Passage::All), "{passage:?}");
        if is_answered {
            (1..=2).for_each(|number| gate.closed(number));
        }
        assert!(passes(&mut gate, &rules, &parse(b"a", "select 1")));
        assert_eq!(
            passes(&mut gate, &rules, &run(b"a")),
            is_answered,
            "{name:?}"
        );
    }
}

#[test]
fn what_is_run_is_judged_unless_the_same_text_prepared_it_before() {
    let before = [query("prepare a as delete from t")];
    for (text, passes_by) in [
        ("execute a", false),
        ("execute a; commit; prepare a as select 1", false),
        ("execute a; deallocate a; prepare a as select 1", false),
        ("create table u as execute a; prepare a as select 1", false),
        // One that is there already fails, and with it the rest.
        ("prepare a as select 1; execute a", true),
        ("prepare b as select 1; execute b; execute b", true),
        ("prepare b as select 1; execute b; execute a", false),
    ] {
        let (mut gate, rules) = narrowed(&before);
        assert_eq!(passes(&mut gate, &rules, &query(text)), passes_by, "{text}");
    }
}

/// `transaction` is a name like any other, unless that of a transaction follows it.
#[test]
fn a_statement_that_is_called_transaction_is_judged_when_it_is_prepared_and_run() {
    let harmless = [
        query("prepare \"transaction\" as select 1"),
        query("deallocate transaction"),
    ];
    let late = query("prepare transaction as delete from t");
    let (mut gate, rules) = narrowed(&harmless);
    assert!(!passes(&mut gate, &rules, &late));
    let (mut gate, rules) = narrowed(&[harmless.to_vec(), vec![late]].concat());
    assert!(!passes(&mut gate, &rules, &query("execute transaction")));
    assert!(!passes(&mut gate, &rules, &run(b"transaction")));
    assert!(passes(&mut gate, &rules, &query("prepare transaction 'x'")));
}

/// `PREPARE` in a Parse runs when that is executed, and so does what is in it or cannot be read.
#[test]
fn what_was_prepared_by_a_message_of_the_other_protocol_is_judged_when_it_is_run() {
    let select = query("prepare p as select 1");
    for text in [
        "prepare p as delete from t",
        "do $$ begin execute 'deallocate p'; execute 'prepare p as delete from t'; end $$",
    ] {
        let late = [texts(b'P', &[b"", text.as_bytes()], &[0, 0]), run(b"")];
        let (mut gate, rules) =
            narrowed(&[vec![select.clone(), query("deallocate p")], late.to_vec()].concat());
        assert!(!passes(&mut gate, &rules, &query("execute p")), "{text}");
        assert!(!passes(&mut gate, &rules, &run(b"p")), "{text}");
        assert!(
            passes(
                &mut gate,
                &rules,
                &[parse(b"", "select 1"), run(b"")].concat()
            ),
            "{text}"
        );
    }
    // The block is bound before the name is given away, and runs after.
    let block = "do $$ begin execute 'deallocate p'; execute 'prepare p as delete from t'; end $$";
    for portal in [b"".as_slice(), b"c"] {
        let before = [
            parse(b"", block),
            texts(b'B', &[portal, b""], &[0; 6]),
            parse(b"p", "select 1"),
            texts(b'E', &[portal], &[0; 4]),
            sync(),
        ];
        let (mut gate, rules) = narrowed(&before);
        assert!(!passes(&mut gate, &rules, &run(b"p")), "{portal:?}");
    }
}

/// A Parse under a name that is taken fails.
#[test]
fn what_a_block_has_prepared_is_not_covered_up_by_a_parse() {
    let block = "do $$ begin execute 'prepare p as delete from t'; end $$";
    let (mut gate, rules) = narrowed(&[query(block), parse(b"p", "select 1"), sync()]);
    assert!(!passes(&mut gate, &rules, &run(b"p")));
}

/// A text that names thousands of relations and does several things to them.
fn many_names(number: u32) -> Vec<u8> {
    let names: Vec<String> = (0..5000).map(|name| format!("t{name}")).collect();
    let text = format!(
        "with a as (insert into x values ({number})), b as (update x set y = 1 where z = 1), c as (delete from x) select from {}",
        names.join(","),
    );
    parse(format!("s{number}").as_bytes(), &text)
}

#[test]
fn names_without_end_do_not_fill_the_memory() {
    let mut gate = Gate::new(Arc::default());
    let rules = Rules::default();
    let before = held();
    for number in 0..100 {
        assert!(passes(&mut gate, &rules, &many_names(number)));
    }
    let grown = held().saturating_sub(before);
    assert!(grown < 48 * 1024, "{grown} KiB more");
}

#[test]
fn a_tree_of_what_was_prepared_is_followed_only_so_far() {
    let many =
        |text: &dyn Fn(usize) -> String, count: usize| -> String { (0..count).map(text).collect() };
    let (leaf, small) = (many(&|number| format!("table t{number};"), 300), "select 1");
    for (leaf, passes_by) in [(small, true), (&leaf, false)] {
        let mut before: Vec<Vec<u8>> = (0..8)
            .map(|number| parse(format!("b{number}").as_bytes(), leaf))
            .collect();
        before.push(parse(
            b"a",
            &many(&|number| format!("execute b{number};"), 8),
        ));
        before.push(parse(b"t", "execute a"));
        before.push(sync());
        let (mut gate, rules) = narrowed(&before);
        assert_eq!(passes(&mut gate, &rules, &run(b"t")), passes_by);
    }
}

/// Memory of this process that no file is behind, in KiB (`proc(5)`).
fn held() -> u64 {
    let text = std::fs::read_to_string("/proc/self/smaps_rollup").expect("Linux");
    let line = text
        .lines()
        .find_map(|line| line.strip_prefix("Anonymous:"));
    line.and_then(|line| line.split_whitespace().next()?.parse().ok())
        .expect("the field is there")
}
