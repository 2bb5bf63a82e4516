//! Which names mean common table expressions, and no tables, in a query.

use std::collections::BTreeSet;
use std::ops::ControlFlow;

use sqlparser::ast::{Ident, Query, TableFactor, Visit, Visitor};

use super::names::{self, full};

/// Which names of common table expressions are in scope in one query.
#[derive(Debug, Default)]
pub(super) struct Scope(pub(super) BTreeSet<String>);

/// The names that mean no tables anywhere in this query. One that is also used where the table of
/// that name is meant (inside itself or before it, without `RECURSIVE`) is not among them.
pub(super) fn scope(query: &Query) -> Scope {
    let Some(with) = &query.with else {
        return Scope::default();
    };
    let name = |ident: &Ident| names::of(ident);
    let mut names: BTreeSet<String> = with
        .cte_tables
        .iter()
        .map(|cte| name(&cte.alias.name))
        .collect();
    if !with.recursive {
        let mut later = names.clone();
        for cte in &with.cte_tables {
            let mut used = Tables::default();
            let _never_breaks = cte.query.visit(&mut used);
            for meant in used.0.intersection(&later) {
                names.remove(meant);
            }
            later.remove(&name(&cte.alias.name));
        }
    }
    Scope(names)
}

/// Every table that is named.
#[derive(Debug, Default)]
struct Tables(BTreeSet<String>);

impl Visitor for Tables {
    type Break = ();

    fn pre_visit_table_factor(&mut self, factor: &TableFactor) -> ControlFlow<()> {
        if let TableFactor::Table { name, .. } = factor {
            self.0.insert(full(name)?);
        }
        ControlFlow::Continue(())
    }
}
