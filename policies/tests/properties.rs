//! What holds whatever the names, the times and the order of events.

mod world;

use std::collections::{BTreeMap, BTreeSet};
use std::sync::LazyLock;

use jiff::{SignedDuration, Timestamp};
use policies::quorum::Rule;
use policies::{
    Activation, Deed, Facts, Grant, GrantEnd, GroupName, LockScope, Login, PolicySet,
    PrincipalKind, PrincipalName, Protocol, Request, RequestState, TargetName, activates, decide,
    matrix, may, may_approve,
};
use proptest::prelude::*;
use world::*;

static SHIPPED: LazyLock<PolicySet> = LazyLock::new(shipped);

const PEOPLE: [&str; 5] = ["alice", "bob", "ci", "mallory", "nobody"];
const PLACES: [&str; 4] = ["orders", "play1", "web1", "nowhere"];
const LOGINS: [&str; 4] = ["app_ro", "deploy", "root", "strange"];

fn one_of(from: &'static [&'static str]) -> impl Strategy<Value = &'static str> {
    proptest::sample::select(from)
}

fn protocol() -> impl Strategy<Value = Protocol> {
    prop_oneof![Just(Protocol::Ssh), Just(Protocol::Postgres)]
}

prop_compose! {
    /// A grant of any kind around noon: past, running, future, empty, backwards or ended.
    fn any_grant()(
        who in one_of(&PEOPLE), target in one_of(&PLACES), as_whom in one_of(&LOGINS),
        starts in -90_i64..90, expires in -90_i64..90, ended in proptest::option::of(-60_i64..0),
        number in 0_u8..8,
    ) -> Grant {
        Grant {
            starts_at: after(starts),
            expires_at: after(expires),
            ended: ended.map(|at| GrantEnd {
                by: Some(name("bob")), reason: reason("done"), at: after(at),
            }),
            ..grant(number, who, target, as_whom)
        }
    }
}

fn any_lock() -> impl Strategy<Value = LockScope> {
    prop_oneof![
        one_of(&PEOPLE).prop_map(|who| LockScope::Principal(name(who))),
        one_of(&PLACES).prop_map(|what| LockScope::Target(target_name(what))),
    ]
}

prop_compose! {
    fn any_facts()(
        grants in proptest::collection::vec(any_grant(), 0..6),
        locks in proptest::collection::vec(any_lock(), 0..3),
    ) -> Facts {
        let with_grants = grants.into_iter().fold(facts(), With::with_grant);
        locks.into_iter().fold(with_grants, With::with_lock)
    }
}

