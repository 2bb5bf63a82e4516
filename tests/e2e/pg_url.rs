//! Clients without certificates: a URL with a one-time password, and what becomes of it.

use std::process::Output;

use tests::{Setting, World, until};

use crate::{err, out};

/// Alice has a URL made for `orders`.
fn url(world: &World, more: &[&str]) -> String {
    let line = [&["tidegate", "-q", "pg", "url", "orders"], more].concat();
    let url = world.alice().run(&line).expect("alice is given a URL");
    assert_eq!(url.lines().count(), 1, "{url}");
    url.trim().to_owned()
}

/// psql with the URL, which shows no certificate even where there is one.
fn psql(world: &World, url: &str, sql: &str) -> Output {
    let url = format!("{url}&sslcert=/none&sslkey=/none");
    let line = ["psql", "-X", "-At", &url, "-c", sql];
    world.alice().output(&line).expect("psql runs")
}

#[track_caller]
fn told(ran: &Output, what: &str) {
    assert_eq!(ran.status.code(), Some(2), "psql got in: {}", out(ran));
    assert!(err(ran).contains(what), "{}", err(ran));
}

#[test]
fn psql_comes_in_once_with_and_without_channel_binding() {
    let world = World::new();
    world.grant_pg("10m");
    for binding in ["require", "prefer", "disable"] {
        let url = format!("{}&channel_binding={binding}", url(&world, &[]));
        let ran = psql(&world, &url, "select current_user, count(*) from orders");
        assert_eq!(out(&ran), "app|1000\n", "{binding}: {}", err(&ran));
        let again = psql(&world, &url, "select 1");
        told(&again, "has been used for as many connections");
        told(&again, "tidegate pg url orders --role app");
    }
    let sessions = world.ended_sessions();
    assert_eq!(sessions.len(), 3);
    for session in &sessions {
        assert_eq!(session["principal"], "alice");
        assert_eq!(session["credential"]["kind"], "secret", "{session}");
        let (holds, said) = world.verify(session["id"].as_str().expect("an id"));
        assert!(holds, "{said}");
    }
    let audit = world
        .carol()
        .run(&["tidegate", "audit", "ls", "-o", "jsonl", "--limit", "500"])
        .expect("carol reads the ledger");
    let lines = |word: &str| audit.lines().filter(|line| line.contains(word)).count();
    assert_eq!(lines("\"event\":\"one_time_made\""), 3, "{audit}");
    assert_eq!(lines("\"event\":\"one_time_used\""), 3);
    assert_eq!(lines("\"event\":\"one_time_refused\""), 3);
}

#[test]
fn a_pool_opens_as_many_connections_as_were_asked_for() {
    let world = World::new();
    world.grant_pg("10m");
    let url = url(&world, &["--uses", "3"]);
    for _each in 0..3 {
        let ran = psql(&world, &url, "select 7");
        assert_eq!(out(&ran), "7\n", "{}", err(&ran));
    }
    told(&psql(&world, &url, "select 7"), "as many connections");
}

#[test]
fn of_many_that_come_at_once_with_one_password_one_is_let_in() {
    let world = World::new();
    world.grant_pg("10m");
    let url = url(&world, &[]);
    let all: Vec<Output> = std::thread::scope(|scope| {
        let one = || psql(&world, &url, "select 7");
        let running: Vec<_> = (0..8).map(|_each| scope.spawn(one)).collect();
        let ended = running.into_iter().map(|one| one.join().expect("psql ran"));
        ended.collect()
    });
    let in_count = all.iter().filter(|ran| ran.status.success()).count();
    assert_eq!(in_count, 1);
}

#[test]
fn a_password_is_for_one_target_and_role_and_no_other() {
    let world = World::new();
    world.grant_pg("10m");
    let url = url(&world, &["--uses", "9"]);
    let elsewhere = url.replace("/orders?", "/others?");
    told(
        &psql(&world, &elsewhere, "select 1"),
        "is for `orders` as `app`",
    );
    let as_another = url.replace("//app%2B", "//postgres%2B");
    told(
        &psql(&world, &as_another, "select 1"),
        "is for `orders` as `app`",
    );
    let ran = psql(&world, &url, "select 7");
    assert_eq!(out(&ran), "7\n", "it has not been used: {}", err(&ran));
}

