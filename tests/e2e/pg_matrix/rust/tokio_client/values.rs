//! What is asked, and what comes back.

use std::fmt::Debug;
use std::net::IpAddr;
use std::pin::pin;

use chrono::{DateTime, NaiveDate, NaiveDateTime, NaiveTime, Utc};
use futures_util::TryStreamExt;
use futures_util::future::join_all;
use md5::{Digest, Md5};
use rust_decimal::Decimal;
use tokio_postgres::types::{FromSqlOwned, ToSql, Type};
use tokio_postgres::{Client, Statement};
use uuid::Uuid;

use crate::{Fallible, Session, column, fails, md5, show};

pub(super) async fn simple(s: &mut Session) -> Fallible {
    for sql in [
        "select 42",
        "select",
        "values (1), (2)",
        "select 'a;b' as n, null",
        "",
    ] {
        show(&s.client, sql).await;
    }
    Ok(())
}

pub(super) async fn extended(s: &mut Session) -> Fallible {
    let c = &s.client;
    let row = c
        .query_one("select $1::int + $2, $3", &[&1i32, &2i32, &"x"])
        .await?;
    println!("{} {}", row.get::<_, i32>(0), row.get::<_, String>(1));
    let rows = c
        .query(
            "select item from orders where id = any($1) order by id",
            &[&vec![1i32, 5, 9]],
        )
        .await?;
    println!("{:?}", column::<String>(&rows));
    fails(c.query("select 1 / $1", &[&0i32])).await;
    fails(c.query("select $1::uuid", &[&"no"])).await;
    fails(c.query("select $1::text::uuid", &[&"no"])).await;
    fails(c.query_one("select 1 where false", &[])).await;
    let typed = c
        .query_typed(
            "select $1 || 'y', $2",
            &[(&"x", Type::TEXT), (&5i64, Type::INT8)],
        )
        .await?;
    println!(
        "{:?} {}",
        column::<String>(&typed),
        typed[0].get::<_, i64>(1)
    );
    println!(
        "{}",
        c.execute("update orders set item = item where id < $1", &[&4i32])
            .await?
    );
    Ok(())
}

pub(super) async fn reuse(s: &mut Session) -> Fallible {
    let c = &s.client;
    let one = c.prepare("select item from orders where id = $1").await?;
    for n in 1..30i32 {
        let row = c.query_one(&one, &[&n]).await?;
        print!("{} ", row.get::<_, String>(0));
    }
    let count = "select count(*) from pg_prepared_statements";
    show(c, count).await;
    for n in 0..20i32 {
        let kept: Vec<Statement> = join_all((0..5).map(|q| {
            c.prepare_typed(
                "select $1 + 1",
                if q % 2 == 0 {
                    &[Type::INT4]
                } else {
                    &[Type::INT8]
                },
            )
        }))
        .await
        .into_iter()
        .collect::<Result<_, _>>()?;
        print!("{} ", c.query_one(&kept[0], &[&n]).await?.get::<_, i32>(0));
    }
    drop(one);
    c.batch_execute("").await?;
    show(c, count).await;
    c.batch_execute("create temp table t (a int)").await?;
    let table = c.prepare("select * from t").await?;
    c.query(&table, &[]).await?;
    c.batch_execute("alter table t add b int").await?;
    fails(c.query(&table, &[])).await;
    c.batch_execute("deallocate all").await?;
    fails(c.query(&table, &[])).await;
    show(c, "select 1").await;
    Ok(())
}

async fn there_and_back<T>(c: &Client, sql: &str, value: T) -> Fallible
where
    T: ToSql + Sync + FromSqlOwned + PartialEq + Debug,
{
    let row = c.query_one(sql, &[&value]).await?;
    let (back, text): (T, String) = (row.get(0), row.get(1));
    println!("{sql}: {back:?} {} {text}", back == value);
    Ok(())
}

pub(super) async fn binary(s: &mut Session) -> Fallible {
    let c = &s.client;
    let moment: NaiveDateTime = "2026-01-01T12:34:56.789".parse()?;
    there_and_back(c, "select $1::bool, $1::text", true).await?;
    there_and_back(c, "select $1::int2, $1::text", -7i16).await?;
    there_and_back(c, "select $1::int8, $1::text", 1i64 << 40).await?;
    there_and_back(c, "select $1::oid, $1::text", 4_000_000_000u32).await?;
    there_and_back(c, "select $1::\"char\", $1::text", 65i8).await?;
    there_and_back(c, "select $1::name, $1::text", "ü".to_owned()).await?;
    there_and_back(c, "select $1::bytea, $1::text", [0u8, 255].repeat(50)).await?;
    there_and_back(c, "select $1::float4, $1::text", 1.5f32).await?;
    there_and_back(c, "select $1::float8, $1::text", f64::INFINITY).await?;
    there_and_back(
        c,
        "select $1::numeric, $1::text",
        "-123456.789".parse::<Decimal>()?,
    )
    .await?;
    there_and_back(c, "select $1::uuid, $1::text", Uuid::from_u128(7)).await?;
    there_and_back(c, "select $1::timestamp, $1::text", moment).await?;
    there_and_back::<DateTime<Utc>>(c, "select $1::timestamptz, $1::text", moment.and_utc())
        .await?;
    there_and_back::<NaiveDate>(c, "select $1::date, $1::text", moment.date()).await?;
    there_and_back::<NaiveTime>(c, "select $1::time, $1::text", moment.time()).await?;
    there_and_back(
        c,
        "select $1::jsonb, $1::text",
        serde_json::json!({"a": [1, null]}),
    )
    .await?;
    there_and_back(c, "select $1::json, $1::text", serde_json::json!(["ü"])).await?;
    there_and_back(c, "select $1::inet, $1::text", "::1".parse::<IpAddr>()?).await?;
    there_and_back(
        c,
        "select $1::int[], $1::text",
        vec![Some(1i32), None, Some(3)],
    )
    .await?;
    there_and_back(
        c,
        "select $1::text[], $1::text",
        vec!["a,b".to_owned(), "\"".to_owned()],
    )
    .await
}

