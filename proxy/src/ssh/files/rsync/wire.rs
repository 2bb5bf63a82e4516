//! The numbers and texts of rsync's protocol, as they stand in a stream (`io.c` of rsync: `read_int`, `read_varint`,
//! `read_varlong`, `read_vstring`, `read_ndx`).
//!
//! Takes nothing out of a stream that is not all there, and believes no length before it has looked.

use policies::words::rsync::Lost;

/// Why something was not read.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Halt {
    /// Not all of it has come.
    Short,
    /// It never will be understood.
    Lost(Lost),
}

impl From<Lost> for Halt {
    fn from(lost: Lost) -> Self {
        Self::Lost(lost)
    }
}

/// What has come of a stream, read from its beginning.
#[derive(Debug)]
pub(super) struct Cut<'a> {
    rest: &'a [u8],
    whole: usize,
}

impl<'a> Cut<'a> {
    pub(super) fn new(bytes: &'a [u8]) -> Self {
        Self {
            rest: bytes,
            whole: bytes.len(),
        }
    }

    /// How many bytes were read.
    pub(super) fn taken(&self) -> usize {
        self.whole.saturating_sub(self.rest.len())
    }

    /// So many bytes.
    pub(super) fn bytes(&mut self, count: usize) -> Result<&'a [u8], Halt> {
        let (bytes, rest) = self.rest.split_at_checked(count).ok_or(Halt::Short)?;
        self.rest = rest;
        Ok(bytes)
    }

    pub(super) fn byte(&mut self) -> Result<u8, Halt> {
        let (byte, rest) = self.rest.split_first().ok_or(Halt::Short)?;
        self.rest = rest;
        Ok(*byte)
    }

    /// A number of two bytes, the least first.
    pub(super) fn short(&mut self) -> Result<u16, Halt> {
        let (low, high) = (self.byte()?, self.byte()?);
        Ok(u16::from_le_bytes([low, high]))
    }

    /// A number of four bytes, the least first.
    pub(super) fn int(&mut self) -> Result<i32, Halt> {
        let (bytes, rest) = self.rest.split_first_chunk::<4>().ok_or(Halt::Short)?;
        self.rest = rest;
        Ok(i32::from_le_bytes(*bytes))
    }

    /// A number of one to five bytes: the first says how many more there are, by the ones that it begins with.
    pub(super) fn varint(&mut self) -> Result<i32, Halt> {
        let first = self.byte()?;
        let extra = extra(first);
        let mut number = [0; 5];
        if extra > 4 {
            return Err(Lost::Number.into());
        }
        self.place(&mut number, 0, extra)?;
        if let Some(top) = number.get_mut(extra) {
            *top = rest_of(first, extra);
        }
        let low = number.first_chunk::<4>().copied().unwrap_or_default();
        Ok(i32::from_le_bytes(low))
    }

    /// One that has at least so many bytes, and nine at most.
    pub(super) fn varlong(&mut self, least: usize) -> Result<i64, Halt> {
        let first = self.byte()?;
        let extra = extra(first);
        let low = least.saturating_sub(1);
        let top_at = low.saturating_add(extra);
        if top_at > 8 {
            return Err(Lost::Number.into());
        }
        let mut number = [0; 9];
        self.place(&mut number, 0, low)?;
        self.place(&mut number, low, extra)?;
        if let Some(top) = number.get_mut(top_at) {
            *top = rest_of(first, extra);
        }
        let low = number.first_chunk::<8>().copied().unwrap_or_default();
        Ok(i64::from_le_bytes(low))
    }

    /// A text behind its length, which is less than `most`.
    pub(super) fn text(&mut self, most: usize) -> Result<&'a [u8], Halt> {
        let first = self.byte()?;
        let length = if first & 0x80 == 0 {
            usize::from(first)
        } else {
            usize::from(u16::from_be_bytes([first & 0x7f, self.byte()?]))
        };
        if length >= most {
            return Err(Lost::Long.into());
        }
        self.bytes(length)
    }

    /// Bytes of a number, from there on.
    fn place(&mut self, number: &mut [u8], at: usize, count: usize) -> Result<(), Halt> {
        let bytes = self.bytes(count)?;
        let places = number.iter_mut().skip(at);
        for (place, byte) in places.zip(bytes) {
            *place = *byte;
        }
        Ok(())
    }
}

/// How many bytes follow one that begins a number.
fn extra(first: u8) -> usize {
    usize::try_from(first.leading_ones().min(6)).unwrap_or(6)
}

/// What such a byte has of the number itself.
fn rest_of(first: u8, extra: usize) -> u8 {
    let ones = u32::try_from(extra).unwrap_or(8);
    first & 0xff_u8.checked_shr(ones).unwrap_or(0)
}

