//! Sessions: how they begin, what is heard in them, and several at a time.

use std::env::var;
use std::time::Duration;

use chrono::{DateTime, Utc};
use futures_util::future::join_all;
use sqlx::postgres::{PgAdvisoryLock, PgConnection, PgListener, PgPool, PgPoolOptions};
use sqlx::{ConnectOptions, Connection, Error, Executor, query, query_as, query_scalar, raw_sql};
use tokio::time::timeout;

use crate::{Fallible, fails, md5, place, show};

pub(super) async fn connect(c: &mut PgConnection) -> Fallible {
    let who: (String, String, String) =
        query_as("select current_user::text, session_user::text, current_database()::text")
            .fetch_one(&mut *c)
            .await?;
    println!("{who:?} {:?}", c.server_version_num());
    for name in [
        "server_encoding",
        "client_encoding",
        "DateStyle",
        "TimeZone",
        "extra_float_digits",
        "is_superuser",
    ] {
        let setting: String = query_scalar("select current_setting($1)")
            .bind(name)
            .fetch_one(&mut *c)
            .await?;
        println!("{name} {setting}");
    }
    c.ping().await
}

/// It tells notices to the log, and to nobody else.
struct Notices;

impl log::Log for Notices {
    fn enabled(&self, of: &log::Metadata<'_>) -> bool {
        of.target() == "sqlx::postgres::notice"
    }

    fn log(&self, record: &log::Record<'_>) {
        if self.enabled(record.metadata()) {
            println!("{} {}", record.level(), record.args());
        }
    }

    fn flush(&self) {}
}

pub(super) async fn notice(c: &mut PgConnection) -> Fallible {
    log::set_logger(&Notices).expect("there is no other");
    log::set_max_level(log::LevelFilter::Trace);
    for sql in [
        "do $$ begin raise notice 'noted'; raise warning 'warned' using hint = 'so'; end $$",
        "set client_min_messages = debug1",
        "create temp table t (a int primary key)",
        "set client_min_messages = error",
        "drop table if exists none_such",
    ] {
        raw_sql(sql).execute(&mut *c).await?;
    }
    Ok(())
}

pub(super) async fn listen(c: &mut PgConnection) -> Fallible {
    let (pool, room) = (
        PgPoolOptions::new()
            .max_connections(2)
            .connect_with(place())
            .await?,
        var("ROOM").expect("a room"),
    );
    let mut listener = PgListener::connect_with(&pool).await?;
    listener.listen_all([room.as_str(), "another"]).await?;
    query("select pg_notify($1, 'one')")
        .bind(&room)
        .execute(&mut *c)
        .await?;
    query("select pg_notify($1, $2)")
        .bind(&room)
        .bind("z".repeat(7900))
        .execute(&mut *c)
        .await?;
    for _each in 0..2 {
        let n = timeout(Duration::from_secs(10), listener.recv())
            .await
            .map_err(|late| Error::Io(late.into()))??;
        println!(
            "{} {} {}",
            n.channel() == room,
            md5(n.payload()),
            n.process_id() > 0
        );
    }
    listener.unlisten_all().await?;
    drop(listener);
    pool.close().await;
    Ok(())
}

pub(super) async fn settings(_c: &mut PgConnection) -> Fallible {
    let mut c = place()
        .application_name("mine")
        .extra_float_digits(1)
        .connect()
        .await?;
    show(&mut c, "show application_name").await;
    show(&mut c, "show extra_float_digits").await;
    c.execute("set work_mem = '5MB'; set timezone = 'Asia/Tokyo'")
        .await?;
    show(&mut c, "show work_mem").await;
    let noon: DateTime<Utc> = "2026-01-01T12:00:00Z".parse().expect("a time");
    let there: String = query_scalar("select $1::timestamptz::text")
        .bind(noon)
        .fetch_one(&mut c)
        .await?;
    println!("{there}");
    c.execute("set session characteristics as transaction read only")
        .await?;
    fails(c.execute("delete from orders")).await;
    c.execute("reset all").await?;
    show(&mut c, "show application_name").await;
    c.close().await
}

pub(super) async fn options(_c: &mut PgConnection) -> Fallible {
    let more = [
        ("search_path", "pg_catalog, public"),
        ("work_mem", "5MB"),
        ("geqo", "off"),
    ];
    let mut c = place().options(more).connect().await?;
    c.execute("set work_mem = '6MB'; set search_path = nowhere")
        .await?;
    c.execute("discard all").await?;
    for name in ["search_path", "work_mem", "geqo"] {
        show(&mut c, &format!("show {name}")).await;
    }
    c.close().await?;
    fails(place().options([("work_mem", "lots")]).connect()).await;
    Ok(())
}

pub(super) async fn sessions(c: &mut PgConnection) -> Fallible {
    let pool = PgPoolOptions::new()
        .min_connections(1)
        .max_connections(4)
        .connect_with(place())
        .await?;
    c.execute("create temp table own (n int)").await?;
    fails(pool.execute("table own")).await;
    let lock = PgAdvisoryLock::new(var("ROOM").expect("a room"));
    let held = lock.acquire(c).await?;
    println!(
        "{}",
        lock.try_acquire(pool.acquire().await?).await?.is_left()
    );
    held.release_now().await?;
    println!(
        "{}",
        lock.try_acquire(pool.acquire().await?).await?.is_left()
    );
    let one = |pool: PgPool, n: i32| async move {
        query_scalar("select $1::int * 2")
            .bind(n)
            .fetch_one(&pool)
            .await
    };
    let all: Vec<Fallible<i32>> = join_all((0..40).map(|n| one(pool.clone(), n))).await;
    println!("{:?}", all.into_iter().collect::<Fallible<Vec<_>>>()?);
    pool.close().await;
    Ok(())
}
