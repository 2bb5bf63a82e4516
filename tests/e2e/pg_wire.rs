//! PostgreSQL's protocol beyond what psql does, against a real server: every message that drivers
//! send comes through as it would directly.

use std::io::{Read as _, Write as _};
use std::net::TcpStream;
use std::time::Duration;

use rustls::ClientConnection;
use tests::pg::{self, Message, PgClient, bind, execute, kinds, message, parse, query, sync};
use tests::{World, until};
use tokio::time::timeout;

fn world() -> World {
    let world = World::new();
    world.grant_pg("10m");
    world
}

fn text(message: &Message) -> String {
    String::from_utf8_lossy(&message.body).into_owned()
}

#[tokio::test]
async fn a_listener_hears_without_asking() {
    let world = world();
    let mut listener = world.pg_client().await;
    listener.query("listen news").await.unwrap();
    let mut speaker = world.pg_client().await;
    speaker.query("notify news, 'it rains'").await.unwrap();
    let heard = timeout(Duration::from_secs(20), listener.next()).await;
    let heard = heard.expect("it is heard").unwrap();
    assert_eq!(heard.kind, b'A');
    assert!(text(&heard).contains("news\0it rains\0"), "{heard:?}");
    let again = listener.query("select 1").await.unwrap();
    assert_eq!(kinds(&again), "TDCZ");
}

#[tokio::test]
async fn copy_in_ends_and_fails_as_the_client_says() {
    let world = world();
    let mut client = world.pg_client().await;
    client.send(&query("copy orders from stdin")).await.unwrap();
    assert_eq!(client.next().await.unwrap().kind, b'G');
    client.send(&message(b'd', b"5001\tone\n")).await.unwrap();
    let failed = message(b'f', b"changed my mind\0");
    client.send(&failed).await.unwrap();
    let answers = client.until_ready().await.unwrap();
    assert_eq!(kinds(&answers), "EZ");
    assert_eq!(answers[0].field(b'C').as_deref(), Some("57014"));
    assert_eq!(world.sql("select count(*) from orders"), "1000");

    client.send(&query("copy orders from stdin")).await.unwrap();
    assert_eq!(client.next().await.unwrap().kind, b'G');
    let rows = [message(b'd', b"5001\tone\n50"), message(b'd', b"02\ttwo\n")];
    client.send(&rows.concat()).await.unwrap();
    client.send(&message(b'c', b"")).await.unwrap();
    let answers = client.until_ready().await.unwrap();
    assert_eq!(
        (kinds(&answers).as_str(), text(&answers[0]).as_str()),
        ("CZ", "COPY 2\0")
    );
    let out = client.query("copy orders to stdout").await.unwrap();
    assert_eq!(out.iter().filter(|said| said.kind == b'd').count(), 1002);
    assert!(kinds(&out).starts_with("Hd") && kinds(&out).ends_with("dcCZ"));
}

#[tokio::test]
async fn copy_in_the_extended_protocol_is_ended_by_its_data_and_a_sync() {
    let world = world();
    let mut client = world.pg_client().await;
    let sql = "copy orders from stdin";
    let sent = [parse("", sql), bind("", ""), execute("", 0), sync()];
    client.send(&sent.concat()).await.unwrap();
    while client.next().await.unwrap().kind != b'G' {}
    let rows = [message(b'd', b"5001\tone\n"), message(b'c', b""), sync()];
    client.send(&rows.concat()).await.unwrap();
    let answers = client.until_ready().await.unwrap();
    assert_eq!(kinds(&answers), "CZ");
    assert_eq!(kinds(&client.query("select 1").await.unwrap()), "TDCZ");
}

/// The server acts on both Syncs then, and on what stands behind them: as it does for whoever comes directly.
#[tokio::test]
async fn a_copy_that_fails_before_it_reads_leaves_the_next_batch_its_answers() {
    let world = world();
    world.sql(
        "create table slow (id int); grant insert on slow to app; \
         create function says_no() returns trigger language plpgsql as \
         $$ begin perform pg_sleep(0.5); raise 'no'; end $$; \
         create trigger says_no before insert on slow execute function says_no()",
    );
    let run = |sql: &str| [parse("", sql), bind("", ""), execute("", 0), sync()].concat();
    for behind in [run("select 1"), query("select 1"), run("select 1/0")] {
        let mut client = world.pg_client().await;
        client.send(&run("copy slow from stdin")).await.unwrap();
        while client.next().await.unwrap().kind != b'G' {}
        let rows = [message(b'd', b"1\n"), message(b'c', b""), sync(), behind];
        client.send(&rows.concat()).await.unwrap();
        let mut said = String::new();
        for _sync in 0..3 {
            said += &kinds(&client.until_ready().await.unwrap());
        }
        assert!(
            ["EZZ12DCZ", "EZZTDCZ", "EZZ1EZ"].contains(&&*said),
            "{said}"
        );
        assert_eq!(kinds(&client.query("select 1").await.unwrap()), "TDCZ");
    }
}

