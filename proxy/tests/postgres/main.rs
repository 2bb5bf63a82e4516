//! Stock `psql` and `pgbench` through tidegate's PostgreSQL to a real server, without the rest of the
//! house. What is measured and asserted here needs no broker.

#[cfg(test)]
mod house;

use std::io::Write;
use std::process::{Output, Stdio};
use std::time::Duration;

use house::House;
use proxy::session::protocol::Halted;

fn out(ran: &Output) -> String {
    String::from_utf8_lossy(&ran.stdout).into_owned()
}

fn err(ran: &Output) -> String {
    String::from_utf8_lossy(&ran.stderr).into_owned()
}

#[test]
fn psql_goes_through_and_comes_back_as_the_role() {
    let house = House::open();
    let ran = house.psql(&[
        "-At",
        "-c",
        "select count(*), current_user, session_user from orders",
    ]);
    assert_eq!(out(&ran), "1000|app|app\n", "{}", err(&ran));
    let ran = house.psql(&["-At", "-c", "select 1/0"]);
    assert!(err(&ran).contains("division by zero"), "{}", err(&ran));
    let ran = house.psql(&["-At", "-c", "do $$ begin raise notice 'noted'; end $$"]);
    assert!(err(&ran).contains("NOTICE:  noted"), "{}", err(&ran));
    let ended = house.ended.lock().unwrap();
    assert!(
        ended.iter().all(|ended| ended.counters.statements == 1),
        "{ended:?}"
    );
}

#[test]
fn a_strange_target_is_refused_in_words() {
    let house = House::open();
    let ran = house
        .command("psql")
        .args([
            "-X",
            &house.through().replace("dbname=orders", "dbname=payroll"),
        ])
        .output()
        .unwrap();
    assert!(
        err(&ran).contains("no active grant for app@payroll"),
        "{}",
        err(&ran)
    );
    assert!(err(&ran).contains("HINT:"), "{}", err(&ran));
}

#[test]
fn without_tls_and_without_certificate_one_is_told_what_to_do() {
    let house = House::open();
    let port = house.port;
    let plain = format!("host=localhost port={port} dbname=orders user=app sslmode=disable");
    let ran = house.command("psql").args(["-X", &plain]).output().unwrap();
    assert!(
        err(&ran).contains("no connection without TLS"),
        "{}",
        err(&ran)
    );
    let bare = format!(
        "host=localhost port={port} dbname=orders user=app sslmode=require sslcert=/none sslkey=/none"
    );
    let ran = house.command("psql").args(["-X", &bare]).output().unwrap();
    assert!(
        err(&ran).contains("no client certificate was shown"),
        "{}",
        err(&ran)
    );
    assert!(err(&ran).contains("tidegate login"), "{}", err(&ran));
}

#[test]
fn startup_parameters_that_change_meaning_are_refused() {
    let house = House::open();
    let mut psql = house.command("psql");
    let ran = psql
        .env("PGOPTIONS", "-c search_path=evil")
        .args(["-X", &house.through(), "-c", "select 1"])
        .output()
        .unwrap();
    assert!(
        err(&ran).contains("the parameter \"options\" cannot be set"),
        "{}",
        err(&ran)
    );
    let replication = format!("{} replication=database", house.through());
    let ran = house
        .command("psql")
        .args(["-X", &replication, "-c", "select 1"])
        .output()
        .unwrap();
    assert!(
        err(&ran).contains("replication is not allowed"),
        "{}",
        err(&ran)
    );
}

