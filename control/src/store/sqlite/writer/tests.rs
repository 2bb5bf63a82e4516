//! Commits that fail, and what waits for them.

use sqlx::Executor as _;
use tokio::task::yield_now;

use super::*;
use crate::store::Store as _;
use crate::store::sqlite::SqliteStore;

async fn writer() -> Writer {
    let opened = SqliteConnection::connect("sqlite::memory:").await;
    let mut connection = opened.unwrap();
    let tables = include_str!("../../migrations/0001_log_and_ledger.sql");
    connection.execute(sqlx::raw_sql(tables)).await.unwrap();
    let unlocked = [(); 2].map(|()| File::open("/dev/null").unwrap());
    Writer::open(connection, Arc::default(), unlocked)
        .await
        .unwrap()
}

/// As on a disk that is full, or was mounted anew to be read only.
async fn takes_writes(writer: &mut Writer, takes: bool) {
    let pragma = if takes {
        "PRAGMA query_only = OFF"
    } else {
        "PRAGMA query_only = ON"
    };
    writer.connection.execute(pragma).await.unwrap();
}

/// Commits this line, for which somebody waits or nobody does.
async fn line(writer: &mut Writer, body: &str, is_awaited: bool) -> Result<(), StoreError> {
    effective_line(writer, (body, Effect::Nothing), is_awaited).await
}

async fn effective_line(
    writer: &mut Writer,
    (body, effect): (&str, Effect),
    is_awaited: bool,
) -> Result<(), StoreError> {
    let body = body.to_owned();
    let lines = vec![NewLine { body, effect }];
    let (reply, _answer) = oneshot::channel();
    let reply = is_awaited.then_some(reply);
    let mut batch = [Command::Record { lines, reply }];
    writer.commit(&mut batch).await.map(drop)
}

async fn probe(writer: &mut Writer) -> Result<(), StoreError> {
    let (reply, _answer) = oneshot::channel();
    let mut batch = [Command::Probe { reply }];
    writer.commit(&mut batch).await.map(drop)
}

async fn bodies(writer: &mut Writer) -> Vec<String> {
    let query = sqlx::query_scalar("SELECT body FROM ledger ORDER BY seq");
    query.fetch_all(&mut writer.connection).await.unwrap()
}

#[tokio::test(flavor = "multi_thread")]
async fn a_line_that_nobody_waits_for_outlives_a_commit_that_fails() {
    let mut writer = writer().await;
    takes_writes(&mut writer, false).await;
    line(&mut writer, "admitted", false).await.unwrap_err();
    line(&mut writer, "opened", false).await.unwrap_err();
    line(&mut writer, "nobody's", true).await.unwrap_err();
    takes_writes(&mut writer, true).await;
    line(&mut writer, "certificate", true).await.unwrap();
    let want = ["admitted", "opened", "certificate"];
    assert_eq!(bodies(&mut writer).await, want);
    line(&mut writer, "once", false).await.unwrap();
    assert_eq!(bodies(&mut writer).await.len(), 4);
}

#[tokio::test(flavor = "multi_thread")]
async fn a_line_whose_commit_failed_and_is_durable_all_the_same_is_not_written_twice() {
    let mut writer = writer().await;
    takes_writes(&mut writer, false).await;
    line(&mut writer, "admitted", false).await.unwrap_err();
    takes_writes(&mut writer, true).await;
    let insert = "INSERT INTO ledger (seq, body, digest) VALUES (1, 'admitted', zeroblob(32))";
    writer.connection.execute(insert).await.unwrap();
    line(&mut writer, "opened", false).await.unwrap();
    assert_eq!(bodies(&mut writer).await, ["admitted", "opened"]);
}

/// The chain of what is written, recomputed.
async fn chain_holds(writer: &mut Writer) {
    let query = sqlx::query("SELECT seq, body, digest FROM ledger ORDER BY seq");
    let rows = query.fetch_all(&mut writer.connection).await.unwrap();
    let line = |row: &sqlx::sqlite::SqliteRow| chain::Stored {
        seq: unsigned(row.get(0)),
        body: row.get(1),
        digest: chain::bytes(row.get(2)),
    };
    let lines: Vec<_> = rows.iter().map(line).collect();
    let found = chain::verify(0, GENESIS, &lines);
    assert!(matches!(found, chain::Walk::Whole { .. }), "{found:?}");
}

