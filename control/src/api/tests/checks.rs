//! What the server says when it looks at itself.

use std::collections::{BTreeMap, BTreeSet};
use std::sync::Arc;
use std::time::Duration;

use jiff::{SignedDuration, Timestamp};
use policies::words::api::Unseen;
use policies::{Algorithms, HostPort, Jump, Protocol, Target};
use recorder::Limits;
use sqlx::sqlite::SqliteConnectOptions;
use sqlx::{Connection as _, SqliteConnection};
use tokio::time::sleep;

use super::world::{Blind, World, caller, web1};
use crate::api::wire::{Check, List};
use crate::api::{Entering, Owning, Probe, Seeing, Unasking, Weighing};
use crate::store::Backend;
use crate::{Clock, entropy};

/// What root is told.
async fn checks(world: &World) -> Vec<Check> {
    let root = world.certificate("root").await;
    let (status, body) = world.call(Some(&root), "GET", "/v1/checks", "").await;
    assert_eq!(status, 200, "{body}");
    let list: List<Check> = serde_json::from_str(&body).unwrap();
    list.items
}

/// What is said of one thing: whether it is well, and what was found.
#[track_caller]
fn said(checks: &[Check], subject: &str) -> (bool, String) {
    let mut fitting = checks.iter().filter(|check| check.subject == subject);
    let (Some(check), None) = (fitting.next(), fitting.next()) else {
        panic!("{subject}: {checks:?}");
    };
    (check.ok, check.found.clone())
}

#[tokio::test]
async fn a_server_that_lets_people_in_finds_nothing_wrong_with_itself() {
    let world = World::build().await;
    let checks = checks(&world).await;
    for subject in ["store", "recorder", "server clock", "authority"] {
        let (ok, found) = said(&checks, subject);
        assert!(ok, "{subject}: {found}");
    }
    assert!(checks.iter().all(|check| check.subject != "server"));
}

#[tokio::test]
async fn less_room_than_a_recording_needs_is_found() {
    let limits = Limits {
        reserve_bytes: u64::MAX / 2,
        ..Limits::default()
    };
    let world = World::looking(Clock::system(), limits, Arc::new(Blind)).await;
    let (ok, found) = said(&checks(&world).await, "recorder");
    assert!(!ok && found.contains("nobody gets in"), "{found}");
}

#[tokio::test]
async fn a_disk_that_does_not_answer_is_found() {
    let world = World::build().await;
    world.recorder.disk_hangs();
    let (ok, found) = said(&checks(&world).await, "recorder");
    assert!(!ok && found.contains("does not answer"), "{found}");
    world.recorder.disk_answers();
    assert!(said(&checks(&world).await, "recorder").0);
}

#[tokio::test]
async fn a_clock_that_is_not_believed_is_found() {
    let start: Timestamp = "2026-11-21T14:00:00Z".parse().unwrap();
    for (by, told) in [(120, " ahead"), (-40, " behind")] {
        let clock = Clock::anchored(start);
        let world = World::looking(clock.clone(), Limits::default(), Arc::new(Blind)).await;
        // The login is in force a minute before it was made.
        let root = world.certificate("root").await;
        clock.step(SignedDuration::from_secs(by));
        let (status, body) = world.call(Some(&root), "GET", "/v1/checks", "").await;
        assert_eq!(status, 200, "{body}");
        let list: List<Check> = serde_json::from_str(&body).unwrap();
        let (ok, found) = said(&list.items, "server clock");
        assert!(!ok && found.contains(told), "{found}");
    }
}

#[tokio::test]
async fn a_server_that_stops_says_so() {
    let world = World::build().await;
    world.broker.refuse_newcomers();
    let (ok, found) = said(&checks(&world).await, "server");
    assert!(!ok && found.contains("stopping"), "{found}");
}

