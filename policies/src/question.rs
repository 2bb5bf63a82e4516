//! What there is to ask: for each action, the policies that can have a say in it, sorted out when
//! the policies are loaded.
//!
//! Cedar looks at every policy for every question. A policy whose scope names other actions can
//! neither match nor fail, so leaving it out changes no answer and makes the answer faster.

use std::collections::{BTreeMap, HashMap};

use cedar_policy::{ActionConstraint, EntityUid, Policy, PolicySet, Schema};
use serde_json::Value;

use crate::foresight::Foresight;
use crate::verdict::Reading;

/// One action, and the policies about it.
#[derive(Debug)]
pub(crate) struct Question {
    /// The action as Cedar names it.
    pub(crate) action: EntityUid,
    /// The policies about it as written.
    pub(crate) written: Rules,
    /// The same as far as can be foreseen: see [`foresight`](crate::foresight).
    pub(crate) foresight: Rules,
    /// The same as far as it holds for many files at once: see [`tighten`](crate::file::tighten).
    pub(crate) tight: Rules,
}

impl Question {
    /// The policies about it in this reading.
    pub(crate) fn rules(&self, reading: Reading) -> &Rules {
        match reading {
            Reading::Written => &self.written,
            Reading::Foresight => &self.foresight,
            Reading::Tight => &self.tight,
        }
    }
}

/// Policies that are asked together.
#[derive(Debug)]
pub(crate) struct Rules {
    /// The policies.
    pub(crate) policies: PolicySet,
    /// The same number for the same policies, whichever action they are asked about. `None` where one of
    /// them asks which action it is, so that two actions may get two answers.
    pub(crate) class: Option<usize>,
}

/// All actions of the schema by name, each with its policies. `None` if a policy cannot be put into
/// a smaller set, which does not happen.
pub(crate) fn sort(
    schema: &Schema,
    written: &PolicySet,
    foresight: &Foresight,
    tight: &PolicySet,
) -> Option<BTreeMap<String, Question>> {
    let actions = schema.action_entities().ok()?;
    let mut classes = Classes::default();
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
            written: classes.some(written, about)?,
            foresight: classes.some(foresight.about(action.id().unescaped()), about)?,
            tight: classes.some(tight, about)?,
        };
        questions.insert(action.id().unescaped().to_owned(), question);
    }
    Some(questions)
}

/// The sets of policies that there are so far, told apart by every word of them.
#[derive(Default)]
struct Classes(HashMap<Vec<(String, String)>, usize>);

impl Classes {
    fn some(&mut self, all: &PolicySet, about: impl Fn(&Policy) -> bool) -> Option<Rules> {
        let some: Vec<Policy> = all
            .policies()
            .filter(|policy| about(policy))
            .cloned()
            .collect();
        let mut words: Vec<(String, String)> = some
            .iter()
            .map(|policy| (policy.id().to_string(), policy.to_string()))
            .collect();
        words.sort_unstable();
        let next = self.0.len();
        let number = *self.0.entry(words).or_insert(next);
        let class = (!some.iter().any(looks_at_action)).then_some(number);
        let policies = PolicySet::from_policies(some).ok()?;
        Some(Rules { policies, class })
    }
}

/// Whether a condition reads which action it is. One that cannot be read counts as one that does.
fn looks_at_action(policy: &Policy) -> bool {
    fn reads(expression: &Value) -> bool {
        match expression {
            Value::Object(fields) => fields.iter().any(|(operator, operand)| {
                (operator == "Var" && operand.as_str() == Some("action")) || reads(operand)
            }),
            Value::Array(items) => items.iter().any(reads),
            Value::Null | Value::Bool(_) | Value::Number(_) | Value::String(_) => false,
        }
    }
    policy
        .to_json()
        .map_or(true, |json| json.get("conditions").is_none_or(reads))
}
