//! What policies said about single statements, and about the text that was permitted last.
//!
//! Does not know for how long that is good.

use std::collections::HashMap;
use std::sync::Arc;

use policies::{Deed, Denial, SqlStatement};

use super::work::ASKED_BYTE;
use super::{Bench, Gate};
use crate::postgres::statement::{self, Reading};
use crate::session::share::QUESTION;

/// How much the statements may weigh whose answers are remembered, in bytes; then all are forgotten. One that
/// weighs more than a quarter of it is asked about each time.
const WEIGHT_MAX: usize = 1 << 20;

/// What policies say about one statement.
#[derive(Debug, Clone)]
pub(super) enum Answer {
    Permitted,
    /// With others behind it.
    Seconded(String, String),
    Denied(Denial),
}

/// What was said.
#[derive(Debug, Default)]
pub(super) struct Answers {
    known: HashMap<SqlStatement, Answer>,
    weight: usize,
    permitted: Option<Arc<Reading>>,
}

impl Answers {
    /// What was said about a statement.
    pub(super) fn get(&self, statement: &SqlStatement) -> Option<&Answer> {
        self.known.get(statement)
    }

    /// Remembers it.
    pub(super) fn keep(&mut self, statement: &SqlStatement, answer: Answer) {
        let weight = statement::weight(statement);
        if weight > WEIGHT_MAX / 4 {
            return;
        }
        if self.weight.saturating_add(weight) > WEIGHT_MAX {
            self.forget();
        }
        self.weight = self.weight.saturating_add(weight);
        self.known.insert(statement.clone(), answer);
    }

    /// Whether this text was permitted last: a Bind most often follows its Parse.
    pub(super) fn have_permitted(&self, reading: &Arc<Reading>) -> bool {
        let last = self.permitted.as_ref();
        last.is_some_and(|last| Arc::ptr_eq(last, reading))
    }

    /// Remembers that a text was permitted, unless that depends on what names stand for or cursors do.
    pub(super) fn permit(&mut self, reading: &Arc<Reading>) {
        let stands_alone = reading.executes.is_empty() && reading.runs_earlier.is_empty();
        if stands_alone && reading.goes_back.is_none() {
            self.permitted = Some(Arc::clone(reading));
        }
    }

    /// Forgets everything.
    pub(super) fn forget(&mut self) {
        self.known.clear();
        self.weight = 0;
        self.permitted = None;
    }
}

impl Gate {
    /// What policies say about one statement: asked where that is not remembered.
    pub(super) fn answer(&mut self, statement: &SqlStatement, bench: &impl Bench) -> Answer {
        if let Some(known) = self.answers.get(statement) {
            return known.clone();
        }
        self.has_asked = true;
        let weight = statement::weight(statement);
        self.share
            .takes(weight.saturating_mul(ASKED_BYTE).saturating_add(QUESTION));
        let answer = match bench.may(&Deed::Statement(statement.clone())) {
            Ok(()) => Answer::Permitted,
            Err(Denial::Forbidden { policy, reason }) if bench.can_be_seconded(statement) => {
                Answer::Seconded(policy, reason)
            }
            Err(denial) => Answer::Denied(denial),
        };
        self.answers.keep(statement, answer.clone());
        answer
    }
}
