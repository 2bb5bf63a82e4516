//! Statements and what they do, one by one; the corpus of evasions is in `tests/vectors`.

use super::*;

mod bounds;
mod called;
mod classified;
mod lists;
mod schemas;

/// `kinds relations functions` of a text, for comparing.
fn told(text: &str) -> String {
    let mut told: Vec<String> = Vec::new();
    for one in read(text.as_bytes()).statements {
        let mut kind = one.kind.as_str().to_owned();
        if one.has_where == Some(false) {
            kind.push_str("-all");
        }
        let join = |names: BTreeSet<String>| Vec::from_iter(names).join(",");
        let (relations, functions) = (join(one.relations), join(one.functions));
        told.push(format!("{kind}({relations}|{functions})"));
    }
    told.join(" ")
}

#[track_caller]
fn check(text: &str, want: &str) {
    assert_eq!(told(text), want, "{text}");
}

#[test]
fn plain_statements_are_what_they_look_like() {
    check("", "");
    check("-- nothing\n;;", "");
    check("select 1", "select(|)");
    check(
        "select id, upper(item) from Orders o where id = 1",
        "select(orders|upper)",
    );
    check(
        "select * from public.orders, \"Orders\"",
        "select(Orders,public.orders|)",
    );
    check("insert into orders values (1, 'x')", "insert(orders|)");
    check("insert into a select * from b", "select(a,b|) insert(a,b|)");
    check(
        "insert into a values (1) on conflict (id) do update set x = 1",
        "insert(a|) update(a|)",
    );
    check(
        "update orders set item = 'x' where id = 1",
        "update(orders|)",
    );
    check("update orders set item = 'x'", "update-all(orders|)");
    check("delete from orders where true", "delete-all(orders|)");
    check(
        "delete from orders using old where orders.id = old.id",
        "select(old,orders|) delete(old,orders|)",
    );
    check(
        "delete from orders where id = 1 returning *",
        "select(orders|) delete(orders|)",
    );
    check("begin; select 1; commit", "other(|) select(|)");
}

/// An insertion can be made to meet every row: `insert … select … on conflict` is an update of as many as its query
/// gives.
#[test]
fn an_insertion_updates_all_unless_it_says_which_rows() {
    for some in [
        "values (1, 2) on conflict (id) do update set x = 1",
        "values (1, now()), (2, f(3)) on conflict (id) do update set x = 1",
        "values ($1, coalesce($2, 0), (select max(x) from a)) on conflict (id) do update set x = 1",
        "values ($1, to_tsvector($2), json_build_object('a', random()), trim($3), session_user, uuid_generate_v4(), \
         pg_catalog.sha256($4), ST_GeomFromEWKB($5)) on conflict (id) do update set x = 1",
        "default values on conflict (id) do update set x = 1",
        "select id from b on conflict (id) do update set x = 1 where a.id = 7",
    ] {
        let told = told(&format!("insert into a {some}"));
        assert!(told.contains(" update(a"), "{told} for {some}");
    }
    for all in [
        "select * from a on conflict (id) do update set x = 1",
        "values (generate_series(1, 1000)) on conflict (id) do update set x = 1",
        "values (1) order by generate_series(1, 1000) on conflict (id) do update set x = 1",
        "values (mine(1)) on conflict (id) do update set x = 1",
        "values (evil.now()) on conflict (id) do update set x = 1",
        "select id from b on conflict (id) do update set x = 1 where true",
        "select id from b on conflict (id) do update set x = 1 where excluded.id = 1",
    ] {
        let told = told(&format!("insert into a {all}"));
        assert!(told.contains("update-all(a"), "{told} for {all}");
    }
    let aliased = told(
        "insert into a as t select id from b on conflict (id) do update set x = 1 where t.id = 7",
    );
    assert!(aliased.contains(" update(a"), "{aliased}");
}

#[test]
fn the_databases_own_name_is_left_away() {
    for text in [
        "select pay from orders.public.payroll",
        "select pay from public.payroll",
    ] {
        check(text, "select(public.payroll|)");
    }
    check(
        "copy orders.public.payroll to stdout",
        "select(public.payroll|) copy-out(public.payroll|)",
    );
    check("drop table orders.public.payroll", "ddl(public.payroll|)");
    check(
        "select orders.pg_catalog.current_setting('port')",
        "select(|current_setting)",
    );
}