/// Which file is meant, by its number.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Mark {
    /// The end of something.
    Done,
    /// There are no more lists.
    ListsEnd,
    /// How much was deleted.
    Deleted,
    /// The list of what is in the directory with this number.
    List(i32),
    /// The file with this number.
    File(i32),
}

/// The numbers of one direction: each is told as its distance from the last.
#[derive(Debug)]
pub(super) struct Indexes {
    positive: i32,
    negative: i32,
}

impl Default for Indexes {
    fn default() -> Self {
        Self {
            positive: -1,
            negative: 1,
        }
    }
}

impl Indexes {
    /// The next one. It counts once it is kept: `next` is what `self` is to be then.
    pub(super) fn read(&self, cut: &mut Cut<'_>) -> Result<(Mark, Self), Halt> {
        let mut next = Self { ..*self };
        let first = cut.byte()?;
        match first {
            0 => Ok((Mark::Done, next)),
            0xff => {
                let second = cut.byte()?;
                next.negative = distance(second, self.negative, cut)?;
                let mark = match next.negative {
                    2 => Mark::ListsEnd,
                    3 => Mark::Deleted,
                    far if far >= 101 => Mark::List(far.saturating_sub(101)),
                    _ => return Err(Lost::Index.into()),
                };
                Ok((mark, next))
            }
            first => {
                next.positive = distance(first, self.positive, cut)?;
                Ok((Mark::File(next.positive), next))
            }
        }
    }
}

/// A number that is told by its distance from one before, or in full.
fn distance(first: u8, before: i32, cut: &mut Cut<'_>) -> Result<i32, Halt> {
    if first != 0xfe {
        return Ok(before.checked_add(i32::from(first)).ok_or(Lost::Index)?);
    }
    let (high, low) = (cut.byte()?, cut.byte()?);
    if high & 0x80 == 0 {
        let far = i32::from(u16::from_be_bytes([high, low]));
        return Ok(before.checked_add(far).ok_or(Lost::Index)?);
    }
    let (second, third) = (cut.byte()?, cut.byte()?);
    Ok(i32::from_be_bytes([high & 0x7f, third, second, low]))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[track_caller]
    fn check(bytes: &[u8], want: Result<i32, Halt>) {
        assert_eq!(Cut::new(bytes).varint(), want, "{bytes:x?}");
    }

    #[test]
    fn a_number_says_by_its_first_byte_how_long_it_is() {
        check(&[0x7f], Ok(127));
        check(&[0x80, 0x80], Ok(128));
        check(&[0x81, 0xff], Ok(511));
        check(&[0xc1, 0x34, 0x12], Ok(0x1_1234));
        check(&[0xf0, 0xff, 0xff, 0xff, 0xff], Ok(-1));
        check(&[0xc1, 0x34], Err(Halt::Short));
        check(&[], Err(Halt::Short));
        check(&[0xf8, 1, 2, 3, 4, 5], Err(Halt::Lost(Lost::Number)));
    }

    #[test]
    fn a_long_number_has_as_many_bytes_as_it_must() {
        for (bytes, want) in [
            (&[0, 1, 2][..], 0x201),
            (&[0x7f, 1, 2], 0x7f_0201),
            (&[0x80, 1, 2, 3], 0x3_0201),
            (&[0xfc, 1, 2, 3, 4, 5, 6, 7, 8], 0x0807_0605_0403_0201),
        ] {
            assert_eq!(Cut::new(bytes).varlong(3), Ok(want), "{bytes:x?}");
        }
        let lost = Cut::new(&[0xff; 12]).varlong(4);
        assert_eq!(lost, Err(Halt::Lost(Lost::Number)));
    }

    #[test]
    fn files_are_numbered_by_their_distance() {
        let bytes = [
            1, 1, 0xfe, 1, 0, 0xfe, 0x80, 5, 0, 0, 0, 0xff, 1, 0xff, 99, 0xff, 1, 0xfe, 0xff, 0xff,
            0xff, 0xff,
        ];
        let mut cut = Cut::new(&bytes);
        let (mut indexes, mut marks) = (Indexes::default(), Vec::new());
        while let Ok((mark, next)) = indexes.read(&mut cut) {
            indexes = next;
            marks.push(mark);
        }
        let want = [
            Mark::File(0),
            Mark::File(1),
            Mark::File(257),
            Mark::File(5),
            Mark::Done,
            Mark::ListsEnd,
            Mark::List(0),
            Mark::List(1),
            Mark::File(i32::MAX),
        ];
        assert_eq!(marks, want);
    }
}
