//! Finds every mistake in policy documents: syntax, annotations, types, and rules that can never
//! match.

use std::collections::BTreeMap;
use std::ops::Range;

use cedar_policy::ffi::DetailedError;
use cedar_policy::{PolicyId, PolicySet, Schema, ValidationMode, Validator};

use super::Document;
use crate::diagnose::Diagnosis;
use crate::quorum::Quorums;

/// How far validated policies may reach: attributes and ancestors of who asks and what about, and
/// of entities in the context, but nothing behind those. It is what a slice holds.
const DEREFERENCE_LEVEL: u32 = 1;

/// What came of checking.
pub(super) struct Checked {
    /// All policies of all documents, each called by its `@id`.
    pub(super) policies: PolicySet,
    /// `@id` → `@reason`.
    pub(super) reasons: BTreeMap<String, String>,
    /// Mistakes and oddities.
    pub(super) found: Vec<Diagnosis>,
}

/// Where one policy stands.
struct Place<'a> {
    document: &'a Document,
    span: Range<usize>,
}

/// Checks all documents together.
pub(super) fn check(documents: &[Document], schema: &Schema, quorums: &Quorums) -> Checked {
    let mut checked = Checked {
        policies: PolicySet::new(),
        reasons: BTreeMap::new(),
        found: Vec::new(),
    };
    let mut places = BTreeMap::new();
    for document in documents {
        match document.text.parse::<PolicySet>() {
            Ok(parsed) => checked.take(document, &parsed, &mut places),
            Err(errors) => {
                let syntax = errors
                    .iter()
                    .map(|error| describe(document, &error.into(), None));
                checked.found.extend(syntax);
            }
        }
    }
    checked.validate(schema, &places);
    let _ = quorums;
    checked
}

impl Checked {
    fn take<'a>(
        &mut self,
        document: &'a Document,
        parsed: &PolicySet,
        places: &mut BTreeMap<String, Place<'a>>,
    ) {
        for policy in parsed.policies() {
            let span = policy
                .as_ref()
                .loc()
                .map_or(0..0, |loc| loc.start()..loc.end());
            let head = head(&document.text, &span);
            let Some(id) = policy.annotation("id").filter(|id| !id.is_empty()) else {
                let missing = Diagnosis::error(
                    &document.name,
                    &document.text,
                    &head,
                    "this policy has no @id",
                )
                .advise("write @id(\"a-name\") above it: denials, logs and the matrix name it so");
                self.found.push(missing);
                continue;
            };
            if let Some(first) = places.get(id) {
                let at = crate::diagnose::Place::find(&first.document.text, &first.span);
                let what = format!("the @id `{id}` is already taken");
                let advice = format!("by {}:{}", first.document.name, at.line);
                self.found.push(
                    Diagnosis::error(&document.name, &document.text, &head, what).advise(advice),
                );
                continue;
            }
            let reason = policy.annotation("reason").unwrap_or_default();
            self.reasons.insert(id.to_owned(), reason.to_owned());
            if self.policies.add(policy.new_id(PolicyId::new(id))).is_ok() {
                places.insert(id.to_owned(), Place { document, span });
            }
        }
    }

    fn validate(&mut self, schema: &Schema, places: &BTreeMap<String, Place<'_>>) {
        let validator = Validator::new(schema.clone());
        let result = validator.validate_with_level(
            &self.policies,
            ValidationMode::Strict,
            DEREFERENCE_LEVEL,
        );
        for error in result.validation_errors() {
            if let Some(place) = places.get(&error.policy_id().to_string()) {
                self.found
                    .push(describe(place.document, &error.into(), Some(&place.span)));
            }
        }
    }
}

/// The first line of a policy, for mistakes about all of it.
fn head(text: &str, span: &Range<usize>) -> Range<usize> {
    let line = text
        .get(span.clone())
        .and_then(|policy| policy.lines().next())
        .unwrap_or_default();
    span.start..span.start.saturating_add(line.len())
}

fn describe(
    document: &Document,
    error: &DetailedError,
    policy: Option<&Range<usize>>,
) -> Diagnosis {
    let span = error
        .source_locations
        .first()
        .map(|label| label.loc.start..label.loc.end);
    let span = span
        .or_else(|| policy.map(|span| head(&document.text, span)))
        .unwrap_or(0..0);
    let found = Diagnosis::error(&document.name, &document.text, &span, error.message.clone());
    match &error.help {
        Some(help) => found.advise(help.clone()),
        None => found,
    }
}
