//! A PostgreSQL target with several hosts: a primary, a streaming standby, and one that is down.

use std::process::Output;

use tests::pg::{PgClient, kinds, startup};
use tests::standby::Standby;
use tests::{World, one_of_three, until};

use crate::pg_vault::fingerprint;
use crate::{err, out};

/// Bob adds a target at these hosts, and alice is let in.
fn add(world: &World, name: &str, hosts: &[&str], attrs: &str) -> String {
    let hosts = hosts.join(",");
    let line = [
        "tidegate",
        "target",
        "add",
        "pg",
        name,
        "--addr",
        &hosts,
        "--target-session-attrs",
        attrs,
        "--dbname",
        "orders",
        "--role",
        "app",
        "--label",
        "env=dev",
    ];
    world.bob().run(&line).expect("bob adds it");
    world.grant(name, "app", "10m")
}

/// The same for a pair of hosts where each grant has a role of its own.
fn add_with_own_roles(world: &World, hosts: &str, attrs: &str) -> String {
    let line = format!(
        "tidegate target add pg pair --addr {hosts} --target-session-attrs {attrs} \
         --admin-role tidegate_admin --dbname orders --role app --label env=dev"
    );
    let line: Vec<&str> = line.split_whitespace().collect();
    world.bob().run(&line).expect("bob adds it");
    world.grant("pair", "app", "10m")
}

fn psql(world: &World, target: &str, sql: &str) -> Output {
    let place = format!("service=orders dbname={target}");
    world
        .alice()
        .output(&["psql", "-X", "-At", &place, "-c", sql])
        .expect("psql runs")
}

/// Where a session is: `t` for the standby.
const WHERE: &str = "select pg_is_in_recovery()";

#[test]
fn a_session_has_a_host_of_the_kind_that_the_target_is_for() {
    let mut world = World::new();
    let mut standby = Standby::of(&world);
    let primary = world.postgres().addr().to_string();
    let (first, second) = (standby.addr(), primary.clone());
    for (attrs, want) in [
        ("any", "t"),
        ("read-write", "f"),
        ("primary", "f"),
        ("read-only", "t"),
        ("standby", "t"),
        ("prefer-standby", "t"),
    ] {
        add(&world, attrs, &[&first, &second], attrs);
        let ran = psql(&world, attrs, WHERE);
        assert_eq!(out(&ran), format!("{want}\n"), "{attrs}: {}", err(&ran));
    }
    let ran = psql(
        &world,
        "read-write",
        "insert into orders values (5001, 'new')",
    );
    assert!(ran.status.success(), "{}", err(&ran));
    let shown = world.bob().run(&["tidegate", "target", "ls", "-o", "wide"]);
    let shown = shown.expect("bob lists them");
    let place = format!("{first},{second} (read-write)/orders");
    assert!(shown.contains(&place), "{shown}");
    let sessions = world.ended_sessions();
    let session = sessions.first().expect("there are some");
    let said = world.exported(session["id"].as_str().expect("an id"), "--text");
    assert!(said.contains("the session is at 127.0.0.1:"), "{said}");
    // Without the standby: only what can be had elsewhere.
    standby.stop();
    for (attrs, want) in [("any", "f\n"), ("prefer-standby", "f\n"), ("standby", "")] {
        let ran = psql(&world, attrs, WHERE);
        assert_eq!(out(&ran), want, "{attrs}: {}", err(&ran));
    }
    let ran = psql(&world, "standby", WHERE);
    assert!(err(&ran).contains("TG411"), "{}", err(&ran));
    let tested = world
        .bob()
        .output(&["tidegate", "target", "test", "any"])
        .expect("it runs");
    let said = err(&tested);
    assert!(
        said.contains("not at each of its hosts") && said.contains(&first),
        "{said}"
    );
    // Without the primary: the same.
    standby.start_again();
    world.postgres_mut().stop();
    let ran = psql(&world, "read-only", WHERE);
    assert_eq!(out(&ran), "t\n", "{}", err(&ran));
    let ran = psql(&world, "primary", WHERE);
    assert!(err(&ran).contains("TG411"), "{}", err(&ran));
}