#[tokio::test]
async fn a_portal_gives_its_rows_in_parts() {
    let world = world();
    let mut client = world.pg_client().await;
    let sql = "select id from orders order by id limit 25";
    let sent = [
        parse("q", sql),
        bind("c", "q"),
        execute("c", 10),
        execute("c", 10),
        execute("c", 10),
        sync(),
    ];
    client.send(&sent.concat()).await.unwrap();
    let answers = kinds(&client.until_ready().await.unwrap());
    let want = format!(
        "12{ten}s{ten}s{five}CZ",
        ten = "D".repeat(10),
        five = "D".repeat(5)
    );
    assert_eq!(answers, want);
    drop(client);
    let session = world.ended_sessions()[0]["id"].as_str().unwrap().to_owned();
    let said = world.exported(&session, "--text");
    assert!(said.contains(sql), "{said}");
    assert_eq!(said.matches(" asks for 10 rows").count(), 3, "{said}");
}

#[tokio::test]
async fn after_an_error_everything_up_to_the_sync_is_skipped_and_nothing_behind_it() {
    let world = world();
    let mut client = world.pg_client().await;
    let run = |sql: &str| [parse("", sql), bind("", ""), execute("", 0)].concat();
    let sent = [
        run("insert into orders values (6001, 'one')"),
        run("select 1/0"),
        run("insert into orders values (6002, 'two')"),
        sync(),
        run("insert into orders values (6003, 'three')"),
        sync(),
        query("select 1"),
    ];
    client.send(&sent.concat()).await.unwrap();
    let first = client.until_ready().await.unwrap();
    // It is so constant that planning it fails already.
    assert_eq!(kinds(&first), "12C1EZ");
    assert_eq!(first[4].field(b'C').as_deref(), Some("22012"));
    assert_eq!(kinds(&client.until_ready().await.unwrap()), "12CZ");
    assert_eq!(kinds(&client.until_ready().await.unwrap()), "TDCZ");
    let there = world.sql("select string_agg(id::text, ',') from orders where id > 6000");
    assert_eq!(there, "6003", "a batch is one transaction");
}

/// The table says what became of each; both transcripts say the same.
#[tokio::test]
async fn what_was_undone_with_its_batch_stands_so_in_the_recording() {
    let world = world();
    let mut client = world.pg_client().await;
    let run = |sql: &str| [parse("", sql), bind("", ""), execute("", 0)].concat();
    let insert = |id: u32| run(&format!("insert into orders values ({id}, 'one')"));
    let batches = [
        // Undone, and not.
        [insert(6001), run("select 1/0"), sync()].concat(),
        [insert(6002), sync(), run("select 1/0"), sync()].concat(),
        // A simple query behind a batch, and several statements in one text.
        [insert(6003), query("select 1/0")].concat(),
        query("insert into orders values (6004, 'one'); select 1/0"),
        // A procedure can commit what stands before it, and fail then.
        [insert(6005), run("call commits_and_fails()"), sync()].concat(),
        // Its Sync never comes.
        [insert(6006), message(b'H', b"")].concat(),
    ];
    let procedure = "create procedure commits_and_fails() language plpgsql as $$ begin commit; perform 1/0; end $$";
    world.sql(procedure);
    for batch in &batches {
        client.send(batch).await.unwrap();
    }
    for _end in 0..6 {
        client.until_ready().await.unwrap();
    }
    while client.next().await.unwrap().kind != b'C' {}
    drop(client);
    let session = world.ended_sessions()[0]["id"].as_str().unwrap().to_owned();
    let there =
        world.sql("select string_agg(id::text, ',' order by id) from orders where id > 6000");
    assert!(["6002", "6002,6005"].contains(&there.as_str()), "{there}");
    let undone = |id, from: &str| {
        format!("1 result of #{id}, an error of #{from}; undone with it: 1 result of #{id}")
    };
    let none = "; no transaction is open (I)";
    let want = [
        undone(3, "5") + none,
        undone(15, "16") + none,
        undone(17, "17") + none,
        undone(20, "23")
            + ", but for what a CALL, a DO or a command that commits by itself had committed"
            + none,
        "1 result of #26, no error; the session ended before the database said where it stands: whether they were \
         kept is not known"
            .to_owned(),
    ];
    let text = world.exported(&session, "--text");
    let told = text.lines().filter_map(|line| line.split_once(" batch "));
    let told: Vec<_> = told.map(|(_at, told)| told.trim_end_matches(']')).collect();
    assert_eq!(told, want, "{text}");
    let json = world.exported(&session, "--jsonl");
    let json = json.lines().map(|line| serde_json::from_str(line).unwrap());
    let lines: Vec<serde_json::Value> = json.collect();
    let told = lines.iter().filter(|line| line["code"] == "batch");
    let told: Vec<_> = told.map(|line| line["text"].as_str().unwrap()).collect();
    assert_eq!(told, want);
    let transaction = |id: u32| {
        let mut outcomes = lines.iter().filter(|line| line["type"] == "outcome");
        &outcomes.find(|line| line["id"] == id).unwrap()["transaction"]
    };
    assert!(transaction(3).is_null() && transaction(9) == "I" && transaction(26).is_null());
}

