//! What each principal did of late: in a span that begins with the first of it, for what is bounded by the minute
//! or the hour.

use std::collections::{BTreeMap, VecDeque};
use std::sync::{Mutex, MutexGuard, PoisonError};
use std::time::Duration;

use policies::PrincipalName;
use tokio::time::Instant;

/// A minute.
pub(super) const MINUTE: Duration = Duration::from_secs(60);

/// An hour.
pub(super) const HOUR: Duration = Duration::from_secs(3600);

/// What each did, until it is taken out once its span is over.
#[derive(Debug)]
pub(super) struct Recent<T> {
    span: Duration,
    spans: Mutex<Spans<T>>,
}

#[derive(Debug)]
struct Spans<T> {
    by_principal: BTreeMap<PrincipalName, T>,
    /// When whose span is over: all are equally long, so in the order in which they began.
    ends: VecDeque<(Instant, PrincipalName)>,
}

impl<T: Default> Recent<T> {
    /// Nobody did anything yet.
    pub(super) fn within(span: Duration) -> Self {
        let spans = Spans {
            by_principal: BTreeMap::new(),
            ends: VecDeque::new(),
        };
        Self {
            span,
            spans: Mutex::new(spans),
        }
    }

    /// Adds to what `who` did in the span that lasts, or that begins now. It lasts until it is taken out.
    pub(super) fn add<A>(
        &self,
        who: &PrincipalName,
        now: Instant,
        add: impl FnOnce(&mut T) -> A,
    ) -> A {
        let mut spans = self.locked();
        let Spans { by_principal, ends } = &mut *spans;
        let done = by_principal.entry(who.clone()).or_insert_with(|| {
            let end = now.checked_add(self.span).unwrap_or(now);
            ends.push_back((end, who.clone()));
            T::default()
        });
        add(done)
    }

    /// Takes out somebody whose span is over, with what they did in it. One at a time: what is taken out and then
    /// not written down is lost.
    pub(super) fn over(&self, now: Instant) -> Option<(PrincipalName, T)> {
        let mut spans = self.locked();
        spans.ends.front().filter(|(end, _who)| *end <= now)?;
        let (_end, who) = spans.ends.pop_front()?;
        let done = spans.by_principal.remove(&who)?;
        Some((who, done))
    }

    fn locked(&self) -> MutexGuard<'_, Spans<T>> {
        self.spans.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

#[cfg(test)]
#[expect(
    clippy::disallowed_methods,
    reason = "any instant will do to count from"
)]
mod tests {
    use super::*;

    #[test]
    fn each_has_a_span_of_their_own_and_is_taken_out_once() {
        let (recent, now) = (Recent::<u32>::within(MINUTE), Instant::now());
        let [eve, alice] = ["eve", "alice"].map(|name| PrincipalName::parse(name).unwrap());
        let tick = Duration::from_millis(1);
        let add = |who, now| {
            recent.add(who, now, |count| {
                *count += 1;
                *count
            })
        };
        assert_eq!(
            (add(&eve, now), add(&alice, now + tick), add(&eve, now)),
            (1, 1, 2)
        );
        assert_eq!(recent.over(now + MINUTE - tick), None);
        assert_eq!(recent.over(now + MINUTE), Some((eve.clone(), 2)));
        assert_eq!(recent.over(now + MINUTE), None);
        assert_eq!(add(&eve, now + MINUTE), 1);
        assert_eq!(recent.over(now + 2 * MINUTE), Some((alice, 1)));
        assert_eq!(recent.over(now + 2 * MINUTE), Some((eve, 1)));
        let spans = recent.locked();
        assert!(spans.by_principal.is_empty() && spans.ends.is_empty());
    }
}
