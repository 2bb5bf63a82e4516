//! What the shipped policies decide.

mod world;

use policies::{
    Activation, Capability, Denial, LockScope, Protocol, activates, decide, may_approve,
    may_request,
};
use world::*;

#[test]
fn the_shipped_policies_load_without_a_word() {
    let policies = shipped();
    assert_eq!(policies.warnings(), &[]);
}

#[test]
fn the_rule_that_the_manual_prints_for_a_request_that_nobody_answers_is_taken() {
    let manual = include_str!("../../docs/operating.md");
    let row = manual
        .lines()
        .find(|line| line.starts_with("| nobody answers a request |"));
    let mut code = row.expect("the row").split('`');
    let rule = code.find(|part| part.contains("permit (")).expect("a rule");
    let document = policies::Document::new("answer.cedar", rule);
    let zone = jiff::tz::TimeZone::UTC;
    let loaded = policies::PolicySet::load(&[document], None, zone).expect("it is taken");
    assert_eq!(loaded.warnings(), &[]);
}

#[test]
fn a_granted_sre_gets_a_shell_and_no_forwarding() {
    let facts = facts().with_grant(grant(1, "alice", "web1", "deploy"));
    let permit = decide(
        &shipped(),
        &facts,
        &ask("alice", "web1", "deploy", Protocol::Ssh),
        noon(),
    )
    .unwrap();
    let want = [
        Capability::Shell,
        Capability::Exec,
        Capability::SftpRead,
        Capability::SftpWrite,
    ];
    assert_eq!(permit.terms().capabilities, want.into());
    assert_eq!(permit.terms().until, noon() + minutes(60));
}

#[test]
fn without_a_grant_there_is_no_way_in() {
    let denial = decide(
        &shipped(),
        &facts(),
        &ask("alice", "web1", "deploy", Protocol::Ssh),
        noon(),
    );
    let want = Denial::NoGrant {
        target: target_name("web1"),
        login: login("deploy"),
    };
    assert_eq!(denial.unwrap_err(), want);
}

#[test]
fn a_lock_beats_a_grant() {
    let facts = facts()
        .with_grant(grant(1, "alice", "web1", "deploy"))
        .with_lock(LockScope::Principal(name("alice")));
    let denial = decide(
        &shipped(),
        &facts,
        &ask("alice", "web1", "deploy", Protocol::Ssh),
        noon(),
    );
    assert!(matches!(denial, Err(Denial::NoGrant { .. })));
}

#[test]
fn one_approval_activates() {
    let policies = shipped();
    let request = request("alice", "web1", "deploy");
    let facts = facts();
    assert_eq!(
        may_request(&policies, &facts, &request, here(), noon()),
        Ok(())
    );
    assert_eq!(
        activates(&policies, &facts, &request, here(), noon()),
        Activation::Waits
    );
    assert_eq!(
        may_approve(&policies, &facts, &name("bob"), &request, here(), noon()),
        Ok(())
    );
    let approved = request.approve(approval("bob", &request)).unwrap();
    let want = Activation::Now {
        policies: vec!["one-approval-for-sre".to_owned()],
    };
    assert_eq!(
        activates(&policies, &facts, &approved, here(), noon()),
        want
    );
}