#[test]
fn a_table_that_is_called_as_hides_nothing() {
    check(
        "create table public.as as with d as (delete from t where id = 1 returning *) select * from d",
        "select(public.as,t|) delete(public.as,t|) ddl(public.as,t|)",
    );
    let read = read(b"create temp table pg_temp.as as execute hot(3)");
    assert!(read.executes.contains("hot"), "{read:?}");
}

#[test]
fn what_the_parser_overlooks_is_seen() {
    check("select * from only payroll", "select(payroll|)");
    check("update only payroll set x = 1", "update-all(payroll|)");
    check("delete from only payroll where x = 1", "delete(payroll|)");
    check(
        "copy payroll to stdout",
        "select(payroll|) copy-out(payroll|)",
    );
    check(
        "copy payroll (a, b) from stdin with (format csv)",
        "insert(payroll|) copy-in(payroll|)",
    );
    check(
        "copy (delete from t returning *) to stdout",
        "select(t|) delete-all(t|) copy-out(t|)",
    );
    check(
        "copy t to program 'sh'",
        "select(t|) copy-out(t|) admin(t|)",
    );
    check(
        "copy t from '/etc/passwd'",
        "insert(t|) copy-in(t|) admin(t|)",
    );
    check(
        "select * into stolen from payroll",
        "select(payroll,stolen|) ddl(payroll,stolen|)",
    );
    check(
        "select 1 into temp table stolen",
        "select(stolen|) ddl(stolen|)",
    );
    check("table payroll", "select(payroll|)");
    check("(table only payroll)", "select(payroll|)");
    check("grant all on payroll to mallory", "admin(payroll|)");
    check(
        "create trigger t before insert on payroll execute function f()",
        "ddl(payroll|f)",
    );
    check("select * from t for update", "select(t|) update(t|)");
    check("truncate only a, b", "delete-all(a,b|)");
}

/// Servers up to 13 take an operator behind its operand, and what follows is no name.
#[test]
fn a_key_word_is_no_name() {
    for text in [
        "select ssn, 5 ! from payroll",
        "select ssn, pay, 5 ! from payroll where dept = 7",
        "select ssn, 5 operator(pg_catalog.!) from payroll p",
        "select ssn, 5 ! ! from only (payroll)",
        "select 1 where 5 ! union table payroll",
        "select * from a join b on x ! join payroll",
        "update a set b = 5 ! from payroll",
        "delete from a using b where a.x ! returning 1",
    ] {
        check(text, "unknown(|)");
    }
    check(
        "insert into a values (default, current_user, user, true, null)",
        "insert(a|current_user,user)",
    );
    check(
        "select left(a, 1), row(a), b as order, c.from from a where a = any (array[1]) and a is distinct from (2)",
        "select(a|left,row)",
    );
}

#[test]
fn a_statement_around_another_does_what_that_does() {
    check(
        "with d as (delete from t returning *) select * from d",
        "select(t|) delete-all(t|)",
    );
    check("explain (analyze, buffers) delete from t", "delete-all(t|)");
    check(
        "explain analyze verbose update t set x = 1 where id = 2",
        "update(t|)",
    );
    check("prepare p (int) as insert into t values ($1)", "insert(t|)");
    check(
        "declare c cursor for select * from t for update",
        "select(t|) update(t|)",
    );
    check(
        "create table a as select * from b",
        "select(a,b|) ddl(a,b|)",
    );
    check(
        "create view a as with x as (select * from b) table x with check option",
        "select(a,b|) ddl(a,b|)",
    );
}

#[test]
fn a_name_of_a_common_table_expression_hides_no_table() {
    check("with x as (select * from y) select * from x", "select(y|)");
    check("with x as (select * from x) select * from x", "select(x|)");
    check(
        "with a as (select * from b), b as (select 1) select * from a, b",
        "select(b|)",
    );
    check(
        "with recursive x as (select 1 union all select * from x) select * from x",
        "select(|)",
    );
    check(
        "with x as (select 1) select * from (with y as (select 1) select 1 from y) z, y",
        "select(y|)",
    );
    check(
        "with t as (select 1) insert into t select * from t",
        "select(t|) insert(t|)",
    );
    check("with t as (select 1) delete from t", "delete-all(t|)");
}

#[test]
fn what_cannot_be_seen_through_is_unknown() {
    for text in [
        "do $$ begin delete from t; end $$",
        "call spend(1)",
        "select (from t",
        "frobnicate",
        "select '\\', '; drop table t; --'",
        "explain",
        "explain explain explain explain explain select 1",
        "copy (do) to stdout",
    ] {
        check(text, "unknown(|)");
    }
    check(&format!("select '{}'", "x".repeat(TEXT_MAX)), "unknown(|)");
}

