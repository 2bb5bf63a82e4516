//! What is asked, and what comes back.

use std::fmt::Debug;

use chrono::{DateTime, NaiveDate, NaiveTime, Utc};
use futures_util::TryStreamExt;
use md5::{Digest, Md5};
use rust_decimal::Decimal;
use sqlx::postgres::types::{PgInterval, PgRange};
use sqlx::postgres::{PgConnection, PgTypeInfo, PgValueRef};
use sqlx::types::{Json, Uuid};
use sqlx::{
    AssertSqlSafe, Column, ConnectOptions, Connection, Executor, Postgres, SqlStr, Statement,
    TypeInfo, query, query_as, query_scalar, raw_sql,
};

use crate::{Fallible, fails, md5, place, show, told};

pub(super) async fn simple(c: &mut PgConnection) -> Fallible {
    for sql in [
        "select 42",
        "select",
        "values (1), (2)",
        "select 'a;b' as n, null",
        "",
    ] {
        show(c, sql).await;
    }
    Ok(())
}

pub(super) async fn extended(c: &mut PgConnection) -> Fallible {
    let sums: (i32, String) = query_as("select $1::int + $2, $3")
        .bind(1)
        .bind(2)
        .bind("x")
        .fetch_one(&mut *c)
        .await?;
    println!("{sums:?}");
    let some =
        query_scalar("select item from orders where id = any($1) order by id").bind(vec![1, 5, 9]);
    let some: Vec<String> = some.fetch_all(&mut *c).await?;
    println!("{some:?}");
    fails(query("select 1 / $1").bind(0).fetch_one(&mut *c)).await;
    fails(query("select $1::uuid").bind("no").fetch_one(&mut *c)).await;
    fails(query("select 1 where false").fetch_one(&mut *c)).await;
    println!(
        "{}",
        query("select 1 where false")
            .fetch_optional(&mut *c)
            .await?
            .is_none()
    );
    let done = query("update orders set item = item where id < $1")
        .bind(4)
        .execute(&mut *c)
        .await?;
    println!("{}", done.rows_affected());
    Ok(())
}

pub(super) async fn reuse(c: &mut PgConnection) -> Fallible {
    for n in 1..30 {
        let item: String = query_scalar("select item from orders where id = $1")
            .bind(n)
            .fetch_one(&mut *c)
            .await?;
        print!("{item} ");
    }
    let count = "select count(*) from pg_prepared_statements";
    show(c, count).await;
    println!("{}", c.cached_statements_size());
    let mut few = place().statement_cache_capacity(2).connect().await?;
    for n in 0..20 {
        for q in 0..5 {
            let sql = AssertSqlSafe(format!("select $1 + {q}"));
            let sum: i32 = query_scalar(sql).bind(n).fetch_one(&mut few).await?;
            print!("{sum} ");
        }
        query("select $1")
            .persistent(false)
            .bind(n)
            .execute(&mut few)
            .await?;
    }
    show(&mut few, count).await;
    few.clear_cached_statements().await?;
    show(&mut few, count).await;
    raw_sql("create temp table t (a int)")
        .execute(&mut few)
        .await?;
    query("select * from t").fetch_all(&mut few).await?;
    raw_sql("alter table t add b int").execute(&mut few).await?;
    fails(query("select * from t").fetch_all(&mut few)).await;
    few.close().await
}

