//! What there is to ask: for each action, the policies that can have a say in it, sorted out when
//! the policies are loaded.
//!
//! Cedar looks at every policy for every question. A policy whose scope names other actions can
//! neither match nor fail, so leaving it out changes no answer and makes the answer faster.

use std::collections::BTreeMap;

use cedar_policy::{ActionConstraint, EntityUid, Policy, PolicySet, Schema};

/// One action, and the policies about it.
#[derive(Debug)]
pub(crate) struct Question {
    /// The action as Cedar names it.
    pub(crate) action: EntityUid,
    /// The policies about it as written.
    pub(crate) written: PolicySet,
    /// The same as far as can be foreseen: see [`foresight`](crate::foresight).
    pub(crate) foresight: PolicySet,
    /// The same as far as it holds for many files at once: see [`tighten`](crate::file::tighten).
    pub(crate) tight: PolicySet,
}

/// All actions of the schema by name, each with its policies. `None` if a policy cannot be put into
/// a smaller set, which does not happen.
pub(crate) fn sort(
    schema: &Schema,
    written: &PolicySet,
    foresight: &PolicySet,
    tight: &PolicySet,
) -> Option<BTreeMap<String, Question>> {
    let actions = schema.action_entities().ok()?;
    let mut questions = BTreeMap::new();
    for action in schema.actions() {
        let groups: Vec<&EntityUid> = actions.ancestors(action)?.collect();
        let about = |policy: &Policy| match policy.action_constraint() {
            ActionConstraint::Any => true,
            ActionConstraint::Eq(named) => named == *action,
            ActionConstraint::In(named) => named
                .iter()
                .any(|named| named == action || groups.contains(&named)),
        };
        let question = Question {
            action: action.clone(),
            written: some(written, about)?,
            foresight: some(foresight, about)?,
            tight: some(tight, about)?,
        };
        questions.insert(action.id().unescaped().to_owned(), question);
    }
    Some(questions)
}

fn some(all: &PolicySet, about: impl Fn(&Policy) -> bool) -> Option<PolicySet> {
    PolicySet::from_policies(all.policies().filter(|policy| about(policy)).cloned()).ok()
}
