//! The API over a pipe: every endpoint as a stranger, as somebody with no rights, as an admin.

mod checks;
mod killing;
mod load;
mod login;
mod offices;
mod recordings;
mod world;

use std::time::Duration;

use policies::{LockId, LockScope};

use self::world::{World, caller};
use crate::api::strangers::PER_MINUTE_MAX;
use crate::api::wire::{Ended, GrantView, List, PrincipalView, TargetView};

#[tokio::test]
async fn a_connection_is_good_for_a_few_logins() {
    let world = World::build().await;
    let key = serde_json::json!({"public_key": world.alice_key}).to_string();
    let answers = world.answers("/v1/login/challenge", &key, 50).await;
    assert_eq!(answers, 8);
    // What costs nothing is not counted.
    assert_eq!(world.answers("/nothing", "{}", 50).await, 50);
}

#[tokio::test]
async fn trust_and_health_are_for_everyone() {
    let world = World::build().await;
    for path in ["/healthz", "/v1/trust"] {
        assert_eq!(world.call(None, "GET", path, "").await.0, 200, "{path}");
    }
}

#[tokio::test]
async fn what_one_may_not_see_is_not_there() {
    let world = World::build().await;
    let request = world.asked_by_alice().await;
    let mallory = world.certificate("mallory").await;
    let reason = r#"{"reason":"x"}"#;
    let note = r#"{"note":"x"}"#;
    let cases = [
        ("GET", format!("/v1/requests/{request}"), ""),
        ("POST", format!("/v1/requests/{request}/approve"), "{}"),
        ("POST", format!("/v1/requests/{request}/deny"), note),
        ("POST", format!("/v1/requests/{request}/withdraw"), "{}"),
        ("GET", "/v1/targets/web1".to_owned(), ""),
        ("GET", "/v1/targets/nothing".to_owned(), ""),
        ("GET", "/v1/grants/grt_01j9x3".to_owned(), ""),
        ("POST", "/v1/grants/grt_01j9x3/revoke".to_owned(), reason),
        ("POST", "/v1/grants/grt_01j9x3/passwords".to_owned(), "{}"),
        ("GET", "/v1/sessions/last".to_owned(), ""),
        ("GET", "/v1/recordings/last/file".to_owned(), ""),
        (
            "GET",
            "/v1/recordings/..%2f..%2fetc%2fpasswd/file".to_owned(),
            "",
        ),
    ];
    for (at, (method, path, body)) in cases.into_iter().enumerate() {
        let (status, body) = world.call(Some(&mallory), method, &path, body).await;
        assert!(
            status == 404 || status == 422,
            "{method} {path}: {status} {body}"
        );
        assert!(!body.contains("alice"), "{method} {path}: {body}");
        // Whoever looks for what is not theirs is in the ledger, each time.
        let refused = world.refused("mallory").await;
        assert_eq!(refused.len(), at + 1, "{method} {path}: {refused:?}");
    }
}

#[tokio::test]
async fn a_target_is_described_in_text_that_shells_and_terminals_read_as_it_is() {
    let world = World::build().await;
    let root = world.certificate("root").await;
    let authority = world.authority();
    let good = serde_json::json!({
        "name": "orders",
        "endpoint": {
            "protocol": "postgres", "addr": "192.0.2.9:5432", "dbname": "Sales 2026",
            "server": {"by": "authority", "pem": authority, "host": "db.example"},
        },
        "logins": ["app_ro"],
        "labels": [{"key": "env", "value": "dev"}],
    });
    let changed = |place: &str, text: &str| {
        let mut order = good.clone();
        *order.pointer_mut(place).unwrap() = text.into();
        order.to_string()
    };
    let odd = [
        (
            "/endpoint/dbname",
            "orders app_ro 0.0.0.0/0 trust\nhostssl orders",
        ),
        ("/endpoint/dbname", "a\u{202e}b"),
        ("/endpoint/dbname", ""),
        ("/endpoint/server/pem", "\u{1b}]52;c;eA==\u{7}"),
        ("/endpoint/server/pem", "-----BEGIN\n-----END\n"),
        (
            "/endpoint/server/pem",
            "-----BEGIN PRIVATE KEY-----\nAAAA\n-----END PRIVATE KEY-----\n",
        ),
        ("/endpoint/server/host", "db\nexample"),
        ("/labels/0/key", "Env x"),
        ("/labels/0/value", "\u{1b}[2J"),
    ];
    for (place, text) in odd {
        let order = changed(place, text);
        let (status, body) = world.call(Some(&root), "POST", "/v1/targets", &order).await;
        assert_eq!(status, 422, "{place} {text:?}: {body}");
    }
    let key = serde_json::json!({
        "name": "web2",
        "endpoint": {
            "protocol": "ssh", "addr": "192.0.2.8:22",
            "host_key": {"by": "keys", "keys": ["ssh-ed25519 AAAA\u{1b}[2J"]},
        },
        "logins": ["deploy"],
    });
    let (status, body) = world
        .call(Some(&root), "POST", "/v1/targets", &key.to_string())
        .await;
    assert_eq!(status, 422, "{body}");
    let (status, body) = world
        .call(Some(&root), "POST", "/v1/targets", &good.to_string())
        .await;
    assert_eq!(status, 200, "{body}");
}

