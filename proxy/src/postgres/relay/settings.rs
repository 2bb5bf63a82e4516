//! The settings by which what is sent is read, as the target tells of them when they change.
//!
//! A function may change them, and then no statement says so: the same bytes of a text are another name in another
//! encoding, and a backslash in a constant is one or an escape (PostgreSQL documentation, "Asynchronous Operations").

use std::hash::{DefaultHasher, Hash as _, Hasher as _};

use policies::words::recordings;

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

/// What the target said last of each, as a number that tells values apart.
#[derive(Debug, Default)]
pub(super) struct Settings([Option<u64>; TELLING.len()]);

impl Settings {
    /// What there is to tell of the body of a `ParameterStatus`, where it is one that is told of, and new.
    pub(super) fn changed(&mut self, body: &[u8]) -> Option<String> {
        let mut parts = body.split(|byte| *byte == 0);
        let (name, value) = (parts.next()?, parts.next()?);
        let place = TELLING.iter().position(|one| *one == name)?;
        let known = self.0.get_mut(place)?;
        let mut hasher = DefaultHasher::new();
        value.hash(&mut hasher);
        if known.replace(hasher.finish()) == Some(hasher.finish()) {
            return None;
        }
        let value = value.get(..SHOWN).unwrap_or(value);
        let [name, value] = [name, value].map(String::from_utf8_lossy);
        Some(recordings::setting(&name, &value))
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_change_is_told_once_and_only_of_what_texts_are_read_by() {
        let mut settings = Settings::default();
        let mut said = |body: &[u8]| settings.changed(body);
        let told = |name: &str, value: &str| Some(recordings::setting(name, value));
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
        let long = [b"search_path\0".as_slice(), &[b'x'; 5000], b"\0"].concat();
        assert_eq!(said(&long), told("search_path", &"x".repeat(SHOWN)));
        assert_eq!(said(&long), None);
        // What differs behind what is shown is another one.
        let other = [long.strip_suffix(b"\0").unwrap(), b"y\0"].concat();
        assert_eq!(said(&other), told("search_path", &"x".repeat(SHOWN)));
    }
}
