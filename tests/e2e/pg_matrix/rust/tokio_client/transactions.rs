//! Transactions, portals and pipelines, and errors in them.

use futures_util::future::join_all;
use tokio_postgres::IsolationLevel;

use crate::{Fallible, Session, column, fails, show, told};

pub(super) async fn portal(s: &mut Session) -> Fallible {
    let t = s.client.transaction().await?;
    let numbers = t.prepare("select generate_series(1, $1::int)").await?;
    let (one, two) = (
        t.bind(&numbers, &[&100i32]).await?,
        t.bind("select item from orders order by id", &[]).await?,
    );
    println!("{:?}", column::<i32>(&t.query_portal(&one, 3).await?));
    println!("{:?}", column::<String>(&t.query_portal(&two, 2).await?));
    println!("{:?}", column::<i32>(&t.query_portal(&one, 50).await?));
    println!("{:?}", column::<String>(&t.query_portal(&two, 1).await?));
    println!("{}", t.query_portal(&one, 1000).await?.len());
    println!("{}", t.query_portal(&one, 1).await?.len());
    drop(one);
    println!("{}", t.query_portal(&two, 0).await?.len());
    let failing = t
        .bind("select 1 / (3 - n) from generate_series(1, 9) n", &[])
        .await?;
    println!("{:?}", column::<i32>(&t.query_portal(&failing, 2).await?));
    fails(t.query_portal(&failing, 2)).await;
    drop((failing, two));
    t.rollback().await?;
    show(&s.client, "select 5").await;
    Ok(())
}

pub(super) async fn error(s: &mut Session) -> Fallible {
    let t = s.client.transaction().await?;
    fails(t.query("select nothing from orders", &[])).await;
    fails(t.query("select 1", &[])).await;
    t.rollback().await?;
    show(&s.client, "select 2").await;
    fails(
        s.client
            .execute("insert into orders values (1, 'twice')", &[]),
    )
    .await;
    show(&s.client, "select foo(").await;
    // A COMMIT of what has failed.
    let t = s.client.transaction().await?;
    fails(t.batch_execute("select 1/0")).await;
    fails(t.commit()).await;
    // One that is dropped.
    drop(s.client.transaction().await?);
    let reading = s
        .client
        .build_transaction()
        .read_only(true)
        .isolation_level(IsolationLevel::Serializable)
        .deferrable(true);
    let t = reading.start().await?;
    fails(t.execute("delete from orders", &[])).await;
    t.rollback().await?;
    show(&s.client, "select 3").await;
    Ok(())
}

pub(super) async fn pipeline(s: &mut Session) -> Fallible {
    let c = &s.client;
    let plus = c.prepare("select $1::int + 1").await?;
    let all = join_all((0..200i32).map(|n| {
        let plus = plus.clone();
        async move {
            c.query_one(&plus, &[&n])
                .await
                .map(|row| row.get::<_, i32>(0))
        }
    }));
    println!(
        "{:?}",
        all.await.into_iter().collect::<Result<Vec<_>, _>>()?
    );
    let texts = [
        "select 1",
        "select 1/0",
        "select nothing",
        "select 2",
        "select foo(",
        "select 3",
    ];
    let all = join_all(texts.map(|sql| c.query(sql, &[])));
    for answer in all.await {
        match answer {
            Ok(rows) => println!("{:?}", column::<i32>(&rows)),
            Err(error) => println!("{}", told(&error)),
        }
    }
    let all = join_all(texts.map(|sql| c.simple_query(sql)));
    println!(
        "{:?}",
        all.await
            .into_iter()
            .map(|answer| answer.is_ok())
            .collect::<Vec<_>>()
    );
    show(c, "select 'again'").await;
    Ok(())
}

pub(super) async fn savepoint(s: &mut Session) -> Fallible {
    s.client
        .batch_execute("create temp table t (n int)")
        .await?;
    let mut t = s.client.transaction().await?;
    for n in 0..4i32 {
        let inner = t.savepoint(format!("s{n}")).await?;
        inner.execute("insert into t values ($1)", &[&n]).await?;
        if n % 2 == 0 {
            inner.commit().await?;
        } else {
            fails(inner.query("select 1/0", &[])).await;
            inner.rollback().await?;
        }
    }
    // One that is dropped is rolled back.
    let nested = t.transaction().await?;
    nested.execute("insert into t values (9)", &[]).await?;
    drop(nested);
    t.commit().await?;
    show(&s.client, "select array_agg(n) from t").await;
    Ok(())
}
