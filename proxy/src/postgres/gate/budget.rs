//! What may still be run once a grant's budget is used up: nothing but the end of a transaction.
//!
//! Drivers end one by a query of its own, or by messages of the extended protocol, as pgjdbc does with a statement that it
//! has prepared long before. What a name stands for is known here only as far as messages say it (SQL can prepare under it
//! too), so of those only a few pass: one end of what was open, and another in case it fails. What the server says to
//! them is held back like anything else.

use super::{Bench, HEADER, Judged, NAMES_MAX, Refusal, bound};
use crate::postgres::wire::say;
use crate::postgres::wire::{self, Fields, Parse};

/// What ends a transaction and gives out nothing, and what may stand behind that.
const ENDS: [&str; 4] = ["commit", "rollback", "end", "abort"];
const BEHIND: [&[&str]; 6] = [
    &[],
    &["work"],
    &["transaction"],
    &["and", "no", "chain"],
    &["work", "and", "no", "chain"],
    &["transaction", "and", "no", "chain"],
];

/// How many prepared statements are remembered that are ends: a driver has one for each way to end.
const ENDS_MAX: usize = 8;

/// How many ends may run by messages once the budget is used up.
const LATE_MAX: u8 = 2;

/// The longest name that is remembered, in bytes. Of a longer one the server looks at a part.
const NAME_MAX: usize = 63;

/// Which of a session's prepared statements and portals ends a transaction, as far as its messages say.
#[derive(Debug)]
pub(super) struct Ends {
    names: Vec<Box<[u8]>>,
    /// The last portal that was bound to one.
    portal: Option<Box<[u8]>>,
    left: u8,
}

impl Default for Ends {
    fn default() -> Self {
        Self {
            names: Vec::new(),
            portal: None,
            left: LATE_MAX,
        }
    }
}

impl Ends {
    /// Whether a message is about the end of a transaction alone; what it changes is remembered. `body` is all of it,
    /// where that was read, and `behind` what was.
    fn take(&mut self, kind: u8, body: Option<&[u8]>, behind: &[u8]) -> bool {
        match kind {
            b'Q' => body.is_some_and(|body| wire::query(body).is_ok_and(is_end)),
            b'P' => match body.map(wire::parse) {
                Some(Ok(Parse { name, text })) => self.prepares(name, is_end(text)),
                // What it is of is not looked at.
                Some(Err(_)) | None => match Fields::new(kind, behind).text() {
                    Ok(name) => self.prepares(name, false),
                    Err(_unread) => {
                        self.names.clear();
                        false
                    }
                },
            },
            b'B' => {
                if let Some([portal, name]) = bound(behind) {
                    self.binds(portal, name)
                } else {
                    self.portal = None;
                    false
                }
            }
            b'E' => {
                let portal = body.and_then(|body| wire::execute(body).ok());
                portal.is_some() && portal == self.portal.as_deref()
            }
            _runs_nothing => false,
        }
    }

    fn prepares(&mut self, name: &[u8], is_end: bool) -> bool {
        self.names.retain(|known| **known != *name);
        let has_room = self.names.len() < ENDS_MAX && name.len() <= NAME_MAX;
        if is_end && has_room {
            self.names.push(name.into());
        }
        is_end && has_room
    }

    fn binds(&mut self, portal: &[u8], name: &[u8]) -> bool {
        let is_end = self.names.iter().any(|known| **known == *name);
        if is_end && portal.len() <= NAME_MAX {
            self.portal = Some(portal.into());
            return true;
        }
        if self.portal.as_deref() == Some(portal) {
            self.portal = None;
        }
        false
    }
}

/// Counts a message of so many bytes that is about to pass, and refuses it where there is no budget left. `behind` is what
/// was read of it.
pub(super) fn charge(
    kind: u8,
    length: usize,
    behind: &[u8],
    ends: &mut Ends,
    bench: &impl Bench,
) -> Judged {
    let body = behind.get(..length);
    let is_end = ends.take(kind, body, body.unwrap_or(behind));
    let over = match kind {
        b'Q' if is_end => None,
        b'Q' | b'E' => match bench.is_over() {
            None => bench.charge(),
            over => over,
        },
        // Refused only as it is run, it would have its batch fail, and with that what was done before.
        b'P' | b'B' => bench.is_spent(),
        _runs_nothing => None,
    };
    let Some(words) = over else {
        return Judged::Passes;
    };
    // It may be an end, which is short.
    if body.is_none() && length <= NAMES_MAX {
        return Judged::Partial(length.saturating_add(HEADER));
    }
    if is_end && let Some(left) = ends.left.checked_sub(1) {
        if kind == b'E' {
            ends.left = left;
        }
        return Judged::Passes;
    }
    Judged::Refused(Box::new(Refusal {
        words,
        sqlstate: say::LIMIT_EXCEEDED,
        fingerprint: String::new(),
    }))
}

fn is_end(text: &[u8]) -> bool {
    let text = text.trim_ascii();
    let text = text.strip_suffix(b";").unwrap_or(text);
    let words = text.split(u8::is_ascii_whitespace);
    let mut words = words.filter(|word| !word.is_empty());
    let is = |word: &[u8], known: &str| word.eq_ignore_ascii_case(known.as_bytes());
    let ends = words
        .next()
        .is_some_and(|word| ENDS.iter().any(|end| is(word, end)));
    // None of them has more than four.
    let behind: Vec<&[u8]> = words.take(5).collect();
    let fits = |known: &&[&str]| {
        known.len() == behind.len()
            && known
                .iter()
                .zip(&behind)
                .all(|(known, word)| is(word, known))
    };
    ends && BEHIND.iter().any(fits)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn only_the_end_of_a_transaction_is_one() {
        for end in [
            "COMMIT",
            " rollback ;\n",
            "End;",
            "commit\tTransaction",
            "abort work",
            "end transaction and no\nchain",
        ] {
            assert!(is_end(end.as_bytes()), "{end}");
        }
        for other in [
            "",
            ";",
            "commit; select 1",
            "rollback to a",
            "select 1",
            "commit and chain",
            "commit work transaction",
            "commit and no chain x",
            "commit prepared 'x'",
            "commit/**/work",
            "prepare transaction 'x'",
        ] {
            assert!(!is_end(other.as_bytes()), "{other}");
        }
    }
}
