//! What became of sessions, their recordings and requests, in as few words as a row of a list has room for.

use std::fmt::Display;

/// Why a session is killed where nobody says.
pub const KILLED_BY_HAND: &str = "killed by hand";

/// It could not go on.
pub fn failed(code: &str, what: &str) -> String {
    format!("failed: {code} {what}")
}

/// The server did not live to see its end.
pub const CUT_SHORT: &str = "cut short: the server stopped";

/// Its recording is whole.
pub fn sealed(root: &dyn Display) -> String {
    format!("sealed {root}")
}

/// Its recording was sealed by the next start.
pub fn sealed_short(root: &dyn Display) -> String {
    format!("sealed {root}, cut short")
}

/// Of its recording nothing is left.
pub const LOST: &str = "lost, cut short";

/// Whose session it was, where, and by which grant.
pub fn whose(
    who: &dyn Display,
    login: &dyn Display,
    target: &dyn Display,
    grant: &dyn Display,
) -> String {
    format!("{who} as {login} on {target} by {grant}")
}

/// Somebody said no.
pub fn denied(by: &dyn Display, note: &dyn Display) -> String {
    format!("denied by {by}: {note}")
}

/// An instant that has passed.
pub fn over(at: &str) -> String {
    format!("{at} (over)")
}

/// An instant that is to come.
pub fn ahead(at: &str, left: &str) -> String {
    format!("{at} (in {left})")
}

/// By which clock the rules are that follow.
pub fn zone(zone: &str) -> String {
    format!("// hours and weekdays in {zone}")
}
