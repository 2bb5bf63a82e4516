//! What a text does to the names of what was prepared, at the time it runs: a portal that is bound runs
//! later.

use std::sync::Arc;

use super::Gate;
use super::earlier::Earlier;
use super::quantum::NAME;
use crate::postgres::statement::Reading;
use crate::postgres::wire;

/// The texts of portals that may change what a name stands for.
#[derive(Debug, Default)]
pub(super) struct Portals {
    unnamed: Option<Arc<Reading>>,
    /// All that have names, as one.
    named: Option<Arc<Reading>>,
}

/// How many statements portals with names may stand for.
const STATEMENTS_MAX: usize = 64;

impl Gate {
    /// Notes that a text runs that was permitted.
    pub(super) fn runs(&mut self, reading: &Arc<Reading>) {
        if self.is_opaque(reading, &mut Earlier::default()) {
            self.prepared.doubt_names();
        }
        // Each may have to be joined with what it stood for before.
        let each = NAME.saturating_add(reading.weight());
        self.quantum
            .takes(each.saturating_mul(reading.prepares.len()));
        for name in &reading.prepares {
            self.prepared.put(name.as_bytes(), reading, false);
        }
    }

    /// Notes that a portal was bound to a text, which runs by and by.
    pub(super) fn binds(&mut self, portal: &[u8], reading: &Arc<Reading>) {
        let matters =
            !reading.prepares.is_empty() || self.is_opaque(reading, &mut Earlier::default());
        let place = if portal.is_empty() {
            // An error before it ends the transaction, and the portal with it.
            self.portals.unnamed = None;
            &mut self.portals.unnamed
        } else {
            &mut self.portals.named
        };
        if matters {
            *place = Some(match place {
                None => Arc::clone(reading),
                // What runs then doubts every name.
                Some(before) if Arc::ptr_eq(before, reading) || before.may_do_anything() => {
                    Arc::clone(before)
                }
                Some(before) => {
                    let weight = before.weight().saturating_add(reading.weight());
                    self.quantum.takes(weight);
                    Arc::new(before.or(reading, STATEMENTS_MAX))
                }
            });
        }
    }

    /// Notes that a portal runs; `body` is that of its Execute, where it is all there.
    pub(super) fn executes(&mut self, body: Option<&[u8]>) {
        let portal = body.and_then(|body| wire::execute(body).ok());
        let Portals { unnamed, named } = &self.portals;
        let each = match portal {
            Some([]) => [unnamed.clone(), None],
            Some(_) => [None, named.clone()],
            None => [unnamed.clone(), named.clone()],
        };
        for reading in each.into_iter().flatten() {
            self.runs(&reading);
        }
    }

    /// Whether something is in it that may prepare under any name, itself or in what it runs.
    fn is_opaque(&self, reading: &Reading, earlier: &mut Earlier) -> bool {
        reading.may_do_anything()
            || reading.runs_earlier.iter().any(|name| {
                let inner = earlier.enter(self.prepared.get(name.as_bytes()));
                let is_opaque = inner.is_none_or(|inner| self.is_opaque(&inner, earlier));
                earlier.leave();
                is_opaque
            })
    }
}
