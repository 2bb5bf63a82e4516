//! Stock psql through tidegate, and what only drivers do.

use std::fs;

use tests::footprint::Footprint;
use tests::{World, pg, until, with_input};
use tokio::io::{AsyncReadExt as _, AsyncWriteExt as _};

use crate::{err, out};

#[test]
fn psql_simple() {
    let world = World::new();
    world.grant_pg("10m");
    let ran = world.psql("select count(*), current_user, session_user from orders");
    assert_eq!(out(&ran), "1000|app|app\n", "{}", err(&ran));
}

#[test]
fn psql_long_form() {
    let world = World::new();
    world.grant_pg("10m");
    let state = world.alice().state_dir();
    let service = format!(
        "host=localhost port={} dbname=orders user=app sslmode=verify-full sslcert={state}/pg.crt sslkey={state}/pg.key sslrootcert={state}/ca.pem",
        world.doors().postgres,
        state = state.display()
    );
    assert_eq!(
        world
            .alice()
            .run(&["psql", "-X", "-At", &service, "-c", "select 7"])
            .unwrap(),
        "7\n"
    );
}

/// As at the door of SSH: who comes hears what is missing, and the operator that somebody came.
#[test]
fn who_shows_no_certificate_is_told_to_the_operator_too() {
    let world = World::new();
    world.grant_pg("10m");
    let port = world.doors().postgres;
    let line = format!(
        "host=localhost port={port} dbname=orders user=app sslmode=require sslcert=/nonexistent"
    );
    let tried = world
        .alice()
        .output(&["psql", "-X", &line, "-c", "select 7"])
        .expect("psql runs");
    assert!(err(&tried).contains("TG502"), "{}", err(&tried));
    let log = world.server_log();
    let refused = log.lines().find(|line| line.contains("login.refused"));
    let refused = refused.expect("it is in the log");
    for part in ["127.0.0.1", "postgres", "no client certificate was shown"] {
        assert!(refused.contains(part), "{part}: {refused}");
    }
}

#[test]
fn errors_notices_and_parameters_pass_as_they_are() {
    let world = World::new();
    world.grant_pg("10m");
    let sql = "\\set VERBOSITY verbose\ndo $$ begin raise notice 'noted'; end $$;\nselect 1/0;\n\\echo :SERVER_VERSION_NAME :ENCODING\nshow application_name;\n";
    let script = world.dir().join("script.sql");
    fs::write(&script, sql).unwrap();
    let path = script.display().to_string();
    let ran = world
        .alice()
        .output(&["psql", "-X", "-At", "service=orders", "-f", &path])
        .unwrap();
    assert!(err(&ran).contains("NOTICE:  00000: noted"), "{}", err(&ran));
    assert!(
        err(&ran).contains("ERROR:  22012: division by zero"),
        "{}",
        err(&ran)
    );
    assert!(
        out(&ran).contains("UTF8") && out(&ran).ends_with("psql\n"),
        "{}",
        out(&ran)
    );
}

#[test]
fn copy() {
    let world = World::new();
    world.grant_pg("10m");
    let input = world.dir().join("rows");
    let rows: Vec<String> = (2_000..12_000)
        .map(|id| format!("{id}\tcopied {id}\n"))
        .collect();
    let rows = rows.concat();
    fs::write(&input, &rows).unwrap();
    let line = [
        "psql",
        "-X",
        "-At",
        "service=orders",
        "-c",
        "copy orders from stdin",
    ];
    let ran = with_input(world.alice(), &line, &input);
    assert_eq!(out(&ran), "COPY 10000\n", "{}", err(&ran));
    let back = world.psql("copy (select * from orders where id >= 2000 order by id) to stdout");
    assert!(
        out(&back) == rows,
        "{} bytes came back of {}",
        out(&back).len(),
        rows.len()
    );
}