/// The parser takes `END` for the end of a block, and says nothing of what stands behind it; the server takes it
/// for a column's name.
#[test]
fn nothing_stands_unread_behind_the_end() {
    for text in [
        "select payroll end from payroll",
        "select 1 end, (select string_agg(p::text, ',') from payroll p)",
        "select x END from pg_read_file('/etc/passwd') x",
        "select id end from orders for update",
        "insert into mine select payroll end from payroll",
        "update t set a = a where id = 1 returning 1 end, (select count(*) from payroll)",
        "copy (select payroll end from payroll) to stdout",
        "explain analyze select payroll end from payroll",
        "declare c cursor for select payroll end from payroll",
        "create table x as select payroll end from payroll",
        "(select 1) end union select pay from payroll",
        "select 1 end",
    ] {
        assert!(read(text.as_bytes()).may_do_anything(), "{text}");
    }
    check(
        "select case when a then 1 end from t where b = case c when 1 then 2 end",
        "select(t|)",
    );
    check("select a as end from t", "select(t|)");
    check("begin; select 1; end", "other(|) select(|)");
}

#[test]
fn where_a_statement_ends_is_not_guessed() {
    for text in [
        "set a = f(1; rollback",
        "set a = 1); rollback",
        "begin); (drop table t",
        "begin)(",
    ] {
        check(text, "unknown(|)");
    }
}

#[test]
fn becoming_somebody_else_is_an_office() {
    for text in [
        "set role postgres",
        "set local role to postgres",
        "SET \"role\" = 'postgres'",
        "set session authorization default",
        "set session_authorization to postgres",
        "reset role",
        "alter role app superuser",
        "create extension dblink",
        "vacuum",
    ] {
        check(text, "admin(|)");
    }
    check("set search_path = evil", "other(|)");
}

#[test]
fn operators_and_keywords_of_postgresql_are_no_obstacle() {
    let catalog = "select c.relname, pg_catalog.pg_get_userbyid(c.relowner) from pg_catalog.pg_class c \
                   left join pg_catalog.pg_namespace n on n.oid = c.relnamespace \
                   where n.nspname OPERATOR(pg_catalog.~) '^(x)$' collate pg_catalog.default order by 1";
    check(catalog, "select(pg_class,pg_namespace|pg_get_userbyid)");
    check(
        "select a #>> '{b}', c @> d, -e from t where f ?| array['g'] and h !~* 'i'",
        "select(t|)",
    );
    check("select * from t fetch first 3 rows only", "select(t|)");
    check("select o.table, o.only as only from o", "select(o|)");
}

