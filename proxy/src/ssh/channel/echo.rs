//! Whether a terminal shows what is typed.
//!
//! What a terminal shows is recorded, and what is typed at it is not, unless the permit says so. A terminal whose output
//! is stopped (`^S`) shows nothing, hands each line on all the same, and throws away at `^C` what it would have shown
//! (Linux's line discipline; IXON and NOFLSH in termios(3)). So a line that is typed meanwhile is told of, but not what
//! it is: it may be a password.

use std::time::Duration;

/// How long what was under way may still be shown once the output was stopped. A program to which `^S` is a key like any
/// other shows more behind that.
const UNDER_WAY: Duration = Duration::from_secs(1);

/// `^S`.
const STOP: u8 = 0x13;

/// What starts the output again: `^Q`, and the characters that send a signal (`^C`, `^\`, `^Z`).
const STARTS: [u8; 4] = [0x11, 0x03, 0x1c, 0x1a];

/// What hands a line on: a carriage return, a line feed, `^D`.
const ENDS: [u8; 3] = [b'\r', b'\n', 0x04];

/// One terminal.
#[derive(Debug, Default)]
pub(super) struct Echo {
    /// Since when its output is stopped, as far as is known.
    stopped: Option<Duration>,
    /// A line that was typed since was told of.
    is_told: bool,
}

impl Echo {
    /// Whether these bytes, typed or shown, have to be looked at.
    pub(super) fn minds(&self, is_typed: bool, bytes: &[u8]) -> bool {
        self.stopped.is_some() || is_typed && bytes.contains(&STOP)
    }

    /// Takes what is typed. Whether a line is in it that nobody may ever be shown, and no other since the output was
    /// stopped.
    pub(super) fn typed(&mut self, bytes: &[u8], at: Duration) -> bool {
        let mut is_unseen = false;
        for byte in bytes {
            if *byte == STOP {
                self.stopped.get_or_insert(at);
            } else if STARTS.contains(byte) {
                *self = Self::default();
            } else if self.stopped.is_some() && ENDS.contains(byte) {
                is_unseen |= !std::mem::replace(&mut self.is_told, true);
            }
        }
        is_unseen
    }

    /// Notes that something is shown.
    pub(super) fn shown(&mut self, at: Duration) {
        if self
            .stopped
            .is_some_and(|since| at.saturating_sub(since) > UNDER_WAY)
        {
            *self = Self::default();
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    const NOW: Duration = Duration::from_secs(5);

    #[test]
    fn a_line_that_is_typed_while_output_is_stopped_is_told_of_once() {
        for keys in [b"\x13cp a b\r\x03".as_slice(), b"\x13x\n", b"a\x13b\x04"] {
            assert!(Echo::default().typed(keys, NOW), "{keys:?}");
        }
        let mut echo = Echo::default();
        assert!(!echo.typed(b"\x13", NOW));
        // What was under way is shown still.
        echo.shown(NOW);
        assert!(!echo.typed(b"cp a b", NOW));
        assert!(echo.typed(b"\r", NOW));
        assert!(!echo.typed(b"more\r", NOW));
        assert!(!echo.typed(b"\x11", NOW));
        assert!(!echo.typed(b"ls\r", NOW));
        assert!(echo.typed(b"\x13ls\r", NOW));
    }

    #[test]
    fn where_stop_is_a_key_like_any_other_nothing_is_told() {
        let mut echo = Echo::default();
        assert!(!echo.typed(b"ls\r\x13", NOW));
        echo.shown(NOW + 2 * UNDER_WAY);
        assert!(!echo.typed(b"found\r", NOW + 2 * UNDER_WAY));
    }
}
