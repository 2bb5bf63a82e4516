//! Whether a program has a terminal's whole picture for itself: an editor, a pager. Lines of ours would stand in it.
//!
//! Such programs draw on the alternate screen (xterm's control sequences, `CSI ? 47 h`, `1047` and `1049`).

/// `ESC`.
const ESCAPE: u8 = 0x1b;

/// The modes that give the alternate screen.
const MODES: [u16; 3] = [47, 1047, 1049];

/// What is known of one terminal's picture.
#[derive(Debug, Default)]
pub(super) struct Picture {
    is_full: bool,
    within: Within,
}

/// Within what of a control sequence the last byte was.
#[derive(Debug, Default, Clone, Copy, PartialEq, Eq)]
enum Within {
    /// None.
    #[default]
    Text,
    /// `ESC` was the last.
    Escape,
    /// `ESC [`.
    Control,
    /// `ESC [ ?`, the number that is being read, and whether one before it is a mode of these.
    Modes { number: u16, is_ours: bool },
}

impl Picture {
    /// Whether a program has it for itself.
    pub(super) fn is_full(&self) -> bool {
        self.is_full
    }

    /// Takes what is shown.
    pub(super) fn shown(&mut self, bytes: &[u8]) {
        // Most of what is shown has none, and looking for one byte is cheap.
        if self.within == Within::Text && !bytes.contains(&ESCAPE) {
            return;
        }
        for byte in bytes {
            self.within = self.after(*byte);
        }
    }

    fn after(&mut self, byte: u8) -> Within {
        match (self.within, byte) {
            (_, ESCAPE) => Within::Escape,
            (Within::Escape, b'[') => Within::Control,
            (Within::Escape, b'c') => {
                // A full reset.
                self.is_full = false;
                Within::Text
            }
            (Within::Control, b'?') => Within::Modes {
                number: 0,
                is_ours: false,
            },
            (Within::Modes { number, is_ours }, b'0'..=b'9') => {
                let digit = u16::from(byte.saturating_sub(b'0'));
                let number = number.saturating_mul(10).saturating_add(digit);
                Within::Modes { number, is_ours }
            }
            (Within::Modes { number, is_ours }, b';') => Within::Modes {
                number: 0,
                is_ours: is_ours || MODES.contains(&number),
            },
            (Within::Modes { number, is_ours }, b'h' | b'l') => {
                if is_ours || MODES.contains(&number) {
                    self.is_full = byte == b'h';
                }
                Within::Text
            }
            _ => Within::Text,
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[track_caller]
    fn check(shown: &[u8], want: bool) {
        let mut whole = Picture::default();
        whole.shown(shown);
        assert_eq!(whole.is_full(), want, "{shown:?}");
        // However it comes in pieces.
        let mut pieces = Picture::default();
        for byte in shown {
            pieces.shown(&[*byte]);
        }
        assert_eq!(pieces.is_full(), want, "{shown:?} in pieces");
    }

    #[test]
    fn who_draws_on_the_alternate_screen_has_it_until_they_leave() {
        check(b"\x1b[?1049h\x1b[22;0;0t\x1b[1;24r~", true);
        check(b"\x1b[?1049hx\x1b[?1049l$ ", false);
        check(b"\x1b[?1;47hx", true);
        check(b"\x1b[?1047;25hx", true);
        check(b"\x1b[?1049hx\x1b[?25lx", true);
        check(b"\x1b[?1049hx\x1bc", false);
        check(b"\x1b[\x1b[?1049h", true);
    }

    #[test]
    fn other_sequences_and_text_change_nothing() {
        check(b"[?1049h", false);
        check(b"\x1b[1049h\x1b[?2004h\x1b]2;?1049h\x07", false);
        check(b"\x1b[?99999999999991049h", false);
    }
}
