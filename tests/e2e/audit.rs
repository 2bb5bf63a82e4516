//! What an auditor reads of the ledger.

use tests::World;

#[test]
fn an_auditor_reads_who_changed_what() {
    let world = World::new();
    world.grant_ssh("10m");
    let listed = world
        .carol()
        .run(&["tidegate", "audit", "ls", "--limit", "1000"]);
    let listed = listed.expect("carol reads the ledger");
    let is_told = |by: &str, event: &str, what: &str| {
        listed.lines().any(|line| {
            let words: Vec<&str> = line.split_whitespace().collect();
            words.contains(&by) && words.contains(&event) && line.contains(what)
        })
    };
    assert!(is_told("alice", "request_filed", "target=web1"), "{listed}");
    assert!(is_told("bob", "request_approved", "req_"), "{listed}");
    // Policies stand in it whole, and fill no screen.
    let widest = listed.lines().map(|line| line.chars().count()).max();
    assert!(widest.is_some_and(|widest| widest < 400), "{listed}");
    let whole = ["tidegate", "-o", "wide", "audit", "ls", "--limit", "1000"];
    let whole = world.carol().run(&whole).expect("carol reads the ledger");
    assert!(whole.contains("\"target\":\"web1\""), "{whole}");
    let known = world.carol().json(&["audit", "ls"]).expect("JSON");
    let items = known["items"].as_array().expect("lines");
    let is_alices =
        |line: &&serde_json::Value| line["event"] == "logged_in" && line["principal"] == "alice";
    let login = items.iter().find(is_alices).expect("alice logged in");
    assert_eq!(login["source"], "127.0.0.1", "{login}");
    assert!(
        login["by_key"]
            .as_str()
            .is_some_and(|key| key.starts_with("SHA256:")),
        "{login}"
    );
    let grown = items.iter().filter(|line| line["event"] == "log_appended");
    for line in grown {
        assert!(line["sha256"].is_string(), "{line}");
        let changes = line["appended"]["changes"].as_array();
        assert!(changes.is_some_and(|changes| !changes.is_empty()), "{line}");
    }
}

#[test]
fn an_auditor_finds_who_did_what_to_a_target() {
    let world = World::new();
    world.grant_ssh("10m");
    let carol = world.carol();
    let find = |wanted: &str| {
        let line = format!("tidegate audit ls {wanted}");
        let words: Vec<&str> = line.split(' ').collect();
        carol.run(&words)
    };
    let filed = find("--event request_filed --user alice --target web1 --since 10m");
    let filed = filed.expect("carol reads the ledger");
    let lines: Vec<&str> = filed.lines().collect();
    assert_eq!(lines.len(), 2, "a heading and one line: {filed}");
    assert!(lines[1].contains("request_filed"), "{filed}");
    let none = find("--event request_filed --user bob").expect("carol reads the ledger");
    assert!(!none.contains("request_filed"), "{none}");
    let odd = find("--since yesterday").expect_err("no moment");
    assert!(odd.to_string().contains("is no moment"), "{odd}");
    assert!(find("--after 1 --user alice").is_err());
}
