//! When a certificate holds.

use jiff::{SignedDuration, Timestamp};

use crate::IssueError;

/// How far before the moment of signing a certificate begins, for clocks that are late.
pub const BACKDATING: SignedDuration = SignedDuration::from_secs(60);

/// When a certificate holds: half-open, in whole seconds.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) struct Window {
    pub(crate) from: Timestamp,
    pub(crate) until: Timestamp,
}

impl Window {
    /// From [`BACKDATING`] before `now` to `lifetime` after it, and not beyond `limit`. Fractions
    /// of a second are dropped from both ends, so that the end is never later than asked.
    pub(crate) fn new(
        now: Timestamp,
        lifetime: SignedDuration,
        limit: Option<Timestamp>,
    ) -> Result<Self, IssueError> {
        let from = now
            .checked_sub(BACKDATING)
            .map_err(|_overflow| IssueError::Time)?;
        let end = now
            .checked_add(lifetime)
            .map_err(|_overflow| IssueError::Time)?;
        let until = whole_second(limit.map_or(end, |limit| limit.min(end)))?;
        if until <= now {
            return Err(IssueError::NothingLeft);
        }
        Ok(Self {
            from: whole_second(from)?,
            until,
        })
    }

    /// From the first to the last second, both included, as X.509 counts (RFC 5280 section
    /// 4.1.2.5: the period includes `notAfter`).
    pub(crate) fn inclusive(self) -> (i64, i64) {
        (
            self.from.as_second(),
            self.until.as_second().saturating_sub(1),
        )
    }

    pub(crate) fn length(&self) -> SignedDuration {
        self.until.duration_since(self.from)
    }
}

fn whole_second(at: Timestamp) -> Result<Timestamp, IssueError> {
    // Before 1970 is before anything that is certified; as_second() rounds towards zero.
    if at < Timestamp::UNIX_EPOCH {
        return Err(IssueError::Time);
    }
    Timestamp::from_second(at.as_second()).map_err(|_overflow| IssueError::Time)
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::profile::PASS_LIFETIME_MAX;

    fn at(text: &str) -> Timestamp {
        text.parse().unwrap()
    }

    #[test]
    fn a_window_begins_a_minute_early_and_ends_with_the_permit() {
        let now = at("2026-01-01T12:00:00.9Z");
        let limit = at("2026-01-01T12:02:00.7Z");
        let window = Window::new(now, PASS_LIFETIME_MAX, Some(limit)).unwrap();
        assert_eq!(window.from, at("2026-01-01T11:59:00Z"));
        assert_eq!(window.until, at("2026-01-01T12:02:00Z"));
    }

    #[test]
    fn a_window_is_never_longer_than_its_lifetime() {
        let now = at("2026-01-01T12:00:00Z");
        let window = Window::new(now, PASS_LIFETIME_MAX, Some(at("2026-01-02T00:00:00Z"))).unwrap();
        assert_eq!(window.until, at("2026-01-01T12:05:00Z"));
    }

    #[test]
    fn a_permit_with_nothing_left_gives_no_window() {
        let now = at("2026-01-01T12:00:00.5Z");
        for limit in [
            "2026-01-01T12:00:00Z",
            "2026-01-01T12:00:00.9Z",
            "2025-01-01T00:00:00Z",
        ] {
            let refused = Window::new(now, PASS_LIFETIME_MAX, Some(at(limit)));
            assert!(matches!(refused, Err(IssueError::NothingLeft)), "{limit}");
        }
        Window::new(now, PASS_LIFETIME_MAX, Some(at("2026-01-01T12:00:01Z"))).unwrap();
    }

    #[test]
    fn x509_counts_its_last_second_in() {
        let now = at("2026-01-01T00:00:00Z");
        let window = Window::new(now, SignedDuration::from_secs(10), None).unwrap();
        let start = now.as_second();
        assert_eq!(window.inclusive(), (start - 60, start + 9));
    }
}
