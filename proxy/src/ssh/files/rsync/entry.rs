//! One entry of a file list, as a sender writes it (`flist.c` of rsync: `recv_file_entry`; `acls.c` and `xattrs.c` for
//! what follows it).
//!
//! Keeps the name, the mode, the size and where a link leads; of everything else only how long it is. Access lists and
//! extended attributes are read one by one, so that what has not come whole is never more than a few names.

use policies::words::rsync::Lost;

use super::greeting::Terms;
use super::listing::{Entry, Kind, Lists};
use super::options::Options;
use super::wire::{Cut, Halt};

/// The longest name or link, in bytes, with a zero behind it (`MAXPATHLEN` on Linux).
pub(super) const PATH_MAX: usize = 4096;

/// How long the checksum is that stands for a long value of an extended attribute: MD5 in all versions.
const VALUE_SUM: usize = 16;

/// What is longer is not in the list (`MAX_FULL_DATUM`).
const VALUE_MAX: usize = 32;

/// By these an entry says what of it is as it was before, or does not follow (`rsync.h`: `XMIT_…`).
mod flag {
    pub(super) const SAME_MODE: i32 = 1 << 1;
    pub(super) const EXTENDED: i32 = 1 << 2;
    pub(super) const SAME_UID: i32 = 1 << 3;
    pub(super) const SAME_GID: i32 = 1 << 4;
    pub(super) const SAME_NAME: i32 = 1 << 5;
    pub(super) const LONG_NAME: i32 = 1 << 6;
    pub(super) const SAME_TIME: i32 = 1 << 7;
    pub(super) const SAME_MAJOR: i32 = 1 << 8;
    pub(super) const LINKED: i32 = 1 << 9;
    pub(super) const USER_NAME: i32 = 1 << 10;
    pub(super) const GROUP_NAME: i32 = 1 << 11;
    pub(super) const FIRST_LINK: i32 = 1 << 12;
    pub(super) const ERROR_END: i32 = 1 << 12;
    pub(super) const NANOSECONDS: i32 = 1 << 13;
    pub(super) const SAME_ATIME: i32 = 1 << 14;
    pub(super) const SAME_CRTIME: i32 = 1 << 17;
}

/// What an entry says as it was in the one before.
#[derive(Debug, Clone, Default)]
pub(super) struct Before {
    name: Vec<u8>,
    mode: u32,
}

/// What stands next in a list.
#[derive(Debug)]
pub(super) enum Next {
    Entry(Entry, Before, Behind),
    /// Its end, and what could not be read (`IOERR_…`).
    End(i32),
}

/// What of an entry is still to come: of these each is sent once and then has a number.
#[derive(Debug, Clone, Copy)]
pub(super) enum Behind {
    /// So many access lists, and what follows them.
    Lists(u8),
    /// So many users and groups of one, and then so many access lists.
    Named(usize, u8),
    /// Extended attributes.
    Attributes,
    /// So many of them.
    Values(usize),
    Nothing,
}

/// Reads on in a list.
#[derive(Debug)]
pub(super) struct Reader<'a> {
    pub(super) options: &'a Options,
    pub(super) terms: &'a Terms,
    pub(super) lists: &'a Lists,
}

