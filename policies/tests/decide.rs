//! Deciding, edge by edge: who hears what, and what a permit carries.

#![expect(
    clippy::expect_used,
    reason = "a world that cannot be built fails the test"
)]

mod world;

use jiff::tz::TimeZone;
use policies::{
    Capability, Deed, Denial, Document, Endpoint, Entry, Facts, InputRecording, Jump, LockScope,
    Part, Permit, PolicySet, Protocol, Target, Terms, Wayless, decide, library, may,
};
use world::*;

fn decided(policies: &PolicySet, facts: &Facts) -> Result<Permit, Denial> {
    decide(
        policies,
        facts,
        &ask("alice", "web1", "deploy", Protocol::Ssh),
        noon(),
    )
}

fn terms(policies: &PolicySet, facts: &Facts) -> Terms {
    decided(policies, facts).expect("a permit").spend()
}

fn exec(command: &str) -> Deed {
    Deed::Exec {
        command: command.to_owned(),
    }
}

#[test]
fn whoever_has_asked_hears_that_it_waits() {
    let facts = facts().with_request(request("alice", "web1", "deploy"));
    let want = Denial::Pending {
        target: target_name("web1"),
        login: login("deploy"),
        request: request_id(1),
    };
    assert_eq!(decided(&shipped(), &facts).unwrap_err(), want);
}

#[test]
fn nobody_hears_of_somebody_elses_request() {
    let facts = facts().with_request(request("erin", "web1", "deploy"));
    assert!(matches!(
        decided(&shipped(), &facts),
        Err(Denial::NoGrant { .. })
    ));
}

#[test]
fn whoever_asked_for_a_locked_target_hears_what_a_stranger_hears() {
    let facts = facts()
        .with_request(request("alice", "web1", "deploy"))
        .with_lock(LockScope::Target(target_name("web1")));
    assert!(matches!(
        decided(&shipped(), &facts),
        Err(Denial::NoGrant { .. })
    ));
}

#[test]
fn whoever_holds_a_later_grant_hears_when_it_starts() {
    let mut later = grant(1, "alice", "web1", "deploy");
    (later.starts_at, later.expires_at) = (after(10), after(20));
    let denial = decided(&shipped(), &facts().with_grant(later)).unwrap_err();
    assert!(matches!(denial, Denial::NotYet { starts_at, .. } if starts_at == after(10)));
}

#[test]
fn the_grant_that_lasts_longest_is_used() {
    let mut longer = grant(2, "alice", "web1", "deploy");
    longer.expires_at = after(120);
    let facts = granted()
        .with_grant(longer)
        .with_grant(grant(3, "alice", "web1", "root"));
    let terms = terms(&shipped(), &facts);
    assert_eq!((terms.grant, terms.until), (grant_id(2), after(120)));
}

#[test]
fn a_forbid_is_heard_with_its_reason_by_who_holds_a_grant_only() {
    let policies = shipped_and(
        r#"@id("freeze") @reason("The release is frozen.")
        forbid (principal, action == Jit::Action::"connect", resource is Jit::SshHost);"#,
    );
    let want = Denial::Forbidden {
        policy: "freeze".to_owned(),
        reason: "The release is frozen.".to_owned(),
    };
    assert_eq!(decided(&policies, &granted()).unwrap_err(), want);
    assert!(matches!(
        decided(&policies, &facts()),
        Err(Denial::NoGrant { .. })
    ));
}

#[test]
fn a_forbid_that_cannot_be_evaluated_is_a_no_and_not_skipped() {
    // Adding to the largest number overflows while the policy is evaluated.
    let policies = shipped_and(
        r#"@id("overflow") @reason("x")
        forbid (principal, action == Jit::Action::"connect", resource)
        when { context.session.hourLocal + 9223372036854775807 == 7 };"#,
    );
    let want = Denial::Unavailable {
        part: Part::Policies,
    };
    assert_eq!(decided(&policies, &granted()).unwrap_err(), want);
}

