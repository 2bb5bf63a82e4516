//! What the end that has the files says: their lists, and what is in them (`sender.c`, `flist.c`, `match.c` and `token.c`
//! of rsync).
//!
//! Keeps no contents: they are counted and digested. What is compressed is counted only.

use policies::words::rsync::Lost;

use super::entry::{self, Before, Behind, Next};
use super::listing::Kind;
use super::scene::{Blocks, Item, Scene};
use super::telling::{Going, Manner};
use super::wire::{Cut, Halt, Indexes, Mark};
use crate::ssh::files::operation::Ended;

/// How many numbers a target that sends says at its end (`main.c`: `handle_stats`).
const FIGURES: u8 = 5;

/// How many are told of what was deleted (`main.c`: `write_del_stats`).
const DELETED: usize = 5;

/// How many phases there are; each ends with a word.
const PHASES: u8 = 3;

/// In this one no contents pass.
const LAST_PHASE: u8 = 2;

/// The longest rule (`BIGPATHBUFLEN`).
const RULE_MAX: i32 = 4096 + 1024;

/// The longest piece of contents at once: rsync sends 32 KiB (`CHUNK_SIZE`), others twice that. What is longer is no
/// length, so a lost thread shows at the next one.
const LITERAL_MAX: i32 = 256 * 1024;

/// What is said next.
#[derive(Debug, Clone, Copy)]
enum State {
    /// Rules for what is deleted at the other end.
    Rules,
    Listing,
    /// What of an entry of the list is still to come.
    Entry(Behind),
    /// The names of users, then those of groups.
    Names(u8),
    Index,
    /// Long values of extended attributes of the file.
    Attributes(Item),
    /// So much of one.
    Value(Item, u64),
    Blocks(Item),
    Token,
    /// So much of the contents.
    Literal(u64),
    Digest(Item),
    /// So many numbers about the transfer.
    Figures(u8),
    Over,
}

/// The end that sends, as far as it has come.
#[derive(Debug)]
pub(super) struct Source {
    state: State,
    indexes: Indexes,
    before: Before,
    going: Option<(Item, Going)>,
    phase: u8,
    /// What could not be read (`IOERR_…`).
    pub(super) faults: i32,
}

impl Source {
    pub(super) fn new(has_rules: bool) -> Self {
        Self {
            state: if has_rules {
                State::Rules
            } else {
                State::Listing
            },
            indexes: Indexes::default(),
            before: Before::default(),
            going: None,
            phase: 0,
            faults: 0,
        }
    }

    /// The file whose contents have not passed whole.
    pub(super) fn left(&mut self) -> Option<Going> {
        self.going.take().map(|(_item, going)| going)
    }

    /// The next that is said; how many bytes that is.
    pub(super) fn step(&mut self, bytes: &[u8], scene: &mut Scene) -> Result<usize, Halt> {
        if let State::Value(item, left) = self.state {
            let (taken, left) = some(bytes, left);
            self.state = match left {
                0 => State::Attributes(item),
                left => State::Value(item, left),
            };
            return Ok(taken.len());
        }
        if let State::Literal(left) = self.state {
            let (taken, left) = some(bytes, left);
            if let Some((_item, going)) = &mut self.going {
                going.passed.take(taken);
            }
            self.state = match left {
                0 => State::Token,
                left => State::Literal(left),
            };
            return Ok(taken.len());
        }
        let mut cut = Cut::new(bytes);
        self.said(self.state, &mut cut, scene)?;
        Ok(cut.taken())
    }

