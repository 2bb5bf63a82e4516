//! Finds every mistake in policy documents: syntax, names, types, and rules that can never match.

use std::collections::{BTreeMap, BTreeSet};
use std::ops::Range;

use cedar_policy::ffi::DetailedError;
use cedar_policy::{
    Effect, Policy, PolicyId, PolicySet, Schema, ValidationError, ValidationMode,
    ValidationWarning, Validator,
};

use super::Document;
use super::{breadth, literals};
use crate::diagnose::{Diagnosis, Place, nearest};
use crate::name::{acts, shown};
use crate::quorum::Quorums;

/// Annotations that mean something. All are for people: none ever changes a decision.
const ANNOTATIONS: [&str; 4] = ["id", "title", "reason", "notify"];

/// So many characters of a `@reason` are shown, as of what a person says: each denial carries it, on the wire and into the
/// ledger.
const REASON_MAX: usize = 1000;

/// How far validated policies may reach: attributes and ancestors of who asks, of what about and of
/// entities in the context, but nothing behind those. It is what a slice holds.
const DEREFERENCE_LEVEL: u32 = 1;

/// What came of checking.
pub(super) struct Checked {
    /// All policies of all documents, each called by its `@id`.
    pub(super) policies: PolicySet,
    /// `@id` → `@reason`.
    pub(super) reasons: BTreeMap<String, String>,
    /// Mistakes and oddities, document by document from top to bottom.
    pub(super) found: Vec<Diagnosis>,
}

/// Where one policy stands.
pub(super) struct Site<'a> {
    pub(super) document: &'a Document,
    pub(super) span: Range<usize>,
}

/// Checks all documents together.
pub(super) fn check(documents: &[Document], schema: &Schema, quorums: &Quorums) -> Checked {
    let mut checking = Checking::default();
    for document in documents {
        match document.text.parse::<PolicySet>() {
            Ok(parsed) => checking.take(document, &parsed),
            Err(errors) => {
                let syntax = errors
                    .iter()
                    .map(|error| describe(document, &error.into(), None));
                checking.found.extend(syntax);
            }
        }
    }
    let wrong = checking.validate(schema);
    checking.look(quorums, &wrong);
    checking.finish(documents)
}

/// Policies on their way to being checked. One without a usable `@id` goes on under a made-up name,
/// so that its other mistakes are found too.
#[derive(Default)]
struct Checking<'a> {
    policies: PolicySet,
    reasons: BTreeMap<String, String>,
    sites: BTreeMap<String, Site<'a>>,
    found: Vec<Diagnosis>,
}

impl<'a> Checking<'a> {
    fn take(&mut self, document: &'a Document, parsed: &PolicySet) {
        for template in parsed.templates() {
            let span = template
                .as_ref()
                .loc()
                .map_or(0..0, |loc| loc.start()..loc.end());
            let site = Site { document, span };
            self.found.push(
                site.mistake("templates are not supported")
                    .advise("write out the principal and the resource"),
            );
        }
        for policy in parsed.policies() {
            let span = policy
                .as_ref()
                .loc()
                .map_or(0..0, |loc| loc.start()..loc.end());
            let site = Site { document, span };
            let id = self.name(policy, &site);
            let reason = policy.annotation("reason").unwrap_or_default();
            let reason = shown(&bounded(&reason.replace("\r\n", "\n")), is_layout);
            self.annotations(policy, &site);
            self.reasons.insert(id.clone(), reason);
            if let Err(error) = self.policies.add(policy.new_id(PolicyId::new(&id))) {
                self.found.push(site.mistake(error.to_string()));
            }
            self.sites.insert(id, site);
        }
    }

    /// The policy's `@id`, or a made-up name and a mistake.
    fn name(&mut self, policy: &Policy, site: &Site<'_>) -> String {
        let made_up = format!("{}:{}", site.document.name, site.span.start);
        let Some(id) = policy.annotation("id").filter(|id| !id.is_empty()) else {
            let what = site.mistake("this policy has no @id");
            self.found.push(
                what.advise("write @id(\"a-name\") above it; it is how denials and logs call it"),
            );
            return made_up;
        };
        // Everybody whom it stops reads it on a terminal. Such policies may be in force already, so it is made
        // harmless and no mistake.
        let id = shown(id, |_c| false);
        if let Some(first) = self.sites.get(&id) {
            let line = Place::find(&first.document.text, &first.span).line;
            let what = site.mistake(format!("the @id `{id}` is taken"));
            self.found
                .push(what.advise(format!("by {}:{line}", first.document.name)));
            return made_up;
        }
        id
    }

