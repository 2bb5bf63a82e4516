//! What is said after somebody or something was locked or unlocked.

/// After a principal was locked.
pub fn user_locked(name: &str) -> String {
    format!("locked {name}; their sessions are cut\n  tidegate user unlock {name}")
}

/// After a principal was unlocked.
pub fn user_unlocked(name: &str) -> String {
    format!(
        "unlocked {name}; what they were granted and is not over lets them in again\n  tidegate grants ls"
    )
}

/// After a target was locked, with the number of sessions that were cut.
pub fn target_locked(target: &str, cut: usize) -> String {
    let cut = match cut {
        0 => "no session was there".to_owned(),
        1 => "1 session is cut".to_owned(),
        some => format!("{some} sessions are cut"),
    };
    format!(
        "locked {target}: {cut}, nobody gets in, nor through it to what stands behind it; grants are kept\n  tidegate target unlock {target}"
    )
}

/// After a target was unlocked; with the one in front of it that keeps everybody out of it still, if there is one.
pub fn target_unlocked(target: &str, front: Option<&str>) -> String {
    match front {
        None => format!(
            "unlocked {target}; whoever has a grant for it that is not over gets in again, and what was approved meanwhile is to be \
             approved once more\n  tidegate grants ls"
        ),
        Some(front) => format!(
            "{target} itself is not locked, but {front} in front of it is: nobody gets in\n  tidegate target unlock {front}"
        ),
    }
}
