//! What is written down of who proved nothing, and of evidence that is not as it was, in the ledger's own lines and the
//! operator's log.

/// Its owner did not sign with it.
pub const NOT_SIGNED: &str =
    "its owner may come in, but has not proven to hold it, or has too often within a minute";

/// They are locked, or no policy lets them log in.
pub const MAY_NOT: &str = "its owner may not come in";

/// A login was shown to get another by it.
pub const FRESH: &str = "it is the key of a login, and a login gets no other";

/// It is nobody's.
pub const UNKNOWN: &str = "nobody has registered this key";

/// What was shown, and how much before it was not written down.
pub fn showed(key: &str, left_out: u64) -> String {
    match left_out {
        0 => format!("key {key}"),
        _more => format!("{left_out} keys that are not written down, then key {key}"),
    }
}

/// Nothing signed is left of log and ledger: whoever writes them anew takes it away.
pub const NO_CHECKPOINT: &str =
    "the checkpoint of log and ledger is gone, cannot be read, or is not the authority's";

/// In the place of a line of the ledger that cannot be read.
pub const UNREADABLE_LINE: &str = "what is written here cannot be read";

/// The ledger was written anew.
pub fn ledger_differs(seq: u64) -> String {
    format!("the ledger up to line {seq} is not the one that was signed")
}

/// A line of the ledger that cannot be kept, by how long it was and what it was.
pub fn untaken_line(length: usize, digest: &str) -> String {
    format!(
        "the database took no line of {length} bytes with the SHA-256 {digest}, which belongs here"
    )
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn what_was_left_out_is_counted() {
        assert_eq!(showed("SHA256:a", 0), "key SHA256:a");
        assert!(showed("SHA256:a", 3).starts_with("3 keys that are not written down, then"));
    }
}