#[test]
fn a_permit_that_cannot_be_evaluated_is_a_no_even_beside_one_that_can() {
    let policies = shipped_and(
        r#"@id("overflow")
        permit (principal, action == Jit::Action::"connect", resource)
        when { context.session.hourLocal + 9223372036854775807 == 7 };"#,
    );
    assert!(matches!(
        decided(&policies, &granted()),
        Err(Denial::Unavailable { .. })
    ));
}

#[test]
fn an_action_group_in_a_forbid_reaches_every_use() {
    let policies = shipped_and(
        r#"@id("no-ssh") @reason("x") forbid (principal, action in Jit::Action::"ssh", resource);"#,
    );
    assert_eq!(terms(&policies, &granted()).capabilities, [].into());
}

#[test]
fn office_hours_are_those_of_the_organisation() {
    let office = |zone: &str| {
        let text = r#"@id("office") @reason("x")
            forbid (principal, action == Jit::Action::"connect", resource)
            unless { context.session.weekday <= 5 && context.session.hourLocal < 15 };"#;
        let mut documents = library().policies;
        documents.push(Document::new("office.cedar", text));
        PolicySet::load(&documents, None, TimeZone::get(zone).expect("a zone")).expect("good")
    };
    // 14:30 in UTC is 15:30 in Berlin, and Monday in both.
    assert!(decided(&office("UTC"), &granted()).is_ok());
    assert!(decided(&office("Europe/Berlin"), &granted()).is_err());
}

#[test]
fn commands_are_judged_one_by_one_although_exec_is_foreseen() {
    let policies = shipped_and(
        r#"@id("no-reboot") @reason("Ask the platform team to reboot.")
        forbid (principal, action == Jit::Action::"exec", resource)
        when { context.command like "*reboot*" };"#,
    );
    let terms = terms(&policies, &granted());
    assert!(terms.capabilities.contains(&Capability::Exec));
    let may = |command: &str| may(&policies, &granted(), &terms, &exec(command), noon());
    assert_eq!(may("uptime"), Ok(()));
    assert!(matches!(may("sudo reboot"), Err(Denial::Forbidden { .. })));
}

#[test]
fn a_forbid_of_all_but_some_commands_leaves_exec_foreseen() {
    let policies = shipped_and(
        r#"@id("only-uptime") @reason("x")
        forbid (principal, action == Jit::Action::"exec", resource)
        unless { context.command == "uptime" };"#,
    );
    let terms = terms(&policies, &granted());
    assert!(terms.capabilities.contains(&Capability::Exec));
    let may = |command: &str| may(&policies, &granted(), &terms, &exec(command), noon());
    assert_eq!(may("uptime"), Ok(()));
    assert!(may("id").is_err());
}

#[test]
fn a_permit_of_some_ports_makes_forwarding_foreseen_for_those_in_its_scope() {
    let policies = shipped_and(
        r#"@id("loopback")
        permit (principal in Jit::Group::"sre", action == Jit::Action::"forwardPort", resource)
        when { ["localhost", "127.0.0.1"].contains(context.host) && context.port >= 1024 };"#,
    );
    let facts = granted().with_grant(grant(2, "dan", "web1", "deploy"));
    let terms = terms(&policies, &facts);
    assert!(terms.capabilities.contains(&Capability::ForwardPort));
    let forward = |host: &str, port| {
        let deed = Deed::ForwardPort {
            host: host.to_owned(),
            port,
        };
        may(&policies, &facts, &terms, &deed, noon())
    };
    assert_eq!(forward("localhost", 8080), Ok(()));
    assert!(forward("localhost", 80).is_err());
    assert!(forward("db.internal", 8080).is_err());
    let dan = ask("dan", "web1", "deploy", Protocol::Ssh);
    let dan = decide(&policies, &facts, &dan, noon())
        .expect("a permit")
        .spend();
    assert!(!dan.capabilities.contains(&Capability::ForwardPort));
}

