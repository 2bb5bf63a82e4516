//! Asking, approving and revoking: who may, and what nobody may.

#![expect(
    clippy::expect_used,
    reason = "a world that cannot be built fails the test"
)]

mod world;

use jiff::SignedDuration;
use jiff::tz::TimeZone;
use policies::{
    Activation, Denial, Document, Facts, LockScope, Office, PolicySet, PrincipalKind, Reason,
    Request, activates, library, may_approve, may_office, may_request, may_revoke, may_see,
};
use world::*;

fn asks(who: &str, target: &str, as_whom: &str, minutes_long: i64) -> Result<(), Denial> {
    let request = Request::file(filing(who, target, as_whom, minutes(minutes_long)), noon());
    may_request(
        &shipped(),
        &facts(),
        &request.expect("a request"),
        here(),
        noon(),
    )
}

fn approves(who: &str, request: &Request) -> Result<(), Denial> {
    may_approve(&shipped(), &facts(), &name(who), request, here(), noon())
}

#[test]
fn forbidden_and_unknown_targets_are_not_found_alike() {
    let not_found = |what: &str| {
        Err(Denial::NotFound {
            what: what.to_owned(),
        })
    };
    assert_eq!(asks("mallory", "web1", "deploy", 60), not_found("web1"));
    assert_eq!(asks("alice", "web7", "deploy", 60), not_found("web7"));
    assert_eq!(asks("alice", "web1", "postgres", 60), not_found("web1"));
    assert_eq!(asks("dan", "web1", "deploy", 60), not_found("web1"));
    assert_eq!(asks("nobody", "web1", "deploy", 60), not_found("web1"));
}

#[test]
fn whoever_asks_for_too_long_hears_how_long_is_possible() {
    assert_eq!(asks("alice", "web1", "deploy", 8 * 60), Ok(()));
    let want = Denial::TooLong {
        target: target_name("web1"),
        login: login("deploy"),
        longest: SignedDuration::from_hours(8),
    };
    assert_eq!(asks("alice", "web1", "deploy", 8 * 60 + 1), Err(want));
}

#[test]
fn more_than_a_day_is_told_where_that_is_possible() {
    let week = Document::new(
        "week.cedar",
        r#"@id("week") permit (principal, action == Jit::Action::"request", resource)
           when { context.ask.duration <= duration("7d") };"#,
    );
    let rules = PolicySet::load(&[week], None, TimeZone::UTC).unwrap();
    let mut request = request("alice", "web1", "deploy");
    request.duration = Request::DURATION_MAX;
    let asked = may_request(&rules, &facts(), &request, here(), noon());
    let longest = SignedDuration::from_hours(7 * 24);
    assert!(
        matches!(asked, Err(Denial::TooLong { longest: told, .. }) if told == longest),
        "{asked:?}"
    );
}

/// A rule about the reason or a short while does not hide its target from whom it lets ask; one about the login does.
#[test]
fn whoever_may_ask_in_another_way_hears_that_and_sees_the_target() {
    let ticket = Document::new(
        "ticket.cedar",
        r#"@id("ticket") permit (principal in Jit::Group::"sre", action == Jit::Action::"request", resource)
           when { context.ask.duration <= duration("10m") && context.ask.justification like "JIRA-*" }
           when { context.ask.account == "deploy" };
           @id("glass") permit (principal, action == Jit::Action::"request", resource)
           when { context.ask.breakGlass && context.ask.justification like "*" };
           @id("not-root") @reason("Without a word about root.")
           forbid (principal, action == Jit::Action::"request", resource)
           when { context.ask.justification like "*root*" };
           @id("others") @reason("Only sre.")
           forbid (principal, action == Jit::Action::"request", resource)
           unless { principal in Jit::Group::"sre" && context.ask.justification != "" };
           @id("dans") permit (principal == Jit::User::"dan", action == Jit::Action::"request", resource);"#,
    );
    let rules = PolicySet::load(&[ticket], None, TimeZone::UTC).unwrap();
    let asks = |who: &str, as_whom: &str, reason: &str, long: i64| {
        let filing = filing(who, "web1", as_whom, minutes(long));
        let mut request = Request::file(filing, noon()).expect("a request");
        request.reason = Reason::parse(reason).expect("a reason");
        may_request(&rules, &facts(), &request, here(), noon())
    };
    assert_eq!(asks("alice", "deploy", "JIRA-7", 10), Ok(()));
    for (reason, long) in [("it is broken", 10), ("it is broken", 60), ("JIRA-7", 60)] {
        let told = asks("alice", "deploy", reason, long);
        assert!(
            matches!(&told, Err(Denial::NotAllowed { policy, .. }) if policy.is_empty()),
            "{told:?} for {reason}"
        );
    }
    let told = asks("alice", "deploy", "JIRA-7 as root", 10);
    assert!(matches!(told, Err(Denial::NotAllowed { policy, .. }) if policy == "not-root"));
    // What is known beforehand hides it as ever.
    for (who, as_whom) in [("alice", "root"), ("mallory", "deploy")] {
        let told = asks(who, as_whom, "JIRA-7", 10);
        assert!(matches!(told, Err(Denial::NotFound { .. })), "{told:?}");
    }
    let sees = |who: &str| {
        let target = target_name("web1");
        may_see(&rules, &facts(), &name(who), &target, here(), noon())
    };
    assert!(sees("alice"));
    assert!(!sees("mallory"));
    // A rule that forbids whatever the reason is hides it, too.
    let told = asks("dan", "deploy", "JIRA-7", 10);
    assert!(matches!(told, Err(Denial::NotFound { .. })), "{told:?}");
}

