//! tokio-postgres does `$CASE`, with rustls. Given an address, it comes in by that and says who it is.

mod copies;
mod sessions;
mod tls;
mod transactions;
mod values;

use std::error::Error;
use std::future::{Future, poll_fn};

use md5::{Digest, Md5};
use tokio::sync::mpsc;
use tokio::task::JoinHandle;
use tokio_postgres::config::{ChannelBinding, SslMode, SslNegotiation};
use tokio_postgres::types::FromSqlOwned;
use tokio_postgres::{AsyncMessage, Client, Config, Row, SimpleQueryMessage};
use tokio_postgres_rustls::MakeRustlsConnect;

type Fallible<T = ()> = Result<T, Box<dyn Error>>;

fn env(name: &str) -> String {
    std::env::var(name).unwrap_or_default()
}

/// A session, and what comes in it without being asked for.
struct Session {
    client: Client,
    heard: mpsc::Receiver<AsyncMessage>,
    talk: JoinHandle<()>,
    /// What the server said of itself at the start.
    told: Vec<Option<String>>,
}

const TOLD: [&str; 8] = [
    "server_version",
    "server_encoding",
    "client_encoding",
    "is_superuser",
    "session_authorization",
    "integer_datetimes",
    "in_hot_standby",
    "search_path",
];

fn config() -> Config {
    let mut config = Config::new();
    config
        .host(env("PGHOST"))
        .port(env("PGPORT").parse().expect("a port"));
    config.user(env("PGUSER")).dbname(env("PGDATABASE"));
    config.ssl_mode(SslMode::Require);
    config
}

fn connector() -> Fallible<MakeRustlsConnect> {
    Ok(MakeRustlsConnect::new(tls::with_certificate()?))
}

async fn enter(config: &Config, tls: MakeRustlsConnect) -> Fallible<Session> {
    let (client, mut connection) = config.connect(tls).await?;
    let told = TOLD
        .map(|name| connection.parameter(name).map(str::to_owned))
        .to_vec();
    let (keep, heard) = mpsc::channel(1000);
    let talk = tokio::spawn(async move {
        while let Some(Ok(message)) = poll_fn(|cx| connection.poll_message(cx)).await {
            drop(keep.try_send(message));
        }
    });
    Ok(Session {
        client,
        heard,
        talk,
        told,
    })
}

impl Session {
    async fn new() -> Fallible<Self> {
        enter(&config(), connector()?).await
    }

    /// Says goodbye, and waits until it is said.
    async fn leave(self) -> Fallible {
        drop(self.client);
        Ok(self.talk.await?)
    }
}

fn md5(data: &[u8]) -> String {
    Md5::digest(data)
        .iter()
        .map(|byte| format!("{byte:02x}"))
        .collect()
}

fn told(error: &tokio_postgres::Error) -> String {
    match error.as_db_error() {
        Some(e) => format!(
            "{} {} {} {:?} {:?} {:?} {:?}",
            e.severity(),
            e.code().code(),
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
async fn fails<T>(act: impl Future<Output = Result<T, tokio_postgres::Error>>) {
    match act.await {
        Ok(_) => println!("worked"),
        Err(error) => println!("{}", told(&error)),
    }
}

fn messages(all: &[SimpleQueryMessage]) -> String {
    let one = |message: &SimpleQueryMessage| match message {
        SimpleQueryMessage::Row(row) => format!(
            "{:?}",
            (0..row.len()).map(|n| row.get(n)).collect::<Vec<_>>()
        ),
        SimpleQueryMessage::CommandComplete(count) => format!("complete {count}"),
        SimpleQueryMessage::RowDescription(columns) => {
            format!(
                "columns {:?}",
                columns
                    .iter()
                    .map(|column| column.name())
                    .collect::<Vec<_>>()
            )
        }
        other => format!("{other:?}"),
    };
    all.iter().map(one).collect::<Vec<_>>().join("; ")
}

async fn show(client: &Client, sql: &str) {
    match client.simple_query(sql).await {
        Ok(all) => println!("{}", messages(&all)),
        Err(error) => println!("{}", told(&error)),
    }
}

fn column<T: FromSqlOwned>(rows: &[Row]) -> Vec<T> {
    rows.iter().map(|row| row.get(0)).collect()
}

/// Comes in by an address, as `tidegate pg url` writes it, and binds its password to the TLS; `direct` is TLS from
/// the first byte on. Of what is behind the `?` it knows nothing: that is for rustls.
async fn by_address(how: &str, address: &str) -> Fallible {
    let (place, _tls) = address.split_once('?').unwrap_or((address, ""));
    let mut config: Config = place.parse()?;
    config
        .ssl_mode(SslMode::Require)
        .channel_binding(ChannelBinding::Require);
    let mut tls = tls::without_certificate()?;
    if how == "direct" {
        config.ssl_negotiation(SslNegotiation::Direct);
        tls.alpn_protocols = vec![b"postgresql".to_vec()];
    }
    let s = match enter(&config, MakeRustlsConnect::new(tls)).await {
        Ok(s) => s,
        Err(error) => {
            println!(
                "{}",
                error.downcast_ref().map_or_else(|| error.to_string(), told)
            );
            return Err(error);
        }
    };
    let row = s
        .client
        .query_one("select current_user::text, $1::int", &[&7i32])
        .await?;
    println!("{}|{}", row.get::<_, String>(0), row.get::<_, i32>(1));
    s.leave().await
}

async fn case(s: &mut Session) -> Fallible {
    match env("CASE").as_str() {
        "connect" => sessions::connect(s).await,
        "simple" => values::simple(s).await,
        "extended" => values::extended(s).await,
        "reuse" => values::reuse(s).await,
        "binary" => values::binary(s).await,
        "nulls" => values::nulls(s).await,
        "large_row" => values::large_row(s).await,
        "large_result" => values::large_result(s).await,
        "copy_out" => copies::copy_out(s).await,
        "copy_in" => copies::copy_in(s).await,
        "copy_fail" => copies::copy_fail(s).await,
        "notice" => sessions::notice(s).await,
        "listen" => sessions::listen(s).await,
        "portal" => transactions::portal(s).await,
        "error" => transactions::error(s).await,
        "pipeline" => transactions::pipeline(s).await,
        "cancel" => sessions::cancel(s).await,
        "multi" => values::multi(s).await,
        "savepoint" => transactions::savepoint(s).await,
        "types" => values::types(s).await,
        "settings" => sessions::settings(s).await,
        "options" => sessions::options(s).await,
        "sessions" => sessions::sessions(s).await,
        other => Err(format!("no such case: {other}").into()),
    }
}

#[tokio::main(flavor = "current_thread")]
async fn main() -> Fallible {
    let args: Vec<String> = std::env::args().skip(1).collect();
    if let [how, address] = args.as_slice() {
        return by_address(how, address).await;
    }
    let mut s = Session::new().await?;
    case(&mut s).await?;
    s.leave().await?;
    println!("done");
    Ok(())
}