proptest! {
    #[test]
    fn a_permit_needs_a_known_pair_no_lock_and_a_covering_grant(
        facts in any_facts(), who in one_of(&PEOPLE), target in one_of(&PLACES),
        as_whom in one_of(&LOGINS), protocol in protocol(), late in -90_i64..90,
    ) {
        let now = after(late);
        let ask = ask(who, target, as_whom, protocol);
        let known = facts.targets.get(&ask.target).is_some_and(|target| {
            target.protocol() == protocol && target.logins.contains(&ask.login)
        }) && facts.principals.contains_key(&ask.principal);
        let locked = facts.lock_on_principal(&ask.principal).is_some()
            || facts.lock_on_target(&ask.target).is_some();
        let covered = facts.grants.values().any(|grant| {
            grant.covers(&ask.principal, &ask.target, &ask.login, now)
        });
        match decide(&SHIPPED, &facts, &ask, now) {
            Ok(permit) => {
                prop_assert!(known && !locked && covered);
                prop_assert!(now < permit.terms().until);
            }
            // The shipped policies let everybody use what was granted.
            Err(denial) => prop_assert!(!known || locked || !covered, "{denial:?}"),
        }
    }

    #[test]
    fn what_decide_allows_may_allows_and_both_end_together(
        facts in any_facts(), late in -90_i64..90,
    ) {
        let now = after(late);
        let ask = ask("alice", "web1", "deploy", Protocol::Ssh);
        if let Ok(permit) = decide(&SHIPPED, &facts, &ask, now) {
            let terms = permit.spend();
            let connect = |at| may(&SHIPPED, &facts, &terms, &Deed::Connect, at).is_ok();
            // Cedar counts in milliseconds, so the last of them may already be over.
            let last = terms.until.checked_sub(SignedDuration::from_millis(1)).unwrap().max(now);
            prop_assert!(connect(now));
            prop_assert!(connect(last));
            prop_assert!(!connect(terms.until));
        }
    }

    #[test]
    fn a_lock_beats_every_grant(facts in any_facts(), on_target in any::<bool>(), late in 0_i64..60) {
        let facts = facts.with_grant(grant(9, "alice", "web1", "deploy"));
        let locked = facts.with_lock(if on_target {
            LockScope::Target(target_name("web1"))
        } else {
            LockScope::Principal(name("alice"))
        });
        let ask = ask("alice", "web1", "deploy", Protocol::Ssh);
        prop_assert!(decide(&SHIPPED, &locked, &ask, after(late)).is_err());
    }

    #[test]
    fn an_ended_grant_never_comes_back(ended in 0_i64..60, again in 0_i64..60, later in 0_i64..90) {
        let end = |at| GrantEnd { by: Some(name("bob")), reason: reason("done"), at: after(at) };
        let over = grant(1, "alice", "web1", "deploy").end(end(ended)).unwrap();
        prop_assert!(over.end(end(again)).is_err());
        let facts = facts().with_grant(over);
        let ask = ask("alice", "web1", "deploy", Protocol::Ssh);
        prop_assert!(decide(&SHIPPED, &facts, &ask, after(later)).is_err());
    }

    #[test]
    fn names_that_nobody_has_are_refused_and_never_panic(
        who in "[a-z0-9][a-z0-9._@-]{0,63}", target in "[a-z0-9][a-z0-9._-]{0,62}",
        as_whom in "[A-Za-z0-9_][A-Za-z0-9._$-]{0,62}", command in any::<String>(),
        host in any::<String>(), port in any::<u16>(), second in -300_000_000_000_i64..250_000_000_000,
    ) {
        let now = Timestamp::from_second(second).unwrap();
        let ask = ask(&who, &target, &as_whom, Protocol::Ssh);
        let known = facts().with_target(ssh(&target, &[("env", "prod")], None));
        let known = known.with_principal(principal(&who, PrincipalKind::Person, &["sre"]));
        drop(decide(&SHIPPED, &known, &ask, now));
        prop_assert!(decide(&SHIPPED, &facts(), &ask, now).is_err());
        let known = facts().with_grant(grant(1, "alice", "web1", "deploy"));
        let ask = self::ask("alice", "web1", "deploy", Protocol::Ssh);
        let terms = decide(&SHIPPED, &known, &ask, noon()).unwrap().spend();
        let exec = Deed::Exec { command };
        prop_assert!(may(&SHIPPED, &known, &terms, &exec, noon()).is_ok());
        let forward = Deed::ForwardPort { host, port };
        prop_assert!(may(&SHIPPED, &known, &terms, &forward, noon()).is_err());
    }

    #[test]
    fn texts_that_are_no_names_are_refused_and_never_panic(text in any::<String>()) {
        for parsed in [
            PrincipalName::parse(&text).map(|name| name.to_string()),
            TargetName::parse(&text).map(|name| name.to_string()),
            GroupName::parse(&text).map(|name| name.to_string()),
            Login::parse(&text).map(|name| name.to_string()),
        ] {
            prop_assert!(parsed.is_err() || parsed == Ok(text.clone()));
        }
    }

    #[test]
    fn policies_of_any_text_are_loaded_or_refused_and_never_panic(text in any::<String>()) {
        let document = policies::Document::new("any.cedar", text);
        if let Err(found) = PolicySet::load(&[document], None, jiff::tz::TimeZone::UTC) {
            for diagnosis in found {
                prop_assert!(!diagnosis.to_string().is_empty());
            }
        }
    }

    #[test]
    fn a_printed_duration_is_read_back(seconds in 0_i64..3_000_000_000) {
        let length = SignedDuration::from_secs(seconds);
        prop_assert_eq!(policies::duration::parse(&policies::duration::print(length)), Ok(length));
    }
}