#[test]
fn more_generous_policies_do_not_widen_a_session() {
    let terms = terms(&shipped(), &granted());
    let policies = shipped_and(
        r#"@id("agent") permit (principal, action == Jit::Action::"forwardAgent", resource);"#,
    );
    assert!(may(&policies, &granted(), &terms, &Deed::ForwardAgent, noon()).is_err());
}

#[test]
fn sftp_takes_reading_and_writing_and_other_subsystems_are_commands() {
    let policies = shipped_and(
        r#"@id("no-uploads") @reason("x")
        forbid (principal, action == Jit::Action::"sftpWrite", resource);
        @id("no-netconf") @reason("x")
        forbid (principal, action == Jit::Action::"exec", resource)
        when { context.command == "netconf" };"#,
    );
    let terms = terms(&policies, &granted());
    let may = |name: &str| {
        let deed = Deed::Subsystem {
            name: name.to_owned(),
        };
        may(&policies, &granted(), &terms, &deed, noon())
    };
    assert!(may("sftp").is_err());
    assert!(may("netconf").is_err());
    assert_eq!(may("echo"), Ok(()));
}

#[test]
fn input_is_counted_unless_a_policy_keeps_it() {
    assert_eq!(
        terms(&shipped(), &granted()).obligations.input,
        InputRecording::Counted
    );
    let policies = shipped_and(
        r#"@id("keep") permit (principal, action == Jit::Action::"keepInput", resource);"#,
    );
    assert_eq!(
        terms(&policies, &granted()).obligations.input,
        InputRecording::Kept
    );
}

#[test]
fn a_session_ends_when_its_target_is_no_longer_what_it_was() {
    let policies = shipped();
    let terms = terms(&policies, &granted());
    let connect = |facts: &Facts| may(&policies, facts, &terms, &Deed::Connect, noon());
    assert_eq!(connect(&granted()), Ok(()));
    // A new label is not another machine.
    assert_eq!(
        connect(&granted().with_target(ssh("web1", &[("team", "web")], None))),
        Ok(())
    );
    // Nor is another address: the session is where it began.
    let mut moved = ssh("web1", &[], None);
    if let Endpoint::Ssh(endpoint) = &mut moved.endpoint {
        endpoint.addr = "elsewhere.example:22".parse().expect("an address");
    }
    assert_eq!(connect(&granted().with_target(moved)), Ok(()));
    let mut other = ssh("web1", &[], None);
    if let Endpoint::Ssh(endpoint) = &mut other.endpoint {
        endpoint.entry = Entry::Key;
    }
    assert!(connect(&granted().with_target(other)).is_err());
    let mut narrowed = ssh("web1", &[], None);
    narrowed.logins.remove(&login("deploy"));
    assert!(connect(&granted().with_target(narrowed)).is_err());
}

#[test]
fn a_database_is_spoken_to_in_sql_and_nothing_else() {
    let facts = facts().with_grant(grant(1, "dan", "orders", "app_ro"));
    let ask = ask("dan", "orders", "app_ro", Protocol::Postgres);
    let terms = decide(&shipped(), &facts, &ask, noon())
        .expect("a permit")
        .spend();
    assert_eq!(terms.capabilities, [Capability::Sql].into());
    assert!(may(&shipped(), &facts, &terms, &Deed::Shell, noon()).is_err());
}

#[test]
fn the_wrong_protocol_is_as_good_as_no_target() {
    let facts = facts().with_grant(grant(1, "dan", "orders", "app_ro"));
    let ask = ask("dan", "orders", "app_ro", Protocol::Ssh);
    assert!(matches!(
        decide(&shipped(), &facts, &ask, noon()),
        Err(Denial::NoGrant { .. })
    ));
}