/// What is known beforehand hides a target also where a rule says it by `!` or `if`.
#[test]
fn a_rule_that_turns_a_wish_round_hides_its_target_from_whom_it_never_lets_ask() {
    let open = r#"@id("open") permit (principal, action == Jit::Action::"request", resource);"#;
    for (beside, effect, condition) in [
        (open, "forbid", "!(SRE && SHORT)"),
        (open, "forbid", "!(!(!(SRE && SHORT)))"),
        (open, "forbid", "if SRE then LONG else true"),
        (open, "forbid", "if SRE && SHORT then false else true"),
        (
            open,
            "forbid",
            "if (if SHORT then false else true) then true else !SRE",
        ),
        ("", "permit", "!(!SRE || LONG)"),
        ("", "permit", "if SRE then SHORT else false"),
        ("", "permit", "if SHORT then SRE else false"),
        ("", "permit", "if LONG || !SRE then false else true"),
    ] {
        let text = condition
            .replace("SRE", r#"(principal in Jit::Group::"sre")"#)
            .replace("SHORT", r#"(context.ask.duration <= duration("4h"))"#)
            .replace("LONG", r#"(context.ask.duration > duration("4h"))"#);
        let rule = format!(
            r#"{beside} @id("sre-only") @reason("Four hours, sre only.")
               {effect} (principal, action == Jit::Action::"request", resource) when {{ {text} }};"#
        );
        let document = Document::new("rules.cedar", rule);
        let rules = PolicySet::load(&[document], None, TimeZone::UTC).unwrap();
        let sees = |who: &str| {
            let target = target_name("web1");
            may_see(&rules, &facts(), &name(who), &target, here(), noon())
        };
        let asks = |who: &str, long: i64| {
            let filing = filing(who, "web1", "deploy", minutes(long));
            let request = Request::file(filing, noon()).expect("a request");
            may_request(&rules, &facts(), &request, here(), noon())
        };
        assert_eq!(asks("alice", 60), Ok(()), "{condition}");
        let (longer, hidden) = (asks("alice", 300), asks("dan", 60));
        assert!(matches!(longer, Err(Denial::TooLong { .. })), "{condition}");
        assert!(
            matches!(hidden, Err(Denial::NotFound { .. })),
            "{condition}"
        );
        assert!(sees("alice") && !sees("dan"), "{condition}");
    }
}

#[test]
fn approvers_owners_and_admins_approve_and_nobody_else() {
    let request = request("alice", "orders", "app_ro");
    for yes in ["ada", "bob", "erin", "oscar"] {
        assert_eq!(approves(yes, &request), Ok(()), "{yes}");
    }
    for no in ["carol", "dan", "mallory", "nobody"] {
        assert!(approves(no, &request).is_err(), "{no}");
    }
    // Who may see all requests hears that it is not theirs; a stranger hears nothing.
    assert!(matches!(
        approves("carol", &request),
        Err(Denial::NotAllowed { .. })
    ));
    assert!(matches!(
        approves("mallory", &request),
        Err(Denial::NotFound { .. })
    ));
}

#[test]
fn nobody_approves_their_own_request_even_if_the_policies_do_not_say_so() {
    let text = r#"@id("anybody") permit (principal, action, resource);"#;
    let open = PolicySet::load(&[Document::new("open.cedar", text)], None, TimeZone::UTC)
        .expect("good policies");
    let request = request("erin", "web1", "deploy");
    let denial = may_approve(&open, &facts(), &name("erin"), &request, here(), noon());
    assert!(matches!(denial, Err(Denial::NotAllowed { policy, .. }) if policy == "four-eyes"));
}

#[test]
fn a_second_name_with_the_same_key_is_the_same_person() {
    let request = request("alice", "web1", "deploy");
    let mut twin = principal("alice2", PrincipalKind::Person, &["approvers"]);
    twin.keys = principal("alice", PrincipalKind::Person, &[]).keys;
    let facts = facts().with_principal(twin);
    let denial = may_approve(
        &shipped(),
        &facts,
        &name("alice2"),
        &request,
        here(),
        noon(),
    );
    assert!(matches!(denial, Err(Denial::NotAllowed { policy, .. }) if policy == "four-eyes"));
    let approved = request
        .approve(approval("alice2", &request))
        .expect("another name");
    assert_eq!(
        activates(&shipped(), &facts, &approved, here(), noon()),
        Activation::Waits
    );
}

#[test]
fn machines_ask_but_never_approve() {
    assert_eq!(asks("ci", "web1", "deploy", 60), Ok(()));
    let facts = facts().with_principal(principal(
        "robot",
        PrincipalKind::Machine,
        &["approvers", "admins"],
    ));
    let request = request("ci", "web1", "deploy");
    let denial = may_approve(&shipped(), &facts, &name("robot"), &request, here(), noon());
    assert!(matches!(denial, Err(Denial::NotAllowed { .. })));
    let approved = request
        .approve(approval("robot", &request))
        .expect("the step itself");
    assert_eq!(
        activates(&shipped(), &facts, &approved, here(), noon()),
        Activation::Waits
    );
}

#[test]
fn a_machines_request_is_approved_by_a_person() {
    let request = request("ci", "web1", "deploy");
    assert_eq!(approves("bob", &request), Ok(()));
    let approved = request
        .approve(approval("bob", &request))
        .expect("approved");
    assert!(matches!(
        activates(&shipped(), &facts(), &approved, here(), noon()),
        Activation::Now { .. }
    ));
}

#[test]
fn an_approval_of_something_else_is_refused_and_does_not_count() {
    let original = request("alice", "web1", "deploy");
    let longer = Request {
        duration: minutes(480),
        ..original.clone()
    };
    assert!(longer.approve(approval("bob", &original)).is_err());
    let smuggled = Request {
        approvals: vec![approval("bob", &original)],
        ..longer
    };
    assert_eq!(
        activates(&shipped(), &facts(), &smuggled, here(), noon()),
        Activation::Waits
    );
}

#[test]
fn approvals_of_locked_and_removed_people_do_not_count() {
    let request = request("alice", "web1", "deploy");
    let approved = request
        .approve(approval("bob", &request))
        .expect("approved");
    let waits = |facts: &Facts| {
        activates(&shipped(), facts, &approved, here(), noon()) == Activation::Waits
    };
    assert!(!waits(&facts()));
    assert!(waits(&facts().with_lock(LockScope::Principal(name("bob")))));
    let mut without = facts();
    without.principals.remove(&name("bob"));
    assert!(waits(&without));
}

#[test]
fn whoever_left_the_group_meanwhile_gets_no_grant() {
    let request = request("alice", "web1", "deploy");
    let approved = request
        .approve(approval("bob", &request))
        .expect("approved");
    let facts = facts().with_principal(principal("alice", PrincipalKind::Person, &[]));
    assert_eq!(
        activates(&shipped(), &facts, &approved, here(), noon()),
        Activation::Waits
    );
}

#[test]
fn a_sandbox_needs_nobody() {
    let request = request("alice", "play1", "deploy");
    let want = Activation::Now {
        policies: vec!["sandbox-activates-alone".to_owned()],
    };
    assert_eq!(
        activates(&shipped(), &facts(), &request, here(), noon()),
        want
    );
}

#[test]
fn a_quorum_in_a_policy_is_met_by_different_people() {
    let library = library();
    let mut documents = library.policies;
    documents.push(Document::new(
        "restricted.cedar",
        r#"@id("restricted") @reason("x")
        forbid (principal, action == Jit::Action::"activate", resource)
        when { resource.hasTag("data") && resource.getTag("data") == "restricted" }
        unless { context.quorums.contains(Jit::Quorum::"restricted-data") };"#,
    ));
    let policies = PolicySet::load(&documents, Some(&library.quorums), TimeZone::UTC);
    let policies = policies.expect("good policies");
    let facts = facts()
        .with_principal(principal(
            "o1",
            PrincipalKind::Person,
            &["shop", "security"],
        ))
        .with_principal(principal("o2", PrincipalKind::Person, &["shop"]))
        .with_principal(principal(
            "s1",
            PrincipalKind::Person,
            &["security", "approvers"],
        ));
    let mut request = request("dan", "orders", "app_ro");
    let mut activates = |by: &str| {
        request = request.approve(approval(by, &request)).expect("approved");
        activates(&policies, &facts, &request, here(), noon()) != Activation::Waits
    };
    assert!(!activates("o1"));
    // Two people fill two slots, although one of them is in both groups.
    assert!(!activates("o2"));
    assert!(activates("s1"));
}

#[test]
fn the_holder_hands_back_and_approvers_revoke() {
    let grant = grant(1, "mallory", "web1", "deploy");
    let revokes = |who: &str| may_revoke(&shipped(), &facts(), &name(who), &grant, here(), noon());
    for yes in ["mallory", "bob", "ada"] {
        assert_eq!(revokes(yes), Ok(()), "{yes}");
    }
    assert!(matches!(revokes("carol"), Err(Denial::NotAllowed { .. })));
    assert!(matches!(revokes("alice"), Err(Denial::NotFound { .. })));
    assert!(matches!(revokes("nobody"), Err(Denial::NotFound { .. })));
}

#[test]
fn the_holder_hands_back_what_is_left_of_a_removed_target() {
    let mut facts = facts();
    facts.targets.clear();
    let grant = grant(1, "alice", "web1", "deploy");
    assert_eq!(
        may_revoke(&shipped(), &facts, &name("alice"), &grant, here(), noon()),
        Ok(())
    );
}

#[test]
fn nobody_locked_or_unknown_holds_an_office() {
    let locked = facts().with_lock(LockScope::Principal(name("ada")));
    for office in Office::ALL {
        assert!(may_office(&shipped(), &locked, &name("ada"), office, noon()).is_err());
        assert!(may_office(&shipped(), &facts(), &name("nobody"), office, noon()).is_err());
    }
}

#[test]
fn a_target_is_seen_by_who_may_ask_holds_owns_or_manages() {
    let sees = |facts: &Facts, who: &str, target: &str| {
        may_see(
            &shipped(),
            facts,
            &name(who),
            &target_name(target),
            here(),
            noon(),
        )
    };
    let facts = facts();
    assert!(sees(&facts, "alice", "web1"));
    assert!(sees(&facts, "ada", "web1"));
    assert!(sees(&facts, "oscar", "orders"));
    assert!(!sees(&facts, "oscar", "web1"));
    assert!(!sees(&facts, "dan", "web1"));
    assert!(!sees(&facts, "mallory", "orders"));
    assert!(!sees(&facts, "alice", "nowhere"));
    assert!(sees(
        &facts.with_grant(grant(1, "mallory", "orders", "app_ro")),
        "mallory",
        "orders"
    ));
}

#[test]
fn a_yes_of_somebody_who_had_the_name_before_does_not_count() {
    let request = request("alice", "web1", "deploy");
    let yes = approval("bob", &request);
    let approved = request.approve(yes.clone()).expect("bob may");
    let mut bob = facts().principals[&name("bob")].as_ref().clone();
    let activated = |facts: &Facts| {
        activates(&shipped(), facts, &approved, here(), noon()) != Activation::Waits
    };
    assert!(activated(&facts()));
    bob.added_at = yes.at + minutes(1);
    assert!(!activated(&facts().with_principal(bob)));
}

#[test]
fn a_yes_does_not_outlive_the_right_to_say_it() {
    let rule = |more: &str| {
        let mut library = library();
        let two = r#"@id("two") @reason("x") forbid (principal, action == Jit::Action::"activate", resource)
            unless { context.approvals >= 2 };"#;
        library
            .policies
            .push(Document::new("two.cedar", format!("{two}{more}")));
        PolicySet::load(&library.policies, Some(&library.quorums), TimeZone::UTC).expect("good")
    };
    let request = request("alice", "web1", "deploy");
    let by_bob = request.approve(approval("bob", &request)).expect("bob may");
    let by_both = by_bob
        .approve(approval("erin", &request))
        .expect("erin may");
    let activated = |policies: &PolicySet, request: &Request| {
        activates(policies, &facts(), request, here(), noon()) != Activation::Waits
    };
    assert!(activated(&rule(""), &by_both));
    assert!(!activated(&rule(""), &by_bob));
    let without_bob = rule(
        r#"@id("not-bob") @reason("x") forbid (principal == Jit::User::"bob",
            action == Jit::Action::"approve", resource);"#,
    );
    assert!(!activated(&without_bob, &by_both));
    // When and from where they said it is what counts, not when and from where others say theirs.
    let day = rule(
        r#"@id("day") @reason("x") forbid (principal, action == Jit::Action::"approve", resource)
            unless { context.session.sourceIp == ip("192.0.2.9") && context.session.hourLocal < 18 };"#,
    );
    let mut elsewhere = by_both;
    let activated_late = |request: &Request| {
        activates(&day, &facts(), request, here(), after(5 * 60)) != Activation::Waits
    };
    assert!(!activated_late(&elsewhere));
    for approval in &mut elsewhere.approvals {
        approval.source = Some([192, 0, 2, 9].into());
    }
    assert!(activated_late(&elsewhere));
}
