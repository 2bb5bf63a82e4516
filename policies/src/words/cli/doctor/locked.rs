//! What `tidegate doctor` says of a target that is locked.

use jiff::Timestamp;

use super::{Finding, bad};
use crate::words::day_and_time;
use crate::{PrincipalName, Reason, TargetName};

/// A target is locked: by whom, why and since when. `looked` is what was found there all the same, if anybody looked.
pub fn target_locked(
    target: &TargetName,
    lock: (&PrincipalName, &Reason, Timestamp),
    looked: Option<&str>,
) -> Finding {
    let besides = looked.map_or_else(
        || "; it was not looked at".to_owned(),
        |found| format!("; apart from that: {found}"),
    );
    bad(
        format!("target {target}"),
        format!("nobody gets in: {}{besides}", locked(lock)),
        format!("once it may be used again:  tidegate target unlock {target}"),
    )
}

/// A target was not looked at: for who may not know of its lock.
pub fn target_left_alone(target: &TargetName) -> Finding {
    bad(
        format!("target {target}"),
        "it was not looked at just now".to_owned(),
        format!("tidegate target test {target}"),
    )
}

/// Who locked a target, since when, and why.
pub fn locked((by, reason, at): (&PrincipalName, &Reason, Timestamp)) -> String {
    format!("locked by {by} since {} ({reason})", day_and_time(at))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn who_cannot_get_in_for_a_lock_is_told_whose_and_how_it_is_lifted() {
        let edge1 = TargetName::parse("edge1").unwrap();
        let bob = PrincipalName::parse("bob").unwrap();
        let reason = Reason::parse("broken into").unwrap();
        let lock = (&bob, &reason, Timestamp::UNIX_EPOCH);
        let unlooked = target_locked(&edge1, lock, None);
        assert!(!unlooked.ok);
        assert_eq!(
            unlooked.found,
            "nobody gets in: locked by bob since 1970-01-01 00:00 UTC (broken into); it was not looked at"
        );
        assert_eq!(
            unlooked.hint.as_deref(),
            Some("once it may be used again:  tidegate target unlock edge1")
        );
        let looked = target_locked(&edge1, lock, Some("it does not answer"));
        assert!(
            looked
                .found
                .ends_with("; apart from that: it does not answer")
        );
    }
}
