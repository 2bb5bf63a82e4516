//! What can be said at connect about deeds whose details are not known yet.
//!
//! A permit carries capabilities, and `exec` is one of them; whether `exec` of *this command* is
//! allowed is asked when the command arrives. So at connect the policies are asked with everything
//! taken out that looks at a detail: a `permit` loses such conditions, a `forbid` that has one is
//! left out whole. The answer is an upper bound, and [`may`](crate::may) is asked for each deed.
//!
//! In the same way it is found out whether somebody may ask for a target at all, before it is known for how long
//! and with which reason. Of a condition what is known already stays then: to see a target is something by itself.

use cedar_policy::{Effect, Policy, PolicySet};
use serde_json::{Value, json};

/// What is known only when the deed is at hand.
const DETAILS: [&str; 10] = [
    "command",
    "path",
    "host",
    "port",
    "relations",
    "functions",
    "parsed",
    "hasWhere",
    "approvals",
    "quorums",
];

/// What is known of a wish only when it is at hand. As whom is part of the question, and nobody has a ticket or
/// breaks glass in this version.
const WISHES: [&str; 2] = ["duration", "justification"];

/// The same policies, for deeds and for wishes.
pub(crate) struct Foresight {
    deeds: PolicySet,
    wishes: PolicySet,
}

impl Foresight {
    /// The policies without what looks at details. `None` if one cannot be rewritten.
    pub(crate) fn of(written: &PolicySet) -> Option<Self> {
        Some(Self {
            deeds: relax(written, looks_at_details, |_effect, _condition| false)?,
            wishes: relax(written, looks_at_wishes, is_loosened)?,
        })
    }

    /// Those that are asked about this action.
    pub(crate) fn about(&self, action: &str) -> &PolicySet {
        match action {
            "request" => &self.wishes,
            _ => &self.deeds,
        }
    }
}

/// The same policies without what looks at something. `keeps` says of such a condition whether something is left of it:
/// of a `permit` what may be so, of a `forbid` what is so whatever comes. A `forbid` of whose condition nothing is left
/// is left out whole.
fn relax(
    written: &PolicySet,
    looks: fn(&Value) -> bool,
    keeps: fn(Effect, &mut Value) -> bool,
) -> Option<PolicySet> {
    let mut relaxed = PolicySet::new();
    for policy in written.policies() {
        let mut json = policy.to_json().ok()?;
        let conditions = json.get_mut("conditions").and_then(Value::as_array_mut)?;
        if !conditions.iter().any(looks) {
            relaxed.add(policy.clone()).ok()?;
            continue;
        }
        let before = conditions.len();
        let effect = policy.effect();
        conditions.retain_mut(|condition| !looks(condition) || keeps(effect, condition));
        if effect == Effect::Permit || conditions.len() == before {
            let policy = Policy::from_json(Some(policy.id().clone()), json).ok()?;
            relaxed.add(policy).ok()?;
        }
    }
    Some(relaxed)
}

/// Takes the wishes out of a condition, and says whether anything is left of it.
fn is_loosened(effect: Effect, condition: &mut Value) -> bool {
    let is_when = condition.get("kind").and_then(Value::as_str) == Some("when");
    // An `unless` holds where its expression does not.
    let bound = match (effect, is_when) {
        (Effect::Permit, true) | (Effect::Forbid, false) => Bound::Upper,
        (Effect::Permit, false) | (Effect::Forbid, true) => Bound::Lower,
    };
    let left = condition.get("body").and_then(|body| bound.of(body));
    match (condition.get_mut("body"), left) {
        (Some(body), Some(left)) => {
            *body = left;
            true
        }
        _nothing_left => false,
    }
}

/// What is asked of an expression of which parts are not known yet.
#[derive(Clone, Copy)]
enum Bound {
    /// What has to be so for it to be true.
    Upper,
    /// What makes it true by itself.
    Lower,
}

impl Bound {
    /// What is left of an expression: `None` where that is nothing that is known. What follows may lose what kept it
    /// from failing, which is a no.
    fn of(self, expression: &Value) -> Option<Value> {
        if !looks_at_wishes(expression) {
            return Some(expression.clone());
        }
        if let Some(turned) = expression.pointer("/!/arg") {
            return self.other().of(turned).as_ref().map(not);
        }
        if let Some(choice) = expression.get("if-then-else") {
            return self.of_choice(choice.get("if")?, choice.get("then")?, choice.get("else")?);
        }
        // Of a conjunction each part has to be so; of a disjunction each makes it true.
        let (either, both) = match self {
            Self::Upper => ("&&", "||"),
            Self::Lower => ("||", "&&"),
        };
        let sides = |operator: &str| {
            let sides = expression.get(operator)?;
            Some((sides.get("left")?, sides.get("right")?))
        };
        if let Some((left, right)) = sides(either) {
            return match (self.of(left), self.of(right)) {
                (Some(left), Some(right)) => Some(joined(either, &left, &right)),
                (one, other) => one.or(other),
            };
        }
        let (left, right) = sides(both)?;
        Some(joined(both, &self.of(left)?, &self.of(right)?))
    }

