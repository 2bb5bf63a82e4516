//! Numbers that are no whole ones: `float.c`, `numeric.c`.

use std::fmt::{Display, LowerExp};

/// What a `numeric` without a number says in place of a sign: `NUMERIC_NAN`, `NUMERIC_PINF`, `NUMERIC_NINF`.
const SPECIAL: [(u16, &str); 3] = [(0xc000, "NaN"), (0xd000, "Infinity"), (0xf000, "-Infinity")];
/// `NUMERIC_NEG`.
const NEGATIVE: u16 = 0x4000;
/// `NUMERIC_DSCALE_MASK`.
const SCALE_MAX: usize = 0x3fff;

/// `float4out`.
pub(super) fn float4(value: f32) -> String {
    float(value, value.is_nan(), value.is_infinite(), 6)
}

/// `float8out`. Where two texts are equally near, the server takes one with more digits (1e23 is
/// `9.999999999999999e+22` there); both are read as the same number.
pub(super) fn float8(value: f64) -> String {
    float(value, value.is_nan(), value.is_infinite(), 15)
}

/// The fewest digits that are read as this value: with an exponent where there would be more than `digits` before
/// the point, or more than four zeros behind it (`double_to_shortest_decimal_bufn` in `src/common/d2s.c`).
fn float<T: Display + LowerExp>(value: T, nan: bool, infinite: bool, digits: i32) -> String {
    let scientific = format!("{value:e}");
    let (mantissa, exponent) = scientific.split_once('e').unwrap_or((&scientific, "0"));
    let exponent: i32 = exponent.parse().unwrap_or_default();
    match (nan, infinite) {
        (true, _) => "NaN".to_owned(),
        (_, true) if mantissa.starts_with('-') => "-Infinity".to_owned(),
        (_, true) => "Infinity".to_owned(),
        _number if (-4..digits).contains(&exponent) => value.to_string(),
        _number => {
            let sign = if exponent < 0 { '-' } else { '+' };
            format!("{mantissa}e{sign}{:02}", exponent.unsigned_abs())
        }
    }
}

/// A `numeric`: how many groups of four digits, what power of 10,000 the first one counts, a sign, how many digits
/// are behind the point, and the groups (`numeric_recv`). At most `room` digits.
pub(super) fn numeric(bytes: &[u8], room: usize) -> Option<String> {
    let (head, groups) = bytes.split_first_chunk::<8>()?;
    let [count, weight, sign, scale] = *head.as_chunks().0 else {
        return None;
    };
    let (count, scale) = (u16::from_be_bytes(count), u16::from_be_bytes(scale));
    let (weight, sign) = (i16::from_be_bytes(weight), u16::from_be_bytes(sign));
    let (groups, odd) = groups.as_chunks();
    let groups: Vec<u16> = groups
        .iter()
        .map(|group| u16::from_be_bytes(*group))
        .collect();
    let (weight, scale) = (i32::from(weight), usize::from(scale));
    if !odd.is_empty()
        || groups.len() != usize::from(count)
        || groups.iter().any(|group| *group > 9_999)
        || scale > SCALE_MAX
    {
        return None;
    }
    if let Some((_sign, text)) = SPECIAL.iter().find(|(special, _text)| *special == sign) {
        return Some((*text).to_owned());
    }
    if !matches!(sign, 0 | NEGATIVE) {
        return None;
    }
    let before = weight.checked_add(1)?;
    let whole_groups = usize::try_from(before).unwrap_or(0);
    if whole_groups.checked_mul(4)?.checked_add(scale)? > room {
        return None;
    }
    let group = |place: i32| {
        let group = usize::try_from(place)
            .ok()
            .and_then(|place| groups.get(place));
        format!("{:04}", group.copied().unwrap_or(0))
    };
    let whole: String = (0..before).map(group).collect();
    let whole = match whole.trim_start_matches('0') {
        "" => "0",
        whole => whole,
    };
    // What is behind the last digit that there is to be is cut off, as the server does it.
    let behind = i32::try_from(scale.div_ceil(4)).ok()?;
    let mut parts: String = (before..before.checked_add(behind)?).map(group).collect();
    parts.truncate(scale);
    let zero = whole == "0" && parts.bytes().all(|digit| digit == b'0');
    let minus = if sign == NEGATIVE && !zero { "-" } else { "" };
    let point = if parts.is_empty() { "" } else { "." };
    Some(format!("{minus}{whole}{point}{parts}"))
}
