//! `COPY`, both ways.

use std::pin::pin;

use bytes::{Bytes, BytesMut};
use futures_util::{SinkExt, StreamExt, TryStreamExt};
use tokio_postgres::binary_copy::{BinaryCopyInWriter, BinaryCopyOutStream};
use tokio_postgres::types::Type;

use crate::{Fallible, Session, fails, md5, show};

pub(super) async fn copy_out(s: &mut Session) -> Fallible {
    for form in ["text", "csv", "binary"] {
        let sql = format!(
            "copy (select n, null, 'v' || n from generate_series(1, 30000) n) to stdout (format {form})"
        );
        let all: BytesMut = s.client.copy_out(&sql).await?.try_collect().await?;
        println!("{form} {}", md5(&all));
    }
    let stream = s
        .client
        .copy_out("copy (select 1, 'a'::text, null::text) to stdout (format binary)")
        .await?;
    let mut rows = pin!(BinaryCopyOutStream::new(
        stream,
        &[Type::INT4, Type::TEXT, Type::TEXT]
    ));
    while let Some(row) = rows.try_next().await? {
        println!(
            "{} {} {:?}",
            row.get::<i32>(0),
            row.get::<String>(1),
            row.get::<Option<String>>(2)
        );
    }
    // One that nobody reads to its end.
    let stream = s
        .client
        .copy_out("copy (select generate_series(1, 100000)) to stdout")
        .await?;
    println!(
        "{:?}",
        pin!(stream)
            .next()
            .await
            .transpose()?
            .map(|first| first.len())
    );
    show(&s.client, "select 1").await;
    Ok(())
}

pub(super) async fn copy_in(s: &mut Session) -> Fallible {
    let c = &s.client;
    c.batch_execute("create temp table t (n int, v text)")
        .await?;
    let mut sink = pin!(c.copy_in("copy t from stdin").await?);
    for n in 0..20_000 {
        let value = if n % 3 == 0 { r"v\t\n\\" } else { r"\N" };
        sink.send(Bytes::from(format!("{n}\t{value}\n"))).await?;
    }
    println!("{}", sink.as_mut().finish().await?);
    show(c, "select count(*), count(v), sum(n), min(v) from t").await;
    let sink = c.copy_in("copy t from stdin (format binary)").await?;
    let mut writer = pin!(BinaryCopyInWriter::new(sink, &[Type::INT4, Type::TEXT]));
    for n in 0..1000i32 {
        writer
            .as_mut()
            .write(&[&n, &(n % 2 == 0).then_some("b")])
            .await?;
    }
    println!("{}", writer.as_mut().finish().await?);
    show(c, "select count(*), count(v), sum(n) from t").await;
    Ok(())
}

pub(super) async fn copy_fail(s: &mut Session) -> Fallible {
    let c = &s.client;
    c.batch_execute("create temp table t (n int)").await?;
    let mut sink = pin!(c.copy_in("copy t from stdin").await?);
    sink.send(Bytes::from("1\n".repeat(1000) + "x\n")).await?;
    fails(sink.as_mut().finish()).await;
    // What is dropped is taken back.
    let mut sink = Box::pin(c.copy_in("copy t from stdin").await?);
    sink.send(Bytes::from_static(b"1\n")).await?;
    drop(sink);
    show(c, "select count(*) from t").await;
    let stream = c
        .copy_out("copy (select 1000 / (500 - n) from generate_series(1, 1000) n) to stdout")
        .await?;
    fails(stream.try_collect::<BytesMut>()).await;
    show(c, "select 2").await;
    Ok(())
}
