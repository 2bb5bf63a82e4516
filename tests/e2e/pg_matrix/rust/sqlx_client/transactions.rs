//! Transactions, portals and pipelines, and errors in them.

use futures_util::{StreamExt, TryStreamExt};
use sqlx::postgres::PgConnection;
use sqlx::{Connection, Executor, query, query_scalar, raw_sql};

use crate::{Fallible, fails, show, told};

pub(super) async fn portal(c: &mut PgConnection) -> Fallible {
    let mut t = c.begin().await?;
    query("declare named scroll cursor for select generate_series(1, 100)")
        .execute(&mut *t)
        .await?;
    for sql in [
        "fetch 3 from named",
        "fetch absolute 50 from named",
        "fetch 2 from named",
        "fetch prior from named",
    ] {
        let some: Vec<i32> = query_scalar(sql).fetch_all(&mut *t).await?;
        println!("{some:?}");
    }
    query("close named").execute(&mut *t).await?;
    // Some rows of many, and then something else.
    let mut rows = query_scalar("select generate_series(1, $1::int)")
        .bind(20_000)
        .fetch(&mut *t);
    for _each in 0..3 {
        let row: Option<i32> = rows.try_next().await?;
        println!("{row:?}");
    }
    drop(rows);
    let one: i32 = query_scalar("select generate_series(1, 100)")
        .fetch_one(&mut *t)
        .await?;
    println!("{one}");
    let mut rows = query_scalar("select 1 / (3 - n) from generate_series(1, 9) n").fetch(&mut *t);
    while let Some(row) = rows.next().await {
        match row {
            Ok(row) => println!("{}", i32::clone(&row)),
            Err(error) => println!("{}", told(&error)),
        }
    }
    drop(rows);
    t.rollback().await?;
    show(c, "select 5").await;
    Ok(())
}

pub(super) async fn error(c: &mut PgConnection) -> Fallible {
    let mut t = c.begin().await?;
    fails(query("select nothing from orders").fetch_all(&mut *t)).await;
    fails(query("select 1").fetch_all(&mut *t)).await;
    t.rollback().await?;
    println!("{}", c.is_in_transaction());
    show(c, "select 2").await;
    fails(
        query("insert into orders values ($1, 'twice')")
            .bind(1)
            .execute(&mut *c),
    )
    .await;
    show(c, "select foo(").await;
    // A COMMIT of what has failed, and one that is dropped.
    let mut t = c.begin().await?;
    fails(t.execute("select 1/0")).await;
    fails(t.commit()).await;
    let mut t = c.begin_with("begin read only").await?;
    fails(t.execute("delete from orders")).await;
    drop(t);
    show(c, "select 3").await;
    Ok(())
}

pub(super) async fn savepoint(c: &mut PgConnection) -> Fallible {
    raw_sql("create temp table t (n int)")
        .execute(&mut *c)
        .await?;
    let mut t = c.begin().await?;
    for n in 0..4 {
        let mut inner = t.begin().await?;
        query("insert into t values ($1)")
            .bind(n)
            .execute(&mut *inner)
            .await?;
        if n % 2 == 0 {
            inner.commit().await?;
        } else {
            fails(query("select 1/0").execute(&mut *inner)).await;
            // One that is dropped is rolled back.
            drop(inner);
        }
    }
    t.commit().await?;
    show(c, "select array_agg(n) from t").await;
    Ok(())
}