/// What `sha256sum` and `wc` say of the files is what the recording says of the copies, both ways.
#[test]
fn copied_data_is_recorded_with_its_digest() {
    let world = World::new();
    world.grant_pg("10m");
    let mut files = Vec::new();
    let mut line: Vec<String> = ["psql", "-X", "-At", "service=orders"]
        .map(str::to_owned)
        .into();
    let mut run = |sql: String| line.extend(["-c".to_owned(), sql]);
    run("create temp table taken (like orders)".to_owned());
    for format in ["text", "csv", "binary"] {
        let file = world.dir().join(format);
        let shown = file.display();
        run(format!(
            "\\copy (select id, item || E'\\n\"x\"' from orders) to '{shown}' (format {format})"
        ));
        run(format!("\\copy taken from '{shown}' (format {format})"));
        files.push((format, file));
    }
    run("copy (select 1) to stdout; copy (select 22) to stdout".to_owned());
    run("copy (select 1 / (id - 3) from orders order by id) to stdout".to_owned());
    let line: Vec<&str> = line.iter().map(String::as_str).collect();
    let ran = world.alice().output(&line).unwrap();
    assert!(out(&ran).contains("COPY 1000\n"), "{}", err(&ran));
    let session = world.ended_sessions()[0]["id"].as_str().unwrap().to_owned();
    let exported = world.exported(&session, "--jsonl");
    let copies: Vec<String> = exported.lines().filter_map(carried).collect();
    let mut want = Vec::new();
    for (format, file) in files {
        let bytes = fs::read(&file).unwrap();
        let told = match format {
            "binary" => "binary messages=".to_owned(),
            _lines => {
                let lines = bytes.split(|byte| *byte == b'\n').count().saturating_sub(1);
                format!("text lines={lines}")
            }
        };
        for action in ["copy-out", "copy-in"] {
            want.push(copied(action, "done", &bytes, &told));
        }
    }
    want.push(copied("copy-out", "done", b"1\n", "text lines=1"));
    want.push(copied("copy-out", "done", b"22\n", "text lines=1"));
    want.push(copied("copy-out", "failed", b"0\n-1\n", "text lines=2"));
    assert_eq!(copies.len(), want.len(), "{copies:#?}");
    for (is, want) in copies.iter().zip(&want) {
        assert!(is.starts_with(want), "{is}\n{want}");
    }
    let text = world.exported(&session, "--text");
    let played = world.carol().run(&["tidegate", "play", &session]).unwrap();
    let digest = sha256(b"22\n");
    for shown in [text, played] {
        assert!(
            shown.contains("copied out: 3 bytes") && shown.contains(&digest),
            "{shown}"
        );
    }
}

/// What a line of an export says a copy carried.
fn carried(line: &str) -> Option<String> {
    let frame: serde_json::Value = serde_json::from_str(line).ok()?;
    let action = frame["action"].as_str()?;
    let way = if action == "copy-in" {
        "written"
    } else {
        "read"
    };
    let outcome = &frame["outcome"];
    let (result, carried) = (outcome["result"].as_str()?, &outcome[way]);
    let (bytes, digest) = (carried["bytes"].as_u64()?, carried["sha256"].as_str()?);
    let detail = frame["detail"].as_str()?;
    Some(format!("{action} {result} {bytes} {digest} {detail}"))
}

fn copied(action: &str, result: &str, bytes: &[u8], detail: &str) -> String {
    let (length, digest) = (bytes.len(), sha256(bytes));
    format!("{action} {result} {length} {digest} {detail}")
}

fn sha256(bytes: &[u8]) -> String {
    let digest = aws_lc_rs::digest::digest(&aws_lc_rs::digest::SHA256, bytes);
    policies::hex(digest.as_ref())
}

#[test]
fn cancel() {
    let world = World::new();
    world.grant_pg("10m");
    let mut psql = world.begin(
        "psql",
        &[
            "psql",
            "-X",
            "-At",
            "service=orders",
            "-c",
            "select 'up'",
            "-c",
            "select pg_sleep(600)",
        ],
        "up",
    );
    until("it sleeps", || (world.sleepers() == 1).then_some(()));
    psql.signal("INT");
    let said = psql.ended();
    assert!(
        said.contains("canceling statement due to user request"),
        "{said}"
    );
    assert_eq!(world.sleepers(), 0);
}

