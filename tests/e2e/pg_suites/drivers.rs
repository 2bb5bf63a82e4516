//! The tests that drivers of Python bring along, under pytest: each has to end the same way through
//! tidegate as directly, whether it passes, fails or is left out.

use std::collections::BTreeMap;

use super::say;
use super::stage::{Side, Stage, suites};

/// The database. Both suites are told its name.
const DATABASE: &str = "suite";

/// Runs the tests of `$SUITE`, one after another. The outcome of each is a line of the summary.
const SCRIPT: &str = r#"cp -r "$SUITES/$SUITE/tests" tests
export PSYCOPG2_TESTDB=$PGDATABASE PYTHONDONTWRITEBYTECODE=1
"$SUITES/$SUITE/venv/bin/python" -m pytest -p no:cacheprovider -v --tb=native --assert=plain tests 2>&1"#;

/// What one suite may take, in seconds.
const PATIENCE: u32 = 900;

/// A suite of `tests/pg-suites`.
#[derive(Debug)]
pub(super) struct Suite {
    /// Its folder there.
    pub(super) name: &'static str,
    /// How many tests have to pass directly for it to count as run.
    pub(super) least: usize,
}

type Outcomes = BTreeMap<String, String>;

/// Runs it both ways.
pub(super) fn come_to_the_same(suite: &Suite) {
    assert!(
        suites().join(suite.name).join("done").exists(),
        "{} is not there; type: tests/pg-suites",
        suite.name
    );
    let stage = Stage::set();
    let (direct, shown) = run(&stage.direct("direct", DATABASE), suite);
    let passed = direct
        .values()
        .filter(|outcome| *outcome == "PASSED")
        .count();
    say(&format!("{passed} of {} pass directly", direct.len()));
    assert!(passed >= suite.least, "{shown}");
    let (through, shown) = run(&stage.through("through", DATABASE), suite);
    let wrong: Vec<String> = direct
        .iter()
        .filter(|(test, outcome)| through.get(*test) != Some(outcome))
        .map(|(test, outcome)| format!("{test}: {outcome}, through {:?}", through.get(test)))
        .collect();
    assert!(
        wrong.is_empty() && direct.len() == through.len(),
        "{} of {} tests end differently:\n{}\n\n{shown}",
        wrong.len(),
        direct.len(),
        wrong.join("\n")
    );
}

/// How each test ended, and all that pytest said.
fn run(side: &Side, suite: &Suite) -> (Outcomes, String) {
    let ran = side.run(SCRIPT, &[("SUITE", suite.name)], PATIENCE);
    let shown = side.plain(&ran.stdout);
    let outcomes = shown.lines().filter_map(outcome).collect();
    (outcomes, shown)
}

/// `tests/test_copy.py::TestCopy::test_it PASSED   [ 12%]`
fn outcome(line: &str) -> Option<(String, String)> {
    let (test, rest) = line.split_once(' ')?;
    let outcome = rest.split_whitespace().next()?;
    let known = ["PASSED", "FAILED", "ERROR", "SKIPPED", "XFAIL", "XPASS"];
    (test.contains("::") && known.contains(&outcome)).then(|| (test.to_owned(), outcome.to_owned()))
}
