//! The throw-away servers that every other story stands on.

use std::net::TcpStream;
use std::process::Command;

use proxy::demo::{PostgresOptions, PostgresServer, Scratch, Signals, Sshd, SshdOptions};

#[test]
fn a_throw_away_sshd_greets_shows_its_key_and_goes() {
    let scratch = Scratch::create("tidegate-sshd").unwrap();
    let dir = scratch.private("sshd").unwrap();
    let options = SshdOptions {
        dir: &dir,
        user_ca: None,
        extra: "",
        signals: Signals::Shared,
    };
    let mut sshd = Sshd::start(&options).unwrap();
    let port = sshd.port().to_string();
    let scan = Command::new("ssh-keyscan")
        .args(["-p", &port, "127.0.0.1"])
        .output()
        .unwrap();
    assert!(
        String::from_utf8(scan.stdout)
            .unwrap()
            .contains(sshd.host_key())
    );
    sshd.stop();
    assert!(TcpStream::connect(sshd.addr()).is_err());
}

#[test]
fn a_throw_away_postgres_runs_sql_and_goes() {
    let scratch = Scratch::create("tidegate-pg").unwrap();
    let dir = scratch.private("pg").unwrap();
    let options = PostgresOptions {
        dir: &dir,
        client_ca: None,
        roles: &["app_ro"],
        setup: "create table note (text text); insert into note values ('here')",
        database: "orders",
        rules: "",
        extra: "",
        signals: Signals::Shared,
    };
    let mut postgres = PostgresServer::start(&options).unwrap();
    assert_eq!(
        postgres.run_sql("orders", "select text from note").unwrap(),
        "here"
    );
    assert!(postgres.run_sql("orders", "select nothing").is_err());
    postgres.stop();
    assert!(TcpStream::connect(postgres.addr()).is_err());
}