    fn annotations(&mut self, policy: &Policy, site: &Site<'_>) {
        for (name, _) in policy
            .annotations()
            .filter(|(name, _)| !ANNOTATIONS.contains(name))
        {
            let at = site.literal(&format!("@{name}"));
            let what = site
                .mistake_at(&at, format!("`@{name}` means nothing here"))
                .warn();
            self.found.push(match nearest(name, ANNOTATIONS) {
                Some(meant) => what.advise(format!("did you mean `@{meant}`?")),
                None => what.advise("known are @id, @title, @reason and @notify"),
            });
        }
        let odd = |(name, text): &(&str, &str)| {
            ANNOTATIONS.contains(name)
                && text
                    .replace("\r\n", "\n")
                    .chars()
                    .any(|c| acts(c) && (!is_layout(c) || *name == "id"))
        };
        for (name, _) in policy.annotations().filter(odd) {
            let at = site.literal(&format!("@{name}"));
            let what =
                format!("`@{name}` has characters that a terminal obeys or that reorder text");
            let what = site.mistake_at(&at, what).warn();
            self.found
                .push(what.advise("leave them out; whoever reads it sees a mark in their place"));
        }
        let reason = policy.annotation("reason").unwrap_or_default();
        if reason.chars().count() > REASON_MAX {
            let what = format!("`@reason` has more than {REASON_MAX} characters");
            let what = site.mistake_at(&site.literal("@reason"), what).warn();
            self.found
                .push(what.advise("whoever it stops reads only so many of them"));
        }
        let silent = policy.annotation("reason").is_none_or(str::is_empty);
        if policy.effect() == Effect::Forbid && silent {
            let what = site.mistake("this forbid has no @reason").warn();
            self.found
                .push(what.advise("whoever it stops is told only that a policy forbids it"));
        }
    }

    /// Which policies cannot be as they are.
    fn validate(&mut self, schema: &Schema) -> BTreeSet<String> {
        let validator = Validator::new(schema.clone());
        let result = validator.validate_with_level(
            &self.policies,
            ValidationMode::Strict,
            DEREFERENCE_LEVEL,
        );
        let mut wrong = BTreeSet::new();
        for error in result.validation_errors() {
            let id = error.policy_id().to_string();
            if let Some(site) = self.sites.get(&id) {
                self.found.push(fault(site, error, schema));
                wrong.insert(id);
            }
        }
        for warning in result.validation_warnings() {
            let id = warning.policy_id().to_string();
            let effect = self
                .policies
                .policy(warning.policy_id())
                .map(Policy::effect);
            match self.sites.get(&id) {
                // A rule with a misspelt action never matches; saying so twice helps nobody.
                Some(site) if !wrong.contains(&id) => {
                    self.found.push(oddity(site, warning, effect));
                }
                Some(_) | None => {}
            }
        }
        wrong
    }

    fn look(&mut self, quorums: &Quorums, wrong: &BTreeSet<String>) {
        for policy in self.policies.policies() {
            let id = policy.id().to_string();
            if let Some(site) = self.sites.get(&id) {
                self.found.extend(literals::look(policy, site, quorums));
                if !wrong.contains(&id) {
                    self.found.extend(breadth::look(policy, site));
                }
            }
        }
    }

    fn finish(self, documents: &[Document]) -> Checked {
        let Self {
            policies,
            reasons,
            mut found,
            ..
        } = self;
        let place =
            |found: &Diagnosis| found.place.as_ref().map(|place| (place.line, place.column));
        let order = |found: &Diagnosis| {
            let document = documents
                .iter()
                .position(|document| document.name == found.document);
            (document, place(found), found.what.clone())
        };
        found.sort_by_cached_key(order);
        found.dedup();
        Checked {
            policies,
            reasons,
            found,
        }
    }
}

