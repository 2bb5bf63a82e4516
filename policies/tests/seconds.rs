//! Statements that need a second person, and budgets, as policies say them.

#![expect(
    clippy::unwrap_used,
    clippy::expect_used,
    reason = "what cannot be set up fails the test"
)]

mod world;

use std::sync::Arc;

use jiff::tz::TimeZone;
use policies::{
    Activation, Deed, Denial, Document, Facts, HeldStatement, Limit, Measure, PolicySet, Protocol,
    Request, RequestError, SessionId, SqlKind, SqlStatement, Terms, Usage, activates, budget,
    decide, is_seconded, library, may, may_approve,
};
use world::*;

const TWO: &str = r#"
@id("every-row-needs-two") @reason("Two people.")
forbid (principal, action == Jit::Action::"pgDelete", resource)
when { context has hasWhere && !context.hasWhere } unless { context.approvals >= 1 };
@id("owners-only") @reason("The owners decide about tables.")
forbid (principal, action == Jit::Action::"pgDdl", resource)
unless { context.quorums.contains(Jit::Quorum::"restricted-data") };
@id("never") @reason("Never.")
forbid (principal, action == Jit::Action::"pgCopyOut", resource);
"#;

fn with(rules: &str) -> Result<PolicySet, Vec<policies::Diagnosis>> {
    let mut library = library();
    library.policies.push(Document::new("more.cedar", rules));
    PolicySet::load(&library.policies, Some(&library.quorums), TimeZone::UTC)
}

fn dan() -> (Facts, Terms) {
    let facts = facts().with_grant(grant(1, "dan", "orders", "app_ro"));
    let ask = ask("dan", "orders", "app_ro", Protocol::Postgres);
    let permit = decide(&shipped(), &facts, &ask, noon()).expect("a permit");
    (facts, permit.spend())
}

fn statement(kind: SqlKind) -> SqlStatement {
    let mut statement = SqlStatement::new(kind);
    if kind == SqlKind::Delete {
        statement.has_where = Some(false);
    }
    statement
}

/// Dan's `delete from orders`, which waits.
fn held(terms: &Terms) -> Request {
    let statement = HeldStatement {
        session: SessionId::new(noon(), [7; 10]),
        grant: terms.grant,
        database: None,
        text: "delete from orders".to_owned(),
        values: Vec::new(),
        digest: "ab".repeat(32),
        policy: "every-row-needs-two".to_owned(),
        why: "Two people.".to_owned(),
        brief: false,
    };
    Request::hold(request_id(9), terms, statement, reason("INC-7"), noon())
}

#[test]
fn a_yes_is_for_the_database_that_was_shown() {
    let (_facts, terms) = dan();
    let mut request = held(&terms);
    let untold = request.digest();
    let mut shown = |database: &str| {
        let statement = request.statement.as_mut().expect("it has one");
        statement.database = Some(database.parse().expect("a name"));
        request.digest()
    };
    let (orders, billing) = (shown("orders"), shown("billing"));
    assert_ne!(orders, billing);
    assert_ne!(orders, untold);
}

/// Whether a statement may run with these approvals.
fn runs(kind: SqlKind, by: &[&str]) -> Result<(), Denial> {
    let (policies, (facts, terms)) = (with(TWO).unwrap(), dan());
    let mut request = held(&terms);
    for one in by {
        request.approvals.push(approval(one, &request));
    }
    is_seconded(
        &policies,
        &facts,
        &terms,
        (&[statement(kind)], &request),
        noon(),
    )
}

#[test]
fn others_can_let_through_what_a_policy_leaves_to_them_and_nothing_else() {
    let (policies, (facts, terms)) = (with(TWO).unwrap(), dan());
    for (kind, alone, together) in [
        (SqlKind::Select, true, true),
        (SqlKind::Delete, false, true),
        (SqlKind::Ddl, false, true),
        (SqlKind::CopyOut, false, false),
        (SqlKind::Unknown, false, false),
    ] {
        let deed = Deed::Statement(statement(kind));
        let may = may(&policies, &facts, &terms, &deed, noon());
        assert_eq!(may.is_ok(), alone, "{kind:?}");
        let could = Usage::of(&policies, &facts, &terms, noon())
            .unwrap()
            .can_be_seconded(&statement(kind));
        assert_eq!(could, together, "{kind:?}");
    }
}

