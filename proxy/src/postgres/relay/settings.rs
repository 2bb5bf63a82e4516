//! The settings by which what is sent is read, as the target tells of them when they change.
//!
//! A function may change them, and then no statement says so: the same bytes of a text are another name in another
//! encoding, and a backslash in a constant is one or an escape (PostgreSQL documentation, "Asynchronous Operations").

use policies::words::recordings;

use crate::postgres::wire::scan::{Message, digest_of};

/// The settings that are told of, of those that a server reports. Whose session it is stands here too.
const TELLING: [&[u8]; 5] = [
    b"client_encoding",
    b"standard_conforming_strings",
    b"session_authorization",
    b"is_superuser",
    b"search_path",
];

/// How much of a value is told, in bytes.
const SHOWN: usize = 200;

/// What the target said last of each, as the SHA-256 of it.
#[derive(Debug, Default)]
pub(super) struct Settings([Option<[u8; 32]>; TELLING.len()]);

impl Settings {
    /// What there is to tell of a `ParameterStatus`, where it is one that is told of, and new.
    pub(super) fn changed(&mut self, message: &Message<'_>) -> Option<String> {
        let mut parts = message.body.split(|byte| *byte == 0);
        let (name, value) = (parts.next()?, parts.next()?);
        let place = TELLING.iter().position(|one| *one == name)?;
        let known = self.0.get_mut(place)?;
        let digest = message.digest.unwrap_or_else(|| digest_of(message.body));
        if known.replace(digest) == Some(digest) {
            return None;
        }
        // Between the name and the value, and behind that, there is a NUL.
        let length = usize::try_from(message.length).unwrap_or(usize::MAX);
        let length = length.saturating_sub(name.len()).saturating_sub(2);
        let shown = value.get(..SHOWN).unwrap_or(value);
        let [name, shown] = [name, shown].map(String::from_utf8_lossy);
        let rest = length.saturating_sub(SHOWN);
        Some(recordings::setting(&name, &shown, rest))
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_change_is_told_once_and_only_of_what_texts_are_read_by() {
        let mut settings = Settings::default();
        let mut said = |body: &[u8]| {
            settings.changed(&Message {
                kind: b'S',
                length: u32::try_from(body.len()).unwrap(),
                body,
                digest: None,
                data: &[],
            })
        };
        let told = |name: &str, value: &str| Some(recordings::setting(name, value, 0));
        assert_eq!(
            said(b"client_encoding\0LATIN1\0"),
            told("client_encoding", "LATIN1")
        );
        assert_eq!(said(b"client_encoding\0LATIN1\0"), None);
        assert_eq!(
            said(b"client_encoding\0UTF8\0"),
            told("client_encoding", "UTF8")
        );
        assert_eq!(said(b"application_name\0x\0"), None);
        assert_eq!(said(b"client_encoding"), None);
        assert_eq!(said(b""), None);
        let exactly = [b"search_path\0".as_slice(), &[b'x'; SHOWN], b"\0"].concat();
        assert_eq!(said(&exactly), told("search_path", &"x".repeat(SHOWN)));
    }
}
