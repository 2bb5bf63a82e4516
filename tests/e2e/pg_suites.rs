//! What others test PostgreSQL and its drivers with, run directly and through tidegate: it has to come
//! to the same. `tests/pg-suites` brings it; nothing of it is committed.

mod drivers;
mod regress;
mod stage;

use drivers::Suite;

/// The statements of PostgreSQL's own regression tests, one file after another as their schedule has it.
#[test]
#[ignore = "long: PostgreSQL's sources are fetched"]
fn the_regression_sql_of_postgresql_says_the_same() {
    regress::says_the_same();
}

#[test]
#[ignore = "long: the tests of asyncpg are fetched"]
fn the_own_tests_of_asyncpg_come_to_the_same() {
    drivers::come_to_the_same(&Suite {
        name: "asyncpg",
        least: 300,
        setup: "",
        files: "tests",
        tests: "tests",
        databases: &["postgres", "asyncpg_intro_test", "testdb"],
        apart: &["::test_executemany_server_failure_during_writes"],
    });
}

#[test]
#[ignore = "long: the tests of psycopg 2 are fetched"]
fn the_own_tests_of_psycopg_2_come_to_the_same() {
    drivers::come_to_the_same(&Suite {
        name: "psycopg2",
        least: 700,
        setup: "create extension hstore",
        files: "tests",
        tests: "tests",
        databases: &[],
        apart: &["test_lobject.py"],
    });
}

#[test]
#[ignore = "long: the tests of SQLAlchemy are fetched"]
fn the_tests_of_sqlalchemy_for_postgresql_come_to_the_same_with_psycopg_3() {
    drivers::come_to_the_same(&Suite {
        name: "sqlalchemy",
        least: 1000,
        setup: "create schema test_schema; create schema test_schema_2; create extension hstore; create extension citext",
        files: ".",
        tests: "test/dialect/postgresql test/dialect/test_suite.py --dburi postgresql+psycopg://",
        databases: &[],
        apart: &[],
    });
}

/// Says something to whoever reads the test's output.
#[expect(clippy::print_stdout, reason = "a long test says where it is")]
fn say(text: &str) {
    println!("{text}");
}
