//! sqlx does `$CASE`, with rustls; it finds its way by PGHOST, PGSSLCERT and so on. Given an address, it comes in
//! by that and says who it is.

mod copies;
mod sessions;
mod transactions;
mod values;

use std::env::{args, var};
use std::error::Error as _;
use std::future::Future;

use futures_util::StreamExt;
use md5::{Digest, Md5};
use sqlx::postgres::{PgConnectOptions, PgConnection, PgDatabaseError, PgRow, PgSslMode};
use sqlx::{
    AssertSqlSafe, Column, ConnectOptions, Connection, Either, Error, Row, ValueRef, query_as,
    raw_sql,
};

type Fallible<T = ()> = Result<T, Error>;

/// The way in. A server that shows its own authority is not for rustls, so the direct road takes any.
fn place() -> PgConnectOptions {
    match var("ROAD").as_deref() {
        Ok("direct") => PgConnectOptions::new().ssl_mode(PgSslMode::Require),
        _through => PgConnectOptions::new(),
    }
}

fn md5(data: impl AsRef<[u8]>) -> String {
    Md5::digest(data)
        .iter()
        .map(|byte| format!("{byte:02x}"))
        .collect()
}

fn told(error: &Error) -> String {
    match error
        .as_database_error()
        .map(|e| e.downcast_ref::<PgDatabaseError>())
    {
        Some(e) => format!(
            "{:?} {} {} {:?} {:?} {:?} {:?}",
            e.severity(),
            e.code(),
            e.message(),
            e.detail(),
            e.hint(),
            e.position(),
            e.constraint()
        ),
        None => format!("{error} {:?}", error.source().map(ToString::to_string)),
    }
}

/// Says how it failed.
async fn fails<T>(act: impl Future<Output = Fallible<T>>) {
    match act.await {
        Ok(_) => println!("worked"),
        Err(error) => println!("{}", told(&error)),
    }
}

/// A row of a simple query, whose values are text.
fn text(row: &PgRow) -> String {
    let value = |n: usize| {
        let value = row.try_get_raw(n).expect("it has so many");
        (!value.is_null()).then(|| value.as_str().unwrap_or("no text").to_owned())
    };
    let names: Vec<&str> = row.columns().iter().map(Column::name).collect();
    format!(
        "{names:?} {:?}",
        (0..row.len()).map(value).collect::<Vec<_>>()
    )
}

/// Asks simply, and says what comes.
async fn show(c: &mut PgConnection, sql: &str) {
    let mut all = raw_sql(AssertSqlSafe(sql)).fetch_many(c);
    while let Some(one) = all.next().await {
        match one {
            Ok(Either::Left(done)) => println!("complete {}", done.rows_affected()),
            Ok(Either::Right(row)) => println!("{}", text(&row)),
            Err(error) => println!("{}", told(&error)),
        }
    }
}

/// Comes in by an address, as `tidegate pg url` writes it.
async fn by_address(address: &str) -> Fallible {
    let came = async {
        let mut c = PgConnection::connect(address).await?;
        let who: (String, i32) = query_as("select current_user::text, $1")
            .bind(7)
            .fetch_one(&mut c)
            .await?;
        println!("{}|{}", who.0, who.1);
        c.close().await
    };
    came.await.inspect_err(|error| println!("{}", told(error)))
}

async fn case(c: &mut PgConnection) -> Fallible {
    match var("CASE").unwrap_or_default().as_str() {
        "connect" => sessions::connect(c).await,
        "simple" => values::simple(c).await,
        "extended" => values::extended(c).await,
        "reuse" => values::reuse(c).await,
        "binary" => values::binary(c).await,
        "nulls" => values::nulls(c).await,
        "large_row" => values::large_row(c).await,
        "large_result" => values::large_result(c).await,
        "copy_out" => copies::copy_out(c).await,
        "copy_in" => copies::copy_in(c).await,
        "copy_fail" => copies::copy_fail(c).await,
        "notice" => sessions::notice(c).await,
        "listen" => sessions::listen(c).await,
        "portal" => transactions::portal(c).await,
        "error" => transactions::error(c).await,
        "multi" => values::multi(c).await,
        "savepoint" => transactions::savepoint(c).await,
        "types" => values::types(c).await,
        "settings" => sessions::settings(c).await,
        "options" => sessions::options(c).await,
        "sessions" => sessions::sessions(c).await,
        other => Err(Error::Configuration(
            format!("no such case: {other}").into(),
        )),
    }
}

#[tokio::main(flavor = "current_thread")]
async fn main() -> Fallible {
    if let Some(address) = args().nth(1) {
        return by_address(&address).await;
    }
    let mut c = place().connect().await?;
    case(&mut c).await?;
    c.close().await?;
    println!("done");
    Ok(())
}
