//! What judging takes, roughly, in the units of [`Share`](crate::session::share::Share): of about four nanoseconds.
//!
//! A few bytes can have a whole text asked about or kept anew, and one read has thousands of such messages. So work is
//! added up; what was read is left where it is a turn's worth, also between two questions about one message, and goes on
//! after a turn.

/// What a message takes that needs nothing else.
pub(super) const MESSAGE: usize = 64;

/// What keeping one name takes.
pub(super) const NAME: usize = 256;

/// How many bytes of a statement are hashed and compared with another in one unit.
pub(super) const LOOKUP_BYTES: usize = 16;

/// What one byte of a statement takes that the policies are asked about.
pub(super) const ASKED_BYTE: usize = 2;

/// What reading one byte of SQL takes.
pub(super) const TEXT_BYTE: usize = 16;
