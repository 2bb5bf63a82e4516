//! Which recordings are listed, and what is said of one that is gone.

use std::sync::Arc;

use jiff::SignedDuration;
use policies::{
    Capabilities, Credential, GrantId, InputRecording, Obligations, Protocol, SessionId, Terms,
};
use serde_json::Value;

use super::world::{World, caller, web1};
use crate::ledger::{Cause, Counters, RecordingState, SessionEnd, Timeline};

/// A session of alice's that is over, and what the ledger says of its recording.
async fn session(world: &World, number: u8, recording: RecordingState) -> SessionId {
    let clock = world.broker.clock();
    let now = clock.now();
    let terms = Terms {
        principal: "alice".parse().unwrap(),
        credential: Credential::Key {
            fingerprint: "SHA256:test".to_owned(),
        },
        source: caller("alice").source,
        target: Arc::new(web1(clock)),
        login: "deploy".parse().unwrap(),
        database: None,
        via: Vec::new(),
        protocol: Protocol::Ssh,
        grant: GrantId::new(now, [1; 10]),
        until: now.checked_add(SignedDuration::from_mins(5)).unwrap(),
        capabilities: Capabilities::new(),
        obligations: Obligations {
            input: InputRecording::Counted,
        },
    };
    let id = SessionId::new(now, [number; 10]);
    world.broker.session_opened(id, &terms).await.unwrap();
    let end = SessionEnd {
        at: now,
        cause: Cause::Complete,
        timeline: Timeline::default(),
        counters: Counters::default(),
        recording,
    };
    world.broker.session_closed(id, end).await.unwrap();
    id
}

#[tokio::test]
async fn a_recording_that_was_deleted_is_listed_as_missing_and_answered_as_gone() {
    let world = World::build().await;
    let root = "0f".repeat(32);
    let sealed = RecordingState::Sealed { root: root.clone() };
    let gone = session(&world, 1, sealed).await;
    let failed = session(&world, 2, RecordingState::Failed).await;
    let _never = session(&world, 3, RecordingState::Absent).await;
    let _lost = session(&world, 4, RecordingState::CutShort { root: None }).await;
    let login = world.certificate("alice").await;
    let get = async |path: &str| world.call(Some(&login), "GET", path, "").await;
    let (status, list) = get("/v1/recordings").await;
    assert_eq!(status, 200, "{list}");
    let list: Value = serde_json::from_str(&list).unwrap();
    let items = list["items"].as_array().unwrap();
    let listed = items.iter().map(|item| {
        assert_eq!(
            (&item["missing"], &item["bytes"]),
            (&true.into(), &0.into())
        );
        item["session"]["id"].as_str().unwrap()
    });
    let listed: Vec<&str> = listed.collect();
    assert_eq!(listed, [failed.to_string(), gone.to_string()]);
    let (status, said) = get(&format!("/v1/recordings/{gone}/file")).await;
    assert_eq!(status, 410, "{said}");
    assert!(said.contains("TG661") && said.contains(&root), "{said}");
    // That it could not be sealed says nothing about what there is.
    assert_eq!(get(&format!("/v1/recordings/{failed}/file")).await.0, 404);
}

#[tokio::test]
async fn a_piece_of_the_list_is_full_whatever_has_no_recording() {
    let world = World::build().await;
    let old = session(&world, 1, RecordingState::Failed).await;
    for number in 2..6 {
        session(&world, number, RecordingState::Absent).await;
    }
    let young = session(&world, 6, RecordingState::Failed).await;
    let login = world.certificate("alice").await;
    let listed = async |query: &str| {
        let path = format!("/v1/recordings?{query}");
        let (status, list) = world.call(Some(&login), "GET", &path, "").await;
        assert_eq!(status, 200, "{list}");
        let list: Value = serde_json::from_str(&list).unwrap();
        let items = list["items"].as_array().unwrap().iter();
        let ids = items.map(|item| item["session"]["id"].as_str().unwrap().to_owned());
        ids.collect::<Vec<String>>()
    };
    let [old, young] = [old, young].map(|id| id.to_string());
    assert_eq!(listed("limit=2").await, [young.clone(), old.clone()]);
    assert_eq!(listed("limit=1").await, std::slice::from_ref(&young));
    assert_eq!(listed(&format!("limit=1&before={young}")).await, [old]);
}

#[tokio::test]
async fn sessions_and_recordings_are_listed_by_another_name_of_their_target() {
    let world = World::build().await;
    let root = world.certificate("root").await;
    let session = session(&world, 1, RecordingState::Failed).await.to_string();
    let alias = "/v1/targets/web1/aliases/w";
    let (status, body) = world.call(Some(&root), "PUT", alias, "{}").await;
    assert_eq!(status, 200, "{body}");
    for kind in ["sessions", "recordings"] {
        for (name, is_listed) in [("web1", true), ("w", true), ("web2", false)] {
            let path = format!("/v1/{kind}?target={name}");
            let (status, body) = world.call(Some(&root), "GET", &path, "").await;
            assert_eq!(status, 200, "{body}");
            assert_eq!(body.contains(&session), is_listed, "{path}: {body}");
        }
    }
}