#[tokio::test]
async fn nobody_can_be_known_by_a_key_that_no_host_can_prove() {
    let world = World::build().await;
    let root = world.certificate("root").await;
    let key = serde_json::json!({
        "name": "web2",
        "endpoint": {"protocol": "ssh", "addr": "192.0.2.8:22", "host_key": null},
        "logins": ["deploy"],
    });
    let in_token = "sk-ssh-ed25519@openssh.com AAAAGnNrLXNzaC1lZDI1NTE5QG9wZW5zc2guY29tAAAAINdamAGCsQq31Uv+08lkBzoO4XLz2qYjJa8CGmj3B1EaAAAABHNzaDo=";
    for by in [
        serde_json::json!({"by": "keys", "keys": [in_token]}),
        serde_json::json!({"by": "authority", "key": in_token}),
    ] {
        let mut order = key.clone();
        *order.pointer_mut("/endpoint/host_key").unwrap() = by;
        let order = order.to_string();
        let (status, body) = world.call(Some(&root), "POST", "/v1/targets", &order).await;
        assert!(status == 422 && body.contains("TG581"), "{status} {body}");
    }
}

#[tokio::test]
async fn what_a_body_has_to_look_like_is_told_to_those_who_may_send_it() {
    let world = World::build().await;
    let request = world.asked_by_alice().await;
    let cases = [
        ("POST", "/v1/targets".to_owned()),
        ("POST", "/v1/targets/probe".to_owned()),
        ("POST", "/v1/principals".to_owned()),
        ("POST", "/v1/principals/alice/lock".to_owned()),
        ("POST", "/v1/principals/alice/keys".to_owned()),
        ("PUT", "/v1/policies".to_owned()),
        ("POST", format!("/v1/requests/{request}/approve")),
        ("POST", format!("/v1/requests/{request}/deny")),
    ];
    for (method, path) in cases {
        for (who, want) in [("mallory", [403, 404]), ("root", [422, 422])] {
            let certificate = world.certificate(who).await;
            let (status, answer) = world.call(Some(&certificate), method, &path, "[]").await;
            assert!(want.contains(&status), "{who} {path}: {status} {answer}");
        }
    }
}

#[tokio::test]
async fn the_zone_of_the_policies_stays_where_none_is_given() {
    let world = World::build().await;
    let root = world.certificate("root").await;
    let call = async |method: &str, path: &str, body: &serde_json::Value| {
        let (status, answer) = world
            .call(Some(&root), method, path, &body.to_string())
            .await;
        let parsed: serde_json::Value = serde_json::from_str(&answer).unwrap();
        (status, parsed)
    };
    let (_status, mut texts) = call("GET", "/v1/policies", &serde_json::json!({})).await;
    let mut digests = vec![texts["digest"].clone()];
    texts["zone"] = "Europe/Berlin".into();
    for _given_then_not in 0..2 {
        let (status, applied) = call("PUT", "/v1/policies", &texts).await;
        assert_eq!((status, &applied["zone"]), (200, &"Europe/Berlin".into()));
        digests.push(applied["digest"].clone());
        texts.as_object_mut().unwrap().remove("zone");
    }
    assert!(
        digests[0] != digests[1] && digests[1] == digests[2],
        "{digests:?}"
    );
    let old = digests[0].as_str().unwrap();
    let path = format!("/v1/policies?replaces={old}");
    assert_eq!(call("PUT", &path, &texts).await.0, 409);
    let (_status, shown) = call("GET", "/v1/policies", &serde_json::json!({})).await;
    assert_eq!(shown["zone"], "Europe/Berlin");
}

