//! A judge by a function.

use std::cell::{Cell, RefCell};

use policies::words::Words;

use super::{Touch, Warden};

/// Says whether a file may be touched, and remembers what was asked last.
pub(super) struct Judging<F> {
    says: F,
    last: RefCell<Option<Touch>>,
    asked: Cell<usize>,
}

/// One that says this.
pub(super) fn judging<F: Fn(&Touch) -> bool>(says: F) -> Judging<F> {
    Judging {
        says,
        last: RefCell::default(),
        asked: Cell::new(0),
    }
}

impl<F: Fn(&Touch) -> bool> Warden for Judging<F> {
    fn allows(&self, touch: &Touch) -> Result<(), Words> {
        if self.last.replace(Some(touch.clone())).as_ref() != Some(touch) {
            self.asked.set(self.asked.get().saturating_add(1));
        }
        if (self.says)(touch) {
            Ok(())
        } else {
            Err(Words::new("TG621", "no"))
        }
    }

    fn reads_nothing(&self) -> bool {
        false
    }

    fn asked(&self) -> usize {
        self.asked.get()
    }
}
