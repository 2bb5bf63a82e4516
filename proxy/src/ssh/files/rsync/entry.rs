//! One entry of a file list, as a sender writes it (`flist.c` of rsync: `recv_file_entry`; `acls.c` and `xattrs.c` for
//! what follows it).
//!
//! Keeps the name, the mode, the size and where a link leads; of everything else only how long it is.

use super::greeting::Terms;
use super::listing::{Entry, Kind, Lists};
use super::lost::Lost;
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
    Entry(Entry, Before),
    /// Its end, and what could not be read (`IOERR_…`).
    End(i32),
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
        self.attributes(cut, mode)?;
        let entry = Entry::new(&name, mode, size, &link)?;
        Ok(Next::Entry(entry, Before { name, mode }))
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

    /// Access lists and extended attributes, of which each is sent once and then has a number.
    fn attributes(&self, cut: &mut Cut<'_>, mode: u32) -> Result<(), Halt> {
        let kind = Kind::of(mode).ok_or(Lost::Entry)?;
        if self.options.has(b'A') && kind != Kind::Link {
            access(cut)?;
            if kind == Kind::Directory {
                access(cut)?;
            }
        }
        if self.options.has(b'X') && cut.varint()? == 0 {
            for _ in 0..length(cut.varint()?, usize::MAX)? {
                let name = length(cut.varint()?, PATH_MAX)?;
                let value = length(cut.varint()?, usize::MAX)?;
                cut.bytes(name)?;
                cut.bytes(if value > VALUE_MAX { VALUE_SUM } else { value })?;
            }
        }
        Ok(())
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

/// One access list, or its number.
fn access(cut: &mut Cut<'_>) -> Result<(), Halt> {
    if cut.varint()? != 0 {
        return Ok(());
    }
    let flags = cut.byte()?;
    for part in 0..4 {
        if flags & (1 << part) != 0 {
            cut.varint()?;
        }
    }
    if flags & (1 << 4) != 0 {
        for _ in 0..length(cut.varint()?, usize::MAX)? {
            cut.varint()?;
            if cut.varint()? & 1 != 0 {
                let length = cut.byte()?;
                cut.bytes(length.into())?;
            }
        }
    }
    Ok(())
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