/// Whoever ends a backend, or has it crash, ends the session; who says goodbye has completed theirs.
#[test]
fn a_session_whose_server_breaks_off_has_failed() {
    let world = World::new();
    world.grant_pg("10m");
    assert_eq!(out(&world.psql("select 1")), "1\n");
    let line = ["-X", "-At", "service=orders", "-c", "select 'up'"];
    let line = [["psql"].as_slice(), &line, &["-c", "select pg_sleep(600)"]].concat();
    let mut psql = world.begin("psql", &line, "up");
    until("it sleeps", || (world.sleepers() == 1).then_some(()));
    world.sql(
        "select pg_terminate_backend(pid) from pg_stat_activity where query like 'select pg_sleep%'",
    );
    assert!(psql.ended().contains("terminating connection"));
    let sessions = world.ended_sessions();
    let ends: Vec<String> = sessions.iter().map(|one| one["end"].to_string()).collect();
    let broken = ends.iter().filter(|end| end.contains("TG607"));
    assert!(broken.count() == 1 && ends.len() == 2, "{ends:?}");
    assert!(ends.iter().any(|end| end.contains("complete")), "{ends:?}");
    for session in sessions {
        assert!(world.verify(session["id"].as_str().unwrap()).0);
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn extended_protocol() {
    let world = World::new();
    world.grant_pg("10m");
    let (addr, tls) = world.pg_door();
    let stream = pg::PgClient::encrypt(addr, &tls)
        .await
        .unwrap()
        .into_stream();
    let (client, connection) = tokio_postgres::Config::new()
        .user("app")
        .dbname("orders")
        .ssl_mode(tokio_postgres::config::SslMode::Disable)
        .connect_raw(stream, tokio_postgres::NoTls)
        .await
        .unwrap();
    tokio::spawn(connection);
    let prepared = client
        .prepare("select item from orders where id = $1")
        .await
        .unwrap();
    for id in 1..=50_i32 {
        let row = client.query_one(&prepared, &[&id]).await.unwrap();
        assert_eq!(row.get::<_, String>(0), format!("item {id}"));
    }
    let refused = client
        .query("select 1 / $1::int4", &[&0_i32])
        .await
        .unwrap_err();
    assert_eq!(
        refused.code(),
        Some(&tokio_postgres::error::SqlState::DIVISION_BY_ZERO)
    );
    assert_eq!(
        client
            .query_one("select 5", &[])
            .await
            .unwrap()
            .get::<_, i32>(0),
        5,
        "it goes on after an error"
    );
    drop(client);
    let id = world.ended_sessions()[0]["id"].as_str().unwrap().to_owned();
    let recorded = world.exported(&id, "--text");
    assert!(
        recorded.contains("select item from orders where id = $1"),
        "{recorded}"
    );
}

#[test]
fn without_a_grant_psql_is_told_what_to_type() {
    let world = World::new();
    let ran = world.psql("select 1");
    assert_eq!(ran.status.code(), Some(2), "psql could not connect");
    assert!(
        err(&ran).contains("FATAL") && err(&ran).contains("tidegate request orders"),
        "{}",
        err(&ran)
    );
}

#[tokio::test]
async fn replication_and_fast_path_calls_are_refused() {
    let world = World::new();
    world.grant_pg("10m");
    let (addr, tls) = world.pg_door();
    let mut client = pg::PgClient::encrypt(addr, &tls).await.unwrap();
    let parameters = [
        ("user", "app"),
        ("database", "orders"),
        ("replication", "true"),
    ];
    client.send(&pg::startup(&parameters)).await.unwrap();
    let told = client.until_closed().await.expect("an error");
    assert!(told.field(b'C').is_some(), "{told:?}");

    let (mut client, _) = pg::PgClient::login(addr, &tls, "app", "orders")
        .await
        .unwrap();
    // `FunctionCall` of function 1598 (`random`), no arguments, result in text.
    let call = [&1598_u32.to_be_bytes()[..], &[0, 0, 0, 0, 0, 0]].concat();
    client.send(&pg::message(b'F', &call)).await.unwrap();
    let answers = client.until_ready().await.unwrap();
    assert!(
        answers.iter().any(|answer| answer.kind == b'E'),
        "{answers:?}"
    );
    assert!(
        !answers.iter().any(|answer| answer.kind == b'V'),
        "it was not called"
    );
}

/// libpq's `PQcancelBlocking` says goodbye once it has heard ours, and takes it for a lost connection where that does
/// not go out (`PQcancelPoll` and `pqReadData`, `src/interfaces/libpq`).
#[tokio::test]
async fn whoever_asked_to_cancel_over_tls_can_still_say_goodbye() {
    let world = World::new();
    world.grant_pg("10m");
    let (addr, tls) = world.pg_door();
    let (_client, answers) = pg::PgClient::login(addr, &tls, "app", "orders")
        .await
        .unwrap();
    let key = answers.iter().find(|answer| answer.kind == b'K').unwrap();
    let request = pg::sized(&[&80_877_102_u32.to_be_bytes()[..], &key.body].concat());
    for _ in 0..10 {
        let mut asker = pg::PgClient::encrypt(addr, &tls).await.unwrap();
        asker.send(&request).await.unwrap();
        let mut tls = asker.into_stream();
        let end = tls.read(&mut [0]).await;
        assert_eq!(end.unwrap(), 0, "it ends in order");
        // What came in its place came with the end, or right behind it.
        tokio::task::yield_now().await;
        tls.shutdown().await.unwrap();
    }
}

/// libpq's `PQcancel` returns when the connection of its request is closed, and whoever called it goes on.
#[tokio::test]
async fn a_cancel_request_is_closed_when_it_has_been_dealt_with() {
    let world = World::new();
    world.grant_pg("10m");
    let (addr, tls) = world.pg_door();
    let (mut client, answers) = pg::PgClient::login(addr, &tls, "app", "orders")
        .await
        .unwrap();
    let key = answers.iter().find(|answer| answer.kind == b'K').unwrap();
    let request = pg::sized(&[&80_877_102_u32.to_be_bytes()[..], &key.body].concat());
    for _ in 0..10 {
        let mut asker = tokio::net::TcpStream::connect(addr).await.unwrap();
        asker.write_all(&request).await.unwrap();
        assert_eq!(asker.read(&mut [0]).await.unwrap(), 0, "it is not answered");
        // Nothing ran when it came; what runs after it is not meant.
        let after = client.query("select pg_sleep(0.1)").await.unwrap();
        assert_eq!(pg::kinds(&after), "TDCZ");
    }
}

/// Of a Bind the first mebibyte is kept; the rest is counted, and never all there at once.
#[tokio::test]
async fn a_bind_of_300_mib_passes_in_bounded_memory() {
    const MIB: u64 = 1 << 20;
    let world = World::new();
    world.grant_pg("10m");
    let footprint = Footprint::of(world.server_pid().expect("it runs"));
    let mut client = world.pg_client().await;
    // The smaller one has every page of the program there, and every buffer at its size.
    let mut peaks = Vec::new();
    for bytes in [8 * MIB, 300 * MIB] {
        footprint.forget_most();
        let sent = client.send_large_value("select length($1::text)", bytes);
        sent.await.expect("it is taken");
        let answers = client.until_ready().await.expect("it is answered");
        let row = answers.iter().find(|answer| answer.kind == b'D');
        let row = row.expect("a row").body.clone();
        assert!(row.ends_with(bytes.to_string().as_bytes()), "{row:?}");
        peaks.push(footprint.most_memory());
    }
    let [small, large] = peaks[..] else {
        panic!("{peaks:?}")
    };
    let grown = large.saturating_sub(small);
    assert!(grown < 16 * 1024, "{grown} KiB more than for 8 MiB");
    drop(client);
    let session = world.ended_sessions()[0]["id"].as_str().unwrap().to_owned();
    let (holds, told) = world.verify(&session);
    assert!(holds, "{told}");
    let kept = world.exported(&session, "--jsonl").len();
    assert!(kept < 16 * 1024 * 1024, "{kept} bytes are kept of 308 MiB");
}
