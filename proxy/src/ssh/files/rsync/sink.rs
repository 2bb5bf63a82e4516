//! What the end that gets the files says: which it wants, what it has of them, and what else it changes (`generator.c` of
//! rsync).

use policies::words::rsync::Lost;

use super::scene::{Blocks, Item, Scene};
use super::source::{deleted, rule, some};
use super::wire::{Cut, Halt, Indexes, Mark};

/// What is said next.
#[derive(Debug, Clone, Copy)]
enum State {
    /// Rules for what is sent.
    Rules,
    Index,
    /// Which long values of extended attributes are wanted of the file.
    Attributes(Item),
    Blocks(Item),
    /// So many bytes of checksums.
    Sums(u64),
}

/// The end that receives, as far as it has come.
#[derive(Debug)]
pub(super) struct Sink {
    state: State,
    indexes: Indexes,
}

impl Sink {
    pub(super) fn new(has_rules: bool) -> Self {
        Self {
            state: if has_rules {
                State::Rules
            } else {
                State::Index
            },
            indexes: Indexes::default(),
        }
    }

    /// The next that is said; how many bytes that is.
    pub(super) fn step(&mut self, bytes: &[u8], scene: &mut Scene) -> Result<usize, Halt> {
        let mut cut = Cut::new(bytes);
        match self.state {
            State::Rules => {
                if rule(&mut cut)? {
                    self.state = State::Index;
                }
            }
            State::Index => {
                let (mark, next) = self.indexes.read(&mut cut)?;
                match mark {
                    Mark::Done => {}
                    Mark::Deleted => deleted(&mut cut)?,
                    Mark::ListsEnd | Mark::List(_) => return Err(Lost::Index.into()),
                    Mark::File(index) => self.wants(index, &mut cut, scene)?,
                }
                self.indexes = next;
            }
            State::Attributes(item) => {
                if cut.varint()? == 0 {
                    self.state = Self::behind(item);
                }
            }
            State::Blocks(item) => {
                let blocks = Blocks::read(&mut cut, &scene.terms)?;
                let entry = scene.lists.find(item.index)?;
                let appends = scene.options.says("append") && !entry.sent;
                let each = blocks.sum.saturating_add(4);
                let count = u64::try_from(blocks.count).unwrap_or(0);
                self.state = match count.saturating_mul(each) {
                    _ if appends => State::Index,
                    0 => State::Index,
                    left => State::Sums(left),
                };
            }
            State::Sums(left) => {
                let (taken, left) = some(bytes, left);
                self.state = match left {
                    0 => State::Index,
                    left => State::Sums(left),
                };
                return Ok(taken.len());
            }
        }
        Ok(cut.taken())
    }

    /// What is to be done with a file. That its contents are to come is told of once they do.
    fn wants(&mut self, index: i32, cut: &mut Cut<'_>, scene: &mut Scene) -> Result<(), Halt> {
        let (item, linked) = Item::read(index, cut)?;
        if item.transfers() {
            scene.lists.find(index)?;
        } else {
            let entry = scene.lists.tell(index)?;
            scene.telling.item(entry, item.flags, linked);
        }
        self.state = if item.has_attributes(scene) {
            State::Attributes(item)
        } else {
            Self::behind(item)
        };
        Ok(())
    }

    fn behind(item: Item) -> State {
        if item.transfers() {
            State::Blocks(item)
        } else {
            State::Index
        }
    }
}