#[test]
fn a_connection_is_carried_to_the_host_and_port_that_a_policy_names_and_nowhere_else() {
    let policies = shipped_with_forwarding();
    let facts = granted();
    let terms = terms(&policies, &facts);
    assert!(terms.capabilities.contains(&Capability::ForwardPort));
    assert!(!terms.capabilities.contains(&Capability::ReversePort));
    let forward = |host: &str, port| {
        let host = host.to_owned();
        may(
            &policies,
            &facts,
            &terms,
            &Deed::ForwardPort { host, port },
            noon(),
        )
        .is_ok()
    };
    assert!(forward("localhost", 9100));
    assert!(!forward("localhost", 9101));
    assert!(!forward("127.0.0.1", 9100));
    assert!(
        !forward("cache.shop.internal", 6379),
        "web1 is not the shop's"
    );
}

#[test]
fn as_shipped_nothing_is_carried() {
    let (policies, facts) = (shipped(), granted());
    let terms = terms(&policies, &facts);
    let (host, port) = ("localhost".to_owned(), 9100);
    for deed in [
        Deed::ForwardPort {
            host: host.clone(),
            port,
        },
        Deed::ReversePort { host, port },
        Deed::ForwardAgent,
        Deed::ForwardX11,
    ] {
        assert!(
            may(&policies, &facts, &terms, &deed, noon()).is_err(),
            "{deed:?}"
        );
    }
}

fn behind(text: &str, before: &str) -> Target {
    let mut target = ssh(text, &[], None);
    if let Endpoint::Ssh(endpoint) = &mut target.endpoint {
        endpoint.jump = Some(Jump {
            target: target_name(before),
            login: login("deploy"),
        });
    }
    target
}

#[test]
fn a_target_behind_others_is_reached_through_them_in_order() {
    let facts = granted()
        .with_target(behind("web1", "inner"))
        .with_target(behind("inner", "edge"))
        .with_target(ssh("edge", &[], None));
    let terms = terms(&shipped(), &facts);
    let way: Vec<&str> = terms
        .via
        .iter()
        .map(|hop| hop.target.name.as_str())
        .collect();
    assert_eq!(way, ["edge", "inner"]);
    let connect = |facts: &Facts| may(&shipped(), facts, &terms, &Deed::Connect, noon());
    assert_eq!(connect(&facts), Ok(()));
    // Whatever changes on the way, the session ends.
    assert!(connect(&facts.clone().with_target(behind("edge", "web2"))).is_err());
    let mut narrowed = ssh("edge", &[], None);
    narrowed.logins.remove(&login("deploy"));
    assert!(connect(&facts.clone().with_target(narrowed)).is_err());
    let mut gone = facts;
    gone.targets.remove(&target_name("inner"));
    assert!(connect(&gone).is_err());
}

#[test]
fn no_way_goes_in_a_circle_or_through_more_than_three() {
    let circle = granted()
        .with_target(behind("web1", "edge"))
        .with_target(behind("edge", "web1"));
    let web1 = target_name("web1");
    assert_eq!(circle.route(&circle.targets[&web1]), Err(Wayless::Long));
    let chain = granted()
        .with_target(behind("web1", "a"))
        .with_target(behind("a", "b"))
        .with_target(behind("b", "c"))
        .with_target(ssh("c", &[], None));
    assert_eq!(
        chain.route(&chain.targets[&web1]).map(|way| way.len()),
        Ok(3)
    );
    let longer = chain
        .with_target(behind("c", "d"))
        .with_target(ssh("d", &[], None));
    assert_eq!(longer.route(&longer.targets[&web1]), Err(Wayless::Long));
    let nowhere = granted().with_target(behind("web1", "orders"));
    let gone = Wayless::Gone {
        name: target_name("orders"),
    };
    assert_eq!(
        nowhere.route(&nowhere.targets[&web1]),
        Err(gone),
        "a database carries nobody"
    );
    let ask = ask("alice", "web1", "deploy", Protocol::Ssh);
    let part = Part::Way;
    assert_eq!(
        decide(&shipped(), &nowhere, &ask, noon()).err(),
        Some(Denial::Unavailable { part })
    );
    // Only who holds a grant hears that it stands behind others.
    let mut stranger = nowhere;
    stranger.grants.clear();
    assert!(matches!(
        decide(&shipped(), &stranger, &ask, noon()),
        Err(Denial::NoGrant { .. })
    ));
}
