//! Drivers of PostgreSQL other than psql: with the certificate of a login where they can, with a
//! one-time password where they cannot. `tests/run --all` installs them.

use std::fs;
use std::path::Path;
use std::process::{Command, Output};

use tests::World;

use crate::{err, out};

/// Debian's pgjdbc (`libpostgresql-jdbc-java`).
const JDBC: &str = "/usr/share/java/postgresql.jar";

fn script(name: &str) -> String {
    let dir = Path::new(env!("CARGO_MANIFEST_DIR")).join("e2e/pg_clients");
    dir.join(name).display().to_string()
}

fn python() -> String {
    let dir = Path::new(env!("CARGO_MANIFEST_DIR")).join("../target/clients/venv");
    dir.join("bin/python").display().to_string()
}

fn url(world: &World, form: &str) -> String {
    let line = ["tidegate", "-q", "pg", "url", "orders", "--form", form];
    let url = world.alice().run(&line).expect("alice is given a URL");
    url.trim().to_owned()
}

fn run(line: &[&str]) -> Output {
    let (program, args) = line.split_first().expect("a program");
    let home = std::env::temp_dir();
    let ran = Command::new(program).args(args).env("HOME", home).output();
    ran.unwrap_or_else(|error| panic!("{program}: {error}: tests/run --all installs it"))
}

/// It comes in, once.
#[track_caller]
fn comes_in_once(line: &[&str]) {
    let ran = run(line);
    assert_eq!(out(&ran), "app|7\n", "{}", err(&ran));
    let again = run(line);
    assert!(!again.status.success(), "{}", out(&again));
    let told = [out(&again), err(&again)].concat();
    assert!(told.contains("has been used for as many"), "{told}");
}

#[test]
#[ignore = "long: Java and its driver are installed"]
fn java_comes_in_with_a_password_and_with_a_certificate() {
    let world = World::new();
    world.grant_pg("10m");
    let program = script("Jdbc.java");
    comes_in_once(&["java", "-cp", JDBC, &program, &url(&world, "jdbc")]);
    let state = world.alice().state_dir();
    let url = format!(
        "jdbc:postgresql://localhost:{}/orders?user=app&sslmode=verify-full&sslrootcert={state}/ca.pem\
         &sslcert={state}/pg.crt&sslkey={state}/pg.pk8",
        world.doors().postgres,
        state = state.display()
    );
    let ran = run(&["java", "-cp", JDBC, &program, &url]);
    assert_eq!(out(&ran), "app|7\n", "{}", err(&ran));
}

/// `isql` with a connection string and a statement.
fn isql(world: &World, connection: &str) -> Output {
    let asking = world.dir().join("asking.sql");
    fs::write(&asking, "select current_user || '|' || 7\n").expect("a statement");
    let line = format!("isql -v -b -k \"$0\" < '{}'", asking.display());
    run(&["sh", "-c", &line, connection])
}

#[test]
#[ignore = "long: ODBC and its driver are installed"]
fn odbc_comes_in_with_a_password_and_with_a_certificate() {
    let world = World::new();
    world.grant_pg("10m");
    let connection = url(&world, "odbc");
    let ran = isql(&world, &connection);
    assert!(out(&ran).contains("app|7"), "{}{}", out(&ran), err(&ran));
    let again = isql(&world, &connection);
    let told = [out(&again), err(&again)].concat();
    assert!(told.contains("has been used for as many"), "{told}");
    let state = world.alice().state_dir();
    let connection = format!(
        "Driver={{PostgreSQL Unicode}};Server=localhost;Port={};Database=orders;Uid=app;SSLmode=verify-full;\
         pqopt={{sslrootcert='{state}/ca.pem' sslcert='{state}/pg.crt' sslkey='{state}/pg.key'}}",
        world.doors().postgres,
        state = state.display()
    );
    let ran = isql(&world, &connection);
    assert!(out(&ran).contains("app|7"), "{}{}", out(&ran), err(&ran));
}

#[test]
#[ignore = "long: packages of Python are installed"]
fn python_comes_in_with_libpq_of_today_and_without_libpq() {
    let world = World::new();
    world.grant_pg("10m");
    let bound = format!("{}&channel_binding=require", url(&world, "uri"));
    comes_in_once(&[&python(), &script("psycopg_client.py"), &bound]);
    let direct = format!("{}&sslnegotiation=direct", url(&world, "uri"));
    comes_in_once(&[&python(), &script("psycopg_client.py"), &direct]);
    comes_in_once(&[&python(), &script("asyncpg_client.py"), &url(&world, "uri")]);
}

#[test]
#[ignore = "long: drivers of Rust are built"]
fn rust_comes_in_with_tls_of_its_own() {
    let world = World::new();
    world.grant_pg("10m");
    let dir = Path::new(env!("CARGO_MANIFEST_DIR")).join("../target/clients/rust/debug");
    let program = |name: &str| dir.join(name).display().to_string();
    comes_in_once(&[&program("sqlx_client"), &url(&world, "uri")]);
    let ca = world.alice().state_dir().join("ca.pem");
    let ca = format!("PGSSLROOTCERT={}", ca.display());
    for tls in ["asked", "direct"] {
        let (program, url) = (program("tokio_client"), url(&world, "uri"));
        comes_in_once(&["env", &ca, &program, tls, &url]);
    }
}