#[test]
fn copy_both_ways_is_byte_for_byte() {
    let house = House::open();
    let rows = (2_000..302_000).fold(String::new(), |rows, n| {
        rows + &format!(
            "{n}	copied {n}
"
        )
    });
    std::fs::write(house.dir.join("rows"), &rows).unwrap();
    let ran = house.psql(&["-At", "-c", "\\copy orders from rows"]);
    assert_eq!(out(&ran), "COPY 300000\n", "{}", err(&ran));
    let payload = u64::try_from(rows.len()).unwrap();
    let counted = house.counted(0);
    assert!(
        (payload..payload * 2).contains(&counted.to_target),
        "{counted:?}"
    );
    assert!(counted.to_client < 1000, "{counted:?}");
    let ran = house.psql(&[
        "-At",
        "-c",
        "copy (select * from orders where id >= 2000 order by id) to stdout",
    ]);
    assert!(out(&ran) == rows, "{}", err(&ran));
    let counted = house.counted(1);
    assert!(
        (payload..payload * 2).contains(&counted.to_client),
        "{counted:?}"
    );
    assert!(counted.to_target < 1000, "{counted:?}");
    assert_eq!(counted.statements, 1);
}

#[test]
fn a_big_row_passes_in_bounded_memory() {
    let house = House::open();
    let before = house::peak();
    let ran = house.psql(&["-At", "-c", "select repeat('x', 300*1024*1024)"]);
    assert_eq!(ran.stdout.len(), 300 * 1024 * 1024 + 1, "{}", err(&ran));
    let grown = house::peak().saturating_sub(before);
    assert!(
        grown < 700 * 1024 + 20 * 1024,
        "grew by {grown} KiB, of which the answer itself is 600 MiB"
    );
}

#[test]
fn pgbench_passes_in_every_protocol() {
    let house = House::open();
    let through = house.through();
    let ran = house
        .command("pgbench")
        .args(["-i", "-q", "-s", "1", &through])
        .output()
        .unwrap();
    assert!(ran.status.success(), "{}", err(&ran));
    for mode in ["simple", "extended", "prepared"] {
        let ran = house
            .command("pgbench")
            .args(["-S", "-c", "8", "-T", "2", "-M", mode, &through])
            .output()
            .unwrap();
        assert!(ran.status.success(), "{mode}: {}", err(&ran));
    }
}

#[test]
fn ctrl_c_in_psql_cancels_what_runs() {
    let house = House::open();
    let mut psql = house.command("psql");
    psql.args(["-X", &house.through(), "-c", "select pg_sleep(60)"])
        .stderr(Stdio::piped());
    let psql = psql.spawn().unwrap();
    house.until("the statement runs", Duration::from_secs(10), |house| {
        house.sleepers() == 1
    });
    std::process::Command::new("kill")
        .args(["-INT", &psql.id().to_string()])
        .status()
        .unwrap();
    let ran = psql.wait_with_output().unwrap();
    assert!(
        err(&ran).contains("canceling statement due to user request"),
        "{}",
        err(&ran)
    );
    assert_eq!(house.sleepers(), 0);
}

#[test]
fn a_cut_stops_what_runs_and_keeps_the_rows() {
    let house = House::open();
    let mut psql = house.command("psql");
    psql.args([
        "-X",
        &house.through(),
        "-c",
        "delete from orders; select pg_sleep(600)",
    ])
    .stderr(Stdio::piped());
    let psql = psql.spawn().unwrap();
    house.until("the statement runs", Duration::from_secs(10), |house| {
        house.sleepers() == 1
    });
    house.cut();
    let ran = psql.wait_with_output().unwrap();
    assert!(
        err(&ran).contains("FATAL:  access to `orders` as `app` ended"),
        "{}",
        err(&ran)
    );
    house.until("the backend is gone", Duration::from_secs(1), |house| {
        house.backends() == 0
    });
    assert_eq!(
        house.as_superuser("select count(*) from orders").trim(),
        "1000"
    );
    house.until("the session is over", Duration::from_secs(3), |house| {
        !house.ended.lock().unwrap().is_empty()
    });
    let ended = house.ended.lock().unwrap();
    assert_eq!(ended[0].halted, Some(Halted::Confirmed));
    assert!(ended[0].halted_after < Duration::from_secs(1), "{ended:?}");
}

#[test]
fn a_cut_statement_has_its_outcome_in_the_recording() {
    let last = House::open().last_words(
        "select pg_sleep(600)",
        b"",
        "select count(*) from pg_stat_activity where usename = 'app' and query like '%pg_sleep%' \
         and state = 'active'",
    );
    assert!(
        last.starts_with("Outcome(Outcome { id: 1, tag: None, rows: 0, bytes: 0, error: None"),
        "{last}"
    );
}

