//! A terminal as the target hears of it: nothing that it hears is missing in the recording.
//!
//! Of sizes in pixels it hears how large a character is (a whole number), which is written down when that changes; of
//! modes each one once, and what is not as usual is written down.

use std::collections::BTreeMap;
use std::fmt::Write as _;

use policies::words::ssh::SshSaying;
use russh::Pty;

/// A terminal as the client asked for it.
#[derive(Debug, Clone)]
pub struct Terminal {
    pub(super) term: String,
    pub(super) columns: u32,
    pub(super) rows: u32,
    pub(super) cell: Cell,
    pub(super) modes: Modes,
}

impl Terminal {
    /// What is told of it besides its name and its size in characters, as far as there is something.
    pub(super) fn told<'a>(&self, channel: u32, unusual: Option<&'a str>) -> Option<SshSaying<'a>> {
        let cell = (self.cell != Cell::default()).then(|| self.cell.size());
        let told = SshSaying::Told {
            channel,
            cell,
            modes: unusual,
        };
        (cell.is_some() || unusual.is_some()).then_some(told)
    }
}

/// The size of a character in pixels; of none where it is not known.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default)]
pub(in crate::ssh) struct Cell {
    width: u8,
    height: u8,
}

impl Cell {
    /// That of a screen of so many columns and rows that has so many pixels.
    pub(super) fn of((columns, rows): (u32, u32), (width, height): (u32, u32)) -> Self {
        let each = |pixels: u32, characters: u32| {
            let each = pixels.checked_div(characters)?;
            u8::try_from(each).ok().filter(|each| *each > 0)
        };
        match (each(width, columns), each(height, rows)) {
            (Some(width), Some(height)) => Self { width, height },
            _ => Self::default(),
        }
    }

    /// The pixels of a screen of such characters.
    pub(super) fn pixels(self, (columns, rows): (u32, u32)) -> (u32, u32) {
        let Self { width, height } = self;
        (
            columns.saturating_mul(width.into()),
            rows.saturating_mul(height.into()),
        )
    }

    /// Its width and its height.
    pub(super) fn size(self) -> (u8, u8) {
        (self.width, self.height)
    }
}

/// The modes of a terminal (RFC 4254, section 8), each once: of several of a kind the last counts.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(super) struct Modes(BTreeMap<u8, (Pty, u32)>);

impl Modes {
    /// What these come to.
    pub(super) fn of(modes: &[(Pty, u32)]) -> Self {
        let known = modes.iter().filter(|(mode, _)| *mode != Pty::TTY_OP_END);
        Self(known.map(|mode| (mode.0 as u8, *mode)).collect())
    }

    /// As they are asked of the target.
    pub(super) fn all(&self) -> Vec<(Pty, u32)> {
        self.0.values().copied().collect()
    }

    /// Whether nothing that is typed is to be seen.
    pub(super) fn hide_input(&self) -> bool {
        self.0.get(&(Pty::ECHO as u8)) == Some(&(Pty::ECHO, 0))
    }

    /// What is not as usual, if something is not. Empty where there are none at all.
    pub(super) fn unusual(&self) -> Option<String> {
        if self.0.is_empty() {
            return Some(String::new());
        }
        let usual = Self::of(&USUAL);
        let mut unusual = String::new();
        for (mode, value) in self.0.values() {
            if usual.0.get(&(*mode as u8)) != Some(&(*mode, *value)) {
                write!(unusual, "{mode:?}={value} ").ok();
            }
        }
        for (mode, _) in usual.0.values() {
            if !self.0.contains_key(&(*mode as u8)) {
                write!(unusual, "no {mode:?} ").ok();
            }
        }
        unusual.pop();
        (!unusual.is_empty()).then_some(unusual)
    }
}

