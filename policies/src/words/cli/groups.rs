//! What is said after somebody's groups were changed.

/// In which groups somebody is now, and how many sessions of theirs are cut for it.
pub fn groups_set(name: &str, groups: &[&str], cut: usize) -> String {
    let groups = match groups {
        [] => "in no group".to_owned(),
        some => format!("in {}", some.join(", ")),
    };
    let cut = match cut {
        0 => String::new(),
        1 => "; 1 session, which the policies no longer allow, is cut".to_owned(),
        some => format!("; {some} sessions, which the policies no longer allow, are cut"),
    };
    format!("{name} is {groups}{cut}\n  tidegate user ls")
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn in_which_groups_somebody_is_is_said_with_what_it_cost() {
        assert_eq!(
            groups_set("alice", &["oncall", "sre"], 0),
            "alice is in oncall, sre\n  tidegate user ls"
        );
        assert_eq!(
            groups_set("alice", &[], 1),
            "alice is in no group; 1 session, which the policies no longer allow, is cut\n  tidegate user ls"
        );
    }
}