#[test]
fn a_cut_copy_has_its_counts_in_the_recording() {
    let rows = (2_000..52_000).fold(String::new(), |rows, n| rows + &format!("{n}\tcopied\n"));
    let last = House::open().last_words(
        "copy orders from stdin",
        rows.as_bytes(),
        "select count(*) from pg_stat_progress_copy where tuples_processed > 10000",
    );
    assert!(
        last.starts_with("Outcome(Outcome { id: 1, tag: None, rows: "),
        "{last}"
    );
    assert!(!last.contains("rows: 0,"), "{last}");
    assert!(!last.contains("bytes: 0,"), "{last}");
}

#[test]
fn a_database_that_says_nothing_is_given_up() {
    let house = House::open();
    let mute = house.through().replace("dbname=orders", "dbname=mute");
    let ran = house.command("psql").args(["-X", &mute]).output().unwrap();
    assert!(err(&ran).contains("does not answer"), "{}", err(&ran));
    house.until("the session is over", Duration::from_secs(3), |house| {
        !house.ended.lock().unwrap().is_empty()
    });
    let ended = house.ended.lock().unwrap();
    assert!(ended[0].why.contains("TimedOut"), "{ended:?}");
}

#[test]
fn a_client_that_leaves_while_the_target_is_mute_is_noticed() {
    let house = House::open();
    let mute = house.through().replace("dbname=orders", "dbname=mute");
    let mut psql = house.command("psql").args(["-X", &mute]).spawn().unwrap();
    let _reached = house.mute.accept().unwrap();
    psql.kill().unwrap();
    psql.wait().unwrap();
    house.until("the session is over", Duration::from_secs(3), |house| {
        !house.ended.lock().unwrap().is_empty()
    });
    let ended = house.ended.lock().unwrap();
    assert!(ended[0].why.contains("ClientGone"), "{ended:?}");
}

#[test]
fn a_cut_reaches_an_idle_psql_and_says_why() {
    let house = House::open();
    let mut psql = house.command("psql");
    psql.args(["-X", "-At", &house.through()])
        .stdin(Stdio::piped())
        .stdout(Stdio::piped())
        .stderr(Stdio::piped());
    let mut psql = psql.spawn().unwrap();
    let mut input = psql.stdin.take().unwrap();
    input.write_all(b"select 1;\n").unwrap();
    house.until("it is in", Duration::from_secs(10), |house| {
        house.backends() == 1
    });
    std::thread::sleep(Duration::from_millis(300));
    house.cut();
    house.until("the backend is gone", Duration::from_secs(1), |house| {
        house.backends() == 0
    });
    house.until("the session is over", Duration::from_secs(3), |house| {
        !house.ended.lock().unwrap().is_empty()
    });
    input.write_all(b"select 2;\n").unwrap();
    drop(input);
    let ran = psql.wait_with_output().unwrap();
    assert_eq!(out(&ran), "1\n");
    assert!(err(&ran).contains("bob revoked the grant"), "{}", err(&ran));
    assert_eq!(house.ended.lock().unwrap()[0].halted, None);
}

#[test]
fn a_client_that_does_not_read_is_cut_all_the_same() {
    let house = House::open();
    let mut psql = house.command("psql");
    psql.args([
        "-X",
        &house.through(),
        "-c",
        "copy (select repeat('x', 1000) from generate_series(1, 10000000)) to stdout",
    ]);
    let mut psql = psql.stdout(Stdio::piped()).spawn().unwrap();
    house.until("it copies", Duration::from_secs(10), |house| {
        house.backends() == 1
    });
    std::thread::sleep(Duration::from_millis(500));
    house.cut();
    house.until("the backend is gone", Duration::from_secs(1), |house| {
        house.backends() == 0
    });
    psql.kill().unwrap();
    psql.wait().unwrap();
}