pub(super) async fn nulls(s: &mut Session) -> Fallible {
    let (text, number) = (None::<String>, None::<i32>);
    let row = s
        .client
        .query_one(
            "select $1::text, $2::int, '', array[null, 1]",
            &[&text, &number],
        )
        .await?;
    println!(
        "{:?} {:?} {:?} {:?}",
        row.get::<_, Option<String>>(0),
        row.get::<_, Option<i32>>(1),
        row.get::<_, Option<String>>(2),
        row.get::<_, Vec<Option<i32>>>(3)
    );
    println!("{}", row.try_get::<_, i32>(1).is_err());
    show(&s.client, "select null, '', row(null, '')").await;
    Ok(())
}

pub(super) async fn large_row(s: &mut Session) -> Fallible {
    let big = "y".repeat(20_000_000);
    let row = s
        .client
        .query_one("select $1::text || 'z'", &[&big])
        .await?;
    println!("{}", md5(row.get::<_, &str>(0).as_bytes()));
    let bytes = vec![7u8; 5_000_000];
    let row = s.client.query_one("select $1::bytea", &[&bytes]).await?;
    println!(
        "{} {}",
        row.get::<_, &[u8]>(0) == bytes,
        row.raw_size_bytes()
    );
    Ok(())
}

pub(super) async fn large_result(s: &mut Session) -> Fallible {
    let sql = "select n, md5(n::text) from generate_series(1, $1::int) n";
    let rows = s.client.query_raw(sql, [100_000i32]).await?;
    let (mut rows, mut all) = (pin!(rows), Md5::new());
    while let Some(row) = rows.try_next().await? {
        all.update(format!(
            "{} {}\n",
            row.get::<_, i32>(0),
            row.get::<_, &str>(1)
        ));
    }
    println!("{} {:?}", md5(&all.finalize()), rows.rows_affected());
    println!(
        "{}",
        s.client
            .simple_query("select generate_series(1, 20000)")
            .await?
            .len()
    );
    Ok(())
}

pub(super) async fn multi(s: &mut Session) -> Fallible {
    show(&s.client, "select 1; select 2, 3; create temp table t (a int); insert into t values (1), (2); table t").await;
    show(&s.client, "insert into t values (3); select 1/0").await;
    show(&s.client, "table t").await;
    fails(s.client.query("select 1; select 2", &[])).await;
    fails(
        s.client
            .batch_execute("begin; insert into t values (4); commit; select nothing"),
    )
    .await;
    show(&s.client, "table t").await;
    Ok(())
}

pub(super) async fn types(s: &mut Session) -> Fallible {
    let c = &s.client;
    c.batch_execute("create type pg_temp.mood as enum ('glad', 'sad'); create domain pg_temp.small as int check (value < 9)").await?;
    for sql in [
        "select * from orders where id = $1 and item like $2",
        "select 1.5::numeric(5,2) as a, 'x'::varchar(3) as b, '{\"a\":1}'::jsonb, '[1,5)'::int4range, '1 day'::interval, inet '::1', '101'::bit(3)",
        "select null::orders, array[null::orders], 'glad'::pg_temp.mood, $1::pg_temp.small, array['sad'::pg_temp.mood]",
    ] {
        let s = c.prepare(sql).await?;
        println!(
            "{:?}",
            s.params().iter().map(Type::name).collect::<Vec<_>>()
        );
        for of in s.columns() {
            let kind = of.type_();
            println!(
                "{} {} {:?} {:?} {}",
                of.name(),
                kind.name(),
                of.table_oid(),
                of.column_id(),
                of.type_modifier()
            );
        }
    }
    // Its error has the schema in it, and every session another one.
    let small = c.query("select $1::pg_temp.small", &[&1i32]).await;
    println!("{}", small.is_err());
    fails(c.query("select $1::int", &[&"text"])).await;
    println!(
        "{}",
        c.query_one("select 1", &[])
            .await?
            .try_get::<_, i64>(0)
            .is_err()
    );
    Ok(())
}
