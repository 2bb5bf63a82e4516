//! Ranges and multiranges (`rangetypes.c`, `multirangetypes.c`), as the server keeps what it takes: those of whole numbers
//! and days from the first that is in them up to the first that is not, and those of a multirange in order and joined.

use std::cmp::Ordering;

use super::moment;

/// `RANGE_EMPTY` in `rangetypes.h`, and whether a bound is in the range, or there is none.
const EMPTY: u8 = 0x01;
const LOWER_IN: u8 = 0x02;
const UPPER_IN: u8 = 0x04;
const LOWER_NONE: u8 = 0x08;
const UPPER_NONE: u8 = 0x10;

/// Types of ranges, of their multiranges, and of their bounds: `pg_range.dat`.
const RANGES: [(u32, u32, u32); 6] = [
    (3904, 4451, 23),
    (3906, 4532, 1700),
    (3908, 4533, 1114),
    (3910, 4534, 1184),
    (3912, 4535, 1082),
    (3926, 4536, 20),
];

/// A range or several, of bounds of this type.
#[derive(Debug, Clone, Copy)]
pub(super) enum Kind {
    /// A range.
    One(u32),
    /// A multirange.
    Several(u32),
}

/// What a value of this type is. `None` where it is no range that is known here.
pub(super) fn kind(oid: u32) -> Option<Kind> {
    RANGES.iter().find_map(|(one, several, element)| {
        if *one == oid {
            Some(Kind::One(*element))
        } else {
            (*several == oid).then_some(Kind::Several(*element))
        }
    })
}

/// The text of one.
pub(super) fn text(kind: Kind, bytes: &[u8]) -> Option<String> {
    let room = super::room(bytes.len());
    let (mut out, mut left) = (String::new(), room);
    match kind {
        Kind::One(element) => match one(element, bytes, &mut left)? {
            Span::Empty => out.push_str("empty"),
            Span::Of(range) => range.write(element, &mut out)?,
        },
        Kind::Several(element) => {
            let ranges = several(element, bytes, &mut left)?;
            out.push('{');
            for (number, range) in (0_usize..).zip(&ranges) {
                if number > 0 {
                    out.push(',');
                }
                range.write(element, &mut out)?;
                if out.len() > room {
                    return None;
                }
            }
            out.push('}');
        }
    }
    Some(out)
}

/// What a bound is at.
#[derive(Debug, PartialEq, Eq)]
enum Place {
    /// A whole number, a day or an instant.
    Whole(i64),
    /// A `numeric`, in its digits.
    Number(String),
}

impl Place {
    fn read(element: u32, bytes: &[u8], left: &mut usize) -> Option<Self> {
        let place = match element {
            23 | 1082 => Self::Whole(i32::from_be_bytes(super::whole(bytes)?).into()),
            20 | 1114 | 1184 => Self::Whole(i64::from_be_bytes(super::whole(bytes)?)),
            1700 => {
                let digits = super::number::numeric(bytes, super::room(bytes.len()))?;
                *left = left.checked_sub(digits.len())?;
                Self::Number(digits)
            }
            _other => return None,
        };
        // A day or an instant beyond those that there are is none.
        place.text(element).is_some().then_some(place)
    }

    fn text(&self, element: u32) -> Option<String> {
        match (self, element) {
            (Self::Number(digits), _) => Some(digits.clone()),
            (Self::Whole(days), 1082) => moment::date(i32::try_from(*days).ok()?),
            (Self::Whole(micros), 1114) => moment::timestamp(*micros, ""),
            (Self::Whole(micros), 1184) => moment::timestamp(*micros, "+00"),
            (Self::Whole(number), 23) => Some(i32::try_from(*number).ok()?.to_string()),
            (Self::Whole(number), _) => Some(number.to_string()),
        }
    }

    fn order(&self, other: &Self) -> Ordering {
        match (self, other) {
            (Self::Whole(one), Self::Whole(two)) => one.cmp(two),
            (Self::Number(one), Self::Number(two)) => order(one, two),
            // Both are of one type.
            (Self::Whole(_), Self::Number(_)) => Ordering::Less,
            (Self::Number(_), Self::Whole(_)) => Ordering::Greater,
        }
    }
}

/// Which `numeric` is less (`cmp_numerics` in `numeric.c`): NaN is more than anything.
fn order(one: &str, two: &str) -> Ordering {
    let class = |digits| match digits {
        "-Infinity" => 0_u8,
        "Infinity" => 2,
        "NaN" => 3,
        _finite => 1,
    };
    match (class(one), class(two)) {
        (1, 1) => {}
        (one, two) => return one.cmp(&two),
    }
    match (one.strip_prefix('-'), two.strip_prefix('-')) {
        (None, None) => size(one, two),
        (Some(one), Some(two)) => size(two, one),
        (Some(_), None) => Ordering::Less,
        (None, Some(_)) => Ordering::Greater,
    }
}

