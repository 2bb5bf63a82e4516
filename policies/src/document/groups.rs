//! Groups that rules and quorums name.
//!
//! A group is only a word on a person, so none is wrong. One that nothing else knows is odd.

use std::collections::BTreeSet;

use cedar_policy::{Policy, PolicySet};

use crate::GroupName;
use crate::diagnose::{Diagnosis, Severity, nearest};
use crate::quorum::{Quorums, Seat};

/// Every group that a rule names.
pub(super) fn in_rules(policies: &PolicySet) -> BTreeSet<GroupName> {
    let literals = policies.policies().flat_map(Policy::entity_literals);
    literals
        .filter(|literal| literal.type_name().basename() == "Group")
        .filter_map(|literal| GroupName::parse(literal.id().unescaped()).ok())
        .collect()
}

/// Every quorum that a rule names.
pub(super) fn quorums_in_rules(policies: &PolicySet) -> BTreeSet<String> {
    let literals = policies.policies().flat_map(Policy::entity_literals);
    literals
        .filter(|literal| literal.type_name().basename() == "Quorum")
        .map(|literal| literal.id().unescaped().to_owned())
        .collect()
}

/// The seats of quorums that may stay empty: no rule names their group, and nobody of `people` is in
/// it. Where nobody is known, or no rule of `used` asks for the quorum, those alone that look like another group.
pub(super) fn strange(
    quorums: &Quorums,
    (rules, used): (&BTreeSet<GroupName>, &BTreeSet<String>),
    people: Option<&BTreeSet<GroupName>>,
) -> Vec<Diagnosis> {
    let peopled = |group: &GroupName| people.is_some_and(|people| people.contains(group));
    let others = || rules.iter().chain(people.into_iter().flatten());
    let strangers = quorums
        .seats()
        .filter(|seat| !rules.contains(&seat.group) && !peopled(&seat.group));
    strangers
        .filter_map(
            |Seat {
                 quorum,
                 group,
                 document,
                 place,
             }| {
                let meant = nearest(group.as_str(), others().map(GroupName::as_str));
                let what = match people {
                    None => format!("no rule names the group `{group}`"),
                    Some(_) => format!("nobody is in the group `{group}`, and no rule names it"),
                };
                let advice = match (meant, people) {
                    (Some(meant), _) => format!("did you mean `{meant}`?"),
                    (None, Some(_)) if used.contains(quorum) => {
                        "this quorum cannot be met by it as long as that is so".to_owned()
                    }
                    (None, _) => return None,
                };
                Some(Diagnosis {
                    severity: Severity::Warning,
                    document: document.clone(),
                    place: Some(place.clone()),
                    what,
                    advice: Some(advice),
                })
            },
        )
        .collect()
}