#[tokio::test]
async fn flush_gets_answers_without_a_sync() {
    let world = world();
    let mut client = world.pg_client().await;
    let sent = [parse("q", "select 1"), message(b'H', b"")];
    client.send(&sent.concat()).await.unwrap();
    let parsed = timeout(Duration::from_secs(20), client.next()).await;
    assert_eq!(parsed.expect("an answer").unwrap().kind, b'1');
    let sent = [bind("", "q"), execute("", 0), sync()];
    client.send(&sent.concat()).await.unwrap();
    assert_eq!(kinds(&client.until_ready().await.unwrap()), "2DCZ");
}

#[tokio::test]
async fn notices_and_parameters_come_through() {
    let world = world();
    let mut client = world.pg_client().await;
    let sql = "do $$ begin raise notice 'noted'; end $$; set timezone to 'Asia/Tokyo'";
    let answers = client.query(sql).await.unwrap();
    assert_eq!(kinds(&answers), "NCCSZ");
    assert_eq!(answers[0].field(b'M').as_deref(), Some("noted"));
    assert_eq!(text(&answers[3]), "TimeZone\0Asia/Tokyo\0");
}

#[tokio::test]
async fn direct_tls_takes_alpn_and_nothing_else() {
    let world = world();
    let (addr, tls) = world.pg_door();
    let mut client = PgClient::direct(addr, &tls, Some(b"postgresql"))
        .await
        .unwrap();
    assert_eq!(client.alpn(), Some(&b"postgresql"[..]));
    let hello = pg::startup(&[("user", "app"), ("database", "orders")]);
    client.send(&hello).await.unwrap();
    assert!(kinds(&client.until_ready().await.unwrap()).ends_with('Z'));
    assert_eq!(kinds(&client.query("select 1").await.unwrap()), "TDCZ");
    for alpn in [None, Some(&b"http/1.1"[..])] {
        let refused = match PgClient::direct(addr, &tls, alpn).await {
            Err(_refused) => true,
            Ok(mut client) => {
                let _heard_or_not = client.send(&hello).await;
                client.until_closed().await.is_none()
            }
        };
        assert!(refused, "direct TLS with {alpn:?}");
    }
}