#[test]
fn a_wrong_password_and_an_unknown_one_are_told_the_same() {
    let world = World::new();
    world.grant_pg("10m");
    let url = url(&world, &[]);
    let (before, rest) = url.split_once(':').expect("a scheme");
    let (user, rest) = rest.split_once(':').expect("a password");
    let (_password, after) = rest.split_once('@').expect("a host");
    let wrong = format!("{before}:{user}:{}@{after}", "0".repeat(32));
    let ran = psql(&world, &wrong, "select 1");
    told(
        &ran,
        "the user name and the password do not belong together",
    );
    let wrong_text = err(&ran);
    let (role, id) = user.split_once("%2Bsec_").expect("a secret's name");
    let unknown = format!(
        "{before}:{role}%2Bsec_{}:{}@{after}",
        "0".repeat(id.len()),
        "0".repeat(32)
    );
    let ran = psql(&world, &unknown, "select 1");
    told(
        &ran,
        "the user name and the password do not belong together",
    );
    assert_eq!(err(&ran), wrong_text);
    let odd = format!("{before}:{role}%2Banything:{}@{after}", "0".repeat(32));
    assert_eq!(err(&psql(&world, &odd, "select 1")), wrong_text);
    // The one that was wrong for a password that there is can be looked for.
    until("it is in the ledger", || {
        let audit = world.carol().json(&["audit", "ls"]).ok()?.to_string();
        let told = audit.matches("one_time_refused").count();
        assert!(told < 2, "{audit}");
        (told == 1).then_some(())
    });
    let ran = psql(&world, &url, "select 7");
    assert_eq!(out(&ran), "7\n", "it has not been used: {}", err(&ran));
}

#[test]
fn a_password_ends_with_its_time_with_its_grant_and_with_the_key_behind_it() {
    let world = World::new();
    let grant = world.grant_pg("10m");
    let short = url(&world, &["--for", "1s", "--uses", "99"]);
    until("its second is over", || {
        let ran = psql(&world, &short, "select 1");
        err(&ran).contains("was good until").then_some(())
    });
    let url = url(&world, &["--uses", "5"]);
    let mut live = world.begin(
        "psql",
        &[
            "psql",
            "-X",
            "-At",
            &format!("{url}&sslcert=/none&sslkey=/none"),
            "-c",
            "select 'up'",
            "-c",
            "select pg_sleep(600)",
        ],
        "up",
    );
    world.revoke(&grant);
    let said = live.ended();
    assert!(said.contains("revoked by bob"), "{said}");
    told(&psql(&world, &url, "select 1"), "is over");
    // Another grant for the same does not wake it up.
    world.grant_pg("10m");
    told(&psql(&world, &url, "select 1"), "is over");
    let other = self::url(&world, &["--uses", "2"]);
    let ran = psql(&world, &other, "select 7");
    assert_eq!(out(&ran), "7\n", "{}", err(&ran));
    let keys = ["tidegate", "user", "keys", "alice", "-o", "name"];
    for key in world.bob().run(&keys).expect("bob lists keys").lines() {
        let remove = ["tidegate", "user", "key", "rm", "alice", key];
        world.bob().run(&remove).expect("bob removes it");
    }
    told(&psql(&world, &other, "select 1"), "is over");
}

#[test]
fn a_session_ends_with_the_grant_of_its_password_though_a_longer_one_runs_on() {
    let world = World::new();
    let short = world.grant_pg("10m");
    let url = url(&world, &[]);
    world.grant_pg("1h");
    let mut live = world.begin(
        "psql",
        &[
            "psql",
            "-X",
            "-At",
            &format!("{url}&sslcert=/none&sslkey=/none"),
            "-c",
            "select 'up'",
            "-c",
            "select pg_sleep(600)",
        ],
        "up",
    );
    assert_eq!(world.live_sessions()[0]["grant"], short.as_str());
    world.revoke(&short);
    let said = live.ended();
    assert!(said.contains("revoked by bob"), "{said}");
}

