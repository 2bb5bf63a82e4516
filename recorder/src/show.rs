//! Frames as lines for people: what a player and a transcript print.

use std::time::Duration;

use crate::frame::Frame;
use crate::heading::Heading;

/// What a person should read of a frame that is no data, ended by a newline; none where there is
/// nothing to tell. Safe to print.
pub fn line(at: Duration, frame: &Frame<'_>) -> Option<String> {
    crate::export::plain::line(at, frame)
}

/// Who did what to what, in one line ended by a newline. Safe to print.
pub fn title(heading: &Heading) -> String {
    crate::export::plain::title(heading)
}

/// A point in a recording, as `0:01:02.345`.
pub fn clock(at: Duration) -> String {
    crate::export::sql::clock(at)
}