#[tokio::test]
async fn a_key_is_removed_by_who_manages_people_and_takes_its_login_along() {
    let world = World::build().await;
    let (root, alice) = (
        world.certificate("root").await,
        world.certificate("alice").await,
    );
    let (status, body) = world
        .call(Some(&root), "GET", "/v1/principals/alice", "")
        .await;
    assert_eq!(status, 200, "{body}");
    let view: PrincipalView = serde_json::from_str(&body).unwrap();
    let fingerprint = view.keys[0].replace('/', "%2F").replace('+', "%2B");
    let path = format!("/v1/principals/alice/keys/{fingerprint}");
    let (status, _body) = world.call(Some(&alice), "DELETE", &path, "").await;
    assert_eq!(status, 403);
    assert_eq!(
        world.call(Some(&alice), "GET", "/v1/whoami", "").await.0,
        200
    );
    let (status, body) = world.call(Some(&root), "DELETE", &path, "").await;
    assert_eq!(status, 200, "{body}");
    assert_eq!(
        world.call(Some(&alice), "GET", "/v1/whoami", "").await.0,
        401
    );
    assert_eq!(world.call(Some(&root), "DELETE", &path, "").await.0, 404);
}

#[tokio::test]
async fn an_unknown_key_and_a_wrong_signature_get_the_same_answer() {
    let world = World::build().await;
    let unknown = world
        .login_with(
            "ssh-ed25519 AAAAC3NzaC1lZDI1NTE5AAAAIFHKbbMGIbwkU8Qn6bBcvFiDaVMmCEkL4zpDXu4Oexg2",
        )
        .await;
    let wrong = world.login_with(&world.alice_key).await;
    assert_eq!(unknown, wrong);
    assert_eq!(unknown.0, 401);
}

#[tokio::test]
async fn who_was_given_no_challenge_gets_the_same_answer_and_is_not_written_down() {
    let world = World::build().await;
    let answered = world.login_with(&world.alice_key).await;
    assert_eq!(world.failed_logins().await.len(), 1);
    for _each in 0..3 {
        let order = World::login_order(&world.alice_key, "tidegate login 00");
        let unasked = world.call(None, "POST", "/v1/login", &order).await;
        assert_eq!(unasked, answered);
    }
    assert_eq!(world.failed_logins().await.len(), 1);
}

#[tokio::test]
async fn a_stranger_does_not_fill_the_ledger() {
    let world = World::build().await;
    for _each in 0..PER_MINUTE_MAX + 5 {
        assert_eq!(world.login_with(&world.alice_key).await.0, 401);
    }
    let written = world.failed_logins().await;
    assert_eq!(written.len(), usize::try_from(PER_MINUTE_MAX).unwrap());
}