#[tokio::test]
async fn protocol_3_2_has_long_cancel_keys_that_work() {
    let world = world();
    let (addr, tls) = world.pg_door();
    let mut client = PgClient::encrypt(addr, &tls).await.unwrap();
    let parameters = [("user", "app"), ("database", "orders")];
    let hello = pg::startup_of(0x0003_0002, &parameters);
    client.send(&hello).await.unwrap();
    let answers = client.until_ready().await.unwrap();
    assert!(!kinds(&answers).contains('v'), "3.2 is spoken");
    let key = answers
        .iter()
        .find(|said| said.kind == b'K')
        .expect("a key");
    assert_eq!(key.body.len(), 4 + 32);

    client.send(&query("select pg_sleep(600)")).await.unwrap();
    until("it sleeps", || (world.sleepers() == 1).then_some(()));
    let mut other = PgClient::encrypt(addr, &tls).await.unwrap();
    let cancel = [&80_877_102_u32.to_be_bytes()[..], &key.body].concat();
    other.send(&pg::sized(&cancel)).await.unwrap();
    let ended = timeout(Duration::from_secs(20), client.until_ready()).await;
    let ended = ended.expect("it is cancelled").unwrap();
    assert!(kinds(&ended).ends_with("EZ"), "{ended:?}");
}

#[tokio::test]
async fn a_session_knows_its_own_notifications_by_the_process_id_of_its_key() {
    let world = world();
    let (addr, tls) = world.pg_door();
    let (mut client, answers) = PgClient::login(addr, &tls, "app", "orders").await.unwrap();
    let key = answers.iter().find(|said| said.kind == b'K');
    let pid = &key.expect("a key").body[..4];
    let said = client.query("listen news; notify news").await.unwrap();
    let heard = said.iter().find(|said| said.kind == b'A');
    assert_eq!(&heard.expect("it hears itself").body[..4], pid);
    let told = client.query("select pg_backend_pid()").await.unwrap();
    let own = i32::from_be_bytes(pid.try_into().unwrap()).to_string();
    assert!(text(&told[1]).ends_with(&own), "{told:?}");
}

#[tokio::test]
async fn a_newer_protocol_is_negotiated_down() {
    let world = world();
    let (addr, tls) = world.pg_door();
    let mut client = PgClient::encrypt(addr, &tls).await.unwrap();
    let parameters = [("user", "app"), ("database", "orders"), ("_pq_.fancy", "1")];
    let hello = pg::startup_of(0x0003_270f, &parameters);
    client.send(&hello).await.unwrap();
    let answers = client.until_ready().await.unwrap();
    let negotiated = answers
        .iter()
        .find(|said| said.kind == b'v')
        .expect("a `v`");
    assert_eq!(negotiated.body, b"\0\x03\0\x02\0\0\0\x01_pq_.fancy\0");
    assert_eq!(kinds(&client.query("select 1").await.unwrap()), "TDCZ");
}

/// Who may log in may say how what comes in later sessions is read.
#[tokio::test]
async fn how_texts_are_read_from_the_first_stands_in_the_recording() {
    let world = world();
    for sql in ["alter role app set client_encoding = 'LATIN1'", "select 1"] {
        let mut client = world.pg_client().await;
        let answers = client.query(sql).await.unwrap();
        assert!(kinds(&answers).ends_with("CZ"), "{answers:?}");
    }
    let sessions = world.ended_sessions();
    let told = sessions.iter().filter(|session| {
        let text = world.exported(session["id"].as_str().unwrap(), "--text");
        text.contains("client_encoding is LATIN1 as the session begins")
    });
    assert_eq!((sessions.len(), told.count()), (2, 1));
}

/// Such a transaction waits for a snapshot until every serializable one that writes has ended; ours at the login
/// is not to.
#[tokio::test]
async fn a_client_whose_transactions_wait_for_a_safe_snapshot_is_let_in_at_once() {
    let world = world();
    world.sql("create table busy (id int); grant insert on busy to app");
    let (addr, tls) = world.pg_door();
    let mut writer = world.pg_client().await;
    let begin = "begin isolation level serializable; insert into busy values (1)";
    assert_eq!(kinds(&writer.query(begin).await.unwrap()), "CCZ");
    let mut client = PgClient::encrypt(addr, &tls).await.unwrap();
    let parameters = [
        ("user", "app"),
        ("database", "orders"),
        ("default_transaction_isolation", "serializable"),
        ("default_transaction_read_only", "on"),
        ("default_transaction_deferrable", "on"),
    ];
    client.send(&pg::startup(&parameters)).await.unwrap();
    let greeted = timeout(Duration::from_secs(10), client.until_ready()).await;
    assert!(kinds(&greeted.expect("in time").unwrap()).ends_with('Z'));
    assert_eq!(kinds(&writer.query("commit").await.unwrap()), "CZ");
    let shown = client.query("show transaction_isolation").await.unwrap();
    assert!(text(&shown[1]).ends_with("serializable"), "{shown:?}");
}

