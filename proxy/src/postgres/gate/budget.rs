//! What may still be run once a grant's budget is used up: nothing but the end of a transaction.

use super::{Bench, Judged, Refusal};
use crate::postgres::wire;
use crate::postgres::wire::say;

/// What ends a transaction and gives out nothing.
const ENDS: [&str; 6] = [
    "commit",
    "commit work",
    "rollback",
    "rollback work",
    "end",
    "abort",
];

/// Counts a message that is about to pass, and refuses it where there is no budget left. `body` is all
/// of it, where that was read.
pub(super) fn charge(kind: u8, body: Option<&[u8]>, bench: &impl Bench) -> Judged {
    let over = match kind {
        b'Q' if body.is_some_and(ends_transaction) => None,
        b'Q' | b'E' => match bench.is_over() {
            None => bench.charge(),
            over => over,
        },
        b'P' | b'B' => bench.is_over(),
        _runs_nothing => None,
    };
    match over {
        None => Judged::Passes,
        Some(words) => Judged::Refused(Box::new(Refusal {
            words,
            sqlstate: say::LIMIT_EXCEEDED,
            fingerprint: String::new(),
        })),
    }
}

fn ends_transaction(body: &[u8]) -> bool {
    let Ok(text) = wire::query(body) else {
        return false;
    };
    let text = text.trim_ascii();
    let text = text.strip_suffix(b";").unwrap_or(text).trim_ascii_end();
    ENDS.iter()
        .any(|end| text.eq_ignore_ascii_case(end.as_bytes()))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn only_the_end_of_a_transaction_is_one() {
        for end in ["COMMIT", " rollback ;\n", "End;"] {
            assert!(ends_transaction(format!("{end}\0").as_bytes()), "{end}");
        }
        for other in [
            "commit; select 1",
            "rollback to a",
            "select 1",
            "commit and chain",
        ] {
            assert!(
                !ends_transaction(format!("{other}\0").as_bytes()),
                "{other}"
            );
        }
    }
}
