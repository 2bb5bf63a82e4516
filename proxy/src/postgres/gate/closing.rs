//! Names that the client has closed, until the server says that they are gone.
//!
//! Only `CloseComplete` tells. That everything before a Close was answered does not: a statement timeout that fired
//! in a copy is told with the first message behind it, whatever that is. Up to the next Sync this does not matter,
//! because with the Close the server drops what uses the name. Behind one, the name may stand for what it did.

use std::sync::Arc;

use super::Gate;
use super::prepared::kept_as;
use crate::postgres::statement::Reading;
use crate::postgres::wire::{self, Named};

/// How many closed names are waited for. Any beyond that stay as they are.
const WAITING_MAX: usize = 64;

/// The Closes that have not been answered.
#[derive(Debug, Default)]
pub(super) struct Closings {
    waiting: Vec<Closing>,
    /// The number that the next Close gets.
    next: u64,
}

/// One of them, and what its name stood for.
#[derive(Debug)]
struct Closing {
    number: u64,
    kind: Kind,
    name: Box<[u8]>,
    former: Arc<Reading>,
    stage: Stage,
}

#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Kind {
    Statement,
    Portal,
}

/// How far the client has gone on since.
#[derive(Debug)]
enum Stage {
    /// It is in the same batch.
    Batch,
    /// It has ended that batch.
    Synced,
    /// Behind that, it does something that names matter for: the name stands for both.
    Back {
        both: Option<Arc<Reading>>,
        /// What it stands for where the Close was acted on.
        without: Option<Arc<Reading>>,
    },
}

impl Closings {
    /// Takes the number that the next numbered message gets.
    pub(super) fn count_from(&mut self, next: u64) {
        self.next = next;
    }

    /// Notes that a batch has ended: what comes next is not dropped with a Close before it.
    pub(super) fn synced(&mut self) {
        for closing in &mut self.waiting {
            if matches!(closing.stage, Stage::Batch) {
                closing.stage = Stage::Synced;
            }
        }
    }

    /// Forgets the portals.
    pub(super) fn transaction_ended(&mut self) {
        self.waiting
            .retain(|closing| closing.kind == Kind::Statement);
    }

    /// Forgets all of them, where nothing is known any more of what names stand for.
    pub(super) fn doubt(&mut self) {
        self.waiting.clear();
    }

    /// Whether this statement's name is another once the server has answered what it was sent.
    pub(super) fn is_open(&self, name: &[u8]) -> bool {
        let name = kept_as(name);
        self.waiting.iter().any(|closing| {
            let is_back = matches!(closing.stage, Stage::Back { .. });
            is_back && closing.kind == Kind::Statement && *closing.name == *name
        })
    }
}

impl Gate {
    /// Takes a Close that passes. Nothing is kept for one before which anything is outstanding, or of a name that has
    /// stood for what needs a second person.
    pub(super) fn close(&mut self, body: &[u8]) {
        let number = self.closings.next;
        self.closings.next = number.saturating_add(1);
        if !self.is_counted || self.closings.waiting.len() >= WAITING_MAX {
            return;
        }
        let (kind, closed) = match wire::named(b'C', body) {
            Ok(Named::Statement(name)) if !self.second.is_hot(name) => {
                (Kind::Statement, self.prepared.take(name))
            }
            Ok(Named::Portal(portal)) if portal.is_ascii() => {
                (Kind::Portal, self.portals.unwatch(portal))
            }
            _stays => return,
        };
        if let Some((name, former)) = closed {
            self.closings.waiting.push(Closing {
                number,
                kind,
                name,
                former,
                stage: Stage::Batch,
            });
        }
    }

    /// Notes that the server has acted on the Close of this number.
    pub(crate) fn closed(&mut self, number: u64) {
        let mut waiting = self.closings.waiting.iter();
        let Some(place) = waiting.position(|closing| closing.number == number) else {
            return;
        };
        let Closing {
            kind, name, stage, ..
        } = self.closings.waiting.remove(place);
        let Stage::Back { both, without } = stage else {
            return;
        };
        let is_same = match (self.stands_for(kind, &name), both) {
            (Some(there), Some(both)) => Arc::ptr_eq(&there, &both),
            _other => false,
        };
        if !is_same {
            return;
        }
        match kind {
            Kind::Statement => drop(self.prepared.take(&name)),
            Kind::Portal => drop(self.portals.unwatch(&name)),
        }
        if let Some(without) = without {
            self.join(kind, &name, &without);
        }
    }

    /// Has names that were closed before the last Sync stand for what they did as well.
    pub(super) fn put_back(&mut self) {
        let mut waiting = std::mem::take(&mut self.closings.waiting);
        for closing in &mut waiting {
            if matches!(closing.stage, Stage::Synced) {
                let (kind, name) = (closing.kind, &closing.name);
                let without = self.stands_for(kind, name);
                self.join(kind, name, &closing.former);
                let both = self.stands_for(kind, name);
                closing.stage = Stage::Back { both, without };
            }
        }
        self.closings.waiting = waiting;
    }

    /// Notes that no more of the Closes will be answered.
    pub(super) fn give_up_closed(&mut self) {
        self.closings.synced();
        self.put_back();
        self.closings.waiting.clear();
    }

    fn stands_for(&self, kind: Kind, name: &[u8]) -> Option<Arc<Reading>> {
        match kind {
            Kind::Statement => self.prepared.get(name),
            Kind::Portal => self.portals.get(name),
        }
    }

    fn join(&mut self, kind: Kind, name: &[u8], reading: &Arc<Reading>) {
        let looked = match kind {
            Kind::Statement => self.prepared.put(name, reading),
            Kind::Portal => self.portals.watch(name, Arc::clone(reading)),
        };
        self.share.takes(looked);
    }
}