/// One thing that happens to a request.
#[derive(Debug, Clone)]
enum Step {
    /// For this many minutes at the most; for as long as was asked where it is 0.
    Approve(&'static str, i64),
    Deny(&'static str),
    Withdraw(&'static str),
    Grant,
    Lapse,
}

fn any_step() -> impl Strategy<Value = Step> {
    let who = || one_of(&["alice", "bob", "erin", "oscar"]);
    prop_oneof![
        3 => (who(), 0_i64..90).prop_map(|(by, at_most)| Step::Approve(by, at_most)),
        1 => who().prop_map(Step::Deny),
        1 => who().prop_map(Step::Withdraw),
        1 => Just(Step::Grant),
        1 => Just(Step::Lapse),
    ]
}

/// The shortest that anybody agreed to.
fn given(request: &Request) -> SignedDuration {
    let each = request.approvals.iter();
    let shortest = each.map(|approval| request.given_by(approval)).min();
    shortest.unwrap_or(request.duration)
}

fn take(request: &Request, step: &Step, now: Timestamp) -> Option<Request> {
    match step {
        Step::Approve(by, at_most) => {
            let approval = policies::Approval {
                at: now,
                at_most: (*at_most > 0).then(|| minutes(*at_most)),
                ..approval(by, request)
            };
            request.approve(approval).ok()
        }
        Step::Deny(by) => request.deny(name(by), reason("no"), now).ok(),
        Step::Withdraw(by) => request.withdraw(&name(by), now).ok(),
        Step::Grant => request
            .grant(grant_id(1), given(request), now)
            .ok()
            .map(|(request, _)| request),
        Step::Lapse => request.lapse(now).ok(),
    }
}

proptest! {
    #[test]
    fn a_closed_request_stays_closed_and_approvers_are_distinct_others(
        steps in proptest::collection::vec((any_step(), 0_i64..400), 0..12),
    ) {
        let mut now = noon();
        let mut request = request("alice", "web1", "deploy");
        let digest = request.digest();
        for (step, pause) in steps {
            now = now.checked_add(minutes(pause)).unwrap();
            let was_open = request.is_open(now);
            if let Some(next) = take(&request, &step, now) {
                let lapsed = next.state == RequestState::Lapsed;
                prop_assert!(was_open || lapsed && request.state == RequestState::Pending);
                request = next;
            }
            let mut people: Vec<_> = request.approvals.iter().map(|approval| &approval.by).collect();
            let all = people.len();
            people.sort();
            people.dedup();
            prop_assert_eq!(people.len(), all);
            prop_assert!(!people.contains(&&request.principal));
            prop_assert_eq!(request.digest(), digest.clone());
            // Nobody's yes is good for more than they, or the one who asked, said.
            let most = request.approvals.iter().filter_map(|approval| approval.at_most);
            prop_assert!(most.chain([request.duration]).all(|most| given(&request) <= most));
            prop_assert!(request.approvals.iter().all(|approval| approval.at_most <= Some(request.duration)));
        }
    }

    #[test]
    fn nobody_ever_approves_their_own(
        groups in proptest::collection::btree_set(
            one_of(&["admins", "approvers", "sre", "shop", "auditors"]), 0..5),
        target in one_of(&["web1", "orders", "play1"]),
    ) {
        let groups: Vec<&str> = groups.into_iter().collect();
        let facts = facts().with_principal(principal("alice", PrincipalKind::Person, &groups));
        let login = if target == "orders" { "app_ro" } else { "deploy" };
        let mut request = request("alice", target, login);
        prop_assert!(may_approve(&SHIPPED, &facts, &name("alice"), &request, here(), noon()).is_err());
        // Not even when it is written straight into the request.
        let before = activates(&SHIPPED, &facts, &request, here(), noon());
        request.approvals.push(approval("alice", &request));
        let after = activates(&SHIPPED, &facts, &request, here(), noon());
        prop_assert!(after == Activation::Waits || after == before);
    }
}

fn any_rule() -> impl Strategy<Value = Rule> {
    let slots = (one_of(&["a", "b", "owners"]), 1_u32..3).prop_map(|(named, count)| Rule::Slots {
        group: group(named),
        count,
    });
    slots.prop_recursive(2, 6, 3, |inner| {
        prop_oneof![
            proptest::collection::vec(inner.clone(), 1..3).prop_map(Rule::All),
            proptest::collection::vec(inner, 1..3).prop_map(Rule::Any),
        ]
    })
}

/// Every way to seat different people, tried one by one: the slow definition of a quorum. Gives the
/// sets of people that may be left over once the rule is met.
fn leftovers(
    rule: &Rule,
    free: &BTreeSet<usize>,
    fits: &dyn Fn(usize, &GroupName) -> bool,
) -> BTreeSet<BTreeSet<usize>> {
    let one_of_group = |group: &GroupName, free: &BTreeSet<usize>| -> BTreeSet<BTreeSet<usize>> {
        let takes = free.iter().filter(|person| fits(**person, group));
        takes
            .map(|person| {
                free.iter()
                    .copied()
                    .filter(|other| other != person)
                    .collect()
            })
            .collect()
    };
    match rule {
        Rule::Slots { group, count } => (0..*count).fold([free.clone()].into(), |frees, _| {
            frees
                .iter()
                .flat_map(|free| one_of_group(group, free))
                .collect()
        }),
        Rule::Any(rules) => rules
            .iter()
            .flat_map(|rule| leftovers(rule, free, fits))
            .collect(),
        Rule::All(rules) => rules.iter().fold([free.clone()].into(), |frees, rule| {
            frees
                .iter()
                .flat_map(|free| leftovers(rule, free, fits))
                .collect()
        }),
    }
}

proptest! {
    #[test]
    fn a_quorum_is_met_exactly_when_different_people_fill_its_slots(
        rule in any_rule(),
        memberships in proptest::collection::vec(
            proptest::collection::btree_set(one_of(&["a", "b", "shop"]), 0..4), 0..6),
    ) {
                let owners = GroupName::parse("shop").unwrap();
        let people: BTreeMap<PrincipalName, BTreeSet<GroupName>> = memberships.iter().enumerate()
            .map(|(number, groups)| (name(&format!("p{number}")), groups.iter().map(|text| group(text)).collect()))
            .collect();
        let groups: Vec<BTreeSet<GroupName>> = people.values().cloned().collect();
        let fits = |person: usize, wanted: &GroupName| {
            let wanted = if wanted.as_str() == "owners" { &owners } else { wanted };
            groups[person].contains(wanted)
        };
        let everybody = (0..groups.len()).collect();
        let slow = !leftovers(&rule, &everybody, &fits).is_empty();
        prop_assert_eq!(rule.met_by(&people, Some(&owners)), slow);
    }
}

#[test]
fn the_matrix_of_nobody_is_two_headings() {
    let text = matrix(&SHIPPED, &Facts::default(), here(), noon());
    assert_eq!(text.lines().count(), 3);
}