    /// What is said next, of all that is not taken as it comes.
    fn said(&mut self, state: State, cut: &mut Cut<'_>, scene: &mut Scene) -> Result<(), Halt> {
        match state {
            State::Rules => {
                if rule(cut)? {
                    self.state = State::Listing;
                }
            }
            State::Listing => self.listed(cut, scene)?,
            State::Entry(behind) => {
                let left = behind.step(cut, &scene.options)?;
                self.state = if matches!(left, Behind::Nothing) {
                    State::Listing
                } else {
                    State::Entry(left)
                };
            }
            State::Names(kind) => self.named(kind, cut, scene)?,
            State::Index => self.marked(cut, scene)?,
            State::Attributes(item) => {
                self.state = if cut.varint()? == 0 {
                    Self::behind(item)
                } else {
                    let length = cut.varint()?;
                    let length = u64::try_from(length).map_err(|_negative| Lost::Long)?;
                    State::Value(item, length)
                };
            }
            State::Blocks(item) => self.begins(item, Blocks::read(cut, &scene.terms)?, scene)?,
            State::Token | State::Value(..) | State::Literal(_) => self.token(cut)?,
            State::Digest(item) => {
                cut.bytes(scene.terms.sum)?;
                if let Some(going) = self.left() {
                    scene.telling.ends(going, Ended::Done);
                }
                scene.lists.find(item.index)?.sent = true;
                self.state = State::Index;
            }
            State::Figures(left) => {
                cut.varlong(3)?;
                self.state = match left.saturating_sub(1) {
                    0 => State::Over,
                    left => State::Figures(left),
                };
            }
            State::Over => {
                let (mark, next) = self.indexes.read(cut)?;
                match mark {
                    Mark::Done => {}
                    Mark::Deleted => deleted(cut)?,
                    Mark::ListsEnd | Mark::List(_) | Mark::File(_) => return Err(Lost::Turn.into()),
                }
                self.indexes = next;
            }
        }
        Ok(())
    }

    /// What a list has next.
    fn listed(&mut self, cut: &mut Cut<'_>, scene: &mut Scene) -> Result<(), Halt> {
        if scene.lists.is_new() {
            scene.lists.begin(None)?;
        }
        let (options, terms) = (&scene.options, &scene.terms);
        let reader = entry::Reader {
            options,
            terms,
            lists: &scene.lists,
        };
        match reader.next(cut, &self.before)? {
            Next::Entry(entry, before, behind) => {
                scene.lists.push(entry)?;
                self.before = before;
                self.state = State::Entry(behind);
            }
            Next::End(faults) => {
                self.faults |= faults;
                scene.lists.close()?;
                let named = !terms.is_incremental() && !options.says("numeric-ids");
                self.state = if named { State::Names(0) } else { State::Index };
            }
        }
        Ok(())
    }

    /// A name of a user or a group, or that there are no more of them (`uidlist.c`: `recv_id_list`).
    fn named(&mut self, kind: u8, cut: &mut Cut<'_>, scene: &Scene) -> Result<(), Halt> {
        let letter = match kind {
            0 => b'o',
            1 => b'g',
            _ => {
                self.state = State::Index;
                return Ok(());
            }
        };
        let has = scene.options.has(letter) || scene.options.has(b'A');
        let is_last = !has || cut.varint()? == 0;
        if has && (!is_last || scene.terms.names_zero()) {
            let length = cut.byte()?;
            cut.bytes(length.into())?;
        }
        if is_last {
            self.state = State::Names(kind.saturating_add(1));
        }
        Ok(())
    }

    /// Which file comes, or what else.
    fn marked(&mut self, cut: &mut Cut<'_>, scene: &mut Scene) -> Result<(), Halt> {
        let (mark, next) = self.indexes.read(cut)?;
        match mark {
            Mark::Done => self.done(scene),
            Mark::ListsEnd => {}
            Mark::Deleted => deleted(cut)?,
            Mark::List(dir) => {
                scene.lists.begin(Some(dir))?;
                self.state = State::Listing;
            }
            Mark::File(index) => {
                let (item, _name) = Item::read(index, cut)?;
                let entry = scene.lists.find(index)?;
                // Else either end gives up (`rsync.c`: `read_ndx_and_attrs`; `receiver.c`: `recv_files`).
                let may_pass = entry.kind == Kind::File && self.phase < LAST_PHASE;
                if item.transfers() && !may_pass {
                    return Err(Lost::Index.into());
                }
                self.state = if item.has_attributes(scene) {
                    State::Attributes(item)
                } else {
                    Self::behind(item)
                };
            }
        }
        self.indexes = next;
        Ok(())
    }

    /// One list is done with, or one phase (`sender.c`: `send_files`).
    fn done(&mut self, scene: &mut Scene) {
        if scene.terms.is_incremental() && scene.lists.drop_first() == Some(true) {
            return;
        }
        self.phase = self.phase.saturating_add(1);
        if self.phase == PHASES {
            while scene.lists.drop_first().is_some() {}
            self.state = if scene.options.sends {
                State::Figures(FIGURES)
            } else {
                State::Over
            };
        }
    }

    /// What follows what is said of a file.
    fn behind(item: Item) -> State {
        if item.transfers() {
            State::Blocks(item)
        } else {
            State::Index
        }
    }

