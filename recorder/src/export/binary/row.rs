//! Rows: how many columns, and of each its type and its value, as `record_send` in `rowtypes.c` writes them.
//!
//! Which types a database has made for its rows is not known here. What a value of an unknown type would be as a row is no
//! more than a reading of it, and stands beside the bytes, not in their place.

use std::borrow::Cow;

use policies::hex;

/// `MaxTupleAttributeNumber` in `access/htup_details.h`.
const COLUMNS_MAX: u32 = 1664;

/// How many rows within rows are looked into.
const DEPTH_MAX: usize = 8;

/// The text that `record_out` would write, but for what cannot be read: the bytes of that, in hexadecimal. `None` where it
/// is no row.
pub(super) fn text(bytes: &[u8]) -> Option<Vec<u8>> {
    within(bytes, DEPTH_MAX)
}

fn within(bytes: &[u8], depth: usize) -> Option<Vec<u8>> {
    let (depth, room) = (depth.checked_sub(1)?, super::room(bytes.len()));
    let (count, mut rest) = bytes.split_first_chunk()?;
    let count = u32::from_be_bytes(*count);
    // A type of another kind has no value that is many zeros and nothing else.
    if !(1..=COLUMNS_MAX).contains(&count) {
        return None;
    }
    let mut out = b"(".to_vec();
    for number in 0..count {
        if number > 0 {
            out.push(b',');
        }
        let (oid, behind) = rest.split_first_chunk()?;
        rest = behind;
        column(u32::from_be_bytes(*oid), &mut rest, depth, &mut out)?;
        if out.len() > room {
            return None;
        }
    }
    out.push(b')');
    rest.is_empty().then_some(out)
}

fn column(oid: u32, rest: &mut &[u8], depth: usize, out: &mut Vec<u8>) -> Option<()> {
    // NULL is nothing at all.
    if let Some(behind) = rest.strip_prefix(&(-1_i32).to_be_bytes()) {
        *rest = behind;
        return Some(());
    }
    let bytes = super::sized(rest)?;
    let text = super::text(oid, bytes).map(Cow::into_owned);
    let as_row = || {
        super::may_be_row(oid)
            .then(|| within(bytes, depth))
            .flatten()
    };
    let text = text.or_else(as_row);
    let text = text.unwrap_or_else(|| format!("\\x{}", hex(bytes)).into_bytes());
    let is_odd = |byte: &u8| {
        matches!(
            byte,
            b'"' | b'\\' | b'(' | b')' | b',' | b' ' | b'\t'..=b'\r'
        )
    };
    if !text.is_empty() && !text.iter().any(is_odd) {
        out.extend_from_slice(&text);
        return Some(());
    }
    out.push(b'"');
    for byte in text {
        if matches!(byte, b'"' | b'\\') {
            out.push(byte);
        }
        out.push(byte);
    }
    out.push(b'"');
    Some(())
}

#[cfg(test)]
mod tests {
    use super::*;

    /// A row of these columns: type, and value where it is not NULL.
    fn row(columns: &[(u32, Option<&[u8]>)]) -> Vec<u8> {
        let mut bytes = u32::try_from(columns.len()).unwrap().to_be_bytes().to_vec();
        for (oid, value) in columns {
            bytes.extend(oid.to_be_bytes());
            let length = value.map_or(-1, |value| i32::try_from(value.len()).unwrap());
            bytes.extend(length.to_be_bytes());
            bytes.extend(value.unwrap_or_default());
        }
        bytes
    }

    #[track_caller]
    fn check(bytes: &[u8], want: Option<&str>) {
        let shown = text(bytes);
        let shown = shown.map(|text| String::from_utf8_lossy(&text).into_owned());
        assert_eq!(shown.as_deref(), want);
    }

    /// As PostgreSQL 15 writes rows of these: `select row(…)`.
    #[test]
    fn rows_read_as_the_server_writes_them() {
        let five: &[u8] = &[0, 0, 0, 5];
        check(&row(&[(23, Some(five)), (25, Some(b"a"))]), Some("(5,a)"));
        check(&row(&[(23, None), (25, Some(b""))]), Some("(,\"\")"));
        check(&row(&[(23, None)]), Some("()"));
        check(
            &row(&[
                (25, Some(b"x,y")),
                (25, Some(b"q\"\\(")),
                (25, Some(b"b c")),
            ]),
            Some(r#"("x,y","q""\\(","b c")"#),
        );
        let inner = row(&[(23, Some(five)), (25, Some(b"in"))]);
        check(
            &row(&[(2249, Some(&inner)), (16, Some(&[1]))]),
            Some("(\"(5,in)\",t)"),
        );
        // What is of no type that is known stands there as it came.
        check(&row(&[(600, Some(&[0xab]))]), Some(r#"("\\xab")"#));
    }

    #[test]
    fn what_is_no_row_is_not_read() {
        let one = row(&[(23, Some(&[0, 0, 0, 5]))]);
        for end in 0..one.len() {
            check(&one[..end], None);
        }
        check(&[&one[..], b"\0"].concat(), None);
        check(&[0; 4], None);
        check(&[0xff; 40], None);
        check(&row(&[(23, Some(&[]))]), Some(r#"("\\x")"#));
        let mut lies = one.clone();
        lies[11] = 5;
        check(&lies, None);
        check(&row(&vec![(23, None); 1665]), None);
    }

    #[test]
    fn rows_in_rows_have_an_end() {
        let mut deep = row(&[(25, Some(b"a"))]);
        for _level in 0..2_000 {
            deep = row(&[(2249, Some(&deep))]);
        }
        let shown = String::from_utf8(text(&deep).unwrap()).unwrap();
        assert!(shown.contains("\\x"), "bytes from some depth on");
    }

    /// Quotes are doubled at each level.
    #[test]
    fn a_row_does_not_grow_out_of_all_proportion() {
        let mut deep = row(&[(25, Some(&[b'"'; 2_000]))]);
        for _level in 0..7 {
            deep = row(&[(2249, Some(&deep))]);
        }
        let shown = text(&deep).map_or(0, |text| text.len());
        assert!(shown <= super::super::room(deep.len()) + 3, "{shown}");
    }
}
