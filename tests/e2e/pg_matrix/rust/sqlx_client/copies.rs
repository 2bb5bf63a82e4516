//! `COPY`, both ways.

use futures_util::TryStreamExt;
use sqlx::postgres::PgConnection;
use sqlx::raw_sql;

use crate::{Fallible, fails, md5, show};

pub(super) async fn copy_out(c: &mut PgConnection) -> Fallible {
    for form in ["text", "csv", "binary"] {
        let sql = format!(
            "copy (select n, null, 'v' || n from generate_series(1, 30000) n) to stdout (format {form})"
        );
        let parts: Vec<_> = c.copy_out_raw(&sql).await?.try_collect().await?;
        println!("{form} {}", md5(parts.concat()));
    }
    Ok(())
}

pub(super) async fn copy_in(c: &mut PgConnection) -> Fallible {
    raw_sql("create temp table t (n int, v text)")
        .execute(&mut *c)
        .await?;
    let mut copy = c.copy_in_raw("copy t from stdin").await?;
    println!("{} {}", copy.is_textual(), copy.num_columns());
    for n in 0..20_000 {
        let value = if n % 3 == 0 { r"v\t\n\\" } else { r"\N" };
        copy.send(format!("{n}\t{value}\n").into_bytes()).await?;
    }
    println!("{}", copy.finish().await?);
    show(c, "select count(*), count(v), sum(n), min(v) from t").await;
    let mut copy = c.copy_in_raw("copy t from stdin (format csv)").await?;
    copy.read_from("1,\"a,b\"\n2,\n".repeat(10_000).as_bytes())
        .await?;
    println!("{}", copy.finish().await?);
    show(c, "select count(*), count(v), sum(n) from t").await;
    Ok(())
}

pub(super) async fn copy_fail(c: &mut PgConnection) -> Fallible {
    raw_sql("create temp table t (n int)")
        .execute(&mut *c)
        .await?;
    let mut copy = c.copy_in_raw("copy t from stdin").await?;
    copy.send(("1\n".repeat(1000) + "x\n").into_bytes()).await?;
    fails(copy.finish()).await;
    let mut copy = c.copy_in_raw("copy t from stdin").await?;
    copy.send(&b"1\n"[..]).await?;
    fails(copy.abort("mine")).await;
    show(c, "select count(*) from t").await;
    let stream = c
        .copy_out_raw("copy (select 1000 / (500 - n) from generate_series(1, 1000) n) to stdout")
        .await?;
    fails(stream.try_collect::<Vec<_>>()).await;
    fails(async { c.copy_in_raw("copy none_such from stdin").await.map(drop) }).await;
    show(c, "select 2").await;
    Ok(())
}