/// What a value is when it has been there and back, and how the server writes it.
async fn back<T>(c: &mut PgConnection, sql: &'static str, value: T) -> Fallible
where
    T: for<'q> sqlx::Encode<'q, Postgres>
        + for<'r> sqlx::Decode<'r, Postgres>
        + sqlx::Type<Postgres>,
    T: Debug + Clone + PartialEq + Send + Sync + Unpin + 'static,
{
    let (same, text): (T, String) = query_as(sql).bind(value.clone()).fetch_one(c).await?;
    println!("{sql}: {same:?} {} {text}", same == value);
    Ok(())
}

pub(super) async fn binary(c: &mut PgConnection) -> Fallible {
    let noon: DateTime<Utc> = "2026-01-01T12:34:56.789Z".parse().expect("a time");
    back(c, "select $1::bool, $1::text", true).await?;
    back(c, "select $1::int2, $1::text", -7i16).await?;
    back(c, "select $1::int8, $1::text", 1i64 << 40).await?;
    back(c, "select $1::text, $1::text", "ü".to_owned()).await?;
    back(c, "select $1::bytea, $1::text", [0u8, 255].repeat(50)).await?;
    back(c, "select $1::float4, $1::text", 1.5f32).await?;
    back(c, "select $1::float8, $1::text", f64::INFINITY).await?;
    back(
        c,
        "select $1::numeric, $1::text",
        "-123456.789".parse::<Decimal>().expect("a number"),
    )
    .await?;
    back(c, "select $1::uuid, $1::text", Uuid::from_u128(7)).await?;
    back(c, "select $1::timestamp, $1::text", noon.naive_utc()).await?;
    back(c, "select $1::timestamptz, $1::text", noon).await?;
    back::<NaiveDate>(c, "select $1::date, $1::text", noon.date_naive()).await?;
    back::<NaiveTime>(c, "select $1::time, $1::text", noon.time()).await?;
    back(
        c,
        "select $1::interval, $1::text",
        PgInterval {
            months: 1,
            days: -2,
            microseconds: 3,
        },
    )
    .await?;
    back(c, "select $1::jsonb, $1::text", Json(vec![Some(1), None])).await?;
    back(c, "select $1::int4range, $1::text", PgRange::from(1i32..5)).await?;
    back(
        c,
        "select $1::int[], $1::text",
        vec![Some(1i32), None, Some(3)],
    )
    .await?;
    back(
        c,
        "select $1::text[], $1::text",
        vec!["a,b".to_owned(), "\"".to_owned()],
    )
    .await
}

pub(super) async fn nulls(c: &mut PgConnection) -> Fallible {
    let sql = "select $1::text, $2::int, '', array[null, 1]";
    let none: (Option<String>, Option<i32>, String, Vec<Option<i32>>) = query_as(sql)
        .bind(None::<String>)
        .bind(None::<i32>)
        .fetch_one(&mut *c)
        .await?;
    println!("{none:?}");
    fails(query_scalar::<_, i32>("select null::int").fetch_one(&mut *c)).await;
    show(c, "select null, '', row(null, '')").await;
    Ok(())
}

pub(super) async fn large_row(c: &mut PgConnection) -> Fallible {
    let big = "y".repeat(20_000_000);
    let more: String = query_scalar("select $1::text || 'z'")
        .bind(big)
        .fetch_one(&mut *c)
        .await?;
    println!("{}", md5(more));
    let bytes = vec![7u8; 5_000_000];
    let same: Vec<u8> = query_scalar("select $1::bytea")
        .bind(&bytes)
        .fetch_one(&mut *c)
        .await?;
    println!("{}", same == bytes);
    Ok(())
}

pub(super) async fn large_result(c: &mut PgConnection) -> Fallible {
    let rows = query_as("select n, md5(n::text) from generate_series(1, $1::int) n").bind(100_000);
    let (mut rows, mut all) = (rows.fetch(&mut *c), Md5::new());
    while let Some(row) = rows.try_next().await? {
        let row: (i32, String) = row;
        all.update(format!("{row:?}\n"));
    }
    drop(rows);
    println!("{}", md5(all.finalize()));
    println!(
        "{}",
        raw_sql("select generate_series(1, 20000)")
            .fetch_all(&mut *c)
            .await?
            .len()
    );
    Ok(())
}

pub(super) async fn multi(c: &mut PgConnection) -> Fallible {
    show(c, "select 1; select 2, 3; create temp table t (a int); insert into t values (1), (2); table t").await;
    show(c, "insert into t values (3); select 1/0").await;
    show(c, "table t").await;
    fails(query("select $1; select 2").bind(1).fetch_all(&mut *c)).await;
    show(c, "begin; insert into t values (4); commit; select nothing").await;
    show(c, "table t").await;
    Ok(())
}

struct Mood(String);

impl sqlx::Type<Postgres> for Mood {
    fn type_info() -> PgTypeInfo {
        PgTypeInfo::with_name("mood")
    }
}

impl<'r> sqlx::Decode<'r, Postgres> for Mood {
    fn decode(value: PgValueRef<'r>) -> Result<Self, sqlx::error::BoxDynError> {
        Ok(Self(value.as_str()?.to_owned()))
    }
}

pub(super) async fn types(c: &mut PgConnection) -> Fallible {
    raw_sql("create type pg_temp.mood as enum ('glad', 'sad'); create domain pg_temp.small as int check (value < 9)")
        .execute(&mut *c)
        .await?;
    for sql in [
        "select * from orders where id = $1 and item like $2",
        "select 1.5::numeric(5,2) as a, 'x'::varchar(3) as b, '{\"a\":1}'::jsonb, '[1,5)'::int4range, '1 day'::interval, inet '::1', '101'::bit(3)",
        "select null::orders, array[null::orders], 'glad'::pg_temp.mood, $1::pg_temp.small, array['sad'::pg_temp.mood]",
    ] {
        let s = c.prepare(SqlStr::from_static(sql)).await?;
        println!(
            "{:?}",
            s.parameters().map(|of| of.map_left(|all| all
                .iter()
                .map(|of| of.name().to_owned())
                .collect::<Vec<_>>()))
        );
        println!(
            "{:?}",
            s.columns()
                .iter()
                .map(|of| (of.name(), of.type_info().name()))
                .collect::<Vec<_>>()
        );
    }
    match query_scalar("select 'glad'::pg_temp.mood")
        .fetch_one(&mut *c)
        .await
    {
        Ok(Mood(name)) => println!("{name}"),
        Err(error) => println!("{}", told(&error)),
    }
    fails(query_scalar::<_, i64>("select 1").fetch_one(&mut *c)).await;
    Ok(())
}