#[test]
fn a_server_whose_log_nobody_follows_ends() {
    let runtime = || {
        let mut builder = tokio::runtime::Builder::new_current_thread();
        builder.enable_all().build().unwrap()
    };
    let first = runtime();
    let world = first.block_on(World::build());
    // With it go the tasks of the broker, as if they had panicked.
    drop(first);
    runtime().block_on(async {
        let limit = Duration::from_secs(5);
        let ended = tokio::time::timeout(limit, world.broker.blinded()).await;
        ended.expect("it is told");
        let kept = tokio::time::timeout(limit, world.broker.clone().keep_roles()).await;
        kept.expect("what keeps roles ends as well");
    });
}

/// What somebody has written there can be read or not; that the store does not answer is something else.
#[tokio::test]
async fn a_list_of_sessions_that_cannot_be_read_keeps_nobody_from_looking_at_targets() {
    let mark = u64::from_ne_bytes(entropy::bytes::<8>().unwrap());
    let dir = std::env::temp_dir().join(format!("tidegate-garbled-{mark:x}"));
    std::fs::create_dir(&dir).unwrap();
    let path = dir.join("store.sqlite");
    let world = World::over(Backend::sqlite(&path).await.unwrap()).await;
    let options = SqliteConnectOptions::new().filename(&path);
    let mut beside = SqliteConnection::connect_with(&options).await.unwrap();
    let garbled = "INSERT INTO sessions VALUES ('ses_7', 'alice', 'web1', 'grt_7', '{', NULL)";
    sqlx::raw_sql(garbled).execute(&mut beside).await.unwrap();
    let checks = checks(&world).await;
    let (ok, found) = said(&checks, "store");
    assert!(!ok && found.contains("it answers"), "{found}");
    said(&checks, "target web1");
    assert_eq!(world.broker.has_had_sessions().await, Ok(true));
    std::fs::remove_dir_all(&dir).unwrap();
}

/// Waits for every server in vain, as where packets are dropped.
#[derive(Debug)]
struct Dropping(Duration);

impl Probe for Dropping {
    fn look<'a>(
        &'a self,
        _protocol: Protocol,
        _addr: &'a HostPort,
        _how: (Option<&'a Jump>, Algorithms),
    ) -> Seeing<'a> {
        Box::pin(async {
            sleep(self.0).await;
            Err(Unseen::Silent)
        })
    }

    fn enter<'a>(&'a self, target: &'a Target, login: &'a policies::Login) -> Entering<'a> {
        Blind.enter(target, login)
    }

    fn unasked<'a>(&'a self, _target: &'a Target) -> Unasking<'a> {
        Box::pin(async { BTreeSet::new() })
    }

    fn powers<'a>(&'a self, _target: &'a Target) -> Weighing<'a> {
        Box::pin(async { BTreeMap::new() })
    }

    fn own_roles<'a>(&'a self, _target: &'a Target) -> Owning<'a> {
        Box::pin(async { None })
    }
}

/// What is found in a world of ten targets, each of which takes so long to be given up.
async fn found_in_an_outage(each: Duration) -> Vec<Check> {
    let probe = Arc::new(Dropping(each));
    let world = World::looking(Clock::system(), Limits::default(), probe).await;
    for number in 2..=10 {
        let name = format!("web{number}").parse().unwrap();
        let target = web1(world.broker.clock());
        let target = Target { name, ..target };
        let added = world.broker.add_target(&caller("root"), target).await;
        added.unwrap();
    }
    let root = world.certificate("root").await;
    tokio::time::pause();
    let (status, body) = world.call(Some(&root), "GET", "/v1/checks", "").await;
    assert_eq!(status, 200, "{body}");
    let list: List<Check> = serde_json::from_str(&body).unwrap();
    list.items
}

#[tokio::test]
async fn targets_that_do_not_answer_keep_nothing_from_being_told() {
    for (each, told) in [(10, "said nothing in time"), (60, "not looked at in time")] {
        let found = found_in_an_outage(Duration::from_secs(each)).await;
        assert!(said(&found, "store").0 && said(&found, "recorder").0);
        for number in 1..=10 {
            let (ok, found) = said(&found, &format!("target web{number}"));
            assert!(!ok && found.contains(told), "{found}");
        }
        tokio::time::resume();
    }
}