#[test]
fn only_people_who_may_and_are_somebody_else_count() {
    assert!(runs(SqlKind::Delete, &[]).is_err());
    assert!(runs(SqlKind::Delete, &["bob"]).is_ok());
    assert!(runs(SqlKind::Delete, &["dan"]).is_err(), "his own");
    assert!(runs(SqlKind::Delete, &["ci"]).is_err(), "a machine");
    assert!(runs(SqlKind::Delete, &["nobody"]).is_err());
    assert!(runs(SqlKind::Ddl, &["bob"]).is_err(), "not the quorum");
    assert!(runs(SqlKind::CopyOut, &["bob", "oscar", "ada"]).is_err());
}

#[test]
fn an_approval_of_another_text_or_session_does_not_count() {
    let (policies, (facts, terms)) = (with(TWO).unwrap(), dan());
    let mut request = held(&terms);
    request.approvals.push(approval("bob", &request));
    let runs = |request: &Request| {
        is_seconded(
            &policies,
            &facts,
            &terms,
            (&[statement(SqlKind::Delete)], request),
            noon(),
        )
    };
    assert!(runs(&request).is_ok());
    let mut other = request.clone();
    other.statement.as_mut().unwrap().digest = "cd".repeat(32);
    assert!(runs(&other).is_err());
    let mut other = request.clone();
    other.statement.as_mut().unwrap().session = SessionId::new(noon(), [8; 10]);
    assert!(runs(&other).is_err());
}

#[test]
fn a_statement_that_waits_never_becomes_a_grant() {
    let (policies, (facts, terms)) = (with(TWO).unwrap(), dan());
    let mut request = held(&terms);
    request.approvals.push(approval("bob", &request));
    let activation = activates(&policies, &facts, &request, here(), noon());
    assert_eq!(activation, Activation::Waits);
    let grant = request.grant(grant_id(5), request.duration, noon());
    assert_eq!(grant, Err(RequestError::Statement { id: request.id }));
    let own = may_approve(&policies, &facts, &name("dan"), &request, here(), noon());
    assert!(own.is_err());
    let other = may_approve(&policies, &facts, &name("bob"), &request, here(), noon());
    assert_eq!(other, Ok(()));
    // It waits no longer than its session can.
    assert!(request.lapses_at <= terms.until);
}

#[test]
fn a_word_that_there_is_not_is_a_mistake_with_its_place() {
    let typo = "@id(\"t\") forbid (principal, action == Jit::Action::\"pgDdl\", resource)\n\
                unless { context.approval >= 1 };";
    let said = with(typo)
        .unwrap_err()
        .iter()
        .map(ToString::to_string)
        .collect::<String>();
    assert!(
        said.contains("more.cedar:2") && said.contains("approval"),
        "{said}"
    );
}

fn limits(rules: &str) -> Vec<Limit> {
    let (facts, terms) = dan();
    let policies = with(rules).unwrap();
    budget(&policies, || {
        Usage::of(&policies, &facts, &terms, noon()).map(Arc::new)
    })
    .unwrap()
}

#[test]
fn a_limit_is_the_largest_amount_that_is_permitted() {
    assert_eq!(limits(""), []);
    let rules = r#"
        @id("little") @reason("A little.") forbid (principal, action == Jit::Action::"spend", resource)
        when { context.rows > 10000 || context.bytes >= 1000000 };
        @id("less") @reason("Less.") forbid (principal in Jit::Group::"dba", action == Jit::Action::"spend", resource)
        when { context.rows > 500 };
        @id("others") forbid (principal in Jit::Group::"sre", action == Jit::Action::"spend", resource);"#;
    let found = limits(rules);
    let short: Vec<_> = found
        .iter()
        .map(|one| {
            (
                one.measure,
                one.most,
                one.policy.as_str(),
                one.reason.as_str(),
            )
        })
        .collect();
    assert_eq!(
        short,
        [
            (Measure::Rows, 500, "less", "Less."),
            (Measure::Bytes, 999_999, "little", "A little."),
        ]
    );
}

#[test]
fn nothing_is_to_be_spent_where_a_policy_about_it_permits_nothing() {
    let mut library = library();
    let permit = library
        .policies
        .iter_mut()
        .find(|one| one.text.contains("\"spend\""));
    let permit = permit.expect("the shipped policies say what may be spent");
    permit.text = permit.text.replace(
        "permit (principal, action == Jit::Action::\"spend\"",
        "permit (principal == Jit::User::\"alice\", action == Jit::Action::\"spend\"",
    );
    let policies =
        PolicySet::load(&library.policies, Some(&library.quorums), TimeZone::UTC).unwrap();
    let (facts, terms) = dan();
    let found = budget(&policies, || {
        Usage::of(&policies, &facts, &terms, noon()).map(Arc::new)
    })
    .unwrap();
    assert_eq!(
        found.iter().map(|one| one.most).collect::<Vec<_>>(),
        [0, 0, 0]
    );
}