/// What OpenSSH's client asks for at a terminal of Linux as it comes (its `ttymodes.h`; 255 is no character).
const USUAL: [(Pty, u32); 52] = [
    (Pty::VINTR, 3),
    (Pty::VQUIT, 28),
    (Pty::VERASE, 127),
    (Pty::VKILL, 21),
    (Pty::VEOF, 4),
    (Pty::VEOL, 255),
    (Pty::VEOL2, 255),
    (Pty::VSTART, 17),
    (Pty::VSTOP, 19),
    (Pty::VSUSP, 26),
    (Pty::VREPRINT, 18),
    (Pty::VWERASE, 23),
    (Pty::VLNEXT, 22),
    (Pty::VDISCARD, 15),
    (Pty::IGNPAR, 0),
    (Pty::PARMRK, 0),
    (Pty::INPCK, 0),
    (Pty::ISTRIP, 0),
    (Pty::INLCR, 0),
    (Pty::IGNCR, 0),
    (Pty::ICRNL, 1),
    (Pty::IUCLC, 0),
    (Pty::IXON, 1),
    (Pty::IXANY, 0),
    (Pty::IXOFF, 0),
    (Pty::IMAXBEL, 0),
    (Pty::IUTF8, 1),
    (Pty::ISIG, 1),
    (Pty::ICANON, 1),
    (Pty::XCASE, 0),
    (Pty::ECHO, 1),
    (Pty::ECHOE, 1),
    (Pty::ECHOK, 1),
    (Pty::ECHONL, 0),
    (Pty::NOFLSH, 0),
    (Pty::TOSTOP, 0),
    (Pty::IEXTEN, 1),
    (Pty::ECHOCTL, 1),
    (Pty::ECHOKE, 1),
    (Pty::PENDIN, 0),
    (Pty::OPOST, 1),
    (Pty::OLCUC, 0),
    (Pty::ONLCR, 1),
    (Pty::OCRNL, 0),
    (Pty::ONOCR, 0),
    (Pty::ONLRET, 0),
    (Pty::CS7, 1),
    (Pty::CS8, 1),
    (Pty::PARENB, 0),
    (Pty::PARODD, 0),
    (Pty::TTY_OP_ISPEED, 38400),
    (Pty::TTY_OP_OSPEED, 38400),
];

#[cfg(test)]
mod tests {
    use super::*;

    #[track_caller]
    fn check_cell(size: (u32, u32), pixels: (u32, u32), want: (u8, u8), passed: (u32, u32)) {
        let cell = Cell::of(size, pixels);
        assert_eq!(cell.size(), want);
        assert_eq!(cell.pixels(size), passed);
    }

    #[test]
    fn of_pixels_only_the_size_of_a_character_goes_on() {
        check_cell((80, 24), (0, 0), (0, 0), (0, 0));
        check_cell((80, 24), (640, 384), (8, 16), (640, 384));
        // With a border.
        check_cell((80, 24), (484, 316), (6, 13), (480, 312));
        check_cell((80, 24), (4660, 22136), (0, 0), (0, 0));
        check_cell((80, 24), (640, 5), (0, 0), (0, 0));
        check_cell((0, 0), (640, 384), (0, 0), (0, 0));
        let most = (80 * 256 - 1, 24 * 256 - 1);
        check_cell((80, 24), most, (255, 255), (80 * 255, 24 * 255));
    }

    #[test]
    fn modes_that_are_not_usual_are_named_and_each_goes_on_once() {
        let with = |more: &[(Pty, u32)]| Modes::of(&[USUAL.as_slice(), more].concat());
        assert_eq!(with(&[]).unusual(), None);
        assert_eq!(Modes::of(&[]).unusual().as_deref(), Some(""));
        let odd = [(Pty::ECHO, 0), (Pty::TTY_OP_END, 0), (Pty::VSTATUS, 4660)];
        let modes = with(&odd);
        assert!(modes.hide_input());
        assert_eq!(modes.unusual().as_deref(), Some("VSTATUS=4660 ECHO=0"));
        assert_eq!(modes.all().len(), USUAL.len() + 1);
        assert!(!with(&[(Pty::ECHO, 0), (Pty::ECHO, 1)]).hide_input());
        let few = Modes::of(&USUAL[2..]).unusual();
        assert_eq!(few.as_deref(), Some("no VINTR no VQUIT"));
    }
}