impl Reader<'_> {
    /// What stands next.
    pub(super) fn next(&self, cut: &mut Cut<'_>, before: &Before) -> Result<Next, Halt> {
        let flags = if self.terms.has_long_flags() {
            match cut.varint()? {
                0 => return Ok(Next::End(cut.varint()?)),
                flags => flags,
            }
        } else {
            match i32::from(cut.byte()?) {
                0 => return Ok(Next::End(0)),
                low if low & flag::EXTENDED != 0 => {
                    low | i32::from(cut.byte()?).saturating_mul(256)
                }
                low => low,
            }
        };
        if !self.terms.has_long_flags() && flags == (flag::EXTENDED | flag::ERROR_END) {
            return Ok(Next::End(cut.varint()?));
        }
        let name = name(cut, flags, before)?;
        let (mode, size, link) = self.body(cut, flags, before)?;
        let behind = self.behind(mode)?;
        let entry = Entry::new(&name, mode, size, &link)?;
        Ok(Next::Entry(entry, Before { name, mode }, behind))
    }

    /// What follows the name: the mode, the size, and where a link leads.
    fn body(
        &self,
        cut: &mut Cut<'_>,
        flags: i32,
        before: &Before,
    ) -> Result<(u32, u64, Vec<u8>), Halt> {
        if flags & (flag::LINKED | flag::FIRST_LINK) == flag::LINKED {
            let first = cut.varint()?;
            if let Some(first) = self.lists.unsorted(first)? {
                return Ok((first.mode, first.size, first.link.to_vec()));
            }
        }
        let size = u64::try_from(cut.varlong(3)?).map_err(|_negative| Lost::Entry)?;
        if flags & flag::SAME_TIME == 0 {
            cut.varlong(4)?;
        }
        if flags & flag::NANOSECONDS != 0 {
            cut.varint()?;
        }
        if self.options.has(b'N') && flags & flag::SAME_CRTIME == 0 {
            cut.varlong(4)?;
        }
        let mode = if flags & flag::SAME_MODE == 0 {
            u32::from_le_bytes(cut.int()?.to_le_bytes())
        } else {
            before.mode
        };
        let kind = Kind::of(mode).ok_or(Lost::Entry)?;
        let has_atime = self.options.has(b'U') && kind != Kind::Directory;
        if has_atime && flags & flag::SAME_ATIME == 0 {
            cut.varlong(4)?;
        }
        self.owners(cut, flags)?;
        let has_number = match kind {
            Kind::Device => self.options.has(b'D'),
            Kind::Special => self.options.keeps_specials() && !self.terms.is_late(),
            Kind::File | Kind::Directory | Kind::Link | Kind::Missing => false,
        };
        if has_number {
            if flags & flag::SAME_MAJOR == 0 {
                cut.varint()?;
            }
            cut.varint()?;
        }
        let mut link = Vec::new();
        if kind == Kind::Link && self.options.has(b'l') {
            let length = length(cut.varint()?, PATH_MAX)?;
            link = cut.bytes(length)?.to_vec();
        }
        if self.options.has(b'c') && kind == Kind::File {
            cut.bytes(self.terms.listed_sum)?;
        }
        Ok((mode, size, link))
    }

    fn owners(&self, cut: &mut Cut<'_>, flags: i32) -> Result<(), Halt> {
        for (letter, same, named) in [
            (b'o', flag::SAME_UID, flag::USER_NAME),
            (b'g', flag::SAME_GID, flag::GROUP_NAME),
        ] {
            if self.options.has(letter) && flags & same == 0 {
                cut.varint()?;
                if flags & named != 0 {
                    let length = cut.byte()?;
                    cut.bytes(length.into())?;
                }
            }
        }
        Ok(())
    }

    /// What follows an entry with this mode.
    fn behind(&self, mode: u32) -> Result<Behind, Lost> {
        let kind = Kind::of(mode).ok_or(Lost::Entry)?;
        let lists = match kind {
            _ if !self.options.has(b'A') => 0,
            Kind::Link => 0,
            Kind::Directory => 2,
            Kind::File | Kind::Device | Kind::Special | Kind::Missing => 1,
        };
        Ok(Behind::Lists(lists))
    }
}

impl Behind {
    /// Reads the next of it; what follows then.
    pub(super) fn step(self, cut: &mut Cut<'_>, options: &Options) -> Result<Self, Halt> {
        Ok(match self {
            Self::Lists(0) if options.has(b'X') => Self::Attributes,
            Self::Lists(0) | Self::Values(0) | Self::Nothing => Self::Nothing,
            Self::Lists(left) => Self::Named(access(cut)?, left.saturating_sub(1)),
            Self::Named(0, lists) => Self::Lists(lists),
            Self::Named(left, lists) => {
                cut.varint()?;
                if cut.varint()? & 1 != 0 {
                    let length = cut.byte()?;
                    cut.bytes(length.into())?;
                }
                Self::Named(left.saturating_sub(1), lists)
            }
            Self::Attributes => match cut.varint()? {
                0 => Self::Values(length(cut.varint()?, usize::MAX)?),
                _number => Self::Nothing,
            },
            Self::Values(left) => {
                let name = length(cut.varint()?, PATH_MAX)?;
                let value = length(cut.varint()?, usize::MAX)?;
                cut.bytes(name)?;
                cut.bytes(if value > VALUE_MAX { VALUE_SUM } else { value })?;
                Self::Values(left.saturating_sub(1))
            }
        })
    }
}

