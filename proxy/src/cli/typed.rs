//! What was typed, as it can be typed again.

use std::ffi::OsString;

/// A word as a shell takes it for one.
pub(super) fn word(text: &str) -> String {
    let plain = |c: char| c.is_ascii_alphanumeric() || "-_./+@:,=".contains(c);
    if !text.is_empty() && text.chars().all(plain) {
        text.to_owned()
    } else {
        format!("'{}'", text.replace('\'', r"'\''"))
    }
}

/// A whole line, the program's name first: whatever it was called by, it is `tidegate`.
pub(super) fn line(words: impl IntoIterator<Item = OsString>) -> String {
    let words = words.into_iter().skip(1);
    words.fold("tidegate".to_owned(), |line, next| {
        format!("{line} {}", word(&next.to_string_lossy()))
    })
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_line_can_be_typed_again_with_its_flags() {
        let typed = ["./tidegate", "login", "-i", "my key", "--ttl=8h", ""].map(OsString::from);
        assert_eq!(line(typed), "tidegate login -i 'my key' --ttl=8h ''");
    }
}
