//! The settings by which what is sent is read, as the target tells of them when they change.
//!
//! A function may change them, and then no statement says so: the same bytes of a text are another name in another
//! encoding, and a backslash in a constant is one or an escape (PostgreSQL documentation, "Asynchronous Operations").

use policies::words::recordings::{self, Since};

use super::noted::Noted;
use crate::postgres::wire::scan::{Message, digest_of};

/// The settings that are told of, of those that a server reports, each with the value that is not worth telling as a
/// session begins. Whose session it is stands here too; as it begins that is in its heading.
const TELLING: [(&[u8], Option<&[u8]>); 5] = [
    (b"client_encoding", Some(b"UTF8")),
    (b"standard_conforming_strings", Some(b"on")),
    (b"session_authorization", None),
    (b"is_superuser", Some(b"off")),
    (b"search_path", Some(b"\"$user\", public")),
];

/// How much of a value is told, in bytes.
const SHOWN: usize = 200;

/// How many changes behind one statement are told as they come. Of more the last is, of each setting: a function can
/// change one a million times (servers up to 13 report each), and one that is hostile does so for nothing.
const TOLD_MAX: u64 = 32;

/// What the target said last of each, as the SHA-256 of it, and what of that is still to be told.
#[derive(Debug, Default)]
pub(super) struct Settings {
    last: [Option<[u8; 32]>; TELLING.len()],
    /// Behind what the last came, and how many have there.
    since: Option<Since>,
    count: u64,
    untold: [Option<String>; TELLING.len()],
}

impl Settings {
    /// What there is to tell of a `ParameterStatus`, where it is one that is told of, and new; behind what is still to
    /// be told of others that came behind another statement.
    pub(super) fn changed<'n>(&mut self, message: &Message<'_>, since: Since) -> Vec<Noted<'n>> {
        let Some((place, text)) = self.take(message, since) else {
            return Vec::new();
        };
        let mut told = Vec::new();
        if self.since.replace(since) != Some(since) {
            told.extend(self.rest());
        }
        self.count = self.count.saturating_add(1);
        if self.count <= TOLD_MAX {
            told.push(Noted::Told("setting", text));
        } else if let Some(untold) = self.untold.get_mut(place) {
            *untold = Some(text);
        }
        told
    }

    /// What is still to be told of the statement that is over.
    pub(super) fn rest<'n>(&mut self) -> Vec<Noted<'n>> {
        let count = std::mem::take(&mut self.count);
        let Some(more) = count.checked_sub(TOLD_MAX).filter(|more| *more > 0) else {
            return Vec::new();
        };
        let last = self.untold.iter_mut().filter_map(Option::take);
        let all = [recordings::settings(more)].into_iter().chain(last);
        all.map(|text| Noted::Told("setting", text)).collect()
    }

    /// Takes a setting: which it is, and what there is to tell of it.
    fn take(&mut self, message: &Message<'_>, since: Since) -> Option<(usize, String)> {
        let mut parts = message.body.split(|byte| *byte == 0);
        let (name, value) = (parts.next()?, parts.next()?);
        let place = TELLING.iter().position(|(one, _ordinary)| *one == name)?;
        let (_name, ordinary) = TELLING.get(place)?;
        let digest = message.digest.unwrap_or_else(|| digest_of(message.body));
        let before = self.last.get_mut(place)?.replace(digest);
        let is_first = since == Since::Beginning && before.is_none();
        if before == Some(digest) || (is_first && ordinary.is_none_or(|one| one == value)) {
            return None;
        }
        // Between the name and the value, and behind that, there is a NUL.
        let length = usize::try_from(message.length).unwrap_or(usize::MAX);
        let length = length.saturating_sub(name.len()).saturating_sub(2);
        let shown = value.get(..SHOWN).unwrap_or(value);
        let [name, shown] = [name, shown].map(String::from_utf8_lossy);
        let rest = length.saturating_sub(SHOWN);
        let text = recordings::setting(&name, (&shown, rest), since);
        Some((place, text))
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    /// A `ParameterStatus` with this body.
    fn status(body: &[u8]) -> Message<'_> {
        Message {
            kind: b'S',
            length: u32::try_from(body.len()).unwrap(),
            body,
            digest: None,
            data: &[],
        }
    }

    /// The texts of what is told.
    fn texts(told: Vec<Noted<'_>>) -> Vec<String> {
        let texts = told.into_iter().map(|noted| {
            let Noted::Told("setting", text) = noted else {
                panic!("{noted:?}");
            };
            text
        });
        texts.collect()
    }

    fn only(told: Vec<Noted<'_>>) -> Option<String> {
        let mut texts = texts(told);
        assert!(texts.len() <= 1, "{texts:?}");
        texts.pop()
    }

    #[test]
    fn of_changes_without_end_the_first_are_told_and_the_last() {
        let mut settings = Settings::default();
        let mut said = |body: &[u8], since| texts(settings.changed(&status(body), since));
        let since = Since::Statement(3);
        let flips = (0..10_000).flat_map(|_turn| ["LATIN1", "SJIS"]);
        let told = flips.flat_map(|value| {
            let body = format!("client_encoding\0{value}\0");
            said(body.as_bytes(), since)
        });
        assert_eq!(told.count(), 32);
        said(b"is_superuser\0on\0", since);
        let behind = |name: &str, value: &str, since| recordings::setting(name, (value, 0), since);
        let want = [
            recordings::settings(19_969),
            behind("client_encoding", "SJIS", since),
            behind("is_superuser", "on", since),
            behind("is_superuser", "off", Since::Statement(4)),
        ];
        assert_eq!(said(b"is_superuser\0off\0", Since::Statement(4)), want);
        assert_eq!(texts(settings.rest()), Vec::<String>::new());
    }

    #[test]
    fn a_change_is_told_once_and_only_of_what_texts_are_read_by() {
        let mut settings = Settings::default();
        let since = Since::Statement(3);
        let mut said = |body: &[u8]| only(settings.changed(&status(body), since));
        let told = |name: &str, value: &str| Some(recordings::setting(name, (value, 0), since));
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

    #[test]
    fn what_a_session_begins_with_is_told_where_it_is_not_as_it_is_mostly() {
        let mut settings = Settings::default();
        let mut said = |body: &[u8], since| only(settings.changed(&status(body), since));
        for ordinary in [
            b"client_encoding\0UTF8\0".as_slice(),
            b"standard_conforming_strings\0on\0",
            b"session_authorization\0app\0",
            b"search_path\0\"$user\", public\0",
        ] {
            assert_eq!(said(ordinary, Since::Beginning), None);
            assert_eq!(said(ordinary, Since::Statement(1)), None);
        }
        let superuser = b"is_superuser\0on\0";
        let told = recordings::setting("is_superuser", ("on", 0), Since::Beginning);
        assert_eq!(said(superuser, Since::Beginning), Some(told));
        assert_eq!(said(superuser, Since::Statement(1)), None);
        // A trigger at the login can change it before the session is ready, and back.
        for value in ["LATIN1", "UTF8"] {
            let body = format!("client_encoding\0{value}\0");
            let told = recordings::setting("client_encoding", (value, 0), Since::Beginning);
            assert_eq!(said(body.as_bytes(), Since::Beginning), Some(told));
        }
    }
}