    /// The same of `if is_so then one else other`: that is `is_so && one || !is_so && other`, and
    /// `(!is_so || one) && (is_so || other)` as well. Of the one form more is left of what has to be so, of the other of
    /// what makes it true.
    fn of_choice(self, is_so: &Value, one: &Value, other: &Value) -> Option<Value> {
        let (outer, inner) = match self {
            Self::Upper => ("||", "&&"),
            Self::Lower => ("&&", "||"),
        };
        // Written twice at each depth it would grow without bound.
        if looks_at_wishes(is_so) && holds_choice(is_so) {
            return Some(joined(outer, &self.of(one)?, &self.of(other)?));
        }
        let (first, second) = match self {
            Self::Upper => (is_so.clone(), not(is_so)),
            Self::Lower => (not(is_so), is_so.clone()),
        };
        let (first, second) = (joined(inner, &first, one), joined(inner, &second, other));
        self.of(&joined(outer, &first, &second))
    }

    /// What is asked of an expression that is turned round by `!`.
    fn other(self) -> Self {
        match self {
            Self::Upper => Self::Lower,
            Self::Lower => Self::Upper,
        }
    }
}

fn joined(operator: &str, left: &Value, right: &Value) -> Value {
    json!({ operator: { "left": left, "right": right } })
}

fn not(expression: &Value) -> Value {
    json!({ "!": { "arg": expression } })
}

/// Whether there is an `if` somewhere in an expression.
fn holds_choice(expression: &Value) -> bool {
    match expression {
        Value::Object(fields) => fields
            .iter()
            .any(|(operator, operand)| operator == "if-then-else" || holds_choice(operand)),
        Value::Array(items) => items.iter().any(holds_choice),
        Value::Null | Value::Bool(_) | Value::Number(_) | Value::String(_) => false,
    }
}

/// Whether a policy looks at what is known only when the deed is at hand. One that cannot be read
/// counts as one that does.
pub(crate) fn is_about_details(policy: &Policy) -> bool {
    policy.to_json().map_or(true, |json| {
        json.get("conditions").is_none_or(looks_at_details)
    })
}

/// Whether an expression reads one of the details, or the context as a whole.
fn looks_at_details(expression: &Value) -> bool {
    match expression {
        Value::Object(fields) => fields.iter().any(|(operator, operand)| {
            if operator == "Var" {
                return operand.as_str() == Some("context");
            }
            match attribute_of_context(operator, operand) {
                Some(name) => DETAILS.contains(&name),
                None => looks_at_details(operand),
            }
        }),
        Value::Array(items) => items.iter().any(looks_at_details),
        Value::Null | Value::Bool(_) | Value::Number(_) | Value::String(_) => false,
    }
}

/// Whether an expression reads one of the wishes, or all that is asked for as a whole.
fn looks_at_wishes(expression: &Value) -> bool {
    match expression {
        Value::Object(fields) => fields.iter().any(|(operator, operand)| {
            if operator == "Var" {
                return operand.as_str() == Some("context");
            }
            if let Some(name) = attribute_of_ask(operator, operand) {
                return WISHES.contains(&name);
            }
            match attribute_of_context(operator, operand) {
                Some(name) => name == "ask",
                None => looks_at_wishes(operand),
            }
        }),
        Value::Array(items) => items.iter().any(looks_at_wishes),
        Value::Null | Value::Bool(_) | Value::Number(_) | Value::String(_) => false,
    }
}

/// The name in `context.ask.name` or `context.ask has name`.
fn attribute_of_ask<'a>(operator: &str, operand: &'a Value) -> Option<&'a str> {
    let reads = operator == "." || operator == "has";
    let of_ask = attribute_of_context(".", operand.pointer("/left/.")?) == Some("ask");
    (reads && of_ask)
        .then(|| operand.get("attr").and_then(Value::as_str))
        .flatten()
}

/// The name in `context.name` or `context has name`.
pub(crate) fn attribute_of_context<'a>(operator: &str, operand: &'a Value) -> Option<&'a str> {
    let reads = operator == "." || operator == "has";
    let of_context = operand.pointer("/left/Var").and_then(Value::as_str) == Some("context");
    (reads && of_context)
        .then(|| operand.get("attr").and_then(Value::as_str))
        .flatten()
}
