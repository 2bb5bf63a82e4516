//! What is said to whoever removed somebody about what still names them.

use crate::{PrincipalName, TargetName};

/// Rules name them; nothing where none does.
pub fn rules_name(person: &PrincipalName, rules: &[&str]) -> Option<String> {
    let (noun, verb) = match rules {
        [] => return None,
        [_one] => ("policy", "names"),
        _several => ("policies", "name"),
    };
    let rules: Vec<String> = rules.iter().map(|rule| format!("`{rule}`")).collect();
    Some(format!(
        "the {noun} {} {verb} `{person}` still, and whoever is called so next: take the name out, then tidegate policy apply DIR",
        rules.join(", ")
    ))
}

/// A target elevates them.
pub fn elevates(target: &TargetName, person: &PrincipalName) -> String {
    format!(
        "`{target}` says still as whom `{person}` is elevated: tidegate target rm {target}; tidegate target add pg {target} … --elevate …"
    )
}

/// A label of a target is their name.
pub fn labelled(target: &TargetName, label: &str, person: &PrincipalName) -> String {
    format!("the label `{label}` of `{target}` is `{person}` still; policies may read it")
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn what_still_names_somebody_is_said_in_one_line_each() {
        let [alice, orders] = ["alice", "orders"];
        let (alice, orders) = (
            PrincipalName::parse(alice).unwrap(),
            TargetName::parse(orders).unwrap(),
        );
        assert_eq!(rules_name(&alice, &[]), None);
        let said = [
            rules_name(&alice, &["night"]).unwrap(),
            rules_name(&alice, &["night", "day"]).unwrap(),
            elevates(&orders, &alice),
            labelled(&orders, "owner", &alice),
        ];
        insta::assert_snapshot!("left", said.join("\n"));
    }
}
