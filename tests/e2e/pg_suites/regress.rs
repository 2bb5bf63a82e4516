//! PostgreSQL's own regression tests: every file of its `parallel_schedule` in order, as `pg_regress`
//! has psql read it (`src/test/regress/pg_regress_main.c`), on three fresh servers: two reached
//! directly, one through tidegate.
//!
//! What psql writes through tidegate has to be what it writes directly, to the byte, but for lines
//! that the two direct servers have different already.

use std::fs;
use std::thread;

use super::say;
use super::stage::{Side, Stage, suites};

/// The name of the database, as `pg_regress` calls it.
const DATABASE: &str = "regression";

/// Of what `pg_regress` sets for its sessions, that which it sets for the database (`create_database`
/// in `pg_regress.c`).
const SETTINGS: &str = r#"psql -X -q -d "$PGDATABASE" -v ON_ERROR_STOP=1 <<'SQL' >/dev/null
alter database regression set lc_messages to 'C';
alter database regression set lc_monetary to 'C';
alter database regression set lc_numeric to 'C';
alter database regression set lc_time to 'C';
alter database regression set bytea_output to 'hex';
alter database regression set timezone_abbreviations to 'Default';
SQL"#;

/// One file, as `psql_start_test` of `pg_regress_main.c` and `initialize_environment` of `pg_regress.c` have it run.
const FILE: &str = r#"export PGTZ=PST8PDT PGDATESTYLE='Postgres, MDY' PGOPTIONS='-c intervalstyle=postgres_verbose' PGAPPNAME="pg_regress/$FILE"
export PG_ABS_SRCDIR=$SUITES/regress PG_ABS_BUILDDIR=$PWD PG_LIBDIR=$SUITES/regress PG_DLSUFFIX=.so
psql -X -a -q -d "$PGDATABASE" -v HIDE_TABLEAM=on -v HIDE_TOAST_COMPRESSION=on <"$SUITES/regress/sql/$FILE.sql" 2>&1"#;

/// What one file may take, in seconds.
const PATIENCE: u32 = 240;

/// Files that differ for a reason that docs/clients.md gives: psql's `\lo_…` are fast-path calls.
const APART: &[&str] = &["largeobject"];

/// How many files have to come out directly as PostgreSQL expects: without that, all could fail alike.
const EXPECTED: usize = 190;

/// Runs them all.
pub(super) fn says_the_same() {
    let stage = Stage::set();
    let sides = [
        stage.direct("direct", DATABASE),
        stage.direct("again", DATABASE),
        stage.through("through", DATABASE, &[]),
    ];
    for side in &sides {
        let set = side.run(SETTINGS, &[], PATIENCE);
        assert!(
            set.status.success(),
            "{}: {}",
            side.name,
            side.plain(&set.stderr)
        );
    }
    let schedule = suites().join("regress/parallel_schedule");
    let files = scheduled(&fs::read_to_string(schedule).expect("a schedule"));
    assert!(files.len() > 180, "{} files are scheduled", files.len());
    let (mut wrong, mut expected, mut unsettled) = (Vec::new(), Vec::new(), Vec::new());
    for file in &files {
        let said = run(&sides, file);
        if is_expected(file, &said[0]) {
            expected.push(file);
        }
        if said[0] != said[1] {
            unsettled.push(file);
        }
        let found = difference(&sides, &said);
        let verdict = match (found.is_some(), APART.contains(&file.as_str())) {
            (false, false) => "ok     ",
            (true, true) => "APART  ",
            (true, false) => "DIFFERS",
            (false, true) => "ok now ",
        };
        say(&format!("{verdict} {file}"));
        if verdict == "DIFFERS" || verdict == "ok now " {
            wrong.push(format!("{file}\n{}", found.unwrap_or_default()));
        }
    }
    say(&format!(
        "of {} files, {} come out directly as PostgreSQL expects; with themselves do not agree {unsettled:?}",
        files.len(),
        expected.len()
    ));
    assert!(expected.len() >= EXPECTED, "only {expected:?} do");
    assert!(
        wrong.is_empty(),
        "{} of {} files differ:\n\n{}",
        wrong.len(),
        files.len(),
        wrong.join("\n")
    );
}

/// The files that a schedule names, in its order.
fn scheduled(schedule: &str) -> Vec<String> {
    let names = schedule
        .lines()
        .filter_map(|line| line.strip_prefix("test:"));
    let names = names.flat_map(str::split_whitespace).map(str::to_owned);
    names.collect()
}

/// Runs a file on all sides at once, and gives back what psql wrote.
fn run(sides: &[Side; 3], file: &str) -> [String; 3] {
    thread::scope(|scope| {
        let running = sides.each_ref().map(|side| {
            scope.spawn(|| {
                let ran = side.run(FILE, &[("FILE", file)], PATIENCE);
                let stuck = if ran.status.success() { "" } else { "STUCK\n" };
                side.plain(&ran.stdout) + stuck
            })
        });
        running.map(|side| side.join().expect("it has run"))
    })
}

/// Whether PostgreSQL has written down this outcome, as the first or as one of the variants.
fn is_expected(file: &str, said: &str) -> bool {
    let folder = suites().join("regress/expected");
    let known = |variant: &str| fs::read_to_string(folder.join(format!("{file}{variant}.out")));
    let variants = ["", "_1", "_2", "_3"];
    variants
        .iter()
        .any(|variant| known(variant).is_ok_and(|expected| expected == said))
}

/// How what came through differs.
fn difference(sides: &[Side; 3], [direct, again, through]: &[String; 3]) -> Option<String> {
    if through == direct || through == again || settles(direct, again, through) {
        return None;
    }
    let [_, _, side] = sides;
    for (name, text) in [
        ("direct", &direct),
        ("again", &again),
        ("through", &through),
    ] {
        fs::write(side.dir.join(name), text).expect("room");
    }
    let shown = side.run(
        "diff -U2 direct again | head -n 20; echo; diff -U2 direct through | head -n 60",
        &[],
        PATIENCE,
    );
    Some(side.plain(&shown.stdout))
}

/// Whether what came through differs only where both direct runs do.
fn settles(direct: &str, again: &str, through: &str) -> bool {
    let count = direct.lines().count();
    count == again.lines().count()
        && count == through.lines().count()
        && direct
            .lines()
            .zip(again.lines())
            .zip(through.lines())
            .all(|((direct, again), through)| direct != again || direct == through)
}

#[test]
fn a_line_may_differ_where_both_direct_runs_do_and_nowhere_else() {
    assert!(settles("a\n1\n", "a\n2\n", "a\n3\n"));
    assert!(!settles("a\n1\n", "a\n2\n", "b\n1\n"));
    assert!(!settles("a\n1\n", "a\n2\n", "a\n3\n4\n"));
}