#[test]
fn a_url_is_made_only_for_who_holds_the_grant() {
    let world = World::new();
    let line = ["tidegate", "pg", "url", "orders"];
    let ran = world.alice().output(&line).expect("it runs");
    assert_eq!(ran.status.code(), Some(4), "{}", err(&ran));
    assert!(
        err(&ran).contains("tidegate request orders"),
        "{}",
        err(&ran)
    );
    world.grant_pg("10m");
    let ran = world.bob().output(&line).expect("it runs");
    assert_eq!(ran.status.code(), Some(4), "{}", err(&ran));
    let line = ["tidegate", "pg", "url", "orders", "--uses", "101"];
    let ran = world.alice().output(&line).expect("it runs");
    assert!(err(&ran).contains("1 to 100 connections"), "{}", err(&ran));
}

#[test]
fn the_host_names_the_target() {
    let world = World::new();
    world.grant_pg("10m");
    let state = world.alice().state_dir();
    let line = |host: &str, dbname: &str| {
        format!(
            "host={host} hostaddr=127.0.0.1 port={port} {dbname} user=app sslmode=verify-full sslcert={state}/pg.crt \
             sslkey={state}/pg.key sslrootcert={state}/ca.pem",
            port = world.doors().postgres,
            state = state.display()
        )
    };
    let run = |service: &str| {
        let line = ["psql", "-X", "-At", service, "-c", "select 7"];
        world.alice().output(&line).expect("psql runs")
    };
    let host = "orders.pg.localhost";
    for dbname in ["", "dbname=app", "dbname=orders", "dbname=orders/orders"] {
        let ran = run(&line(host, dbname));
        assert_eq!(out(&ran), "7\n", "{dbname}: {}", err(&ran));
    }
    told(
        &run(&line(host, "dbname=other/orders")),
        "the host name is that of `orders`",
    );
    told(&run(&line(host, "dbname=other")), "another database");
    told(&run(&line("other.pg.localhost", "")), "no active grant");
}

#[test]
fn a_short_name_leads_where_the_long_one_does() {
    let world = World::new();
    let alias = ["tidegate", "target", "alias", "orders", "o"];
    let ran = world.alice().output(&alias).expect("it runs");
    assert!(!ran.status.success(), "only who manages targets");
    world.bob().run(&alias).expect("bob gives it");
    let ran = world.bob().output(&alias).expect("it runs");
    assert!(err(&ran).contains("exists"), "{}", err(&ran));
    let state = world.alice().state_dir();
    let service = format!(
        "host=localhost port={port} dbname=o user=app sslmode=verify-full sslcert={state}/pg.crt \
         sslkey={state}/pg.key sslrootcert={state}/ca.pem",
        port = world.doors().postgres,
        state = state.display()
    );
    let line = ["psql", "-X", "-At", &service, "-c", "select 7"];
    let run = || world.alice().output(&line).expect("psql runs");
    told(&run(), "no active grant for app@o");
    world.grant("o", "app", "10m");
    let ran = run();
    assert_eq!(out(&ran), "7\n", "{}", err(&ran));
    assert_eq!(world.ended_sessions()[0]["target"], "orders");
    let short = ["tidegate", "-q", "pg", "url", "o"];
    let url = world.alice().run(&short).expect("alice is given a URL");
    let url = url.trim().replace("/orders?", "/o?");
    let ran = psql(&world, &url, "select 7");
    assert_eq!(out(&ran), "7\n", "{}", err(&ran));
    let remove = [&alias[..], &["--remove"]].concat();
    world.bob().run(&remove).expect("bob takes it");
    told(&run(), "no active grant for app@o");
    world.bob().run(&alias).expect("it is free again");
}

#[test]
fn where_they_are_turned_off_none_is_made_and_none_is_asked_for() {
    let world = World::with(&Setting {
        server: &[("TIDEGATE__POSTGRES__ONE_TIME_PASSWORDS", "off")],
        ..Setting::default()
    });
    world.grant_pg("10m");
    let line = ["tidegate", "pg", "url", "orders"];
    let refused = world.alice().output(&line).expect("it runs");
    let said = err(&refused);
    assert!(said.contains("have turned them off"), "{said}");
    assert!(out(&refused).is_empty());
    // Whoever comes with a name all the same is asked for nothing.
    let made_up = format!(
        "postgresql://app%2Bsec_{}:x@localhost:{}/orders?sslmode=require",
        "0".repeat(26),
        world.doors().postgres
    );
    told(&psql(&world, &made_up, "select 1"), "TG563");
    // Certificates are as they were.
    assert_eq!(out(&world.psql("select count(*) from orders")), "1000\n");
}