/// Which of two numbers without signs is less.
fn size(one: &str, two: &str) -> Ordering {
    let (one, of_one) = one.split_once('.').unwrap_or((one, ""));
    let (two, of_two) = two.split_once('.').unwrap_or((two, ""));
    let [of_one, of_two] = [of_one, of_two].map(|parts| parts.trim_end_matches('0'));
    let whole = one.len().cmp(&two.len()).then_with(|| one.cmp(two));
    whole.then_with(|| of_one.cmp(of_two))
}

/// One end of a range.
#[derive(Debug)]
struct Bound {
    /// Nothing, where the range has no end there.
    at: Option<Place>,
    is_in: bool,
    is_lower: bool,
}

impl Bound {
    /// Which stands before the other, whether they are in or not: `range_cmp_bound_values`.
    fn place(&self, other: &Self) -> Ordering {
        match (&self.at, &other.at) {
            (Some(one), Some(two)) => one.order(two),
            (None, None) if self.is_lower == other.is_lower => Ordering::Equal,
            (None, _) if self.is_lower => Ordering::Less,
            (None, _) => Ordering::Greater,
            (Some(_), None) if other.is_lower => Ordering::Greater,
            (Some(_), None) => Ordering::Less,
        }
    }

    /// Which stands before the other: `range_cmp_bounds`.
    fn order(&self, other: &Self) -> Ordering {
        let out_of = |bound: &Self| if bound.is_lower { 1_i8 } else { -1 };
        // One that is not in stands a little behind where it begins, or before where it ends.
        let nudge = |bound: &Self| if bound.is_in { 0 } else { out_of(bound) };
        self.place(other)
            .then_with(|| nudge(self).cmp(&nudge(other)))
    }

    /// The same as the server writes it where values follow each other one by one: a range begins with what is in it, and
    /// ends with what is not (`int4range_canonical` and its like). `None` where there is no next.
    fn stepped(self, element: u32) -> Option<Self> {
        let is_wanted = self.is_lower;
        let next = match (&self.at, element) {
            (Some(_), _) if self.is_in == is_wanted => None,
            // Of days the infinite ones stay as they are.
            (Some(Place::Whole(days)), 1082)
                if [i32::MIN, i32::MAX].map(i64::from).contains(days) =>
            {
                None
            }
            (Some(Place::Whole(number)), 20 | 23 | 1082) => Some(number.checked_add(1)?),
            (Some(_) | None, _) => None,
        };
        let Some(next) = next.map(Place::Whole) else {
            return Some(self);
        };
        next.text(element)?;
        Some(Self {
            at: Some(next),
            is_in: is_wanted,
            ..self
        })
    }
}

/// A range that is not empty.
#[derive(Debug)]
struct Range {
    lower: Bound,
    upper: Bound,
}

/// A range, or none.
enum Span {
    Empty,
    Of(Range),
}

impl Range {
    /// What is between two bounds: `range_serialize`. `None` where they stand the wrong way round.
    fn between(lower: Bound, upper: Bound) -> Option<Span> {
        match lower.place(&upper) {
            Ordering::Greater => None,
            Ordering::Equal if !(lower.is_in && upper.is_in) => Some(Span::Empty),
            Ordering::Equal | Ordering::Less => Some(Span::Of(Self { lower, upper })),
        }
    }

    /// Whether one that does not begin before this one overlaps it, or begins where it ends.
    fn meets(&self, next: &Self) -> bool {
        match self.upper.place(&next.lower) {
            Ordering::Less => false,
            Ordering::Equal => self.upper.is_in || next.lower.is_in,
            Ordering::Greater => true,
        }
    }

    /// `range_out`.
    fn write(&self, element: u32, out: &mut String) -> Option<()> {
        out.push(if self.lower.is_in { '[' } else { '(' });
        write_place(self.lower.at.as_ref(), element, out)?;
        out.push(',');
        write_place(self.upper.at.as_ref(), element, out)?;
        out.push(if self.upper.is_in { ']' } else { ')' });
        Some(())
    }
}

/// `range_bound_escape`: of what stands in a range only what has a blank in it is quoted.
fn write_place(place: Option<&Place>, element: u32, out: &mut String) -> Option<()> {
    let Some(place) = place else {
        return Some(());
    };
    let text = place.text(element)?;
    let quote = if text.contains(' ') { "\"" } else { "" };
    out.extend([quote, &text, quote]);
    Some(())
}