#[tokio::test]
async fn only_json_is_read_and_only_so_much_of_it() {
    let world = World::build().await;
    let (status, _body) = world
        .call(None, "POST", "/v1/login/challenge", "not json")
        .await;
    assert_eq!(status, 422);
    let long = format!(r#"{{"public_key":"{}"}}"#, "x".repeat(1024 * 1024));
    let (status, _body) = world.call(None, "POST", "/v1/login/challenge", &long).await;
    assert_eq!(status, 422);
}

#[tokio::test]
async fn a_stranger_sends_no_more_than_a_login_needs() {
    let world = World::build().await;
    let challenge = |key: usize, padding: usize| {
        let key = "x".repeat(key);
        format!(r#"{{"public_key":"{key}"}}{}"#, " ".repeat(padding))
    };
    let login = |csr: usize| {
        let csr = "x".repeat(csr);
        format!(
            r#"{{"public_key":"","challenge":"","signature":"","ssh_public_key":"","csr":"{csr}"}}"#
        )
    };
    let cases = [
        ("/v1/login/challenge", challenge(8 * 1024, 0), 200),
        ("/v1/login/challenge", challenge(8 * 1024 + 1, 0), 422),
        ("/v1/login/challenge", challenge(1, 31 * 1024), 200),
        ("/v1/login/challenge", challenge(1, 32 * 1024), 422),
        ("/v1/login", login(31 * 1024), 401),
        ("/v1/login", login(32 * 1024), 422),
    ];
    for (path, body, want) in cases {
        let (status, answer) = world.call(None, "POST", path, &body).await;
        assert_eq!(status, want, "{path} {}: {answer}", body.len());
    }
}

#[tokio::test]
async fn a_stranger_has_seconds_to_send_a_login() {
    let world = World::build().await;
    tokio::time::pause();
    for path in ["/v1/login/challenge", "/v1/login"] {
        let answered = tokio::time::timeout(Duration::from_secs(6), world.dawdle(path)).await;
        assert_eq!(answered.unwrap(), 503, "{path}");
    }
}

#[tokio::test]
async fn that_a_grant_is_locked_is_told_to_who_may_see_locks() {
    let world = World::build().await;
    let request = world.asked_by_alice().await;
    let (root, alice) = (
        world.certificate("root").await,
        world.certificate("alice").await,
    );
    let path = format!("/v1/requests/{request}/approve");
    let (status, body) = world.call(Some(&root), "POST", &path, "{}").await;
    assert_eq!(status, 200, "{body}");
    let lock = locked_web1(&world, &root).await;
    for (who, told) in [(&root, Some(lock)), (&alice, None)] {
        let (status, body) = world.call(Some(who), "GET", "/v1/grants", "").await;
        assert_eq!(status, 200, "{body}");
        let list: List<GrantView> = serde_json::from_str(&body).unwrap();
        let path = format!("/v1/grants/{}", list.items[0].id);
        let (status, body) = world.call(Some(who), "GET", &path, "").await;
        assert_eq!(status, 200, "{body}");
        let shown: GrantView = serde_json::from_str(&body).unwrap();
        assert_eq!([list.items[0].lock, shown.lock], [told; 2]);
    }
}

/// Root locks `web1`, by another name that it has.
async fn locked_web1(world: &World, root: &[u8]) -> LockId {
    let alias = "/v1/targets/web1/aliases/w";
    let (status, body) = world.call(Some(root), "PUT", alias, "{}").await;
    assert_eq!(status, 200, "{body}");
    let why = r#"{"reason":"broken into"}"#;
    let (status, body) = world
        .call(Some(root), "POST", "/v1/targets/w/lock", why)
        .await;
    assert_eq!(status, 200, "{body}");
    let ended: Ended = serde_json::from_str(&body).unwrap();
    assert_eq!(ended.subject, "web1");
    let locks = world.broker.locks(&caller("root")).unwrap();
    assert_eq!(locks[0].scope, LockScope::Target("web1".parse().unwrap()));
    locks[0].id
}

#[tokio::test]
async fn that_a_target_is_locked_is_told_to_who_may_see_locks() {
    let world = World::build().await;
    let request = world.asked_by_alice().await;
    let (root, alice) = (
        world.certificate("root").await,
        world.certificate("alice").await,
    );
    let path = format!("/v1/requests/{request}/approve");
    let (status, body) = world.call(Some(&root), "POST", &path, "{}").await;
    assert_eq!(status, 200, "{body}");
    let lock = locked_web1(&world, &root).await;
    let views = async |who: &Vec<u8>| {
        let (status, body) = world.call(Some(who), "GET", "/v1/targets", "").await;
        assert_eq!(status, 200, "{body}");
        let list: List<TargetView> = serde_json::from_str(&body).unwrap();
        let listed = list
            .items
            .into_iter()
            .find(|view| view.name.as_str() == "web1");
        let (status, body) = world.call(Some(who), "GET", "/v1/targets/w", "").await;
        assert_eq!(status, 200, "{body}");
        [listed.unwrap(), serde_json::from_str(&body).unwrap()]
    };
    for view in views(&root).await {
        let told = view.locked.unwrap();
        assert_eq!((told.lock, told.target.as_str()), (lock, "web1"));
        assert_eq!(
            (told.by.as_str(), told.reason.as_str()),
            ("root", "broken into")
        );
    }
    // She holds a grant, so she sees that it is there, and nothing else.
    for view in views(&alice).await {
        assert_eq!(view.locked, None);
    }
    let (status, body) = world.call(Some(&root), "GET", "/v1/checks", "").await;
    assert_eq!(status, 200, "{body}");
    assert!(body.contains("locked by root"), "{body}");
    let unlock = "/v1/targets/w/unlock";
    let (status, body) = world.call(Some(&root), "POST", unlock, "").await;
    let view: TargetView = serde_json::from_str(&body).unwrap();
    assert_eq!((status, view.locked), (200, None));
    let (status, _body) = world
        .call(Some(&root), "POST", "/v1/targets/x/unlock", "")
        .await;
    assert_eq!(status, 404);
}

#[tokio::test]
async fn one_does_not_approve_ones_own_request() {
    let world = World::build().await;
    let request = world.asked_by_alice().await;
    let alice = world.certificate("alice").await;
    let path = format!("/v1/requests/{request}/approve");
    let (status, body) = world.call(Some(&alice), "POST", &path, "{}").await;
    assert_eq!(status, 403, "{body}");
    assert!(body.contains("four-eyes"), "{body}");
}
