//! Deciding about statements: who may send which, and when they are looked at.

#![expect(
    clippy::expect_used,
    reason = "a world that cannot be built fails the test"
)]

mod world;

use std::sync::Arc;

use jiff::tz::TimeZone;
use policies::{
    Deed, Denial, Document, Facts, PolicySet, Protocol, Scrutiny, SqlKind, SqlStatement, Terms,
    Usage, decide, library, may, scrutiny,
};
use world::*;

/// The shipped policies with others in the place of the rule for statements.
fn about_statements(text: &str) -> PolicySet {
    let library = library();
    let mut documents = library.policies;
    for document in &mut documents {
        let rule = "action in Jit::Action::\"sql\", resource is";
        let silent = "action == Jit::Action::\"connect\", resource is";
        document.text = document.text.replace(rule, silent);
    }
    documents.push(Document::new("more.cedar", text));
    PolicySet::load(&documents, Some(&library.quorums), TimeZone::UTC).expect("good policies")
}

/// Dan in the database, and what he hears when he does this to `orders`.
fn does(policies: &PolicySet, kind: SqlKind) -> Result<(), Denial> {
    says(policies, "orders", kind, None)
}

fn says(
    policies: &PolicySet,
    relation: &str,
    kind: SqlKind,
    has_where: Option<bool>,
) -> Result<(), Denial> {
    let (facts, terms) = dan();
    let mut statement = SqlStatement::new(kind);
    statement.has_where = has_where;
    if kind != SqlKind::Unknown {
        statement.relations = [relation.to_owned()].into();
    }
    may(
        policies,
        &facts,
        &terms,
        &Deed::Statement(statement),
        noon(),
    )
}

fn dan() -> (Facts, Terms) {
    let facts = facts().with_grant(grant(1, "dan", "orders", "app_ro"));
    let ask = ask("dan", "orders", "app_ro", Protocol::Postgres);
    let permit = decide(&shipped(), &facts, &ask, noon()).expect("a permit");
    (facts, permit.spend())
}

fn looked_at(policies: &PolicySet) -> Scrutiny {
    let (facts, terms) = dan();
    scrutiny(policies, || {
        Usage::of(policies, &facts, &terms, noon()).map(Arc::new)
    })
}

const KINDS: [SqlKind; 10] = [
    SqlKind::Select,
    SqlKind::Insert,
    SqlKind::Update,
    SqlKind::Delete,
    SqlKind::Ddl,
    SqlKind::CopyOut,
    SqlKind::CopyIn,
    SqlKind::Admin,
    SqlKind::Other,
    SqlKind::Unknown,
];

const READERS: &str = r#"@id("read") permit (principal,
    action in [Jit::Action::"pgSelect", Jit::Action::"pgOther"], resource is Jit::PgDatabase);"#;

#[test]
fn the_shipped_policies_allow_every_statement_without_reading_it() {
    assert_eq!(looked_at(&shipped()), Scrutiny::Unread);
    for kind in KINDS {
        assert_eq!(does(&shipped(), kind), Ok(()), "{kind:?}");
    }
}

#[test]
fn where_no_policy_is_about_statements_sessions_are_as_free_as_their_role() {
    let use_only = r#"@id("all-use") permit (principal, action in Jit::Action::"use", resource);"#;
    for older in ["", use_only] {
        let policies = about_statements(older);
        assert_eq!(looked_at(&policies), Scrutiny::Unread);
        for kind in KINDS {
            assert_eq!(does(&policies, kind), Ok(()), "{kind:?}");
        }
    }
}

#[test]
fn once_a_policy_is_about_statements_the_rest_is_refused() {
    let policies = about_statements(READERS);
    assert_eq!(looked_at(&policies), Scrutiny::Each);
    for kind in KINDS {
        let allowed = matches!(kind, SqlKind::Select | SqlKind::Other);
        assert_eq!(does(&policies, kind).is_ok(), allowed, "{kind:?}");
    }
}

#[test]
fn a_rule_that_names_statements_in_a_condition_is_about_them() {
    let hidden = r#"@id("hidden") @reason("No.") forbid (principal, action, resource)
        when { action == Jit::Action::"pgDdl" };"#;
    // Behind rules that are the same for all kinds too.
    for policies in [about_statements(hidden), shipped_and(hidden)] {
        assert_eq!(looked_at(&policies), Scrutiny::Each);
        assert!(does(&policies, SqlKind::Ddl).is_err());
    }
}

#[test]
fn what_cannot_be_read_needs_everything() {
    let no_ddl = r#"@id("no-ddl") @reason("No DDL.")
        forbid (principal, action == Jit::Action::"pgDdl", resource);"#;
    let policies = shipped_and(no_ddl);
    assert_eq!(looked_at(&policies), Scrutiny::Each);
    let want = Denial::Forbidden {
        policy: "no-ddl".to_owned(),
        reason: "No DDL.".to_owned(),
    };
    assert_eq!(does(&policies, SqlKind::Ddl), Err(want.clone()));
    assert_eq!(does(&policies, SqlKind::Unknown), Err(want));
    assert_eq!(does(&policies, SqlKind::Delete), Ok(()));
    let but_unread = r#"@id("unread") permit (principal, action in Jit::Action::"sql", resource)
        when { !context.parsed };"#;
    let policies = about_statements(&format!("{READERS}{but_unread}"));
    assert_eq!(does(&policies, SqlKind::Unknown), Ok(()));
    assert!(does(&policies, SqlKind::Delete).is_err());
}

#[test]
fn rules_look_at_what_a_statement_names() {
    let rules = r#"@id("no-payroll") @reason("Payroll is closed.")
        forbid (principal, action in Jit::Action::"sql", resource)
        when { !context.parsed || context.relations.contains("payroll") };
        @id("some-rows") @reason("Say which rows.")
        forbid (principal, action in [Jit::Action::"pgUpdate", Jit::Action::"pgDelete"], resource)
        unless { context has hasWhere && context.hasWhere };"#;
    let policies = shipped_and(rules);
    assert_eq!(looked_at(&policies), Scrutiny::Each);
    assert!(says(&policies, "payroll", SqlKind::Select, None).is_err());
    assert!(says(&policies, "orders", SqlKind::Select, None).is_ok());
    assert!(says(&policies, "orders", SqlKind::Delete, Some(false)).is_err());
    assert!(says(&policies, "orders", SqlKind::Delete, Some(true)).is_ok());
    assert!(does(&policies, SqlKind::Unknown).is_err());
}

#[test]
fn the_rules_in_the_manual_load_without_a_word() {
    let manual = include_str!("../../docs/operating.md");
    let section = manual
        .split("## Rules for SQL")
        .nth(1)
        .expect("the section");
    let rules = section.split("```").nth(1).expect("the example");
    let policies = shipped_and(rules);
    assert_eq!(policies.warnings(), &[]);
    assert_eq!(looked_at(&policies), Scrutiny::Each);
    assert!(says(&policies, "public.payroll", SqlKind::Select, None).is_err());
    assert!(says(&policies, "orders", SqlKind::Delete, Some(true)).is_ok());
    assert!(says(&policies, "orders", SqlKind::Ddl, None).is_err());
}