#[tokio::test(flavor = "multi_thread")]
async fn a_line_that_the_database_never_takes_does_not_hold_up_all_that_come_after_it() {
    let mut writer = writer().await;
    let trigger = "CREATE TRIGGER refuse BEFORE INSERT ON ledger WHEN NEW.body LIKE '%poison%' \
                   BEGIN SELECT RAISE(ABORT, 'not this one'); END; \
                   INSERT INTO log VALUES (1, 'taken')";
    let laid = writer.connection.execute(sqlx::raw_sql(trigger)).await;
    laid.unwrap();
    let taken = || Effect::Appended {
        revision: 1,
        change: "there is one".to_owned(),
    };
    line(&mut writer, "before", false).await.unwrap();
    // What it does to the other tables is refused: its text stays.
    let odd = effective_line(&mut writer, ("odd", taken()), false).await;
    odd.unwrap_err();
    line(&mut writer, "after", true).await.unwrap();
    // Its text is refused: a line in its place tells of it.
    line(&mut writer, "poison", false).await.unwrap_err();
    line(&mut writer, "last", false).await.unwrap();
    let written = bodies(&mut writer).await;
    assert_eq!(written[..3], ["before", "odd", "after"]);
    assert!(written[3].contains(&chain::sha256_hex(b"poison")));
    assert_eq!(written[4], "last");
    assert_eq!(writer.tip.parked.load(Ordering::SeqCst), 2);
    chain_holds(&mut writer).await;
}

#[tokio::test(flavor = "multi_thread")]
async fn a_disk_that_is_full_parks_nothing() {
    let mut writer = writer().await;
    takes_writes(&mut writer, false).await;
    for _ in 0..3 {
        line(&mut writer, "admitted", false).await.unwrap_err();
    }
    takes_writes(&mut writer, true).await;
    line(&mut writer, "certificate", true).await.unwrap();
    assert_eq!(bodies(&mut writer).await.len(), 4);
    assert_eq!(writer.tip.parked.load(Ordering::SeqCst), 0);
}

#[tokio::test(flavor = "multi_thread")]
async fn a_store_that_can_be_read_and_takes_no_write_does_not_answer() {
    let mut writer = writer().await;
    for _ in 0..2 * PROBES_MAX {
        probe(&mut writer).await.unwrap();
    }
    line(&mut writer, "written", true).await.unwrap();
    takes_writes(&mut writer, false).await;
    // It took a write a moment ago: that is an answer, and costs none.
    for _ in 1..PROBES_MAX {
        probe(&mut writer).await.unwrap();
    }
    probe(&mut writer).await.unwrap_err();
    probe(&mut writer).await.unwrap_err();
    takes_writes(&mut writer, true).await;
    probe(&mut writer).await.unwrap();
    // Where a line could not be written the next probe tells, however shortly another was before.
    takes_writes(&mut writer, false).await;
    line(&mut writer, "lost", true).await.unwrap_err();
    probe(&mut writer).await.unwrap_err();
    assert_eq!(bodies(&mut writer).await, ["written"]);
}

#[tokio::test(flavor = "multi_thread")]
async fn nothing_is_put_in_line_while_commits_fail() {
    let name: [u8; 8] = crate::entropy::bytes().unwrap();
    let dir = std::env::temp_dir().join(chain::hex(&name));
    std::fs::create_dir(&dir).unwrap();
    let store = SqliteStore::open(&dir.join("store.sqlite")).await.unwrap();
    // The file is open; nothing is left of it afterwards.
    std::fs::remove_dir_all(&dir).unwrap();
    store.queue(Vec::new()).await.unwrap();
    store.shared.tip.failing.store(true, Ordering::SeqCst);
    store.queue(Vec::new()).await.unwrap_err();
    assert!(store.is_failing());
    // Whoever waits tries, and finds that it works again.
    let receipt = store.submit(Vec::new()).await.unwrap();
    receipt.durably().await.unwrap();
    store.queue(Vec::new()).await.unwrap();
}

fn record(reply: Option<oneshot::Sender<Result<(), StoreError>>>) -> Command {
    let lines = Vec::new();
    Command::Record { lines, reply }
}

#[tokio::test(start_paused = true)]
async fn what_nobody_waits_for_is_committed_with_the_line_that_somebody_does() {
    let (sender, mut commands) = mpsc::channel(8);
    let mut batch = vec![record(None)];
    let (reply, _answer) = oneshot::channel();
    let sending = async {
        sender.send(record(None)).await.unwrap();
        yield_now().await;
        sender.send(record(None)).await.unwrap();
        yield_now().await;
        sender.send(record(Some(reply))).await.unwrap();
    };
    tokio::join!(sending, linger(&mut batch, &mut commands));
    assert_eq!(batch.len(), 4);
}

#[tokio::test(start_paused = true)]
async fn what_somebody_waits_for_waits_for_nothing() {
    let (_sender, mut commands) = mpsc::channel(8);
    let (reply, _answer) = oneshot::channel();
    let mut batch = vec![record(None), record(Some(reply))];
    linger(&mut batch, &mut commands).await;
    assert_eq!(batch.len(), 2);
}
