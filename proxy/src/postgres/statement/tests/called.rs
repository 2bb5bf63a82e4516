//! Which functions a text calls.

use super::*;

#[test]
fn what_the_parser_knows_as_something_else_is_a_function_all_the_same() {
    check("select top(1) from orders", "unknown(|)");
    check("select convert(a, spend(1)) from t", "unknown(|)");
    check("select ceil(a), floor(b) from t", "select(t|ceil,floor)");
    check(
        "select substring(a, 1), substr(b, 2), overlay(c placing d from 1) from t",
        "select(t|overlay,substr,substring)",
    );
}

#[test]
fn what_is_called_outside_of_queries_is_named() {
    check(
        "execute q(pg_read_file('PG_VERSION'))",
        "other(|pg_read_file)",
    );
    check("explain analyze execute q(1, f())", "other(|f)");
    check("copy t from stdin where f(a)", "insert(t|f) copy-in(t|f)");
    check("alter table t alter c type int using s.f(c)", "ddl(t|s.f)");
}

/// `FOR NO KEY UPDATE` is a lock, and `key` a name.
#[test]
fn a_function_that_is_called_like_a_lock_is_named() {
    check(
        "select substring(a for key(1)), substring(a for no(2)) from t for no key update",
        "select(t|key,no,substring) update(t|key,no,substring)",
    );
    check("select 1 from t for key share", "select(t|) update(t|)");
}
