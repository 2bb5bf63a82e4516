//! Lengths of time as people type them: `90m`, `1h30m`, `2d`, `45s`.

use jiff::SignedDuration;

/// Why a text is not a length of time.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
pub enum DurationError {
    /// It is not numbers with `d`, `h`, `m` or `s`, largest first.
    #[error("`{0}` is not a length of time such as 90m, 1h30m or 2d")]
    Form(String),
    /// It is longer than a hundred years.
    #[error("`{0}` is too long")]
    Long(String),
}

/// The units and their lengths in seconds, largest first.
const UNITS: [(char, i64); 4] = [('d', 86_400), ('h', 3_600), ('m', 60), ('s', 1)];

/// The longest length, in seconds: a hundred years of 365 days.
const MAX: i64 = 100 * 365 * 86_400;

/// Reads `90m`, `1h30m`, `2d`: numbers with a unit each, every unit at most once, largest first. A
/// day is 24 hours.
///
/// # Errors
/// If it is anything else, for example a number without a unit.
pub fn parse(text: &str) -> Result<SignedDuration, DurationError> {
    let form = || DurationError::Form(text.chars().take(40).collect());
    let long = || DurationError::Long(text.chars().take(40).collect());
    let mut seconds = 0_i64;
    let mut rest = text;
    let mut units = UNITS.iter();
    while !rest.is_empty() {
        let end = rest.find(|c: char| !c.is_ascii_digit()).ok_or_else(form)?;
        let (digits, tail) = rest.split_at(end);
        let mut tail_chars = tail.chars();
        let unit = tail_chars.next().ok_or_else(form)?;
        let (_, length) = units.find(|(name, _)| *name == unit).ok_or_else(form)?;
        if digits.is_empty() {
            return Err(form());
        }
        let count = digits.parse::<i64>().map_err(|_overflow| long())?;
        let part = count.checked_mul(*length).ok_or_else(long)?;
        seconds = seconds
            .checked_add(part)
            .filter(|sum| *sum <= MAX)
            .ok_or_else(long)?;
        rest = tail_chars.as_str();
    }
    if text.is_empty() {
        Err(form())
    } else {
        Ok(SignedDuration::from_secs(seconds))
    }
}

/// Writes a length so that [`parse`] reads the same: `1h30m`. What is shorter than a second is cut;
/// a negative length is written as `0s`.
pub fn print(length: SignedDuration) -> String {
    let mut rest = length.as_secs().max(0);
    let mut text = String::new();
    for (name, unit) in UNITS {
        let count = rest.checked_div(unit).unwrap_or(0);
        rest = rest.checked_rem(unit).unwrap_or(0);
        if count > 0 {
            text.push_str(&count.to_string());
            text.push(name);
        }
    }
    if text.is_empty() {
        "0s".to_owned()
    } else {
        text
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[track_caller]
    fn check(text: &str, seconds: Option<i64>) {
        assert_eq!(
            parse(text).ok().map(|length| length.as_secs()),
            seconds,
            "{text}"
        );
    }

    #[test]
    fn lengths_are_read_as_people_type_them() {
        check("90m", Some(5_400));
        check("1h30m", Some(5_400));
        check("2d", Some(172_800));
        check("1d2h3m4s", Some(93_784));
        check("0s", Some(0));
    }

    #[test]
    fn anything_ambiguous_is_refused() {
        for text in [
            "", "90", "m", "1m1h", "1h1h", "-5m", "1.5h", "1h ", " 1h", "1w", "１h",
        ] {
            check(text, None);
        }
    }

    #[test]
    fn a_length_beyond_a_hundred_years_is_refused() {
        check("36500d", Some(MAX));
        check("36501d", None);
        check("99999999999999999999d", None);
        check("9223372036854775807d", None);
    }

    #[test]
    fn lengths_are_written_as_they_would_be_typed() {
        for text in ["15m", "1h30m", "2d", "1d1s", "0s"] {
            assert_eq!(print(parse(text).unwrap()), text);
        }
        assert_eq!(print(SignedDuration::from_mins(90)), "1h30m");
        assert_eq!(print(SignedDuration::from_secs(-5)), "0s");
    }
}
