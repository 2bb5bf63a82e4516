//! Durations and instants as people type and read them.

use std::time::Duration;

use jiff::Timestamp;
use policies::words::cli::outcome;

/// The text is not a duration that anything can last.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
pub(crate) enum DurationError {
    /// It cannot be read as one.
    #[error("`{0}` is not a duration such as 90s, 15m, 1h30m or 2d")]
    Odd(String),
    /// It is none at all.
    #[error("`{0}` is too short: 1s is the least")]
    Short(String),
}

/// The longest duration that can be typed: a year.
const DURATION_MAX: Duration = Duration::from_secs(366 * 24 * 3600);

/// Reads `90s`, `15m`, `1h30m`, `2d`.
pub(crate) fn duration(text: &str) -> Result<Duration, DurationError> {
    let shown = || text.chars().take(40).collect();
    let refuse = || DurationError::Odd(shown());
    let mut total = 0_u64;
    let mut digits = String::new();
    for c in text.chars() {
        if c.is_ascii_digit() {
            digits.push(c);
            continue;
        }
        let unit = match c {
            's' => 1,
            'm' => 60,
            'h' => 3600,
            'd' => 86_400,
            _other => return Err(refuse()),
        };
        let count: u64 = digits.parse().map_err(|_odd| refuse())?;
        total = count
            .checked_mul(unit)
            .and_then(|more| total.checked_add(more))
            .ok_or_else(refuse)?;
        digits.clear();
    }
    let whole = Duration::from_secs(total);
    if text.is_empty() || !digits.is_empty() || whole > DURATION_MAX {
        return Err(refuse());
    }
    if whole.is_zero() {
        return Err(DurationError::Short(shown()));
    }
    Ok(whole)
}

/// The text names no moment that has been.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
#[error("`{0}` is no moment: 2h is so long ago, and 2026-01-05T09:00:00Z is one")]
pub(crate) struct MomentError(String);

/// A moment that has been, as it is typed.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Moment {
    /// So long ago.
    Ago(Duration),
    /// Then.
    At(Timestamp),
}

impl Moment {
    /// When that was.
    pub(crate) fn before(self, now: Timestamp) -> Timestamp {
        match self {
            Self::Ago(long) => now.checked_sub(long).unwrap_or(Timestamp::MIN),
            Self::At(at) => at,
        }
    }
}

impl std::fmt::Display for Moment {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        match self {
            Self::Ago(long) => {
                let seconds = i64::try_from(long.as_secs()).unwrap_or(i64::MAX);
                f.write_str(&length(seconds))
            }
            Self::At(at) => at.fmt(f),
        }
    }
}

/// Reads `2h`, as so long ago, or an instant of RFC 3339.
pub(crate) fn moment(text: &str) -> Result<Moment, MomentError> {
    if let Ok(long) = duration(text) {
        return Ok(Moment::Ago(long));
    }
    let at = text.parse().map(Moment::At);
    at.map_err(|_odd| MomentError(text.chars().take(40).collect()))
}

/// A length of time in at most two units: `58m`, `1h30m`, `2d`.
pub(crate) fn length(seconds: i64) -> String {
    let seconds = seconds.unsigned_abs();
    let (days, hours, minutes) = (seconds / 86_400, seconds / 3600 % 24, seconds / 60 % 60);
    let parts = [
        (days, 'd'),
        (hours, 'h'),
        (minutes, 'm'),
        (seconds % 60, 's'),
    ];
    let shown: Vec<String> = parts
        .iter()
        .skip_while(|(count, _)| *count == 0)
        .take(2)
        .filter(|(count, _)| *count > 0)
        .map(|(count, unit)| format!("{count}{unit}"))
        .collect();
    if shown.is_empty() {
        return "0s".to_owned();
    }
    shown.concat()
}

/// An instant for people, whole: `2026-03-02 14:30:05 UTC`.
pub(crate) fn stamp(at: Timestamp) -> String {
    at.strftime("%Y-%m-%d %H:%M:%S UTC").to_string()
}

/// An instant for people: the time of day, with the date when it is another day. Always UTC, like
/// every time that the server tells.
pub(crate) fn instant(at: Timestamp, now: Timestamp) -> String {
    let day = |at: Timestamp| at.strftime("%Y-%m-%d").to_string();
    if day(at) == day(now) {
        at.strftime("%H:%M:%S UTC").to_string()
    } else {
        stamp(at)
    }
}

/// An instant and how far it is: `15:04:00 UTC (in 58m)`.
pub(crate) fn ahead(at: Timestamp, now: Timestamp) -> String {
    let left = at.as_second().saturating_sub(now.as_second());
    match left {
        ..=0 => outcome::over(&instant(at, now)),
        some => outcome::ahead(&instant(at, now), &length(some)),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[track_caller]
    fn check(text: &str, want: Option<u64>) {
        assert_eq!(duration(text).ok().map(|d| d.as_secs()), want, "{text}");
    }

    #[test]
    fn durations_are_numbers_with_units() {
        check("90s", Some(90));
        check("15m", Some(900));
        check("1h30m", Some(5400));
        check("2d", Some(172_800));
    }

    #[test]
    fn what_has_no_unit_no_number_or_no_end_is_no_duration() {
        for text in [
            "",
            "15",
            "m",
            "1h30",
            "-1h",
            "1w",
            "99999999999999999999h",
            "400d",
        ] {
            check(text, None);
        }
    }

    #[test]
    fn a_moment_is_so_long_ago_or_an_instant() {
        let now: Timestamp = "2026-01-05T09:00:00Z".parse().unwrap();
        let read = |text| moment(text).map(|moment| moment.before(now).to_string());
        assert_eq!(read("90m").as_deref(), Ok("2026-01-05T07:30:00Z"));
        let instant = "2026-01-04T00:00:00Z";
        assert_eq!(read(instant).as_deref(), Ok(instant));
        for odd in ["", "yesterday", "2026-01-04", "0s"] {
            assert!(moment(odd).is_err(), "{odd}");
        }
    }

    #[test]
    fn no_time_at_all_is_a_duration_that_is_too_short() {
        for text in ["0m", "0h0s"] {
            assert_eq!(duration(text), Err(DurationError::Short(text.to_owned())));
        }
    }

    #[test]
    fn lengths_have_two_units_at_most() {
        let lengths = [0, 59, 60, 3480, 5400, 86_400, 90_061].map(length);
        assert_eq!(lengths, ["0s", "59s", "1m", "58m", "1h30m", "1d", "1d1h"]);
    }

    #[test]
    fn another_day_is_shown_with_its_date() {
        let at = |second| Timestamp::from_second(second).unwrap();
        assert_eq!(instant(at(3600), at(0)), "01:00:00 UTC");
        assert_eq!(instant(at(90_000), at(0)), "1970-01-02 01:00:00 UTC");
    }
}