/// Flags, and the bounds that there are, each with its length (`range_recv`). Of digits there are `left`.
fn one(element: u32, bytes: &[u8], left: &mut usize) -> Option<Span> {
    let (flags, mut rest) = bytes.split_first()?;
    let has = |flag: u8| flags & flag != 0;
    if has(EMPTY) {
        return rest.is_empty().then_some(Span::Empty);
    }
    let mut bound = |is_lower: bool, is_none: bool, is_in: bool| {
        let at = if is_none {
            None
        } else {
            Some(Place::read(element, super::sized(&mut rest)?, left)?)
        };
        Some(Bound {
            is_in: is_in && at.is_some(),
            at,
            is_lower,
        })
    };
    let lower = bound(true, has(LOWER_NONE), has(LOWER_IN))?;
    let upper = bound(false, has(UPPER_NONE), has(UPPER_IN))?;
    if !rest.is_empty() {
        return None;
    }
    match Range::between(lower, upper)? {
        Span::Empty => Some(Span::Empty),
        Span::Of(Range { lower, upper }) => {
            Range::between(lower.stepped(element)?, upper.stepped(element)?)
        }
    }
}

/// How many, and each with its length (`multirange_recv`); in order, and joined where they meet
/// (`multirange_canonicalize`).
fn several(element: u32, bytes: &[u8], left: &mut usize) -> Option<Vec<Range>> {
    let (count, mut rest) = bytes.split_first_chunk()?;
    let mut all = Vec::new();
    for _range in 0..u32::from_be_bytes(*count) {
        match one(element, super::sized(&mut rest)?, left)? {
            Span::Empty => {}
            Span::Of(range) => all.push(range),
        }
    }
    if !rest.is_empty() {
        return None;
    }
    all.sort_by(|one, two| {
        let lower = one.lower.order(&two.lower);
        lower.then_with(|| one.upper.order(&two.upper))
    });
    let mut joined: Vec<Range> = Vec::new();
    for range in all {
        match joined.last_mut() {
            Some(last) if last.meets(&range) => {
                if range.upper.order(&last.upper).is_gt() {
                    last.upper = range.upper;
                }
            }
            Some(_) | None => joined.push(range),
        }
    }
    Some(joined)
}

#[cfg(test)]
mod tests {
    use super::*;

    fn range(flags: u8, bounds: &[i32]) -> Vec<u8> {
        let each = bounds.iter().flat_map(|at| [4, *at]);
        let bounds = each.flat_map(i32::to_be_bytes);
        std::iter::once(flags).chain(bounds).collect()
    }

    fn several(ranges: &[Vec<u8>]) -> Vec<u8> {
        let count = u32::try_from(ranges.len()).unwrap();
        let mut bytes = count.to_be_bytes().to_vec();
        for range in ranges {
            bytes.extend(u32::try_from(range.len()).unwrap().to_be_bytes());
            bytes.extend(range);
        }
        bytes
    }

    #[test]
    fn numbers_are_in_order() {
        let all = [
            "-Infinity",
            "-10",
            "-9.5",
            "-0.5",
            "0",
            "0.15",
            "0.2",
            "1.5",
            "9",
            "10",
            "Infinity",
            "NaN",
        ];
        for (place, one) in all.iter().enumerate() {
            for (other, two) in all.iter().enumerate() {
                assert_eq!(order(one, two), place.cmp(&other), "{one} {two}");
            }
        }
        assert_eq!(order("1.0", "1.000"), Ordering::Equal);
    }

    #[test]
    fn what_lies_about_its_lengths_is_not_read() {
        let whole = several(&[range(2, &[1, 5]), range(2, &[7, 9])]);
        assert_eq!(
            text(Kind::Several(23), &whole).as_deref(),
            Some("{[1,5),[7,9)}")
        );
        for place in 0..whole.len() {
            assert_eq!(text(Kind::Several(23), &whole[..place]), None);
            let mut other = whole.clone();
            other[place] ^= 0x80;
            // Whatever it says; none of it is read that is not there.
            let _text = text(Kind::Several(23), &other);
        }
        let many = [&u32::MAX.to_be_bytes()[..], &whole[4..]].concat();
        assert_eq!(text(Kind::Several(23), &many), None);
    }

    /// Each bound has 10 bytes and 1,184 digits.
    #[test]
    fn a_few_bytes_do_not_become_many_digits() {
        let long = [0, 1, 0, 249, 0, 0, 0, 0, 0, 1];
        let bound = [&10_i32.to_be_bytes()[..], &long].concat();
        let one = [&[LOWER_IN | UPPER_NONE][..], &bound].concat();
        assert!(text(Kind::One(1700), &one).is_some());
        let all = several(&vec![one; 1_000]);
        assert_eq!(text(Kind::Several(1700), &all), None);
    }

    #[test]
    fn ranges_without_end_are_joined_in_no_time() {
        let all = several(&vec![range(LOWER_NONE | UPPER_NONE, &[]); 100_000]);
        assert_eq!(text(Kind::Several(23), &all).as_deref(), Some("{(,)}"));
        let apart: Vec<_> = (0..30_000)
            .rev()
            .map(|at| range(2, &[3 * at, 3 * at + 1]))
            .collect();
        let shown = text(Kind::Several(23), &several(&apart)).unwrap();
        assert!(shown.starts_with("{[0,1),[3,4),"));
    }
}
