//! Sessions: how they begin, what is heard in them, and several at a time.

use std::time::Duration;

use chrono::{DateTime, Utc};
use futures_util::future::join_all;
use tokio::time::{sleep, timeout};
use tokio_postgres::AsyncMessage;
use tokio_postgres::config::TargetSessionAttrs;

use crate::{Fallible, Session, config, connector, enter, env, fails, md5, show, told};

pub(super) async fn connect(s: &mut Session) -> Fallible {
    show(
        &s.client,
        "select current_user, session_user, current_database()",
    )
    .await;
    println!("{:?}", s.told);
    let attributes = config()
        .target_session_attrs(TargetSessionAttrs::ReadWrite)
        .to_owned();
    let other = enter(&attributes, connector()?).await?;
    other.client.check_connection().await?;
    other.leave().await
}

pub(super) async fn notice(s: &mut Session) -> Fallible {
    for sql in [
        "do $$ begin raise notice 'noted'; raise warning 'warned' using hint = 'so'; end $$",
        "set client_min_messages = debug1",
        "create temp table t (a int primary key)",
        "set client_min_messages = error",
        "drop table if exists none_such",
    ] {
        s.client.batch_execute(sql).await?;
    }
    while let Ok(message) = s.heard.try_recv() {
        if let AsyncMessage::Notice(e) = message {
            println!(
                "{} {} {} {:?}",
                e.severity(),
                e.code().code(),
                e.message(),
                e.hint()
            );
        }
    }
    Ok(())
}

pub(super) async fn listen(s: &mut Session) -> Fallible {
    let (other, room) = (Session::new().await?, env("ROOM"));
    s.client
        .batch_execute(&format!("listen \"{room}\""))
        .await?;
    other
        .client
        .query("select pg_notify($1, 'one')", &[&room])
        .await?;
    other
        .client
        .query("select pg_notify($1, $2)", &[&room, &"z".repeat(7900)])
        .await?;
    for _each in 0..2 {
        match timeout(Duration::from_secs(10), s.heard.recv()).await? {
            Some(AsyncMessage::Notification(n)) => {
                println!(
                    "{} {} {}",
                    n.channel() == room,
                    md5(n.payload().as_bytes()),
                    n.process_id() > 0
                );
            }
            message => println!("{message:?}"),
        }
    }
    other.leave().await
}

pub(super) async fn cancel(s: &mut Session) -> Fallible {
    let (watch, token) = (Session::new().await?, s.client.cancel_token());
    let pid: i32 = s
        .client
        .query_one("select pg_backend_pid()", &[])
        .await?
        .get(0);
    let sleeping = s.client.prepare("select pg_sleep(60)").await?;
    for _each in 0..3 {
        let asker = async {
            let busy = "select from pg_stat_activity where pid = $1 and wait_event = 'PgSleep'";
            while watch.client.query(busy, &[&pid]).await?.is_empty() {
                sleep(Duration::from_millis(20)).await;
            }
            token.cancel_query(connector()?).await?;
            Fallible::Ok(())
        };
        let (_over, asked) = tokio::join!(fails(s.client.query(&sleeping, &[])), asker);
        asked?;
        // The server signals a process and then its group: the second signal may find the next statement.
        sleep(Duration::from_millis(300)).await;
        show(&s.client, "select 1").await;
    }
    // One that comes too late.
    token.cancel_query(connector()?).await?;
    sleep(Duration::from_millis(300)).await;
    show(&s.client, "select 2").await;
    watch.leave().await
}

pub(super) async fn settings(_s: &mut Session) -> Fallible {
    let named = config().application_name("mine").to_owned();
    let s = enter(&named, connector()?).await?;
    show(&s.client, "show application_name").await;
    s.client
        .batch_execute("set work_mem = '5MB'; set timezone = 'Asia/Tokyo'")
        .await?;
    show(&s.client, "show work_mem").await;
    let noon: DateTime<Utc> = "2026-01-01T12:00:00Z".parse()?;
    println!(
        "{:?}",
        s.client
            .query_one("select $1::timestamptz::text", &[&noon])
            .await?
            .get::<_, String>(0)
    );
    s.client
        .batch_execute("set session characteristics as transaction read only")
        .await?;
    fails(s.client.execute("delete from orders", &[])).await;
    s.client.batch_execute("reset all").await?;
    show(&s.client, "show application_name").await;
    s.leave().await
}

pub(super) async fn options(_s: &mut Session) -> Fallible {
    let more = config()
        .options(r"-c search_path=pg_catalog,\ public -c work_mem=5MB -c geqo=off")
        .to_owned();
    let s = enter(&more, connector()?).await?;
    s.client
        .batch_execute("set work_mem = '6MB'; set search_path = nowhere")
        .await?;
    s.client.batch_execute("discard all").await?;
    for name in ["search_path", "work_mem", "geqo"] {
        show(&s.client, &format!("show {name}")).await;
    }
    s.leave().await?;
    let wrong = config().options("-c work_mem=lots").to_owned();
    match enter(&wrong, connector()?).await {
        Ok(_) => println!("worked"),
        Err(error) => println!("{}", error.downcast_ref().map(told).unwrap_or_default()),
    }
    Ok(())
}

pub(super) async fn sessions(s: &mut Session) -> Fallible {
    let (b, room) = (Session::new().await?, env("ROOM"));
    s.client
        .batch_execute("create temp table own (n int)")
        .await?;
    show(&b.client, "table own").await;
    let lock = "select pg_try_advisory_lock(hashtext($1))";
    let t = s.client.transaction().await?;
    t.query("select pg_advisory_xact_lock(hashtext($1))", &[&room])
        .await?;
    println!(
        "{:?}",
        b.client.query_one(lock, &[&room]).await?.get::<_, bool>(0)
    );
    t.commit().await?;
    println!(
        "{:?}",
        b.client.query_one(lock, &[&room]).await?.get::<_, bool>(0)
    );
    b.leave().await?;
    let many = join_all((0..10i32).map(|n| async move {
        let own = Session::new().await?;
        let twice: i32 = own
            .client
            .query_one("select $1::int * 2", &[&n])
            .await?
            .get(0);
        own.leave().await?;
        Fallible::Ok(twice)
    }));
    println!(
        "{:?}",
        many.await.into_iter().collect::<Fallible<Vec<_>>>()?
    );
    Ok(())
}
