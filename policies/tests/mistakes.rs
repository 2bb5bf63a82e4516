//! Mistakes in policy files: each is shown where it is, with advice, and all of them at once.

mod world;

use std::collections::BTreeSet;

use jiff::tz::TimeZone;
use policies::{Diagnosis, Document, GroupName, PolicySet, Severity};

/// Loads `text` as `mistakes.cedar` beside the shipped quorums and gives everything that is said.
fn said(text: &str) -> String {
    let document = Document::new("mistakes.cedar", text);
    let quorums = policies::library().quorums;
    match PolicySet::load(&[document], Some(&quorums), TimeZone::UTC) {
        Ok(policies) => lines(policies.warnings()),
        Err(found) => {
            assert!(found.iter().any(|found| found.severity == Severity::Error));
            lines(&found)
        }
    }
}

fn lines(found: &[Diagnosis]) -> String {
    let said: Vec<String> = found.iter().map(ToString::to_string).collect();
    said.join("\n")
}

#[test]
fn every_mistake_is_said_at_once() {
    insta::assert_snapshot!(said(include_str!("mistakes.cedar")));
}

#[test]
fn every_mistake_of_syntax_is_said_at_once() {
    insta::assert_snapshot!(said(
        r#"@id("one")
permit (principal, action, resource) when { context.session. };

@id("two")
permit (principal action, resource);
"#
    ));
}

#[test]
fn a_broken_file_does_not_hide_the_mistakes_in_another() {
    let documents = [
        Document::new("a.cedar", "permit (principal"),
        Document::new(
            "b.cedar",
            r#"permit (principal, action in Jit::Action::"use", resource);"#,
        ),
    ];
    let found = PolicySet::load(&documents, None, TimeZone::UTC).unwrap_err();
    let files: Vec<&str> = found.iter().map(|found| found.document.as_str()).collect();
    assert_eq!(files, ["a.cedar", "b.cedar"]);
}

