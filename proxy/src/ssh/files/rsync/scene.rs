//! What both ends' streams are about: what was agreed on, which files there are, and what is told of them.

use policies::words::rsync::Lost;

use super::greeting::Terms;
use super::listing::Lists;
use super::options::Options;
use super::telling::{BASIS, LOCAL_CHANGE, NAMED, Telling};
use super::wire::{Cut, Halt};

/// The longest name behind an item (`MAXPATHLEN` on Linux).
const NAME_MAX: usize = 4096;

/// The contents pass (`ITEM_TRANSFER`).
const TRANSFER: u16 = 1 << 15;

/// Extended attributes change (`ITEM_REPORT_XATTR`).
const ATTRIBUTES: u16 = 1 << 8;

/// What both streams share.
#[derive(Debug)]
pub(super) struct Scene {
    pub(super) options: Options,
    pub(super) terms: Terms,
    pub(super) lists: Lists,
    pub(super) telling: Telling,
}

/// Something that is to be done with a file.
#[derive(Debug, Clone, Copy)]
pub(super) struct Item {
    pub(super) index: i32,
    pub(super) flags: u16,
}

/// The checksums of what one end has of a file.
#[derive(Debug, Clone, Copy)]
pub(super) struct Blocks {
    pub(super) count: i32,
    /// How long each checksum is, in bytes, besides the four of the short one.
    pub(super) sum: u64,
}

impl Item {
    /// What follows a file's number, with the name in it (`rsync.c`: `read_ndx_and_attrs`).
    pub(super) fn read<'a>(index: i32, cut: &mut Cut<'a>) -> Result<(Self, &'a [u8]), Halt> {
        let flags = cut.short()?;
        if flags & BASIS != 0 {
            cut.byte()?;
        }
        let name = if flags & NAMED == 0 {
            &[]
        } else {
            cut.text(NAME_MAX)?
        };
        Ok((Self { index, flags }, name))
    }

    /// Whether the contents pass.
    pub(super) fn transfers(self) -> bool {
        self.flags & TRANSFER != 0
    }

    /// Whether long values of extended attributes are asked for behind it.
    pub(super) fn has_attributes(self, scene: &Scene) -> bool {
        let linked = NAMED | LOCAL_CHANGE;
        let spared = scene.terms.spares_attributes() && self.flags & linked == linked;
        scene.options.has(b'X') && self.flags & ATTRIBUTES != 0 && !spared
    }
}

impl Blocks {
    /// What stands before the checksums (`io.c`: `read_sum_head`).
    pub(super) fn read(cut: &mut Cut<'_>, terms: &Terms) -> Result<Self, Halt> {
        let (count, length) = (cut.int()?, cut.int()?);
        let (sum, rest) = (cut.int()?, cut.int()?);
        let sum = u64::try_from(sum).map_err(|_negative| Lost::Sums)?;
        let longest = u64::try_from(terms.sum).unwrap_or(u64::MAX);
        let lengths = 0..=length;
        if count < 0 || (count > 0 && length == 0) || sum > longest || !lengths.contains(&rest) {
            return Err(Lost::Sums.into());
        }
        Ok(Self { count, sum })
    }
}