    /// The contents of a file follow.
    fn begins(&mut self, item: Item, blocks: Blocks, scene: &mut Scene) -> Result<(), Halt> {
        let appends = scene.options.says("append");
        let entry = scene.lists.tell(item.index)?;
        let manner = match scene.terms.compression {
            Some(name) => Manner::Compressed(name),
            // Also where it is sent again: what it is appended to is left out then too.
            None if appends && blocks.count > 0 => Manner::Appended,
            None => Manner::Plain,
        };
        let going = scene.telling.begins(entry, blocks.count, manner);
        self.going = Some((item, going));
        self.state = State::Token;
        Ok(())
    }

    /// What of the contents comes next (`token.c`: `simple_recv_token`, `recv_deflated_token`).
    fn token(&mut self, cut: &mut Cut<'_>) -> Result<(), Halt> {
        let Some((item, going)) = &mut self.going else {
            return Err(Lost::Turn.into());
        };
        let (kept, next) = match going.manner {
            Manner::Compressed(_) => squeezed(cut)?,
            Manner::Plain | Manner::Appended => plain(cut, going.blocks)?,
        };
        going.kept = going.kept.saturating_add(kept);
        self.state = match next {
            Some(0) => State::Token,
            Some(left) => State::Literal(left),
            None => State::Digest(*item),
        };
        Ok(())
    }
}

/// How many blocks are kept, and how many bytes follow. None at the end.
fn plain(cut: &mut Cut<'_>, blocks: i32) -> Result<(u64, Option<u64>), Halt> {
    match cut.int()? {
        0 => Ok((0, None)),
        block if block < 0 => {
            let block = block.checked_add(1).and_then(i32::checked_neg);
            match block {
                Some(block) if block < blocks => Ok((1, Some(0))),
                Some(_) | None => Err(Lost::Token.into()),
            }
        }
        length if length > LITERAL_MAX => Err(Lost::Token.into()),
        length => Ok((0, Some(u64::try_from(length).unwrap_or(0)))),
    }
}

/// The same of contents that are compressed, which zlib, lz4 and zstd do alike. Which blocks are meant is not looked at.
fn squeezed(cut: &mut Cut<'_>) -> Result<(u64, Option<u64>), Halt> {
    let flag = cut.byte()?;
    match flag {
        0 => Ok((0, None)),
        0x20 | 0x21 => {
            cut.int()?;
            run(cut, flag & 1 != 0)
        }
        flag if flag & 0xc0 == 0x40 => {
            let length = u16::from_be_bytes([flag & 0x3f, cut.byte()?]);
            Ok((0, Some(length.into())))
        }
        flag if flag & 0x80 != 0 => run(cut, flag & 0x40 != 0),
        _ => Err(Lost::Token.into()),
    }
}

/// One block, or a run of some more.
fn run(cut: &mut Cut<'_>, is_run: bool) -> Result<(u64, Option<u64>), Halt> {
    let more = if is_run { cut.short()? } else { 0 };
    Ok((u64::from(more).saturating_add(1), Some(0)))
}

/// Reads one rule. Whether it was the end of them (`exclude.c`: `recv_filter_list`).
pub(super) fn rule(cut: &mut Cut<'_>) -> Result<bool, Halt> {
    let length = cut.int()?;
    if !(0..RULE_MAX).contains(&length) {
        return Err(Lost::Long.into());
    }
    cut.bytes(usize::try_from(length).unwrap_or(0))?;
    Ok(length == 0)
}

/// Reads how much was deleted.
pub(super) fn deleted(cut: &mut Cut<'_>) -> Result<(), Halt> {
    for _ in 0..DELETED {
        cut.varint()?;
    }
    Ok(())
}

/// As much of these bytes as is left, and how much is left then.
pub(super) fn some(bytes: &[u8], left: u64) -> (&[u8], u64) {
    let take = usize::try_from(left).map_or(bytes.len(), |left| left.min(bytes.len()));
    let taken = bytes.get(..take).unwrap_or(bytes);
    let count = u64::try_from(taken.len()).unwrap_or(left);
    (taken, left.saturating_sub(count))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_piece_of_contents_is_no_longer_than_any_rsync_sends_it() {
        let read = |length: i32| plain(&mut Cut::new(&length.to_le_bytes()), 1);
        assert_eq!(read(LITERAL_MAX), Ok((0, Some(256 * 1024))));
        for length in [LITERAL_MAX + 1, i32::MAX, -2, i32::MIN] {
            assert_eq!(read(length), Err(Halt::Lost(Lost::Token)), "{length}");
        }
    }
}
