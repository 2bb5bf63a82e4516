//! Arrays: dimensions and elements, as `array_recv` in `arrayfuncs.c` takes them and `array_out` writes them.

use std::fmt::Write as _;

/// `MAXDIM` in `c.h`.
const DIMENSIONS_MAX: usize = 6;

/// Of what an array of this type is. `None` where it is no array that is known here.
pub(super) fn element(oid: u32) -> Option<u32> {
    ARRAYS
        .iter()
        .find_map(|(array, element)| (*array == oid).then_some(*element))
}

/// Types of arrays and of their elements: `array_type_oid` in `pg_type.dat`.
pub(super) const ARRAYS: [(u32, u32); 42] = [
    (143, 142),
    (199, 114),
    (651, 650),
    (775, 774),
    (1000, 16),
    (1001, 17),
    (1002, 18),
    (1003, 19),
    (1005, 21),
    (1007, 23),
    (1009, 25),
    (1014, 1042),
    (1015, 1043),
    (1016, 20),
    (1021, 700),
    (1022, 701),
    (1028, 26),
    (1040, 829),
    (1041, 869),
    (1115, 1114),
    (1182, 1082),
    (1183, 1083),
    (1185, 1184),
    (1187, 1186),
    (1231, 1700),
    (1270, 1266),
    (1561, 1560),
    (1563, 1562),
    (2951, 2950),
    (3807, 3802),
    (3905, 3904),
    (3907, 3906),
    (3909, 3908),
    (3911, 3910),
    (3913, 3912),
    (3927, 3926),
    (6150, 4451),
    (6151, 4532),
    (6152, 4533),
    (6153, 4534),
    (6155, 4535),
    (6157, 4536),
];

/// The text of an array of such elements.
pub(super) fn text(element: u32, bytes: &[u8]) -> Option<Vec<u8>> {
    let room = super::room(bytes.len());
    let mut rest = bytes;
    let Shape { sizes, bounds } = shape(element, &mut rest)?;
    let count = sizes.first().copied().unwrap_or(0);
    if count == 0 {
        // Of dimensions its text says nothing.
        return rest.is_empty().then(|| b"{}".to_vec());
    }
    let mut out = bounds.into_bytes();
    for number in 0..count {
        if number > 0 {
            out.push(b',');
        }
        let meets = |number: usize| {
            sizes
                .iter()
                .filter(move |size| number.is_multiple_of(**size))
        };
        out.extend(meets(number).map(|_begun| b'{'));
        one(element, &mut rest, &mut out)?;
        out.extend(meets(number.saturating_add(1)).map(|_ended| b'}'));
        if out.len() > room {
            return None;
        }
    }
    rest.is_empty().then_some(out)
}

/// What an array's first bytes say.
struct Shape {
    /// How many elements there are in all of it, in one part of the first dimension, and so on.
    sizes: Vec<usize>,
    /// What stands before the elements: nothing, where each dimension begins with 1.
    bounds: String,
}

/// Dimensions, a flag for NULLs, which is not needed, the type of the elements, and of each dimension its length and
/// its lower bound.
fn shape(element: u32, rest: &mut &[u8]) -> Option<Shape> {
    let dimensions = usize::try_from(int(rest)?).ok()?;
    let flags = int(rest)?;
    if dimensions > DIMENSIONS_MAX || !matches!(flags, 0 | 1) || int(rest)? != element.cast_signed()
    {
        return None;
    }
    let (mut lengths, mut bounds, mut usual) = (Vec::new(), String::new(), true);
    for _dimension in 0..dimensions {
        let (length, lower) = (int(rest)?, int(rest)?);
        lengths.push(usize::try_from(length).ok()?);
        let upper = lower.checked_add(length)?.checked_sub(1)?;
        // Writing to a string cannot fail.
        write!(bounds, "[{lower}:{upper}]").ok();
        usual &= lower == 1;
    }
    let mut sizes: Vec<usize> = Vec::new();
    for length in lengths.iter().rev() {
        sizes.insert(0, sizes.first().unwrap_or(&1).checked_mul(*length)?);
    }
    if usual {
        bounds.clear();
    } else {
        bounds.push('=');
    }
    Some(Shape { sizes, bounds })
}

/// The next element.
fn one(element: u32, rest: &mut &[u8], out: &mut Vec<u8>) -> Option<()> {
    let length = int(rest)?;
    if length == -1 {
        out.extend_from_slice(b"NULL");
        return Some(());
    }
    let (bytes, behind) = rest.split_at_checked(usize::try_from(length).ok()?)?;
    *rest = behind;
    let text = super::text(element, bytes)?;
    if !is_quoted(&text) {
        out.extend_from_slice(&text);
        return Some(());
    }
    out.push(b'"');
    for byte in text.iter() {
        if matches!(byte, b'"' | b'\\') {
            out.push(b'\\');
        }
        out.push(*byte);
    }
    out.push(b'"');
    Some(())
}

/// Whether `array_out` quotes an element. White space is that of `array_isspace`.
fn is_quoted(text: &[u8]) -> bool {
    let odd = |byte: &u8| {
        matches!(
            byte,
            b'"' | b'\\' | b'{' | b'}' | b',' | b' ' | b'\t'..=b'\r'
        )
    };
    text.is_empty() || text.eq_ignore_ascii_case(b"null") || text.iter().any(odd)
}

fn int(rest: &mut &[u8]) -> Option<i32> {
    let (bytes, behind) = rest.split_first_chunk()?;
    *rest = behind;
    Some(i32::from_be_bytes(*bytes))
}