#[test]
fn a_statement_of_a_killed_tidegate_ends_within_seconds() {
    let mut world = world();
    world.sql("create table late (id int); grant insert on late to app");
    let line = [
        "psql",
        "-X",
        "service=orders",
        "-c",
        "\\echo up",
        "-c",
        "insert into late select 1 from pg_sleep(60)",
    ];
    let _psql = world.begin("psql", &line, "up");
    let running = "select count(*) from pg_stat_activity where query like 'insert into late%' and state = 'active'";
    until("it runs", || (world.sql(running) == "1").then_some(()));
    let server = world.server().expect("tidegate runs");
    server.signal("KILL");
    let killed = std::time::Instant::now();
    until("its backend is gone", || {
        (world.sql(running) == "0").then_some(())
    });
    let took = killed.elapsed();
    assert!(took < Duration::from_secs(15), "{took:?}");
    assert_eq!(world.sql("select count(*) from late"), "0");
}

/// Takes out what was said in clear so far, and says how much it was.
fn plain(client: &mut ClientConnection) -> usize {
    let mut said = Vec::new();
    // It says that there will be more.
    drop(client.reader().read_to_end(&mut said));
    said.len()
}

/// libpq leaves the end of a longer record in its TLS library, and who then waits for the socket, as psycopg 3
/// does, waits for ever.
#[test]
fn no_tls_record_is_longer_than_postgresqls_own() {
    let world = world();
    let (addr, tls) = world.pg_door();
    let mut stream = TcpStream::connect(addr).unwrap();
    stream
        .write_all(&pg::sized(&pg::SSL_REQUEST.to_be_bytes()))
        .unwrap();
    stream.read_exact(&mut [0]).unwrap();
    let name = "localhost".try_into().unwrap();
    let mut client = ClientConnection::new(tls, name).unwrap();
    let much = "copy (select repeat('x', 50000) from generate_series(1, 40)) to stdout";
    client
        .writer()
        .write_all(&pg::startup(&[("user", "app"), ("database", "orders")]))
        .unwrap();
    client.writer().write_all(&query(much)).unwrap();
    let (mut got, mut longest) = (0, 0);
    while got < 2_000_000 {
        while client.wants_write() {
            client.write_tls(&mut stream).unwrap();
        }
        let mut record = vec![0; 5];
        stream.read_exact(&mut record).unwrap();
        let length = usize::from(u16::from_be_bytes([record[3], record[4]]));
        longest = longest.max(length);
        record.resize(5 + length, 0);
        stream.read_exact(&mut record[5..]).unwrap();
        let mut rest = record.as_slice();
        while !rest.is_empty() {
            client.read_tls(&mut rest).unwrap();
            client.process_new_packets().unwrap();
            got += plain(&mut client);
        }
    }
    // What is sealed has a byte for its kind, and 16 that prove it.
    assert!((4096..=8192 + 17).contains(&longest), "{longest}");
}

/// Of a statement whose time is over the server tells behind the next message, and behind copied data as if that
/// were a query: with an error and a `ReadyForQuery` that nothing in the batch is waiting for.
#[tokio::test]
async fn copied_data_that_no_copy_reads_moves_no_answer_to_another_statement() {
    let world = world();
    let mut client = world.pg_client().await;
    client.query("set statement_timeout = 1500").await.unwrap();
    let waits = [parse("z", "select 1"), message(b'H', b"")].concat();
    client.send(&waits).await.unwrap();
    assert_eq!(client.next().await.unwrap().kind, b'1');
    tokio::time::sleep(Duration::from_secs(2)).await;
    let batch = |sql: &str| [parse("", sql), bind("", ""), execute("", 0), sync()].concat();
    let deletes = batch("delete from orders where id = 1");
    let both = [message(b'd', b""), deletes, batch("select 2")];
    client.send(&both.concat()).await.unwrap();
    let first = client.until_ready().await.unwrap();
    assert_eq!(
        (kinds(&first).as_str(), first[0].state().as_str()),
        ("EZ", "57014"),
        "the error is the first statement's"
    );
    assert_eq!(kinds(&client.until_ready().await.unwrap()), "12DCZ");
    let left = world.sql("select count(*) from orders where id = 1");
    assert_eq!(left, "1", "what is said to have failed has");
}
