//! Dates, times and intervals (`date.c`, `timestamp.c`): text as it is with `DateStyle` ISO, `TimeZone` UTC and
//! `IntervalStyle` postgres (`EncodeDateTime` and `EncodeInterval` in `datetime.c`).

use jiff::ToSpan as _;
use jiff::civil;

/// After so many days dates are those of 400 years before.
const ERA_DAYS: i64 = 146_097;
/// In microseconds.
const DAY: i64 = 86_400_000_000;
/// The days that there are, from 2000-01-01 on: `IS_VALID_DATE` in `datatype/timestamp.h`.
const DAYS: std::ops::Range<i32> = -2_451_545..2_145_031_949;
/// The timestamps that there are, in microseconds from 2000-01-01 on: `IS_VALID_TIMESTAMP` there.
const TIMESTAMPS: std::ops::Range<i64> = -211_813_488_000_000_000..9_223_371_331_200_000_000;
/// How far a zone may be from UTC, in seconds; itself it is too far. `TZDISP_LIMIT` there.
const ZONE_MAX: u32 = 16 * 3600;

/// A `date`: days since 2000-01-01.
pub(super) fn date(days: i32) -> Option<String> {
    match days {
        i32::MIN => Some("-infinity".to_owned()),
        i32::MAX => Some("infinity".to_owned()),
        _ => {
            let (date, era) = DAYS.contains(&days).then(|| day(days.into()))??;
            Some(date + era)
        }
    }
}

/// A `timestamp`: microseconds since 2000-01-01, and what stands behind the time.
pub(super) fn timestamp(micros: i64, zone: &str) -> Option<String> {
    match micros {
        i64::MIN => Some("-infinity".to_owned()),
        i64::MAX => Some("infinity".to_owned()),
        _ => {
            let days = TIMESTAMPS
                .contains(&micros)
                .then_some(micros.div_euclid(DAY))?;
            let (date, era) = day(days)?;
            let clock = clock(micros.rem_euclid(DAY).unsigned_abs());
            Some(format!("{date} {clock}{zone}{era}"))
        }
    }
}

/// A `time`: microseconds since midnight. The end of a day is one.
pub(super) fn time(micros: i64) -> Option<String> {
    (0..=DAY)
        .contains(&micros)
        .then(|| clock(micros.unsigned_abs()))
}

/// A `timetz`: a time, and by how many seconds UTC is ahead there.
pub(super) fn time_with_zone(bytes: &[u8]) -> Option<String> {
    let (micros, west) = bytes.split_first_chunk()?;
    let time = time(i64::from_be_bytes(*micros))?;
    let west = i32::from_be_bytes(super::whole(west)?);
    let (sign, away) = (if west > 0 { '-' } else { '+' }, west.unsigned_abs());
    if away >= ZONE_MAX {
        return None;
    }
    let (hours, minutes, seconds) = (away / 3600, away / 60 % 60, away % 60);
    Some(match (minutes, seconds) {
        (0, 0) => format!("{time}{sign}{hours:02}"),
        (_, 0) => format!("{time}{sign}{hours:02}:{minutes:02}"),
        _ => format!("{time}{sign}{hours:02}:{minutes:02}:{seconds:02}"),
    })
}

/// An `interval`: microseconds, days and months, each with a sign. The ends of all three are infinite, as
/// PostgreSQL 17 has it.
pub(super) fn interval(bytes: &[u8]) -> Option<String> {
    let (micros, rest) = bytes.split_first_chunk()?;
    let (days, months) = rest.split_first_chunk()?;
    let micros = i64::from_be_bytes(*micros);
    let days = i32::from_be_bytes(*days);
    let months = i32::from_be_bytes(super::whole(months)?);
    match (micros, days, months) {
        (i64::MIN, i32::MIN, i32::MIN) => return Some("-infinity".to_owned()),
        (i64::MAX, i32::MAX, i32::MAX) => return Some("infinity".to_owned()),
        _finite => {}
    }
    let (mut parts, mut before) = (Vec::new(), false);
    for (count, unit) in [(months / 12, "year"), (months % 12, "mon"), (days, "day")] {
        if count != 0 {
            // What follows something negative has a sign.
            let plus = if before && count > 0 { "+" } else { "" };
            let plural = if count == 1 { "" } else { "s" };
            parts.push(format!("{plus}{count} {unit}{plural}"));
            before = count < 0;
        }
    }
    if micros != 0 || parts.is_empty() {
        let sign = match (micros < 0, before) {
            (true, _) => "-",
            (false, true) => "+",
            (false, false) => "",
        };
        parts.push(format!("{sign}{}", clock(micros.unsigned_abs())));
    }
    Some(parts.join(" "))
}

/// The date so many days after 2000-01-01, and what stands behind it and its time where it is before our era.
fn day(days: i64) -> Option<(String, &'static str)> {
    let within = days.rem_euclid(ERA_DAYS).days();
    let date = civil::date(2000, 1, 1).checked_add(within).ok()?;
    let eras = days.div_euclid(ERA_DAYS).checked_mul(400)?;
    let year = eras.checked_add(date.year().into())?;
    // There is no year 0.
    let (year, era) = match year {
        1.. => (year, ""),
        _before => (1_i64.checked_sub(year)?, " BC"),
    };
    Some((
        format!("{year:04}-{:02}-{:02}", date.month(), date.day()),
        era,
    ))
}

/// Hours, of which there may be any number, minutes and seconds.
fn clock(micros: u64) -> String {
    let (hours, minutes) = (micros / 3_600_000_000, micros / 60_000_000 % 60);
    let (seconds, parts) = (micros / 1_000_000 % 60, micros % 1_000_000);
    let whole = format!("{hours:02}:{minutes:02}:{seconds:02}");
    if parts == 0 {
        whole
    } else {
        let parts = format!("{parts:06}");
        format!("{whole}.{}", parts.trim_end_matches('0'))
    }
}