#[test]
fn a_permit_without_conditions_is_fine() {
    assert_eq!(
        said(r#"@id("open") permit (principal, action in Jit::Action::"use", resource);"#),
        ""
    );
}

#[test]
fn every_mistake_in_quorums_is_said() {
    let quorums = Document::new(
        "quorums.toml",
        r#"[quorum.nobody]
group = "sre"
count = 0

[quorum.both]
all = [{ group = "sre" }]
any = [{ group = "sre" }]

[quorum.empty]
all = []

[quorum.endless]
all = [{ group = "sre", count = 4000000000 }]
"#,
    );
    let found = PolicySet::load(&[], Some(&quorums), TimeZone::UTC).unwrap_err();
    insta::assert_snapshot!(lines(&found));
}

#[test]
fn an_unknown_key_in_quorums_is_a_mistake_with_a_suggestion() {
    let quorums = Document::new("quorums.toml", "[quorum.two]\ngroup = \"sre\"\ncuont = 2\n");
    let found = PolicySet::load(&[], Some(&quorums), TimeZone::UTC).unwrap_err();
    insta::assert_snapshot!(found.first().unwrap().to_string());
}

/// What is said about the groups of these quorums, beside the shipped rules.
#[expect(clippy::expect_used, reason = "what cannot be read fails the test")]
fn strange(quorums: &str, people: Option<&[&str]>) -> String {
    let quorums = Document::new("quorums.toml", quorums);
    let rules = policies::library().policies;
    let policies = PolicySet::load(&rules, Some(&quorums), TimeZone::UTC).expect("they load");
    let group = |name: &&str| GroupName::parse(name).expect("it is a name");
    let people = people.map(|people| people.iter().map(group).collect());
    lines(&policies.strange_groups(people.as_ref()))
}

#[test]
fn a_group_of_a_quorum_that_nothing_else_knows_is_odd() {
    let quorums = r#"[quorum.two]
any = [
  { group = "aprovers", count = 2 },
  { all = [{ group = "owners" }, { group = "security" }, { group = "sre" }] },
]
"#;
    // Without people, what looks like another group may be misspelt, and the rest is theirs.
    insta::assert_snapshot!("groups_here", strange(quorums, None));
    insta::assert_snapshot!("groups_there", strange(quorums, Some(&["secruity"])));
    assert_eq!(strange(quorums, Some(&["aprovers", "security"])), "");
}

#[test]
fn the_shipped_quorums_look_like_nothing_misspelt() {
    let quorums = policies::library().quorums;
    assert_eq!(strange(&quorums.text, None), "");
    // No shipped rule asks for them, so whoever is in no group of theirs is missed nowhere.
    assert_eq!(strange(&quorums.text, Some(&["sre"])), "");
}

#[test]
fn a_quorum_that_a_rule_asks_for_and_nobody_can_meet_is_told() {
    let quorums = policies::library().quorums;
    let rule = r#"@id("two")
forbid (principal, action == Jit::Action::"activate", resource)
unless { context.quorums.contains(Jit::Quorum::"restricted-data") };"#;
    let rule = Document::new("two.cedar", rule);
    let policies = PolicySet::load(&[rule], Some(&quorums), TimeZone::UTC).unwrap();
    let people = std::iter::once(GroupName::parse("sre").unwrap()).collect();
    let said = lines(&policies.strange_groups(Some(&people)));
    assert!(
        said.contains("`security`") && !said.contains("`release-managers`"),
        "{said}"
    );
}

#[test]
fn the_digest_names_the_texts() {
    let load = |name: &str, text: &str| {
        let document = Document::new(name, text);
        PolicySet::load(&[document], None, TimeZone::UTC)
            .unwrap()
            .digest()
            .to_owned()
    };
    let rule = r#"@id("open") permit (principal, action, resource);"#;
    assert_eq!(load("a.cedar", rule), load("a.cedar", rule));
    assert_ne!(load("a.cedar", rule), load("b.cedar", rule));
    assert_ne!(load("a.cedar", rule), load("a.cedar", &format!("{rule} ")));
    assert_eq!(load("a.cedar", rule).len(), 64);
}

#[test]
fn a_permit_for_everything_is_told_that_it_opens_every_database() {
    let warned = said(
        r#"@id("open")
permit (
    principal in Jit::Group::"sre",
    action,
    resource
);"#,
    );
    insta::assert_snapshot!(warned);
    let rule = |scope: &str| said(&format!("@id(\"one\") {scope};"));
    for opens in [
        "permit (principal, action, resource is Jit::PgDatabase)",
        "permit (principal, action, resource == Jit::PgDatabase::\"orders\")",
        "permit (principal, action, resource in Jit::PgDatabase::\"orders\")",
    ] {
        assert!(rule(opens).contains("otherDatabase"), "{opens}");
    }
    for other in [
        "permit (principal, action, resource is Jit::SshHost)",
        "permit (principal, action in Jit::Action::\"use\", resource)",
        "permit (principal, action == Jit::Action::\"otherDatabase\", resource)",
        "@reason(\"No.\") forbid (principal, action, resource)",
    ] {
        assert!(
            !rule(other).contains("otherDatabase"),
            "{other}: {}",
            rule(other)
        );
    }
}

#[test]
fn the_digest_tells_the_zone() {
    let library = policies::library();
    let digest = |zone: &str| {
        let zone = TimeZone::get(zone).unwrap();
        let loaded = PolicySet::load(&library.policies, Some(&library.quorums), zone);
        loaded.unwrap().digest().to_owned()
    };
    let zones = ["UTC", "Europe/Berlin", "Pacific/Kiritimati"].map(digest);
    assert_eq!(zones.iter().collect::<BTreeSet<_>>().len(), 3);
    assert_eq!(digest("UTC"), zones[0]);
}

/// Each denial carries it, on the wire and into the ledger.
#[test]
fn of_a_reason_without_end_so_much_is_shown_as_of_what_people_say() {
    let reason = |text: &str| {
        let rule = format!("@id(\"no\") @reason(\"{text}\") forbid (principal, action, resource);");
        let document = Document::new("long.cedar", &rule);
        let policies = PolicySet::load(&[document], None, TimeZone::UTC).unwrap();
        let (facts, request) = (world::facts(), world::request("alice", "web1", "deploy"));
        let (here, noon) = (world::here(), world::noon());
        let bob = world::name("bob");
        let asked = policies::may_approve(&policies, &facts, &bob, &request, here, noon);
        let Err(policies::Denial::NotAllowed { reason, .. }) = asked else {
            panic!("{asked:?}");
        };
        (reason, lines(policies.warnings()))
    };
    for (given, shown, told) in [
        (1000, 1000, false),
        (1001, 1001, true),
        (100_000, 1001, true),
    ] {
        let (said, warned) = reason(&"ü".repeat(given));
        assert_eq!(said.chars().count(), shown, "{given}");
        assert_eq!(said.ends_with('…'), told, "{given}");
        assert_eq!(warned.contains("more than 1000"), told, "{warned}");
    }
}

#[test]
fn what_a_terminal_would_obey_in_a_reason_is_told_and_reaches_nobody() {
    let text = r#"@id("a\u{1b}b") @reason("c\u{1b}]52;c;eA==\u{07}d\u{202e}e\u{61c}\r\n\tf")
        forbid (principal, action, resource);"#;
    let (facts, request) = (world::facts(), world::request("alice", "web1", "deploy"));
    let document = Document::new("odd.cedar", text);
    let policies = PolicySet::load(&[document], None, TimeZone::UTC).unwrap();
    assert!(
        lines(policies.warnings()).contains("odd.cedar:1"),
        "{:?}",
        policies.warnings()
    );
    let asked = policies::may_approve(
        &policies,
        &facts,
        &world::name("bob"),
        &request,
        world::here(),
        world::noon(),
    );
    let Err(policies::Denial::NotAllowed { policy, reason }) = asked else {
        panic!("{asked:?}");
    };
    assert_eq!(
        (policy.as_str(), reason.as_str()),
        (
            "a\u{fffd}b",
            "c\u{fffd}]52;c;eA==\u{fffd}d\u{fffd}e\u{fffd}\n\tf"
        )
    );
}

#[test]
fn two_ids_that_are_one_once_they_are_shown_are_named_with_both_places() {
    let rules = ["a\\u{202d}b", "a\\u{202e}b"].map(|id| {
        format!("@id(\"{id}\") @reason(\"No.\")\nforbid (principal, action, resource);\n")
    });
    let said = said(&rules.concat());
    let taken = "mistakes.cedar:3:1: the @id `a\u{fffd}b` is taken";
    assert!(said.contains(taken), "{said}");
    assert!(said.contains("by mistakes.cedar:1"), "{said}");
    assert!(said.contains("3 | @id(") && said.contains('^'), "{said}");
}