/// A server is told by its `default_transaction_read_only`, and a client may bring its own along.
#[tokio::test]
async fn a_client_does_not_choose_the_kind_of_its_host() {
    let world = World::new();
    let standby = Standby::of(&world);
    let (primary, second) = (world.postgres().addr().to_string(), standby.addr());
    add(&world, "reading", &[&primary, &second], "read-only");
    add(&world, "writing", &[&primary, &second], "read-write");
    let (door, tls) = world.pg_door();
    for (target, value, is_standby) in [("reading", "on", "t"), ("writing", "on", "f")] {
        let mut client = PgClient::encrypt(door, &tls).await.expect("TLS is spoken");
        let wish = [
            ("user", "app"),
            ("database", target),
            ("default_transaction_read_only", value),
        ];
        client.send(&startup(&wish)).await.unwrap();
        let answers = client.until_ready().await.unwrap();
        assert!(kinds(&answers).ends_with('Z'), "{target}: {answers:?}");
        let told = b"default_transaction_read_only\0on\0";
        let reported = answers.iter().filter(|one| one.kind == b'S');
        let reported = reported.filter(|one| one.body == told);
        assert_eq!(reported.count(), 1, "{target}: {answers:?}");
        let answers = client.query(WHERE).await.unwrap();
        let row = answers.iter().find(|one| one.kind == b'D');
        let row = row.expect("a row");
        assert!(row.body.ends_with(is_standby.as_bytes()), "{target}");
        // What the client asked for holds, where it is.
        let answers = client.query("delete from orders").await.unwrap();
        assert_eq!(answers[0].field(b'C').as_deref(), Some("25006"), "{target}");
    }
    // What is no such value is the server's to refuse.
    let mut client = PgClient::encrypt(door, &tls).await.expect("TLS is spoken");
    let wish = [
        ("user", "app"),
        ("database", "writing"),
        ("default_transaction_read_only", "'; drop table orders; --"),
    ];
    client.send(&startup(&wish)).await.unwrap();
    let told = client.until_closed().await.expect("it is told why");
    assert_eq!(told.field(b'C').as_deref(), Some("22023"));
}

#[test]
fn the_next_session_is_at_the_new_primary_and_the_one_before_has_ended() {
    let mut world = World::new();
    let standby = Standby::of(&world);
    let primary = world.postgres().addr().to_string();
    add(&world, "pair", &[&primary, &standby.addr()], "read-write");
    let ran = psql(
        &world,
        "pair",
        "insert into orders values (5001, 'before'); select 1",
    );
    assert!(ran.status.success(), "{}", err(&ran));
    until("the standby has it", || {
        (standby.sql("select count(*) from orders where id = 5001") == "1").then_some(())
    });
    let place = "service=orders dbname=pair";
    let line = [
        "psql",
        "-X",
        "-At",
        place,
        "-c",
        "select 'begun'",
        "-c",
        "select pg_sleep(600)",
    ];
    let mut client = world.begin("psql", &line, "begun");
    world.postgres_mut().stop();
    client.ended();
    let ran = psql(&world, "pair", WHERE);
    assert!(err(&ran).contains("TG411"), "not yet: {}", err(&ran));
    standby.promote();
    let ran = psql(
        &world,
        "pair",
        "insert into orders values (5002, 'after'); select pg_is_in_recovery()",
    );
    assert_eq!(out(&ran), "INSERT 0 1\nf\n", "{}", err(&ran));
}

#[test]
fn an_impostor_among_the_hosts_ends_the_search_and_is_told_nothing() {
    let world = World::new();
    let standby = Standby::of(&world);
    let primary = world.postgres().addr().to_string();
    // Both are to show the primary's certificate.
    let pin = fingerprint(&world.postgres().certificate_path());
    let pins = format!("{pin},{pin}");
    let hosts = format!("{},{primary}", standby.addr());
    let line = [
        "tidegate",
        "target",
        "add",
        "pg",
        "mixed",
        "--addr",
        &hosts,
        "--server-cert-sha256",
        &pins,
        "--dbname",
        "orders",
        "--role",
        "app",
        "--label",
        "env=dev",
    ];
    world.bob().run(&line).expect("bob adds it");
    world.grant("mixed", "app", "10m");
    let ran = psql(&world, "mixed", WHERE);
    assert!(err(&ran).contains("TG402"), "{}", err(&ran));
    // Nor is whoever came told where that is: their own sessions say what they were told.
    let sessions = world.ended_sessions();
    let cause = &sessions[0]["end"]["cause"];
    assert_eq!(cause["code"], "TG402");
    let what = cause["what"].as_str().expect("a sentence");
    assert!(
        what.contains("is not `mixed`") && !what.contains("127.0.0.1"),
        "{what}"
    );
    let session = sessions[0]["id"].as_str().expect("an id");
    let kept = world.exported(session, "--text");
    assert!(!kept.contains(&primary), "{kept}");
}

