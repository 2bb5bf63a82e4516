//! What a login's signature is good for, and for how long a login is.

use std::time::Duration;

use ca::applicant::Applicant;
use ca::sshsig::{LOGIN_NAMESPACE, LOGIN_NAMESPACE_1, login_text};
use jiff::{SignedDuration, Timestamp};
use policies::PrincipalName;
use serde_json::{Value, json};
use tokio::time::sleep;

use super::world::World;
use crate::broker::Acquaintance;
use crate::identity::fingerprint_of;
use crate::ledger::Happening;
use crate::{Clock, Settings};

/// A login as alice's own client puts it together that believes this CA.
async fn order(world: &World, ca: &str) -> Value {
    order_by(world, ca, &world.alice_key).await
}

/// The same with her key written like this.
async fn order_by(world: &World, ca: &str, key: &str) -> Value {
    let fresh = Applicant::create().unwrap();
    let (ssh, csr) = (
        fresh.ssh_public().unwrap(),
        fresh.signing_request().unwrap(),
    );
    let challenge = world.challenge(key).await;
    let text = login_text(&challenge, ca, &ssh, &csr).unwrap();
    let signature = world.alice.sign(LOGIN_NAMESPACE, text.as_bytes()).unwrap();
    json!({
        "public_key": key,
        "challenge": challenge,
        "signature": signature,
        "ssh_public_key": ssh,
        "csr": csr,
    })
}

async fn answer(world: &World, order: &Value) -> (u16, String) {
    let order = order.to_string();
    world.call(None, "POST", "/v1/login", &order).await
}

#[tokio::test]
async fn a_login_is_good_at_the_bastion_that_it_names() {
    let world = World::build().await;
    let (status, body) = answer(&world, &order(&world, &world.ca()).await).await;
    assert_eq!(status, 200, "{body}");
}

#[tokio::test]
async fn a_key_logs_in_only_so_often_whatever_its_comment() {
    let world = World::build().await;
    let mut answers = Vec::new();
    for number in 0..101 {
        let key = format!("{} alice@{number}", world.alice_key);
        let order = order_by(&world, &world.ca(), &key).await;
        answers.push(answer(&world, &order).await.0);
    }
    assert_eq!(answers.pop(), Some(401));
    assert!(answers.iter().all(|status| *status == 200), "{answers:?}");
}

/// Another bastion hands on our challenge, and has it signed by somebody who logs in there.
#[tokio::test]
async fn a_login_that_another_bastion_relays_proves_nothing() {
    let (ours, theirs) = (World::build().await, World::build().await);
    let (status, body) = answer(&ours, &order(&ours, &theirs.ca()).await).await;
    assert_eq!(status, 401, "{body}");
}

#[tokio::test]
async fn a_login_is_good_for_the_keys_that_were_signed() {
    let world = World::build().await;
    let thief = Applicant::create().unwrap();
    for (name, of_thief) in [
        ("ssh_public_key", thief.ssh_public().unwrap()),
        ("csr", thief.signing_request().unwrap()),
    ] {
        let mut order = order(&world, &world.ca()).await;
        order[name] = of_thief.into();
        let (status, body) = answer(&world, &order).await;
        assert_eq!(status, 401, "{name}: {body}");
    }
}

#[tokio::test]
async fn an_older_client_is_told_to_update_whatever_its_key() {
    let world = World::build().await;
    let mut told = Vec::new();
    for (key, by) in [
        (world.alice_key.clone(), &world.alice),
        (super::world::key(), &Applicant::create().unwrap()),
    ] {
        let challenge = world.challenge(&key).await;
        let signature = by.sign(LOGIN_NAMESPACE_1, challenge.as_bytes()).unwrap();
        let order = json!({
            "public_key": key,
            "challenge": challenge,
            "signature": signature,
            "ssh_public_key": key,
            "csr": "",
        });
        told.push(answer(&world, &order).await);
    }
    assert_eq!(told[0].0, 422, "{}", told[0].1);
    assert!(told[0].1.contains("update tidegate"), "{}", told[0].1);
    assert_eq!(told[0], told[1]);
    assert!(world.failed_logins().await.is_empty());
}

/// Somebody may ask for less than the operator allows, and not for more.
#[tokio::test(start_paused = true)]
async fn a_login_lives_as_long_as_the_operator_lets_it() {
    let start = Timestamp::from_second(1_800_000_000).unwrap();
    let cases = [
        (15, None, 15),
        (15, Some(60), 15),
        (15, Some(5), 5),
        (12 * 60, None, 12 * 60),
        (48 * 60, None, 24 * 60),
    ];
    for (allowed, wanted, lives) in cases {
        let settings = Settings {
            login_lifetime: SignedDuration::from_mins(allowed),
            ..Settings::default()
        };
        let world = World::with(Clock::anchored(start), settings).await;
        let mut order = order(&world, &world.ca()).await;
        order["ttl_seconds"] = wanted.map(|minutes: u64| minutes * 60).into();
        let (status, body) = answer(&world, &order).await;
        assert_eq!(status, 200, "{body}");
        let body: Value = serde_json::from_str(&body).unwrap();
        let expires_at: Timestamp = body["expires_at"].as_str().unwrap().parse().unwrap();
        let lived = expires_at.duration_since(start).as_mins();
        assert_eq!(lived, lives, "{allowed} {wanted:?}");
    }
}

