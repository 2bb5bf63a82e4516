//! What is told of a message of PostgreSQL's that its frame has no place for.

/// Of what a Bind gives the formats.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Formatted {
    /// Of the values that it has.
    Values,
    /// Of the columns that come of it.
    Results,
}

/// The formats that the Bind of this number gives, where there are others than text (0) and binary (1), or more than
/// there can be columns: the `first` of them, of so many in `all`, and of all of them, as they were sent, the SHA-256
/// in hex.
pub fn formats(id: u64, of: Formatted, (first, all): (&[u16], usize), sha256: &str) -> String {
    let of = match of {
        Formatted::Values => "values",
        Formatted::Results => "results",
    };
    let codes: Vec<String> = first.iter().map(u16::to_string).collect();
    let more = match all.saturating_sub(first.len()) {
        0 => String::new(),
        more => format!(" and {more} more, of all {all} the SHA-256 is {sha256}"),
    };
    format!(
        "#{id} gives the formats of its {of}: {}{more}",
        codes.join(" ")
    )
}

/// The Execute of this number has a limit of rows.
pub fn limited(id: u64, rows: i32) -> String {
    // As `exec_execute_message` reads it.
    let all = if rows < 0 {
        ", which is all of them"
    } else {
        ""
    };
    format!("#{id} asks for {rows} rows{all}")
}

/// The client gave up the copy of this number with these words.
pub fn given_up(id: u64, said: &str) -> String {
    format!("the client gave up what it copied for #{id}: {said}")
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn of_many_formats_the_first_are_told_and_how_many_there_are() {
        let told = formats(3, Formatted::Results, (&[7, 0], 2), "ab");
        assert_eq!(told, "#3 gives the formats of its results: 7 0");
        let told = formats(3, Formatted::Values, (&[7, 0], 5), "ab");
        let want = "#3 gives the formats of its values: 7 0 and 3 more, of all 5 the SHA-256 is ab";
        assert_eq!(told, want);
    }

    #[test]
    fn a_limit_below_nothing_is_none() {
        assert_eq!(limited(4, 50), "#4 asks for 50 rows");
        assert_eq!(limited(4, -1), "#4 asks for -1 rows, which is all of them");
    }
}
