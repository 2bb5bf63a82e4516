//! What a text does to the names of what was prepared, at the time it runs: a portal that is bound runs
//! later.
//!
//! What a portal was bound to counts until the transaction has ended, of the one without a name too: a Bind that fails
//! leaves it as it was, and going back to a savepoint that is younger leaves it there.

use std::collections::BTreeMap;
use std::sync::Arc;

use super::Gate;
use super::earlier::Earlier;
use super::prepared::kept_as;
use super::work::NAME;
use crate::postgres::statement::Reading;

/// The texts of portals that may change what a name stands for.
#[derive(Debug, Default)]
pub(super) struct Portals {
    unnamed: Option<Arc<Reading>>,
    /// All that have names, as one.
    named: Option<Arc<Reading>>,
    /// What portals run that was prepared or opened by name, by the portal's name.
    watched: BTreeMap<Box<[u8]>, Arc<Reading>>,
    /// The same of all for which there was no room there.
    more: Option<Arc<Reading>>,
}

/// How many portals are watched one by one.
const WATCHED_MAX: usize = 64;

/// How many statements portals with names may stand for.
const STATEMENTS_MAX: usize = 64;

impl Portals {
    /// Whether any runs something by its name, so that it has to be known of an Execute whose it is.
    pub(super) fn are_watched(&self) -> bool {
        !self.watched.is_empty() || self.more.is_some()
    }

    /// What this portal runs by name; what any does, where it is not known which it is.
    pub(super) fn watched(&self, portal: Option<&[u8]>) -> Vec<Arc<Reading>> {
        match portal {
            Some(portal) => {
                let more = self.more.as_ref().filter(|_more| !portal.is_empty());
                let own = self.watched.get(kept_as(portal));
                own.into_iter().chain(more).cloned().collect()
            }
            None => self.watched.values().chain(&self.more).cloned().collect(),
        }
    }

    /// What this portal runs by name, where it is watched by itself.
    pub(super) fn get(&self, portal: &[u8]) -> Option<Arc<Reading>> {
        self.watched.get(kept_as(portal)).cloned()
    }

    /// Takes away a portal that the client has closed, with what it ran by name.
    pub(super) fn unwatch(&mut self, portal: &[u8]) -> Option<(Box<[u8]>, Arc<Reading>)> {
        self.watched.remove_entry(kept_as(portal))
    }

    /// Watches this portal, and says how much was looked at for it besides.
    pub(super) fn watch(&mut self, portal: &[u8], others: Arc<Reading>) -> usize {
        let portal = kept_as(portal);
        let either = |before: &Arc<Reading>| Arc::new(before.or(&others, STATEMENTS_MAX));
        let mut looked = 0;
        if let Some(before) = self.watched.get_mut(portal) {
            // Where the name was taken, its Bind fails.
            looked = before.weight();
            *before = either(before);
        } else if portal.is_empty() || self.watched.len() < WATCHED_MAX {
            self.watched.insert(portal.into(), others);
        } else {
            self.more = Some(match &self.more {
                Some(before) => {
                    looked = before.weight();
                    either(before)
                }
                None => others,
            });
        }
        looked
    }
}

impl Gate {
    /// Notes that a text runs that was permitted.
    pub(super) fn runs(&mut self, reading: &Arc<Reading>) {
        if self.is_opaque(reading, &mut Earlier::default()) {
            self.prepared.doubt_names();
        }
        self.share
            .takes(NAME.saturating_mul(reading.prepares.len()));
        for name in &reading.prepares {
            // It may have to be joined with what it stood for before.
            let looked = self.prepared.put(name.as_bytes(), reading);
            self.share.takes(looked);
        }
    }

    /// Notes that a portal was bound to a text, which runs by and by.
    pub(super) fn binds(&mut self, portal: &[u8], reading: &Arc<Reading>) {
        if let Some(others) = reading.of_others() {
            let weight = others.weight();
            let looked = self.portals.watch(portal, Arc::new(others));
            self.share.takes(weight.saturating_add(looked));
        }
        let matters =
            !reading.prepares.is_empty() || self.is_opaque(reading, &mut Earlier::default());
        let place = if portal.is_empty() {
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
                    self.share.takes(weight);
                    Arc::new(before.or(reading, STATEMENTS_MAX))
                }
            });
        }
    }

    /// Notes that a portal runs: this one, or any.
    pub(super) fn executes(&mut self, portal: Option<&[u8]>) {
        let Portals { unnamed, named, .. } = &self.portals;
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
