//! The rows of an answer, whole and small.
//!
//! Does not know what was asked.

use crate::postgres::wire::Fields;

/// One row: each value as text, or nothing.
pub(crate) type Row = Vec<Option<Vec<u8>>>;

/// The values of a `DataRow`.
pub(crate) fn row(body: &[u8]) -> Option<Row> {
    let mut fields = Fields::new(b'D', body);
    let count = fields.u16().ok()?;
    let mut rest = fields.rest();
    let mut values = Vec::new();
    for _value in 0..count {
        let (length, behind) = rest.split_first_chunk::<4>()?;
        let length = i32::from_be_bytes(*length);
        if length < 0 {
            values.push(None);
            rest = behind;
            continue;
        }
        let (value, after) = behind.split_at_checked(usize::try_from(length).ok()?)?;
        values.push(Some(value.to_vec()));
        rest = after;
    }
    rest.is_empty().then_some(values)
}

/// A value of a row as the server sent it; empty where there is none.
pub(crate) fn bytes(row: &Row, column: usize) -> Vec<u8> {
    row.get(column).cloned().flatten().unwrap_or_default()
}

/// A value of a row as text; empty where there is none.
pub(crate) fn text(row: &Row, column: usize) -> String {
    let value = row.get(column).and_then(Option::as_deref);
    String::from_utf8_lossy(value.unwrap_or_default()).into_owned()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_row_is_read_whole_or_not_at_all() {
        let mut body = vec![0, 3];
        for value in [Some(&b"a"[..]), None, Some(b"")] {
            let length = value.map_or(-1, |value| i32::try_from(value.len()).unwrap());
            body.extend(length.to_be_bytes());
            body.extend(value.unwrap_or_default());
        }
        let read = row(&body).unwrap();
        assert_eq!(read, [Some(b"a".to_vec()), None, Some(Vec::new())]);
        assert_eq!(
            (text(&read, 0).as_str(), text(&read, 1).as_str()),
            ("a", "")
        );
        assert_eq!(row(&body[..body.len() - 1]), None);
        body.push(0);
        assert_eq!(row(&body), None);
    }
}
