//! What people type, as one segment of a URL's path or as a query's value.

/// Percent-encodes everything but the unreserved characters of RFC 3986, section 2.3.
pub(crate) fn segment(text: &str) -> String {
    use std::fmt::Write as _;
    let mut out = String::with_capacity(text.len());
    for byte in text.bytes() {
        match byte {
            b'a'..=b'z' | b'A'..=b'Z' | b'0'..=b'9' | b'-' | b'.' | b'_' | b'~' => {
                out.push(char::from(byte));
            }
            other => drop(write!(out, "%{other:02X}")),
        }
    }
    out
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_slash_or_a_question_mark_cannot_leave_its_segment() {
        assert_eq!(segment("../a?b=c&d#e f"), "..%2Fa%3Fb%3Dc%26d%23e%20f");
        assert_eq!(segment("req_01j9"), "req_01j9");
    }
}