#[tokio::test(start_paused = true)]
async fn a_wall_set_back_neither_brings_a_login_back_nor_lengthens_it() {
    let start = Timestamp::from_second(1_800_000_000).unwrap();
    // Minutes until the wall is set back, by how many, whether the login holds then, and how long it does.
    for (before, back, holds, lasts) in [(120, 90, false, 0), (50, 45, true, 11)] {
        let clock = Clock::anchored(start);
        let world = World::with(clock.clone(), Settings::default()).await;
        let alice = world.certificate("alice").await;
        let status = async |method, path| world.call(Some(&alice), method, path, "").await.0;
        let holding = async || status("GET", "/v1/whoami").await == 200;
        let minutes = |count: u64| Duration::from_secs(count * 60);
        sleep(minutes(before)).await;
        clock.step(SignedDuration::from_mins(-back));
        assert_eq!(holding().await, holds);
        if !holds {
            assert_eq!(
                status("GET", "/v1/whoami").await,
                503,
                "the clock is at fault"
            );
            let kill = "/v1/sessions/ses_00000000000000000000000000/kill";
            assert_eq!(
                status("POST", kill).await,
                404,
                "whoever ends gives nothing"
            );
            for (looked_up, want) in [
                ("/v1/sessions", 200),
                ("/v1/sessions/last", 404),
                ("/v1/grants?to_end=true", 200),
                ("/v1/targets/nowhere", 404),
                ("/v1/targets", 503),
            ] {
                assert_eq!(status("GET", looked_up).await, want, "{looked_up}");
            }
        }
        sleep(minutes(lasts)).await;
        assert!(!holding().await);
    }
}

/// So that the door can keep out for a while from where nothing else comes.
#[tokio::test]
async fn a_connection_tells_whether_what_was_shown_on_it_proves_nothing() {
    let world = World::build().await;
    let order = order(&world, &world.ca()).await;
    assert_eq!(world.login_with(&world.alice_key).await.0, 401);
    assert!(world.showing.is_wrong());
    assert_eq!(answer(&world, &order).await.0, 200);
    assert!(!world.showing.is_wrong());
}

/// Clients whose certificate is over show its key alone.
#[tokio::test]
async fn whose_login_a_key_is_is_known_to_the_operator() {
    let world = World::build().await;
    let order = order(&world, &world.ca()).await;
    let fresh = fingerprint_of(order["ssh_public_key"].as_str().unwrap()).unwrap();
    assert_eq!(world.broker.acquaintance(&fresh), None);
    let (status, body) = answer(&world, &order).await;
    assert_eq!(status, 200, "{body}");
    let body: Value = serde_json::from_str(&body).unwrap();
    let by_key = fingerprint_of(&world.alice_key).unwrap();
    let alice: PrincipalName = "alice".parse().unwrap();
    let login = Acquaintance::Login {
        principal: alice.clone(),
        by_key: by_key.clone(),
        expires_at: body["expires_at"].as_str().unwrap().parse().unwrap(),
    };
    assert_eq!(world.broker.acquaintance(&fresh), Some(login));
    let registered = Acquaintance::Registered { principal: alice };
    assert_eq!(world.broker.acquaintance(&by_key), Some(registered));
}

#[tokio::test]
async fn a_failed_login_is_written_down_by_the_fingerprint_that_people_know() {
    let world = World::build().await;
    assert_eq!(world.login_with(&world.alice_key).await.0, 401);
    assert_eq!(world.login_with("no key").await.0, 401);
    let odd = format!("SHA256:{}{}", "\u{1}".repeat(4_000), "x".repeat(4_000));
    assert_eq!(world.login_with(&odd).await.0, 401);
    let showed = |happening: &Happening| serde_json::to_value(happening).unwrap()["showed"].clone();
    let written: Vec<Value> = world.failed_logins().await.iter().map(showed).collect();
    let print = fingerprint_of(&world.alice_key).unwrap();
    // What only looks like a fingerprint is cut short as anything else that is none.
    let beginning = format!("key SHA256:{}", "x".repeat(113));
    let all = [format!("key {print}"), "key no key".to_owned(), beginning];
    assert_eq!(written, all);
}
