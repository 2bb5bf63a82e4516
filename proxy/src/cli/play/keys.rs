//! Keys, one by one, from a terminal that otherwise belongs to the shell: raw while the guard lives,
//! and as it was afterwards, whatever happens.

use std::io::{Stdin, stdin};

use rustix::termios::{
    OptionalActions, SpecialCodeIndex, Termios, tcgetattr, tcgetwinsize, tcsetattr,
};

/// What a key asks for.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Key {
    /// Stop, or go on.
    Pause,
    /// Back a little.
    Back,
    /// Ahead a little.
    Ahead,
    /// Twice as fast.
    Faster,
    /// Half as fast.
    Slower,
    /// To the next thing that was shown.
    Step,
    /// Enough.
    Quit,
}

/// A terminal in raw mode.
#[derive(Debug)]
pub(super) struct Keys {
    from: Stdin,
    before: Termios,
}

impl Keys {
    /// Takes the terminal over. Reading never waits.
    pub(super) fn take() -> rustix::io::Result<Self> {
        let from = stdin();
        let before = tcgetattr(&from)?;
        let mut raw = before.clone();
        raw.make_raw();
        raw.special_codes[SpecialCodeIndex::VMIN] = 0;
        raw.special_codes[SpecialCodeIndex::VTIME] = 0;
        tcsetattr(&from, OptionalActions::Flush, &raw)?;
        Ok(Self { from, before })
    }

    /// The keys that were pressed since the last time.
    pub(super) fn pressed(&self) -> Vec<Key> {
        let mut bytes = [0; 64];
        match rustix::io::read(&self.from, &mut bytes) {
            Ok(count) => keys(bytes.get(..count).unwrap_or_default()),
            // The terminal is gone.
            Err(_) => vec![Key::Quit],
        }
    }
}

impl Drop for Keys {
    fn drop(&mut self) {
        tcsetattr(&self.from, OptionalActions::Flush, &self.before).unwrap_or_default();
    }
}

/// The size of the terminal, in characters, where there is one and it has one.
pub(super) fn size() -> Option<(u32, u32)> {
    let size = tcgetwinsize(stdin()).ok()?;
    let known = size.ws_col > 0 && size.ws_row > 0;
    known.then(|| (size.ws_col.into(), size.ws_row.into()))
}

/// What was typed, as far as it means anything here.
fn keys(bytes: &[u8]) -> Vec<Key> {
    let mut found = Vec::new();
    let mut rest = bytes;
    while let Some((first, after)) = rest.split_first() {
        rest = after;
        found.extend(match first {
            0x1b => match rest {
                [b'[' | b'O', letter, after @ ..] => {
                    rest = after;
                    arrow(*letter)
                }
                // ESC alone.
                [] => Some(Key::Quit),
                _ => None,
            },
            b' ' => Some(Key::Pause),
            b'.' => Some(Key::Step),
            b'+' | b'=' => Some(Key::Faster),
            b'-' => Some(Key::Slower),
            b'h' => Some(Key::Back),
            b'l' => Some(Key::Ahead),
            b'q' | b'Q' | 3 | 4 => Some(Key::Quit),
            _ => None,
        });
    }
    found
}

fn arrow(letter: u8) -> Option<Key> {
    match letter {
        b'A' => Some(Key::Faster),
        b'B' => Some(Key::Slower),
        b'C' => Some(Key::Ahead),
        b'D' => Some(Key::Back),
        _ => None,
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn arrows_letters_and_signs_are_keys() {
        assert_eq!(keys(b" q"), [Key::Pause, Key::Quit]);
        assert_eq!(keys(b"\x1b[C\x1b[D+"), [Key::Ahead, Key::Back, Key::Faster]);
        assert_eq!(keys(b"\x1bOA\x1bOB"), [Key::Faster, Key::Slower]);
        assert_eq!(keys(b"\x1b"), [Key::Quit]);
        assert_eq!(keys(b"xyz"), []);
    }
}
