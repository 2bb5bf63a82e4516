//! What has been read before: one table for the whole server, of fixed size.
//!
//! A text has one place, and so has its [shape]; what comes to a place takes it. So no text can fill the
//! table, and none is ever mistaken for another, since the whole of it is compared. Nobody waits: a place that
//! is being looked at by another thread counts as empty.

use std::fmt;
use std::hash::{BuildHasher, RandomState};
use std::sync::{Arc, Mutex, PoisonError, TryLockError};

use super::redact::has_password;
use super::shape::shape;
use super::{Reading, cut, of};

/// How many texts are kept. A power of two.
const PLACES: usize = 4096;

/// The longest text that is kept, in bytes, and the most that may be known of one. Together with [`PLACES`]
/// it bounds the table to 32 MiB.
const KEPT_MAX: usize = 4096;

type Place = Mutex<Option<(Box<[u8]>, Arc<Reading>)>>;

/// The table.
pub(crate) struct Known {
    places: Box<[Place]>,
    hasher: RandomState,
}

impl fmt::Debug for Known {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Known").finish_non_exhaustive()
    }
}

impl Default for Known {
    fn default() -> Self {
        Self {
            places: std::iter::repeat_with(Place::default)
                .take(PLACES)
                .collect(),
            hasher: RandomState::new(),
        }
    }
}

impl Known {
    /// What a text would do that was read before, if that is known still.
    pub(crate) fn get(&self, text: &[u8]) -> Option<Arc<Reading>> {
        look(self.place(text), text)
    }

    /// What a text would do.
    pub(crate) fn read(&self, text: &[u8]) -> Arc<Reading> {
        let place = self.place(text);
        if let Some(known) = look(place, text) {
            return known;
        }
        let reading = match cut(text) {
            None => Arc::new(Reading::unknown()),
            Some(tokens) => {
                let shape = shape(&tokens);
                let place = self.place(&shape);
                look(place, &shape).unwrap_or_else(|| {
                    let reading = Arc::new(of(&tokens));
                    keep(place, shape, &reading);
                    reading
                })
            }
        };
        // A password is kept by nobody; what else the text is, its shape says.
        if text.len() <= KEPT_MAX && !has_password(text) {
            keep(place, text.to_vec(), &reading);
        }
        reading
    }

    /// Where this is, if it is there. None for what is too long to be kept.
    fn place(&self, text: &[u8]) -> Option<&Place> {
        if text.len() > KEPT_MAX {
            return None;
        }
        let hash = usize::try_from(self.hasher.hash_one(text)).unwrap_or_default();
        self.places.get(hash & PLACES.saturating_sub(1))
    }
}

fn look(place: Option<&Place>, text: &[u8]) -> Option<Arc<Reading>> {
    let place = match place?.try_lock() {
        Ok(place) => place,
        Err(TryLockError::Poisoned(place)) => PoisonError::into_inner(place),
        Err(TryLockError::WouldBlock) => return None,
    };
    let (known, reading) = place.as_ref()?;
    (**known == *text).then(|| Arc::clone(reading))
}

fn keep(place: Option<&Place>, text: Vec<u8>, reading: &Arc<Reading>) {
    if let Some(Ok(mut place)) = place.map(Mutex::try_lock)
        && reading.weight() <= KEPT_MAX
    {
        *place = Some((text.into(), Arc::clone(reading)));
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_text_is_read_once_and_never_mistaken() {
        let known = Known::default();
        let first = known.read(b"select 1");
        assert!(Arc::ptr_eq(&first, &known.read(b"select 1")));
        for number in 0..20_000 {
            let text = format!("delete from t{number}");
            let reading = known.read(text.as_bytes());
            assert!(
                reading.statements[0]
                    .relations
                    .contains(&format!("t{number}")),
                "{text}"
            );
        }
        assert_eq!(*known.read(b"select 1"), *first);
    }

    #[test]
    fn a_password_is_in_no_place() {
        let known = Known::default();
        let text = b"alter role app password 'hunter2'";
        let first = known.read(text);
        assert!(Arc::ptr_eq(&first, &known.read(text)), "its shape is");
        let taken = known.places.iter().filter_map(|place| {
            let place = place.lock().unwrap();
            place.as_ref().map(|(key, _reading)| key.to_vec())
        });
        for key in taken {
            assert!(!key.windows(7).any(|part| part == b"hunter2"));
        }
    }

    #[test]
    fn a_text_with_other_constants_is_known() {
        let known = Known::default();
        let first = known.read(b"delete from t where id = 1 and name = 'a'");
        let other = known.read(b"delete from t where id = 22 and name = 'it''s'");
        assert!(Arc::ptr_eq(&first, &other));
        assert_eq!(
            *other,
            super::super::read(b"delete from t where id = 22 and name = 'it''s'")
        );
        let much = format!("select {}", "f(1), ".repeat(2_000));
        assert_eq!(
            *known.read(much.as_bytes()),
            super::super::read(much.as_bytes())
        );
    }
}