/// The name: of the one before as much as is the same, and the rest.
fn name(cut: &mut Cut<'_>, flags: i32, before: &Before) -> Result<Vec<u8>, Halt> {
    let same = if flags & flag::SAME_NAME == 0 {
        0
    } else {
        usize::from(cut.byte()?)
    };
    let rest = if flags & flag::LONG_NAME == 0 {
        usize::from(cut.byte()?)
    } else {
        length(cut.varint()?, PATH_MAX)?
    };
    if same.saturating_add(rest) >= PATH_MAX {
        return Err(Lost::Long.into());
    }
    let same = before.name.get(..same).ok_or(Lost::Name)?;
    Ok([same, cut.bytes(rest)?].concat())
}

/// What an access list begins with, or its number. How many users and groups follow.
fn access(cut: &mut Cut<'_>) -> Result<usize, Halt> {
    if cut.varint()? != 0 {
        return Ok(0);
    }
    let flags = cut.byte()?;
    for part in 0..4 {
        if flags & (1 << part) != 0 {
            cut.varint()?;
        }
    }
    if flags & (1 << 4) == 0 {
        return Ok(0);
    }
    Ok(length(cut.varint()?, usize::MAX)?)
}

/// A length that was announced, which is less than `most`.
fn length(said: i32, most: usize) -> Result<usize, Lost> {
    let length = usize::try_from(said).map_err(|_negative| Lost::Long)?;
    if length < most {
        Ok(length)
    } else {
        Err(Lost::Long)
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::ssh::files::rsync::tests::invocation;

    /// What was left to read each time, where this comes behind an entry a byte at a time, and whether it was all of it.
    fn read(mut behind: Behind, bytes: &[u8]) -> (usize, bool) {
        let line = "rsync --server -rAXe.Ls . /srv/in/";
        let options = Options::of(&invocation(line)).unwrap();
        let (mut part, mut longest) = (Vec::new(), 0);
        for byte in bytes {
            part.push(*byte);
            longest = longest.max(part.len());
            while !matches!(behind, Behind::Nothing) {
                let mut cut = Cut::new(&part);
                match behind.step(&mut cut, &options) {
                    Ok(next) => behind = next,
                    Err(Halt::Short) => break,
                    Err(Halt::Lost(lost)) => panic!("{lost}"),
                }
                let taken = cut.taken();
                part.drain(..taken);
            }
        }
        let is_whole = part.is_empty() && matches!(behind, Behind::Nothing);
        (longest, is_whole)
    }

    #[test]
    fn access_lists_and_attributes_are_not_read_again_from_their_start() {
        // Two access lists: 8,000 users of one, each with a name of two bytes, and one that has come before.
        let list: &[u8] = &[0, 0x1f, 7, 5, 5, 7, 0x9f, 0x40];
        let users = [9, 5, 2, b'a', b'b'].repeat(8000);
        // Attributes: 8,000, a name of one byte and a value of one each.
        let values = [1, 1, b'n', b'v'].repeat(8000);
        let between = &[3, 0, 0x9f, 0x40];
        let all = [list, &users, between, &values].concat();
        assert_eq!(read(Behind::Lists(2), &all), (8, true));
        let (_longest, is_whole) = read(Behind::Lists(2), &all[..all.len() - 1]);
        assert!(!is_whole);
    }

    #[test]
    fn a_long_value_is_told_by_its_sum() {
        let name = [b'n'; 4000];
        let head: &[u8] = &[1, 0, 1, 0x8f, 0xa0, 33];
        let all = [head, &name, &[0; 16]].concat();
        assert_eq!(read(Behind::Lists(1), &all), (4019, true));
        // What has come before has a number.
        assert_eq!(read(Behind::Lists(2), &[7, 7, 7]), (1, true));
    }
}
