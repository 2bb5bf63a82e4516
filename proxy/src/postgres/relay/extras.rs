//! What a message carries besides what its frame has a place for.
//!
//! A target that is of one mind with the client could be told anything with it, unseen: so what says more than a
//! driver has to is written down. Result formats of text and binary are how rows are written, and rows are not kept.

use aws_lc_rs::digest;
use policies::hex;
use policies::words::extras::{self, Formatted};

use super::noted::Noted;

/// How many columns a result can have (`MaxTupleAttributeNumber`, `src/include/access/htup_details.h`).
const COLUMNS_MAX: usize = 1_664;

/// How many formats are told one by one.
const SHOWN: usize = 100;

/// What one message carries besides.
#[derive(Debug, Default, Clone, Copy)]
pub(super) struct Extras<'a> {
    /// The formats of a Bind's values as they were sent, two bytes each.
    pub(super) values: &'a [u8],
    /// Those of its results.
    pub(super) results: &'a [u8],
    /// How many rows an Execute asks for; 0 is all.
    pub(super) rows: i32,
}

impl Extras<'_> {
    /// What is told of it, where there is anything to tell, of the message of this number.
    pub(super) fn told<'n>(&self, id: u64) -> impl Iterator<Item = Noted<'n>> + use<'n> {
        let formats = [
            (Formatted::Values, self.values, usize::MAX),
            (Formatted::Results, self.results, COLUMNS_MAX),
        ];
        let formats = formats.map(|(of, codes, most)| {
            let text = is_odd(codes, most).then(|| formats_of(id, of, codes))?;
            Some(Noted::Told("formats", text))
        });
        let rows = (self.rows != 0).then(|| Noted::Told("rows", extras::limited(id, self.rows)));
        formats.into_iter().flatten().chain(rows)
    }
}

/// The words of a `CopyFail`, so that every byte of them can be read.
pub(super) fn given_up(id: u64, said: &[u8]) -> Option<Noted<'static>> {
    let text = match std::str::from_utf8(said) {
        Ok("") => return None,
        Ok(text) => text.to_owned(),
        Err(_odd) => said.escape_ascii().to_string(),
    };
    Some(Noted::Told("copy-fail", extras::given_up(id, &text)))
}

/// Whether there are formats that a server does not have, or more of them than there can be.
fn is_odd(codes: &[u8], most: usize) -> bool {
    let is_known = |code: &[u8]| matches!(code, [0, 0 | 1]);
    codes.len() > most.saturating_mul(2) || !codes.chunks(2).all(is_known)
}

fn formats_of(id: u64, of: Formatted, codes: &[u8]) -> String {
    let (pairs, _none) = codes.as_chunks::<2>();
    let first = pairs.iter().take(SHOWN).copied();
    let first: Vec<u16> = first.map(u16::from_be_bytes).collect();
    let digest = digest::digest(&digest::SHA256, codes);
    extras::formats(id, of, (&first, pairs.len()), &hex(digest.as_ref()))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn formats_are_told_where_no_server_has_them() {
        let many = [0; 2 * COLUMNS_MAX];
        assert!(!is_odd(&[0; 8 * COLUMNS_MAX], usize::MAX));
        for (codes, want) in [
            (&b""[..], false),
            (b"\0\0\0\x01\0\x01", false),
            (&many, false),
            (b"\0\x01\0\x02", true),
            (b"\x01\0", true),
            (&[0; 2 * COLUMNS_MAX + 2], true),
        ] {
            assert_eq!(is_odd(codes, COLUMNS_MAX), want, "{}", codes.len());
        }
    }

    #[test]
    fn words_that_are_no_text_are_told_byte_by_byte() {
        let told = given_up(1, b"no\xff");
        assert!(
            matches!(told, Some(Noted::Told("copy-fail", text)) if text.ends_with(": no\\xff"))
        );
        assert!(given_up(1, b"").is_none());
    }
}
