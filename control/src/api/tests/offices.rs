//! Whose each place of the API is: one table, which the router itself is compared with.

use std::collections::BTreeSet;

use super::world::World;

/// Who is let in at a place.
#[derive(Clone, Copy, PartialEq, Eq)]
enum Whose {
    /// Strangers.
    Anybodys,
    /// Everybody's with a login; what it shows or changes is judged there.
    Everybodys,
    /// Theirs who hold an office.
    AnOffices,
}

use Whose::{AnOffices, Anybodys, Everybodys};

/// Every place: the method, the path as the router has it, what is sent there, and whose it is.
const PLACES: &[(&str, &str, &str, Whose)] = &[
    ("GET", "/healthz", "", Anybodys),
    ("GET", "/v1/trust", "", Anybodys),
    ("POST", "/v1/login/challenge", "{}", Anybodys),
    ("POST", "/v1/login", "{}", Anybodys),
    ("GET", "/v1/whoami", "", Everybodys),
    ("GET", "/v1/targets", "", Everybodys),
    ("GET", "/v1/targets/{name}", "", Everybodys),
    ("GET", "/v1/requests", "", Everybodys),
    ("POST", "/v1/requests", "{}", Everybodys),
    ("GET", "/v1/requests/{id}", "", Everybodys),
    ("POST", "/v1/requests/{id}/approve", "{}", Everybodys),
    ("POST", "/v1/requests/{id}/deny", "{}", Everybodys),
    ("POST", "/v1/requests/{id}/withdraw", "{}", Everybodys),
    ("GET", "/v1/grants", "", Everybodys),
    ("GET", "/v1/grants/{id}", "", Everybodys),
    ("POST", "/v1/grants/{id}/passwords", "{}", Everybodys),
    ("POST", "/v1/grants/{id}/revoke", "{}", Everybodys),
    ("GET", "/v1/sessions", "", Everybodys),
    ("GET", "/v1/sessions/{id}", "", Everybodys),
    ("POST", "/v1/sessions/{id}/kill", "{}", Everybodys),
    ("GET", "/v1/recordings", "", Everybodys),
    ("GET", "/v1/recordings/{id}/file", "", Everybodys),
    ("POST", "/v1/targets", "{}", AnOffices),
    (
        "POST",
        "/v1/targets/probe",
        r#"{"protocol":"ssh","addr":"192.0.2.1:22"}"#,
        AnOffices,
    ),
    ("POST", "/v1/targets/{name}/test", "", AnOffices),
    (
        "POST",
        "/v1/targets/{name}/lock",
        r#"{"reason":"x"}"#,
        AnOffices,
    ),
    ("POST", "/v1/targets/{name}/unlock", "", AnOffices),
    ("PUT", "/v1/targets/{name}", "{}", AnOffices),
    ("PUT", "/v1/targets/{name}/credential", "{}", AnOffices),
    ("PUT", "/v1/targets/{name}/aliases/{alias}", "", AnOffices),
    (
        "DELETE",
        "/v1/targets/{name}/aliases/{alias}",
        "",
        AnOffices,
    ),
    ("DELETE", "/v1/targets/{name}", "", AnOffices),
    ("GET", "/v1/principals", "", AnOffices),
    ("POST", "/v1/principals", "{}", AnOffices),
    ("GET", "/v1/principals/{name}", "", AnOffices),
    ("DELETE", "/v1/principals/{name}", "", AnOffices),
    (
        "POST",
        "/v1/principals/{name}/lock",
        r#"{"reason":"x"}"#,
        AnOffices,
    ),
    ("POST", "/v1/principals/{name}/unlock", "", AnOffices),
    (
        "POST",
        "/v1/principals/{name}/groups",
        r#"{"into":["admins"]}"#,
        AnOffices,
    ),
    ("POST", "/v1/principals/{name}/keys", "{}", AnOffices),
    (
        "DELETE",
        "/v1/principals/{name}/keys/{fingerprint}",
        "",
        AnOffices,
    ),
    ("GET", "/v1/policies", "", AnOffices),
    ("PUT", "/v1/policies", "{}", AnOffices),
    ("GET", "/v1/audit", "", AnOffices),
    ("GET", "/v1/audit/raw", "", AnOffices),
    ("GET", "/v1/checks", "", AnOffices),
];

/// The places that the router has, read from its own text.
fn routed() -> BTreeSet<(String, String)> {
    let text = include_str!("../../api.rs");
    let mut all = BTreeSet::new();
    for route in text.split(".route(").skip(1) {
        let (_before, rest) = route.split_once('"').expect("a path");
        let (path, rest) = rest.split_once('"').expect("its end");
        // Up to the end of this call: the next line that begins a layer, a merge or a function.
        let end = [".layer", ".route_layer", ".merge", ".fallback", "\n}"];
        let end = end.iter().filter_map(|end| rest.find(end)).min();
        let rest = rest.get(..end.unwrap_or(rest.len())).expect("text");
        for (method, call) in [
            ("GET", "get("),
            ("POST", "post("),
            ("PUT", "put("),
            ("DELETE", "delete("),
        ] {
            let called = rest.match_indices(call).any(|(at, _)| {
                let before = rest.get(..at).and_then(|before| before.chars().next_back());
                !before.is_some_and(|c| c.is_alphanumeric() || c == '_' || c == ':')
            });
            if called {
                all.insert((method.to_owned(), path.to_owned()));
            }
        }
    }
    all
}

#[test]
fn every_place_of_the_router_is_in_the_table() {
    let places = PLACES
        .iter()
        .map(|(method, path, ..)| ((*method).to_owned(), (*path).to_owned()));
    assert_eq!(routed(), places.collect());
}

/// The path with names of things that there are.
fn named(path: &str, request: &str) -> String {
    let name = if path.starts_with("/v1/targets") {
        "web1"
    } else {
        "root"
    };
    let id = match path.split('/').nth(2) {
        Some("requests") => request,
        Some("grants") => "grt_01j9x3",
        _session => "last",
    };
    path.replace("{name}", name)
        .replace("{id}", id)
        .replace("{alias}", "w")
        .replace("{fingerprint}", "SHA256:x")
}

#[tokio::test]
async fn without_a_certificate_every_place_but_the_door_wants_a_login() {
    let world = World::build().await;
    let request = world.asked_by_alice().await;
    for (method, path, body, whose) in PLACES {
        let (status, _body) = world.call(None, method, &named(path, &request), body).await;
        assert_eq!(
            status == 401,
            *whose != Anybodys,
            "{method} {path}: {status}"
        );
    }
}

#[tokio::test]
async fn offices_are_for_those_who_hold_them() {
    let world = World::build().await;
    let request = world.asked_by_alice().await;
    for who in ["mallory", "alice"] {
        let certificate = world.certificate(who).await;
        let offices = PLACES.iter().filter(|(.., whose)| *whose == AnOffices);
        for (at, (method, path, body, _whose)) in offices.enumerate() {
            let path = named(path, &request);
            let (status, body) = world.call(Some(&certificate), method, &path, body).await;
            assert!(
                status == 403 || status == 404,
                "{who} {method} {path}: {status} {body}"
            );
            let refused = world.refused(who).await;
            assert_eq!(refused.len(), at + 1, "{who} {method} {path}: {refused:?}");
        }
    }
}
