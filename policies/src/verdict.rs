//! One question put to Cedar, and the answer as tidegate understands it.
//!
//! Cedar skips a policy that fails while it is evaluated, a `forbid` too. Here any such failure
//! makes the whole answer [`Verdict::Failed`], which everyone above turns into a no.

use std::net::IpAddr;

use cedar_policy::{Authorizer, Context, Decision, Request, RestrictedExpression};
use jiff::Timestamp;
use jiff::tz::TimeZone;

use crate::slice::Slice;
use crate::{Facts, PolicySet};

/// What Cedar answered.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) enum Verdict {
    /// These policies (by `@id`) permit it, and none forbids it.
    Permitted(Vec<String>),
    /// This policy forbids it.
    Forbidden {
        /// Its `@id`.
        policy: String,
        /// Its `@reason`, or a plain sentence if it has none.
        reason: String,
    },
    /// No policy says anything, which is a no.
    Silent,
    /// A policy or a fact could not be evaluated.
    Failed,
}

impl Verdict {
    /// Whether it is a yes.
    pub(crate) fn permits(&self) -> bool {
        matches!(self, Self::Permitted(_))
    }
}

/// The policies and facts that a question is put to, and where and when it is asked.
#[derive(Clone, Copy)]
pub(crate) struct Scene<'a> {
    /// By which policies.
    pub(crate) policies: &'a PolicySet,
    /// What is so.
    pub(crate) facts: &'a Facts,
    /// Where whoever asks comes from.
    pub(crate) source: IpAddr,
    /// When.
    pub(crate) now: Timestamp,
}

/// Named values on their way into a context.
pub(crate) type Pairs = Vec<(String, RestrictedExpression)>;

/// Whether the policies are asked as they are written or as far as can be foreseen.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Reading {
    /// As written: everything about the deed is known.
    Written,
    /// As far as can be foreseen: see [`foresight`](crate::foresight).
    Foresight,
    /// As far as the answer holds for many files at once: see [`tighten`](crate::file::tighten).
    Tight,
}

/// Puts one question.
pub(crate) fn ask(
    policies: &PolicySet,
    reading: Reading,
    slice: &Slice,
    action: &str,
    context: Context,
) -> Verdict {
    let Some(question) = policies.question(action) else {
        return Verdict::Failed;
    };
    let set = &question.rules(reading).policies;
    let (principal, resource) = (slice.principal.clone(), slice.resource.clone());
    let request = Request::new(principal, question.action.clone(), resource, context, None);
    let Ok(request) = request else {
        return Verdict::Failed;
    };
    let response = Authorizer::new().is_authorized(&request, set, &slice.entities);
    let diagnostics = response.diagnostics();
    if diagnostics.errors().next().is_some() {
        return Verdict::Failed;
    }
    let mut reasons: Vec<String> = diagnostics.reason().map(ToString::to_string).collect();
    reasons.sort_unstable();
    match (response.decision(), reasons.first()) {
        (Decision::Allow, _) => Verdict::Permitted(reasons),
        (Decision::Deny, None) => Verdict::Silent,
        (Decision::Deny, Some(policy)) => Verdict::Forbidden {
            policy: policy.clone(),
            reason: policies.reason(policy),
        },
    }
}

/// The part of the context that says when: for offices, which are asked without an address.
pub(crate) fn moment(zone: &TimeZone, now: Timestamp) -> Option<RestrictedExpression> {
    RestrictedExpression::new_record(when(zone, now)).ok()
}

/// The part of the context that says when, from where and how well proven.
pub(crate) fn session(scene: &Scene<'_>) -> Option<RestrictedExpression> {
    let Scene {
        policies,
        source,
        now,
        ..
    } = *scene;
    let mut pairs = when(policies.zone(), now);
    pairs.extend([
        pair("sourceIp", RestrictedExpression::new_ip(source.to_string())),
        pair(
            "mfaPhishingResistant",
            RestrictedExpression::new_bool(false),
        ),
        pair("deviceTrusted", RestrictedExpression::new_bool(false)),
        pair("risk", RestrictedExpression::new_long(0)),
    ]);
    RestrictedExpression::new_record(pairs).ok()
}

fn when(zone: &TimeZone, now: Timestamp) -> Pairs {
    let local = zone.to_datetime(now);
    vec![
        pair("now", datetime(now)),
        pair(
            "hourLocal",
            RestrictedExpression::new_long(i64::from(local.hour())),
        ),
        pair(
            "weekday",
            RestrictedExpression::new_long(i64::from(local.weekday().to_monday_one_offset())),
        ),
    ]
}

/// An instant as Cedar writes it, cut to milliseconds.
pub(crate) fn datetime(at: Timestamp) -> RestrictedExpression {
    RestrictedExpression::new_datetime(at.strftime("%Y-%m-%dT%H:%M:%S.%3fZ").to_string())
}

/// A named value.
pub(crate) fn pair(name: &str, value: RestrictedExpression) -> (String, RestrictedExpression) {
    (name.to_owned(), value)
}
