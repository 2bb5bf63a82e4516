//! What the key files are encrypted with.

use std::fmt;

use zeroize::Zeroizing;

use crate::rand_core::CryptoRng;

/// The secret under which the key files are encrypted. Prints as `(..)` and is zeroed on drop.
#[derive(Clone)]
pub struct Passphrase {
    text: Zeroizing<String>,
}

/// Why a text is not a passphrase.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
pub enum PassphraseError {
    /// It is too short to stand against someone who has the files.
    #[error(
        "the passphrase has {length} bytes; at least {} are needed",
        Passphrase::MIN
    )]
    Short {
        /// How long it is, in bytes.
        length: usize,
    },
    /// It holds a line break or another control character, so what was read is not one line.
    #[error("the passphrase holds a control character")]
    Control,
}

impl Passphrase {
    /// The shortest one, in bytes.
    pub const MIN: usize = 12;

    /// The length of a generated one: 64 hexadecimal digits, 256 bits.
    const GENERATED: usize = 64;

    /// Checks the text as it was read from a file, a command or a credential. One line break at
    /// the end is not part of it.
    pub fn parse(text: &str) -> Result<Self, PassphraseError> {
        let line = text.strip_suffix('\n').unwrap_or(text);
        let line = line.strip_suffix('\r').unwrap_or(line);
        if line.len() < Self::MIN {
            return Err(PassphraseError::Short { length: line.len() });
        }
        if line.chars().any(char::is_control) {
            return Err(PassphraseError::Control);
        }
        Ok(Self {
            text: Zeroizing::new(line.to_owned()),
        })
    }

    /// Makes one of 256 random bits, to be written to a file that only the server can read.
    pub fn generate(rng: &mut (dyn CryptoRng + Send)) -> Self {
        let mut bytes = Zeroizing::new([0_u8; 32]);
        rng.fill_bytes(bytes.as_mut());
        let text = Zeroizing::new(policies::hex(bytes.as_ref()));
        Self { text }
    }

    /// The text itself. For writing it to its file, and for deriving keys.
    pub fn expose(&self) -> &str {
        &self.text
    }

    /// Whether it is as long and as plain as a generated one, so that slowing down whoever
    /// guesses at it gains nothing.
    pub(crate) fn is_generated(&self) -> bool {
        self.text.len() == Self::GENERATED && self.text.chars().all(|c| c.is_ascii_hexdigit())
    }
}

impl fmt::Debug for Passphrase {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("Passphrase(..)")
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_passphrase_is_the_line_without_its_end() {
        for text in ["correct horse", "correct horse\n", "correct horse\r\n"] {
            assert_eq!(Passphrase::parse(text).unwrap().expose(), "correct horse");
        }
    }

    #[test]
    fn a_short_one_and_one_of_two_lines_are_refused() {
        assert_eq!(
            Passphrase::parse("eleven byte").unwrap_err(),
            PassphraseError::Short { length: 11 }
        );
        assert_eq!(
            Passphrase::parse("").unwrap_err(),
            PassphraseError::Short { length: 0 }
        );
        assert_eq!(
            Passphrase::parse("one line\nand two").unwrap_err(),
            PassphraseError::Control
        );
    }

    #[test]
    fn a_passphrase_is_never_printed() {
        let passphrase = Passphrase::parse("correct horse").unwrap();
        assert_eq!(format!("{passphrase:?}"), "Passphrase(..)");
    }

    #[test]
    fn a_generated_one_is_known_as_such() {
        let made = Passphrase::generate(&mut crate::fixtures::Dice::new(1));
        assert_eq!(made.expose().len(), 64);
        assert!(made.is_generated());
        assert!(Passphrase::parse(made.expose()).unwrap().is_generated());
        assert!(!Passphrase::parse("correct horse").unwrap().is_generated());
    }
}