#[test]
fn the_fingerprint_forgets_constants_only() {
    let print = |text: &str| read(text.as_bytes()).fingerprint;
    assert_eq!(
        print("select * from t where a = 1"),
        print("SELECT * /* x */ FROM t WHERE a='b'")
    );
    assert_ne!(print("select * from t"), print("select * from u"));
    assert_eq!(print("select 1").len(), 16);
    for (one, other) in [
        (r#"select "a b""#, r#"select "a" b"#),
        (r#"select "x from t""#, r#"select "x" from t"#),
        ("select a ? b", "select a 1 b"),
    ] {
        assert_ne!(print(one), print(other), "{one}");
    }
    let [one, other] = ["delete from t", "select 1"].map(|text| read(text.as_bytes()));
    assert_eq!(one.or(&other, 64).fingerprint, "", "it may be either");
    assert_eq!(one.or(&one, 64).fingerprint, one.fingerprint);
}

/// The statements of `tests/vectors/statements.tsv`: how each is known, its kinds, its relations, and
/// the text.
pub(super) fn corpus() -> Vec<[String; 4]> {
    let file = include_str!("../../../../tests/vectors/statements.tsv");
    let lines = file.lines().filter(|line| !line.starts_with('#'));
    let parts = lines.map(|line| {
        let mut parts = line.splitn(4, '\t').map(str::to_owned);
        [(); 4].map(|()| parts.next().unwrap())
    });
    parts.collect()
}

pub(super) fn unescaped(text: &str) -> String {
    let (mut out, mut chars) = (String::new(), text.chars());
    while let Some(next) = chars.next() {
        out.push(match next {
            '\\' => match chars.next() {
                Some('n') => '\n',
                Some('r') => '\r',
                Some('t') => '\t',
                Some('f') => '\u{c}',
                other => other.unwrap(),
            },
            plain => plain,
        });
    }
    out
}

#[test]
fn a_condition_that_picks_none_of_the_rows_that_are_changed_is_none() {
    for all in [
        "merge into orders using (values (1)) v on true when matched then delete",
        "merge into orders o using bad b on b.id = 1 when matched then delete",
        "merge into orders o using bad b on o.id = b.id when not matched by source then delete",
        "delete from orders using (values (1)) v(x) where v.x = 1",
        "delete from orders using bad where x = 1",
        "delete from orders where exists (select x from bad where x = 1)",
        "update orders set item = '' from bad where bad.x = 1",
        "delete from orders where current_role is not null",
        "delete from orders where Current_Schema = 'public' or system_user is null",
        "delete from orders where make_interval(days => 1) > '0'",
        "delete from orders where f(g(a := 1), b => h(c => 2))",
    ] {
        assert!(told(all).contains("-all("), "{all}: {}", told(all));
    }
    for some in [
        "merge into orders o using bad b on o.id = b.id when matched then delete",
        "merge into orders o using bad b on true when matched and o.id = 1 then delete",
        "delete from orders using bad where orders.id = bad.id",
        "delete from orders as \"O\" using bad where \"O\".id = bad.id",
        "delete from s.orders where exists (select 1 from bad where bad.id = orders.id)",
        "delete from orders where id in (select id from bad)",
        "update orders o set item = '' from bad where o.id = bad.id",
        "delete from orders where \"current_role\" is not null",
        "delete from orders where make_interval(days => days) > '0'",
        "delete from orders where f(g(a := id), b => 1)",
    ] {
        assert!(!told(some).contains("-all("), "{some}: {}", told(some));
    }
}

#[test]
fn a_name_with_a_schema_is_no_common_table_expression() {
    check(
        "with pg_stats as (select 1) select * from pg_catalog.pg_stats",
        "select(pg_stats|)",
    );
    check("with t as (select 1) select * from t", "select(|)");
}

#[test]
fn an_into_that_was_passed_over_is_no_select() {
    check("select into stolen from payroll", "unknown(|)");
    check("select a.into from a", "select(a|)");
    check(
        "select 1 as one into stolen",
        "select(stolen|) ddl(stolen|)",
    );
}

/// Kinds and relations as the corpus writes them.
fn summary(text: &str) -> [String; 2] {
    let mut summary = [String::new(), String::new()];
    let tokens = Some(text.as_bytes()).filter(|text| text.len() <= TEXT_MAX);
    let Some(tokens) = tokens.and_then(lexer::tokens) else {
        return ["unknown".to_owned(), String::new()];
    };
    for (number, one) in split(&tokens).enumerate() {
        let found = statement(one, WRAPPED_MAX).finish();
        let kinds = found.iter().map(|one| match one.has_where {
            Some(false) => format!("{}-all", one.kind.as_str()),
            Some(true) | None => one.kind.as_str().to_owned(),
        });
        let relations = found
            .first()
            .map(|one| Vec::from_iter(one.relations.clone()));
        let parts = [kinds.collect(), relations.unwrap_or_default()];
        for (to, part) in summary.iter_mut().zip(parts) {
            if number > 0 {
                to.push('+');
            }
            to.push_str(&part.join(","));
        }
    }
    summary
}

#[test]
fn every_evasion_of_the_corpus_is_told_as_it_is_written_down() {
    let (mut wrong, mut counts) = (Vec::new(), std::collections::BTreeMap::new());
    for [known, kinds, relations, text] in corpus() {
        let told = summary(&unescaped(&text));
        if told != [kinds.clone(), relations.clone()] {
            wrong.push(format!("{text}\n    {kinds} {relations}\n    {told:?}"));
        }
        *counts.entry(known).or_insert(0) += 1;
    }
    assert!(wrong.is_empty(), "{}", wrong.join("\n"));
    assert!(counts.values().sum::<i32>() >= 300, "{counts:?}");
    let figures = include_str!("../../../../docs/measurements.md");
    let row = format!(
        "| {} | {} | {} |",
        counts["seen"], counts["unknown"], counts["miss"]
    );
    assert!(figures.contains(&row), "docs/measurements.md lacks {row}");
}
