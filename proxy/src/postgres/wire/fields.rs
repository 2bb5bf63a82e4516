//! The fields of one message's body, from the front.
//!
//! What is announced is believed only as far as it is there.

use std::ffi::CStr;

use super::Violation;

/// Takes fields off the front of one message's body.
#[derive(Debug, Clone, Copy)]
pub(crate) struct Fields<'a> {
    kind: u8,
    rest: &'a [u8],
}

impl<'a> Fields<'a> {
    /// Fields of the body of a message of `kind`.
    pub(crate) fn new(kind: u8, body: &'a [u8]) -> Self {
        Self { kind, rest: body }
    }

    /// One byte.
    pub(crate) fn byte(&mut self) -> Result<u8, Violation> {
        let (first, rest) = self
            .rest
            .split_first()
            .ok_or(Violation::Fields(self.kind))?;
        self.rest = rest;
        Ok(*first)
    }

    /// A two-byte count or code.
    pub(crate) fn u16(&mut self) -> Result<u16, Violation> {
        let (word, rest) = self
            .rest
            .split_first_chunk::<2>()
            .ok_or(Violation::Fields(self.kind))?;
        self.rest = rest;
        Ok(u16::from_be_bytes(*word))
    }

    /// A four-byte number.
    pub(crate) fn i32(&mut self) -> Result<i32, Violation> {
        let (word, rest) = self
            .rest
            .split_first_chunk::<4>()
            .ok_or(Violation::Fields(self.kind))?;
        self.rest = rest;
        Ok(i32::from_be_bytes(*word))
    }

    /// Text up to the next NUL, which is taken too. Its encoding is the client's.
    pub(crate) fn text(&mut self) -> Result<&'a [u8], Violation> {
        let text = CStr::from_bytes_until_nul(self.rest)
            .map_err(|_endless| Violation::Fields(self.kind))?;
        let behind = text.count_bytes().saturating_add(1);
        self.rest = self.rest.get(behind..).unwrap_or_default();
        Ok(text.to_bytes())
    }

    /// A value with its length before it; `None` is SQL's null.
    pub(crate) fn value(&mut self) -> Result<Option<&'a [u8]>, Violation> {
        match self.i32()? {
            -1 => Ok(None),
            length => {
                let length =
                    usize::try_from(length).map_err(|_negative| Violation::Fields(self.kind))?;
                let (value, rest) = self
                    .rest
                    .split_at_checked(length)
                    .ok_or(Violation::Fields(self.kind))?;
                self.rest = rest;
                Ok(Some(value))
            }
        }
    }

    /// A count, and so many codes of two bytes each, as they are.
    pub(crate) fn codes(&mut self) -> Result<&'a [u8], Violation> {
        let length = usize::from(self.u16()?).saturating_mul(2);
        let (codes, rest) = self
            .rest
            .split_at_checked(length)
            .ok_or(Violation::Fields(self.kind))?;
        self.rest = rest;
        Ok(codes)
    }

    /// What has not been taken.
    pub(crate) fn rest(&self) -> &'a [u8] {
        self.rest
    }

    /// That nothing is left. What follows the last field would be seen by one reader and not by
    /// another.
    pub(crate) fn end(self) -> Result<(), Violation> {
        match self.rest {
            [] => Ok(()),
            _more => Err(Violation::Fields(self.kind)),
        }
    }
}
