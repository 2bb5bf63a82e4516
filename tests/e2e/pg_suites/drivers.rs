//! The tests that drivers of Python bring along, under pytest: each has to end the same way through
//! tidegate as directly, whether it passes, fails or is left out.

use std::collections::BTreeMap;

use super::say;
use super::stage::{Side, Stage, suites};

/// The database. Both suites are told its name.
const DATABASE: &str = "suite";

/// Runs the tests of `$SUITE`, one after another. The outcome of each is a line.
const SCRIPT: &str = r#"export PSYCOPG2_TESTDB=$PGDATABASE PYTHONDONTWRITEBYTECODE=1
psql -X -q -v ON_ERROR_STOP=1 -c "$SETUP" 2>&1 && cd "$SUITES/$SUITE/source" && cp -r $FILES "$HOME" && cd "$HOME" &&
"$SUITES/$SUITE/venv/bin/python" -m pytest -p no:cacheprovider -v --tb=native --assert=plain $TESTS 2>&1"#;

/// What one suite may take, in seconds.
const PATIENCE: u32 = 900;

/// A suite of `tests/pg-suites`.
#[derive(Debug)]
pub(super) struct Suite {
    /// Its folder there.
    pub(super) name: &'static str,
    /// How many tests have to pass directly for it to count as run.
    pub(super) least: usize,
    /// SQL that it wants to have been run.
    pub(super) setup: &'static str,
    /// Its files, in its source.
    pub(super) files: &'static str,
    /// What pytest is told: which tests, and more.
    pub(super) tests: &'static str,
    /// Databases that it goes to besides the one that it is told.
    pub(super) databases: &'static [&'static str],
    /// What its tests that may end differently have in their names, each for a reason that docs/clients.md
    /// gives.
    pub(super) apart: &'static [&'static str],
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
    let (through, shown) = run(&stage.through("through", DATABASE, suite.databases), suite);
    let differ: Vec<(&String, &String)> = direct
        .iter()
        .filter(|(test, outcome)| through.get(*test) != Some(outcome))
        .collect();
    let (apart, wrong): (Vec<_>, Vec<_>) = differ
        .into_iter()
        .partition(|(test, _)| suite.apart.iter().any(|name| test.contains(name)));
    say(&format!(
        "{} end differently, {} of them as docs/clients.md says",
        wrong.len() + apart.len(),
        apart.len()
    ));
    for name in suite.apart {
        if !apart.iter().any(|(test, _)| test.contains(name)) {
            say(&format!("{name} comes to the same this time"));
        }
    }
    let told: Vec<String> = wrong
        .iter()
        .map(|(test, outcome)| format!("{test}: {outcome}, through {:?}", through.get(*test)))
        .collect();
    assert!(
        told.is_empty() && direct.len() == through.len(),
        "{} of {} tests end differently:\n{}\n\n{shown}",
        told.len(),
        direct.len(),
        told.join("\n")
    );
}

/// How each test ended, and all that pytest said.
fn run(side: &Side, suite: &Suite) -> (Outcomes, String) {
    let surroundings = [
        ("SUITE", suite.name),
        ("SETUP", suite.setup),
        ("FILES", suite.files),
        ("TESTS", suite.tests),
    ];
    let ran = side.run(SCRIPT, &surroundings, PATIENCE);
    let shown = side.plain(&ran.stdout);
    let outcomes = shown.lines().filter_map(outcome).collect();
    (outcomes, shown)
}

/// `tests/test_copy.py::TestCopy::test_it PASSED   [ 12%]`, where the name may have blanks in it.
fn outcome(line: &str) -> Option<(String, String)> {
    let (at, outcome) = ["PASSED", "FAILED", "ERROR", "SKIPPED", "XFAIL", "XPASS"]
        .iter()
        .filter_map(|known| Some((line.find(&format!(" {known} "))?, *known)))
        .min()?;
    let test = line.get(..at)?;
    test.contains("::")
        .then(|| (test.to_owned(), outcome.to_owned()))
}

#[test]
fn an_outcome_is_told_from_a_name_with_blanks() {
    let told = |test: &str, outcome: &str| Some((test.to_owned(), outcome.to_owned()));
    assert_eq!(
        outcome("a.py::T::it PASSED    [ 1%]"),
        told("a.py::T::it", "PASSED")
    );
    assert_eq!(
        outcome("a.py::T::it[a b] SKIPPED (no ERROR here) [ 2%]"),
        told("a.py::T::it[a b]", "SKIPPED")
    );
    assert_eq!(outcome("collected 3 items"), None);
}
