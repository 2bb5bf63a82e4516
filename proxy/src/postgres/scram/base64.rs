//! Base 64 with its padding (RFC 4648, section 4), strictly: every text has one spelling.

const ALPHABET: &[u8; 64] = b"ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz0123456789+/";

/// The text for these bytes.
pub(crate) fn encode(bytes: &[u8]) -> String {
    let mut text = String::with_capacity(bytes.len().div_ceil(3).saturating_mul(4));
    for group in bytes.chunks(3) {
        let at = |place: usize| u32::from(group.get(place).copied().unwrap_or(0));
        let bits = at(0) << 16 | at(1) << 8 | at(2);
        // n bytes are n + 1 characters, from the top.
        let count = group.len().saturating_add(1);
        for (place, shift) in [18_u32, 12, 6, 0].into_iter().enumerate() {
            let value = usize::try_from((bits >> shift) & 63).unwrap_or(0);
            let letter = ALPHABET.get(value).filter(|_letter| place < count);
            text.push(char::from(letter.copied().unwrap_or(b'=')));
        }
    }
    text
}

/// The bytes that this text is for; `None` where it is not the one text for any.
pub(crate) fn decode(text: &str) -> Option<Vec<u8>> {
    if !text.len().is_multiple_of(4) {
        return None;
    }
    let mut bytes = Vec::with_capacity(text.len());
    for group in text.as_bytes().chunks(4) {
        let letters = group.iter().take_while(|byte| **byte != b'=').count();
        let mut bits = 0_u32;
        for byte in group.iter().take(letters) {
            let value = ALPHABET.iter().position(|known| known == byte)?;
            bits = bits << 6 | u32::try_from(value).ok()?;
        }
        bits <<= 6_u32.checked_mul(u32::try_from(4_usize.checked_sub(letters)?).ok()?)?;
        let [_top, first, second, third] = bits.to_be_bytes();
        let count = letters.checked_sub(1)?;
        bytes.extend([first, second, third].into_iter().take(count));
    }
    // Padding in the middle, letters behind it and bits that count for nothing are found so.
    (encode(&bytes) == text).then_some(bytes)
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;

    #[test]
    fn a_text_has_one_spelling() {
        // RFC 4648, section 10.
        for (bytes, text) in [
            ("", ""),
            ("f", "Zg=="),
            ("fo", "Zm8="),
            ("foo", "Zm9v"),
            ("foob", "Zm9vYg=="),
        ] {
            assert_eq!(encode(bytes.as_bytes()), text);
            assert_eq!(decode(text).as_deref(), Some(bytes.as_bytes()));
        }
        for bad in [
            "Zg", "Zg=", "Zh==", "Zg==Zg==", "Z===", "====", "Zm9v\n", "Zm-v", "Zm9é",
        ] {
            assert_eq!(decode(bad), None, "{bad}");
        }
    }

    proptest! {
        #[test]
        fn what_is_encoded_is_decoded(bytes in proptest::collection::vec(any::<u8>(), 0..70)) {
            prop_assert_eq!(decode(&encode(&bytes)), Some(bytes));
        }

        #[test]
        fn what_is_decoded_is_encoded(text in "[A-Za-z0-9+/=]{0,12}") {
            if let Some(bytes) = decode(&text) {
                prop_assert_eq!(encode(&bytes), text);
            }
        }
    }
}
