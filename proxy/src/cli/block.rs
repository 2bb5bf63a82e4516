//! A marked block in a file that belongs to its user: put there, replaced, taken out again, with
//! every other byte left alone. Pure text.

/// The block's first line.
const BEGIN: &str = "# >>> tidegate: written by `tidegate config`, replaced by it >>>";
/// The block's last line.
const END: &str = "# <<< tidegate <<<";

/// The markers of a file are not a pair, so nothing is touched.
#[derive(Debug, Clone, Copy, PartialEq, Eq, thiserror::Error)]
#[error("the tidegate block has a beginning without an end, or more than one")]
pub(crate) struct MarkerError;

/// `text` with the block replaced by `body`, or put first where there is none. First, because in
/// `ssh_config(5)` the first value found counts.
pub(crate) fn written(text: &str, body: &str) -> Result<String, MarkerError> {
    let rest = removed(text)?;
    let gap = if rest.is_empty() { "" } else { "\n" };
    Ok(format!("{BEGIN}\n{}\n{END}\n{gap}{rest}", body.trim_end()))
}

/// `text` without the block.
pub(crate) fn removed(text: &str) -> Result<String, MarkerError> {
    let count = |marker: &str| {
        text.lines()
            .filter(|line| line.trim_end() == marker)
            .count()
    };
    match (count(BEGIN), count(END)) {
        (0, 0) => return Ok(text.to_owned()),
        (1, 1) => {}
        _odd => return Err(MarkerError),
    }
    let (before, rest) = text.split_once(BEGIN).ok_or(MarkerError)?;
    let (_block, after) = rest.split_once(END).ok_or(MarkerError)?;
    let after = after.strip_prefix('\n').unwrap_or(after);
    let after = after.strip_prefix('\n').unwrap_or(after);
    Ok(format!("{before}{after}"))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn what_is_written_and_removed_again_leaves_the_file_as_it_was() {
        for text in ["", "Host a\n  Port 1\n", "\n# mine\nHost b"] {
            let with = written(text, "Host c\n").unwrap();
            assert!(with.starts_with(BEGIN));
            assert_eq!(removed(&with).unwrap(), text);
        }
    }

    #[test]
    fn writing_twice_keeps_one_block() {
        let once = written("Host a\n", "Host c").unwrap();
        let twice = written(&once, "Host d").unwrap();
        assert!(twice.contains("Host d") && !twice.contains("Host c"));
        assert_eq!(twice.matches(BEGIN).count(), 1);
    }

    #[test]
    fn half_a_block_is_not_touched() {
        assert_eq!(removed(&format!("{BEGIN}\nHost a\n")), Err(MarkerError));
        assert_eq!(
            written(&format!("{END}\n{BEGIN}\n{BEGIN}\n"), "x"),
            Err(MarkerError)
        );
    }

    #[test]
    fn markers_in_the_wrong_order_are_not_touched() {
        assert_eq!(removed(&format!("{END}\n{BEGIN}\n")), Err(MarkerError));
    }
}