/// A reason as far as it is shown. Longer ones may be in force already, so it is no mistake.
fn bounded(reason: &str) -> String {
    match reason.char_indices().nth(REASON_MAX) {
        Some((end, _)) => reason.get(..end).unwrap_or_default().to_owned() + "…",
        None => reason.to_owned(),
    }
}

/// What the validator finds wrong, with advice of our own where Cedar's guess is poor.
fn fault(site: &Site<'_>, error: &ValidationError, schema: &Schema) -> Diagnosis {
    let found = describe(site.document, &error.into(), Some(&site.span));
    if matches!(error, ValidationError::EntityDerefLevelViolation(_)) {
        return found.advise(
            "only who asks, what about and the context can be looked at, not what they refer to",
        );
    }
    if !matches!(error, ValidationError::UnrecognizedActionId(_)) {
        return found;
    }
    let named = found.what.split('"').nth(1).unwrap_or_default();
    let known: Vec<String> = schema
        .actions()
        .map(|action| action.id().unescaped().to_owned())
        .collect();
    let advice = nearest(named, known.iter().map(String::as_str)).map_or_else(
        || "see schema.cedarschema for the actions there are".to_owned(),
        |meant| format!("did you mean `{meant}`?"),
    );
    found.advise(advice)
}

/// What the validator finds odd. A `forbid` that never matches protects nothing, so it is an error;
/// a `permit` that never matches is only in vain.
fn oddity(site: &Site<'_>, warning: &ValidationWarning, effect: Option<Effect>) -> Diagnosis {
    let never = matches!(
        warning,
        ValidationWarning::ImpossiblePolicy(_) | ValidationWarning::InvalidActionApplication(_)
    );
    if !never {
        return describe(site.document, &warning.into(), Some(&site.span));
    }
    let what = site
        .mistake("this rule can never match")
        .advise("no action of the schema fits this principal, this resource and these conditions");
    if effect == Some(Effect::Permit) {
        what.warn()
    } else {
        what
    }
}

impl Site<'_> {
    /// A mistake about the whole policy, shown at its first line.
    pub(super) fn mistake(&self, what: impl Into<String>) -> Diagnosis {
        self.mistake_at(&head(&self.document.text, &self.span), what)
    }

    /// A mistake at some bytes of the document.
    pub(super) fn mistake_at(&self, span: &Range<usize>, what: impl Into<String>) -> Diagnosis {
        Diagnosis::error(&self.document.name, &self.document.text, span, what)
    }

    /// Where these words stand in the policy; its first line if they do not.
    pub(super) fn literal(&self, words: &str) -> Range<usize> {
        let policy = self
            .document
            .text
            .get(self.span.clone())
            .unwrap_or_default();
        match policy.find(words) {
            Some(at) => {
                let start = self.span.start.saturating_add(at);
                start..start.saturating_add(words.len())
            }
            None => head(&self.document.text, &self.span),
        }
    }
}

/// The first line of a policy, for mistakes about all of it.
fn head(text: &str, span: &Range<usize>) -> Range<usize> {
    let policy = text.get(span.clone()).unwrap_or_default();
    let line = policy.lines().next().unwrap_or_default();
    span.start..span.start.saturating_add(line.len())
}

/// A mistake that Cedar found, in its words.
fn describe(
    document: &Document,
    error: &DetailedError,
    policy: Option<&Range<usize>>,
) -> Diagnosis {
    let span = error
        .source_locations
        .first()
        .map(|label| label.loc.start..label.loc.end);
    let label = error
        .source_locations
        .first()
        .and_then(|label| label.label.clone());
    let span = span
        .or_else(|| policy.map(|span| head(&document.text, span)))
        .unwrap_or(0..0);
    let found = Diagnosis::error(
        &document.name,
        &document.text,
        &span,
        nameless(&error.message),
    );
    match error.help.as_deref().or(label.as_deref()) {
        Some(help) => found.advise(nameless(help)),
        None => found,
    }
}

/// Cedar's sentence without "for policy …": the place says it better.
fn nameless(message: &str) -> &str {
    let named = message.strip_prefix("for policy `");
    named
        .and_then(|rest| rest.split_once("`, "))
        .map_or(message, |(_, what)| what)
}

/// What a reason of several lines is laid out by.
fn is_layout(c: char) -> bool {
    matches!(c, '\n' | '\t')
}