#[test]
fn what_a_cut_session_ran_at_a_standby_is_stopped_there() {
    one_of_three("it is seen to stop", || {
        let world = World::new();
        let standby = Standby::of(&world);
        let primary = world.postgres().addr().to_string();
        let grant = add(&world, "pair", &[&primary, &standby.addr()], "standby");
        let place = "service=orders dbname=pair";
        let line = [
            "psql",
            "-X",
            "-At",
            place,
            "-c",
            "select 'begun'",
            "-c",
            "select pg_sleep(600)",
        ];
        let sleepers = "select count(*) from pg_stat_activity where query like 'select pg_sleep%'";
        let mut client = world.begin("psql", &line, "begun");
        until("the statement runs", || {
            (standby.sql(sleepers) == "1").then_some(())
        });
        // A client's own cancel request goes to the same host.
        client.signal("INT");
        let said = client.ended();
        assert!(said.contains("canceling statement"), "{said}");
        until("nothing runs there", || {
            (standby.sql(sleepers) == "0").then_some(())
        });
        let mut client = world.begin("psql", &line, "begun");
        until("the statement runs", || {
            (standby.sql(sleepers) == "1").then_some(())
        });
        world.revoke(&grant);
        assert!(client.ended().contains("over now"));
        until("nothing runs there", || {
            (standby.sql(sleepers) == "0").then_some(())
        });
        let sessions = world.ended_sessions();
        let cut = sessions
            .iter()
            .find(|session| session["end"]["cause"]["cause"] == "severed")
            .expect("one was cut");
        let said = world.exported(cut["id"].as_str().expect("an id"), "--text");
        said.contains("the server process is gone")
    });
}

#[test]
fn a_role_of_a_grants_own_is_made_at_the_primary_and_comes_to_the_standby() {
    let world = World::new();
    world.have_own_roles();
    let standby = Standby::of(&world);
    let primary = world.postgres().addr().to_string();
    let before = world.catalogue();
    let hosts = format!("{},{primary}", standby.addr());
    let grant = add_with_own_roles(&world, &hosts, "standby");
    let role = grant.replace("grt_", "tg_");
    let ran = psql(&world, "pair", "select session_user, pg_is_in_recovery()");
    assert_eq!(out(&ran), format!("{role}|t\n"), "{}", err(&ran));
    let place = "service=orders dbname=pair";
    let line = [
        "psql",
        "-X",
        "-At",
        place,
        "-c",
        "select 'begun'",
        "-c",
        "select pg_sleep(600)",
    ];
    let mut client = world.begin("psql", &line, "begun");
    world.revoke(&grant);
    client.ended();
    world.no_own_roles();
    assert_eq!(world.catalogue(), before);
    let left = format!("select count(*) from pg_stat_activity where usename = '{role}'");
    until("nothing of it is at the standby", || {
        let gone = standby.sql("select count(*) from pg_roles where rolname like 'tg\\_%'") == "0";
        (gone && standby.sql(&left) == "0").then_some(())
    });
}

/// Whoever promotes a standby while its primary lives has two servers that take changes. A session is at the
/// first; neither copies from the other that its role is gone.
#[test]
fn a_role_is_removed_at_each_host_that_takes_changes() {
    let world = World::new();
    world.have_own_roles();
    let standby = Standby::of(&world);
    let primary = world.postgres().addr().to_string();
    let before = world.catalogue();
    let hosts = format!("{primary},{}", standby.addr());
    let grant = add_with_own_roles(&world, &hosts, "primary");
    let role = grant.replace("grt_", "tg_");
    let ran = psql(&world, "pair", "select session_user, pg_is_in_recovery()");
    assert_eq!(out(&ran), format!("{role}|f\n"), "{}", err(&ran));
    let ours = "select count(*) from pg_roles where rolname like 'tg\\_%'";
    until("the standby has it", || {
        (standby.sql(ours) == "1").then_some(())
    });
    standby.promote();
    world.revoke(&grant);
    world.no_own_roles();
    assert_eq!(world.catalogue(), before);
    until("it is gone at the other", || {
        (standby.sql(ours) == "0").then_some(())
    });
}
